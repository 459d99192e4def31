//! Ports of the sandbox over HTTP: `ANY /proxy/{port}/{path}` with the token, `ANY /open/…` with a signed link.
//!
//! What passes is the message, as it comes: bodies of any length in either direction, a piece as soon as it is there;
//! WebSockets and whatever else the app upgrades to. A message's time is not limited, only the silence before the head
//! of its answer. What changes:
//!
//! * The app sees the rest of the path as it was written, dots and encoded slashes included: the port is fixed before
//!   anybody interprets it.
//! * Headers of one connection, `authorization` and `host` do not pass (the app sees `localhost:PORT`); what the client
//!   called is in `x-forwarded-host`, `-proto` and `-prefix`. Where a proxy in front has said these, its word is taken:
//!   without one a client may write what it likes there, so an app must not grant anything for them.
//! * `location` and links in pages are the app's own: **apps use relative addresses**, or heed `x-forwarded-prefix`.
//! * Cookies are kept to the app: `Path=/x` becomes `Path=PREFIX/x`, and `Domain` goes. So a cookie set through a signed
//!   link ends with the link, and `__Host-` cookies, which insist on `Path=/`, are refused by browsers.

mod forward;
mod headers;
mod open;

pub use forward::connect;
pub use open::open;

use super::Shared;
use super::problem::Problem;
use crate::agent::hop::{beyond, prefix};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use forward::Target;

/// Parts of the path that name the port: `/proxy/{port}`.
const PARTS: usize = 2;

/// Passes a request on, without the token that let it in.
pub async fn proxy(State(agent): State<Shared>, mut request: Request) -> Result<Response, Problem> {
    request.headers_mut().remove(header::AUTHORIZATION);
    let prefix = prefix(request.uri(), PARTS).to_owned();
    let port = number(prefix.rsplit('/').next().unwrap_or_default(), agent.port)?;
    match beyond(request.uri(), &prefix) {
        Some(path) => forward::forward(&agent, Target { port, prefix, path }, request).await,
        None => Ok(with_slash(request.uri())),
    }
}

/// A port that may be passed on to. Only plain numbers: a port has one spelling.
pub fn number(text: &str, own: u16) -> Result<u16, Problem> {
    let field = |message| Problem::field("path", "port", message);
    match text.parse::<u16>() {
        Ok(0) => Err(field("port 0 is none; use 1 to 65535".to_owned())),
        Ok(port) if port == own => Err(field(format!("port {port} is the agent's own; use the port of an app"))),
        Ok(port) if port.to_string() == text => Ok(port),
        _ => Err(field(format!("{text:?} is not a port; use 1 to 65535"))),
    }
}

/// Sends the client to the same with a slash at its end, by an address that is right behind any other proxy too.
/// Without it a page's relative addresses would lead out of the app.
fn with_slash(uri: &Uri) -> Response {
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    match HeaderValue::try_from(format!("{last}/{query}")) {
        Ok(place) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, place)]).into_response(),
        Err(_) => Problem::NotFound("no such route".to_owned()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> (String, Option<String>) {
        let uri: Uri = text.parse().expect("an address");
        let prefix = prefix(&uri, PARTS);
        (prefix.to_owned(), beyond(&uri, prefix).map(|path| path.to_string()))
    }

    #[test]
    fn the_rest_of_a_path_is_the_apps_letter_by_letter() {
        for (whole, rest) in [
            ("/proxy/80/", "/"),
            ("/proxy/80/a/b?c=/d&e", "/a/b?c=/d&e"),
            ("/proxy/80/../81/x", "/../81/x"),
            ("/proxy/80/..%2f..%2Fapi/%20", "/..%2f..%2Fapi/%20"),
            ("/proxy/80//x", "//x"),
            ("/proxy/80/?", "/?"),
        ] {
            assert_eq!(split(whole), ("/proxy/80".to_owned(), Some(rest.to_owned())), "{whole}");
        }
        assert_eq!(split("/proxy/80?a=/b"), ("/proxy/80".to_owned(), None));
        assert_eq!(split("http://h/proxy/80/x"), ("/proxy/80".to_owned(), Some("/x".to_owned())));
    }

    #[test]
    fn a_missing_slash_is_added_and_the_query_kept() {
        let place = |text: &str| with_slash(&text.parse().expect("an address")).headers()[header::LOCATION].clone();
        assert_eq!(place("/proxy/80"), "80/");
        assert_eq!(place("/proxy/80?a=b%20c"), "80/?a=b%20c");
    }

    #[test]
    fn a_port_is_a_plain_number_and_not_the_agents() {
        assert_eq!(number("5000", 8080).ok(), Some(5000));
        for bad in ["0", "8080", "", "65536", "-1", "+80", "080", "80%30", "http", "00"] {
            assert!(matches!(number(bad, 8080), Err(Problem::Schema(_))), "{bad}");
        }
    }
}
