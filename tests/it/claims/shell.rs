//! `sandbar shell`, in front of a terminal and without one.

use super::inside::{let_read_secrets, run};
use super::{command, done, err, failed, sandbar};
use crate::agent::Agent;
use crate::wait::eventually;
use crate::world::{TestEnv, World};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use sandbar::pty::{self, Master};
use std::fs::File;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Child;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// `sandbar shell` in a terminal of its own.
struct Person {
    master: Master,
    /// The terminal as the program sees it: it stays open, so that its settings can be looked at when it has ended.
    terminal: File,
    child: Child,
    shown: String,
}

impl Person {
    fn sit_down(env: &TestEnv, arguments: &[&str]) -> Self {
        let (master, terminal) = Master::open().unwrap();
        master.resize(101, 31);
        let mut command = command(env, arguments);
        let end = || Stdio::from(terminal.try_clone().unwrap());
        command.stdin(end()).stdout(end()).stderr(end()).env("TERM", "vt100");
        // SAFETY: it runs between fork and exec only.
        unsafe { command.pre_exec(|| pty::lead()) };
        let child = command.spawn().unwrap();
        Self { master, terminal, child, shown: String::new() }
    }

    async fn types(&self, text: &str) {
        self.master.write(text.as_bytes()).await.unwrap();
    }

    async fn sees(&mut self, wanted: &str) {
        let mut buffer = [0; 4096];
        while !self.shown.contains(wanted) {
            let read = timeout(PATIENCE, self.master.read(&mut buffer)).await;
            let read = read.unwrap_or_else(|_| panic!("no {wanted:?} in {:?}", self.shown)).unwrap();
            self.shown.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        let (_, rest) = self.shown.split_once(wanted).unwrap();
        self.shown = rest.to_owned();
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.terminal).unwrap().local_flags.contains(LocalFlags::ICANON)
    }

    /// Its exit code. The terminal must be as it was before.
    async fn leaves(mut self) -> i32 {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("an end").unwrap();
        let settings = tcgetattr(&self.terminal).unwrap().local_flags;
        assert!(settings.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG), "{settings:?}");
        status.code().unwrap()
    }
}

async fn entered(name: &str) -> (TestEnv, Agent, String) {
    let env = World::get().await.test(name).await;
    let (agent, id) = run(&env).await;
    let_read_secrets(&env).await;
    (env, agent, id)
}

#[tokio::test]
async fn a_person_works_in_the_sandbox_and_gets_the_terminal_back() {
    let (env, agent, id) = entered("shell").await;
    let mut person = Person::sit_down(&env, &["shell", &id]);
    person.types("echo in-$((6 * 7))-$TERM; stty size; pwd\n").await;
    person.sees("in-42-vt100").await;
    person.sees("31 101").await;
    person.sees(agent.workspace().canonicalize().unwrap().to_str().unwrap()).await;
    assert!(person.is_raw());
    person.master.resize(77, 22);
    person.types("until [ \"$(stty size)\" = '22 77' ]; do sleep 0.05; done; echo res''ized\n").await;
    person.sees("resized").await;
    person.types("sh -c 'echo be\"\"gun; exec sleep 300'\n").await;
    person.sees("begun").await;
    person.types("\u{3}").await;
    person.types("echo co''de $?\n").await;
    person.sees("code 130").await;
    person.types("exit 7\n").await;
    assert_eq!(person.leaves().await, 7);

    let mut person = Person::sit_down(&env, &["shell", &id, "--cwd", "/tmp", "--", "sh", "-c", "pwd; kill -9 $$"]);
    person.sees(agent.root().join("tmp").canonicalize().unwrap().to_str().unwrap()).await;
    assert_eq!(person.leaves().await, 137);
}

#[tokio::test]
async fn the_terminal_comes_back_whatever_happens() {
    let (env, mut agent, id) = entered("shell-breaks").await;
    let mut person = Person::sit_down(&env, &["shell", &id, "--", "echo $$ > leader; echo ready; sleep 300"]);
    person.sees("ready").await;
    assert!(person.is_raw());
    let leader: i32 = std::fs::read_to_string(agent.workspace().join("leader")).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(i32::try_from(person.child.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(person.leaves().await, 143);
    eventually("what ran there ends", async || if crate::agent::alive(leader) { Err("it lives") } else { Ok(()) })
        .await;

    let mut person = Person::sit_down(&env, &["shell", &id, "--", "echo ready; sleep 300"]);
    person.sees("ready").await;
    kill(Pid::from_raw(agent.pid()), Signal::SIGKILL).unwrap();
    person.sees("error: ").await;
    assert_eq!(person.leaves().await, 125);
    agent.terminate();
    let person = Person::sit_down(&env, &["shell", &id]);
    assert_eq!(person.leaves().await, 125);
}

#[tokio::test]
async fn without_a_terminal_input_is_typed_and_its_end_is_control_d() {
    let (env, _agent, id) = entered("shell-piped").await;
    let piped = async |arguments: &[&str], text: &str| {
        let mut command = command(&env, arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
        timeout(PATIENCE, child.wait_with_output()).await.expect("an end").unwrap()
    };
    let output = piped(&["shell", &id, "--", "cat > kept; echo got $(cat kept)"], "one\ntwo").await;
    assert!(done(&output).ends_with("got one two\r\n"), "{output:?}");
    let output = piped(&["shell", &id], "echo six-$((3 + 3))\n").await;
    assert!(done(&output).contains("six-6"), "{output:?}");
    let output = piped(&["shell", &id, "--", "(exit 9)"], "").await;
    assert_eq!(output.status.code(), Some(9), "{}", err(&output));
    let told = failed(&sandbar(&env, &["shell", "run-none"]).await, 125);
    assert!(told.contains("no run run-none in namespace"), "{told}");
    let told = failed(&sandbar(&env, &["shell", &id, "--cwd", "/none"]).await, 125);
    assert!(told.contains("\"/none\" does not exist"), "{told}");
}
