use super::*;
use crate::claims::fake::warm;
use crate::claims::fresh_id;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;

fn names(candidates: &[&Sandbox]) -> Vec<String> {
    candidates.iter().map(|each| each.metadata.name.clone().expect("a name")).collect()
}

fn changed(patch: serde_json::Value) -> Sandbox {
    let mut value = serde_json::to_value(warm("p", 0)).expect("JSON");
    for (pointer, new) in patch.as_object().expect("pointers") {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        value.pointer_mut(parent).expect("a parent")[key] = new.clone();
    }
    serde_json::from_value(value).expect("a Sandbox")
}

#[test]
fn only_a_warm_unclaimed_answering_member_can_be_claimed() {
    assert!(claimable(&warm("p", 0)));
    let condition = |status: &str| {
        json!({"/status/conditions": [{"type": "AgentReady", "status": status, "reason": "x", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]})
    };
    assert!(claimable(&changed(condition("True"))));
    assert!(!claimable(&changed(condition("False"))));
    for phase in ["Pending", "Creating", "Booting", "Claimed", "Terminating", "Failed", "Ended"] {
        assert!(!claimable(&changed(json!({"/status/phase": phase}))), "{phase}");
    }
    assert!(!claimable(&changed(json!({"/metadata/deletionTimestamp": "2026-01-01T00:00:00Z"}))));
    assert!(!claimable(&changed(json!({"/spec/claim": {"id": "a", "holder": "b", "ttl": "1m"}}))));
    assert!(!claimable(&changed(json!({"/spec/slot": null, "/spec/template": null}))));
}

#[test]
fn a_crowd_spreads_over_the_members() {
    let members: Vec<_> = (0..10).map(|slot| warm("p", slot)).collect();
    let mut first = BTreeMap::<String, u32>::new();
    for _ in 0..1000 {
        *first.entry(names(&in_order(&members, &fresh_id()))[0].clone()).or_default() += 1;
    }
    assert_eq!(first.len(), 10);
    assert!(first.values().all(|count| (50..200).contains(count)), "{first:?}");
}

proptest! {
    #[test]
    fn an_order_is_complete_and_depends_on_the_id_alone(id in "[a-z]{1,20}", count in 0_i32..40, turn in 0_usize..40) {
        let members: Vec<_> = (0..count).map(|slot| warm("p", slot)).collect();
        let mut turned = members.clone();
        if count > 0 {
            turned.rotate_left(turn % members.len());
        }
        let order = names(&in_order(&members, &id));
        prop_assert_eq!(&order, &names(&in_order(&turned, &id)));
        let mut sorted = order;
        sorted.sort();
        sorted.dedup();
        prop_assert_eq!(sorted.len(), members.len());
    }
}
