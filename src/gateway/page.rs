//! The page: what `web/` is built into, carried in the program. The gateway can be built without it, and says so where
//! the page would be.

use super::Shared;
use axum::Router;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use rust_embed::{Embed, EmbeddedFile};
use std::borrow::Cow;

/// Empty where the page was not built before the program.
#[derive(Embed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Built;

const INDEX: &str = "index.html";
/// Files below have a digest of themselves in their name.
const HASHED: &str = "assets/";
/// The same file, compressed when the page was built.
const COMPRESSED: &str = ".gz";
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Everything from here, nothing inline, in nobody's frame.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";
/// What is said instead of a page that is not there.
const ABSENT: &str = "this build of sandbar has no page: `make build` makes one (it needs Node 20 and npm) and puts it \
                      into the program; the HTTP API works without it\n";

/// A route for every file, and `/` for the page itself.
pub(super) fn router() -> Router<Shared> {
    let router = Router::new().route("/", get(async |headers: HeaderMap| answer(INDEX, &headers)));
    Built::iter().filter(|path| !path.ends_with(COMPRESSED)).fold(router, |router, path| {
        let route = format!("/{path}");
        router.route(&route, get(async move |headers: HeaderMap| answer(&path, &headers)))
    })
}

fn answer(path: &str, headers: &HeaderMap) -> Response {
    let Some(plain) = Built::get(path) else { return (StatusCode::NOT_FOUND, ABSENT).into_response() };
    // Weak: both forms have it.
    let tag = format!("W/\"{}\"", data_encoding::HEXLOWER.encode(&plain.metadata.sha256_hash()[..16]));
    let known = is_known(headers, &tag);
    let compressed = if takes_gzip(headers) { Built::get(&format!("{path}{COMPRESSED}")) } else { None };
    let encoded = compressed.is_some();
    let bytes = bytes(compressed.unwrap_or(plain));
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { bytes.into_response() };
    let lasting = if path.starts_with(HASHED) { FOR_EVER } else { "no-cache" };
    let told = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, lasting),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::VARY, "accept-encoding"),
    ] {
        told.insert(name, HeaderValue::from_static(value));
    }
    told.extend(HeaderValue::from_str(&tag).ok().map(|tag| (header::ETAG, tag)));
    if !known {
        told.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(path)));
        if encoded {
            told.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }
    response
}

fn bytes(file: EmbeddedFile) -> Bytes {
    match file.data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    }
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    words(headers, &header::ACCEPT_ENCODING).any(|word| {
        let mut parts = word.split(';').map(str::trim);
        let refused = |part: &str| part.strip_prefix("q=").is_some_and(|share| share.parse() == Ok(0.0));
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip")) && !parts.any(refused)
    })
}

fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let same = |word: &str| word == "*" || word.trim_start_matches("W/") == tag.trim_start_matches("W/");
    words(headers, &header::IF_NONE_MATCH).any(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_file_is_compressed_for_those_who_take_it() {
        let takes = |value| takes_gzip(&with(header::ACCEPT_ENCODING, value));
        assert!(takes("gzip") && takes("br, GZip;q=0.5") && takes("deflate,gzip"));
        assert!(!takes("br") && !takes("gzip;q=0") && !takes("br, gzip; q=0.000") && !takes("gzippy"));
    }

    #[test]
    fn what_a_browser_has_is_not_sent_again() {
        let known = |value| is_known(&with(header::IF_NONE_MATCH, value), "W/\"a\"");
        assert!(known("W/\"a\"") && known("\"b\", \"a\"") && known("*"));
        assert!(!known("\"b\"") && !is_known(&HeaderMap::new(), "W/\"a\""));
    }

    #[test]
    fn a_file_that_is_not_there_is_said_in_a_sentence() {
        let response = answer("none.html", &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert!(ABSENT.contains("`make build` makes one") && ABSENT.ends_with('\n'));
    }
}
