use super::*;

fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| ((*name).parse().expect("a name"), value.parse().expect("a value"))).collect()
}

#[test]
fn an_error_is_told_in_the_providers_words_or_by_its_status() {
    let cases: [(u16, &[u8], &str); 5] = [
        (422, br#"{"id": "unprocessable_entity", "message": "size is wrong"}"#, "422: size is wrong"),
        (500, br#"{"id": "server_error", "message": null}"#, "500: server_error"),
        (504, b"<html><body>Gateway Timeout</body></html>", "504: Gateway Timeout"),
        (502, b"", "502: Bad Gateway"),
        (599, b"[1, 2", "599: no explanation"),
    ];
    for (status, body, said) in cases {
        assert_eq!(words(StatusCode::from_u16(status).expect("a status"), body), said);
    }
}

#[test]
fn an_endless_message_is_cut() {
    let body = serde_json::json!({"message": "x".repeat(100_000)}).to_string();
    assert_eq!(words(StatusCode::BAD_REQUEST, body.as_bytes()).len(), MESSAGE);
}

#[test]
fn a_429_waits_as_long_as_its_headers_say() {
    let pause = |headers: &HeaderMap| pause(headers, Timestamp::now());
    let in_90 = (Timestamp::now().as_second() + 90).to_string();
    let reset = pause(&headers(&[("ratelimit-reset", in_90.clone())]));
    assert!((88..=90).contains(&reset.as_secs()), "{reset:?}");
    let both = [("retry-after", "7".to_owned()), ("ratelimit-reset", in_90)];
    assert_eq!(pause(&headers(&both)), Duration::from_secs(7));
    assert_eq!(pause(&headers(&[])), UNTOLD_PAUSE);
    assert_eq!(pause(&headers(&[("retry-after", "soon".to_owned())])), UNTOLD_PAUSE);
    assert_eq!(pause(&headers(&[("retry-after", "99999999".to_owned())])), LONGEST_PAUSE);
    assert_eq!(pause(&headers(&[("ratelimit-reset", "1".to_owned())])), UNTOLD_PAUSE, "a reset that is past");
}

#[test]
fn a_reset_is_told_by_the_providers_clock_not_by_ours() {
    // The provider's clock is ten minutes behind ours, and two minutes before the reset.
    let theirs = Timestamp::now() - jiff::SignedDuration::from_mins(10);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&theirs).expect("a date");
    let reset = (theirs.as_second() + 120).to_string();
    let pause = pause(&headers(&[("date", date), ("ratelimit-reset", reset)]), Timestamp::now());
    assert_eq!(pause, Duration::from_secs(120));
}

#[test]
fn an_address_that_is_none_is_refused_with_the_way_out() {
    for base in ["", "api.digitalocean.com", "ftp://x", "http://"] {
        let token = Secret::new("t".to_owned());
        let error = Http::new(base, token, Arc::default(), &Timing::default()).err().expect(base);
        assert_eq!(error.class, ErrorClass::Invalid);
        assert!(error.message.contains(&format!("{base:?}")) && error.message.contains("https://"), "{error}");
    }
}
