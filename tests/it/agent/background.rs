//! Background processes.

use super::{Agent, TOKEN, alive, eventually, pid_in};
use futures::TryStreamExt;
use sandbar::agent::client::{AgentClient, AgentError};
use sandbar::agent::wire::{BackgroundRequest, ExecRequest, ProcessStatus};
use serde_json::json;
use std::time::{Duration, Instant};

async fn stopped(client: &AgentClient, pid: i32) -> Option<i32> {
    let begin = Instant::now();
    loop {
        let info = client.process(pid).await.unwrap();
        if info.status == ProcessStatus::Stopped {
            return info.exit_code;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "still running: {info:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_process_outlives_its_request_and_is_listed_with_its_log() {
    let agent = Agent::start();
    let body = json!({"command": "echo up; echo down >&2; echo $NAME; while [ ! -e go ]; do sleep 0.05; done; exit 6",
                      "env": {"NAME": "n"}});
    let (status, started) = agent.call("POST", "/api/exec/background", Some(body.clone())).await;
    assert_eq!(status, 200, "{started}");
    let pid = i32::try_from(started["pid"].as_i64().unwrap()).unwrap();
    let log_file = started["log_file"].as_str().unwrap();
    assert!(log_file.starts_with("/tmp/") && alive(pid));
    let (_, list) = agent.call("GET", "/api/processes", None).await;
    let [one] = list.as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!((&one["pid"], &one["command"]), (&json!(pid), &body["command"]));
    assert_eq!((&one["status"], &one["log_file"]), (&json!("running"), &json!(log_file)));
    assert!(one["started_at"].as_f64().unwrap() > 1.7e9);
    assert_eq!(agent.call("GET", &format!("/api/processes/{pid}"), None).await, (200, one.clone()));

    std::fs::write(agent.workspace().join("go"), "").unwrap();
    let client = agent.client();
    assert_eq!(stopped(&client, pid).await, Some(6));
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "left as a zombie");
    assert_eq!(client.process_logs(pid, None).await.unwrap(), "up\ndown\nn\n");
    assert_eq!(client.process_logs(pid, Some(2)).await.unwrap(), "down\nn\n");
    assert_eq!(client.read_file(log_file).await.unwrap(), "up\ndown\nn\n");
}

#[tokio::test]
async fn a_log_is_followed_from_its_beginning_to_the_end_of_the_process() {
    let agent = Agent::start();
    let client = agent.client();
    let command = "echo one; while [ ! -e go ]; do sleep 0.05; done; echo two; printf three";
    let pid = client.exec_background(&BackgroundRequest::new(command)).await.unwrap().pid;
    let mut lines = client.follow_logs(pid, None).await.unwrap();
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("one"));
    std::fs::write(agent.workspace().join("go"), "").unwrap();
    let rest: Vec<String> = lines.try_collect().await.unwrap();
    assert_eq!(rest, ["two", "three"]);
}

#[tokio::test]
async fn log_frames_have_no_event_line() {
    let agent = Agent::start_with(|command| {
        command.env("SANDBOX_API_TOKEN", TOKEN).args(["--heartbeat-ms", "50"]);
    });
    let pid = agent.client().exec_background(&BackgroundRequest::new("sleep 0.5; echo x")).await.unwrap().pid;
    let request = reqwest::Client::new().get(format!("{}/api/processes/{pid}/logs/stream", agent.base));
    let text = request.bearer_auth(TOKEN).send().await.unwrap().text().await.unwrap();
    assert!(text.starts_with(": ping\n\n"), "{text}");
    let data = text.trim_start_matches(": ping\n\n").lines().next().unwrap();
    let line: serde_json::Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(line["line"], "x");
    assert!(!text.contains("event:"));
}

#[tokio::test]
async fn kill_reaches_the_whole_group_and_its_default_is_sigterm() {
    let agent = Agent::start();
    let client = agent.client();
    let command = "sleep 300 & echo $! > child; wait";
    let pid = client.exec_background(&BackgroundRequest::new(command)).await.unwrap().pid;
    let child = pid_in(&agent, "child").await;
    let kill = format!("/api/processes/{pid}/kill");
    assert_eq!(agent.call("POST", &kill, Some(json!({"signal": 0}))).await, (200, json!({"success": true})));
    assert!(alive(child));
    assert_eq!(agent.call("POST", &kill, None).await, (200, json!({"success": true})));
    assert_eq!(stopped(&client, pid).await, Some(-15));
    eventually("the grandchild is gone", || !alive(child)).await;
    let (status, answer) = agent.call("POST", &kill, Some(json!({"signal": 9}))).await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains(&pid.to_string()));
}

#[tokio::test]
async fn a_process_runs_as_long_as_any_of_its_group_and_can_be_killed_so_long() {
    let agent = Agent::start();
    let client = agent.client();
    let command = "(trap '' TERM; echo up > trapped; while :; do sleep 1; done) & while [ ! -e trapped ]; do :; done";
    let pid = client.exec_background(&BackgroundRequest::new(command)).await.unwrap().pid;
    eventually("the leader is gone", || !alive(pid)).await;
    client.kill(pid, 15).await.unwrap();
    assert_eq!(client.process(pid).await.unwrap().status, ProcessStatus::Running);
    client.kill(pid, 9).await.unwrap();
    assert_eq!(stopped(&client, pid).await, Some(0));
}

#[tokio::test]
async fn processes_that_were_not_started_here_are_404_and_wrong_signals_400() {
    let agent = Agent::start();
    for (method, path) in [("GET", ""), ("GET", "/logs"), ("GET", "/logs/stream"), ("POST", "/kill")]
        .map(|(m, p)| (m, format!("/api/processes/1{p}")))
    {
        assert_eq!(agent.call(method, &path, None).await.0, 404, "{method} {path}");
    }
    let client = agent.client();
    assert!(matches!(client.kill(1, 9).await, Err(AgentError::NotFound { .. })));
    let pid = client.exec_background(&BackgroundRequest::new("sleep 300")).await.unwrap().pid;
    for signal in [-1, 99] {
        assert!(matches!(client.kill(pid, signal).await, Err(AgentError::Invalid { .. })), "signal {signal}");
    }
    assert!(alive(pid));
}

#[tokio::test]
async fn a_removed_log_is_empty_and_a_process_that_cannot_start_leaves_none() {
    let agent = Agent::start();
    let client = agent.client();
    let started = client.exec_background(&BackgroundRequest::new("echo x")).await.unwrap();
    stopped(&client, started.pid).await;
    let temporary = agent.root().join("tmp");
    std::fs::remove_file(temporary.join(started.log_file.strip_prefix("/tmp/").unwrap())).unwrap();
    assert_eq!(client.process_logs(started.pid, None).await.unwrap(), "");
    let nowhere = BackgroundRequest { cwd: "/workspace/none".to_owned(), ..BackgroundRequest::new("true") };
    assert!(matches!(client.exec_background(&nowhere).await, Err(AgentError::Invalid { .. })));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    assert_eq!(client.processes().await.unwrap().len(), 1);
}

#[tokio::test]
async fn orphans_of_commands_are_waited_for() {
    let agent = Agent::start();
    // The middle shell ends at once, so its child becomes the agent's and exits as such.
    let command = "sh -c '(echo $(exec sh -c \"echo \\$PPID\") > orphan; sleep 0.3) &'";
    agent.client().exec(&ExecRequest::new(command)).await.unwrap();
    let pid = pid_in(&agent, "orphan").await;
    eventually("no zombie is left", || !std::path::Path::new(&format!("/proc/{pid}")).exists()).await;
}

#[tokio::test]
async fn a_log_may_be_followed_from_some_lines_before_its_end() {
    let agent = Agent::start();
    let client = agent.client();
    let command = "seq 1 1000; touch written; while [ ! -e go ]; do sleep 0.05; done; echo last";
    let pid = client.exec_background(&BackgroundRequest::new(command)).await.unwrap().pid;
    eventually("the lines are written", || agent.workspace().join("written").exists()).await;
    let mut two = client.follow_logs(pid, Some(2)).await.unwrap();
    assert_eq!(two.try_next().await.unwrap().as_deref(), Some("999"));
    let none = client.follow_logs(pid, Some(0)).await.unwrap();
    let many = client.follow_logs(pid, Some(5000)).await.unwrap();
    std::fs::write(agent.workspace().join("go"), "").unwrap();
    assert_eq!(two.try_collect::<Vec<_>>().await.unwrap(), ["1000", "last"]);
    assert_eq!(none.try_collect::<Vec<_>>().await.unwrap(), ["last"]);
    assert_eq!(many.try_collect::<Vec<_>>().await.unwrap().len(), 1001);
}
