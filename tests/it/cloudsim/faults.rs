//! Every fault that can be switched on, seen from a client.

use super::support::{Client, Cloud, instant, spec, until};
use sandbar::cloudsim::admin::{AdminError, Call, Fault, Faults, Op, Rule, Seconds, Shape};
use serde_json::{Value, json};
use std::time::Duration;

async fn cloud_with(rules: impl Into<Vec<Rule>>) -> Cloud {
    let cloud = Cloud::start(instant()).await;
    cloud.admin.set_rules("default", rules).await.unwrap();
    cloud
}

async fn last_call(cloud: &Cloud) -> Call {
    cloud.admin.calls("default", 0).await.unwrap().pop().expect("a call")
}

#[tokio::test]
async fn a_lost_reply_to_create_leaves_one_app() {
    let shapes = [Shape::server_error(), Shape::Html { status: 504 }, Shape::Reset {}, Shape::Hang { seconds: 0.05 }];
    for shape in shapes {
        let rule = Rule::new(Fault::ErrorAfter(shape.clone())).on([Op::Create]).times(1);
        let cloud = cloud_with([rule]).await;
        let answer = cloud.client.raw("POST", "/v2/apps", Some(&spec("web-1"))).await;
        match &shape {
            Shape::Json { .. } => assert_eq!(answer.unwrap().json::<Value>().await.unwrap()["id"], "server_error"),
            Shape::Html { .. } => {
                let answer = answer.unwrap();
                assert_eq!(
                    (answer.status().as_u16(), &answer.headers()["content-type"]),
                    (504, &"text/html; charset=UTF-8".parse().unwrap())
                );
                assert!(answer.text().await.unwrap().starts_with("<!DOCTYPE html>"));
            }
            Shape::Reset {} | Shape::Hang { .. } => assert!(answer.is_err(), "{answer:?}"),
        }
        let call = last_call(&cloud).await;
        assert_eq!((call.effect, call.faults), (true, vec!["errorAfter".to_owned()]));
        assert_eq!(cloud.client.post("/v2/apps", &spec("web-1")).await.status, 409, "the name is taken: adopt it");
        assert_eq!(cloud.ledger().await.apps.len(), 1);
    }
}

#[tokio::test]
async fn an_error_before_the_effect_leaves_nothing() {
    for shape in [Shape::server_error(), Shape::Html { status: 502 }, Shape::Reset {}] {
        let cloud = cloud_with([Rule::new(Fault::ErrorBefore(shape)).on([Op::Create]).times(1)]).await;
        let _ = cloud.client.raw("POST", "/v2/apps", Some(&spec("web-1"))).await;
        assert!(!last_call(&cloud).await.effect);
        assert!(cloud.ledger().await.apps.is_empty());
        cloud.client.create("web-1").await;
    }
}

#[tokio::test]
async fn a_quota_is_an_error_of_ones_own_words() {
    let shape = Shape::Json { status: 422, id: "unprocessable_entity".into(), message: "limit reached".into() };
    let cloud = cloud_with([Rule::new(Fault::ErrorBefore(shape)).on([Op::Create])]).await;
    let answer = cloud.client.post("/v2/apps", &spec("web-1")).await;
    assert_eq!((answer.status, answer.body["message"].as_str()), (422, Some("limit reached")));
    let capped = Cloud::start(sandbar::cloudsim::admin::AccountSettings { max_apps: Some(1), ..instant() }).await;
    capped.client.create("web-1").await;
    assert_eq!(capped.client.post("/v2/apps", &spec("web-2")).await.status, 422);
}

#[tokio::test]
async fn a_lost_reply_to_delete_deletes_and_an_error_before_it_does_not() {
    let after = Rule::new(Fault::ErrorAfter(Shape::server_error())).on([Op::Delete]).times(1);
    let cloud = cloud_with([after]).await;
    let id = cloud.client.create("web-1").await;
    assert_eq!(cloud.client.delete(&id).await.status, 500);
    assert_eq!(cloud.client.delete(&id).await.status, 404);
    let before = Rule::new(Fault::ErrorBefore(Shape::server_error())).on([Op::Delete]).times(1);
    cloud.admin.set_rules("default", [before]).await.unwrap();
    let id = cloud.client.create("web-2").await;
    assert_eq!(cloud.client.delete(&id).await.status, 500);
    cloud.client.app(&id).await;
}

#[tokio::test]
async fn a_delete_may_answer_200_and_do_nothing() {
    let cloud = cloud_with([Rule::new(Fault::DeleteIgnored {}).times(1)]).await;
    let id = cloud.client.create("web-1").await;
    assert_eq!(cloud.client.delete(&id).await.status, 200);
    assert!(!last_call(&cloud).await.effect);
    cloud.client.app(&id).await;
    assert_eq!(cloud.client.delete(&id).await.status, 200);
    assert_eq!(cloud.client.get(&format!("/v2/apps/{id}")).await.status, 404);
}

#[tokio::test]
async fn a_rule_may_meet_every_third_call_only() {
    let third = Rule::new(Fault::ErrorBefore(Shape::server_error())).on([Op::Create]).every(3);
    let cloud = cloud_with([third]).await;
    let mut answers = Vec::new();
    for number in 0..7 {
        answers.push(cloud.client.post("/v2/apps", &spec(&format!("web-{number}"))).await.status);
    }
    assert_eq!(answers, [200, 200, 500, 200, 200, 500, 200]);
}

#[tokio::test]
async fn a_failed_first_deployment_is_only_in_the_deployments_list() {
    let fault =
        Fault::FailedDeployment { code: "DeployContainerHealthChecksFailed".into(), message: "no answer".into() };
    let cloud = cloud_with([Rule::new(fault).times(1)]).await;
    let id = cloud.client.create("web-1").await;
    let app = cloud.client.app(&id).await;
    for member in ["active_deployment", "in_progress_deployment", "pending_deployment", "live_url"] {
        assert!(app.get(member).is_none(), "{member}");
    }
    let all = cloud.client.get(&format!("/v2/apps/{id}/deployments")).await.body;
    assert_eq!(all["deployments"][0]["phase"], "ERROR");
    let reason = &all["deployments"][0]["progress"]["summary_steps"][1]["reason"];
    assert_eq!(*reason, json!({ "code": "DeployContainerHealthChecksFailed", "message": "no answer" }));
    let second = cloud.client.create("web-2").await;
    assert_eq!(cloud.client.app(&second).await["active_deployment"]["phase"], "ACTIVE", "the count is spent");
}

#[tokio::test]
async fn a_stuck_deployment_stays_in_progress_and_can_be_deleted() {
    let cloud = cloud_with([Rule::new(Fault::StuckDeployment {})]).await;
    let id = cloud.client.create("web-1").await;
    assert_eq!(cloud.client.app(&id).await["in_progress_deployment"]["phase"], "DEPLOYING");
    cloud.client.delete(&id).await;
    assert_eq!(cloud.client.get(&format!("/v2/apps/{id}")).await.status, 404);
}

#[tokio::test]
async fn too_many_requests_comes_with_and_without_retry_after() {
    let with = Rule::new(Fault::TooManyRequests { retry_after: Some(7) }).times(1);
    let without = Rule::new(Fault::TooManyRequests { retry_after: None }).times(2);
    let cloud = cloud_with([with, without]).await;
    let first = cloud.client.get("/v2/apps").await;
    assert_eq!((first.status, first.headers["retry-after"].to_str().unwrap()), (429, "7"));
    let second = cloud.client.get("/v2/apps").await;
    assert_eq!((second.status, second.headers.get("retry-after")), (429, None));
    assert_eq!(cloud.client.get("/v2/apps").await.status, 200);
}

#[tokio::test]
async fn a_read_outage_leaves_writes_working_until_it_is_over() {
    let outage = Rule::new(Fault::ErrorBefore(Shape::server_error())).on([Op::List, Op::Get]).for_seconds(2.0);
    let cloud = cloud_with([outage]).await;
    let id = cloud.client.create("web-1").await;
    assert_eq!(cloud.client.get("/v2/apps").await.status, 500);
    assert_eq!(cloud.client.get(&format!("/v2/apps/{id}")).await.status, 500);
    until("the outage to end", async || (cloud.client.get("/v2/apps").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn a_lagging_listing_hides_new_apps_and_shows_old_ones() {
    let cloud = cloud_with([Rule::new(Fault::ListingLag { seconds: 2.0 })]).await;
    let old = cloud.client.create("old").await;
    assert!(cloud.client.names("").await.is_empty(), "not listed yet");
    cloud.client.app(&old).await;
    until("old to be listed", async || (cloud.client.names("").await == ["old"]).then_some(())).await;
    cloud.client.create("new").await;
    assert_eq!(cloud.client.names("").await, ["old"]);
    until("new to be listed", async || (cloud.client.names("").await == ["new", "old"]).then_some(())).await;
    cloud.client.delete(&old).await;
    assert_eq!(cloud.client.get(&format!("/v2/apps/{old}")).await.status, 404);
    assert_eq!(cloud.client.names("").await, ["new", "old"], "still listed");
    until("old to leave the list", async || (cloud.client.names("").await == ["new"]).then_some(())).await;
}

#[tokio::test]
async fn shifting_pages_lose_an_app_between_them() {
    let cloud = cloud_with([Rule::new(Fault::ShiftingPages {})]).await;
    for n in 0..4 {
        cloud.client.create(&format!("web-{n}")).await;
    }
    let first = cloud.client.names("?per_page=2").await;
    let second = cloud.client.names("?page=2&per_page=2").await;
    assert_eq!((first, second), (vec!["web-3".to_owned(), "web-2".to_owned()], vec!["web-0".to_owned()]));
}

#[tokio::test]
async fn absent_members_may_be_null_and_times_zero() {
    let rules = [Fault::NullInsteadOfAbsent {}, Fault::ZeroTimestamps {}].map(|fault| Rule::new(fault).on([Op::Get]));
    let cloud = cloud_with(rules).await;
    let id = cloud.client.create("web-1").await;
    // Null is against the API description, so this answer is not checked.
    let answer = cloud.client.raw("GET", &format!("/v2/apps/{id}"), None).await.unwrap();
    let app = answer.json::<Value>().await.unwrap()["app"].clone();
    assert_eq!(app.get("pending_deployment"), Some(&Value::Null));
    assert_eq!(app["active_deployment"]["phase_last_updated_at"], "0001-01-01T00:00:00Z");
    assert_ne!(app["created_at"], "0001-01-01T00:00:00Z");
}

#[tokio::test]
async fn a_slow_answer_comes_after_its_effect() {
    let cloud = cloud_with([Rule::new(Fault::Slow { seconds: 3600.0 }).on([Op::Create])]).await;
    let body = spec("web-1");
    let wait = cloud.client.raw("POST", "/v2/apps", Some(&body));
    assert!(tokio::time::timeout(Duration::from_secs(2), wait).await.is_err(), "no answer yet");
    assert_eq!(cloud.ledger().await.apps.len(), 1);
}

#[tokio::test]
async fn calls_take_the_time_they_are_given() {
    let mut settings = instant();
    settings.timings.create_call_seconds = Seconds::Fixed(0.1);
    let cloud = Cloud::start(settings).await;
    let began = std::time::Instant::now();
    cloud.client.create("web-1").await;
    assert!(began.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_chance_is_decided_by_the_seed() {
    let pattern = async |seed: u64| {
        let cloud = Cloud::start(instant()).await;
        let rules = vec![Rule::new(Fault::ErrorBefore(Shape::server_error())).on([Op::List]).chance(0.5)];
        cloud.admin.set_faults("default", &Faults { seed, rules }).await.unwrap();
        let mut pattern = Vec::new();
        for _ in 0..24 {
            pattern.push(cloud.client.get("/v2/apps").await.status);
        }
        pattern
    };
    let first = pattern(7).await;
    assert!(first.contains(&200) && first.contains(&500));
    assert_eq!(first, pattern(7).await);
    assert_ne!(first, pattern(8).await);
}

#[tokio::test]
async fn faults_are_of_one_account_and_can_be_cleared() {
    let cloud = cloud_with([Rule::new(Fault::ErrorBefore(Shape::server_error()))]).await;
    let other = sandbar::cloudsim::admin::AccountSettings::with_token("dop_v1_other");
    cloud.admin.put_account("other", &other).await.unwrap();
    assert_eq!(Client::new(cloud.running.url(), "dop_v1_other").get("/v2/apps").await.status, 200);
    assert_eq!(cloud.client.get("/v2/account").await.status, 500);
    cloud.admin.clear_faults("default").await.unwrap();
    assert_eq!(cloud.client.get("/v2/account").await.status, 200);
}

#[tokio::test]
async fn bad_fault_documents_are_refused_with_the_field() {
    let cloud = Cloud::start(instant()).await;
    let refused = async |rule: Rule| match cloud.admin.set_rules("default", [rule]).await {
        Err(AdminError::Refused { status, message, .. }) => (status.as_u16(), message),
        other => panic!("{other:?}"),
    };
    let (status, message) = refused(Rule::new(Fault::StuckDeployment {}).chance(1.5)).await;
    assert_eq!((status, message.as_str()), (400, "rules[0]: probability 1.5 must lie in 0..=1"));
    let shape = Shape::Html { status: 200 };
    assert!(refused(Rule::new(Fault::ErrorBefore(shape))).await.1.contains("status 200"));
    let http = reqwest::Client::new();
    let url = format!("{}/_sim/accounts/default/faults", cloud.running.url());
    let answer = http.put(url).json(&json!({ "rules": [{ "fault": { "explode": {} } }] })).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("explode"));
}
