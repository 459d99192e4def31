//! Rate limits on the wire.

use super::support::{Client, Cloud, instant, options, until};
use sandbar::cloudsim::Options;
use sandbar::cloudsim::admin::{AccountSettings, Limits};

fn header(answer: &super::support::Answer, name: &str) -> Option<i64> {
    answer.headers.get(name).map(|value| value.to_str().unwrap().parse().unwrap())
}

fn limited(per_minute: u32, per_hour: u32) -> AccountSettings {
    AccountSettings { limits: Limits { enabled: true, per_minute, per_hour }, ..instant() }
}

#[tokio::test]
async fn the_minute_answers_429_with_retry_after_and_lets_calls_in_again() {
    let cloud = Cloud::with(Options { speed: 12.0, ..options(limited(3, 5000)) }).await;
    for left in [4999, 4998, 4997] {
        let answer = cloud.client.get("/v2/apps").await;
        assert_eq!((answer.status, header(&answer, "ratelimit-remaining")), (200, Some(left)));
        assert_eq!(header(&answer, "ratelimit-limit"), Some(5000));
    }
    let refused = cloud.client.get("/v2/apps").await;
    assert_eq!((refused.status, refused.body["id"].as_str()), (429, Some("too_many_requests")));
    let wait = header(&refused, "retry-after").expect("retry-after");
    assert!((1..=5).contains(&wait), "a minute takes five seconds at this speed: {wait}");
    until("the minute to pass", async || (cloud.client.get("/v2/apps").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn the_hour_answers_429_without_retry_after() {
    let cloud = Cloud::start(limited(250, 2)).await;
    let first = cloud.client.get("/v2/apps").await;
    cloud.client.get("/v2/apps").await;
    let refused = cloud.client.post("/v2/apps", &super::support::spec("web-1")).await;
    assert_eq!((refused.status, header(&refused, "retry-after")), (429, None));
    assert_eq!(header(&refused, "ratelimit-remaining"), Some(0));
    assert_eq!(header(&refused, "ratelimit-reset"), header(&first, "ratelimit-reset"), "when the oldest leaves");
    assert!(cloud.ledger().await.apps.is_empty(), "a refused create makes nothing");
}

#[tokio::test]
async fn each_token_has_its_own_limit() {
    let mut settings = limited(1, 5000);
    settings.tokens.push("dop_v1_second".into());
    let cloud = Cloud::start(settings).await;
    let second = Client::new(cloud.running.url(), "dop_v1_second");
    assert_eq!(cloud.client.get("/v2/apps").await.status, 200);
    assert_eq!(cloud.client.get("/v2/apps").await.status, 429);
    assert_eq!(second.get("/v2/apps").await.status, 200);
    let peaks = cloud.admin.summary().await.unwrap().peaks;
    assert_eq!((peaks["default"].minute, peaks["default"].hour), (1, 1));
}
