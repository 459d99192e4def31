//! Who may do what, as the API server says.

use reqwest::Method;
use sandbar::gateway::Settings;
use serde_json::{Value, json};

use super::{Stand, json_of};
use crate::wait::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_the_cluster_who_it_is_and_what_they_may() {
    let stand = Stand::start("gateway-auth").await;
    let gateway = stand.gateway(Settings::default()).await;
    let (nobody, viewer) = (stand.somebody("nobody", None).await, stand.somebody("viewer", Some("sandbar-view")).await);
    let run = stand.launch(&gateway.url).await;
    stand.status(&run, super::played::told(5)).await;
    let game = json!({"game": "snake"});
    // Method, path, body, whether a viewer may, and what is missing in the words of the cluster.
    let routes: [(Method, String, Option<Value>, bool, &str); 13] = [
        (Method::POST, "/api/launch/warm".into(), Some(game.clone()), false, "create sandboxes"),
        (Method::POST, "/api/launch/cold".into(), Some(game), false, "create sandboxes"),
        (Method::POST, "/v1/launches".into(), Some(json!({"app": "snake"})), false, "create sandboxes"),
        (Method::GET, format!("/api/status/{run}"), None, true, "get sandboxes"),
        (Method::GET, format!("/v1/runs/{run}"), None, true, "get sandboxes"),
        (Method::GET, format!("/api/stream/{run}"), None, true, "get sandboxes"),
        (Method::GET, format!("/v1/runs/{run}/events"), None, true, "get sandboxes"),
        (Method::GET, "/v1/runs".into(), None, true, "list sandboxes"),
        (Method::GET, "/api/orchestrator/logs".into(), None, true, "list sandboxes"),
        (Method::GET, "/v1/pools".into(), None, true, "list sandboxpools"),
        (Method::GET, "/v1/apps".into(), None, true, "list sandboxpools"),
        (Method::POST, format!("/v1/runs/{run}/stop"), None, false, "delete sandboxes"),
        (Method::POST, format!("/v1/runs/{run}/extend"), Some(json!({"by": "1m"})), false, "patch sandboxes"),
    ];
    for (method, path, body, views, missing) in routes {
        let ask = async |token: Option<&str>| {
            let mut request = stand.ask(method.clone(), &format!("{}{path}", gateway.url));
            request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
            request = body.iter().fold(request, |request, body| request.json(body));
            let (status, body) = json_of(request.send().await.expect("an answer")).await;
            (status.as_u16(), body["detail"].as_str().unwrap_or_default().to_owned())
        };
        let (status, detail) = ask(None).await;
        assert_eq!((status, detail.contains("Authorization: Bearer")), (401, true), "{path}");
        let (status, detail) = ask(Some("eyJhbGciOiJub25lIn0.e30.")).await;
        assert_eq!((status, detail.contains("does not know this token")), (401, true), "{path}");
        let (status, detail) = ask(Some(&nobody)).await;
        assert_eq!((status, detail.contains(&format!("may not {missing}"))), (403, true), "{path}: {detail}");
        if views {
            eventually(&format!("a viewer may {path}"), async || match ask(Some(&viewer)).await {
                (200, _) => Ok(()),
                other => Err(format!("{other:?}")),
            })
            .await;
        } else {
            assert_eq!(ask(Some(&viewer)).await.0, 403, "{path}");
        }
        let (status, detail) = ask(Some(&stand.token)).await;
        // Nothing can be extended that is over; that is not a matter of rights.
        assert!([200, 202, 409].contains(&status), "{path}: {status} {detail}");
    }
    assert_eq!(reqwest::get(format!("{}/healthz", gateway.url)).await.expect("an answer").status(), 200);
}
