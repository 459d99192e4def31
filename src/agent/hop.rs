//! What every proxy here does with a message, whoever is behind it: the agent's, to an app; the gateway's, to an agent.
//!
//! A message is passed on as it comes. Headers of one connection end with it (RFC 9110, section 7.6), and who is behind
//! learns from `x-forwarded-host`, `-proto` and `-prefix` what the client called.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Headers that are about one connection only, named or not.
const HOP_BY_HOP: [HeaderName; 8] =
    [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE];

/// Takes away what was meant for the connection that the message came over; gives the protocol that is to be spoken
/// on it from here on, if another one is.
pub fn end_hop(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    let protocol = headers.get(UPGRADE).filter(|_| named.contains(&UPGRADE)).cloned();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    protocol
}

/// Says that the connection is to become one of this protocol.
pub fn upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Makes a request's headers those of the next connection, which is to this host where one is named. `prefix` is the part
/// of the path that is not passed on. Gives where the client believes the rest to be, and the protocol that it wants to
/// change to.
pub fn pass_on(headers: &mut HeaderMap, to: Option<HeaderValue>, prefix: &str) -> (String, Option<HeaderValue>) {
    let chunked = headers.contains_key(TRANSFER_ENCODING);
    let host = headers.remove(HOST);
    let protocol = end_hop(headers);
    if chunked {
        // Its framing is known from here on: without this a GET would lose its body.
        headers.remove(CONTENT_LENGTH);
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if let Some(protocol) = protocol.clone() {
        upgrade(headers, protocol);
    }
    if let Some(to) = to {
        headers.insert(HOST, to);
    }
    if let (Some(host), false) = (host, headers.contains_key(FORWARDED_HOST)) {
        headers.insert(FORWARDED_HOST, host);
    }
    if !headers.get(FORWARDED_PROTO).is_some_and(|proto| proto == "http" || proto == "https") {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
    let outer = headers.get(FORWARDED_PREFIX).and_then(|outer| path(outer.to_str().ok()?)).unwrap_or_default();
    let whole = format!("{outer}{prefix}");
    if let Ok(value) = HeaderValue::try_from(&whole) {
        headers.insert(FORWARDED_PREFIX, value);
    }
    headers.append(VIA, HeaderValue::from_static("1.1 sandbar"));
    (whole, protocol)
}

/// A prefix that a proxy before this one has taken away, if it can be one: it becomes part of cookies.
fn path(text: &str) -> Option<&str> {
    let text = text.trim_end_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~%".contains(c);
    (text.starts_with('/') && !text.starts_with("//") && text.chars().all(plain)).then_some(text)
}

/// The first parts of a path, without a slash at their end; the whole of it when it has no more.
pub fn prefix(uri: &Uri, parts: usize) -> &str {
    let path = uri.path();
    path.match_indices('/').nth(parts).map_or(path, |(at, _)| &path[..at])
}

/// What is behind the prefix, letter by letter; none when the prefix has no slash behind it.
pub fn beyond(uri: &Uri, prefix: &str) -> Option<PathAndQuery> {
    let rest = uri.path_and_query()?.as_str().strip_prefix(prefix)?;
    if rest.starts_with('/') { rest.parse().ok() } else { None }
}
