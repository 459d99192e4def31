use super::*;
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const SANDBOXES: Kind = Kind { group: "sandbar.dev", version: "v1alpha1", plural: "sandboxes" };

/// What the cluster has and allows now, and what was asked.
#[derive(Default)]
struct Cluster {
    plurals: Vec<&'static str>,
    allowed: bool,
    asked: Vec<Value>,
}

type Shared = Arc<Mutex<Cluster>>;

fn client(cluster: &Shared) -> Client {
    let discovery = async |State(cluster): State<Shared>| {
        let plurals = cluster.lock().unwrap().plurals.clone();
        let resource =
            |name: &&str| json!({"name": name, "singularName": "", "namespaced": true, "kind": "K", "verbs": []});
        let resources: Vec<Value> = plurals.iter().map(resource).collect();
        Json(json!({"groupVersion": "sandbar.dev/v1alpha1", "resources": resources}))
    };
    let review = async |State(cluster): State<Shared>, Json(mut review): Json<Value>| {
        let mut cluster = cluster.lock().unwrap();
        cluster.asked.push(review["spec"]["resourceAttributes"].clone());
        review["status"] = json!({"allowed": cluster.allowed, "reason": if cluster.allowed { "" } else { "no rule" }});
        Json(review)
    };
    let router: Router = Router::new()
        .route("/apis/sandbar.dev/v1alpha1", get(discovery))
        .route("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", post(review))
        .with_state(cluster.clone());
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let router = router.clone();
        async move { tower::ServiceExt::oneshot(router, request.map(axum::body::Body::new)).await }
    });
    Client::new(service, "default")
}

#[tokio::test]
async fn what_is_missing_is_named_with_the_way_out_until_it_is_there() {
    let cluster = Shared::default();
    let (client, readiness) = (client(&cluster), Readiness::new());
    let accesses = Access::to(&["patch"], "sandbar.dev", "sandboxes/status", None);
    let needs = Needs { kinds: vec![SANDBOXES], accesses };
    assert!(!look(&client, &readiness, &needs).await);
    let report = readiness.report();
    assert!(report.contains("[-] crd sandboxes.sandbar.dev: not installed; install it with `sandbar crds"), "{report}");
    assert!(report.contains("[-] permission patch sandboxes/status.sandbar.dev: not allowed (no rule)"), "{report}");

    *cluster.lock().unwrap() = Cluster { plurals: vec!["sandboxes"], allowed: true, asked: Vec::new() };
    wait(&client, &readiness, &needs).await;
    assert!(readiness.is_ready(), "{}", readiness.report());
    let asked = cluster.lock().unwrap().asked.clone();
    let expected = json!({"verb": "patch", "group": "sandbar.dev", "resource": "sandboxes", "subresource": "status"});
    assert_eq!(asked, [expected]);
}

fn needs(kind: Kind) -> Needs {
    Needs { kinds: vec![kind], accesses: Vec::new() }
}

#[tokio::test]
async fn a_group_that_is_not_served_is_a_missing_crd_and_other_errors_are_told() {
    let cluster = Shared::default();
    let readiness = Readiness::new();
    let other = Kind { group: "other.dev", ..SANDBOXES };
    assert!(!look(&client(&cluster), &readiness, &needs(other)).await);
    assert!(readiness.report().contains("[-] crd sandboxes.other.dev: not installed"), "{}", readiness.report());

    let refusing = tower::service_fn(async |_: http::Request<kube::client::Body>| {
        Err::<http::Response<kube::client::Body>, _>(tower::BoxError::from("no route to host"))
    });
    assert!(!look(&Client::new(refusing, "default"), &readiness, &needs(SANDBOXES)).await);
    assert!(readiness.report().contains("cannot ask the API server"), "{}", readiness.report());
}

#[test]
fn a_namespaced_access_names_its_namespace() {
    let access = Access::to(&["get", "update"], "", "secrets", Some("n"));
    let names: Vec<String> = access.iter().map(Access::check_name).collect();
    assert_eq!(names, ["permission get secrets in n", "permission update secrets in n"]);
}
