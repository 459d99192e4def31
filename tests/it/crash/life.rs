//! One life: an operator that dies at a point, its successor, the story, and
//! what is left at the end.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use sandbar::api::{Phase, Sandbox, SandboxPool};
use sandbar::cloudsim::admin::{AccountSettings, Seconds};

use super::points::{self, Point};
use super::story;
use crate::scene;
use crate::wait::eventually_within;
use crate::watcher::Summary;
use crate::world::{OperatorSpec, TestEnv, World, quick_account};

/// What came of a life.
pub struct Life {
    /// The point was met.
    pub died: bool,
    pub summary: Summary,
}

/// What must be the same at the end of every life.
#[derive(Debug, PartialEq, Eq)]
struct End {
    pools: usize,
    members: Vec<String>,
    /// The request's phase and reason.
    request: (Phase, Option<String>),
    /// Secrets, with their finalizers.
    secrets: Vec<(String, Vec<String>)>,
    apps: usize,
}

impl End {
    /// The end of the story without a death: the request as it ended, the
    /// credentials let go, and nothing else.
    fn expected() -> Self {
        Self {
            pools: 0,
            members: Vec::new(),
            request: (Phase::Ended, Some("Expired".to_owned())),
            secrets: vec![("digitalocean".to_owned(), Vec::new())],
            apps: 0,
        }
    }

    async fn now(env: &TestEnv) -> Result<Self, kube::Error> {
        let (pools, sandboxes): (Api<SandboxPool>, Api<Sandbox>) = (env.api(), env.api());
        let secrets: Api<Secret> = env.api();
        let (pools, sandboxes) = (pools.list(&Default::default()).await?, sandboxes.list(&Default::default()).await?);
        let request = sandboxes.items.iter().find(|sandbox| !sandbox.is_member());
        let reason = request.and_then(|request| request.status.as_ref()?.reason.clone());
        let secrets =
            secrets.list(&Default::default()).await?.items.into_iter().map(|secret| {
                (secret.metadata.name.unwrap_or_default(), secret.metadata.finalizers.unwrap_or_default())
            });
        let ledger = env.sim.ledger_of(&env.account).await.expect("the books");
        Ok(Self {
            pools: pools.items.len(),
            members: sandboxes.items.iter().filter(|sandbox| sandbox.is_member()).map(scene::name).collect(),
            request: (request.map_or(Phase::Pending, Sandbox::phase), reason),
            secrets: secrets.collect(),
            apps: ledger.existing().count(),
        })
    }
}

/// The undisturbed life, and how many calls of each sort it has.
pub async fn count() -> (Life, BTreeMap<String, u32>) {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let spec = operator().env("SANDBAR_CALL_LOG", log.path().to_str().expect("a plain path"));
    let life = with("crash-none", spec, None).await;
    assert!(!life.died);
    (life, points::count(&std::fs::read_to_string(log.path()).expect("the calls")))
}

/// A life with a death at this point.
pub async fn live(point: Option<&Point>) -> Life {
    let Some(point) = point else { return with("crash-none", operator(), None).await };
    let spec = operator()
        .env("SANDBAR_CRASH_AT", &point.at.to_string())
        .env("SANDBAR_CRASH_WHEN", point.when.as_str())
        .env("SANDBAR_CRASH_ON", &point.sort);
    with(&format!("crash-{}", point.at), spec, Some(point)).await
}

/// Listings are calls too: there are as few of them as the work needs.
fn operator() -> OperatorSpec {
    OperatorSpec::default().args(&["--lease-duration", "15s", "--listing-period", "1s", "--listing-slow", "60s"])
}

fn account(token: String) -> AccountSettings {
    let mut account = quick_account(token);
    account.timings.ready_seconds = Seconds::Fixed(0.1);
    // Long enough that one who takes an accepted delete for the end is seen.
    account.timings.delete_seconds = Seconds::Fixed(2.0);
    account
}

async fn with(name: &str, spec: OperatorSpec, point: Option<&Point>) -> Life {
    let env = World::get().await.test_with(name, account).await;
    let watcher = env.watcher().await;
    let mut operator = env.operator_unready(spec).await;
    let mut died = false;
    {
        let mut story = pin!(story::play(&env));
        loop {
            tokio::select! {
                () = &mut story => break,
                status = operator.ended() => {
                    died |= status.signal() == Some(9);
                    // One that lost its lease on a starved machine has not met its point yet.
                    let at = point.filter(|_| !died).map_or("0".to_owned(), |point| point.at.to_string());
                    operator.restart_with(&[("SANDBAR_CRASH_AT", &at)]).await;
                }
            }
        }
    }
    let what = point.map_or("without a death".to_owned(), |point| format!("after a death at {point}"));
    // The credentials are let go a while after the pool.
    let what = format!("the same end {what}");
    let same = eventually_within(story::PATIENCE, &what, async || {
        match End::now(&env).await.map_err(|error| error.to_string())? {
            end if end == End::expected() => Ok(()),
            end => Err(format!("{end:?}")),
        }
    });
    let mut same = pin!(same);
    loop {
        tokio::select! {
            () = &mut same => break,
            // The point can be among the very last calls.
            status = operator.ended() => {
                died |= status.signal() == Some(9);
                operator.restart_with(&[("SANDBAR_CRASH_AT", "0")]).await;
            }
        }
    }
    let ledger = env.sim.ledger_of(&env.account).await.expect("the books");
    scene::sound(&ledger, &env.account, story::LIMIT);
    Life { died, summary: watcher.verdict().await }
}
