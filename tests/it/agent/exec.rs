//! `POST /api/exec`.

use super::{Agent, TOKEN, alive, eventually, pid_in};
use sandbar::agent::client::AgentError;
use sandbar::agent::server::MAX_OUTPUT;
use sandbar::agent::wire::ExecRequest;
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_command_gives_its_outputs_and_exit_code() {
    let agent = Agent::start();
    let body = json!({"command": "echo out; echo err >&2; exit 3", "env": null});
    let (status, answer) = agent.call("POST", "/api/exec", Some(body)).await;
    assert_eq!((status, answer), (200, json!({"stdout": "out\n", "stderr": "err\n", "exit_code": 3})));
}

#[tokio::test]
async fn a_command_ended_by_a_signal_has_the_negative_signal_as_its_code() {
    let agent = Agent::start();
    let output = agent.client().exec(&ExecRequest::new("kill -9 $$")).await.unwrap();
    assert_eq!(output.exit_code, -9);
}

#[tokio::test]
async fn a_command_starts_in_the_sandbox_folder_it_names_with_the_environment_it_names() {
    let agent = Agent::start();
    let client = agent.client();
    let workspace = agent.workspace().canonicalize().unwrap();
    let client = &client;
    let pwd = |request: ExecRequest| async move { client.exec(&request).await.map(|output| output.stdout) };
    assert_eq!(pwd(ExecRequest::new("pwd")).await.unwrap(), format!("{}\n", workspace.display()));
    std::fs::create_dir(workspace.join("deep")).unwrap();
    let deep = format!("{}/deep\n", workspace.display());
    assert_eq!(pwd(ExecRequest::new("pwd").cwd("/workspace/deep")).await.unwrap(), deep);
    assert_eq!(pwd(ExecRequest::new("pwd").cwd("deep")).await.unwrap(), deep);
    assert_eq!(pwd(ExecRequest::new("pwd").cwd("/")).await.unwrap(), "/\n");
    assert_eq!(pwd(ExecRequest::new("printf %s \"$GREETING\"").env("GREETING", "ahoi ä")).await.unwrap(), "ahoi ä");
    let home = format!("{}\n", agent.root().canonicalize().unwrap().join("home/sandbox").display());
    assert_eq!(pwd(ExecRequest::new("cd && pwd")).await.unwrap(), home);
    let error = pwd(ExecRequest::new("pwd").cwd("/workspace/none")).await.unwrap_err();
    assert!(matches!(&error, AgentError::Invalid { detail } if detail.contains("/workspace/none")), "{error:?}");
}

#[tokio::test]
async fn a_time_out_is_408_and_ends_grandchildren_that_ignore_sigterm() {
    let agent = Agent::start();
    let command = "(trap '' TERM; echo $(exec sh -c 'echo $PPID') > stubborn; while :; do sleep 1; done) & \
                   sleep 300 & echo $! > plain; wait";
    let body = json!({"command": command, "timeout": 1});
    let begin = Instant::now();
    let (status, answer) = agent.call("POST", "/api/exec", Some(body)).await;
    assert_eq!(status, 408, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("timed out after 1 s"));
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    for file in ["stubborn", "plain"] {
        let pid = pid_in(&agent, file).await;
        // A zombie would still be listed there.
        let listed = std::path::PathBuf::from(format!("/proc/{pid}"));
        eventually("the grandchild has been ended and waited for", || !listed.exists()).await;
    }
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_command_with_it() {
    let agent = Agent::start();
    let request = reqwest::Client::new().post(format!("{}/api/exec", agent.base)).bearer_auth(TOKEN);
    let sending = request.json(&json!({"command": "sleep 300 & echo $! > child; wait"})).send();
    let pid = tokio::select! {
        _ = sending => panic!("the command must not end"),
        pid = pid_in(&agent, "child") => pid,
    };
    eventually("the command is gone", || !alive(pid)).await;
}

#[tokio::test]
async fn a_process_left_in_the_background_neither_delays_the_answer_nor_dies() {
    let agent = Agent::start();
    let command = "(sleep 2; echo still writing; echo $? > wrote; sleep 300) & echo $! > left; echo done";
    let begin = Instant::now();
    let output = agent.client().exec(&ExecRequest::new(command).timeout(60)).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(200), "{:?}", begin.elapsed());
    assert_eq!((output.stdout.as_str(), output.exit_code), ("done\n", 0));
    eventually("it could write", || agent.workspace().join("wrote").exists()).await;
    assert!(alive(pid_in(&agent, "left").await));
}

#[tokio::test]
async fn output_beyond_the_limit_is_cut_and_says_so() {
    let agent = Agent::start();
    let more = 1_000_000;
    let command = format!("head -c {} /dev/zero | tr '\\0' x; echo end >&2", MAX_OUTPUT + more);
    let output = agent.client().exec(&ExecRequest::new(command)).await.unwrap();
    assert_eq!((output.exit_code, output.stderr.as_str()), (0, "end\n"));
    let (kept, mark) = output.stdout.split_at(MAX_OUTPUT);
    assert!(kept.bytes().all(|byte| byte == b'x'));
    assert_eq!(mark, format!("\n[stdout truncated: {more} more bytes were written]\n"));
}

#[tokio::test]
async fn output_that_is_not_text_is_still_answered() {
    let agent = Agent::start();
    let output = agent.client().exec(&ExecRequest::new("printf 'a\\377b'")).await.unwrap();
    assert_eq!(output.stdout, "a\u{FFFD}b");
}

#[tokio::test]
async fn fifty_commands_at_once_do_not_mix() {
    let agent = Agent::start();
    let client = agent.client();
    let runs = (0..50).map(|number| {
        let client = client.clone();
        async move {
            let command = format!("for i in 1 2 3 4 5; do echo {number}; done; exit {number}");
            (number, client.exec(&ExecRequest::new(command)).await.unwrap())
        }
    });
    for (number, output) in futures::future::join_all(runs).await {
        assert_eq!((output.stdout, output.exit_code), (format!("{number}\n").repeat(5), number));
    }
}

#[tokio::test]
async fn a_command_longer_than_the_kernel_takes_is_refused() {
    let agent = Agent::start();
    let error = agent.client().exec(&ExecRequest::new(format!(": {}", "x".repeat(200_000)))).await.unwrap_err();
    assert!(matches!(error, AgentError::Invalid { .. }), "{error:?}");
}
