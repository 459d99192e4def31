//! `sandbar drain`: what a person does before the operator goes.

use super::cluster::{Cluster, ClusterArgs};
use crate::api::conditions::Type;
use crate::api::{END_CLAIMS_ANNOTATION, Sandbox, SandboxPool, Span, Usd};
use crate::claims::Fault;
use crate::claims::fault::patiently;
use crate::failure::Failure;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at what is left.
const LOOK: Duration = Duration::from_secs(1);

/// Delete every pool, and wait until nothing of it is left at the provider.
///
/// The operator has to run: it ends the instances. What people hold lives on until its time is over, and so long this
/// waits; --end-claims ends it at once.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pools of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// End what people hold, too
    #[arg(long, conflicts_with = "check")]
    end_claims: bool,
    /// Delete nothing; fail if there is any pool or sandbox
    #[arg(long)]
    check: bool,
    /// How long to wait, in all
    #[arg(long, value_name = "TIME", default_value = "30m", conflicts_with = "check")]
    timeout: Span,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Pools and members that are there.
#[derive(Debug, Default)]
struct Left {
    pools: Vec<SandboxPool>,
    members: Vec<Sandbox>,
}

/// Drains, or looks whether that is needed.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let cluster = args.cluster.connect().await?;
    let found = Left::look(&cluster, args.all_namespaces).await?;
    if args.check {
        return if found.is_nothing() { nothing() } else { Err(refusal(&found)) };
    }
    let until = Instant::now() + args.timeout.duration();
    for pool in &found.pools {
        end(&cluster, pool, args.end_claims).await?;
    }
    let mut told = String::new();
    loop {
        let left = Left::look(&cluster, args.all_namespaces).await?;
        if left.is_nothing() {
            return nothing();
        }
        let lines = left.lines();
        if lines != told {
            anstream::println!("{lines}");
            told = lines;
        }
        if let Some(made) = left.pools.iter().find(|pool| pool.metadata.deletion_timestamp.is_none()) {
            let (namespace, name) = (made.namespace().unwrap_or_default(), made.name_any());
            return Err(Failure::new(format!("pool {namespace}/{name} was made while the others were deleted"))
                .advice("stop what makes it, such as a GitOps tool, and drain again"));
        }
        if Instant::now() + LOOK > until {
            return Err(late(&left, &args));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn nothing() -> Result<ExitCode, Failure> {
    anstream::println!("nothing is left: no pool, no sandbox");
    Ok(ExitCode::SUCCESS)
}

/// Deletes this very pool.
async fn end(cluster: &Cluster, pool: &SandboxPool, end_claims: bool) -> Result<(), Failure> {
    let (namespace, name) = (pool.namespace().unwrap_or_default(), pool.name_any());
    let pools: Api<SandboxPool> = Api::namespaced(cluster.client.clone(), &namespace);
    if end_claims {
        let word = json!({"metadata": {"uid": pool.metadata.uid, "annotations": {END_CLAIMS_ANNOTATION: "true"}}});
        let (params, word) = (PatchParams::default(), Patch::Merge(word));
        gone_is_fine(patiently(|| pools.patch(&name, &params, &word)).await)?;
    }
    let this = Preconditions { uid: pool.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams::default().preconditions(this);
    Ok(gone_is_fine(patiently(|| pools.delete(&name, &params)).await)?)
}

/// Gone, or replaced by another one under its name, which the next look finds.
fn gone_is_fine<T>(answer: Result<T, Fault>) -> Result<(), Fault> {
    match answer {
        Ok(_) | Err(Fault::NotFound(_) | Fault::Conflict(_)) => Ok(()),
        Err(fault) => Err(fault),
    }
}

impl Left {
    async fn look(cluster: &Cluster, all_namespaces: bool) -> Result<Self, Failure> {
        let (pools, sandboxes) = cluster.kinds(all_namespaces);
        // Pools first: a member never outlives the look at its pool unseen.
        let (pools, mut members) = (list(&pools).await?, list(&sandboxes).await?);
        members.retain(Sandbox::is_member);
        Ok(Self { pools, members })
    }

    fn is_nothing(&self) -> bool {
        self.pools.is_empty() && self.members.is_empty()
    }

    /// One line for each pool that is there or has left members behind.
    fn lines(&self) -> String {
        let mut pools: BTreeMap<String, (Vec<&Sandbox>, Option<&SandboxPool>)> = BTreeMap::new();
        let key = |namespace: Option<String>, pool: &str| format!("{}/{pool}", namespace.unwrap_or_default());
        for pool in &self.pools {
            pools.entry(key(pool.namespace(), &pool.name_any())).or_default().1 = Some(pool);
        }
        for member in &self.members {
            pools.entry(key(member.namespace(), &member.spec.pool_ref.name)).or_default().0.push(member);
        }
        let line = |(name, (members, pool)): (String, (Vec<&Sandbox>, Option<&SandboxPool>))| {
            let claimed = members.iter().filter(|member| member.held_by().is_some()).count();
            let cost = members.iter().fold(Usd::default(), |sum, member| sum + per_hour(member));
            let why = pool.and_then(terminating).map(|why| format!("; {why}")).unwrap_or_default();
            let (count, cost) = (members.len(), cost.rough());
            format!("{name}: {count} sandboxes, {claimed} of them claimed, ${cost} an hour{why}")
        };
        pools.into_iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// What a Sandbox's instance costs now.
fn per_hour(member: &Sandbox) -> Usd {
    let cost = member.status.as_ref().and_then(|status| status.cost.as_ref());
    cost.filter(|cost| cost.since.is_some()).and_then(|cost| cost.usd_per_hour).unwrap_or_default()
}

/// What its end waits for.
fn terminating(pool: &SandboxPool) -> Option<&str> {
    let conditions = &pool.status.as_ref()?.conditions;
    let condition = conditions.iter().find(|one| one.type_ == Type::Terminating.as_str() && one.status == "True")?;
    Some(condition.message.as_str())
}

/// Where the definitions are not installed there is nothing of the kind.
async fn list<K>(api: &Api<K>) -> Result<Vec<K>, Fault>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let all = ListParams::default();
    match patiently(|| api.list(&all)).await {
        Ok(list) => Ok(list.items),
        Err(Fault::NotFound(_)) => Ok(Vec::new()),
        Err(fault) => Err(fault),
    }
}

fn refusal(left: &Left) -> Failure {
    Failure::new(format!("without the operator nobody ends these, and they go on costing money:\n{}", left.lines()))
        .advice(
            "sandbar drain --all-namespaces deletes the pools and waits; with --end-claims it ends what people hold",
        )
}

fn late(left: &Left, args: &Args) -> Failure {
    let failure = Failure::new(format!("after {} there is still:\n{}", args.timeout, left.lines()));
    // Whoever the operator has seen has a condition that says what it waits for.
    if left.pools.iter().any(|pool| terminating(pool).is_none()) {
        return failure.advice("see that the operator runs: it ends the instances, and pools go when they are gone");
    }
    failure.advice("wait longer with --timeout, or end what people hold with --end-claims")
}
