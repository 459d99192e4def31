//! What to do about orphans: pure, so that every brake can be tested without a cloud.
//!
//! Sure enough is: our marks complete, our name recomputed from them, no Sandbox with that UID (or one at a later
//! attempt), older than the grace, seen in [`SWEEPS`] sweeps in a row. Then the brakes: what is wrong with our own view
//! shows as many orphans at once.

mod report;
#[cfg(test)]
mod tests;

use super::facts::{Key, Memory, Observed, OrphanMode, Sandboxes, Seen};
use crate::api::orphans::{Orphan, OrphanState, approval};
use crate::providers::{Account, Instance, Marks, instance_name, is_our_name};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// An orphan must be seen in so many sweeps in a row.
pub const SWEEPS: u32 = 2;
/// When there is no Sandbox at all, in so many sweeps that agree about that.
pub const SWEEPS_WHEN_EMPTY: u32 = 3;
/// When there is no Sandbox at all, a sweep deletes at most so many.
pub const MOST_WHEN_EMPTY: usize = 3;
/// From so many orphans in an account on, the share counts.
pub const SHARE_FROM: usize = 10;
/// More than one of so many instances looking orphaned (20 %) is more likely a mistake of ours.
pub const SHARE: usize = 5;

/// What to do, what to write about it, and what to remember.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The list as it must stand before anything is deleted, sorted by account and id.
    pub report: Vec<Orphan>,
    /// What to delete, in order, each after another look.
    pub delete: Vec<Target>,
    /// What the next sweep must know.
    pub memory: Memory,
    /// How many were seen for the first time.
    pub fresh: usize,
    /// Whose deletion was asked for and that a complete listing shows no more.
    pub gone: Vec<Key>,
}

/// One instance to delete.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Where it is.
    pub key: Key,
    /// Its name.
    pub name: String,
    /// Its marks, as they must still be.
    pub marks: Marks,
}

/// Why an instance is an orphan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No Sandbox has its UID.
    NoSandbox,
    /// Its Sandbox is at this later attempt.
    LaterAttempt(i32),
}

/// An orphan, and how sure we are.
struct Candidate<'facts> {
    key: Key,
    instance: &'facts Instance,
    marks: &'facts Marks,
    why: Why,
    seen: Seen,
    age: Duration,
    approved: bool,
    /// More than the allowed share of its account looks orphaned: so many.
    crowd: Option<usize>,
}

/// The marks of an instance, if it surely is of this installation and in a namespace that it watches (S9).
pub fn ours<'i>(installation: &str, watched: Option<&str>, instance: &'i Instance) -> Option<&'i Marks> {
    let marks = instance.marks.as_ref()?;
    let here = watched.is_none_or(|watched| watched == marks.namespace);
    let complete = [&marks.uid, &marks.pool_uid, &marks.spec_hash].iter().all(|mark| !mark.is_empty())
        && is_object_name(&marks.namespace)
        && is_object_name(&marks.name)
        && marks.attempt >= 1;
    let named = is_our_name(&instance.name) && instance.name == instance_name(installation, &marks.uid, marks.attempt);
    (marks.installation == installation && here && complete && named && !instance.id.is_empty()).then_some(marks)
}

/// Whether a Sandbox can have this name: only then can it be asked for.
fn is_object_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    (1..=253).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

/// Why the instance with these marks is an orphan; None if it is not.
fn why(sandboxes: &Sandboxes, marks: &Marks) -> Option<Why> {
    if !sandboxes.uids.contains(&marks.uid) {
        return Some(Why::NoSandbox);
    }
    let attempt = sandboxes.attempts.get(&marks.uid).copied()?;
    (attempt > marks.attempt).then_some(Why::LaterAttempt(attempt))
}

/// Decides about everything that one sweep saw.
pub fn plan(observed: &Observed) -> Plan {
    let approved = approved(observed);
    let mut memory = Memory { empty_sweeps: empty_sweeps(observed), ..Memory::default() };
    let (mut candidates, mut gone, mut fresh) = (Vec::new(), Vec::new(), 0);
    for (account, instances) in &observed.accounts {
        let found = candidates_in(observed, account, instances, &approved);
        fresh += found.iter().filter(|candidate| candidate.seen.sweeps == 1).count();
        candidates.extend(found);
    }
    for (key, seen) in &observed.memory.seen {
        match observed.accounts.get(&key.account) {
            // Nothing new was learned of it.
            None => drop(memory.seen.insert(key.clone(), seen.clone())),
            Some(listed) if seen.asked > 0 && !listed.iter().any(|instance| instance.id == key.id) => {
                gone.push(key.clone());
            }
            Some(_) => {}
        }
    }
    memory.seen.extend(candidates.iter().map(|candidate| (candidate.key.clone(), candidate.seen.clone())));
    let delete = choose(observed, &candidates, memory.empty_sweeps);
    let report = report::report(observed, &candidates, &delete, memory.empty_sweeps, &approved);
    Plan { report, delete, memory, fresh, gone }
}

/// Sweeps in a row that found no Sandbox at all, this one included.
fn empty_sweeps(observed: &Observed) -> u32 {
    if observed.sandboxes.uids.is_empty() { observed.memory.empty_sweeps.saturating_add(1) } else { 0 }
}

/// What a person approved: the whole list that stands, or what was approved before and is still there.
fn approved(observed: &Observed) -> BTreeSet<Key> {
    let shown = &observed.shown;
    let all = !shown.orphans.is_empty() && shown.approval.as_ref() == Some(&approval(&shown.orphans));
    let approved = shown.orphans.iter().filter(|orphan| all || orphan.approved);
    approved.map(|orphan| Key { account: Account(orphan.account.clone()), id: orphan.id.clone() }).collect()
}

fn candidates_in<'facts>(
    observed: &'facts Observed,
    account: &Account,
    instances: &'facts [Instance],
    approved: &BTreeSet<Key>,
) -> Vec<Candidate<'facts>> {
    let ours: Vec<(&Instance, &Marks)> = instances
        .iter()
        .filter_map(|instance| Some((instance, ours(&observed.installation, observed.watched.as_deref(), instance)?)))
        .collect();
    let orphaned: Vec<(&Instance, &Marks, Why)> = ours
        .iter()
        .filter_map(|(instance, marks)| Some((*instance, *marks, why(&observed.sandboxes, marks)?)))
        .collect();
    let many = orphaned.len();
    let crowd = (many >= SHARE_FROM && many * SHARE > ours.len()).then_some(many);
    let candidate = |(instance, marks, why): (&'facts Instance, &'facts Marks, Why)| {
        let key = Key { account: account.clone(), id: instance.id.clone() };
        let seen = see(observed, &key, marks);
        let age = age(observed, instance.created_at, &seen);
        let approved = approved.contains(&key);
        Candidate { key, instance, marks, why, seen, age, approved, crowd }
    };
    orphaned.into_iter().map(candidate).collect()
}

/// What is remembered of this orphan, this sweep included.
fn see(observed: &Observed, key: &Key, marks: &Marks) -> Seen {
    match observed.memory.seen.get(key).filter(|seen| seen.marks == *marks) {
        Some(seen) => Seen { sweeps: seen.sweeps.saturating_add(1), ..seen.clone() },
        None => Seen { marks: marks.clone(), since: observed.uptime, sweeps: 1, asked: 0 },
    }
}

fn age(observed: &Observed, created_at: Option<Timestamp>, seen: &Seen) -> Duration {
    match created_at {
        // In the future: clocks differ, and it is young.
        Some(created) => Duration::try_from(observed.now.duration_since(created)).unwrap_or_default(),
        None => observed.uptime.saturating_sub(seen.since),
    }
}

impl Candidate<'_> {
    /// Whether it surely is an orphan. That nothing is left at all must be seen more often, unless a person knows it.
    fn is_sure(&self, observed: &Observed, empty_sweeps: u32) -> bool {
        let needed = self.sweeps_needed(empty_sweeps);
        let agreed = empty_sweeps == 0 || self.approved || empty_sweeps >= needed;
        self.age >= observed.policy.grace && self.seen.sweeps >= needed && agreed
    }

    fn sweeps_needed(&self, empty_sweeps: u32) -> u32 {
        if empty_sweeps > 0 && !self.approved { SWEEPS_WHEN_EMPTY } else { SWEEPS }
    }

    fn is_braked(&self) -> bool {
        self.crowd.is_some() && !self.approved
    }
}

/// What this sweep deletes: everything approved, of the rest as many as the brakes allow.
fn choose(observed: &Observed, candidates: &[Candidate<'_>], empty_sweeps: u32) -> Vec<Target> {
    if observed.policy.mode == OrphanMode::Report {
        return Vec::new();
    }
    let mut sure: Vec<&Candidate<'_>> = candidates
        .iter()
        .filter(|candidate| candidate.is_sure(observed, empty_sweeps) && !candidate.is_braked())
        .collect();
    // Those that refuse to go must not keep the others waiting.
    sure.sort_by(|a, b| (a.seen.asked, b.age, &a.key).cmp(&(b.seen.asked, a.age, &b.key)));
    let mut left = allowance(observed, empty_sweeps);
    let chosen = sure.into_iter().filter(|candidate| {
        let go = candidate.approved || left > 0;
        if !candidate.approved {
            left = left.saturating_sub(1);
        }
        go
    });
    chosen.map(Candidate::target).collect()
}

/// How many unapproved orphans this sweep may delete.
fn allowance(observed: &Observed, empty_sweeps: u32) -> usize {
    let most = observed.policy.per_sweep;
    if empty_sweeps > 0 { most.min(MOST_WHEN_EMPTY) } else { most }
}

impl Candidate<'_> {
    fn target(&self) -> Target {
        Target { key: self.key.clone(), name: self.instance.name.clone(), marks: self.marks.clone() }
    }
}
