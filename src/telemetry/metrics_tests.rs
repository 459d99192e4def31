use super::*;
use std::collections::{BTreeMap, BTreeSet};

/// Reads OpenMetrics text: every line is a comment of a known kind or a
/// series with a number, every family is described before its series, and the
/// text ends as it must.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut series = BTreeMap::new();
    let mut families = BTreeSet::new();
    let body = text.strip_suffix("# EOF\n").expect("the end mark");
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (kind, family) = (words.next().unwrap(), words.next().unwrap());
            assert!(["HELP", "TYPE", "UNIT"].contains(&kind), "{line}");
            families.insert(family.to_owned());
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("a value");
        let family = name.split('{').next().unwrap();
        let suffixes = ["", "_total", "_info", "_sum", "_count", "_bucket"];
        let described = |suffix: &str| family.strip_suffix(suffix).is_some_and(|family| families.contains(family));
        assert!(suffixes.into_iter().any(described), "{family} is not described");
        let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        assert!(series.insert(name.to_owned(), value).is_none(), "twice: {name}");
    }
    series
}

fn filled() -> Metrics {
    let metrics = Metrics::new();
    let counts = PoolCounts { warm: 2, creating: 1, claimed: 3, failed: 4, total: 10, desired_warm: 5 };
    for pool in ["python", "node"] {
        metrics.pool("n", pool, counts);
        metrics.pool_cost("n", pool, 0.125);
        for &outcome in ClaimOutcome::ALL {
            metrics.claim("n", pool, outcome, Duration::from_millis(12));
        }
    }
    metrics.provider_call("digitalocean", "create", "ok");
    metrics.provider_call("digitalocean", "create", "limited");
    metrics.budget("digitalocean", "0a1b2c3d", "hour", 4999);
    metrics.orphans_seen("digitalocean", 2);
    metrics.orphans_deleted("digitalocean", 1);
    metrics.reconcile("sandbox", ReconcileOutcome::Completed, Duration::from_micros(300));
    metrics
}

#[test]
fn every_metric_is_there_under_its_name_with_its_value() {
    let series = parse(&filled().exposition());
    let expected = [
        (r#"sandbar_pool_sandboxes{namespace="n",pool="python",state="warm"}"#, 2.0),
        (r#"sandbar_pool_sandboxes{namespace="n",pool="python",state="creating"}"#, 1.0),
        (r#"sandbar_pool_sandboxes{namespace="n",pool="python",state="claimed"}"#, 3.0),
        (r#"sandbar_pool_sandboxes{namespace="n",pool="python",state="failed"}"#, 4.0),
        (r#"sandbar_pool_sandboxes{namespace="n",pool="python",state="total"}"#, 10.0),
        (r#"sandbar_pool_desired_warm{namespace="n",pool="python"}"#, 5.0),
        (r#"sandbar_pool_usd_per_hour{namespace="n",pool="python"}"#, 0.125),
        (r#"sandbar_claims_total{namespace="n",pool="python",outcome="cold"}"#, 1.0),
        (r#"sandbar_claim_duration_seconds_count{namespace="n",pool="python",outcome="warm"}"#, 1.0),
        (r#"sandbar_claim_duration_seconds_sum{namespace="n",pool="python",outcome="warm"}"#, 0.012),
        (r#"sandbar_provider_calls_total{provider="digitalocean",operation="create",class="limited"}"#, 1.0),
        (r#"sandbar_provider_budget_remaining{provider="digitalocean",token="0a1b2c3d",window="hour"}"#, 4999.0),
        (r#"sandbar_orphans_seen_total{provider="digitalocean"}"#, 2.0),
        (r#"sandbar_orphans_deleted_total{provider="digitalocean"}"#, 1.0),
        (r#"sandbar_reconciles_total{controller="sandbox",outcome="completed"}"#, 1.0),
        (r#"sandbar_reconcile_duration_seconds_bucket{le="0.0004",controller="sandbox"}"#, 1.0),
        (concat!(r#"sandbar_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""}"#), 1.0),
    ];
    for (name, value) in expected {
        assert_eq!(series.get(name), Some(&value), "{name} in {series:#?}");
    }
}

#[test]
fn a_deleted_pool_leaves_no_series_and_others_keep_theirs() {
    let metrics = filled();
    let before = parse(&metrics.exposition()).len();
    metrics.remove_pool("n", "python");
    let series = parse(&metrics.exposition());
    assert!(series.keys().all(|name| !name.contains("python")), "{series:#?}");
    let of_node = series.keys().filter(|name| name.contains("node")).count();
    assert_eq!(series.len() + of_node, before);
}

#[test]
fn a_token_no_longer_used_leaves_no_budget() {
    let metrics = filled();
    metrics.remove_budget("digitalocean", "0a1b2c3d");
    assert!(!metrics.exposition().contains("0a1b2c3d"));
}

#[test]
fn names_from_outside_cannot_break_the_text() {
    let metrics = Metrics::new();
    metrics.pool_cost("n", "a\"}\n\\", 1.0);
    assert_eq!(parse(&metrics.exposition()).len(), 2);
}

#[test]
fn a_token_label_tells_tokens_apart_and_nothing_of_them() {
    let label = |token: &str| token_label(&super::super::secret::Secret::new(token.to_owned()));
    assert_eq!(label("dop_v1_a"), label("dop_v1_a"));
    assert_ne!(label("dop_v1_a"), label("dop_v1_b"));
    assert_eq!(label("dop_v1_a").len(), 8);
}
