//! One account with instances, and sweeps over it.

use crate::api::orphans::OrphanState;
use crate::controllers::orphans::facts::{Memory, Observed, OrphanMode, Policy, Sandboxes, Shown};
use crate::controllers::orphans::plan::{Plan, plan};
use crate::providers::{Account, Instance, InstancePhase, Marks, instance_name};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// Older than any grace here.
pub(super) const OLD: Duration = Duration::from_secs(3_600);
pub(super) const INSTALLATION: &str = "home";

pub(super) fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("in range")
}

pub(super) fn account() -> Account {
    Account("team".to_owned())
}

/// An old instance of ours whose Sandbox has UID `uid-<id>`.
pub(super) fn instance(id: &str, attempt: i32) -> Instance {
    let uid = format!("uid-{id}");
    Instance {
        id: id.to_owned(),
        name: instance_name(INSTALLATION, &uid, attempt),
        marks: Some(Marks {
            installation: INSTALLATION.to_owned(),
            namespace: "ns".to_owned(),
            name: format!("pool-{id}"),
            uid,
            attempt,
            pool_uid: "pool-uid".to_owned(),
            spec_hash: "hash".to_owned(),
        }),
        phase: InstancePhase::Running,
        deployment_id: None,
        url: None,
        created_at: Some(made(OLD)),
    }
}

/// When something of this age was made.
pub(super) fn made(age: Duration) -> Timestamp {
    now() - SignedDuration::try_from(age).expect("in range")
}

pub(super) struct World {
    pub observed: Observed,
}

impl World {
    /// So many Sandboxes, each with its instance.
    pub(super) fn with_sandboxes(count: usize) -> Self {
        let members: Vec<Instance> = (0..count).map(|n| instance(&format!("m{n}"), 1)).collect();
        let uids = members.iter().filter_map(|member| Some(member.marks.as_ref()?.uid.clone())).collect();
        let observed = Observed {
            installation: INSTALLATION.to_owned(),
            watched: None,
            policy: Policy { mode: OrphanMode::Delete, grace: Duration::from_secs(300), per_sweep: 10 },
            now: now(),
            uptime: Duration::from_secs(60),
            accounts: BTreeMap::from([(account(), members)]),
            unlisted: Default::default(),
            sandboxes: Sandboxes { uids, attempts: Default::default() },
            memory: Memory::default(),
            shown: Shown::default(),
        };
        Self { observed }
    }

    /// More instances; one with a known id replaces it.
    pub(super) fn instances(mut self, more: impl IntoIterator<Item = Instance>) -> Self {
        let listed = self.observed.accounts.entry(account()).or_default();
        for instance in more {
            listed.retain(|known| known.id != instance.id);
            listed.push(instance);
        }
        self
    }

    pub(super) fn age(&mut self, id: &str, age: Option<Duration>) {
        let listed = self.observed.accounts.entry(account()).or_default();
        let instance = listed.iter_mut().find(|instance| instance.id == id).expect("listed");
        instance.created_at = age.map(made);
    }

    /// One sweep; the next one knows what it saw and wrote.
    pub(super) fn sweep(&mut self) -> Plan {
        let plan = plan(&self.observed);
        self.observed.memory = plan.memory.clone();
        self.observed.shown.orphans = plan.report.clone();
        plan
    }

    /// The deletions of this plan were asked for.
    pub(super) fn ask(&mut self, plan: &Plan) {
        for target in &plan.delete {
            self.observed.memory.seen.get_mut(&target.key).expect("remembered").asked += 1;
        }
    }

    pub(super) fn later(&mut self, by: Duration) {
        self.observed.now += SignedDuration::try_from(by).expect("in range");
        self.observed.uptime += by;
    }
}

pub(super) fn ids(plan: &Plan) -> Vec<&str> {
    plan.delete.iter().map(|target| target.key.id.as_str()).collect()
}

pub(super) fn state(plan: &Plan, id: &str) -> OrphanState {
    plan.report.iter().find(|orphan| orphan.id == id).expect("listed").state
}
