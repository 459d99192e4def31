//! What ships for Prometheus and Grafana: the rules work, each alert has its section in the runbook, and nothing asks for
//! a metric that there is not.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sandbar::telemetry::metrics::{ClaimOutcome, Metrics, PoolCounts, ReconcileOutcome};
use serde_json::Value;

use super::cluster::ROOT;

/// Endings that a family of one kind or another has in the exposition.
const ENDINGS: [&str; 5] = ["_total", "_bucket", "_sum", "_count", "_info"];

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Words in a text that can only be names of our metrics.
fn metrics(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("sandbar_")).collect()
}

/// What an operator serves: each family is shown once it has something to show.
fn exposition() -> String {
    let metrics = Metrics::new();
    metrics.pool("n", "p", PoolCounts::default());
    metrics.pool_cost("n", "p", 0.0);
    metrics.pool_cost_to_date("n", "p", 0.0);
    metrics.claim("n", "p", ClaimOutcome::Warm, Duration::ZERO);
    metrics.provider_call("digitalocean", "create", "ok");
    metrics.budget("digitalocean", "0a", "hour", 1);
    metrics.orphans_seen("digitalocean", 1);
    metrics.orphans_deleted("digitalocean", 1);
    metrics.reconcile("sandbox", ReconcileOutcome::Completed, Duration::ZERO);
    metrics.exposition()
}

/// The families, without their endings.
fn families() -> BTreeSet<String> {
    let text = exposition();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    types.map(str::to_owned).collect()
}

/// Name, type and labels of every metric, as the reference has them.
fn served() -> BTreeSet<(String, String, BTreeSet<String>)> {
    let text = exposition();
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    families
        .map(|(family, kind)| {
            let ending = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            let samples = text.lines().filter(|line| line.starts_with(family) && line.contains('{'));
            let labels = samples.filter_map(|line| line.split_once('{')?.1.split_once('}')).flat_map(|(all, _)| {
                all.split(',').filter_map(|label| label.split_once('=')).map(|(name, _)| name.to_owned())
            });
            (format!("{family}{ending}"), kind.to_owned(), labels.filter(|label| label != "le").collect())
        })
        .collect()
}

#[test]
fn the_reference_lists_every_metric_with_its_type_and_labels() {
    let text = read("docs/src/reference/metrics.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let told = rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        // Without the values that a label can have.
        let bare = cells[3].split('(').map(|part| part.rsplit(')').next().unwrap_or_default()).collect::<String>();
        let labels = bare.split(',').map(|label| label.trim().to_owned()).collect();
        (cells[1].trim_matches('`').to_owned(), cells[2].to_owned(), labels)
    });
    assert_eq!(told.collect::<BTreeSet<_>>(), served());
}

#[track_caller]
fn all_exist(asked: &BTreeSet<&str>) {
    let families = families();
    assert!(families.len() >= 10 && !asked.is_empty(), "{families:?}, {asked:?}");
    for metric in asked {
        let bare = ENDINGS.iter().find_map(|ending| metric.strip_suffix(ending)).unwrap_or(metric);
        assert!(families.contains(bare) || families.contains(*metric), "there is no {metric}: {families:?}");
    }
}

/// Runs Prometheus' own tool, where it is.
fn promtool(arguments: &[&str]) {
    let run = Command::new("promtool").args(arguments).current_dir(Path::new(ROOT).join("deploy/monitoring")).output();
    let Ok(output) = run else {
        eprintln!("SKIPPED: there is no promtool; Debian has it in package prometheus");
        return;
    };
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn every_alert_is_raised_by_what_it_is_for_and_has_a_runbook() {
    let text = read("deploy/monitoring/alerts.yaml");
    promtool(&["check", "rules", "alerts.yaml"]);
    promtool(&["test", "rules", "alerts_test.yaml"]);
    let rules: Value = serde_yaml::from_str(&text).expect("YAML");
    let rules = rules["groups"][0]["rules"].as_array().expect("rules").clone();
    let (runbook, tests) = (read("docs/src/operations/runbook.md"), read("deploy/monitoring/alerts_test.yaml"));
    for rule in &rules {
        let name = rule["alert"].as_str().expect("a name");
        assert!(runbook.contains(&format!("\n## {name}\n")), "the runbook has no section {name}");
        let anchor = format!("docs/src/operations/runbook.md#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook_url"], anchor, "{name}");
        // Once where it is quiet, once where it is raised.
        assert_eq!(tests.matches(&format!("alertname: {name}")).count(), 2, "{name} is tested both ways");
        all_exist(&metrics(rule["expr"].as_str().expect("an expression")));
    }
    assert_eq!(runbook.matches("\n## ").count(), rules.len(), "a section for each and no other");
}

#[test]
fn every_panel_asks_for_what_there_is() {
    let dashboard: Value = serde_json::from_str(&read("deploy/monitoring/dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let asked: Vec<&str> = targets.map(|target| target["expr"].as_str().expect("an expression")).collect();
    asked.iter().for_each(|expression| all_exist(&metrics(expression)));
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let known: Vec<String> =
        variables.iter().map(|one| format!("${}", one["name"].as_str().expect("a name"))).collect();
    assert!(["$namespace", "$pool"].iter().all(|name| known.iter().any(|one| one == name)), "{known:?}");
    // Prometheus itself reads each expression, with what Grafana would put in.
    let rules = asked.iter().enumerate().map(|(number, expression)| {
        let expression =
            expression.replace("$__rate_interval", "5m").replace("$namespace", ".*").replace("$pool", ".*");
        serde_json::json!({"record": format!("panel:{number}"), "expr": expression})
    });
    let file = tempfile::NamedTempFile::new().expect("a file");
    let rules = serde_json::json!({"groups": [{"name": "panels", "rules": rules.collect::<Vec<_>>()}]});
    std::fs::write(file.path(), rules.to_string()).expect("written");
    promtool(&["check", "rules", file.path().to_str().expect("UTF-8")]);
}
