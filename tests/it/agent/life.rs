//! How the agent starts and ends, and what it hides.

use super::{Agent, TOKEN, alive, announced, eventually, pid_in};
use sandbar::agent::client::{AgentClient, AgentError, probe};
use sandbar::agent::wire::{BackgroundRequest, ExecRequest};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

#[tokio::test]
async fn sigterm_ends_the_agent_and_everything_below_it_within_two_seconds() {
    let mut agent = Agent::start();
    let client = agent.client();
    let stubborn = "trap '' TERM; echo $$ > stubborn; while :; do sleep 1; done";
    client.exec_background(&BackgroundRequest::new(stubborn)).await.unwrap();
    // Not even a session of its own saves a process.
    client.exec(&ExecRequest::new("setsid sh -c 'echo $$ > escaped; sleep 300' > /dev/null 2>&1 &")).await.unwrap();
    let pids = [pid_in(&agent, "stubborn").await, pid_in(&agent, "escaped").await];
    let waiting =
        tokio::spawn(async move { client.exec(&ExecRequest::new("echo in; touch waiting; sleep 300")).await });
    eventually("the last command runs", || agent.workspace().join("waiting").exists()).await;
    let (code, took) = agent.terminate();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(pids.iter().all(|pid| !alive(*pid)));
    let output = waiting.await.unwrap().unwrap();
    assert_eq!((output.stdout.as_str(), output.exit_code), ("in\n", -15));
}

#[tokio::test]
async fn an_idle_agent_ends_at_once() {
    let mut agent = Agent::start();
    agent.client().health().await.unwrap();
    let (code, took) = agent.terminate();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_millis(1500), "{took:?}");
}

#[tokio::test]
async fn the_token_reaches_no_command() {
    let agent = Agent::start();
    let look = "env; tr '\\0' '\\n' < /proc/$PPID/environ; tr '\\0' ' ' < /proc/$PPID/cmdline; echo seen";
    let output = agent.client().exec(&ExecRequest::new(look)).await.unwrap();
    assert!(output.stdout.contains("seen") && !output.stdout.contains(TOKEN), "{}", output.stdout);
    let pid = agent.client().exec_background(&BackgroundRequest::new(look)).await.unwrap().pid;
    eventually("it has looked", || !alive(pid)).await;
    assert!(!agent.client().process_logs(pid, None).await.unwrap().contains(TOKEN));
    let own = ExecRequest::new("echo $SANDBOX_API_TOKEN").env("SANDBOX_API_TOKEN", "mine");
    assert_eq!(agent.client().exec(&own).await.unwrap().stdout, "mine\n");
}

#[tokio::test]
async fn the_token_may_come_through_standard_input() {
    let agent = Agent::start_with(|command| {
        let mut echo = Command::new("echo").arg(TOKEN).stdout(Stdio::piped()).spawn().unwrap();
        command.arg("--token-stdin").stdin(echo.stdout.take().unwrap());
        echo.wait().unwrap();
    });
    assert_eq!(agent.client().exec(&ExecRequest::new("echo in")).await.unwrap().stdout, "in\n");
}

#[tokio::test]
async fn with_its_parent_the_agent_and_its_commands_end() {
    let folder = tempfile::tempdir().unwrap();
    // A shell stands for the parent that is killed without a chance to clean up.
    let mut parent = Command::new("sh")
        .arg("-c")
        .arg("\"$0\" agent --listen 127.0.0.1:0 --exit-with-parent --root \"$1\" & wait")
        .arg(env!("CARGO_BIN_EXE_sandbar"))
        .arg(folder.path())
        .env("SANDBOX_API_TOKEN", TOKEN)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = AgentClient::new(&announced(&mut parent), Some(TOKEN)).unwrap();
    let look = ExecRequest::new("echo $PPID");
    let agent: i32 = client.exec(&look).await.unwrap().stdout.trim().parse().unwrap();
    let command = client.exec_background(&BackgroundRequest::new("sleep 300")).await.unwrap().pid;
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually("agent and command are gone", || !alive(agent) && !alive(command)).await;
}

#[tokio::test]
async fn an_agent_that_is_killed_takes_its_commands_along_when_it_ends_with_its_parent() {
    let agent = Agent::start_with(|command| {
        command.env("SANDBOX_API_TOKEN", TOKEN).arg("--exit-with-parent");
    });
    let command = agent.client().exec_background(&BackgroundRequest::new("exec sleep 300")).await.unwrap().pid;
    assert!(alive(command));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(agent.pid()), nix::sys::signal::Signal::SIGKILL).unwrap();
    eventually("the command is gone", || !alive(command)).await;
}

#[tokio::test]
async fn the_port_comes_from_the_environment_when_no_address_is_given() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sandbar"))
        .args(["agent", "--root"])
        .arg(folder.path())
        .env("PORT", free.to_string())
        .env_remove("SANDBOX_API_TOKEN")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let base = announced(&mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(base, format!("http://127.0.0.1:{free}"));
}

#[tokio::test]
async fn a_taken_address_is_an_error_with_advice() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sandbar"))
        .args(["agent", "--listen", &address, "--root"])
        .arg(folder.path())
        .env_remove("SANDBOX_API_TOKEN")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains(&address) && text.contains("--listen"), "{text}");
}

#[tokio::test]
async fn a_probe_believes_only_a_healthy_agent() {
    let mut agent = Agent::start();
    let http = reqwest::Client::new();
    probe(&http, &agent.base).await.unwrap();
    probe(&http, &format!("{}/", agent.base)).await.unwrap();
    let page = "<html>coming soon</html>";
    for (answer, unreachable) in [
        (format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{page}", page.len()), false),
        ("HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n".to_owned(), true),
        (format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(100_000)), false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"status\":\"ill\"".to_owned(), false),
    ] {
        let error = probe(&http, &answers_once(answer)).await.unwrap_err();
        assert_eq!(matches!(error, AgentError::Unreachable { .. }), unreachable, "{error:?}");
        assert_eq!(matches!(error, AgentError::Unexpected { .. }), !unreachable, "{error:?}");
    }
    assert!(matches!(probe(&http, "ftp://x").await, Err(AgentError::Invalid { .. })));
    agent.terminate();
    assert!(matches!(probe(&http, &agent.base).await, Err(AgentError::Unreachable { .. })));
}

#[tokio::test]
async fn a_probe_gives_up_on_silence() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", silent.local_addr().unwrap());
    let begin = std::time::Instant::now();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let error = probe(&reqwest::Client::new(), &base).await.unwrap_err();
    assert!(matches!(error, AgentError::Timeout { .. }), "{error:?}");
    assert!((4..8).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}

#[test]
fn a_client_shows_its_token_to_nobody() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = AgentClient::new("http://127.0.0.1:1", Some(TOKEN)).unwrap();
    assert!(!format!("{client:?}").contains(TOKEN));
}

#[tokio::test]
async fn a_client_follows_nobody_elsewhere() {
    let agent = Agent::start();
    let elsewhere = format!("HTTP/1.1 307 Elsewhere\r\nlocation: {}/health\r\ncontent-length: 0\r\n\r\n", agent.base);
    let client = AgentClient::new(&answers_once(elsewhere), Some(TOKEN)).unwrap();
    let error = client.health().await.unwrap_err();
    assert!(matches!(error, AgentError::Unexpected { status: 307, .. }), "{error:?}");
}

/// Something that listens and is no agent.
fn answers_once(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let _ = connection.read(&mut [0; 4096]);
        let _ = connection.write_all(answer.as_bytes());
    });
    base
}
