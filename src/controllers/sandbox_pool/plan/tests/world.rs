//! A pool that lives by its own plans: members become warm or fail after a while, and go after another.

use super::fixture::*;
use crate::api::{Phase, SandboxPool, Template};
use crate::controllers::sandbox_pool::facts::{Failure, Member, Observed};
use crate::controllers::sandbox_pool::plan::{Effect, Plan, plan};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Seconds from a create to a ready agent, or to a failure.
const LEAD: i64 = 60;
/// Seconds from a delete to its proof.
const GOING: i64 = 5;
/// Images with this tag never come up.
pub(super) const BAD: &str = "bad";

pub(super) struct World {
    pub facts: Observed,
    pub second: i64,
    templates: BTreeMap<String, Template>,
    gone_at: BTreeMap<String, i64>,
    made: u32,
}

impl World {
    pub fn new(pool: SandboxPool) -> Self {
        let facts = observed(pool, vec![], 0);
        Self { facts, second: 0, templates: BTreeMap::new(), gone_at: BTreeMap::new(), made: 0 }
    }

    /// Edits the pool as a person would.
    pub fn edit(&mut self, change: impl FnOnce(&mut SandboxPool)) {
        let mut pool = self.facts.pool.as_ref().clone();
        change(&mut pool);
        pool.metadata.generation = pool.metadata.generation.map(|generation| generation + 1);
        self.facts.pool = Arc::new(pool);
    }

    /// Lets time go on, and with it what the provider does.
    pub fn wait(&mut self, seconds: i64) {
        self.second += seconds;
        let now = self.second;
        self.facts.now = at(now);
        let gone_at = &self.gone_at;
        self.facts.members.retain(|member| gone_at.get(&member.uid).is_none_or(|gone| now < *gone));
        let templates = &self.templates;
        for member in &mut self.facts.members {
            let due = member.created.expect("made") + jiff::SignedDuration::from_secs(LEAD);
            if member.phase == Phase::Creating && due <= at(now) && !member.deleting {
                arrive(member, templates[&member.uid].image.tag.as_deref() == Some(BAD), due);
            }
        }
    }

    /// One pass: decides, checks nothing, does it.
    pub fn pass(&mut self) -> Plan {
        let pool = &self.facts.pool;
        let template = pool.spec.template("pool-uid", pool.metadata.generation.expect("set"));
        for member in &mut self.facts.members {
            member.updated = self.templates[&member.uid].is_like(&template);
        }
        let plan = plan(&self.facts);
        if let Some(status) = plan.status.clone() {
            self.facts = with_status(&self.facts, status);
        }
        for effect in &plan.effects {
            match effect {
                Effect::CreateMember { slot, template } => self.make(*slot, template.as_ref().clone()),
                Effect::DeleteMember { uid, .. } => self.delete(uid),
                _ => {}
            }
        }
        plan
    }

    /// Passes and time until `seconds` later.
    pub fn run(&mut self, seconds: i64) {
        let end = self.second + seconds;
        while self.second < end {
            self.wait(5);
            self.pass();
        }
    }

    /// Somebody takes the oldest warm member, if there is one.
    pub fn claim(&mut self) -> Option<String> {
        let now = self.second;
        let member = self.facts.members.iter_mut().find(|member| member.is_warm())?;
        let uid = member.uid.clone();
        *member = Member { ready_at: member.ready_at, ..with_identity(claimed(member.slot, now), member) };
        Some(uid)
    }

    /// The holder gives it back.
    pub fn release(&mut self) {
        let held = self.facts.members.iter().find(|member| member.claimed && !member.deleting);
        if let Some(uid) = held.map(|member| member.uid.clone()) {
            self.delete(&uid);
        }
    }

    pub fn warm(&self) -> usize {
        self.facts.members.iter().filter(|member| member.is_warm()).count()
    }

    /// Tags of the warm members' images.
    pub fn warm_tags(&self) -> Vec<&str> {
        let warm = self.facts.members.iter().filter(|member| member.is_warm());
        warm.filter_map(|member| self.templates[&member.uid].image.tag.as_deref()).collect()
    }

    fn make(&mut self, slot: i32, template: Template) {
        self.made += 1;
        let uid = format!("{:08}-uid", self.made);
        let base = member(slot, Phase::Creating);
        let generation = template.pool_generation;
        self.templates.insert(uid.clone(), template);
        let (created, requested_at) = (Some(at(self.second)), Some(at(self.second)));
        self.facts.members.push(Member { uid, created, requested_at, generation, ..base });
    }

    fn delete(&mut self, uid: &str) {
        self.gone_at.insert(uid.to_owned(), self.second + GOING);
        if let Some(member) = self.facts.members.iter_mut().find(|member| member.uid == uid) {
            (member.deleting, member.phase) = (true, Phase::Terminating);
        }
    }
}

fn with_identity(member: Member, of: &Member) -> Member {
    Member { uid: of.uid.clone(), name: of.name.clone(), created: of.created, generation: of.generation, ..member }
}

fn arrive(member: &mut Member, bad: bool, due: Timestamp) {
    if bad {
        let failure =
            Failure { reason: "DeploymentFailed".into(), message: "no such image".into(), time: due, terminal: false };
        (member.phase, member.failure) = (Phase::Failed, Some(failure));
    } else {
        (member.phase, member.ready_at) = (Phase::Warm, Some(due));
    }
}
