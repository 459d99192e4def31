//! `ANY /open/{port}/{expires}/{signature}/{path}`: an app in a browser, by a signed link ([`crate::agent::link`]).
//!
//! The link is a secret in an address, so no other site may learn it: `Referrer-Policy: same-origin` keeps it from
//! them, while requests of the page to its own app carry `Referer` and a true `Origin`, by which many apps tell
//! forgeries (with `no-referrer` browsers send them `Origin: null`). An app's own `no-referrer` stays.
//!
//! An `authorization` header is the app's own here and passes, unless it holds the agent's token.

use super::forward::{Target, forward};
use super::{headers, number, with_slash};
use crate::agent::hop::{beyond, prefix};
use crate::agent::server::problem::Problem;
use crate::agent::server::{Agent, Shared};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use jiff::Timestamp;

/// Parts of the path that are the link: `/open/{port}/{expires}/{signature}`.
const PARTS: usize = 4;

const NO_REFERRER: &str = "no-referrer";
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

/// Passes a request on when its link is good.
pub async fn open(State(agent): State<Shared>, request: Request) -> Response {
    let page = wants_page(request.headers());
    let mut response = match opened(&agent, request).await {
        Ok(response) => response,
        Err(problem) => told(problem, page),
    };
    let headers = response.headers_mut();
    if headers.get(header::REFERRER_POLICY).is_none_or(|policy| policy != NO_REFERRER) {
        headers.insert(header::REFERRER_POLICY, SAME_ORIGIN);
    }
    response
}

async fn opened(agent: &Agent, mut request: Request) -> Result<Response, Problem> {
    let token = agent.token.as_ref().ok_or(Problem::NoToken)?;
    let prefix = prefix(request.uri(), PARTS).to_owned();
    let mut parts = prefix.rsplit('/');
    let mut part = || parts.next().unwrap_or_default();
    let (signature, expires, port) = (part(), part(), part());
    let port = token.links().check(port, expires, signature, Timestamp::now())?;
    number(&port.to_string(), agent.port)?;
    let Some(path) = beyond(request.uri(), &prefix) else { return Ok(with_slash(request.uri())) };
    headers::drop_authorization(request.headers_mut(), |word| token.is(word));
    forward(agent, Target { port, prefix, path }, request).await
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accepted.is_some_and(|accept| accept.contains("text/html"))
}

/// A refusal, for people as a page.
fn told(problem: Problem, page: bool) -> Response {
    let mut response = if page {
        let status = problem.status();
        let title = status.canonical_reason().unwrap_or("Error");
        let text = escaped(&problem.sentence());
        let page = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>{title}</title><style>body{{font:1rem/1.5 system-ui,sans-serif;\
             max-width:36rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}}</style><h1>{title}</h1>\
             <p>{text}</p></html>\n"
        );
        (status, Html(page)).into_response()
    } else {
        problem.into_response()
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_no_markup_of_somebody_elses() {
        assert_eq!(escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }

    #[test]
    fn browsers_get_a_page_and_programs_json() {
        let accept = |value| HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))]);
        assert!(wants_page(&accept("text/html,application/xhtml+xml,*/*;q=0.8")));
        assert!(!wants_page(&accept("*/*")) && !wants_page(&HeaderMap::new()));
    }
}
