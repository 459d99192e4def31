//! Apps and deployments as JSON of the API.

use super::app::{App, Deployment, Outcome, Phase};
use super::catalog;
use super::clock::Clock;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// How the real cloud writes a time that it does not know.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// What decides how an app looks, besides the app.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub now: Timestamp,
    pub clock: Clock,
    /// Address of the simulator, for apps without a process.
    pub base: &'a str,
    pub owner: &'a str,
    pub with_project: bool,
    /// Optional members are null instead of absent.
    pub nulls: bool,
    /// Times that do not matter are the zero time.
    pub zero_times: bool,
}

/// Members of an app that may be absent, for [`View::nulls`].
const OPTIONAL: [&str; 10] = [
    "active_deployment",
    "in_progress_deployment",
    "pending_deployment",
    "pinned_deployment",
    "live_url",
    "live_url_base",
    "live_domain",
    "default_ingress",
    "domains",
    "dedicated_ips",
];

impl View<'_> {
    /// Times are written to the second.
    fn time(&self, time: Timestamp) -> Value {
        Timestamp::from_second(time.as_second()).map_or_else(|_| ZERO_TIME.into(), |time| time.to_string().into())
    }

    fn minor_time(&self, time: Timestamp) -> Value {
        if self.zero_times { ZERO_TIME.into() } else { self.time(time) }
    }

    /// The address at which the app is reached.
    pub fn url(&self, app: &App) -> String {
        app.address.clone().unwrap_or_else(|| format!("{}/_app/{}", self.base, app.id))
    }

    /// The app as a get or a list shows it.
    pub fn app(&self, app: &App) -> Value {
        let mut wire = Map::new();
        let mut put = |key: &str, value: Value| wire.insert(key.to_owned(), value);
        put("id", app.id.clone().into());
        put("owner_uuid", self.owner.into());
        put("spec", app.spec.clone());
        put("created_at", self.time(app.created));
        put("updated_at", self.time(app.updated));
        put("last_deployment_created_at", self.time(app.deployments[app.deployments.len() - 1].created));
        put("region", catalog::region_to_wire(&app.region).unwrap_or(Value::Null));
        put("tier_slug", "professional".into());
        if self.with_project {
            put("project_id", app.project.clone().into());
        }
        if app.has_url(self.now, self.clock) {
            let url = self.url(app);
            put("live_domain", url.trim_start_matches("http://").into());
            put("live_url_base", url.clone().into());
            put("default_ingress", url.clone().into());
            put("live_url", url.into());
        }
        if let Some(index) = app.active(self.now) {
            put("active_deployment", self.deployment(app, index));
        }
        if let Some((index, phase)) = app.under_way(self.now) {
            let pending = phase == Phase::PendingBuild;
            put(if pending { "pending_deployment" } else { "in_progress_deployment" }, self.deployment(app, index));
        }
        if self.nulls {
            for key in OPTIONAL {
                wire.entry(key).or_insert(Value::Null);
            }
        }
        wire.into()
    }

    /// The app as the answer to its create: the new deployment is the pending
    /// one whatever its phase, which the API description guarantees.
    pub fn created_app(&self, app: &App) -> Value {
        let mut wire = self.app(app);
        wire["pending_deployment"] = self.deployment(app, app.deployments.len() - 1);
        wire
    }

    /// One deployment, with the app's spec.
    pub fn deployment(&self, app: &App, index: usize) -> Value {
        let deployment = &app.deployments[index];
        let (phase, since) = app.phase(index, self.now);
        let mut wire = json!({
            "id": deployment.id,
            "spec": app.spec,
            "cause": deployment.cause,
            "created_at": self.time(deployment.created),
            "updated_at": self.minor_time(since),
            "phase": phase.as_str(),
            "phase_last_updated_at": self.minor_time(since),
            "progress": progress(deployment, phase, &component_name(&app.spec)),
            "tier_slug": "professional",
        });
        for kind in ["services", "workers"] {
            if let Some(components) = app.spec.get(kind).and_then(Value::as_array) {
                wire[kind] = components.iter().map(|component| json!({ "name": component["name"] })).collect();
            }
        }
        if self.nulls {
            wire["cloned_from"] = Value::Null;
            wire["static_sites"] = Value::Null;
        }
        wire
    }
}

fn component_name(spec: &Value) -> String {
    let first = |kind: &str| Some(spec.get(kind)?.get(0)?.get("name")?.as_str()?.to_owned());
    first("services").or_else(|| first("workers")).unwrap_or_default()
}

/// Steps of a deployment; a step that is skipped stays PENDING for ever, as
/// at the real cloud.
fn progress(deployment: &Deployment, phase: Phase, component: &str) -> Value {
    let (build, deploy) = match phase {
        Phase::PendingBuild => ("PENDING", "PENDING"),
        Phase::Building => ("RUNNING", "PENDING"),
        Phase::PendingDeploy => ("SUCCESS", "PENDING"),
        Phase::Deploying => ("SUCCESS", "RUNNING"),
        Phase::Active | Phase::Superseded => ("SUCCESS", "SUCCESS"),
        Phase::Error => ("SUCCESS", "ERROR"),
    };
    let mut wait = json!({
        "name": "wait", "status": deploy, "component_name": component, "message_base": "Waiting for service",
    });
    if let (Phase::Error, Outcome::Failed { code, message }) = (phase, &deployment.outcome) {
        wait["reason"] = json!({ "code": code, "message": message });
    }
    let count = |status: &str| [build, deploy].iter().filter(|step| **step == status).count();
    json!({
        "pending_steps": count("PENDING"),
        "running_steps": count("RUNNING"),
        "success_steps": count("SUCCESS"),
        "error_steps": count("ERROR"),
        "total_steps": 2,
        "steps": [
            { "name": "build", "status": build, "steps": [{ "name": "initialize", "status": "PENDING" }] },
            { "name": "deploy", "status": deploy, "steps": [wait.clone()] },
        ],
        "summary_steps": [{ "name": "build", "status": build }, wait],
    })
}

/// The `links` and `meta` of one page of `total` things.
pub fn page_marks(base: &str, path: &str, page: usize, per_page: usize, total: usize) -> (Value, Value) {
    let last = total.div_ceil(per_page).max(1);
    let link = |page: usize| Value::from(format!("{base}{path}?page={page}&per_page={per_page}"));
    let mut pages = Map::new();
    if page > 1 {
        pages.insert("first".into(), link(1));
        pages.insert("prev".into(), link(page - 1));
    }
    if page < last {
        pages.insert("next".into(), link(page + 1));
        pages.insert("last".into(), link(last));
    }
    let links = if pages.is_empty() { json!({}) } else { json!({ "pages": pages }) };
    (links, json!({ "total": total }))
}
