//! What commands may use at most.

use super::{Agent, alive, eventually};
use futures::StreamExt;
use sandbar::agent::client::ExecEvent;
use sandbar::agent::wire::{BackgroundRequest, ExecOutput, ExecRequest, Limits, SessionExec, SessionRequest};
use serde_json::json;

/// Takes more memory than is allowed, in a program that every image has.
const GREEDY: &str = "head -c 200000000 /dev/zero | tail -c 200000000 | wc -c";

fn memory(mib: u64) -> Option<Limits> {
    Some(Limits { memory_mib: Some(mib), ..Limits::default() })
}

async fn exec(agent: &Agent, command: &str, limits: Option<Limits>) -> ExecOutput {
    agent.client().exec(&ExecRequest { limits, ..ExecRequest::new(command) }).await.unwrap()
}

#[tokio::test]
async fn a_command_that_takes_too_much_memory_fails_and_others_live() {
    let agent = Agent::start();
    let other = agent.client().exec_background(&BackgroundRequest::new("exec sleep 300")).await.unwrap().pid;
    let output = exec(&agent, GREEDY, memory(64)).await;
    assert_ne!(output.stdout.trim(), "200000000", "{output:?}");
    assert!(!output.stderr.is_empty(), "{output:?}");
    assert_eq!(exec(&agent, GREEDY, None).await.stdout.trim(), "200000000");
    assert_eq!(exec(&agent, "echo fits", memory(64)).await.stdout, "fits\n");
    assert_eq!(exec(&agent, "ulimit -v", memory(64)).await.stdout, "65536\n");
    assert!(alive(other));
}

#[tokio::test]
async fn computing_and_files_have_their_bounds() {
    let agent = Agent::start();
    let cpu = Some(Limits { cpu_seconds: Some(1), ..Limits::default() });
    let output = exec(&agent, "while :; do :; done", cpu).await;
    assert_eq!(output.exit_code, -(nix::sys::signal::Signal::SIGXCPU as i32), "{output:?}");
    let file = Some(Limits { file_mib: Some(1), ..Limits::default() });
    let output = exec(&agent, "head -c 5000000 /dev/zero > large; stat -c %s large", file).await;
    assert_eq!(output.stdout, "1048576\n", "{output:?}");
}

#[tokio::test]
async fn processes_are_bounded_or_the_bound_is_refused() {
    let agent = Agent::start();
    let body = json!({"command": "(true; true)", "limits": {"processes": 1}});
    let (status, answer) = agent.call("POST", "/api/exec", Some(body)).await;
    if nix::unistd::geteuid().is_root() {
        assert_eq!(status, 422);
        assert!(answer.to_string().contains("runs as root"), "{answer}");
    } else {
        assert_eq!(status, 200);
        assert_ne!(answer["exit_code"], 0, "{answer}");
    }
}

#[tokio::test]
async fn every_way_to_run_something_keeps_them() {
    let agent = Agent::start();
    let client = agent.client();
    let request = ExecRequest { limits: memory(48), ..ExecRequest::new("ulimit -v") };
    let events: Vec<_> = client.exec_stream(&request).await.unwrap().collect().await;
    assert_eq!(events[0], Ok(ExecEvent::Stdout("49152".to_owned())));
    let request = BackgroundRequest { limits: memory(48), ..BackgroundRequest::new("ulimit -v") };
    let pid = client.exec_background(&request).await.unwrap().pid;
    eventually("it has ended", || !alive(pid)).await;
    assert_eq!(client.process_logs(pid, None).await.unwrap(), "49152\n");
    client.create_session(&SessionRequest { limits: memory(48), ..SessionRequest::new("s") }).await.unwrap();
    let output = client.session_exec("s", &SessionExec::new("ulimit -v; sh -c 'ulimit -v'")).await.unwrap();
    assert_eq!(output.output, "49152\n49152\n");
}

#[tokio::test]
async fn what_is_no_limit_is_refused_by_name() {
    let agent = Agent::start();
    for (limits, field) in [
        (json!({"memory_mib": 1}), "limits.memory_mib"),
        (json!({"cpu_seconds": 86_401}), "between 1 and 86400"),
        (json!({"file_mib": -1}), "limits.file_mib"),
        (json!({"processes": "many"}), "limits.processes"),
        (json!({"memory_mb": 64}), "memory_mb"),
    ] {
        for (path, mut body) in [
            ("/api/exec", json!({"command": "true"})),
            ("/api/exec/stream", json!({"command": "true"})),
            ("/api/exec/background", json!({"command": "true"})),
            ("/api/sessions", json!({"session_id": "s"})),
        ] {
            body["limits"] = limits.clone();
            let (status, answer) = agent.call("POST", path, Some(body)).await;
            assert_eq!(status, 422, "{path} {limits}: {answer}");
            let told = answer.to_string().replace("\",\"", ".");
            assert!(told.contains(field), "{path} {limits}: {told}");
        }
    }
    let (_, all) = agent.call("GET", "/api/sessions", None).await;
    assert_eq!(all, json!([]));
}
