//! Whole lives of one member under random faults and crashes, in virtual time:
//! plan and settle as they are, around them a small provider and a small API server.

use super::fixture::*;
use crate::api::cost::LEAST_BILLED_SECONDS;
use crate::api::{Phase, Sandbox, Usd};
use crate::controllers::sandbox::facts::{BooksFact, Evidence, GetFact, MemberFacts, Observed, ProbeFact};
use crate::controllers::sandbox::plan::{Effect, plan};
use crate::controllers::sandbox::settle::{Outcome, settle};
use crate::providers::{ErrorClass, Instance, InstancePhase, Marks, ProviderError};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What goes wrong in one step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// Status writes meet a conflict.
    Conflict,
    /// The provider call has no effect and no clear answer.
    LostBefore,
    /// The provider call has its effect, the answer is lost.
    LostAfter,
    /// The process dies after the first effect.
    Crash,
    /// Listings and reads fail.
    Blind,
    /// The deployment fails.
    Broken,
    /// A delete is answered and not done.
    LyingDelete,
    /// The instance is gone by itself.
    Vanished,
}

struct App {
    instance: Instance,
    made: i64,
    broken: bool,
}

struct World {
    now: i64,
    sandbox: Sandbox,
    apps: BTreeMap<String, App>,
    created: Option<Instance>,
    last_write: Option<i64>,
    name_taken: bool,
    proved_gone: bool,
    delete_asked: Option<i64>,
    gone: bool,
    made: u32,
    /// From when to when each instance was there, by id.
    bill: BTreeMap<String, (i64, Option<i64>)>,
    /// Ids that the status ever showed.
    known: BTreeSet<String>,
    /// What the pool took over.
    books: Option<Usd>,
    /// What the status last told.
    told: Usd,
}

const LISTING: i64 = 10;
const GRACE: i64 = 60;

impl World {
    fn new() -> Self {
        Self {
            now: 0,
            sandbox: member(),
            apps: BTreeMap::new(),
            created: None,
            last_write: None,
            name_taken: false,
            proved_gone: false,
            delete_asked: None,
            gone: false,
            made: 0,
            bill: BTreeMap::new(),
            known: BTreeSet::new(),
            books: None,
            told: Usd::ZERO,
        }
    }

    fn forget(&mut self) {
        (self.created, self.name_taken, self.proved_gone, self.delete_asked) = (None, false, false, None);
        // A new process believes absence only after what another may have sent is over.
        self.last_write = Some(self.now);
    }

    fn seen(&self, name: &str) -> Option<Instance> {
        let app = self.apps.get(name)?;
        let running = self.now - app.made >= 40;
        let phase = match (app.broken, running) {
            (true, _) => InstancePhase::Failed { message: "broken".into() },
            (false, true) => InstancePhase::Running,
            (false, false) => InstancePhase::Starting,
        };
        Some(Instance { phase, url: running.then(|| "http://sandbox".to_owned()), ..app.instance.clone() })
    }

    fn observe(&self, blind: bool) -> MemberFacts {
        let mut facts = facts(self.sandbox.clone(), self.now);
        facts.books = if self.books.is_some() { BooksFact::Taken } else { BooksFact::Open };
        let Some(instance) = self.sandbox.instance() else { return facts };
        // The newest listing began at the last multiple of its period.
        let began = self.now / LISTING * LISTING;
        let listed =
            self.seen(&instance.name).filter(|seen| !blind && seen.created_at.is_some_and(|made| made <= at(began)));
        let after = self.last_write.unwrap_or(0) + GRACE;
        let unlisted_twice = !blind && listed.is_none() && began - LISTING > after;
        let ending = self.sandbox.is_deleting() || instance.failure.is_some();
        let healthy = listed.as_ref().is_some_and(|seen| seen.phase == InstancePhase::Running);
        facts.evidence = Evidence {
            listing_is_newer: !blind && self.last_write.is_none_or(|write| began > write),
            unlisted_twice,
            listing_age: (!blind).then(|| Duration::from_secs((self.now - began).unsigned_abs())),
            got: None,
            proved_gone: self.proved_gone,
            name_taken: self.name_taken,
            name_free: (ending && unlisted_twice).then(|| !self.apps.contains_key(&instance.name)),
            created: self.created.clone().filter(|_| instance.id.is_none()),
            delete_asked_ago: self.delete_asked.map(|asked| Duration::from_secs((self.now - asked).unsigned_abs())),
            not_before: None,
            listed: listed.clone(),
        };
        if !blind && !ending && instance.id.is_some() && listed.is_none() && facts.evidence.listing_is_newer {
            facts.evidence.got =
                Some(self.seen(&instance.name).map_or(GetFact::Gone, |seen| GetFact::Present(Box::new(seen))));
        }
        facts.probe = healthy.then_some(ProbeFact { healthy: true, failures: 0, failing_for: Duration::ZERO });
        facts
    }

    fn step(&mut self, fault: Fault) {
        if fault == Fault::Vanished {
            self.remove(|_| true);
        }
        let decided = plan(&Observed::Member(Box::new(self.observe(fault == Fault::Blind))));
        if fault == Fault::Conflict {
            return;
        }
        let before = self.sandbox.instance().map(|instance| instance.attempt);
        self.sandbox.status = Some(decided.status);
        if self.sandbox.instance().map(|instance| instance.attempt) != before {
            (self.created, self.name_taken, self.proved_gone, self.delete_asked, self.last_write) =
                (None, false, false, None, None);
        }
        let mut outcomes = Vec::new();
        for effect in decided.effects {
            let crash = fault == Fault::Crash && matches!(effect, Effect::Create { .. } | Effect::Delete { .. });
            outcomes.extend(self.perform(effect, fault));
            if crash {
                return self.forget();
            }
        }
        let status = self.sandbox.status.clone().unwrap_or_default();
        self.sandbox.status = Some(settle(status, outcomes, None, at(self.now)));
        self.check();
        if fault == Fault::None {
            self.pool_looks();
        }
    }

    fn perform(&mut self, effect: Effect, fault: Fault) -> Option<Outcome> {
        match effect {
            Effect::Create { name, marks, inputs: _, fresh } => Some(self.create(name, marks, fresh, fault)),
            Effect::Delete { id } => {
                self.delete(&id, fault);
                None
            }
            Effect::LiftFinalizer => {
                assert!(self.apps.is_empty(), "S4: the finalizer went while an instance exists");
                assert!(self.told == Usd::ZERO || self.books == Some(self.told), "S14: the cost is in no pool");
                self.gone = true;
                None
            }
            Effect::DeleteSelf => {
                self.sandbox.metadata.deletion_timestamp = Some(time(self.now));
                None
            }
            _ => None,
        }
    }

    fn create(&mut self, name: String, marks: Marks, fresh: bool, fault: Fault) -> Outcome {
        let stored = self.sandbox.instance().map(|instance| instance.name.clone());
        assert_eq!(stored.as_ref(), Some(&name), "S2: the attempt stands in the API server first");
        assert!(!self.sandbox.is_deleting(), "S2: nothing is created for a member on its way out");
        self.last_write = Some(self.now);
        let error = |class| Outcome::NotCreated {
            error: ProviderError { class, operation: "create", message: "no".into() },
            fresh,
        };
        if fault == Fault::LostBefore {
            return error(ErrorClass::Unknown);
        }
        if self.apps.contains_key(&name) {
            self.name_taken = true;
            return error(ErrorClass::NameTaken);
        }
        self.made += 1;
        let id = format!("id-{}", self.made);
        let instance = Instance {
            id,
            name: name.clone(),
            marks: Some(marks),
            created_at: Some(at(self.now)),
            ..seen(InstancePhase::Starting)
        };
        self.bill.insert(instance.id.clone(), (self.now, None));
        self.apps.insert(name, App { instance: instance.clone(), made: self.now, broken: fault == Fault::Broken });
        if fault == Fault::LostAfter {
            return error(ErrorClass::Unknown);
        }
        self.name_taken = false;
        self.created = Some(instance.clone());
        Outcome::Created(Box::new(instance))
    }

    fn delete(&mut self, id: &str, fault: Fault) {
        self.last_write = Some(self.now);
        self.delete_asked = Some(self.now);
        let name = self.apps.iter().find(|(_, app)| app.instance.id == id).map(|(name, _)| name.clone());
        match (name, fault) {
            (_, Fault::LostBefore | Fault::LyingDelete) => {}
            (Some(name), _) => self.remove(|each| each == name),
            (None, Fault::LostAfter) => {}
            (None, _) => self.proved_gone = true,
        }
    }

    fn remove(&mut self, which: impl Fn(&str) -> bool) {
        let now = self.now;
        for (_, app) in self.apps.extract_if(.., |name, _| which(name)) {
            self.bill.entry(app.instance.id).and_modify(|(_, gone)| *gone = Some(now));
        }
    }

    /// The pool takes over what a member that has ended cost, once.
    fn pool_looks(&mut self) {
        let cost = self.sandbox.status.as_ref().and_then(|status| status.cost.as_ref());
        if let Some(cost) = cost.filter(|cost| cost.ended_at.is_some() && self.books.is_none()) {
            self.books = Some(cost.settled_usd);
        }
    }

    fn check_cost(&mut self) {
        let status = self.sandbox.status.clone().unwrap_or_default();
        self.known.extend(status.instance.and_then(|instance| instance.id));
        let told = status.cost.map(|cost| cost.to_date(at(self.now))).unwrap_or_default();
        assert!(told >= self.told, "S14: {} became {told}", self.told);
        self.told = told;
    }

    /// What the provider asks for the instances that the status knew, and the most that anybody could have seen.
    fn billed(&self) -> (Usd, Usd) {
        let price: Usd = "3.6".parse().expect("the fixture's");
        let known = self.bill.iter().filter(|(id, _)| self.known.contains(*id));
        let seconds = known.map(|(_, (made, gone))| gone.unwrap_or(self.now) - made);
        let least = seconds.map(|seconds| price.over(seconds.max(LEAST_BILLED_SECONDS))).sum();
        let minutes = price.over(LEAST_BILLED_SECONDS).times(self.bill.len());
        (least, minutes + price.over(self.now))
    }

    fn check(&mut self) {
        self.check_cost();
        assert!(self.apps.len() <= 1, "S1: two instances for one member: {:?}", self.apps.keys());
        if self.sandbox.phase() == Phase::Failed
            && self.sandbox.instance().is_some_and(|instance| instance.ready_at.is_none())
        {
            assert!(self.apps.is_empty(), "S13: a failed member still has an instance");
        }
    }

    /// Steps without faults until `done`.
    fn settle_down(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..1000 {
            if done(self) {
                return;
            }
            self.now += 5;
            self.step(Fault::None);
        }
        panic!("{what}: still {:?} at {} s: {:?}", self.sandbox.phase(), self.now, self.sandbox.status);
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::Conflict),
        1 => Just(Fault::LostBefore),
        1 => Just(Fault::LostAfter),
        1 => Just(Fault::Crash),
        1 => Just(Fault::Blind),
        1 => Just(Fault::Broken),
        1 => Just(Fault::LyingDelete),
        1 => Just(Fault::Vanished),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_life_has_one_instance_at_most_and_leaves_none_s1_s4_s8_s13_s14(
        script in prop::collection::vec((fault(), 1_i64..40), 0..60),
        delete_at in 0_usize..80,
    ) {
        let mut world = World::new();
        for (index, (fault, pause)) in script.into_iter().enumerate() {
            world.now += pause;
            if index == delete_at {
                world.sandbox.metadata.deletion_timestamp = Some(time(world.now));
            }
            world.step(fault);
            if world.gone {
                break;
            }
        }
        if !world.gone && !world.sandbox.is_deleting() {
            world.settle_down("warm or failed", |world| matches!(world.sandbox.phase(), Phase::Warm | Phase::Failed));
            world.sandbox.metadata.deletion_timestamp = Some(time(world.now));
        }
        world.settle_down("gone", |world| world.gone);
        prop_assert!(world.apps.is_empty());
        let (least, most) = world.billed();
        let books = world.books.unwrap_or_default();
        prop_assert!(least <= books && books <= most, "{books} USD, billed {least} to {most}");
    }
}
