//! `/open/{port}/{expires}/{signature}/{path}`.

use super::apps::{Wire, listen, nobody, serve};
use super::proxy::{converse, echoes};
use super::{Agent, TOKEN};
use axum::Router;
use axum::http::{HeaderMap, Uri};
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use sandbar::agent::link::mint;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn link(agent: &Agent, port: u16) -> Url {
    mint(&agent.base, TOKEN, port, in_seconds(60)).unwrap()
}

#[tokio::test]
async fn a_good_link_opens_its_port_without_a_token() {
    let port = serve(Router::new().fallback(async |uri: Uri| uri.to_string())).await;
    let agent = Agent::start();
    let link = link(&agent, port);
    let http = reqwest::Client::new();
    for (path, seen) in [("", "/"), ("a/b?c=d", "/a/b?c=d")] {
        for method in [reqwest::Method::GET, reqwest::Method::POST] {
            let answer = http.request(method, link.join(path).unwrap()).send().await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["referrer-policy"]),
                (200, &"same-origin".parse().unwrap())
            );
            assert_eq!(answer.text().await.unwrap(), seen);
        }
    }
    // Without the slash at its end it is still the link.
    let bare = link.as_str().trim_end_matches('/');
    assert_eq!(http.get(format!("{bare}?a=b")).send().await.unwrap().text().await.unwrap(), "/?a=b");
}

#[tokio::test]
async fn a_link_opens_websockets_too() {
    let agent = Agent::start();
    let link = link(&agent, echoes().await);
    converse(link.join("deep/ws").unwrap().as_str().replace("http", "ws"), None).await;
}

#[tokio::test]
async fn a_link_that_is_not_what_was_minted_or_has_expired_is_403_and_reaches_no_app() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let app = Router::new().fallback(async move || count.fetch_add(1, Ordering::SeqCst).to_string());
    let (port, other) = (serve(app.clone()).await, serve(app).await);
    let agent = Agent::start();
    let good = link(&agent, port);
    let parts: Vec<&str> = good.path_segments().unwrap().collect();
    let (expires, signature) = (parts[2], parts[3]);
    let later = (expires.parse::<i64>().unwrap() + 60).to_string();
    let forged = signature.chars().rev().collect::<String>();
    let stranger = mint(&agent.base, "another", port, in_seconds(60)).unwrap();
    let expired = mint(&agent.base, TOKEN, port, in_seconds(-1)).unwrap();
    for (path, why) in [
        (format!("/open/{other}/{expires}/{signature}/"), "not valid"),
        (format!("/open/{port}/{later}/{signature}/"), "not valid"),
        (format!("/open/{port}/{expires}/{forged}/"), "not valid"),
        (format!("/open/{port}/{expires}/{signature}x/"), "not valid"),
        (format!("/open/0{port}/{expires}/{signature}/"), "not valid"),
        (format!("/open/{port}/soon/{signature}"), "not valid"),
        (stranger.path().to_owned(), "not valid"),
        (expired.path().to_owned(), "expired at 20"),
    ] {
        let (status, answer) = agent.call_as("GET", &path, None, None).await;
        assert!(status == 403 && answer["detail"].as_str().unwrap().contains(why), "{path}: {status} {answer}");
        // The token itself does not help: a link is a link.
        assert_eq!(agent.call("GET", &path, None).await.0, 403, "{path}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    for path in ["/open".to_owned(), format!("/open/{port}"), format!("/open/{port}/{expires}")] {
        assert_eq!(agent.call_as("GET", &path, None, None).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn the_agents_own_port_is_no_app() {
    let agent = Agent::start();
    let own = agent.base.rsplit(':').next().unwrap().parse().unwrap();
    let (status, answer) = agent.call_as("GET", link(&agent, own).path(), None, None).await;
    assert!(status == 422 && answer.to_string().contains("the agent's own"), "{status} {answer}");
}

#[tokio::test]
async fn people_are_told_in_a_page() {
    let agent = Agent::start();
    let expired = mint(&agent.base, TOKEN, 5000, in_seconds(-1)).unwrap();
    for (link, status, words) in
        [(expired, 403, "This link expired at"), (link(&agent, nobody().await), 502, "nothing listens on port")]
    {
        let request = reqwest::Client::new().get(link).header("accept", "text/html,*/*;q=0.8");
        let answer = request.send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(answer.status(), status);
        assert!(header("content-type").starts_with("text/html"));
        assert_eq!((header("cache-control"), header("referrer-policy")), ("no-store".into(), "same-origin".into()));
        let page = answer.text().await.unwrap();
        assert!(page.to_lowercase().contains(&words.to_lowercase()), "{page}");
    }
}

#[tokio::test]
async fn without_a_token_no_link_opens() {
    let agent = Agent::start_with(|_| {});
    let link = link(&agent, 5000);
    let (status, answer) = agent.call_as("GET", link.path(), None, None).await;
    assert!(status == 503 && answer["detail"].as_str().unwrap().contains("SANDBOX_API_TOKEN"), "{answer}");
}

#[tokio::test]
async fn an_apps_own_authorization_passes_and_the_agents_token_never() {
    let seen = async |headers: HeaderMap| {
        let value = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        axum::Json(value)
    };
    let port = serve(Router::new().fallback(seen)).await;
    let agent = Agent::start();
    let path = link(&agent, port).path().to_owned();
    for (auth, passes) in [
        ("Basic eDp5".to_owned(), true),
        (format!("Bearer {TOKEN}"), false),
        (format!("bearer  {TOKEN}"), false),
        (TOKEN.to_owned(), false),
    ] {
        let (status, answer) = agent.call_as("GET", &path, None, Some(&auth)).await;
        let want = if passes { Value::from(auth.as_str()) } else { Value::Null };
        assert_eq!((status, answer), (200, want), "{auth}");
    }
}

#[tokio::test]
async fn cookies_stay_below_the_link_and_a_stricter_referrer_policy_stays() {
    let agent = Agent::start();
    let (listener, port) = listen().await;
    let link = link(&agent, port);
    let mut client = Wire::to(&agent).await;
    client.say(&format!("GET {} HTTP/1.1\r\nhost: a\r\n\r\n", link.path())).await;
    let mut app = Wire::accepted(&listener).await;
    let prefix = link.path().trim_end_matches('/');
    let head = app.head().await;
    assert!(head.contains(&format!("x-forwarded-prefix: {prefix}\r\n")), "{head}");
    app.say(
        "HTTP/1.1 200 OK\r\nset-cookie: a=1; Path=/; HttpOnly\r\nset-cookie: b=2; Path=/sub\r\n\
         referrer-policy: no-referrer\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let head = client.head().await;
    for line in [
        format!("set-cookie: a=1; Path={prefix}/; HttpOnly\r\n"),
        format!("set-cookie: b=2; Path={prefix}/sub\r\n"),
        "referrer-policy: no-referrer\r\n".to_owned(),
    ] {
        assert!(head.contains(&line), "{line} not in {head}");
    }
}
