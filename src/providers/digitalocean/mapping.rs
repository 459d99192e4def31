//! From the provider's answers to instances.

use super::request::MARKS;
use super::wire::{App, Component, Deployment, Phase, Step};
use crate::api::conditions::truncate;
use crate::providers::{Instance, InstancePhase, Marks};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// An app without any deployment is on its way for so long after its
/// creation; later nobody can tell from a listing.
const FIRST_DEPLOYMENT: SignedDuration = SignedDuration::from_secs(60);
/// Longest text that is kept of the provider's words, in bytes.
const MESSAGE: usize = 512;

/// An app as an instance. None if it has no id.
pub(super) fn instance(app: App, now: Timestamp) -> Option<Instance> {
    let deployment = current(&app);
    let phase = match (deployment, &app.active_deployment) {
        // The provider calls it active by the member's name; its phase may be absent.
        (Some(found), Some(_)) if !matches!(found.phase, Some(Phase::Error | Phase::Canceled)) => {
            InstancePhase::Running
        }
        (Some(found), _) => phase(found),
        (None, _) if is_young(&app, now) => InstancePhase::Starting,
        (None, _) => InstancePhase::Unknown,
    };
    let deployment_id = deployment.and_then(|found| found.id.clone());
    let marks = app.spec.services.iter().chain(&app.spec.workers).find_map(marks);
    Some(Instance {
        id: app.id.filter(|id| !id.is_empty())?,
        name: app.spec.name.unwrap_or_default(),
        marks,
        phase,
        deployment_id,
        url: url(app.live_url).or_else(|| url(app.default_ingress)),
        created_at: app.created_at,
    })
}

/// The deployment that speaks for the app: the active one is what runs, also
/// while a newer one is on its way.
pub(super) fn current(app: &App) -> Option<&Deployment> {
    app.active_deployment.as_ref().or(app.in_progress_deployment.as_ref()).or(app.pending_deployment.as_ref())
}

fn is_young(app: &App, now: Timestamp) -> bool {
    app.created_at.is_some_and(|created| now.duration_since(created) < FIRST_DEPLOYMENT)
}

/// How far a deployment is.
pub(super) fn phase(deployment: &Deployment) -> InstancePhase {
    match deployment.phase {
        Some(Phase::PendingBuild | Phase::Building | Phase::PendingDeploy | Phase::Deploying) => {
            InstancePhase::Starting
        }
        Some(Phase::Active) => InstancePhase::Running,
        Some(Phase::Error) => InstancePhase::Failed { message: failure(deployment) },
        Some(Phase::Canceled) => InstancePhase::Failed { message: "the deployment was canceled".to_owned() },
        Some(Phase::Superseded | Phase::Unknown) | None => InstancePhase::Unknown,
    }
}

/// The provider's words for a failed deployment.
fn failure(deployment: &Deployment) -> String {
    let cause = || deployment.cause.as_deref().filter(|cause| !cause.is_empty());
    let text = deployment.progress.steps.iter().find_map(step_failure).unwrap_or_else(|| match cause() {
        Some(cause) => format!("the deployment failed ({cause}) and the provider does not say why"),
        None => "the deployment failed and the provider does not say why".to_owned(),
    });
    truncate(&text, MESSAGE)
}

/// The deepest reason says most.
fn step_failure(step: &Step) -> Option<String> {
    step.steps.iter().find_map(step_failure).or_else(|| {
        let reason = step.reason.as_ref()?;
        let words: Vec<&str> = [&step.name, &reason.code, &reason.message]
            .into_iter()
            .filter_map(|word| word.as_deref().filter(|word| !word.is_empty()))
            .collect();
        (reason.code.is_some() || reason.message.is_some()).then(|| words.join(": "))
    })
}

fn url(url: Option<String>) -> Option<String> {
    let url = url?;
    let url = url.trim().trim_end_matches('/');
    (url.starts_with("https://") || url.starts_with("http://")).then(|| url.to_owned())
}

/// A complete set of marks or none: half a set proves nothing (S9).
fn marks(component: &Component) -> Option<Marks> {
    let values: HashMap<&str, &str> =
        component.envs.iter().filter_map(|env| Some((env.key.as_deref()?, env.value.as_deref()?))).collect();
    let [installation, namespace, name, uid, attempt, pool_uid, spec_hash] =
        MARKS.map(|key| values.get(key).filter(|value| !value.is_empty()).map(|value| (*value).to_owned()));
    Some(Marks {
        installation: installation?,
        namespace: namespace?,
        name: name?,
        uid: uid?,
        attempt: attempt?.parse().ok().filter(|attempt| *attempt >= 1)?,
        pool_uid: pool_uid?,
        spec_hash: spec_hash?,
    })
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
