//! Launches that happen once, and one from the first word to the last.

use std::collections::BTreeSet;

use reqwest::Method;
use sandbar::api::{AppSource, Phase, Span};
use sandbar::gateway::Settings;
use serde_json::json;

use super::sse::Stream;
use super::{Stand, gateway, json_of, let_serve};
use crate::hibernation::Stage;
use crate::wait::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_is_one_request_that_says_all() {
    let stand = Stand::start("gateway-launch").await;
    let gateway = stand.gateway(Settings::default()).await;
    let run = stand.launch(&gateway.url).await;
    let request = stand.requests().await.pop().expect("a request");
    let claim = request.spec.claim.expect("a claim");
    assert_eq!((request.metadata.name.as_deref(), claim.id.as_str()), (Some(run.as_str()), run.as_str()));
    assert_eq!(claim.holder, format!("system:serviceaccount:{}:user", stand.env.namespace));
    assert_eq!((claim.keep_ended, request.spec.pool_ref.name.as_str()), (Some(Span::hours(1)), "python"));
    assert_eq!(claim.app.map(|app| (app.name, app.source)), Some(("snake".to_owned(), None)));

    // Cold is the pool that holds no level; the general route says everything itself.
    let (status, body) = stand.post(&format!("{}/api/launch/cold", gateway.url), json!({"game": "snake"})).await;
    assert_eq!((status.as_u16(), &body["status"]), (202, &json!("queued")));
    let wish = json!({"app": "memory", "pool": "python", "source": "image", "ttl": "10m"});
    let answer = stand.ask(Method::POST, &format!("{}/v1/launches", gateway.url)).bearer_auth(&stand.token);
    let answer = answer.json(&wish).send().await.expect("an answer");
    let location = answer.headers()["location"].to_str().expect("text").to_owned();
    let (status, body) = json_of(answer).await;
    assert_eq!((status.as_u16(), body["status_url"].as_str()), (202, Some(location.as_str())));
    let requests = stand.requests().await;
    let pools: BTreeSet<&str> = requests.iter().map(|request| request.spec.pool_ref.name.as_str()).collect();
    assert_eq!(pools, BTreeSet::from(["node", "python"]));
    let mut memory = requests.iter().filter_map(|request| request.spec.claim.as_ref());
    let memory = memory.find(|claim| claim.ttl == Some(Span::minutes(10))).expect("the third");
    assert_eq!(memory.app.as_ref().and_then(|app| app.source), Some(AppSource::Image));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_launches_once_whichever_gateway_is_asked() {
    let stand = Stand::start("gateway-key").await;
    let gateways = [stand.gateway(Settings::default()).await, stand.gateway(Settings::default()).await];
    let launch = |gateway: &str, key: &str, token: &str, game: &str| {
        let request = stand.ask(Method::POST, &format!("{gateway}/api/launch/warm")).bearer_auth(token);
        let request = request.header("Idempotency-Key", key).json(&json!({"game": game, "use_snapshot": true}));
        async { json_of(request.send().await.expect("an answer")).await }
    };
    let urls: Vec<&str> = (0..10).map(|number| gateways[number % 2].url.as_str()).collect();
    let answers =
        futures::future::join_all(urls.iter().map(|gateway| launch(gateway, "once", &stand.token, "snake"))).await;
    let ids: BTreeSet<String> = answers.iter().map(|(_, body)| body["run_id"].to_string()).collect();
    assert!(answers.iter().all(|(status, _)| *status == 202) && ids.len() == 1, "{answers:#?}");
    assert_eq!(stand.requests().await.len(), 1);

    let (status, body) = launch(&gateways[1].url, "once", &stand.token, "memory").await;
    assert_eq!(status, 409, "{body}");
    assert!(
        body["detail"].as_str().is_some_and(|text| text.contains("it launched snake before, not memory")),
        "{body}"
    );
    let other = stand.somebody("bob", Some("sandbar-user")).await;
    let theirs = eventually("bob may", async || match launch(&gateways[0].url, "once", &other, "snake").await {
        (status, body) if status == 202 => Ok(body["run_id"].to_string()),
        (_, body) => Err(body.to_string()),
    })
    .await;
    assert!(!ids.contains(&theirs), "a key is its caller's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_launched_watched_and_stopped_over_http() {
    let stage = Stage::start("gateway-whole").await;
    let app = json!({"name": "snake", "title": "Snake", "run": "exec python3 -m http.server $PORT --bind 127.0.0.1"});
    stage.scene.edit(json!({"apps": [app]})).await;
    stage.scene.level(1).await;
    let env = &stage.scene.env;
    let kubeconfig = let_serve(env).await;
    let inside = gateway(&kubeconfig, &env.namespace, Settings { demo: true, ..Settings::default() }).await;
    let http = reqwest::Client::new();
    let launched =
        http.post(format!("{}/api/launch/warm", inside.url)).json(&json!({"game": "snake", "use_snapshot": true}));
    let (status, body) = json_of(launched.send().await.expect("an answer")).await;
    assert_eq!(status, 202, "{body}");
    let run = body["run_id"].as_str().expect("an id").to_owned();
    let stream = format!("{}{}", inside.url, body["stream_url"].as_str().expect("an address"));

    let launch = Stream::open(http.get(format!("{stream}?until=ready"))).await.rest().await;
    let told: Vec<&str> = launch.iter().map(|frame| frame.message()).collect();
    let begins = [
        "Acquiring sandbox from warm pool...",
        "Pool acquisition: ",
        "Starting snake...",
        "Process started for port 5000: ",
        "Snake is ready: ",
    ];
    assert!(told.len() == 6 && told.iter().zip(begins).all(|(line, begin)| line.starts_with(begin)), "{told:#?}");
    assert!(told[1].ends_with("ms (pool hit)"), "{told:#?}");
    let status_url = format!("{}/api/status/{run}", inside.url);
    let (_, shown) = json_of(http.get(&status_url).send().await.expect("an answer")).await;
    assert_eq!((&shown["status"], &shown["start"]), (&json!("running"), &json!("Warm")), "{shown}");
    assert!(shown["expires_at"].is_string() && shown["timings"]["total_ms"].is_i64(), "{shown}");

    let link = shown["ingress_url"].as_str().expect("a link");
    let page = http.get(link).send().await.expect("the app answers");
    assert!(page.status() == 200 && page.text().await.expect("a page").contains("Directory listing"), "{link}");

    stage.scene.watcher.ends_by_word(&run);
    let stop = http.post(format!("{}/api/runs/{run}/stop", inside.url)).send().await.expect("an answer");
    assert_eq!(json_of(stop).await.1["status"], "stopping");
    let whole = Stream::open(http.get(&stream)).await.rest().await;
    assert_eq!(whole[..5], launch[..5], "who comes after the end hears the same");
    assert!(whole.last().is_some_and(|end| end.is_end() && end.data["reason"] == "Released"), "{whole:#?}");
    let ended = stage.scene.ended(&run, "Released").await;
    assert!(ended.phase() == Phase::Ended && ended.metadata.deletion_timestamp.is_none(), "it is kept, and counted");
    let again = http.post(format!("{}/api/runs/{run}/stop", inside.url)).send().await.expect("an answer");
    assert_eq!(json_of(again).await.1["status"], "ended");
    stage.scene.level(1).await;
    stage.scene.sound(2).await;
    inside.stop().await;
}
