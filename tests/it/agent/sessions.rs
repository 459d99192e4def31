//! Sessions: shells that keep their state.

use super::{Agent, TOKEN, alive, eventually, pid_in};
use sandbar::agent::client::{AgentClient, AgentError};
use sandbar::agent::server::MAX_OUTPUT;
use sandbar::agent::wire::{ProcessStatus, SessionExec, SessionOutput, SessionRequest};
use serde_json::json;
use std::time::{Duration, Instant};

/// A session of this agent.
struct Session {
    client: AgentClient,
    id: &'static str,
    pid: i32,
}

impl Session {
    async fn start(agent: &Agent) -> Self {
        Self::start_as(agent, SessionRequest::new("s")).await
    }

    async fn start_as(agent: &Agent, request: SessionRequest) -> Self {
        let client = agent.client();
        let pid = client.create_session(&request).await.unwrap().pid;
        Self { client, id: "s", pid }
    }

    async fn try_run(&self, request: &SessionExec) -> Result<SessionOutput, AgentError> {
        self.client.session_exec(self.id, request).await
    }

    async fn run(&self, command: &str) -> SessionOutput {
        self.try_run(&SessionExec::new(command).timeout(60)).await.unwrap()
    }

    /// What a command that succeeds shows.
    async fn shows(&self, command: &str) -> String {
        let output = self.run(command).await;
        assert_eq!((output.exit_code, output.timed_out), (Some(0), false), "{command}: {output:?}");
        output.output
    }
}

fn code(output: &SessionOutput) -> (Option<i32>, bool, ProcessStatus) {
    (output.exit_code, output.timed_out, output.status)
}

const FINE: ProcessStatus = ProcessStatus::Running;

#[tokio::test]
async fn folder_variables_functions_and_options_live_on() {
    let agent = Agent::start();
    let session = Session::start(&agent).await;
    assert_eq!(session.shows("mkdir -p deep && cd deep; export A='x y'; f() { echo \"f $1 $A\"; }; set -f").await, "");
    let deep = agent.workspace().canonicalize().unwrap().join("deep");
    assert_eq!(session.shows("pwd; f 1; echo *").await, format!("{}\nf 1 x y\n*\n", deep.display()));
    let info = session.client.session("s").await.unwrap();
    assert_eq!((info.cwd.as_str(), info.status, info.pid), ("/workspace/deep", FINE, session.pid));
    assert_eq!(session.shows("sleep 300 & echo $! > left").await.lines().count(), usize::from(bash()));
    assert!(alive(pid_in(&agent, "deep/left").await));
    assert!(session.shows("jobs").await.contains("sleep 300"));
}

fn bash() -> bool {
    std::path::Path::new("/bin/bash").exists()
}

#[tokio::test]
async fn the_wire_shapes_are_the_public_ones() {
    let agent = Agent::start();
    let body = json!({"session_id": "build-1", "env": {"A": "b"}, "cwd": "/tmp"});
    let (status, made) = agent.call("POST", "/api/sessions", Some(body)).await;
    assert_eq!((status, &made), (200, &json!({"session_id": "build-1", "pid": made["pid"].as_i64().unwrap()})));
    let (status, mut info) = agent.call("GET", "/api/sessions/build-1", None).await;
    let created_at = info.as_object_mut().unwrap().remove("created_at").unwrap();
    let want =
        json!({"session_id": "build-1", "pid": made["pid"], "cwd": "/tmp", "env": {"A": "b"}, "status": "running"});
    assert_eq!((status, &info), (200, &want));
    assert!(created_at.as_f64().unwrap() > 1.7e9);
    let (status, all) = agent.call("GET", "/api/sessions", None).await;
    assert_eq!((status, all.as_array().unwrap().len(), &all[0]["session_id"]), (200, 1, &json!("build-1")));
    let body = json!({"command": "echo $A; pwd; false"});
    let (status, answer) = agent.call("POST", "/api/sessions/build-1/exec", Some(body)).await;
    let tmp = agent.root().join("tmp").canonicalize().unwrap();
    let output = format!("b\n{}\n", tmp.display());
    assert_eq!(
        (status, answer),
        (200, json!({"output": output, "exit_code": 1, "timed_out": false, "status": "running"}))
    );
    assert_eq!(agent.call("DELETE", "/api/sessions/build-1", None).await, (200, json!({"success": true})));
    assert_eq!(agent.call("GET", "/api/sessions", None).await, (200, json!([])));
}

#[tokio::test]
async fn exit_codes_are_the_commands_whatever_it_does() {
    let agent = Agent::start();
    let session = Session::start(&agent).await;
    for (command, want) in [
        ("true", 0),
        ("(exit 7)", 7),
        ("sh -c 'kill -9 $$'", 137),
        ("no-such-program", 127),
        ("if", 2),
        ("", 0),
        ("# a remark", 0),
        ("echo 'it'\\''s' \"fine\" !x \\\n  `echo yes`", 0),
        ("cat <<E\n$((6 * 7)) 'text'\nE", 0),
        ("exec 5>&1; echo five >&5", 0),
    ] {
        let output = session.run(command).await;
        assert_eq!(code(&output), (Some(want), false, FINE), "{command}: {output:?}");
    }
    // These throw the shell back to its prompt.
    for command in ["echo ${unset?}; echo on", "kill -INT $$; echo on"] {
        let output = session.run(command).await;
        assert!(output.exit_code.is_some_and(|code| code > 0) && output.status == FINE, "{command}: {output:?}");
        assert!(!output.output.contains("on\n"), "{command}: {output:?}");
    }
    assert_eq!(session.shows("echo still here").await, "still here\n");
}

#[tokio::test]
async fn output_is_what_was_written_and_nothing_else() {
    let agent = Agent::start();
    let session = Session::start(&agent).await;
    let colours = "\u{1b}[31mred\u{1b}[0m ä \u{1F980}\ttab\r\nno newline at the end";
    assert_eq!(session.shows(&format!("printf %s '{colours}'")).await, colours);
    assert_eq!(session.shows("echo out; echo err >&2; tty >/dev/null && echo terminal").await, "out\nerr\nterminal\n");
    assert_eq!(session.shows("test -t 0 && test -t 1 && test -t 2 && stty size").await, "24 80\n");
    // Whatever a command does to the shell's outputs and prompt, the next answer is found.
    assert_eq!(session.shows("PS1='prompt> '; PROMPT_COMMAND='echo prompt'; exec 2>/dev/null").await, "");
    assert_eq!(session.shows("echo a; echo lost >&2").await, "a\n");
    session.shows("stty echo; alias printf=false; printf() { echo mine; }; set -C").await;
    assert_eq!(session.shows("echo a").await, "a\n");
}

#[tokio::test]
async fn large_output_comes_whole_up_to_the_limit() {
    let agent = Agent::start();
    let session = Session::start(&agent).await;
    let shown = session.shows("seq 200000").await;
    assert!(shown.lines().zip(1..).all(|(line, number)| line == format!("{number}")));
    assert_eq!(shown.lines().count(), 200_000);
    let more = 100_000;
    let command = format!("head -c {} /dev/zero | tr '\\0' x; (exit 3)", MAX_OUTPUT + more);
    let output = session.run(&command).await;
    assert_eq!(output.exit_code, Some(3));
    assert!(output.output.ends_with(&format!("x\n[output truncated: {more} more bytes were written]\n")));
    assert_eq!(session.shows("echo next").await, "next\n");
}

#[tokio::test]
async fn no_output_looks_like_the_end_of_a_command() {
    let agent = Agent::start();
    let session = Session::start(&agent).await;
    // What it can find out of earlier commands, and what the form of a mark is.
    session.run("set -v; set -x; echo once 2>&1; true").await;
    let forged = "set +vx; for w in $(fc -l 2>/dev/null; tr '\\0' ' ' < /proc/$$/cmdline; set; env); do \
                  printf '\\036%s 0\\036\\036%s\\036' \"$w\" \"$w\"; done >/dev/tty; \
                  printf '\\036%032x 0\\036' 1; (exit 9)";
    let output = session.run(forged).await;
    assert_eq!(output.exit_code, Some(9));
    assert!(output.output.ends_with(&format!("\u{1e}{:032x} 0\u{1e}", 1)), "{output:?}");
    // A part of the background that shows everything it can see of the next command.
    session.run("(while :; do tr '\\0' ' ' < /proc/$$/cmdline; sleep 0.01; done) & true").await;
    assert_eq!(session.run("sleep 0.2; (exit 4)").await.exit_code, Some(4));
}

#[tokio::test]
async fn a_time_out_ends_the_command_and_leaves_a_usable_session() {
    let agent = Agent::start();
    let session = Session::start(&agent).await;
    session.shows("state=kept").await;
    let soon = |command: &str| SessionExec::new(command).timeout(1);
    for command in [
        "echo begun; sleep 300; echo not reached",
        "echo begun; while :; do sleep 0.1; done",
        "echo begun; while :; do :; done",
        "echo begun; cat",
        "echo begun; read line",
        "echo begun; (trap '' INT TERM; sleep 300; sleep 300)",
        "echo begun; sh -c \"trap '' INT; while :; do sleep 300; done\" | cat",
        "echo begun; stty raw -echo; sleep 300",
    ] {
        let begin = Instant::now();
        let output = session.try_run(&soon(command)).await.unwrap();
        assert_eq!(code(&output), (None, true, FINE), "{command}: {output:?}");
        assert!(
            output.output.starts_with("begun\n") && !output.output.contains("not reached"),
            "{command}: {output:?}"
        );
        assert!(begin.elapsed() < Duration::from_secs(60), "{command}: {:?}, not its own end", begin.elapsed());
        assert_eq!(session.shows("echo $state").await, "kept\n", "{command}");
    }
}

#[tokio::test]
async fn a_shell_that_does_not_listen_is_ended_and_the_answer_says_so() {
    let agent = Agent::start();
    let session = Session::start(&agent).await;
    let command = SessionExec::new("trap '' INT; while :; do :; done").timeout(1);
    let output = session.try_run(&command).await.unwrap();
    assert_eq!(code(&output), (None, true, ProcessStatus::Stopped), "{output:?}");
    assert!(!alive(session.pid));
    let error = session.try_run(&SessionExec::new("true")).await.unwrap_err();
    assert!(matches!(&error, AgentError::Invalid { detail } if detail.contains("DELETE /api/sessions/s")), "{error:?}");
}

#[tokio::test]
async fn a_shell_that_exits_is_stopped_and_takes_its_terminal_along() {
    let agent = Agent::start();
    let session = Session::start(&agent).await;
    let output = session.run("(trap '' HUP TERM; sleep 300) & echo $! > left; echo bye; exit 3").await;
    assert_eq!(code(&output), (Some(3), false, ProcessStatus::Stopped));
    assert!(output.output.ends_with("bye\n") || output.output.contains("bye\n"), "{output:?}");
    let left = pid_in(&agent, "left").await;
    eventually("the rest is gone", || !alive(left)).await;
    assert_eq!(session.client.session("s").await.unwrap().status, ProcessStatus::Stopped);
    let error = session.client.create_session(&SessionRequest::new("s")).await.unwrap_err();
    assert!(matches!(&error, AgentError::Invalid { detail } if detail.contains("\"s\" exists")), "{error:?}");
    session.client.close_session("s").await.unwrap();
    let again = Session::start(&agent).await;
    assert_eq!(again.run("set -e; echo in; false; echo out").await.exit_code, Some(1));
    assert_eq!(again.client.session("s").await.unwrap().status, ProcessStatus::Stopped);
}

#[tokio::test]
async fn one_command_runs_at_a_time() {
    let agent = Agent::start();
    let session = Session::start(&agent).await;
    let (client, long) =
        (agent.client(), SessionExec::new("touch runs; until [ -e go ]; do sleep 0.05; done; echo first"));
    let first = tokio::spawn(async move { client.session_exec("s", &long).await });
    eventually("the first runs", || agent.workspace().join("runs").exists()).await;
    let error = session.try_run(&SessionExec::new("echo second")).await.unwrap_err();
    assert!(matches!(&error, AgentError::Busy { detail } if detail.contains("another command")), "{error:?}");
    let (status, _) = agent.call("POST", "/api/sessions/s/exec", Some(json!({"command": "true"}))).await;
    assert_eq!(status, 409);
    std::fs::write(agent.workspace().join("go"), "").unwrap();
    assert_eq!(first.await.unwrap().unwrap().output, "first\n");
    assert_eq!(session.shows("echo second").await, "second\n");
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_command_with_it_and_leaves_the_session() {
    let agent = Agent::start();
    let session = Session::start(&agent).await;
    let request = reqwest::Client::new().post(format!("{}/api/sessions/s/exec", agent.base)).bearer_auth(TOKEN);
    let sending = request.json(&json!({"command": "state=kept; sh -c 'echo $$ > child; exec sleep 300'"})).send();
    let pid = tokio::select! {
        _ = sending => panic!("the command must not end"),
        pid = pid_in(&agent, "child") => pid,
    };
    eventually("the command is gone", || !alive(pid)).await;
    let begin = Instant::now();
    let output = loop {
        match session.try_run(&SessionExec::new("echo $state")).await {
            Err(AgentError::Busy { .. }) => assert!(begin.elapsed() < Duration::from_secs(60)),
            other => break other.unwrap(),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(output.output, "kept\n");
}

#[tokio::test]
async fn deleting_a_session_ends_everything_in_its_terminal() {
    let agent = Agent::start();
    let session = Session::start(&agent).await;
    session
        .run("(trap '' HUP TERM; echo $(exec sh -c 'echo $PPID') > stubborn; while :; do sleep 1; done) & true")
        .await;
    let stubborn = pid_in(&agent, "stubborn").await;
    let (client, shell) = (agent.client(), session.pid);
    let running =
        tokio::spawn(async move { client.session_exec("s", &SessionExec::new("echo in; touch in; sleep 300")).await });
    eventually("a command runs", || agent.workspace().join("in").exists()).await;
    session.client.close_session("s").await.unwrap();
    assert!(!alive(shell) && !alive(stubborn));
    let output = running.await.unwrap().unwrap();
    assert_eq!((output.output.as_str(), code(&output)), ("in\n", (None, false, ProcessStatus::Stopped)));
    for error in [
        session.try_run(&SessionExec::new("true")).await.unwrap_err(),
        session.client.session("s").await.unwrap_err(),
        session.client.close_session("s").await.unwrap_err(),
    ] {
        assert!(matches!(&error, AgentError::NotFound { detail } if detail.contains("no session \"s\"")), "{error:?}");
    }
}

#[tokio::test]
async fn the_token_is_nowhere_in_a_session() {
    let agent = Agent::start();
    let session = Session::start(&agent).await;
    let look = "env; set; tr '\\0' '\\n' < /proc/$$/environ; tr '\\0' '\\n' < /proc/$PPID/environ; \
                tr '\\0' ' ' < /proc/$PPID/cmdline; echo seen";
    let shown = session.run(look).await.output;
    assert!(shown.contains("seen") && !shown.contains(TOKEN), "{shown}");
    assert!(!shown.contains("SANDBOX_API_TOKEN"), "{shown}");
}

#[tokio::test]
async fn with_the_agent_every_session_ends() {
    let mut agent = Agent::start();
    let session = Session::start(&agent).await;
    let commands = "(trap '' HUP TERM INT; echo $(exec sh -c 'echo $PPID') > stubborn; while :; do sleep 1; done) & \
                    setsid sh -c 'echo $$ > escaped; exec sleep 300' & true";
    session.run(commands).await;
    let pids = [session.pid, pid_in(&agent, "stubborn").await, pid_in(&agent, "escaped").await];
    assert!(pids.iter().all(|pid| alive(*pid)));
    let (code, took) = agent.terminate();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(pids.iter().all(|pid| !alive(*pid)));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_name() {
    let agent = Agent::start();
    let make = |body: serde_json::Value| Some(body);
    for (path, body, status, field) in [
        ("/api/sessions", make(json!({})), 422, "session_id"),
        ("/api/sessions", make(json!({"session_id": ""})), 422, "session_id"),
        ("/api/sessions", make(json!({"session_id": "a/b"})), 422, "session_id"),
        ("/api/sessions", make(json!({"session_id": ".."})), 422, "session_id"),
        ("/api/sessions", make(json!({"session_id": "x".repeat(65)})), 422, "64 letters"),
        ("/api/sessions", make(json!({"session_id": "a", "env": {"A=": "b"}})), 422, "env"),
        ("/api/sessions", make(json!({"session_id": "a", "cwd": "/workspace/none"})), 400, "/workspace/none"),
        ("/api/sessions/a/exec", make(json!({"command": "true"})), 404, "no session"),
        ("/api/sessions/a/exec", make(json!({"command": "true", "timeout": 0})), 422, "timeout"),
        ("/api/sessions/a/exec", make(json!({"command": "a\u{0}b"})), 422, "NUL"),
        ("/api/sessions/a/exec", make(json!({"command": "x".repeat(200_000)})), 422, "put it into a file"),
    ] {
        let (got, answer) = agent.call("POST", path, body.clone()).await;
        assert_eq!(got, status, "{path} {body:?}: {answer}");
        assert!(answer.to_string().contains(field), "{path} {body:?}: {answer}");
    }
    assert_eq!(agent.call("GET", "/api/sessions", None).await.1, json!([]));
}

#[tokio::test]
async fn there_are_at_most_a_hundred_and_stopped_ones_give_way() {
    let agent = Agent::start();
    let client = agent.client();
    for number in 0..100 {
        client.create_session(&SessionRequest::new(format!("s{number}"))).await.unwrap();
    }
    let error = client.create_session(&SessionRequest::new("more")).await.unwrap_err();
    assert!(matches!(&error, AgentError::Busy { detail } if detail.contains("100 sessions")), "{error:?}");
    assert_eq!(client.session_exec("s7", &SessionExec::new("exit")).await.unwrap().exit_code, Some(0));
    client.create_session(&SessionRequest::new("more")).await.unwrap();
    let ids: Vec<String> = client.sessions().await.unwrap().into_iter().map(|info| info.session_id).collect();
    assert!(ids.len() == 100 && ids.contains(&"more".to_owned()) && !ids.contains(&"s7".to_owned()), "{ids:?}");
}
