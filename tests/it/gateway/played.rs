//! Listening to a launch whose operator the test plays.

use reqwest::Method;
use sandbar::gateway::Settings;
use serde_json::{Value, json};

use super::Stand;
use super::sse::Stream;
use crate::wait::eventually;

const STORY: [&str; 5] = [
    "Acquiring sandbox from warm pool...",
    "Pool acquisition: 582ms (pool hit)",
    "Deploying snake from snapshot...",
    "Snake ready!: 1200ms \u{2028}\u{e9}",
    "Ended (Released): its sandbox is gone",
];

/// The status after so many entries of the story.
pub fn told(entries: usize) -> Value {
    let entry = |(at, message): (usize, &&str)| json!({"number": at + 1, "time": format!("2026-11-22T10:00:0{at}.000001Z"), "message": message});
    let timeline: Vec<Value> = STORY.iter().take(entries).enumerate().map(entry).collect();
    let mut status = json!({"timeline": timeline, "phase": "Pending", "reason": "Queued"});
    if entries == STORY.len() {
        status["phase"] = json!("Ended");
        status["reason"] = json!("Released");
        status["endedAt"] = json!("2026-11-22T10:00:09Z");
    }
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_hears_the_same_whenever_they_come() {
    let stand = Stand::start("gateway-events").await;
    let gateway = stand.gateway(Settings::default()).await;
    let run = stand.launch(&gateway.url).await;
    let url = format!("{}/api/stream/{run}", gateway.url);
    let listen = || Stream::open(stand.ask(Method::GET, &url).bearer_auth(&stand.token));
    let mut before = listen().await;
    stand.status(&run, told(2)).await;
    let first = before.take(2).await;
    let mut during = listen().await;
    stand.status(&run, told(4)).await;
    stand.status(&run, told(5)).await;
    let after = listen().await.rest().await;

    assert_eq!(after.len(), STORY.len() + 1);
    for (at, (frame, message)) in after.iter().zip(STORY).enumerate() {
        assert_eq!(
            (frame.id.clone(), frame.event.clone(), frame.message()),
            (Some((at + 1).to_string()), None, message)
        );
        assert_eq!((&frame.data["run_id"], &frame.data["number"]), (&json!(run), &json!(at + 1)));
    }
    let end = after.last().expect("an end");
    assert!(end.is_end() && end.data["status"] == "ended" && end.data["reason"] == "Released", "{end:?}");
    assert_eq!(during.rest().await, after);
    assert_eq!([first, before.rest().await].concat(), after);

    // Who comes back gets what is missing, and who wants a list gets the same.
    let resumed = stand.ask(Method::GET, &url).bearer_auth(&stand.token).header("Last-Event-ID", "3");
    assert_eq!(Stream::open(resumed).await.rest().await, after[3..]);
    let polled = stand.ask(Method::GET, &format!("{}/v1/runs/{run}/events?after=2", gateway.url));
    let polled = polled.bearer_auth(&stand.token).header("Accept", "application/json").send().await.expect("an answer");
    let polled: Value = polled.json().await.expect("JSON");
    let events: Vec<Value> = after[2..5].iter().map(|frame| frame.data.clone()).collect();
    assert_eq!(polled, json!({"run_id": run, "status": "ended", "ended": true, "events": events}));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_until_ready_ends_with_the_launch_and_a_deleted_run_ends_all() {
    let stand = Stand::start("gateway-until").await;
    let gateway = stand.gateway(Settings::default()).await;
    let run = stand.launch(&gateway.url).await;
    let url = format!("{}/api/stream/{run}", gateway.url);
    let listen = |query: &str| Stream::open(stand.ask(Method::GET, &format!("{url}{query}")).bearer_auth(&stand.token));
    let (mut launch, mut whole) = (listen("?until=ready").await, listen("").await);
    let app = json!({"type": "AppReady", "status": "True", "reason": "Healthy", "message": "the app answers",
        "lastTransitionTime": "2026-11-22T10:00:04Z"});
    let mut status = told(4);
    status["phase"] = json!("Running");
    status["boundTo"] = json!({"name": "python-0", "uid": "u"});
    status["conditions"] = json!([app]);
    stand.status(&run, status).await;
    let frames = launch.rest().await;
    assert_eq!(frames.len(), 5, "{frames:#?}");
    assert_eq!(frames[4].data["status"], "running");
    assert_eq!(whole.take(4).await, frames[..4]);
    stand.operator.sandboxes.delete(&run, &Default::default()).await.expect("deleted");
    let rest = whole.rest().await;
    assert!(rest.len() == 1 && rest[0].is_end() && rest[0].data["status"] == "ended", "{rest:?}");
    let (status, body) = stand.get(&format!("{}/api/status/{run}", gateway.url)).await;
    assert_eq!(
        (status.as_u16(), body["detail"].as_str().is_some_and(|text| text.contains(&run))),
        (404, true),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_runs_show_their_place_and_all_show_their_log() {
    let stand = Stand::start("gateway-status").await;
    let gateway = stand.gateway(Settings::default()).await;
    let (first, second) = (stand.launch(&gateway.url).await, stand.launch(&gateway.url).await);
    stand.status(&first, told(2)).await;
    let place =
        async |run: &str| stand.get(&format!("{}/api/status/{run}", gateway.url)).await.1["queue_position"].clone();
    let places = eventually("both are in the queue", async || {
        let mut places = [place(&first).await, place(&second).await];
        places.sort_by_key(|place| place.as_u64());
        if places == [json!(1), json!(2)] { Ok(places) } else { Err(format!("{places:?}")) }
    });
    places.await;
    let shown = stand.get(&format!("{}/api/status/{first}", gateway.url)).await.1;
    assert_eq!(
        (&shown["status"], &shown["game"], &shown["pool"]),
        (&json!("queued"), &json!("snake"), &json!("python"))
    );
    assert_eq!(shown["stream_url"], format!("/api/stream/{first}"));
    assert!(shown["ingress_url"].is_null() && shown["created_at"].is_string(), "{shown}");

    let mut status = told(4);
    status["timings"] = json!({"acquireMs": 582, "totalMs": 1200});
    stand.status(&first, status).await;
    let logs = eventually("two entries in the log", async || {
        let logs = stand.get(&format!("{}/api/orchestrator/logs?limit=2", gateway.url)).await.1;
        let last = logs["logs"][1]["message"].as_str().unwrap_or_default().to_owned();
        if last.starts_with("Snake ready!") { Ok(logs) } else { Err(logs.to_string()) }
    })
    .await;
    assert_eq!((logs["logs"].as_array().map(Vec::len), &logs["logs"][0]["run_id"]), (Some(2), &json!(first)));
    let shown = stand.get(&format!("{}/v1/runs/{first}", gateway.url)).await.1;
    assert_eq!(shown["timings"]["acquire_ms"], 582);
    let runs = stand.get(&format!("{}/v1/runs?limit=1", gateway.url)).await.1;
    assert_eq!((runs["total"].as_u64(), runs["runs"].as_array().map(Vec::len)), (Some(2), Some(1)));
    let apps = stand.get(&format!("{}/v1/apps", gateway.url)).await.1;
    assert_eq!(apps["apps"][1], json!({"name": "snake", "title": "snake", "pools": ["node", "python"], "warm": 0}));
    let pools = stand.get(&format!("{}/api/pool/status", gateway.url)).await.1;
    assert_eq!((&pools["pools"]["python"]["target"], &pools["pools"]["node"]["ready"]), (&json!(1), &json!(0)));
}
