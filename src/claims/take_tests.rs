//! Unclear answers.

use super::*;
use crate::claims::fake::{Trick, claims_with, warm};
use std::sync::Arc;

fn wish(ttl: Option<Span>) -> ClaimWish {
    ClaimWish { holder: "ada".to_owned(), ttl, id: None }
}

#[tokio::test]
async fn a_claim_is_one_write_and_leaves_no_owner() {
    let (claims, server) = claims_with([warm("p", 0), warm("p", 1)], &[]);
    let claimed = claims.claim_warm("p", &wish(None)).await.expect("a claim");
    let server = server.lock().expect("no panic");
    assert_eq!((claimed.writes, server.writes, server.reads), (1, 1, 1));
    assert_eq!(server.held(), [claimed.id]);
    assert!(claimed.sandbox.metadata.owner_references.is_none_or(|owners| owners.is_empty()));
    assert_eq!(claimed.sandbox.spec.claim.expect("a claim").ttl, Some(Span::minutes(30)));
}

#[tokio::test]
async fn a_claim_from_a_watch_reads_nothing() {
    let known = [Arc::new(warm("p", 0)), Arc::new(warm("q", 0))];
    let (claims, server) = claims_with([warm("p", 0), warm("q", 0)], &[]);
    let claimed = claims.claim_from("p", &known, &wish(None)).await.expect("a claim");
    let server = server.lock().expect("no panic");
    assert_eq!((server.writes, server.reads), (1, 0));
    assert_eq!(claimed.sandbox.metadata.name.as_deref(), Some("p-0"));
}

/// Claims one of three members while this happens to the first writes; gives the writes sent.
async fn wins_once(tricks: &[Trick]) -> u32 {
    let (claims, server) = claims_with((0..3).map(|slot| warm("p", slot)), tricks);
    let claimed = claims.claim_warm("p", &wish(None)).await.expect("a claim");
    let server = server.lock().expect("no panic");
    let ours = server.held().iter().filter(|id| **id == claimed.id).count();
    assert_eq!(ours, 1, "{:?}", server.held());
    let name = claimed.sandbox.metadata.name.expect("a name");
    assert_eq!(server.objects[&name]["spec"]["claim"]["id"], claimed.id.as_str());
    assert_eq!(claimed.writes, server.writes);
    server.writes
}

#[tokio::test]
async fn a_lost_reply_after_the_effect_is_a_win_and_claims_nothing_else_s6() {
    assert_eq!(wins_once(&[Trick::LostReply]).await, 1);
}

#[tokio::test]
async fn a_conflict_with_our_own_repeated_write_is_a_win_s6() {
    assert_eq!(wins_once(&[Trick::SentTwice]).await, 1);
}

#[tokio::test]
async fn a_write_that_never_arrived_is_sent_again_to_the_same_member_s6() {
    assert_eq!(wins_once(&[Trick::NeverArrived]).await, 2);
    assert_eq!(wins_once(&[Trick::NeverArrived, Trick::LostReply]).await, 2);
}

#[tokio::test]
async fn a_status_write_in_between_does_not_cost_the_member() {
    assert_eq!(wins_once(&[Trick::StatusMoved]).await, 2);
}

#[tokio::test]
async fn who_was_overtaken_takes_another_member_s6() {
    assert_eq!(wins_once(&[Trick::Overtaken]).await, 2);
}

#[tokio::test]
async fn after_too_many_unclear_answers_nothing_else_is_touched_s6() {
    let (claims, server) = claims_with((0..3).map(|slot| warm("p", slot)), &[Trick::NeverArrived; 9]);
    let error = claims.claim_warm("p", &wish(None)).await.expect_err("unclear");
    assert!(matches!(error, ClaimError::Unclear { .. }), "{error}");
    let server = server.lock().expect("no panic");
    assert_eq!((server.held().len(), server.writes), (0, TRIES));
}

#[tokio::test]
async fn a_rule_that_says_no_to_a_free_member_is_reported_in_its_own_words() {
    let (claims, _server) = claims_with([warm("p", 0)], &[Trick::Refused]);
    let error = claims.claim_warm("p", &wish(None)).await.expect_err("refused");
    assert!(error.to_string().contains("B9: no"), "{error}");
}

#[tokio::test]
async fn more_time_than_the_pool_allows_is_refused_before_any_write_b9() {
    let (claims, server) = claims_with([warm("p", 0)], &[]);
    let error = claims.claim_warm("p", &wish(Some(Span::hours(25)))).await.expect_err("refused");
    assert_eq!(error.to_string(), "ttl 25h is more than the pool's claims.maxTTL (24h); ask for at most that");
    assert_eq!(server.lock().expect("no panic").writes, 0);
}

#[tokio::test]
async fn nothing_warm_is_said_without_a_write() {
    let mut held = warm("p", 0);
    held.spec.claim = Some(Claim {
        id: "x".into(),
        holder: "y".into(),
        ttl: Some(Span::minutes(1)),
        snapshot: None,
        app: None,
        for_: None,
        keep_ended: None,
    });
    let (claims, server) = claims_with([held], &[]);
    let error = claims.claim_warm("p", &wish(None)).await.expect_err("none");
    assert_eq!(error, ClaimError::NoneWarm { pool: "p".to_owned() });
    assert_eq!(server.lock().expect("no panic").writes, 0);
}
