use super::*;
use crate::api::Template;
use crate::providers::digitalocean::request;
use crate::providers::{CreateRequest, Inputs, digitalocean::wire::AppAnswer};
use crate::telemetry::secret::Secret;
use serde_json::{Value, json};

fn now() -> Timestamp {
    "2026-01-01T00:10:00Z".parse().expect("a time")
}

/// An instance out of an app as JSON with an id and what is given.
fn mapped(more: &Value) -> Instance {
    let mut app = json!({"id": "a", "spec": {"name": "n"}, "created_at": "2026-01-01T00:00:00Z"});
    for (key, value) in more.as_object().expect("an object") {
        app[key] = value.clone();
    }
    instance(serde_json::from_value(app).expect("lenient"), now()).expect("has an id")
}

fn deployment(phase: &str) -> Value {
    json!({"id": format!("d-{phase}"), "phase": phase})
}

#[test]
fn the_phase_is_that_of_the_deployment_that_speaks_for_the_app() {
    let failed = || InstancePhase::Failed { message: "the deployment was canceled".to_owned() };
    let cases = [
        (json!({"pending_deployment": deployment("PENDING_BUILD")}), InstancePhase::Starting),
        (json!({"in_progress_deployment": deployment("DEPLOYING")}), InstancePhase::Starting),
        (json!({"active_deployment": deployment("ACTIVE")}), InstancePhase::Running),
        // The description's own example: no phase in the active deployment, a pending one beside it.
        (json!({"active_deployment": {"id": "d"}, "pending_deployment": {"id": "d"}}), InstancePhase::Running),
        (
            json!({"active_deployment": deployment("ACTIVE"), "in_progress_deployment": deployment("DEPLOYING")}),
            InstancePhase::Running,
        ),
        (json!({"pending_deployment": deployment("CANCELED")}), failed()),
        (json!({"in_progress_deployment": deployment("TELEPORTING")}), InstancePhase::Unknown),
        (json!({"in_progress_deployment": {"id": "d"}}), InstancePhase::Unknown),
        (json!({"active_deployment": null, "in_progress_deployment": null}), InstancePhase::Unknown),
        (json!({}), InstancePhase::Unknown),
        (json!({"created_at": "2026-01-01T00:09:30Z"}), InstancePhase::Starting),
        (json!({"created_at": "0001-01-01T00:00:00Z"}), InstancePhase::Unknown),
    ];
    for (app, phase) in cases {
        assert_eq!(mapped(&app).phase, phase, "{app}");
    }
}

#[test]
fn a_running_app_keeps_its_deployment_id_until_the_next_one_is_active() {
    let redeploying =
        json!({"active_deployment": {"id": "old", "phase": "ACTIVE"}, "pending_deployment": {"id": "new"}});
    assert_eq!(mapped(&redeploying).deployment_id.as_deref(), Some("old"));
}

#[test]
fn a_failure_is_told_in_the_providers_words() {
    let step = json!({"name": "deploy", "status": "ERROR", "steps": [
        {"name": "wait", "status": "ERROR", "reason": {"code": "DeployContainerHealthChecksFailed", "message": "no /health"}},
    ]});
    let with_reason =
        json!({"in_progress_deployment": {"phase": "ERROR", "progress": {"steps": [{"name": "build"}, step]}}});
    let InstancePhase::Failed { message } = mapped(&with_reason).phase else { panic!("must be failed") };
    assert_eq!(message, "wait: DeployContainerHealthChecksFailed: no /health");
    let without = json!({"pending_deployment": {"phase": "ERROR", "cause": "initial", "progress": null}});
    let InstancePhase::Failed { message } = mapped(&without).phase else { panic!("must be failed") };
    assert!(message.contains("initial"), "{message}");
}

#[test]
fn a_url_is_taken_only_where_it_is_one() {
    let cases = [
        (json!({"live_url": "https://a.example/"}), Some("https://a.example")),
        (json!({"live_url": "", "default_ingress": "https://b.example"}), Some("https://b.example")),
        (json!({"live_url": null, "default_ingress": null}), None),
        (json!({"live_url": "a.example"}), None),
        (json!({"live_url": 7}), None),
    ];
    for (app, url) in cases {
        assert_eq!(mapped(&app).url.as_deref(), url, "{app}");
    }
}

#[test]
fn null_absent_and_misfit_members_are_the_same() {
    let plain = mapped(&json!({}));
    let odd = [
        json!({"live_url": null, "active_deployment": null, "spec": {"name": "n", "services": null}}),
        json!({"active_deployment": "later", "spec": {"name": "n", "services": {"a": 1}, "workers": [{"envs": 3}]}}),
        json!({"unheard_of": {"a": [1]}, "spec": {"name": "n", "jobs": [{}]}}),
    ];
    for app in odd {
        assert_eq!(mapped(&app), plain, "{app}");
    }
}

#[test]
fn an_app_without_id_is_none() {
    for app in [json!({}), json!({"id": null}), json!({"id": ""}), json!({"id": 5})] {
        let app = serde_json::from_value(app).expect("lenient");
        assert_eq!(instance(app, now()), None);
    }
}

fn create_request() -> CreateRequest {
    let template: Template = serde_json::from_value(json!({
        "poolUid": "pool-uid", "poolGeneration": 3,
        "provider": {"digitalOcean": {
            "credentialsRef": {"name": "do", "key": "token"}, "region": "nyc", "size": "apps-s-1vcpu-1gb", "projectId": "p",
        }},
        "image": {"registryType": "GHCR", "registry": "example", "repository": "sandbox-python", "tag": "1"},
        "env": [{"name": "GREETING", "value": "hello"}],
        "ports": [5000, 8080],
    }))
    .expect("a template");
    let marks = Marks {
        installation: "inst".into(),
        namespace: "ns".into(),
        name: "python-0".into(),
        uid: "uid".into(),
        attempt: 2,
        pool_uid: "pool-uid".into(),
        spec_hash: "hash".into(),
    };
    CreateRequest {
        name: "sb-x".into(),
        marks,
        template,
        agent_token: Secret::new("hush".into()),
        inputs: Inputs::default(),
    }
}

fn created_spec() -> Value {
    let request = create_request();
    let provider = request.template.provider.digital_ocean.clone().expect("is set");
    request::create(&request, &provider)
}

#[test]
fn marks_come_back_from_the_spec_that_carried_them_s9() {
    let app = json!({"app": {"id": "a", "spec": created_spec()["spec"]}});
    let answer: AppAnswer = serde_json::from_value(app).expect("lenient");
    let instance = instance(answer.app.expect("an app"), now()).expect("has an id");
    assert_eq!(instance.marks, Some(create_request().marks));
    assert_eq!(instance.name, "sb-x");
}

#[test]
fn half_a_set_of_marks_is_none_s9() {
    for missing in MARKS {
        let mut spec = created_spec()["spec"].clone();
        let envs = spec["services"][0]["envs"].as_array_mut().expect("a list");
        envs.retain(|env| env["key"] != missing);
        assert_eq!(mapped(&json!({"spec": spec})).marks, None, "{missing}");
    }
    for attempt in ["0", "-1", "two", ""] {
        let mut spec = created_spec()["spec"].clone();
        spec["services"][0]["envs"][4]["value"] = attempt.into();
        assert_eq!(mapped(&json!({"spec": spec})).marks, None, "{attempt}");
    }
}

#[test]
fn the_create_body_says_all_that_an_instance_needs() {
    let body = created_spec();
    assert_eq!((&body["project_id"], &body["spec"]["region"]), (&json!("p"), &json!("nyc")));
    assert_eq!(body["spec"]["disable_edge_cache"], json!(true));
    let service = &body["spec"]["services"][0];
    assert_eq!(service["instance_count"], json!(1));
    assert_eq!(service["internal_ports"], json!([5000]), "8080 is the public port already");
    assert_eq!(service["termination"], json!({"drain_seconds": 1, "grace_period_seconds": 5}));
    assert_eq!(
        service["image"],
        json!({"registry_type": "GHCR", "registry": "example", "repository": "sandbox-python", "tag": "1"})
    );
    let kind = |key: &str| {
        let envs = service["envs"].as_array().expect("a list");
        envs.iter().find(|env| env["key"] == key).map(|env| env["type"].clone())
    };
    assert_eq!(kind("SANDBOX_API_TOKEN"), Some(json!("SECRET")));
    assert_eq!(kind("GREETING"), Some(json!("GENERAL")));
    assert_eq!(kind("SANDBOX_MODE"), Some(json!("GENERAL")));
}

#[test]
fn what_came_out_of_a_secret_is_sent_as_a_secret() {
    let mut request = create_request();
    let from = json!({"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "api"}}});
    request.template.env.push(serde_json::from_value(from).expect("a variable"));
    request.inputs = Inputs {
        env: vec![("API_KEY".into(), Secret::new("hunter22".into()))],
        registry_credentials: Some(Secret::new("bot:ghp_1".into())),
    };
    let provider = request.template.provider.digital_ocean.clone().expect("is set");
    let service = request::create(&request, &provider)["spec"]["services"][0].clone();
    assert_eq!(service["image"]["registry_credentials"], json!("bot:ghp_1"));
    let envs = service["envs"].as_array().expect("a list");
    let sent: Vec<&Value> = envs.iter().filter(|env| env["key"] == "API_KEY").collect();
    assert_eq!(sent, [&json!({"key": "API_KEY", "value": "hunter22", "scope": "RUN_TIME", "type": "SECRET"})]);
    assert!(!format!("{request:?}").contains("hunter22"), "nor does a log show it");
}

#[test]
fn a_worker_has_no_port_no_route_and_all_the_marks_s9() {
    let mut request = create_request();
    request.template.ports.clear();
    let mut provider = request.template.provider.digital_ocean.clone().expect("is set");
    provider.mode = crate::api::Mode::Worker;
    let spec = request::create(&request, &provider)["spec"].clone();
    let keys: Vec<&str> = spec.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys, ["name", "region", "workers"]);
    let worker = &spec["workers"][0];
    for of_services in ["http_port", "health_check", "internal_ports"] {
        assert!(worker[of_services].is_null(), "{of_services}: {worker}");
    }
    assert_eq!(worker["termination"], json!({"grace_period_seconds": 5}));
    let envs = worker["envs"].as_array().expect("a list");
    let sent = |key: &str| envs.iter().find(|env| env["key"] == key).cloned().unwrap_or_default();
    assert_eq!(sent("SANDBOX_MODE")["value"], "worker");
    assert_eq!(sent("SANDBOX_API_TOKEN")["type"], "SECRET");
    let running = mapped(&json!({"spec": spec, "active_deployment": deployment("ACTIVE")}));
    assert_eq!(running.marks, Some(request.marks));
    assert_eq!((running.phase, running.url), (InstancePhase::Running, None));
}
