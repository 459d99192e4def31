//! The ledger and the call log: what other tests rely on.

use super::support::{Cloud, instant, spec};
use sandbar::cloudsim::admin::{AccountSettings, Op, Seconds, State};

#[tokio::test]
async fn the_ledger_keeps_every_app_with_marks_times_and_cost() {
    let cloud = Cloud::start(instant()).await;
    let first = cloud.client.create("web-1").await;
    let second = cloud.client.create("web-2").await;
    cloud.client.delete(&first).await;
    cloud.client.create("web-3").await;
    let ledger = cloud.ledger().await;
    let names: Vec<&str> = ledger.apps.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["web-1", "web-2", "web-3"]);
    let gone = &ledger.apps[0];
    assert_eq!((gone.state, gone.marks["SANDBAR_UID"].as_str()), (State::Gone, "uid-of-web-1"));
    assert!(gone.ready.is_some() && gone.gone >= gone.ready && !gone.vanished);
    assert!((gone.usd - 60.0 * 0.000_004_960_317).abs() < 1e-9, "a minute at least: {}", gone.usd);
    assert_eq!((gone.region.as_str(), gone.size.as_str()), ("nyc", "apps-s-1vcpu-1gb"));
    let existing: Vec<&str> = ledger.existing().map(|entry| entry.name.as_str()).collect();
    assert_eq!(existing, ["web-2", "web-3"]);
    let totals = &ledger.accounts["default"];
    assert_eq!((totals.made, totals.existing, totals.peak), (3, 2, 2));
    assert!((totals.usd - ledger.apps.iter().map(|entry| entry.usd).sum::<f64>()).abs() < 1e-12);
    cloud.admin.vanish(&second).await.unwrap();
    assert!(cloud.ledger().await.apps[1].vanished);
}

#[tokio::test]
async fn the_states_of_an_app_are_told_apart() {
    let mut settings = instant();
    settings.timings.ready_seconds = Seconds::Fixed(3600.0);
    settings.timings.delete_seconds = Seconds::Fixed(3600.0);
    let cloud = Cloud::start(settings).await;
    let id = cloud.client.create("web-1").await;
    assert_eq!(cloud.ledger().await.apps[0].state, State::Creating);
    cloud.client.delete(&id).await;
    let ledger = cloud.ledger().await;
    assert_eq!((ledger.apps[0].state, ledger.apps[0].gone), (State::Deleting, None));
    assert_eq!(ledger.accounts["default"].existing, 1, "it costs until it is gone");
}

#[tokio::test]
async fn every_call_is_logged_and_counted_per_account() {
    let cloud = Cloud::start(instant()).await;
    cloud.admin.put_account("other", &AccountSettings::with_token("dop_v1_other")).await.unwrap();
    let id = cloud.client.create("web-1").await;
    cloud.client.post("/v2/apps", &spec("web-1")).await;
    cloud.client.get("/v2/apps?page=1&per_page=50").await;
    cloud.client.delete(&id).await;
    cloud.client.delete(&id).await;
    super::support::Client::new(cloud.running.url(), "unknown").get("/v2/apps").await;
    let calls = cloud.admin.calls("default", 0).await.unwrap();
    let seen: Vec<_> = calls.iter().map(|call| (call.op, call.status.unwrap(), call.effect)).collect();
    assert_eq!(
        seen,
        [
            (Op::Create, 200, true),
            (Op::Create, 409, false),
            (Op::List, 200, false),
            (Op::Delete, 200, true),
            (Op::Delete, 404, false),
        ]
    );
    assert_eq!((calls[2].method.as_str(), calls[2].path.as_str()), ("GET", "/v2/apps?page=1&per_page=50"));
    assert_eq!(cloud.admin.calls("default", calls[2].seq).await.unwrap().len(), 2);
    assert!(cloud.admin.calls("other", 0).await.unwrap().is_empty());
    let summary = cloud.admin.summary().await.unwrap();
    assert_eq!((summary.of("default", Op::Delete), summary.effects("default", Op::Delete)), (2, 1));
    assert_eq!(summary.total, 6, "unknown tokens count too");
    assert!(cloud.admin.ledger_of("other").await.unwrap().apps.is_empty());
}
