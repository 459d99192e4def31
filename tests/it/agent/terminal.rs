//! `GET /api/terminal`: a program on a terminal, over a WebSocket.

use super::{Agent, TOKEN, alive, eventually, pid_in};
use futures::{SinkExt, StreamExt};
use sandbar::agent::client::{AgentClient, AgentError, Shown, TerminalInput, TerminalOutput};
use sandbar::agent::wire::TerminalRequest;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Longest wait for anything a terminal shows.
const PATIENCE: Duration = Duration::from_secs(20);

/// A terminal, and all that it has shown.
struct Screen {
    input: TerminalInput,
    output: TerminalOutput,
    shown: String,
}

impl Screen {
    async fn open(agent: &Agent, request: &TerminalRequest) -> Self {
        let (input, output) = agent.client().terminal(request).await.unwrap();
        Self { input, output, shown: String::new() }
    }

    async fn running(agent: &Agent, command: &str) -> Self {
        Self::open(agent, &running(command)).await
    }

    async fn types(&mut self, text: &str) {
        self.input.send(text.to_owned()).await.unwrap();
    }

    /// Waits until this has been shown, and forgets everything up to it.
    async fn shows(&mut self, wanted: &str) {
        while !self.shown.contains(wanted) {
            let next = timeout(PATIENCE, self.output.next()).await;
            match next.unwrap_or_else(|_| panic!("no {wanted:?} in {:?}", self.shown)).unwrap() {
                Shown::Output(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Shown::Exit(code) => panic!("ended with {code}, no {wanted:?} in {:?}", self.shown),
            }
        }
        let (_, rest) = self.shown.split_once(wanted).unwrap();
        self.shown = rest.to_owned();
    }

    /// The exit code, and what was shown before it.
    async fn ends(mut self) -> (i32, String) {
        loop {
            match timeout(PATIENCE, self.output.next()).await.expect("an end").unwrap() {
                Shown::Output(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Shown::Exit(code) => return (code, self.shown),
            }
        }
    }
}

fn running(command: &str) -> TerminalRequest {
    TerminalRequest { command: Some(command.to_owned()), ..TerminalRequest::default() }
}

#[tokio::test]
async fn a_shell_echoes_runs_and_ends_with_its_code() {
    let agent = Agent::start();
    let mut screen = Screen::open(&agent, &TerminalRequest::default()).await;
    screen.types("echo $((6 * 7))-$TERM\n").await;
    screen.shows("echo $((6 * 7))-$TERM").await;
    screen.shows("42-xterm-256color").await;
    screen.types("pwd; exit 3\n").await;
    let (code, shown) = screen.ends().await;
    assert_eq!(code, 3);
    assert!(shown.contains(agent.workspace().canonicalize().unwrap().to_str().unwrap()), "{shown}");
}

#[tokio::test]
async fn a_command_has_the_folder_size_and_kind_of_terminal_it_asked_for() {
    let agent = Agent::start();
    let asked = TerminalRequest {
        cols: 132,
        rows: 43,
        command: Some("stty size; pwd; echo $TERM; test -t 0 && test -t 1 && test -t 2; (exit $?)".to_owned()),
        cwd: "/tmp".to_owned(),
        term: "dumb".to_owned(),
    };
    let (code, shown) = Screen::open(&agent, &asked).await.ends().await;
    let tmp = agent.root().join("tmp").canonicalize().unwrap();
    assert_eq!((code, shown), (0, format!("43 132\r\n{}\r\ndumb\r\n", tmp.display())));
    assert_eq!(Screen::running(&agent, "kill -9 $$").await.ends().await.0, -9);
}

#[tokio::test]
async fn a_new_size_reaches_the_program() {
    let agent = Agent::start();
    let command = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done";
    let mut screen = Screen::running(&agent, command).await;
    screen.shows("ready").await;
    screen.input.resize(100, 50).await.unwrap();
    screen.shows("50 100").await;
    screen.input.resize(7, 5).await.unwrap();
    screen.shows("5 7").await;
}

#[tokio::test]
async fn control_c_reaches_the_program_and_the_shell_goes_on() {
    let agent = Agent::start();
    let mut screen = Screen::open(&agent, &TerminalRequest::default()).await;
    screen.types("sh -c 'echo be\"\"gun; exec sleep 300'\n").await;
    screen.shows("begun").await;
    screen.types("\u{3}").await;
    screen.types("echo af''ter $?\n").await;
    screen.shows("after 130").await;
    screen.types("exit\n").await;
    assert_eq!(screen.ends().await.0, 0);
}

#[tokio::test]
async fn large_output_and_every_byte_come_through() {
    let agent = Agent::start();
    let (code, shown) = Screen::running(&agent, "stty -opost; seq 100000; (exit 5)").await.ends().await;
    assert_eq!(code, 5);
    assert!(shown.lines().zip(1..).all(|(line, number)| line == format!("{number}")));
    assert_eq!(shown.lines().count(), 100_000);
    let mut screen = Screen::running(&agent, "stty raw -echo; echo ready; head -c 300000 | sha256sum").await;
    screen.shows("ready").await;
    let bytes: Vec<u8> = (0..300_000_u32).map(|number| (number % 256) as u8).collect();
    for part in bytes.chunks(10_000) {
        screen.input.send(part.to_vec()).await.unwrap();
    }
    use sha2::{Digest, Sha256};
    screen.shows(&data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes))).await;
}

#[tokio::test]
async fn a_client_that_goes_away_takes_everything_in_the_terminal_with_it() {
    let agent = Agent::start();
    let command = "sh -c 'trap \"\" HUP TERM; echo $$ > stubborn; while :; do sleep 1; done' & \
                   echo $$ > leader; sleep 300";
    let screen = Screen::running(&agent, command).await;
    let pids = [pid_in(&agent, "stubborn").await, pid_in(&agent, "leader").await];
    drop(screen);
    eventually("everything is gone", || pids.iter().all(|pid| !alive(*pid))).await;
}

#[tokio::test]
async fn a_process_in_the_background_does_not_delay_the_end() {
    let agent = Agent::start();
    let command = "sh -c 'trap \"\" HUP; echo $$ > left; exec sleep 300' & \
                   until [ -s left ]; do sleep 0.05; done; echo bye; exit 4";
    let (code, shown) = Screen::running(&agent, command).await.ends().await;
    assert_eq!((code, shown.as_str()), (4, "bye\r\n"));
    let left = pid_in(&agent, "left").await;
    eventually("it ends with its terminal", || !alive(left)).await;
}

#[tokio::test]
async fn with_the_agent_every_terminal_ends() {
    let mut agent = Agent::start();
    let command = "trap '' HUP TERM INT; echo $$ > stubborn; while :; do sleep 1; done";
    let _screen = Screen::running(&agent, command).await;
    let stubborn = pid_in(&agent, "stubborn").await;
    let (code, took) = agent.terminate();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(3) && !alive(stubborn), "{took:?}");
}

#[tokio::test]
async fn the_token_is_wanted_before_anything_starts() {
    let agent = Agent::start();
    let request = running("touch started");
    for (token, unauthorized) in [(None, true), (Some(""), true), (Some("another"), false)] {
        let client = AgentClient::new(&agent.base, token).unwrap();
        let error = client.terminal(&request).await.unwrap_err();
        assert_eq!(matches!(error, AgentError::Unauthorized { .. }), unauthorized, "{error:?}");
        assert_eq!(matches!(error, AgentError::Forbidden { .. }), !unauthorized, "{error:?}");
    }
    assert!(!agent.workspace().join("started").exists());
    let look = "env; tr '\\0' '\\n' < /proc/$PPID/environ; tr '\\0' ' ' < /proc/$PPID/cmdline; echo seen";
    let (_, shown) = Screen::running(&agent, look).await.ends().await;
    assert!(shown.contains("seen") && !shown.contains(TOKEN), "{shown}");
}

#[tokio::test]
async fn what_does_not_fit_is_said_before_the_upgrade() {
    let agent = Agent::start();
    for (change, field) in [
        (json!({"cols": 0}), "query.cols: 0 is not between 1 and 1000"),
        (json!({"rows": 70_000}), "query.rows: 70000 is not between"),
        (json!({"command": " "}), "query.command: is empty"),
        (json!({"command": "a\u{0}b"}), "NUL"),
        (json!({"term": "x y"}), "query.term: \"x y\" names no terminal"),
        (json!({"cwd": "/workspace/none"}), "/workspace/none"),
    ] {
        let mut request = serde_json::to_value(TerminalRequest::default()).unwrap();
        request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let request: TerminalRequest = serde_json::from_value(request).unwrap();
        let error = agent.client().terminal(&request).await.unwrap_err();
        assert!(matches!(&error, AgentError::Invalid { detail } if detail.contains(field)), "{change}: {error:?}");
    }
    let (status, answer) = agent.call("GET", "/api/terminal", None).await;
    assert_eq!(status, 400);
    assert!(answer["detail"].as_str().unwrap().contains("is a WebSocket"), "{answer}");
}

#[tokio::test]
async fn the_wire_is_bytes_and_json_and_a_normal_close() {
    // Frequent heartbeats: they must not get in the way.
    let agent = Agent::start_with(|command| {
        command.env("SANDBOX_API_TOKEN", TOKEN).args(["--heartbeat-ms", "20"]);
    });
    let connect = async |query: &str| {
        let url = format!("{}/api/terminal?{query}", agent.base.replacen("http", "ws", 1));
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
        connect_async(request).await.unwrap().0
    };
    let mut socket = connect("cols=90&rows=20&command=read%20x%3B%20stty%20size%3B%20exit%206").await;
    socket.send(Message::text(r#"{"resize": {"cols": 91, "rows": 21}}"#)).await.unwrap();
    socket.send(Message::binary("go\n")).await.unwrap();
    let (mut bytes, mut texts, mut closed) = (Vec::new(), Vec::new(), None);
    while let Ok(Some(Ok(message))) = timeout(PATIENCE, socket.next()).await {
        match message {
            Message::Binary(part) => bytes.extend_from_slice(&part),
            Message::Text(text) => texts.push(serde_json::from_str::<Value>(&text).unwrap()),
            Message::Close(frame) => closed = frame.map(|frame| u16::from(frame.code)),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
    assert!(String::from_utf8_lossy(&bytes).ends_with("21 91\r\n"), "{bytes:?}");
    assert_eq!((texts, closed), (vec![json!({"exit": {"code": 6}})], Some(1000)));
    for nonsense in ["hello", r#"{"resize": {"cols": 0, "rows": 1}}"#] {
        let mut socket = connect("command=sleep%20300").await;
        socket.send(Message::text(nonsense)).await.unwrap();
        let closed = loop {
            match timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap() {
                Message::Close(frame) => break frame.unwrap(),
                _ => continue,
            }
        };
        assert!(u16::from(closed.code) == 1003 && closed.reason.contains("resize"), "{closed:?}");
    }
}
