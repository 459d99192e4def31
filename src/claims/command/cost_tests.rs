use super::*;
use serde_json::json;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).expect("in range")
}

fn usd(text: &str) -> Usd {
    text.parse().expect(text)
}

fn member(slot: i32, holder: Option<&str>, cost: serde_json::Value) -> Sandbox {
    let claim = holder.map(|holder| json!({"id": format!("run-{slot}"), "holder": holder, "ttl": "30m"}));
    serde_json::from_value(json!({
        "apiVersion": "sandbar.dev/v1alpha1", "kind": "Sandbox",
        "metadata": {"name": format!("python-{slot}"), "namespace": "ns", "uid": format!("uid-{slot}")},
        "spec": {"poolRef": {"name": "python"}, "slot": slot, "claim": claim},
        "status": {"claimedAt": holder.map(|_| at(500)), "cost": cost},
    }))
    .expect("a member")
}

fn pool(cost: serde_json::Value) -> SandboxPool {
    serde_json::from_value(json!({
        "apiVersion": "sandbar.dev/v1alpha1", "kind": "SandboxPool",
        "metadata": {"name": "python", "namespace": "ns"},
        "spec": {
            "provider": {"digitalOcean": {"credentialsRef": {"name": "do", "key": "token"}, "region": "nyc"}},
            "image": {"registryType": "GHCR", "registry": "example", "repository": "python", "tag": "1"},
            "budget": {"hourlyUsd": "10"},
        },
        "status": {"cost": cost},
    }))
    .expect("a pool")
}

#[test]
fn every_cost_is_counted_once_whoever_has_it_s14() {
    let running = json!({"usdPerHour": "3.6", "since": at(0)});
    let ended = json!({"settledUsd": "0.5", "endedAt": at(900)});
    let members = [
        member(0, None, running.clone()),
        member(1, Some("ada"), running),
        // Its cost is in the pool already.
        member(2, None, ended.clone()),
        // Its cost is not.
        member(3, None, ended),
        // Asked for, and not known to exist.
        member(4, None, json!({"usdPerHour": "3.6"})),
    ];
    let pool = pool(json!({"settledUsd": "2.5", "settling": ["uid-2"]}));
    let costs = costs(&[pool], &members, at(1000));
    let row = &costs.pools[0];
    assert_eq!((row.sandboxes, row.usd_per_hour, row.to_date_usd), (5, usd("7.2"), usd("5")));
    assert_eq!((row.hourly_budget_usd, row.monthly_budget_usd), (Some(usd("10")), None));
    let holder = &costs.holders[0];
    assert_eq!((holder.holder.as_str(), holder.sandboxes, holder.to_date_usd), ("ada", 1, usd("0.5")));
    let sum: Usd = costs.sandboxes.iter().map(|sandbox| sandbox.to_date_usd).sum();
    assert_eq!(sum, usd("3"));
}

#[test]
fn what_members_tell_and_what_the_pool_tells_is_the_same_s14() {
    let members = [
        member(0, None, json!({"usdPerHour": "3.6", "since": at(0)})),
        member(1, None, json!({"usdPerHour": "7.2", "since": at(300)})),
    ];
    let pool = pool(json!({"settledUsd": "1", "usdPerHour": "10.8", "since": at(200)}));
    let stored = pool.status.as_ref().and_then(|status| status.cost.clone()).expect("a cost");
    assert_eq!(costs(&[pool], &members, at(1000)).pools[0].to_date_usd, stored.to_date(at(1000)));
}
