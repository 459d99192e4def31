//! Callers without a token.

use reqwest::Method;
use sandbar::gateway::Settings;
use serde_json::{Value, json};

use super::{Stand, json_of};
use crate::wait::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_caller_has_what_was_launched_anonymously_and_nothing_else() {
    let stand = Stand::start("gateway-demo").await;
    let gateway = stand.gateway(Settings { demo: true, ..Settings::default() }).await;
    let ask = async |method: Method, path: &str, body: Option<Value>| {
        let request = stand.ask(method, &format!("{}{path}", gateway.url));
        let request = body.iter().fold(request, |request, body| request.json(body));
        let (status, body) = json_of(request.send().await.expect("an answer")).await;
        (status.as_u16(), body)
    };
    let theirs = stand.launch(&gateway.url).await;
    let (status, body) = ask(Method::POST, "/api/launch/warm", Some(json!({"game": "snake"}))).await;
    assert_eq!(status, 202, "{body}");
    let own = body["run_id"].as_str().expect("an id").to_owned();
    let seen = eventually("both are seen", async || {
        let total = stand.get(&format!("{}/v1/runs", gateway.url)).await.1["total"].as_u64();
        if total == Some(2) { Ok(()) } else { Err(format!("{total:?}")) }
    });
    seen.await;

    for path in ["/api/status/RUN", "/v1/runs/RUN", "/api/stream/RUN", "/v1/runs/RUN/events"] {
        let (status, body) = ask(Method::GET, &path.replace("RUN", &theirs), None).await;
        assert_eq!(status, 404, "{path}: {body}");
        assert!(!body.to_string().contains("serviceaccount"), "whose it is, is not told: {body}");
    }
    let (status, unknown) = ask(Method::GET, "/api/status/run-none", None).await;
    let (_, hidden) = ask(Method::GET, &format!("/api/status/{theirs}"), None).await;
    let same = hidden["detail"].as_str().map(|text| text.replace(&theirs, "run-none"));
    assert_eq!((status, same.as_deref()), (404, unknown["detail"].as_str()), "nor that it exists");
    assert_eq!(ask(Method::POST, &format!("/api/runs/{theirs}/stop"), None).await.0, 404);
    let runs = ask(Method::GET, "/v1/runs", None).await.1;
    assert_eq!((runs["total"].as_u64(), &runs["runs"][0]["run_id"]), (Some(1), &json!(own)));
    stand.status(&theirs, super::played::told(3)).await;
    assert_eq!(ask(Method::GET, "/api/orchestrator/logs", None).await.1, json!({"logs": []}));
    let pools = ask(Method::GET, "/v1/pools", None).await.1;
    assert!(pools["pools"][0].get("conditions").is_none() && pools["pools"][0]["name"] == "node", "{pools}");

    let long = json!({"app": "snake", "ttl": "1h"});
    assert_eq!(ask(Method::POST, "/v1/launches", Some(long)).await.1["field"], "ttl", "no longer than usual");
    assert_eq!(ask(Method::POST, "/v1/launches", Some(json!({"app": "chess"}))).await.0, 404);
    let (status, body) = ask(Method::POST, &format!("/v1/runs/{own}/extend"), Some(json!({"by": "1m"}))).await;
    assert_eq!(status, 403, "{body}");
    let wrong = stand.ask(Method::GET, &format!("{}/v1/apps", gateway.url)).bearer_auth("wrong").send().await;
    assert_eq!(wrong.expect("an answer").status(), 401, "a bad token is not no token");

    // Before it has a sandbox, stopping it takes it out of the queue.
    assert_eq!(ask(Method::POST, &format!("/api/runs/{own}/stop"), None).await.1["status"], "stopping");
    let gone = eventually("it is gone", async || match ask(Method::GET, &format!("/api/status/{own}"), None).await {
        (404, _) => Ok(()),
        (_, body) => Err(body.to_string()),
    });
    gone.await;
    let left = stand.requests().await;
    assert_eq!(
        left.iter().filter_map(|request| request.metadata.name.as_deref()).collect::<Vec<_>>(),
        [theirs.as_str()]
    );
}
