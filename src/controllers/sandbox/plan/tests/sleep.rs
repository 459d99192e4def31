//! Whole lives of one run that is put to sleep and woken at random, under faults and crashes, in virtual time: what its
//! holder wrote is always somewhere, and never shown as what it is not.

use super::fixture::*;
use crate::api::conditions::{Reason, Type, is_true};
use crate::api::{OperatingMode, Phase, Sandbox};
use crate::controllers::sandbox::facts::{BooksFact, Evidence, GetFact, MemberFacts, Observed, ProbeFact};
use crate::controllers::sandbox::plan::{Effect, plan};
use crate::controllers::sandbox::settle::{Outcome, settle};
use crate::controllers::transfers::{MoveError, Order, Progress, Way};
use crate::providers::{ErrorClass, Instance, InstancePhase, ProviderError};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What happens in one step besides the pass.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Chance {
    Nothing,
    /// The holder changes its mind.
    Toggle,
    /// The holder writes a file, if the sandbox can be used.
    Write,
    /// The process dies after writing its intent.
    Crash,
    /// The status write meets a conflict.
    Conflict,
    /// Nothing gets into the store or out of it.
    StoreDown,
    /// A create has its effect, and its answer is lost.
    LostAnswer,
    /// A delete is answered and not done.
    LyingDelete,
    /// What a dead process had sent to the store takes effect only now.
    LateSave,
}

struct App {
    instance: Instance,
    made: i64,
    /// The newest write that it holds; none in a fresh one.
    files: Option<u32>,
}

struct World {
    now: i64,
    sandbox: Sandbox,
    apps: BTreeMap<String, App>,
    store: BTreeMap<String, Option<u32>>,
    /// Snapshots that a dead process was about to remove.
    left: BTreeSet<String>,
    /// Snapshots that a dead process has sent to the store.
    late: BTreeMap<String, Option<u32>>,
    transfer: Option<(Order, Progress)>,
    /// The newest write of the holder.
    wrote: u32,
    created: Option<Instance>,
    last_write: i64,
    delete_asked: Option<i64>,
    proved_gone: bool,
    made: u32,
    gone: bool,
}

impl World {
    fn new() -> Self {
        let mut sandbox = warm();
        sandbox.spec.claim = Some(claim(1_000_000));
        sandbox.metadata.generation = Some(1);
        sandbox.status.as_mut().expect("a status").phase = Some(Phase::Claimed);
        let instance = seen(InstancePhase::Running);
        let apps = BTreeMap::from([(instance.name.clone(), App { instance, made: 0, files: Some(0) })]);
        let (store, left, late, transfer, created) = Default::default();
        let template = sandbox.spec.template.as_mut().expect("a template");
        // A waking that fails for good is another test's.
        template.create.max_attempts = i32::MAX;
        let (delete_asked, proved_gone, made, gone) = (None, false, 1, false);
        let (now, wrote, last_write) = (100, 0, 0);
        Self {
            now,
            sandbox,
            apps,
            store,
            left,
            late,
            transfer,
            wrote,
            created,
            last_write,
            delete_asked,
            proved_gone,
            made,
            gone,
        }
    }

    fn forget(&mut self) {
        (self.transfer, self.created, self.delete_asked, self.proved_gone) = (None, None, None, false);
        self.last_write = self.now;
    }

    fn is_ready(&self) -> bool {
        self.sandbox.status.as_ref().is_some_and(|status| is_true(&status.conditions, Type::Ready))
    }

    fn app(&mut self) -> Option<&mut App> {
        let name = self.sandbox.instance()?.name.clone();
        self.apps.get_mut(&name)
    }

    fn observe(&self) -> MemberFacts {
        let mut facts = facts(self.sandbox.clone(), self.now);
        facts.transfer = self.transfer.clone();
        facts.books = BooksFact::Taken;
        let Some(instance) = self.sandbox.instance() else { return facts };
        let listed = self.apps.get(&instance.name).map(|app| {
            let running = self.now - app.made >= 10;
            let phase = if running { InstancePhase::Running } else { InstancePhase::Starting };
            Instance { phase, url: running.then(|| "http://sandbox".to_owned()), ..app.instance.clone() }
        });
        let ending = self.sandbox.is_deleting() || instance.failure.is_some();
        let unlisted_twice = listed.is_none() && self.now - self.last_write > 60;
        let running = listed.as_ref().is_some_and(|seen| seen.phase == InstancePhase::Running);
        let gone = !ending && instance.id.is_some() && listed.is_none();
        facts.probe = running.then_some(ProbeFact { healthy: true, failures: 0, failing_for: Duration::ZERO });
        facts.evidence = Evidence {
            listing_is_newer: true,
            unlisted_twice,
            listing_age: Some(Duration::ZERO),
            got: gone.then_some(GetFact::Gone),
            proved_gone: self.proved_gone,
            name_free: (ending && unlisted_twice).then_some(true),
            created: self.created.clone().filter(|_| instance.id.is_none()),
            delete_asked_ago: self.delete_asked.map(|asked| Duration::from_secs((self.now - asked).unsigned_abs())),
            listed,
            ..Evidence::default()
        };
        facts
    }

    fn step(&mut self, chance: Chance) {
        if chance == Chance::LateSave {
            self.left.extend(self.late.keys().cloned());
            self.store.append(&mut self.late);
        }
        self.holder(chance);
        self.carry(chance == Chance::StoreDown);
        let decided = plan(&Observed::Member(Box::new(self.observe())));
        if chance == Chance::Conflict {
            return;
        }
        let before = self.sandbox.instance().map(|instance| instance.attempt);
        self.sandbox.status = Some(decided.status);
        if self.sandbox.instance().map(|instance| instance.attempt) != before {
            let transfer = self.transfer.take();
            self.forget();
            self.transfer = transfer;
        }
        self.check();
        if chance == Chance::Crash {
            self.left.extend(decided.effects.into_iter().filter_map(|effect| match effect {
                Effect::DiscardSnapshot { snapshot } => Some(snapshot),
                _ => None,
            }));
            self.send_late();
            return self.forget();
        }
        let mut outcomes = Vec::new();
        for effect in decided.effects {
            outcomes.extend(self.perform(effect, chance));
        }
        let status = self.sandbox.status.clone().unwrap_or_default();
        self.sandbox.status = Some(settle(status, outcomes, None, at(self.now)));
        self.check();
    }

    fn holder(&mut self, chance: Chance) {
        if chance == Chance::Toggle {
            let hibernated = self.sandbox.spec.operating_mode == Some(OperatingMode::Hibernated);
            self.want(if hibernated { OperatingMode::Running } else { OperatingMode::Hibernated });
        }
        if chance == Chance::Write && self.is_ready() {
            self.wrote += 1;
            let wrote = self.wrote;
            self.app().expect("a ready sandbox has an instance").files = Some(wrote);
        }
    }

    fn want(&mut self, mode: OperatingMode) {
        self.sandbox.spec.operating_mode = Some(mode);
        self.sandbox.metadata.generation = self.sandbox.metadata.generation.map(|generation| generation + 1);
    }

    /// The process dies after it has sent the files as they are now, and before it could know of an answer.
    fn send_late(&mut self) {
        let Some((Order { way: Way::Save, snapshot, attempt: number }, Progress::Moving { .. })) = &self.transfer
        else {
            return;
        };
        if let Some(app) = self.apps.get(&attempt(*number, None).name) {
            self.late.insert(snapshot.clone(), app.files);
        }
    }

    /// The transfer under way comes to its end.
    fn carry(&mut self, store_down: bool) {
        let order = match self.transfer.clone() {
            Some((order, Progress::Queued)) => {
                self.transfer = Some((order, Progress::Moving { trouble: None }));
                return;
            }
            Some((order, Progress::Moving { .. })) => order,
            _ => return,
        };
        let broken = |message: &str| Progress::Failed { reason: Reason::TransferFailed, message: message.to_owned() };
        let moving = |who: &str| Progress::Moving { trouble: Some(MoveError::passing(Reason::TransferFailed, who)) };
        let files = self.apps.get(&attempt(order.attempt, None).name).map(|app| app.files);
        let progress = match (order.way, files) {
            (Way::Find | Way::Check, _) if store_down => moving("store"),
            (Way::Find | Way::Check, _) => match self.store.get(&order.snapshot) {
                Some(_) => Progress::Done { bytes: 1 },
                None => panic!("snapshot {} is gone from the store", order.snapshot),
            },
            (Way::Save, _) if store_down => broken("store"),
            (Way::Restore(_), _) if store_down => moving("store"),
            (Way::Save, None) => broken("agent"),
            (Way::Restore(_), None) => moving("agent"),
            (Way::Save, Some(files)) => {
                self.store.insert(order.snapshot.clone(), files);
                Progress::Done { bytes: 1 }
            }
            (Way::Restore(_), Some(_)) => match self.store.get(&order.snapshot).copied() {
                Some(kept) => {
                    self.apps.get_mut(&attempt(order.attempt, None).name).expect("there").files = kept;
                    Progress::Done { bytes: 1 }
                }
                None => Progress::Failed { reason: Reason::SnapshotMissing, message: "missing".into() },
            },
        };
        self.transfer = Some((order, progress));
    }

    fn perform(&mut self, effect: Effect, chance: Chance) -> Option<Outcome> {
        match effect {
            Effect::Create { name, fresh, .. } => return Some(self.create(name, fresh, chance)),
            Effect::Delete { id } => self.delete(&id, chance),
            Effect::Transfer { order } if self.transfer.as_ref().is_none_or(|(started, _)| *started != order) => {
                self.transfer = Some((order, Progress::Queued));
            }
            Effect::EndTransfer => self.transfer = None,
            Effect::DiscardSnapshot { snapshot } => _ = self.store.remove(&snapshot),
            Effect::LiftFinalizer => {
                assert!(self.apps.is_empty(), "S4: the finalizer went while an instance exists");
                self.gone = true;
            }
            _ => {}
        }
        None
    }

    fn create(&mut self, name: String, fresh: bool, chance: Chance) -> Outcome {
        self.last_write = self.now;
        let error = |class| Outcome::NotCreated {
            error: ProviderError { class, operation: "create", message: "no".into() },
            fresh,
        };
        if self.apps.contains_key(&name) {
            return error(ErrorClass::NameTaken);
        }
        self.made += 1;
        let (id, created_at) = (format!("id-{}", self.made), Some(at(self.now)));
        let instance = Instance { id, name: name.clone(), created_at, ..seen(InstancePhase::Starting) };
        self.apps.insert(name, App { instance: instance.clone(), made: self.now, files: None });
        if chance == Chance::LostAnswer {
            return error(ErrorClass::Unknown);
        }
        self.created = Some(instance.clone());
        Outcome::Created(Box::new(instance))
    }

    fn delete(&mut self, id: &str, chance: Chance) {
        (self.last_write, self.delete_asked) = (self.now, Some(self.now));
        let name = self.apps.iter().find(|(_, app)| app.instance.id == id).map(|(name, _)| name.clone());
        match name {
            Some(_) if chance == Chance::LyingDelete => {}
            Some(name) => _ = self.apps.remove(&name),
            None => self.proved_gone = true,
        }
    }

    fn check(&self) {
        assert!(self.apps.len() <= 1, "S1: two instances for one member: {:?}", self.apps.keys());
        let status = self.sandbox.status.as_ref().expect("a status");
        assert!(!is_true(&status.conditions, Type::FilesLost), "nothing is lost here: {status:#?}");
        let newest = Some(self.wrote);
        let held = self.apps.values().any(|app| app.files == newest);
        assert!(held || self.store.values().any(|kept| *kept == newest), "write {} is nowhere", self.wrote);
        if status.phase == Some(Phase::Hibernated) {
            assert!(status.cost.as_ref().is_none_or(|cost| cost.since.is_none()), "S14: its sleep costs: {status:#?}");
        }
        if self.is_ready() {
            assert!(held, "it is said to be ready without what its holder wrote: {status:#?}");
        }
    }

    /// Snapshots in the store that are not a dead process's.
    fn kept(&self) -> usize {
        self.store.keys().filter(|name| !self.left.contains(*name)).count()
    }

    fn settle_down(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..1000 {
            if done(self) {
                return;
            }
            self.now += 5;
            self.step(Chance::Nothing);
        }
        panic!("{what}: still so at {} s: {:#?}", self.now, self.sandbox.status);
    }
}

fn chance() -> impl Strategy<Value = Chance> {
    prop_oneof![
        8 => Just(Chance::Nothing),
        2 => Just(Chance::Toggle),
        2 => Just(Chance::Write),
        1 => Just(Chance::Crash),
        1 => Just(Chance::Conflict),
        1 => Just(Chance::StoreDown),
        1 => Just(Chance::LostAnswer),
        1 => Just(Chance::LyingDelete),
        1 => Just(Chance::LateSave),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_survives_every_sleep_s1_s4_s8(
        script in prop::collection::vec((chance(), 1_i64..30), 0..120),
    ) {
        let mut world = World::new();
        for (chance, pause) in script {
            world.now += pause;
            world.step(chance);
        }
        world.want(OperatingMode::Hibernated);
        world.settle_down("asleep", |world| world.sandbox.phase() == Phase::Hibernated);
        prop_assert!(world.apps.is_empty());
        world.want(OperatingMode::Running);
        world.step(Chance::Nothing);
        world.settle_down("awake", |world| world.is_ready() && world.transfer.is_none());
        prop_assert_eq!(world.kept(), 1, "older snapshots are removed");
        world.sandbox.metadata.deletion_timestamp = Some(time(world.now));
        let wrote = world.wrote;
        // From here on nobody needs what was written.
        world.store.insert("elsewhere".into(), Some(wrote));
        world.settle_down("gone", |world| world.gone);
        prop_assert_eq!(world.kept(), 1, "nothing of it stays in the store");
    }
}
