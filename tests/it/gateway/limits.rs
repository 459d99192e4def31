//! Launches per hour.

use reqwest::Method;
use sandbar::gateway::{Limits, Settings};
use serde_json::json;

use super::played::told;
use super::{Stand, json_of};
use crate::wait::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn the_hours_launches_are_counted_whoever_counts_them() {
    let stand = Stand::start("gateway-limits").await;
    let limits = Limits { in_all: Some(3), per_caller: Some(2) };
    let settings = || Settings { limits, ..Settings::default() };
    let first = stand.gateway(settings()).await;
    let launch = async |gateway: &str, token: &str, key: &str| {
        let request = stand.ask(Method::POST, &format!("{gateway}/api/launch/warm")).bearer_auth(token);
        let request = request.header("Idempotency-Key", key).json(&json!({"game": "snake"}));
        let answer = request.send().await.expect("an answer");
        let after = answer.headers().get("retry-after").map(|value| value.to_str().expect("text").parse::<u64>());
        let (status, body) = json_of(answer).await;
        (status.as_u16(), after.map(|after| after.expect("seconds")), body)
    };
    let bob = stand.somebody("bob", Some("sandbar-user")).await;
    let run = launch(&first.url, &stand.token, "a").await.2["run_id"].as_str().expect("an id").to_owned();
    assert_eq!(launch(&first.url, &stand.token, "b").await.0, 202);
    // One that has ended was launched all the same.
    stand.status(&run, told(5)).await;
    let (status, after, body) = launch(&first.url, &stand.token, "c").await;
    assert_eq!(status, 429, "{body}");
    assert!(after.is_some_and(|after| (3400..=3601).contains(&after)), "{after:?}");
    assert!(body["detail"].as_str().is_some_and(|text| text.starts_with("you have launched 2 runs")), "{body}");
    first.stop().await;

    let second = stand.gateway(settings()).await;
    assert_eq!(launch(&second.url, &stand.token, "c").await.0, 429, "a restart forgets nothing");
    assert_eq!(launch(&second.url, &stand.token, "b").await.0, 202, "the same launch is no further one");
    eventually("bob may", async || match launch(&second.url, &bob, "a").await {
        (202, ..) => Ok(()),
        (_, _, body) => Err(body.to_string()),
    })
    .await;
    let (status, _, body) = launch(&second.url, &bob, "b").await;
    assert_eq!(status, 429);
    assert!(
        body["detail"].as_str().is_some_and(|text| text.starts_with("all callers together have launched 3")),
        "{body}"
    );
    assert_eq!(stand.requests().await.len(), 3);
}
