//! What people are told of every orphan. Texts change only when something does: a list that stays is not written (S10).

use super::{Candidate, OrphanMode, OrphanState, SHARE, Target, Why, allowance};
use crate::api::orphans::Orphan;
use crate::controllers::orphans::facts::{Key, Observed};
use crate::providers::Account;
use std::collections::BTreeSet;

/// A ConfigMap holds 1 MiB; an entry takes up to about 0.7 KB.
const MOST: usize = 1_000;

/// The list, sorted by account and id.
pub(super) fn report(
    observed: &Observed,
    candidates: &[Candidate<'_>],
    delete: &[Target],
    empty_sweeps: u32,
    approved: &BTreeSet<Key>,
) -> Vec<Orphan> {
    let chosen: BTreeSet<&Key> = delete.iter().map(|target| &target.key).collect();
    let entry = |candidate: &Candidate<'_>| {
        let (state, reason) = state(observed, candidate, chosen.contains(&candidate.key), empty_sweeps);
        Orphan {
            account: candidate.key.account.0.clone(),
            id: candidate.key.id.clone(),
            name: candidate.instance.name.clone(),
            sandbox_namespace: candidate.marks.namespace.clone(),
            sandbox_name: candidate.marks.name.clone(),
            uid: candidate.marks.uid.clone(),
            created_at: candidate.instance.created_at,
            seen_sweeps: candidate.seen.sweeps,
            state,
            reason,
            approved: candidate.approved,
        }
    };
    let mut report: Vec<Orphan> = candidates.iter().map(entry).collect();
    report.extend(observed.shown.orphans.iter().filter_map(|orphan| kept(observed, orphan, approved)));
    report.sort_by(|a, b| (&a.account, &a.id).cmp(&(&b.account, &b.id)));
    report.dedup_by(|a, b| (&a.account, &a.id) == (&b.account, &b.id));
    report.truncate(MOST);
    report
}

/// An entry of an account that was not listed: nothing new was learned, and it may still cost money.
fn kept(observed: &Observed, orphan: &Orphan, approved: &BTreeSet<Key>) -> Option<Orphan> {
    let account = Account(orphan.account.clone());
    if observed.accounts.contains_key(&account) {
        return None;
    }
    let mut kept = orphan.clone();
    if !observed.unlisted.contains(&account) {
        kept.state = OrphanState::Watching;
        kept.reason = "no pool's credentials open its account any more: make one whose do, or see for yourself and \
                       delete this list"
            .to_owned();
    }
    kept.approved = approved.contains(&Key { account, id: orphan.id.clone() });
    Some(kept)
}

fn state(observed: &Observed, candidate: &Candidate<'_>, chosen: bool, empty_sweeps: u32) -> (OrphanState, String) {
    let why = match candidate.why {
        Why::NoSandbox => "no Sandbox has this UID".to_owned(),
        Why::LaterAttempt(attempt) => format!("its Sandbox is at attempt {attempt} already"),
    };
    if candidate.age < observed.policy.grace {
        return (OrphanState::Watching, format!("{why}; younger than {:?}", observed.policy.grace));
    }
    if !candidate.is_sure(observed, empty_sweeps) {
        let needed = candidate.sweeps_needed(empty_sweeps);
        let empty = if empty_sweeps > 0 { "; there is no Sandbox at all" } else { "" };
        return (OrphanState::Watching, format!("{why}{empty}; to be seen in {needed} sweeps in a row"));
    }
    if observed.policy.mode == OrphanMode::Report {
        return (OrphanState::Reported, format!("{why}; this operator runs with --orphans report"));
    }
    if let Some(many) = candidate.crowd.filter(|_| candidate.is_braked()) {
        let share = 100 / SHARE;
        let reason = format!(
            "{why}; {many} instances, more than {share} % of ours in this account, look orphaned: approve them with \
             `sandbar orphans --approve` if that is right"
        );
        return (OrphanState::Braked, reason);
    }
    if chosen || candidate.seen.asked > 0 {
        return (OrphanState::Deleting, why);
    }
    let most = allowance(observed, empty_sweeps);
    (OrphanState::Braked, format!("{why}; a sweep deletes at most {most}, its turn comes"))
}
