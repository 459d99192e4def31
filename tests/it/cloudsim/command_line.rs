//! `sandbar cloudsim` as it is typed.

use super::support::Client;
use sandbar::cloudsim::admin::SimAdmin;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

fn cloudsim(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandbar"));
    command.arg("cloudsim").args(arguments);
    command
}

fn refused(arguments: &[&str]) -> String {
    let Output { status, stderr, .. } = cloudsim(arguments).output().unwrap();
    assert!(!status.success(), "{arguments:?}");
    String::from_utf8(stderr).unwrap()
}

#[tokio::test]
async fn each_account_gets_its_token_and_one_line_tells_the_address() {
    let arguments = ["--virtual", "--account", "a", "--token", "ta", "--account", "b", "--token", "tb"];
    let mut child = cloudsim(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let url = line.strip_prefix("cloudsim listening on ").expect("the address").to_owned();
    let id = Client::new(&url, "ta").create("web-1").await;
    assert_eq!(Client::new(&url, "tb").get(&format!("/v2/apps/{id}")).await.status, 404);
    assert_eq!(SimAdmin::new(&url).ledger().await.unwrap().apps[0].account, "a");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(lines.next().is_none(), "nothing else is written to standard output");
}

#[test]
fn what_cannot_be_is_refused_with_the_way_out() {
    let outside = refused(&["--virtual", "--listen", "0.0.0.0:0"]);
    assert!(outside.contains("0.0.0.0:0 is not a loopback address") && outside.contains("127.0.0.1"), "{outside}");
    let unequal = refused(&["--virtual", "--account", "a", "--account", "b", "--token", "t"]);
    assert!(unequal.contains("2 --account but 1 --token"), "{unequal}");
    assert!(refused(&["--virtual", "--speed", "0"]).contains("speed 0"));
    let negative = refused(&["--virtual", "--ready-seconds=-1"]);
    assert!(negative.contains("timings.readySeconds: -1"), "{negative}");
}
