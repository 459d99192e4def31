//! What of a message's headers reaches an app, and what of an app's its client.

use crate::agent::hop::{end_hop, pass_on};
use http::header::{AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

/// Makes a request's headers those that the app gets. `prefix` is the part of the path that the app does not see.
/// Gives where the browser believes the app to be, and the protocol that the client wants to change to.
pub fn to_app(headers: &mut HeaderMap, port: u16, prefix: &str) -> (String, Option<HeaderValue>) {
    pass_on(headers, HeaderValue::try_from(format!("localhost:{port}")).ok(), prefix)
}

/// Whether a value of the Authorization header is the agent's own: it must never reach what runs in the sandbox.
pub fn drop_authorization(headers: &mut HeaderMap, ours: impl Fn(&[u8]) -> bool) {
    let has_ours = |value: &HeaderValue| value.as_bytes().split(u8::is_ascii_whitespace).any(&ours);
    if headers.get_all(AUTHORIZATION).iter().any(has_ours) {
        headers.remove(AUTHORIZATION);
    }
}

/// Makes an answer's headers those that the client gets; gives the protocol that the app changes to.
pub fn from_app(headers: &mut HeaderMap, prefix: &str) -> Option<HeaderValue> {
    let protocol = end_hop(headers);
    let cookies: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for cookie in cookies {
        headers.append(SET_COOKIE, within(&cookie, prefix));
    }
    protocol
}

/// The cookie, kept to this app. `Path=/x` becomes `Path=PREFIX/x`, so that the browser sends it back here and nowhere
/// else on this host; `Domain` goes, so that no other host gets it.
fn within(cookie: &HeaderValue, prefix: &str) -> HeaderValue {
    let mut scoped = Vec::with_capacity(cookie.len() + prefix.len());
    for (number, part) in cookie.as_bytes().split(|byte| *byte == b';').enumerate() {
        let mut halves = part.splitn(2, |byte| *byte == b'=');
        let name = halves.next().unwrap_or_default().trim_ascii();
        let value = halves.next().unwrap_or_default().trim_ascii();
        if number > 0 && name.eq_ignore_ascii_case(b"domain") {
            continue;
        }
        if number > 0 {
            scoped.push(b';');
        }
        if number > 0 && name.eq_ignore_ascii_case(b"path") && value.starts_with(b"/") && !is_below(value, prefix) {
            scoped.extend_from_slice(b" Path=");
            scoped.extend_from_slice(prefix.as_bytes());
            scoped.extend_from_slice(value);
        } else {
            scoped.extend_from_slice(part);
        }
    }
    HeaderValue::from_bytes(&scoped).unwrap_or_else(|_| cookie.clone())
}

/// Whether an app that knows its prefix has put it there itself.
fn is_below(path: &[u8], prefix: &str) -> bool {
    path.strip_prefix(prefix.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
        };
        lines.iter().map(pair).collect()
    }

    fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        headers.get(name).and_then(|value| value.to_str().ok())
    }

    #[test]
    fn what_is_for_one_connection_stays_on_it() {
        let mut headers = map(&[
            ("connection", "keep-alive, X-Once"),
            ("connection", "x-twice"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eDp5"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("x-once", "1"),
            ("x-twice", "2"),
            ("accept", "*/*"),
        ]);
        // No `Connection: upgrade`: nobody asks for another protocol.
        assert_eq!(end_hop(&mut headers), None);
        assert_eq!(headers, map(&[("accept", "*/*")]));
    }

    #[test]
    fn an_upgrade_is_asked_for_anew() {
        let mut headers = map(&[("connection", "Keep-Alive, Upgrade"), ("upgrade", "websocket"), ("host", "h")]);
        let (_, protocol) = to_app(&mut headers, 80, "/proxy/80");
        assert_eq!(protocol.as_ref().map(HeaderValue::as_bytes), Some(&b"websocket"[..]));
        assert_eq!((text(&headers, "connection"), text(&headers, "upgrade")), (Some("upgrade"), Some("websocket")));
    }

    #[test]
    fn the_app_learns_where_it_seems_to_be() {
        let mut headers = map(&[("host", "box.example"), ("x-forwarded-proto", "https")]);
        let (prefix, _) = to_app(&mut headers, 5000, "/proxy/5000");
        assert_eq!(prefix, "/proxy/5000");
        assert_eq!(text(&headers, "host"), Some("localhost:5000"));
        assert_eq!(text(&headers, "x-forwarded-host"), Some("box.example"));
        assert_eq!(text(&headers, "x-forwarded-proto"), Some("https"));
        assert_eq!(text(&headers, "x-forwarded-prefix"), Some("/proxy/5000"));
        assert_eq!(text(&headers, "via"), Some("1.1 sandbar"));

        let mut behind = map(&[
            ("host", "inner"),
            ("x-forwarded-host", "edge.example"),
            ("x-forwarded-prefix", "/runs/7/"),
            ("via", "2 edge"),
        ]);
        assert_eq!(to_app(&mut behind, 5000, "/proxy/5000").0, "/runs/7/proxy/5000");
        assert_eq!(text(&behind, "x-forwarded-host"), Some("edge.example"));
        assert_eq!(text(&behind, "x-forwarded-proto"), Some("http"));
        assert_eq!(behind.get_all("via").iter().count(), 2);
        for odd in ["//other.example", "other", "/a b", "/a;Domain=x"] {
            let mut headers = map(&[("x-forwarded-prefix", odd)]);
            assert_eq!(to_app(&mut headers, 80, "/proxy/80").0, "/proxy/80", "{odd}");
        }
    }

    #[test]
    fn a_body_without_a_length_stays_one() {
        let mut headers = map(&[("transfer-encoding", "chunked"), ("content-length", "3")]);
        to_app(&mut headers, 80, "/proxy/80");
        assert_eq!((text(&headers, "transfer-encoding"), text(&headers, "content-length")), (Some("chunked"), None));
        let mut headers = map(&[("content-length", "3")]);
        to_app(&mut headers, 80, "/proxy/80");
        assert_eq!((text(&headers, "transfer-encoding"), text(&headers, "content-length")), (None, Some("3")));
    }

    #[test]
    fn cookies_stay_with_their_app() {
        let scoped = |cookie: &str| {
            let value = HeaderValue::from_str(cookie).expect("a value");
            within(&value, "/open/80/9/s").to_str().expect("text").to_owned()
        };
        for (cookie, kept) in [
            ("a=1", "a=1"),
            ("a=1; Path=/", "a=1; Path=/open/80/9/s/"),
            ("a=1; path = /x/y ; HttpOnly", "a=1; Path=/open/80/9/s/x/y; HttpOnly"),
            ("a=1; Path=/open/80/9/s/x; Secure", "a=1; Path=/open/80/9/s/x; Secure"),
            ("a=1; Path=/open/80/9/suffix", "a=1; Path=/open/80/9/s/open/80/9/suffix"),
            ("a=1; Path=x; Path=", "a=1; Path=x; Path="),
            ("a=1; Domain=example.com; SameSite=Lax", "a=1; SameSite=Lax"),
            ("path=/; Path=/", "path=/; Path=/open/80/9/s/"),
            ("domain=1", "domain=1"),
        ] {
            assert_eq!(scoped(cookie), kept);
        }
        let mut headers = map(&[("set-cookie", "a=1; Path=/"), ("set-cookie", "b=2"), ("location", "/login")]);
        from_app(&mut headers, "/proxy/80");
        let all: Vec<_> = headers.get_all("set-cookie").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(all, [&b"a=1; Path=/proxy/80/"[..], b"b=2"]);
        assert_eq!(text(&headers, "location"), Some("/login"));
    }

    #[test]
    fn only_the_agents_own_token_is_taken_away() {
        let ours = |word: &[u8]| word == b"token";
        for (value, stays) in [
            ("Bearer token", false),
            ("token", false),
            ("Bearer   token ", false),
            ("Basic eDp5", true),
            ("Bearer tokens", true),
        ] {
            let mut headers = map(&[("authorization", value)]);
            drop_authorization(&mut headers, ours);
            assert_eq!(headers.contains_key(AUTHORIZATION), stays, "{value}");
        }
    }
}
