//! `sandbar hibernate` and `sandbar wake`.

use super::cluster::{Cluster, ClusterArgs};
use super::names;
use crate::api::conditions::{Reason, Type};
use crate::api::{OperatingMode, Phase, Sandbox, Span};
use crate::claims::Fault;
use crate::claims::fault::patiently;
use crate::failure::{Failure, chain};
use clap_complete::engine::ArgValueCandidates;
use indicatif::HumanBytes;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use kube::{Resource, ResourceExt};
use serde_json::json;
use std::process::ExitCode;

/// Keep the files of a run and end its instance, or make it a new one with them
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the run
    #[arg(add = ArgValueCandidates::new(names::runs_to_switch))]
    id: String,
    /// How long to wait until it is done
    #[arg(long, value_name = "SPAN", default_value = "10m")]
    wait: Span,
    /// Do not wait
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Hibernates a run: its claim and its place in the pool stay, its instance does not.
pub async fn hibernate(args: Args) -> Result<ExitCode, Failure> {
    let done = |member: &Sandbox| member.phase() == Phase::Hibernated || refusal(member).is_some();
    let Some(member) = change(&args, OperatingMode::Hibernated, done).await? else { return Ok(ExitCode::SUCCESS) };
    if let Some(message) = refusal(&member) {
        let again = "it is tried again by itself as long as it is wanted; sandbar wake";
        return Err(Failure::new(format!("{} is not hibernated: {message}", member.name_any()))
            .advice(format!("{again} {} keeps it running", args.id)));
    }
    let kept = member.status.as_ref().and_then(|status| status.hibernation.as_ref());
    let bytes = kept.and_then(|kept| kept.size_bytes).and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default();
    println!("{} hibernated; {} are kept, until its claim ends", member.name_any(), HumanBytes(bytes));
    Ok(ExitCode::SUCCESS)
}

/// Wakes a run.
pub async fn wake(args: Args) -> Result<ExitCode, Failure> {
    let done = |member: &Sandbox| {
        let status = member.status.as_ref();
        let runs = status.is_some_and(|status| crate::api::conditions::is_true(&status.conditions, Type::Ready));
        let kept = status.and_then(|status| status.hibernation.as_ref()).is_some_and(|kept| !kept.is_over());
        (runs && !kept) || member.phase() == Phase::Failed || sleeps_on(member).is_some()
    };
    let Some(member) = change(&args, OperatingMode::Running, done).await? else { return Ok(ExitCode::SUCCESS) };
    let name = member.name_any();
    let status = member.status.clone().unwrap_or_default();
    let said = |kind: Type| {
        let mut conditions = status.conditions.iter();
        conditions.find(|condition| condition.type_ == kind.as_str()).map(|condition| condition.message.clone())
    };
    if member.phase() == Phase::Failed {
        return Err(Failure::new(format!("{name} cannot be woken: {}", said(Type::Ready).unwrap_or_default()))
            .advice("claim another sandbox; sandbar snapshot restore puts the kept files into it"));
    }
    if let Some(message) = sleeps_on(&member) {
        return Err(Failure::new(format!("{name} is not awake: {message}"))
            .advice(format!("it wakes by itself once that is put right; kubectl get sbx {name} shows when it has")));
    }
    if status.hibernation.as_ref().is_some_and(|kept| kept.lost_at.is_some()) {
        return Err(Failure::new(format!("{name} is {}", said(Type::FilesLost).unwrap_or_default()))
            .advice("sandbar snapshot ls shows what is kept"));
    }
    match status.hibernation.and_then(|kept| kept.wake_seconds) {
        Some(seconds) => println!("{name} is awake with its files after {seconds} s"),
        None => println!("{name} runs"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Why it goes on running, if it was tried for the present spec.
fn refusal(member: &Sandbox) -> Option<String> {
    let status = member.status.as_ref()?;
    let reasons = [Reason::SnapshotFailed, Reason::NoSnapshotStore, Reason::TransferFailed].map(Reason::as_str);
    let told = status.conditions.iter().find(|condition| {
        condition.type_ == Type::Hibernated.as_str()
            && reasons.contains(&condition.reason.as_str())
            && condition.observed_generation == member.metadata.generation
    });
    told.map(|condition| condition.message.clone())
}

/// Why it sleeps on, if it was to wake.
fn sleeps_on(member: &Sandbox) -> Option<String> {
    let asleep = member.phase() == Phase::Hibernated;
    let mut conditions = member.status.as_ref().filter(|_| asleep)?.conditions.iter();
    let told = conditions.find(|condition| condition.type_ == Type::Hibernated.as_str())?;
    // One that is being woken is waited for.
    let waits = [Reason::Hibernated, Reason::Waking].map(Reason::as_str).contains(&told.reason.as_str());
    (!waits).then(|| told.message.clone())
}

/// Writes what is wanted and waits until it is so; none if nobody waits.
async fn change(
    args: &Args,
    mode: OperatingMode,
    done: impl Fn(&Sandbox) -> bool + Clone,
) -> Result<Option<Sandbox>, Failure> {
    let Cluster { client, namespace, .. } = args.cluster.connect().await?;
    let claims = crate::claims::Claims::new(client.clone(), &namespace);
    let member = claims.held(&args.id).await?;
    let (name, uid) = (member.name_any(), member.meta().uid.clone());
    let api: Api<Sandbox> = Api::namespaced(client, &namespace);
    let patch = Patch::Merge(json!({"metadata": {"uid": uid}, "spec": {"operatingMode": mode}}));
    let written = patiently(|| async { api.patch(&name, &PatchParams::default(), &patch).await }).await;
    let written = written.map_err(|fault: Fault| Failure::from(fault))?;
    if args.no_wait {
        println!("{name} is asked to be {}", if mode == OperatingMode::Running { "running" } else { "hibernated" });
        return Ok(None);
    }
    let generation = written.metadata.generation;
    // What the status says of an older spec is no answer.
    let seen = move |found: Option<&Sandbox>| {
        found.is_none_or(|found| {
            let current = found.status.as_ref().is_some_and(|status| status.observed_generation >= generation);
            found.metadata.uid != uid || (current && done(found))
        })
    };
    let waiting = await_condition(api, &name, seen);
    match tokio::time::timeout(args.wait.duration(), waiting).await {
        Ok(Ok(Some(found))) if found.metadata.uid == written.metadata.uid => Ok(Some(found)),
        Ok(Ok(_)) => Err(Failure::new(format!("run {} has ended meanwhile", args.id))),
        Ok(Err(error)) => Err(Failure::new(chain(&error)).advice("the same command may be repeated")),
        Err(_) => Err(Failure::new(format!("{name} is not there after {}", args.wait))
            .advice(format!("kubectl describe sbx {name} shows how far it is; the same command waits on"))),
    }
}
