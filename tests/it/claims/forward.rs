use super::inside::run;
use super::{Operator, command, failed, let_read_secrets, sandbar};
use crate::world::{TestEnv, World};
use kube::api::DeleteParams;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbar::claims::{ClaimWish, Claims};
use serde_json::json;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;
use tokio::time::timeout;

const WITHIN: Duration = Duration::from_secs(60);

/// Starts forwarding these ports; gives the addresses that it says it listens on.
async fn forward(env: &TestEnv, id: &str, ports: &[String]) -> (Child, Vec<SocketAddr>) {
    let mut arguments = vec!["port-forward", id];
    arguments.extend(ports.iter().map(String::as_str));
    let mut child = command(env, &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut places = Vec::new();
    while places.len() < ports.len() {
        let line = timeout(WITHIN, lines.next_line()).await.unwrap().unwrap().expect("a line for each port");
        let rest = line.strip_prefix("forwarding ").unwrap_or_else(|| panic!("{line}"));
        let (place, rest) = rest.split_once(' ').unwrap();
        assert!(rest.starts_with("to port ") && rest.ends_with(id), "{line}");
        places.push(place.parse().unwrap());
    }
    (child, places)
}

/// Something that gives back what it got when all of it is there.
async fn app() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut all = Vec::new();
                connection.read_to_end(&mut all).await.unwrap();
                connection.write_all(&all).await.unwrap();
            });
        }
    });
    port
}

async fn echoed(place: SocketAddr, text: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(place).await?;
    connection.write_all(text.as_bytes()).await?;
    connection.shutdown().await?;
    let mut answer = String::new();
    timeout(WITHIN, connection.read_to_string(&mut answer)).await.expect("an end in time")?;
    Ok(answer)
}

async fn ends(child: Child) -> (Option<i32>, String) {
    let output = timeout(WITHIN, child.wait_with_output()).await.expect("it ends").unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn ports_of_a_sandbox_are_reached_here_until_ctrl_c_or_the_end_of_the_run() {
    let env = World::get().await.test("forward").await;
    let (_agent, id) = run(&env).await;
    let_read_secrets(&env).await;
    let ports = [app().await, app().await];
    let (child, places) = forward(&env, &id, &ports.map(|port| format!(":{port}"))).await;
    assert!(places.iter().all(|place| place.ip().is_loopback()), "{places:?}");
    let (one, two) = tokio::join!(echoed(places[0], "one"), echoed(places[1], "two"));
    assert_eq!((one.unwrap(), two.unwrap()), ("one".to_owned(), "two".to_owned()));
    kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(ends(child).await, (Some(0), String::new()));

    // Nobody listens there: the connection breaks, the command goes on and says why.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let (child, places) = forward(&env, &id, &[format!(":{nobody}"), format!(":{}", ports[0])]).await;
    assert!(echoed(places[0], "one").await.is_err());
    assert_eq!(echoed(places[1], "two").await.unwrap(), "two");
    let operator = Operator::of(&env).await;
    operator.sandboxes.delete("python-0", &DeleteParams::default()).await.unwrap();
    let (code, told) = ends(child).await;
    assert!(code == Some(1) && told.contains(&format!("run {id} has ended")), "{code:?} {told}");
    assert!(told.contains(&format!("port {nobody}: nothing listens on port {nobody} inside the sandbox")), "{told}");
}

#[tokio::test]
async fn a_run_that_falls_asleep_ends_the_forwarding() {
    let env = World::get().await.test("forward-asleep").await;
    let (_agent, id) = run(&env).await;
    let_read_secrets(&env).await;
    let (child, _) = forward(&env, &id, &[format!(":{}", app().await)]).await;
    let operator = Operator::of(&env).await;
    operator.status("python-0", json!({"phase": "Hibernating"})).await;
    let (code, told) = ends(child).await;
    assert!(code == Some(1) && told.contains(&format!("run {id} was put to sleep")), "{code:?} {told}");
    let told = failed(&sandbar(&env, &["port-forward", &id, ":5000"]).await, 1);
    assert!(told.contains("is hibernated"), "{told}");
}

#[tokio::test]
async fn what_cannot_be_forwarded_is_said_at_once() {
    let env = World::get().await.test("forward-errors").await;
    let (_agent, id) = run(&env).await;
    let_read_secrets(&env).await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let holder = TcpListener::bind(taken).await.unwrap();
    let told = failed(&sandbar(&env, &["port-forward", &id, &format!("{}:5000", taken.port())]).await, 1);
    assert!(told.contains(&format!("cannot listen on {taken}")) && told.contains(":5000"), "{told}");
    drop(holder);
    for bad in ["0", "5000:0", "http", "1:2:3"] {
        let told = failed(&sandbar(&env, &["port-forward", &id, bad]).await, 2);
        assert!(told.contains("[LOCAL:]REMOTE"), "{bad}: {told}");
    }
    let told = failed(&sandbar(&env, &["port-forward", "run-none", "5000"]).await, 1);
    assert!(told.contains("no run run-none in namespace"), "{told}");
}

#[tokio::test]
async fn a_worker_has_no_ports_and_no_logs() {
    let env = World::get().await.test("forward-worker").await;
    let operator = Operator::of(&env).await;
    operator.worker(0, "http://127.0.0.1:1").await;
    let wish = ClaimWish { holder: "ada".to_owned(), ttl: None, id: None };
    let id = Claims::new(env.user.clone(), &env.namespace).claim_warm(super::POOL, &wish).await.unwrap().id;
    for words in [&["port-forward", &id, "5000"][..], &["logs", &id]] {
        let told = failed(&sandbar(&env, words).await, 1);
        assert!(told.contains("mode Worker, and its console is too narrow"), "{told}");
        assert!(told.contains("mode: Service"), "{told}");
    }
}
