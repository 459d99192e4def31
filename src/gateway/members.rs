//! What the members that somebody holds cost, and how long members took to be made: a pool's own status does not say.

use crate::api::{Lean, Sandbox, Usd};
use kube::runtime::watcher::Event;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lead times of a pool that are remembered; the newest count.
const LEADS: usize = 50;

/// The claimed members of the namespace, out of the watch of everything that is claimed.
#[derive(Debug, Default)]
pub struct Members(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By UID: the pool, and the price per hour of the instance that runs.
    held: HashMap<String, (String, Usd)>,
    /// By pool: UID and seconds.
    leads: HashMap<String, VecDeque<(String, f64)>>,
    listed: HashSet<String>,
}

impl Members {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what the watch tells.
    pub fn note(&self, event: &Event<Lean<Sandbox>>) {
        let mut known = self.known();
        match event {
            Event::Init => known.listed.clear(),
            Event::InitApply(sandbox) => {
                let uid = known.note(sandbox);
                known.listed.extend(uid);
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut known.listed);
                known.held.retain(|uid, _| listed.contains(uid));
            }
            Event::Apply(sandbox) => {
                known.note(sandbox);
            }
            Event::Delete(sandbox) => {
                if let Some(uid) = member(sandbox).and_then(|member| member.metadata.uid.clone()) {
                    known.held.remove(&uid);
                }
            }
        }
    }

    /// What the instances of a pool that somebody holds cost per hour.
    pub fn usd_per_hour(&self, pool: &str) -> Usd {
        self.known().held.values().filter(|(of, _)| of == pool).map(|(_, price)| *price).sum()
    }

    /// Mean time from a member's creation until it was ready, of the newest that were claimed, in seconds.
    pub fn lead_time_seconds(&self, pool: &str) -> Option<f64> {
        let known = self.known();
        let leads = known.leads.get(pool).filter(|leads| !leads.is_empty())?;
        Some(leads.iter().map(|(_, seconds)| seconds).sum::<f64>() / leads.len() as f64)
    }
}

impl Known {
    fn note(&mut self, sandbox: &Lean<Sandbox>) -> Option<String> {
        let member = member(sandbox)?;
        let (uid, pool) = (member.metadata.uid.clone()?, member.spec.pool_ref.name.clone());
        let status = member.status.as_ref();
        let cost = status.and_then(|status| status.cost.as_ref());
        let price = cost.and_then(|cost| cost.since.as_ref().and(cost.usd_per_hour)).unwrap_or_default();
        self.held.insert(uid.clone(), (pool.clone(), price));
        let ready = member.instance().and_then(|instance| instance.ready_at.as_ref());
        if let (Some(ready), Some(created)) = (ready, &member.metadata.creation_timestamp) {
            let leads = self.leads.entry(pool).or_default();
            // A member that slept has another instance, which says nothing about a new one.
            if !leads.iter().any(|(known, _)| *known == uid) {
                leads.push_back((uid.clone(), ready.0.duration_since(created.0).as_secs_f64().max(0.0)));
                leads.drain(..leads.len().saturating_sub(LEADS));
            }
        }
        Some(uid)
    }
}

fn member(sandbox: &Lean<Sandbox>) -> Option<&Arc<Sandbox>> {
    sandbox.0.as_ref().ok().filter(|sandbox| sandbox.is_member())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claimed(uid: &str, pool: &str, ready: &str, price: Option<&str>) -> Lean<Sandbox> {
        let cost = json!({"usdPerHour": price, "since": "2026-11-22T10:00:10Z"});
        let instance = json!({"provider": "digitalOcean", "account": "a", "installation": "i", "name": "n", "attempt": 1,
            "requestedAt": "2026-11-22T10:00:01Z", "readyAt": ready});
        let object = json!({
            "apiVersion": "sandbar.dev/v1alpha1", "kind": "Sandbox",
            "metadata": {"name": format!("{pool}-0"), "uid": uid, "creationTimestamp": "2026-11-22T10:00:00Z"},
            "spec": {"poolRef": {"name": pool}, "slot": 0, "claim": {"id": "r", "holder": "ada"}},
            "status": {"cost": cost, "instance": instance},
        });
        Lean(Ok(Arc::new(serde_json::from_value(object).expect("a member"))))
    }

    #[test]
    fn what_is_held_costs_until_it_is_gone() {
        let members = Members::default();
        let usd = |text: &str| text.parse::<Usd>().expect("money");
        for (uid, pool) in [("1", "python"), ("2", "python"), ("3", "node")] {
            members.note(&Event::Apply(claimed(uid, pool, "2026-11-22T10:00:40Z", Some("0.5"))));
        }
        assert_eq!((members.usd_per_hour("python"), members.usd_per_hour("node")), (usd("1"), usd("0.5")));
        // One that sleeps has no instance.
        members.note(&Event::Apply(claimed("2", "python", "2026-11-22T10:00:40Z", None)));
        assert_eq!(members.usd_per_hour("python"), usd("0.5"));
        members.note(&Event::Delete(claimed("1", "python", "2026-11-22T10:00:40Z", Some("0.5"))));
        assert_eq!(members.usd_per_hour("python"), Usd::ZERO);
        // What went while the watch was broken is gone.
        for event in [Event::Init, Event::InitDone] {
            members.note(&event);
        }
        assert_eq!(members.usd_per_hour("node"), Usd::ZERO);
    }

    #[test]
    fn the_lead_time_is_that_of_the_newest_members_each_counted_once() {
        let members = Members::default();
        assert_eq!(members.lead_time_seconds("python"), None);
        for ready in ["2026-11-22T10:00:40Z", "2026-11-22T11:00:00Z"] {
            members.note(&Event::Apply(claimed("1", "python", ready, None)));
        }
        assert_eq!(members.lead_time_seconds("python"), Some(40.0));
        members.note(&Event::Apply(claimed("2", "python", "2026-11-22T10:00:20Z", None)));
        assert_eq!(members.lead_time_seconds("python"), Some(30.0));
        for number in 10..10 + LEADS {
            members.note(&Event::Apply(claimed(&number.to_string(), "python", "2026-11-22T10:00:50Z", None)));
        }
        assert_eq!(members.lead_time_seconds("python"), Some(50.0));
    }
}
