use super::*;
use crate::providers::Marks;
use proptest::prelude::*;

fn instance(id: &str, installation: &str, uid: &str) -> Instance {
    Instance {
        id: id.to_owned(),
        name: format!("sb-{id}"),
        marks: Some(Marks {
            installation: installation.to_owned(),
            namespace: "ns".to_owned(),
            name: format!("name-{uid}"),
            uid: uid.to_owned(),
            attempt: 1,
            pool_uid: "pool".to_owned(),
            spec_hash: "hash".to_owned(),
        }),
        phase: InstancePhase::Running,
        deployment_id: Some("d".to_owned()),
        url: None,
        created_at: None,
    }
}

fn view(instances: Vec<Instance>) -> AccountView {
    AccountView::new(Listing { began: Instant::now(), instances, pages: 1 }, None, "ours")
}

fn uids(older: Option<&AccountView>, newer: &AccountView) -> Vec<String> {
    changes(older, newer).into_iter().map(|change| change.uid).collect()
}

#[test]
fn other_installations_are_found_by_name_only_s9() {
    let unmarked = Instance { marks: None, ..instance("c", "ours", "z") };
    let view = view(vec![instance("a", "ours", "x"), instance("b", "theirs", "y"), unmarked]);
    assert_eq!(view.of_uid("x").count(), 1);
    assert_eq!(view.of_uid("y").count(), 0);
    assert_eq!(view.with_pool_uid("pool").map(|found| found.id.as_str()).collect::<Vec<_>>(), ["a"]);
    for name in ["sb-a", "sb-b", "sb-c"] {
        assert!(view.by_name(name).is_some(), "{name}");
    }
}

#[test]
fn two_instances_of_one_sandbox_are_both_found() {
    let view = view(vec![instance("a", "ours", "x"), instance("b", "ours", "x")]);
    assert_eq!(view.of_uid("x").count(), 2);
}

#[test]
fn only_what_changed_is_told() {
    let older = view(vec![instance("same", "ours", "1"), instance("gone", "ours", "2"), instance("new", "ours", "3")]);
    let mut booted = instance("new", "ours", "3");
    booted.url = Some("https://x".to_owned());
    let newer = view(vec![instance("same", "ours", "1"), booted, instance("made", "ours", "4")]);
    assert_eq!(uids(Some(&older), &newer), ["2", "3", "4"]);
    assert_eq!(uids(None, &newer), ["1", "3", "4"]);
}

#[test]
fn instances_of_others_are_no_news_s9() {
    assert!(uids(None, &view(vec![instance("a", "theirs", "1")])).is_empty());
}

proptest! {
    #[test]
    fn an_unchanged_account_is_no_news_s10(count in 0_usize..50) {
        let make = || view((0..count).map(|n| instance(&n.to_string(), "ours", &n.to_string())).collect());
        prop_assert!(changes(Some(&make()), &make()).is_empty());
    }
}
