//! `doctl`, DigitalOcean's own command line, against the simulated cloud; skipped where there is none on the PATH.

use super::support::{Cloud, TOKEN, instant, until};
use sandbar::cloudsim::admin::{Fault, Op, Rule, Seconds, Shape, State};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// A cloud, and a doctl that knows nothing else.
struct Doctl {
    cloud: Cloud,
    folder: tempfile::TempDir,
}

/// What one call of doctl did.
struct Did {
    succeeded: bool,
    out: Value,
    errors: String,
}

impl Doctl {
    /// None, with a word on standard error, where there is no doctl.
    async fn start(ready_seconds: f64) -> Option<Self> {
        if std::process::Command::new("doctl").arg("version").output().is_err() {
            eprintln!("skipped: there is no doctl on the PATH, so the simulated cloud cannot be tried with it");
            return None;
        }
        let mut settings = instant();
        settings.timings.ready_seconds = Seconds::Fixed(ready_seconds);
        Some(Self { cloud: Cloud::start(settings).await, folder: tempfile::tempdir().expect("a folder") })
    }

    async fn run(&self, arguments: &[&str]) -> Did {
        let mut command = Command::new("doctl");
        command
            .args(arguments)
            .args(["--output", "json"])
            .env("HOME", self.folder.path())
            .env("XDG_CONFIG_HOME", self.folder.path())
            .env("DIGITALOCEAN_API_URL", self.cloud.client.url())
            .env("DIGITALOCEAN_ACCESS_TOKEN", TOKEN)
            .env("DIGITALOCEAN_HTTP_RETRY_WAIT_MAX", "1")
            .kill_on_drop(true);
        let output = command.output().await.expect("doctl runs");
        // What an error is written to depends on the kind of output.
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = format!("{}{said}", String::from_utf8_lossy(&output.stderr));
        Did { succeeded: output.status.success(), out: serde_json::from_str(&said).unwrap_or_default(), errors }
    }

    /// A call that must succeed; gives the JSON it printed.
    async fn ok(&self, arguments: &[&str]) -> Value {
        let did = self.run(arguments).await;
        assert!(did.succeeded, "doctl {arguments:?}: {}", did.errors);
        did.out
    }

    /// A call that must fail; gives what it said.
    async fn refused(&self, arguments: &[&str]) -> String {
        let did = self.run(arguments).await;
        assert!(!did.succeeded, "doctl {arguments:?}: {}", did.out);
        did.errors
    }

    /// A spec as people write them, in a file.
    fn spec(&self, name: &str) -> PathBuf {
        let file = self.folder.path().join(format!("{name}.yaml"));
        let text = format!(
            "name: {name}\nregion: nyc1\nservices:\n  - name: sandbox\n    http_port: 8080\n    \
             instance_size_slug: apps-s-1vcpu-1gb\n    \
             image: {{registry_type: GHCR, registry: example, repository: sandbox-python, tag: latest}}\n    \
             envs:\n      - {{key: SANDBOX_API_TOKEN, value: hidden, scope: RUN_TIME, type: SECRET}}\n"
        );
        std::fs::write(&file, text).expect("a file");
        file
    }

    async fn create(&self, name: &str) -> Value {
        let file = self.spec(name);
        self.ok(&["apps", "create", "--spec", text(&file)]).await[0].clone()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

#[tokio::test(flavor = "multi_thread")]
async fn doctl_drives_the_whole_life_of_apps() {
    let Some(doctl) = Doctl::start(0.3).await else { return };
    let made = doctl.create("web-1").await;
    assert!(made["pending_deployment"]["id"].is_string() && made["active_deployment"].is_null(), "{made}");
    let id = made["id"].as_str().expect("an id").to_owned();
    let app = until("live_url", async || {
        let app = doctl.ok(&["apps", "get", &id]).await[0].clone();
        app["live_url"].is_string().then_some(app)
    })
    .await;
    assert_eq!(app["active_deployment"]["id"], made["pending_deployment"]["id"]);
    assert_eq!(
        (&app["active_deployment"]["phase"], &app["region"]["slug"]),
        (&"ACTIVE".into(), &"nyc".into()),
        "{app}"
    );
    let deployments = doctl.ok(&["apps", "list-deployments", &id]).await;
    let deployment = deployments[0]["id"].as_str().expect("a deployment").to_owned();
    let deployment = doctl.ok(&["apps", "get-deployment", &id, &deployment]).await;
    assert_eq!(deployment[0]["progress"]["success_steps"], deployment[0]["progress"]["total_steps"], "{deployment}");
    let spec = doctl.ok(&["apps", "spec", "get", &id, "--format", "json"]).await;
    let secret = spec["services"][0]["envs"][0]["value"].as_str().unwrap_or_default().to_owned();
    assert!(secret.starts_with("EV[1:"), "{spec}");
    assert!(doctl.refused(&["apps", "create", "--spec", text(&doctl.spec("web-1"))]).await.contains("409"));
    doctl.ok(&["apps", "delete", &id, "--force"]).await;
    assert!(doctl.refused(&["apps", "get", &id]).await.contains("404"));
    assert!(doctl.refused(&["apps", "delete", &id, "--force"]).await.contains("404"));
    let ledger = doctl.cloud.ledger().await;
    assert_eq!((ledger.apps.len(), ledger.apps[0].state), (1, State::Gone));
}

#[tokio::test(flavor = "multi_thread")]
async fn doctl_reads_specs_sizes_regions_and_the_account() {
    let Some(doctl) = Doctl::start(0.0).await else { return };
    let proposed = doctl.ok(&["apps", "propose", "--spec", text(&doctl.spec("web-1"))]).await;
    assert_eq!((&proposed["app_name_available"], &proposed["app_cost"]), (&true.into(), &12.into()), "{proposed}");
    let bad = doctl.spec("web-2");
    let spec = std::fs::read_to_string(&bad).expect("the spec").replace("1vcpu-1gb", "9vcpu-9gb");
    std::fs::write(&bad, spec).expect("a file");
    assert!(doctl.refused(&["apps", "spec", "validate", text(&bad)]).await.contains("services[0].instance_size_slug"));
    let sizes = doctl.ok(&["apps", "tier", "instance-size", "list"]).await;
    assert!(
        sizes.as_array().is_some_and(|sizes| sizes.iter().any(|size| size["slug"] == "apps-s-1vcpu-1gb")),
        "{sizes}"
    );
    let regions = doctl.ok(&["apps", "list-regions"]).await;
    assert!(
        regions.as_array().is_some_and(|regions| regions.iter().any(|region| region["slug"] == "nyc")),
        "{regions}"
    );
    let account = doctl.ok(&["account", "get"]).await;
    assert!(account["team"]["uuid"].is_string(), "{account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctl_lists_every_page() {
    let Some(doctl) = Doctl::start(0.0).await else { return };
    for number in 0..203 {
        doctl.cloud.client.create(&format!("many-{number}")).await;
    }
    let listed = doctl.ok(&["apps", "list"]).await;
    assert_eq!(listed.as_array().map(Vec::len), Some(203));
    assert_eq!(doctl.cloud.admin.summary().await.expect("a summary").of("default", Op::List), 2, "200 fit on a page");
}

/// What makes the library lose apps: doctl repeats a POST whose answer was lost, meets the app that it made itself, and
/// calls that a failure.
#[tokio::test(flavor = "multi_thread")]
async fn doctl_repeats_a_create_whose_reply_was_lost_and_is_refused_by_its_own_app() {
    let Some(doctl) = Doctl::start(0.0).await else { return };
    let lost = Rule::new(Fault::ErrorAfter(Shape::Html { status: 504 })).on([Op::Create]).times(1);
    doctl.cloud.admin.set_rules("default", [lost]).await.expect("a fault");
    assert!(doctl.refused(&["apps", "create", "--spec", text(&doctl.spec("web-1"))]).await.contains("409"));
    assert_eq!(doctl.cloud.ledger().await.existing().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctl_waits_for_the_rate_limit_as_long_as_it_is_told() {
    let Some(doctl) = Doctl::start(0.0).await else { return };
    let limited = Rule::new(Fault::TooManyRequests { retry_after: Some(1) }).times(2);
    doctl.cloud.admin.set_rules("default", [limited]).await.expect("a fault");
    doctl.create("web-1").await;
    assert_eq!(doctl.cloud.admin.summary().await.expect("a summary").of("default", Op::Create), 3);
}
