//! A request happens once, however often it is asked for and whatever becomes of the answers.

use super::*;
use crate::claims::fake::{Trick, claims_with, warm};

fn wish() -> RequestWish {
    let (pool, holder) = ("p".to_owned(), "ada".to_owned());
    RequestWish {
        id: "job-1".to_owned(),
        pool,
        holder,
        ttl: Some(Span::minutes(10)),
        snapshot: None,
        app: None,
        keep_ended: None,
    }
}

#[tokio::test]
async fn asking_again_finds_the_same_request() {
    for tricks in [&[][..], &[Trick::LostReply], &[Trick::SentTwice], &[Trick::NeverArrived, Trick::LostReply]] {
        let (claims, server) = claims_with([], tricks);
        let first = claims.request(&wish()).await.expect("a request");
        let second = claims.request(&wish()).await.expect("the same");
        assert_eq!(first.metadata.uid, second.metadata.uid, "{tricks:?}");
        assert_eq!(server.lock().expect("no panic").objects.len(), 1);
    }
}

#[tokio::test]
async fn a_name_that_is_used_otherwise_is_a_conflict_that_names_the_difference() {
    let (claims, _server) = claims_with([warm("p", 1)], &[]);
    claims.request(&wish()).await.expect("a request");
    let differing = [
        (RequestWish { pool: "q".into(), ..wish() }, "spec.poolRef.name p, not q"),
        (RequestWish { holder: "bob".into(), ..wish() }, "spec.claim.holder ada, not bob"),
        (RequestWish { ttl: Some(Span::minutes(11)), ..wish() }, "spec.claim.ttl 10m, not 11m"),
        (RequestWish { id: "p-1".into(), ..wish() }, "spec.slot 1, not a request"),
    ];
    for (other, words) in differing {
        let error = claims.request(&other).await.expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
    }
    claims.request(&RequestWish { ttl: Some(Span::minutes(5)), ..wish() }).await.expect("an extended one is the same");
}

#[tokio::test]
async fn an_id_that_is_none_is_not_sent() {
    let (claims, server) = claims_with([], &[]);
    let error = claims.request(&RequestWish { id: "Job_1".into(), ..wish() }).await.expect_err("bad");
    assert!(matches!(error, RequestError::BadId(_)), "{error}");
    assert_eq!(server.lock().expect("no panic").writes, 0);
}
