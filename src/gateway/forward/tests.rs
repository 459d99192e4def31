use super::*;
use http::header::SET_COOKIE;
use reqwest::Url;
use tokio::net::TcpListener;

fn way(base: &str) -> Way {
    Way::new(Url::parse(base).expect("an address"), "the-agents".to_owned(), None)
}

fn errand(way: &Way, of: Of, within: Option<Duration>) -> Errand<'_> {
    Errand { run: "run-1", way, path: PathAndQuery::from_static("/api/files"), of, within }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[test]
fn what_leads_elsewhere_is_no_plain_path() {
    for plain in ["/proxy/80/a.b/..c/...", "/proxy/80//x", "/a%20b", "/100%", "/a%2fb", "/a%2520b", "/%zz", "/é"] {
        assert!(is_plain(plain), "{plain}");
    }
    for bad in [
        "/proxy/80/../81",
        "/proxy/80/..",
        "/./x",
        "/proxy/80/%2e%2E/api/exec",
        "/proxy/80/.%2e/x",
        "/proxy/80/..%2fx",
        "/proxy/80/..%5cx",
        "/proxy/80/..\\x",
        "/proxy/80/%252e%252e/x",
        "/proxy/80/%25252e./x",
        "/a%0d%0aX-Evil:%201",
        "/a%00",
    ] {
        assert!(!is_plain(bad), "{bad}");
    }
    // Each decoding takes two bytes: all of them would take seconds.
    assert!(!is_plain(&format!("/%{}", "25".repeat(30_000))));
}

#[test]
fn neither_agent_nor_app_sees_what_is_the_gateways() {
    let way = way("http://h");
    let given = || {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer the-callers"));
        headers.append(COOKIE, HeaderValue::from_static("a=1; sandbar-session=s; b=2"));
        headers.append(COOKIE, HeaderValue::from_static("__Host-Sandbar=s"));
        headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
        headers
    };
    let mut headers = given();
    to_agent(&mut headers, &errand(&way, Of::App, None)).expect("a token");
    assert_eq!(text(&headers, "authorization"), Some("Bearer the-agents"));
    let cookies: Vec<_> = headers.get_all(COOKIE).iter().collect();
    assert_eq!((cookies, headers.contains_key(EXPECT)), (vec![&HeaderValue::from_static("a=1; b=2")], false));
    let mut headers = given();
    to_agent(&mut headers, &errand(&way, Of::Agent, None)).expect("a token");
    assert!(!headers.contains_key(COOKIE));
}

#[test]
fn an_apps_page_is_kept_out_of_the_gateways_origin() {
    let mut headers = HeaderMap::new();
    headers.insert("clear-site-data", HeaderValue::from_static("\"*\""));
    headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=1"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'self'"));
    headers.insert(SET_COOKIE, HeaderValue::from_static("a=1"));
    keep_out(&mut headers, Of::App);
    assert!(headers.contains_key(SET_COOKIE), "an app has cookies of its own");
    assert!(!headers.contains_key("clear-site-data") && !headers.contains_key(STRICT_TRANSPORT_SECURITY));
    let policies: Vec<_> = headers.get_all(CONTENT_SECURITY_POLICY).iter().collect();
    assert!(policies.len() == 2 && policies[1] == SANDBOXED, "its own policy stays, and is joined: {policies:?}");
    let sandboxed = SANDBOXED.to_str().expect("text").to_owned();
    assert!(!sandboxed.contains("allow-same-origin") && !sandboxed.contains("allow-top-navigation"));
    // Whoever stands in the agent's place.
    keep_out(&mut headers, Of::Agent);
    assert!(!headers.contains_key(SET_COOKIE) && text(&headers, "x-content-type-options") == Some("nosniff"));
}

fn request(body: Body) -> Request {
    Request::builder().method("PUT").uri("/v1/runs/run-1/api/files").body(body).expect("a request")
}

async fn asked(base: &str, body: Body, within: Option<Duration>) -> Refused {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let way = way(base);
    let http = client().expect("a client");
    let stop = CancellationToken::new();
    forward(&http, errand(&way, Of::Agent, within), request(body), &stop).await.expect_err("no answer")
}

#[tokio::test]
async fn an_agent_that_is_gone_or_silent_is_told_in_words() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let refused = asked(&base, Body::empty(), Some(Duration::from_millis(50))).await;
    assert!(matches!(&refused, Refused::GatewayTimeout(why) if why.contains("run-1 sent no answer")), "{refused:?}");
    drop(listener);
    let refused = asked(&base, Body::empty(), Some(ANSWER)).await;
    assert!(
        matches!(&refused, Refused::Gateway(why) if why.contains("cannot be reached") && why.contains("GET /v1/runs/run-1"))
    );
    assert!(!refused.to_string().contains("the-agents"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_given_up() {
    let begun = futures::stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"half"))]);
    let body = Body::from_stream(begun.chain(futures::stream::pending()));
    let broken = Arc::new(AtomicBool::new(false));
    let pieces: Vec<_> = steady(body, Activity::new(), Arc::clone(&broken)).collect().await;
    assert!(pieces.len() == 2 && pieces[0].is_ok() && pieces[1].is_err(), "{pieces:?}");
    assert!(broken.load(Ordering::Relaxed));
}

#[test]
fn an_edge_that_answers_instead_of_the_agent_is_told_from_it() {
    let answer = |status: u16, kind: &str| {
        let mut answer = http::Response::builder().status(status).header(CONTENT_TYPE, kind);
        if kind == "wrong" {
            answer = answer.header(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"");
        }
        own_words("run-1", &answer.body(reqwest::Body::from("")).expect("an answer"))
            .map_err(|refused| refused.to_string())
    };
    assert_eq!(answer(502, "application/json"), Ok(()), "nobody listens on a port: the agent's words");
    assert_eq!(answer(409, "text/html"), Ok(()));
    for status in [502, 503, 504, 521] {
        assert!(
            answer(status, "text/html").is_err_and(|why| why.contains("nobody answers for the agent of run run-1"))
        );
    }
    assert!(answer(403, "wrong").is_err_and(|why| why.contains("does not take the token")));
    assert_eq!(answer(403, "application/json"), Ok(()), "a folder that is closed to everybody");
}

#[tokio::test]
async fn a_stream_of_events_ends_with_the_gateway() {
    let stop = CancellationToken::new();
    let begun = futures::stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"data: 1\n\n"))]);
    let body = until(Body::from_stream(begun.chain(futures::stream::pending())), stop.clone());
    let mut pieces = body.into_data_stream();
    assert!(pieces.next().await.is_some_and(|piece| piece.is_ok()));
    stop.cancel();
    assert!(pieces.next().await.is_none());
}
