//! That the watcher sees what it is there to see.

use jiff::Timestamp;
use kube::api::DynamicObject;
use sandbar::cloudsim::admin::{Call, Entry, Ledger};
use sandbar::providers::instance_name;
use serde_json::{Value, json};

use super::book::Book;
use super::{Leeway, judge};

const INSTALLATION: &str = "it";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_900_000_000 + second).expect("in range")
}

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).expect("an object")
}

/// Version 1 of a member; its attempt stands in the status.
fn member(uid: &str) -> Value {
    json!({
        "apiVersion": "sandbar.dev/v1alpha1", "kind": "Sandbox",
        "metadata": {"name": format!("python-{uid}"), "uid": uid, "resourceVersion": "1",
            "creationTimestamp": at(0).to_string(), "finalizers": ["sandbar.dev/instance"]},
        "spec": {"slot": 0, "template": {"poolUid": "pool"}},
        "status": {"instance": {"attempt": 1, "name": instance_name(INSTALLATION, uid, 1)}},
    })
}

fn claimed(uid: &str, id: &str) -> Value {
    let mut member = member(uid);
    member["spec"]["claim"] = json!({"id": id, "holder": "ada", "ttl": "1m"});
    member
}

fn app(uid: &str, created: i64, gone: Option<i64>) -> Entry {
    let state = if gone.is_some() { "gone" } else { "active" };
    serde_json::from_value(json!({
        "id": format!("app-{uid}-{created}"), "name": instance_name(INSTALLATION, uid, 1), "account": "a",
        "marks": {"SANDBAR_INSTALLATION": INSTALLATION, "SANDBAR_UID": uid, "SANDBAR_ATTEMPT": "1",
            "SANDBAR_POOL_UID": "pool"},
        "region": "nyc", "size": "s", "state": state, "created": at(created).to_string(), "ready": null,
        "gone": gone.map(|gone| at(gone).to_string()), "vanished": false, "deployments": 1, "usd": 0.0,
    }))
    .expect("an entry")
}

/// A book in which a pool of two was seen, and these versions of Sandboxes at these seconds.
fn book(seen: &[(i64, Value)]) -> Book {
    let mut book = Book::default();
    let pool = json!({"apiVersion": "sandbar.dev/v1alpha1", "kind": "SandboxPool",
        "metadata": {"name": "python", "uid": "pool"}, "spec": {"limits": {"maxSandboxes": 2}}});
    book.pool(&object(pool), at(0));
    for (second, value) in seen {
        book.sandbox(&object(value.clone()), at(*second));
    }
    book
}

/// What is found in the end, by the invariants' ids.
fn found(book: &Book, apps: Vec<Entry>, calls: &[Call], leeway: Leeway) -> Vec<String> {
    let mut broken = book.broken.clone();
    let ledger = Ledger { apps, ..Ledger::default() };
    judge::whole(book, &ledger, calls, INSTALLATION, leeway, &mut broken);
    broken.iter().map(|line| line[..2].to_owned()).collect()
}

fn none(book: &Book, apps: Vec<Entry>) -> Vec<String> {
    found(book, apps, &[], Leeway::default())
}

#[test]
fn a_quiet_life_breaks_nothing() {
    let mut book = book(&[(0, member("u")), (1, claimed("u", "run-1"))]);
    let mut over = claimed("u", "run-1");
    over["metadata"]["deletionTimestamp"] = at(61).to_string().into();
    let gone = book.sandbox_gone(&object(over), at(63));
    assert_eq!(gone, ["u"]);
    let ledger = Ledger { apps: vec![app("u", 1, Some(62))], ..Ledger::default() };
    judge::gone(&mut book, "u", &ledger);
    assert_eq!(none(&book, ledger.apps), [""; 0]);
}

#[test]
fn a_claim_that_changes_vanishes_or_is_twice_is_seen_s6() {
    for other in [member("u"), claimed("u", "run-2")] {
        assert_eq!(none(&book(&[(0, claimed("u", "run-1")), (1, other)]), vec![]), ["S6"]);
    }
    assert_eq!(none(&book(&[(0, claimed("u", "run-1")), (1, claimed("v", "run-1"))]), vec![]), ["S6"]);
}

#[test]
fn a_claimed_member_deleted_before_its_time_is_seen_unless_somebody_may_s7() {
    let deleted = |second: i64| {
        let mut member = claimed("u", "run-1");
        member["metadata"]["deletionTimestamp"] = at(second).to_string().into();
        member
    };
    // Two seconds are what whole seconds and the operator's knowledge of the clock can hide.
    let ends = |second: i64| none(&book(&[(0, claimed("u", "run-1")), (second, deleted(second))]), vec![]);
    assert_eq!((ends(57), ends(58)), (vec!["S7".to_owned()], vec![]));
    let mut told = book(&[(0, claimed("u", "run-1"))]);
    told.told.insert("run-1".to_owned());
    told.sandbox(&object(deleted(50)), at(50));
    assert_eq!(none(&told, vec![]), [""; 0]);
}

#[test]
fn a_member_let_go_while_its_app_exists_is_seen_s4() {
    let mut book = book(&[(0, member("u"))]);
    book.sandbox_gone(&object(member("u")), at(10));
    let ledger = Ledger { apps: vec![app("u", 1, Some(11))], ..Ledger::default() };
    judge::gone(&mut book, "u", &ledger);
    assert_eq!(none(&book, ledger.apps), ["S4"]);
}

#[test]
fn one_that_sleeps_while_its_app_exists_or_its_files_are_not_kept_is_seen_s4() {
    let asleep = |kept: bool| {
        let mut member = claimed("u", "run-1");
        member["status"]["phase"] = "Hibernated".into();
        member["status"]["hibernation"] = if kept { json!({"savedAt": at(5).to_string()}) } else { json!({}) };
        member
    };
    let slept = book(&[(0, claimed("u", "run-1")), (10, asleep(true))]);
    assert_eq!(none(&slept, vec![app("u", 1, Some(9))]), [""; 0]);
    assert_eq!(none(&slept, vec![app("u", 1, Some(11))]), ["S4"]);
    assert_eq!(none(&slept, vec![app("u", 1, None)]), ["S4"]);
    assert_eq!(none(&book(&[(0, claimed("u", "run-1")), (10, asleep(false))]), vec![]), ["fi"], "files");
}

#[test]
fn two_apps_or_two_names_of_one_attempt_are_seen_s1() {
    let seen = book(&[(0, member("u"))]);
    let twice = vec![app("u", 1, Some(9)), app("u", 5, None)];
    assert_eq!(none(&seen, twice), ["S1", "S1"], "at once, and of one attempt");
    assert_eq!(none(&seen, vec![app("u", 1, Some(4)), app("u", 5, None)]), ["S1"], "of one attempt");
    let mut renamed = member("u");
    renamed["status"]["instance"]["name"] = "sb-other".into();
    assert_eq!(none(&book(&[(0, member("u")), (1, renamed)]), vec![]), ["S1"]);
}

#[test]
fn an_app_above_the_limit_is_seen_and_one_in_the_network_is_allowed_s5() {
    let seen = book(&[(0, member("u")), (0, member("v")), (0, member("w"))]);
    let apps = || vec![app("u", 1, None), app("v", 2, None), app("w", 3, None)];
    assert_eq!(none(&seen, apps()), ["S5"]);
    assert_eq!(found(&seen, apps(), &[], Leeway { in_network: 1 }), [""; 0]);
    assert_eq!(none(&seen, vec![app("u", 1, Some(3)), app("v", 2, None), app("w", 3, None)]), [""; 0]);
}

#[test]
fn an_app_for_nobody_or_without_a_written_attempt_is_seen_s2() {
    assert_eq!(none(&book(&[]), vec![app("u", 1, None)]), ["S2"]);
    let mut unwritten = member("u");
    unwritten["status"] = json!({});
    assert_eq!(none(&book(&[(0, unwritten)]), vec![app("u", 1, None)]), ["S2"]);
    let mut bare = member("u");
    bare["metadata"]["finalizers"] = json!([]);
    assert_eq!(none(&book(&[(0, bare)]), vec![app("u", 1, None)]), ["S2"]);
}

#[test]
fn a_foreign_app_that_is_ended_or_asked_to_end_is_seen_s9() {
    let foreign = |gone| Entry { name: "by-hand".to_owned(), ..app("u", 1, gone) };
    assert_eq!(none(&book(&[]), vec![foreign(Some(3))]), ["S9"]);
    let call: Call = serde_json::from_value(json!({"seq": 1, "time": at(2).to_string(), "account": "a",
        "op": "delete", "method": "DELETE", "path": "/v2/apps/app-u-1", "status": 500, "faults": [], "effect": false}))
    .expect("a call");
    assert_eq!(found(&book(&[]), vec![foreign(None)], &[call], Leeway::default()), ["S9"]);
    let mut neighbour = foreign(Some(3));
    neighbour.marks.insert("SANDBAR_INSTALLATION".to_owned(), "next-door".to_owned());
    let mut next_door = book(&[]);
    next_door.neighbours.insert("next-door".to_owned());
    assert_eq!(none(&next_door, vec![neighbour]), [""; 0]);
}
