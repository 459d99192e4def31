//! `POST /api/exec/stream`.

use super::{Agent, TOKEN, alive, eventually, pid_in};
use futures::{StreamExt, TryStreamExt};
use sandbar::agent::client::{AgentError, ExecEvent};
use sandbar::agent::wire::ExecRequest;
use serde_json::{Value, json};
use std::time::Duration;

async fn events(agent: &Agent, request: ExecRequest) -> Vec<ExecEvent> {
    agent.client().exec_stream(&request).await.unwrap().try_collect().await.unwrap()
}

fn out(line: &str) -> ExecEvent {
    ExecEvent::Stdout(line.to_owned())
}

#[tokio::test]
async fn the_frames_are_exactly_those_of_the_wire_api() {
    let agent = Agent::start();
    let request = reqwest::Client::new().post(format!("{}/api/exec/stream", agent.base)).bearer_auth(TOKEN);
    let body = json!({"command": "printf 'one\\n\u{2028}'; sleep 0.2; echo err >&2; exit 4"});
    let response = request.json(&body).send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/event-stream");
    assert!(header("cache-control").contains("no-cache"));
    assert_eq!(header("x-accel-buffering"), "no");
    let text = response.text().await.unwrap();
    assert!(text.is_ascii(), "{text}");
    let frames: Vec<&str> = text.strip_suffix("\n\n").unwrap().split("\n\n").collect();
    let parsed: Vec<(&str, Value)> = frames
        .iter()
        .map(|frame| {
            let (event, data) = frame.split_once('\n').unwrap();
            (
                event.strip_prefix("event: ").unwrap(),
                serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap(),
            )
        })
        .collect();
    let (exit, lines) = parsed.split_last().unwrap();
    let mut lines: Vec<_> = lines.iter().map(|(name, data)| (*name, data["line"].as_str().unwrap())).collect();
    lines.sort_unstable();
    assert_eq!(lines, [("stderr", "err"), ("stdout", "one"), ("stdout", "\u{2028}")]);
    assert_eq!((exit.0, &exit.1["code"]), ("exit", &json!(4)));
    assert!(exit.1["duration_ms"].as_u64().unwrap() >= 200);
    assert!(parsed.iter().all(|(_, data)| data["timestamp"].as_f64().unwrap() > 1.7e9));
}

#[tokio::test]
async fn lines_come_while_the_command_runs_and_the_exit_comes_last() {
    let agent = Agent::start();
    let request = ExecRequest::new("echo first; while [ ! -e go ]; do sleep 0.05; done; printf last");
    let mut stream = agent.client().exec_stream(&request).await.unwrap();
    assert_eq!(stream.next().await, Some(Ok(out("first"))));
    std::fs::write(agent.workspace().join("go"), "").unwrap();
    assert_eq!(stream.next().await, Some(Ok(out("last"))));
    assert!(matches!(stream.next().await, Some(Ok(ExecEvent::Exit { code: 0, .. }))));
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn many_lines_arrive_whole_and_in_order() {
    let agent = Agent::start();
    let request = ExecRequest::new("seq 1 100000");
    let mut stream = agent.client().exec_stream(&request).await.unwrap();
    let mut expected = 1;
    while let Some(ExecEvent::Stdout(line)) = stream.try_next().await.unwrap() {
        assert_eq!(line, expected.to_string());
        expected += 1;
    }
    assert_eq!(expected, 100_001);
}

#[tokio::test]
async fn a_line_that_never_ends_comes_in_pieces() {
    let agent = Agent::start();
    let all = events(&agent, ExecRequest::new("head -c 300000 /dev/zero | tr '\\0' y")).await;
    let (exit, lines) = all.split_last().unwrap();
    assert!(matches!(exit, ExecEvent::Exit { code: 0, .. }));
    let lengths = lines.iter().map(|event| match event {
        ExecEvent::Stdout(line) => line.len(),
        other => panic!("{other:?}"),
    });
    assert!(lines.len() > 4);
    assert_eq!(lengths.sum::<usize>(), 300_000);
}

#[tokio::test]
async fn a_time_out_ends_the_stream_with_an_error_and_the_command_with_it() {
    let agent = Agent::start();
    let request = ExecRequest::new("sleep 300 & echo $! > child; while :; do echo busy; sleep 0.1; done").timeout(1);
    let all = events(&agent, request).await;
    assert!(matches!(all.last(), Some(ExecEvent::Error { code, .. }) if code == "TIMEOUT"), "{:?}", all.last());
    assert!(all.contains(&out("busy")));
    let pid = pid_in(&agent, "child").await;
    eventually("the command is gone", || !alive(pid)).await;
}

#[tokio::test]
async fn a_client_that_goes_away_takes_a_silent_command_with_it() {
    let agent = Agent::start();
    let stream = agent.client().exec_stream(&ExecRequest::new("sleep 300 & echo $! > child; wait")).await.unwrap();
    let pid = pid_in(&agent, "child").await;
    assert!(alive(pid));
    drop(stream);
    eventually("the command is gone", || !alive(pid)).await;
}

#[tokio::test]
async fn silence_is_filled_with_comments() {
    let agent = Agent::start_with(|command| {
        command.env("SANDBOX_API_TOKEN", TOKEN).args(["--heartbeat-ms", "50"]);
    });
    let request = reqwest::Client::new().post(format!("{}/api/exec/stream", agent.base)).bearer_auth(TOKEN);
    let text = request.json(&json!({"command": "sleep 1; echo end"})).send().await.unwrap().text().await.unwrap();
    assert!(text.matches(": ping\n\n").count() >= 5, "{text}");
    let all = events(&agent, ExecRequest::new("sleep 0.5; echo end")).await;
    assert_eq!((all.len(), &all[0]), (2, &out("end")));
}

#[tokio::test]
async fn a_background_child_that_keeps_the_pipe_does_not_hold_the_stream() {
    let agent = Agent::start();
    let request = ExecRequest::new("(while :; do echo noise; sleep 0.05; done) & echo $! > child; exit 5").timeout(60);
    let all = tokio::time::timeout(Duration::from_secs(20), events(&agent, request)).await.unwrap();
    assert!(matches!(all.last(), Some(ExecEvent::Exit { code: 5, .. })));
    assert!(alive(pid_in(&agent, "child").await));
}

#[tokio::test]
async fn a_stream_that_breaks_is_an_error_not_an_end() {
    let mut agent = Agent::start();
    let request = ExecRequest::new("trap '' TERM; echo up; while :; do sleep 1; done");
    let mut stream = agent.client().exec_stream(&request).await.unwrap();
    assert_eq!(stream.next().await, Some(Ok(out("up"))));
    let (code, _) = agent.terminate();
    assert_eq!(code, Some(0));
    let last = stream.next().await;
    let honest = matches!(last, Some(Ok(ExecEvent::Exit { code: -9, .. }) | Err(AgentError::Unreachable { .. })));
    assert!(honest, "{last:?}");
}

#[tokio::test]
async fn a_command_that_cannot_start_is_an_error_before_the_stream() {
    let agent = Agent::start();
    let error = agent.client().exec_stream(&ExecRequest::new("true").cwd("/workspace/none")).await.err().unwrap();
    assert!(matches!(error, AgentError::Invalid { .. }), "{error:?}");
}
