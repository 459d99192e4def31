//! What is sent: app specs.

use crate::api::{DigitalOceanProvider, Image, Mode, RegistryType, Template};
use crate::providers::{CreateRequest, Marks};
use crate::telemetry::secret::Secret;
use serde_json::{Map, Value, json};

/// The one component of every app of ours.
pub(super) const COMPONENT: &str = "sandbox";
/// Where the agent listens.
const AGENT_PORT: u16 = 8080;

/// The marks' names in an app's environment, in the order of [`values`].
pub(super) const MARKS: [&str; 7] = [
    "SANDBAR_INSTALLATION",
    "SANDBAR_NAMESPACE",
    "SANDBAR_NAME",
    "SANDBAR_UID",
    "SANDBAR_ATTEMPT",
    "SANDBAR_POOL_UID",
    "SANDBAR_SPEC_HASH",
];

/// The marks' values, in the order of [`MARKS`].
fn values(marks: &Marks) -> [String; 7] {
    [
        marks.installation.clone(),
        marks.namespace.clone(),
        marks.name.clone(),
        marks.uid.clone(),
        marks.attempt.to_string(),
        marks.pool_uid.clone(),
        marks.spec_hash.clone(),
    ]
}

/// The body of a create call.
pub(super) fn create(request: &CreateRequest, provider: &DigitalOceanProvider) -> Value {
    let mut body = Map::new();
    if let Some(project) = &provider.project_id {
        body.insert("project_id".into(), project.as_str().into());
    }
    let mut spec = json!({"name": request.name, "region": provider.region});
    match provider.mode {
        Mode::Worker => spec["workers"] = json!([component(request, provider)]),
        Mode::Service => {
            // A cache in front of the agent would answer for it.
            spec["disable_edge_cache"] = true.into();
            spec["services"] = json!([service(request, provider)]);
            let all = json!({"match": {"path": {"prefix": "/"}}, "component": {"name": COMPONENT}});
            spec["ingress"] = json!({"rules": [all]});
        }
    }
    body.insert("spec".into(), spec);
    body.into()
}

/// What services and workers have in common. A worker has nothing else: no port, no health check of the platform's.
fn component(request: &CreateRequest, provider: &DigitalOceanProvider) -> Value {
    json!({
        "name": COMPONENT,
        "image": image(&request.template.image, request.inputs.registry_credentials.as_ref()),
        "instance_count": 1,
        "instance_size_slug": provider.size,
        // Nothing in a sandbox is worth waiting for at its end.
        "termination": {"grace_period_seconds": 5},
        "envs": environment(request, provider.mode),
    })
}

fn service(request: &CreateRequest, provider: &DigitalOceanProvider) -> Value {
    let mut service = component(request, provider);
    service["http_port"] = AGENT_PORT.into();
    service["health_check"] = json!({
        "http_path": "/health",
        "initial_delay_seconds": 5,
        "period_seconds": 10,
        "timeout_seconds": 5,
        "success_threshold": 1,
        "failure_threshold": 3,
    });
    service["termination"]["drain_seconds"] = 1.into();
    let ports = internal_ports(&request.template);
    if !ports.is_empty() {
        service["internal_ports"] = ports.into();
    }
    service
}

/// The agent's own port is the public one already.
fn internal_ports(template: &Template) -> Vec<i32> {
    template.ports.iter().copied().filter(|port| *port != i32::from(AGENT_PORT)).collect()
}

fn image(image: &Image, credentials: Option<&Secret<String>>) -> Value {
    let registry_type = match image.registry_type {
        RegistryType::Ghcr => "GHCR",
        RegistryType::Docr => "DOCR",
        RegistryType::DockerHub => "DOCKER_HUB",
    };
    let mut wire = json!({"registry_type": registry_type, "repository": image.repository});
    for (key, value) in [("registry", &image.registry), ("tag", &image.tag), ("digest", &image.digest)] {
        if let Some(value) = value {
            wire[key] = value.as_str().into();
        }
    }
    if let Some(credentials) = credentials {
        wire["registry_credentials"] = credentials.expose().as_str().into();
    }
    wire
}

/// Marks go in the clear, so that a listing shows them; what came out of a Secret does not.
fn environment(request: &CreateRequest, mode: Mode) -> Vec<Value> {
    let env =
        |key: &str, value: &str, kind: &str| json!({"key": key, "value": value, "scope": "RUN_TIME", "type": kind});
    let general = |key: &str, value: &str| env(key, value, "GENERAL");
    let secret = |key: &str, value: &Secret<String>| env(key, value.expose(), "SECRET");
    let marks = values(&request.marks);
    let mut envs: Vec<Value> = MARKS.iter().zip(&marks).map(|(key, value)| general(key, value)).collect();
    let mode = match mode {
        Mode::Service => "service",
        Mode::Worker => "worker",
    };
    envs.push(general("SANDBOX_MODE", mode));
    envs.push(secret("SANDBOX_API_TOKEN", &request.agent_token));
    let literal = request.template.env.iter().filter_map(|env| Some((&env.name, env.value.as_ref()?)));
    envs.extend(literal.map(|(name, value)| general(name, value)));
    envs.extend(request.inputs.env.iter().map(|(name, value)| secret(name, value)));
    envs
}

/// The body of a propose call that asks about a name and nothing else: the
/// rest of the spec is constant and valid, whatever the pool says.
pub(super) fn propose(name: &str) -> Value {
    json!({"spec": {
        "name": name,
        "services": [{
            "name": COMPONENT,
            "image": {"registry_type": "DOCKER_HUB", "registry": "library", "repository": "busybox", "tag": "latest"},
            "instance_count": 1,
            "instance_size_slug": "apps-s-1vcpu-0.5gb",
            "http_port": AGENT_PORT,
        }],
    }})
}
