use super::*;
use crate::api::Template;
use crate::providers::scripted::{Reply, Scripted};
use crate::providers::{Inputs, Marks};
use serde_json::{Value, json};
use std::time::Duration;

fn request() -> CreateRequest {
    let template: Template = serde_json::from_value(json!({
        "poolUid": "p", "poolGeneration": 1,
        "provider": {"digitalOcean": {"credentialsRef": {"name": "do", "key": "token"}, "region": "nyc"}},
        "image": {"registryType": "GHCR", "registry": "example", "repository": "sandbox", "tag": "1"},
    }))
    .expect("a template");
    let text = || "x".to_owned();
    let marks = Marks {
        installation: text(),
        namespace: text(),
        name: text(),
        uid: text(),
        attempt: 1,
        pool_uid: text(),
        spec_hash: text(),
    };
    CreateRequest {
        name: "sb-x".to_owned(),
        marks,
        template,
        agent_token: Secret::new("hush".to_owned()),
        inputs: Inputs::default(),
    }
}

fn app(id: &str) -> Value {
    json!({"id": id, "spec": {"name": format!("sb-{id}")}, "active_deployment": {"id": "d", "phase": "ACTIVE"}})
}

/// A page of the listing with these ids.
fn page(ids: std::ops::Range<usize>, total: usize) -> Reply {
    let apps: Vec<Value> = ids.map(|id| app(&id.to_string())).collect();
    Reply::Json(200, json!({"apps": apps, "links": {"pages": {}}, "meta": {"total": total}}))
}

fn label(result: Result<Instance, ProviderError>) -> &'static str {
    result.map_or_else(|error| error.class.label(), |_| "ok")
}

#[tokio::test]
async fn a_create_is_sent_once_and_says_what_its_failure_proves_s1() {
    let refusal = |status| Reply::Json(status, json!({"id": "x", "message": "no"}));
    let cases = [
        (Reply::Json(200, json!({"app": app("a")})), "ok"),
        (refusal(400), "invalid"),
        (refusal(401), "auth"),
        (refusal(403), "auth"),
        (refusal(404), "unknown"),
        (refusal(409), "name_taken"),
        (refusal(429), "limited"),
        (refusal(500), "unknown"),
        (Reply::Html(504), "unknown"),
        (Reply::Html(200), "unknown"),
        (Reply::Json(200, json!({})), "unknown"),
        (Reply::Json(200, json!({"app": {"spec": {"name": "sb-x"}}})), "unknown"),
        (Reply::With(307, "location", "/v2/elsewhere".to_owned()), "unknown"),
        (Reply::Silence, "unknown"),
    ];
    for (reply, class) in cases {
        let server = Scripted::start("team", [reply.clone()]).await;
        assert_eq!(label(server.client().create(&request()).await), class, "{reply:?}");
        assert_eq!(server.calls(), ["POST /v2/apps"], "{reply:?}");
    }
}

#[tokio::test]
async fn a_422_is_the_accounts_limit_unless_the_spec_alone_is_refused_too() {
    let full = Reply::Json(422, json!({"id": "unprocessable_entity", "message": "no more apps"}));
    let fine = Reply::Json(200, json!({"app_name_available": true}));
    let bad = Reply::Json(422, json!({"id": "unprocessable_entity", "message": "bad size"}));
    for (proposed, class) in [(fine, "quota"), (bad, "invalid"), (Reply::Html(502), "quota")] {
        let server = Scripted::start("team", [full.clone(), proposed]).await;
        let error = server.client().create(&request()).await.expect_err("refused");
        assert_eq!((error.class.label(), error.message.as_str()), (class, "422: no more apps"));
        assert_eq!(server.calls(), ["POST /v2/apps", "POST /v2/apps/propose"], "the create itself is sent once");
    }
    let server = Scripted::start("team", [Reply::Json(422, json!({}))]).await;
    assert_eq!(server.client().name_available("sb-x").await.expect_err("refused").class, ErrorClass::Invalid);
}

#[tokio::test]
async fn an_error_never_shows_a_token() {
    let body = json!({"message": "token dop_v1_0123456789abcdef is bad"});
    let server = Scripted::start("team", [Reply::Json(400, body)]).await;
    let error = server.client().create(&request()).await.expect_err("refused");
    assert!(error.to_string().contains("dop_v1_***"), "{error}");
}

#[tokio::test]
async fn an_error_that_repeats_the_request_shows_nothing_out_of_a_secret() {
    let body = json!({"message": "bad envs: hunter22; bad registry_credentials: bot:ghp_1; bad token: hush"});
    let server = Scripted::start("team", [Reply::Json(400, body)]).await;
    let hidden = |text: &str| Secret::new(text.to_owned());
    let inputs =
        Inputs { env: vec![("KEY".to_owned(), hidden("hunter22"))], registry_credentials: Some(hidden("bot:ghp_1")) };
    let request = CreateRequest { inputs, ..request() };
    let error = server.client().create(&request).await.expect_err("refused");
    assert_eq!(error.message, "400: bad envs: ***; bad registry_credentials: ***; bad token: ***");
}

#[tokio::test]
async fn a_limited_token_calls_nobody_before_its_time_s12() {
    let server = Scripted::start("team", [Reply::With(429, "retry-after", "60".to_owned())]).await;
    let client = server.client();
    let error = client.get("a").await.expect_err("limited");
    let ErrorClass::Limited { until } = error.class else { panic!("{error}") };
    assert!(until > Instant::now() + Duration::from_secs(55));
    let again = client.delete("a").await.expect_err("still limited");
    assert!(matches!(again.class, ErrorClass::Limited { .. }), "{again}");
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn a_failed_first_deployment_is_found_in_the_list_of_deployments() {
    let bare = json!({"app": {"id": "a", "spec": {"name": "sb-a"}, "created_at": "2026-01-01T00:00:00Z"}});
    let failed = json!({"deployments": [{"id": "d", "phase": "ERROR", "cause": "initial"}], "meta": {"total": 1}});
    let server = Scripted::start("team", [Reply::Json(200, bare), Reply::Json(200, failed)]).await;
    let found = server.client().get("a").await.expect("found");
    assert!(matches!(found.phase, crate::providers::InstancePhase::Failed { .. }), "{found:?}");
    assert_eq!(found.deployment_id.as_deref(), Some("d"));
    assert_eq!(server.calls(), ["GET /v2/apps/a", "GET /v2/apps/a/deployments?page=1&per_page=1"]);
}

#[tokio::test]
async fn a_delete_is_over_when_the_provider_says_404_s4() {
    let replies =
        [Reply::Json(200, json!({"id": "a"})), Reply::With(204, "x-a", "b".into()), Reply::Json(404, json!({}))];
    let server = Scripted::start("team", replies).await;
    let client = server.client();
    client.account().await.expect("an account");
    client.delete("a").await.expect("accepted");
    client.delete("a").await.expect("accepted");
    assert_eq!(client.delete("a").await.expect_err("gone").class, ErrorClass::Gone);
    assert_eq!(server.account_calls(), 1, "an account that accepted the delete is not asked for again");
}

#[tokio::test]
async fn a_404_of_another_account_proves_nothing_s4() {
    let server = Scripted::start("mine", [Reply::Json(404, json!({}))]).await;
    let client = server.client();
    client.account().await.expect("an account");
    server.move_to("theirs");
    let error = client.get("a").await.expect_err("not found there");
    assert_eq!(error.class, ErrorClass::Auth, "{error}");
    assert!(client.has_moved());
    let create = client.create(&request()).await.expect_err("refused");
    assert_eq!(create.class, ErrorClass::Auth, "{create}");
    assert_eq!(server.calls(), ["GET /v2/apps/a"], "nothing is created in the other account");
}

#[tokio::test]
async fn a_404_counts_only_if_the_account_can_be_told_s4() {
    let server = Scripted::start("mine", [Reply::Json(404, json!({}))]).await;
    let client = server.client();
    client.account().await.expect("an account");
    server.move_to("");
    assert_eq!(client.delete("a").await.expect_err("refused").class, ErrorClass::Auth);
}

#[tokio::test]
async fn a_listing_of_another_account_is_an_error_s3() {
    let server = Scripted::start("mine", [page(0..0, 0)]).await;
    let client = server.client();
    client.account().await.expect("an account");
    server.move_to("theirs");
    assert_eq!(client.list().await.expect_err("moved").class, ErrorClass::Auth);
}

#[tokio::test]
async fn a_listing_whose_pages_shift_restarts_from_there_s3() {
    // App 7 ends after page 1 was read: app 100 slips onto page 1.
    let slipped = || {
        let ids: Vec<Value> = (0..101).filter(|id| *id != 7).map(|id| app(&id.to_string())).collect();
        Reply::Json(200, json!({"apps": ids, "meta": {"total": 149}}))
    };
    let replies = [page(0..100, 150), page(101..150, 149), slipped(), page(101..150, 149), slipped()];
    let server = Scripted::start("team", replies).await;
    let listing = server.client().list().await.expect("complete");
    let has = |id: usize| listing.instances.iter().any(|found| found.id == id.to_string());
    assert!((0..150).filter(|id| *id != 7).all(has));
    assert_eq!(listing.pages, 6, "five pages and the account");
    let asked: Vec<String> = [1, 2, 1, 2, 1].map(|n| format!("GET /v2/apps?page={n}&per_page=100")).into();
    assert_eq!(server.calls(), asked);
}

#[tokio::test]
async fn an_unclear_page_spoils_the_listing_s3() {
    let cases = [
        Reply::Html(200),
        Reply::Html(502),
        Reply::Json(200, json!({"apps": []})),
        Reply::Json(200, json!({"apps": null, "meta": {"total": 3}})),
        Reply::Json(200, json!({"apps": [{"spec": {}}], "meta": {"total": 1}})),
        Reply::Json(200, json!({"apps": [app("a"), 7], "meta": {"total": 2}})),
        page(0..3, 4),
        Reply::Silence,
    ];
    for reply in cases {
        let server = Scripted::start("team", [reply.clone()]).await;
        let error = server.client().list().await.expect_err("not complete");
        assert_eq!(error.class, ErrorClass::Unknown, "{reply:?}");
    }
}

#[tokio::test]
async fn an_account_without_apps_lists_as_empty() {
    for body in [json!({"apps": [], "meta": {"total": 0}}), json!({"apps": null, "meta": {}})] {
        let server = Scripted::start("team", [Reply::Json(200, body)]).await;
        let before = Instant::now();
        let listing = server.client().list().await.expect("complete");
        assert!(listing.instances.is_empty() && listing.began >= before);
    }
}

#[tokio::test]
async fn a_name_is_free_only_if_propose_says_so() {
    for (body, free) in [
        (json!({"app_name_available": true}), Some(true)),
        (json!({"app_name_available": false, "app_name_suggestion": "x"}), Some(false)),
        (json!({"app_name_available": null}), None),
        (json!({}), None),
    ] {
        let server = Scripted::start("team", [Reply::Json(200, body)]).await;
        assert_eq!(server.client().name_available("sb-x").await.ok(), free);
    }
}

#[tokio::test]
async fn prices_are_asked_for_once_and_a_wrong_size_names_the_right_ones() {
    let sizes = json!({"instance_sizes": [
        {"slug": "small", "usd_per_second": "0.000004960"}, {"slug": "large", "usd_per_second": 0.5}, {"slug": "odd"},
    ]});
    let server = Scripted::start("team", [Reply::Json(200, sizes)]).await;
    let client = server.client();
    assert_eq!(client.usd_per_second("small").await.expect("known"), 0.000_004_96);
    assert_eq!(client.usd_per_second("large").await.expect("known"), 0.5);
    let error = client.usd_per_second("huge").await.expect_err("unknown");
    assert_eq!(error.class, ErrorClass::Invalid);
    assert!(error.message.contains("\"huge\"") && error.message.contains("large, small"), "{error}");
    assert_eq!(server.calls().len(), 1);
}
