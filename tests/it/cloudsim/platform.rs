//! What the platform does when nothing goes wrong.

use super::support::{Client, Cloud, instant, options, spec, until};
use sandbar::cloudsim::admin::{AccountSettings, Seconds};
use sandbar::cloudsim::{CloudSim, Options, StartError};
use serde_json::{Value, json};

#[tokio::test]
async fn an_app_goes_from_pending_to_active_to_gone() {
    let mut settings = instant();
    settings.timings.ready_seconds = Seconds::Fixed(120.0);
    settings.timings.delete_seconds = Seconds::Fixed(300.0);
    let cloud = Cloud::with(Options { speed: 60.0, ..options(settings) }).await;
    let made = cloud.client.post("/v2/apps", &spec("web-1")).await.body["app"].clone();
    assert_eq!(made["pending_deployment"]["phase"], "PENDING_BUILD");
    assert!(made.get("active_deployment").is_none() && made.get("live_url").is_none());
    let id = made["id"].as_str().unwrap();
    let under_way = until("in_progress_deployment", async || {
        let app = cloud.client.app(id).await;
        app.get("in_progress_deployment").cloned()
    })
    .await;
    assert_eq!(under_way["id"], made["pending_deployment"]["id"], "the pending deployment is the one to follow");
    let active = until("live_url", async || {
        let app = cloud.client.app(id).await;
        app.get("live_url").is_some().then_some(app)
    })
    .await;
    assert_eq!(active["active_deployment"]["phase"], "ACTIVE");
    assert!(active.get("pending_deployment").is_none() && active.get("in_progress_deployment").is_none());
    assert_eq!(active["default_ingress"], active["live_url"]);

    assert_eq!(cloud.client.delete(id).await.body, json!({ "id": id }));
    cloud.client.app(id).await;
    assert_eq!(cloud.client.names("").await, ["web-1"], "a deleted app is listed until it is gone");
    assert_eq!(cloud.client.post("/v2/apps", &spec("web-1")).await.status, 409, "and holds its name");
    assert_eq!(cloud.client.delete(id).await.status, 200, "deleting again is harmless");
    until("404", async || (cloud.client.get(&format!("/v2/apps/{id}")).await.status == 404).then_some(())).await;
    assert_eq!(cloud.client.delete(id).await.status, 404);
    assert!(cloud.client.names("").await.is_empty());
    cloud.client.create("web-1").await;
}

#[tokio::test]
async fn a_virtual_app_answers_for_its_agent() {
    let cloud = Cloud::start(instant()).await;
    let id = cloud.client.create("web-1").await;
    let url = cloud.client.app(&id).await["live_url"].as_str().expect("a live_url").to_owned();
    let health: Value = reqwest::get(format!("{url}/health")).await.unwrap().json().await.unwrap();
    assert_eq!(health["status"], "healthy");
    let http = reqwest::Client::new();
    let exec = |token: Option<&'static str>| {
        let request = http.post(format!("{url}/api/exec")).json(&json!({ "command": "echo hi" }));
        token.into_iter().fold(request, |request, token| request.bearer_auth(token)).send()
    };
    assert_eq!(exec(None).await.unwrap().status(), 401);
    assert_eq!(exec(Some("wrong")).await.unwrap().status(), 403);
    let answer: Value = exec(Some("s3cret")).await.unwrap().json().await.unwrap();
    assert_eq!(answer, json!({ "stdout": "echo hi\n", "stderr": "", "exit_code": 0 }));
    let stream = http.post(format!("{url}/api/exec/stream")).bearer_auth("s3cret").json(&json!({ "command": "ls" }));
    let text = stream.send().await.unwrap().text().await.unwrap();
    let events: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(events, ["stdout", "exit"], "{text}");
    let other = http.get(format!("{url}/api/processes")).bearer_auth("s3cret").send().await.unwrap();
    assert_eq!(other.status(), 501, "what a virtual app cannot do, it says");
}

#[tokio::test]
async fn a_secret_comes_back_encrypted_and_a_mark_in_plain() {
    let cloud = Cloud::start(instant()).await;
    let id = cloud.client.create("web-1").await;
    let app = cloud.client.app(&id).await;
    let envs = &app["spec"]["services"][0]["envs"];
    assert_eq!(envs[0]["value"], "uid-of-web-1");
    assert!(envs[1]["value"].as_str().unwrap().starts_with("EV[1:"), "{envs}");
    assert!(!app.to_string().contains("s3cret"));
    assert!(!serde_json::to_string(&cloud.ledger().await).unwrap().contains("s3cret"));
}

#[tokio::test]
async fn a_worker_has_no_address() {
    let cloud = Cloud::start(instant()).await;
    let mut request = spec("job-1");
    let mut worker = request["spec"].as_object_mut().unwrap().remove("services").unwrap();
    worker[0].as_object_mut().unwrap().remove("http_port");
    request["spec"]["workers"] = worker;
    let answer = cloud.client.post("/v2/apps", &request).await;
    let app = cloud.client.app(answer.body["app"]["id"].as_str().unwrap()).await;
    assert_eq!(app["active_deployment"]["phase"], "ACTIVE");
    assert!(app.get("live_url").is_none());
}

#[tokio::test]
async fn what_is_wrong_with_a_spec_is_said() {
    let cloud = Cloud::start(instant()).await;
    let cases: [(&str, Value, &str); 9] = [
        ("/spec/name", json!("Web"), "spec.name: \"Web\""),
        ("/spec/name", json!("a23456789012345678901234567890123"), "spec.name"),
        ("/spec/region", json!("mars"), "spec.region: \"mars\""),
        ("/spec/services", json!([]), "at least one component"),
        ("/spec/services/0/instance_size_slug", json!("huge"), "instance_size_slug: \"huge\""),
        ("/spec/services/0/http_port", json!(70000), "http_port: 70000"),
        ("/spec/services/0/envs/0/key", json!("A-B"), "key: \"A-B\""),
        ("/spec/services/0/envs/0/type", json!("HIDDEN"), "type: \"HIDDEN\""),
        ("/spec/services/0/image/registry_type", json!("QUAY"), "registry_type: \"QUAY\""),
    ];
    for (place, value, message) in cases {
        let mut request = spec("web-1");
        *request.pointer_mut(place).unwrap() = value;
        let answer = cloud.client.post("/v2/apps", &request).await;
        assert_eq!((answer.status, &answer.body["id"]), (400, &json!("bad_request")), "{place}");
        assert!(answer.body["message"].as_str().unwrap().contains(message), "{place}: {}", answer.body);
    }
    assert!(cloud.ledger().await.apps.is_empty());
}

#[tokio::test]
async fn propose_tells_price_and_name_and_makes_nothing() {
    let cloud = Cloud::start(instant()).await;
    let free = cloud.client.post("/v2/apps/propose", &spec("web-1")).await.body;
    assert_eq!((&free["app_name_available"], &free["app_cost"]), (&json!(true), &json!(12)));
    let id = cloud.client.create("web-1").await;
    let taken = cloud.client.post("/v2/apps/propose", &spec("web-1")).await.body;
    assert_eq!(taken["app_name_available"], false);
    assert!(taken["app_name_suggestion"].as_str().unwrap().starts_with("web-1-"));
    let mut own = spec("web-1");
    own["app_id"] = id.into();
    assert_eq!(cloud.client.post("/v2/apps/propose", &own).await.body["app_name_available"], true);
    assert_eq!(cloud.ledger().await.apps.len(), 1);
}

#[tokio::test]
async fn pages_link_to_each_other_and_count_all() {
    let cloud = Cloud::start(instant()).await;
    for n in 0..5 {
        cloud.client.create(&format!("web-{n}")).await;
    }
    assert_eq!(cloud.client.names("?per_page=2").await, ["web-4", "web-3"]);
    assert_eq!(cloud.client.names("?page=3&per_page=2").await, ["web-0"]);
    let middle = cloud.client.get("/v2/apps?page=2&per_page=2").await.body;
    assert_eq!(middle["meta"]["total"], 5);
    let pages = &middle["links"]["pages"];
    for (name, page) in [("first", 1), ("prev", 1), ("next", 3), ("last", 3)] {
        assert_eq!(pages[name], format!("{}/v2/apps?page={page}&per_page=2", cloud.client.url()), "{name}");
    }
    let only = cloud.client.get("/v2/apps?with_projects=true").await.body;
    assert_eq!(only["links"], json!({}));
    assert!(only["apps"][0]["project_id"].is_string() && middle["apps"][0].get("project_id").is_none());
    for bad in ["?page=0", "?per_page=201", "?per_page=many"] {
        assert_eq!(cloud.client.get(&format!("/v2/apps{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn an_account_sees_only_its_own_apps() {
    let cloud = Cloud::start(instant()).await;
    cloud.admin.put_account("other", &AccountSettings::with_token("dop_v1_other")).await.unwrap();
    let other = Client::new(cloud.running.url(), "dop_v1_other");
    let id = cloud.client.create("web-1").await;
    assert_eq!(other.get(&format!("/v2/apps/{id}")).await.status, 404);
    assert_eq!(other.delete(&id).await.status, 404);
    assert!(other.names("").await.is_empty());
    other.create("web-1").await;
    let team = async |client: &Client| client.get("/v2/account").await.body["account"]["team"]["uuid"].clone();
    assert_ne!(team(&cloud.client).await, team(&other).await);
    assert_eq!(Client::new(cloud.running.url(), "unknown").get("/v2/apps").await.status, 401);
}

#[tokio::test]
async fn deployments_sizes_and_regions_are_served() {
    let cloud = Cloud::start(instant()).await;
    let id = cloud.client.create("web-1").await;
    let all = cloud.client.get(&format!("/v2/apps/{id}/deployments")).await.body;
    let deployment = all["deployments"][0]["id"].as_str().unwrap();
    let one = cloud.client.get(&format!("/v2/apps/{id}/deployments/{deployment}")).await.body;
    assert_eq!(one["deployment"], all["deployments"][0]);
    assert_eq!(cloud.client.get(&format!("/v2/apps/{id}/deployments/none")).await.status, 404);
    let sizes = cloud.client.get("/v2/apps/tiers/instance_sizes").await.body;
    assert_eq!(sizes["instance_sizes"].as_array().unwrap().len(), 14);
    let size = cloud.client.get("/v2/apps/tiers/instance_sizes/apps-s-1vcpu-1gb").await.body;
    assert_eq!(size["instance_size"]["usd_per_month"], "12.00");
    assert_eq!(cloud.client.get("/v2/apps/tiers/instance_sizes/huge").await.status, 404);
    assert!(cloud.client.get("/v2/apps/regions").await.body["regions"].as_array().unwrap().len() > 5);
    assert_eq!(cloud.client.call("PATCH", "/v2/nothing", None).await.status, 404);
}

#[tokio::test]
async fn only_loopback_and_sound_speeds_are_taken() {
    let outside = Options { listen: "0.0.0.0:0".parse().unwrap(), ..options(instant()) };
    assert!(matches!(CloudSim::start(outside).await, Err(StartError::NotLoopback(_))));
    for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let wrong = Options { speed, ..options(instant()) };
        assert!(matches!(CloudSim::start(wrong).await, Err(StartError::Speed(_))), "{speed}");
    }
}
