//! The commands that a person types, by way of a gateway.

use std::process::Stdio;
use std::time::Duration;

use kube::api::DeleteParams;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbar::agent::wire::BackgroundRequest;
use sandbar::dev::kubeconfig::Identity;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use super::{Held, app};
use crate::claims::{done, err, failed, out};
use crate::world::PROGRAM;

const WITHIN: Duration = Duration::from_secs(60);

impl Held {
    /// A command as somebody types it who may enter sandboxes, and neither reads Secrets nor sees a Sandbox.
    pub(super) fn command(&self, arguments: &[&str], kubeconfig: &tempfile::NamedTempFile) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env("KUBECONFIG", kubeconfig.path()).env("SANDBAR_GATEWAY", &self.gateway.url);
        command.kill_on_drop(true);
        command
    }

    pub(super) fn kubeconfig(&self) -> tempfile::NamedTempFile {
        let plane = self.stand.env.world.local().plane();
        let text = plane.kubeconfig(&Identity::Token(self.enters.clone()), &self.stand.env.namespace);
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_no_secrets_enters_by_the_gateway() {
    let held = Held::start("inside-cli").await;
    let (kubeconfig, run) = (held.kubeconfig(), held.run.as_str());
    let typed = async |arguments: &[&str]| held.command(arguments, &kubeconfig).output().await.expect("it ran");
    let without = typed(&["exec", run, "--gateway", "", "--", "true"]).await;
    assert!(failed(&without, 125).contains("cannot list resource"), "without it nothing of the cluster is theirs");

    let output = typed(&["exec", run, "--", "echo out; echo err >&2; exit 7"]).await;
    assert_eq!((output.status.code(), out(&output), err(&output)), (Some(7), "out\n".into(), "err\n".into()));
    failed(&typed(&["exec", run, "--timeout", "1s", "--", "sleep 60"]).await, 124);
    let told = failed(&typed(&["exec", "run-none", "--", "true"]).await, 125);
    assert!(told.contains("there is no run run-none"), "{told}");
    assert_eq!(done(&typed(&["shell", run, "--", "echo", "on a terminal"]).await), "on a terminal\r\n");

    let here = tempfile::tempdir().expect("a folder");
    let path = |name: &str| here.path().join(name).to_str().expect("text").to_owned();
    std::fs::create_dir_all(here.path().join("tree/deep")).expect("a folder");
    std::fs::write(here.path().join("tree/deep/file"), vec![b'x'; 5_000_000]).expect("a file");
    done(&typed(&["cp", &path("tree"), &format!("{run}:")]).await);
    done(&typed(&["cp", &format!("{run}:tree"), &path("back")]).await);
    assert_eq!(std::fs::read(here.path().join("back/deep/file")).expect("a file").len(), 5_000_000);

    let request = BackgroundRequest::new("echo a line; touch written; sleep 1000");
    held.agent.client().exec_background(&request).await.expect("begun");
    crate::agent::eventually("it has written", || held.agent.workspace().join("written").exists()).await;
    assert_eq!(done(&typed(&["logs", run]).await), "a line\n");

    // Somebody who may claim and see, and not enter.
    let mut plain =
        crate::claims::command(&held.stand.env, &["exec", run, "--gateway", &held.gateway.url, "--", "true"]);
    let told = failed(&plain.output().await.expect("it ran"), 125);
    assert!(told.contains("may not create sandboxes/exec") && told.contains("sandbar-enter"), "{told}");
    let told = failed(&typed(&["exec", run, "--gateway", "http://gateway.example", "--", "true"]).await, 125);
    assert!(told.contains("--gateway") && told.contains("your token is not sent there"), "{told}");
    held.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_are_forwarded_by_the_gateway_until_the_run_has_ended() {
    let held = Held::start("inside-forward").await;
    let (kubeconfig, port) = (held.kubeconfig(), app().await);
    let begin = async |mut command: Command| {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("begun");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let line = timeout(WITHIN, lines.next_line()).await.expect("in time").expect("text").expect("a line");
        let place = line.split(' ').nth(1).expect("an address").to_owned();
        (child, place)
    };
    let remote = format!(":{port}");
    let typed = || held.command(&["port-forward", &held.run, &remote], &kubeconfig);
    let (child, place) = begin(typed()).await;
    let mut connection = TcpStream::connect(&place).await.expect("a connection");
    connection.write_all(b"GET /page HTTP/1.0\r\n\r\n").await.expect("asked");
    let mut answer = String::new();
    timeout(WITHIN, connection.read_to_string(&mut answer)).await.expect("in time").expect("an answer");
    assert!(answer.contains("GET /page"), "{answer}");
    kill(Pid::from_raw(child.id().expect("alive").try_into().expect("a pid")), Signal::SIGINT).expect("told");
    let ended = timeout(WITHIN, child.wait_with_output()).await.expect("it ends").expect("an end");
    assert!(ended.status.success(), "{ended:?}");

    // Who may see the run learns that it has ended.
    let user = &held.stand.env.user_kubeconfig;
    let mut both = typed();
    both.env("KUBECONFIG", user);
    let (child, _) = begin(both).await;
    let sandboxes = &held.stand.operator.sandboxes;
    sandboxes.delete(&format!("{}-0", crate::claims::POOL), &DeleteParams::default()).await.expect("deleted");
    let ended = timeout(WITHIN, child.wait_with_output()).await.expect("it ends").expect("an end");
    let told = failed(&ended, 1);
    assert!(told.contains(&held.run), "{told}");
    held.gateway.stop().await;
}
