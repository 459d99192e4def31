//! Hibernation, waking, and pools that begin with a snapshot: a real control plane, real processes, a real S3 server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, Patch, PatchParams, PostParams};
use sandbar::api::{HibernationStatus, Phase, Sandbox, SandboxPool, Usd};
use sandbar::cloudsim::admin::{Fault, Op, Rule, Shape, SimAdmin, State};
use sandbar::cloudsim::{CloudSim, Options, Running};
use serde_json::json;

use crate::claims::{command, done, failed, let_read_secrets};
use crate::s3::S3;
use crate::scene::{self, Scene, held, is, is_not, name};
use crate::wait::{eventually, holds, wait_for, wait_gone};
use crate::world::{OperatorSpec, PROGRAM, World, quick_account};

/// A scene whose sandboxes are processes, and a store for their files.
pub struct Stage {
    pub scene: Scene,
    pub s3: S3,
    // Ends its processes when it is dropped.
    _cloud: Running,
}

impl Stage {
    pub async fn start(test: &str) -> Self {
        Self::with(test, &[]).await
    }

    async fn with(test: &str, flags: &[&str]) -> Self {
        let stage = Self::empty(test, flags).await;
        stage.scene.pool(json!({"warm": {"target": 1}, "limits": {"maxSandboxes": 2}})).await;
        stage
    }

    /// Without a pool.
    pub async fn empty(test: &str, flags: &[&str]) -> Self {
        let s3 = S3::start().await;
        let mut env = World::get().await.test(test).await;
        let accounts = BTreeMap::from([(env.account.clone(), quick_account(env.token.clone()))]);
        let agent_program = Some(PROGRAM.into());
        let cloud = CloudSim::start(Options { seed: 1, accounts, agent_program, ..Options::default() }).await;
        let cloud = cloud.expect("the simulator starts");
        env.sim = SimAdmin::new(cloud.url());
        let quick = OperatorSpec::default().args(flags).through(cloud.url());
        let spec = s3.environment().into_iter().fold(quick, |spec, (name, value)| spec.env(name, &value));
        let watcher = env.watcher().await;
        let operator = env.operator(spec).await;
        let_read_secrets(&env).await;
        let (pools, sandboxes) = (env.api(), env.api());
        let scene = Scene { env, operator, watcher, pools, sandboxes };
        Self { scene, s3, _cloud: cloud }
    }

    /// A run with a file of its own.
    pub async fn run(&self, id: &str) -> Sandbox {
        let member = self.scene.claim_one(id, "20m").await;
        done(
            &self
                .typed(&["exec", id, "--", "mkdir -p .git/objects && echo mine > .git/objects/a && echo kept > notes"])
                .await,
        );
        member
    }

    pub async fn typed(&self, arguments: &[&str]) -> Output {
        let mut command = command(&self.scene.env, arguments);
        command.envs(self.s3.environment()).output().await.expect("it runs")
    }

    pub async fn notes(&self, id: &str) -> String {
        done(&self.typed(&["exec", id, "--", "cat notes .git/objects/a"]).await)
    }

    /// What a holder does with kubectl.
    async fn want(&self, member: &Sandbox, mode: &str) {
        let users: Api<Sandbox> = self.scene.env.user_api();
        let patch = Patch::Merge(json!({"spec": {"operatingMode": mode}}));
        users.patch(&name(member), &PatchParams::default(), &patch).await.expect("the API server takes it");
    }

    pub async fn shows(&self, member: &Sandbox, what: &str, like: impl Fn(&Sandbox) -> bool) -> Sandbox {
        let uid = member.metadata.uid.clone();
        self.scene.shows(&name(member), what, |found| found.metadata.uid == uid && like(found)).await
    }

    /// Names of the snapshots that hibernation has left in the store.
    pub fn stored(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.s3.snapshots(&self.scene.env.namespace)).into_iter().flatten();
        let whole =
            entries.map(|entry| entry.expect("an entry")).filter(|entry| entry.path().join("metadata.json").exists());
        let names = whole.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("hibernate-")).collect()
    }
}

fn kept(member: &Sandbox) -> HibernationStatus {
    member.status.as_ref().and_then(|status| status.hibernation.clone()).expect("a hibernation")
}

pub fn says(member: &Sandbox, kind: &str, reason: &str) -> bool {
    let conditions = member.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| condition.type_ == kind && condition.reason == reason)
}

/// Nothing is written, and nothing asked of the store.
async fn sleeps_in_silence(stage: &Stage) {
    let (versions, asked) = (stage.scene.versions().await, stage.s3.asked());
    holds(Duration::from_secs(3), "silent", async || {
        let now = stage.scene.versions().await;
        if now == versions { Ok(()) } else { Err(format!("{versions:#?}\n{now:#?}")) }
    })
    .await;
    assert_eq!(stage.s3.asked(), asked, "a sleeping sandbox asks nothing of the store");
}

#[tokio::test]
async fn a_hibernated_run_costs_nothing_and_wakes_with_its_files_s1_s10() {
    let stage = Stage::start("hibernate").await;
    let member = stage.run("run-1").await;
    let first = stage.scene.app_of(&member).await;
    let told = done(&stage.typed(&["hibernate", "run-1"]).await);
    assert!(told.contains(&format!("{} hibernated", name(&member))), "{told}");
    let asleep = stage.scene.sandboxes.get(&name(&member)).await.unwrap();
    assert_eq!((asleep.phase(), held(&asleep)), (Phase::Hibernated, Some("run-1")), "the claim stays");
    assert_eq!(asleep.status.as_ref().and_then(|status| status.url.clone()), None);
    let gone = stage.scene.ledger().await.apps.into_iter().find(|app| app.id == first.id).unwrap();
    assert_eq!(gone.state, State::Gone, "its instance costs nothing any more");
    let told = failed(&stage.typed(&["exec", "run-1", "--", "true"]).await, 125);
    assert!(told.contains("is hibernated") && told.contains("sandbar wake run-1"), "{told}");

    stage
        .scene
        .pool_shows("level, the slot held", |status| (status.warm, status.claimed, status.total) == (1, 1, 2))
        .await;
    stage.scene.level(1).await;
    let cost = |sandbox: &Sandbox| sandbox.status.as_ref().and_then(|status| status.cost.clone()).unwrap_or_default();
    let slept = cost(&asleep);
    // It may have been held for less than a second, which costs nothing; its instance costs a minute at least.
    assert!(slept.settled_usd >= slept.held_usd && slept.settled_usd > Usd::ZERO && slept.since.is_none(), "{slept:?}");
    let other = cost(&stage.scene.sandboxes.get("python-1").await.unwrap()).usd_per_hour.expect("a price");
    stage
        .scene
        .pool_shows("only the warm one costs", |status| {
            status.cost.as_ref().is_some_and(|cost| cost.usd_per_hour == other)
        })
        .await;
    sleeps_in_silence(&stage).await;

    let told = done(&stage.typed(&["wake", "run-1"]).await);
    assert!(told.contains("is awake with its files after "), "{told}");
    assert_eq!(stage.notes("run-1").await, "kept\nmine\n");
    let awake = stage.scene.sandboxes.get(&name(&member)).await.unwrap();
    assert!(kept(&awake).wake_seconds.is_some() && is(&awake, "Ready") && !is(&awake, "FilesLost"));
    assert!(cost(&awake).since.is_some() && cost(&awake).settled_usd == slept.settled_usd, "S14: {:?}", cost(&awake));
    let second = stage.scene.app_of(&member).await;
    assert!(second.id != first.id && second.name != first.name, "a new attempt has a new name");
    let events: Api<Event> = stage.scene.env.api();
    // They are posted beside the work, not before it.
    eventually("every step has its Event", async || {
        let list = events.list(&Default::default()).await.unwrap();
        let reasons: Vec<_> = list.iter().filter_map(|event| event.reason.as_deref()).collect();
        let all = ["Hibernating", "Hibernated", "Waking", "Restored"].iter().all(|word| reasons.contains(word));
        if all { Ok(()) } else { Err(format!("{reasons:?}")) }
    })
    .await;

    assert_eq!(stage.stored().len(), 1);
    stage.scene.delete(&name(&member)).await;
    eventually("the snapshot goes with its claim", async || match stage.stored() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    })
    .await;
    stage.scene.sound(2).await;
}

#[tokio::test]
async fn a_dead_operator_changes_nothing_about_hibernation_s1_s8() {
    let mut stage = Stage::start("hibernate-dead").await;
    let member = stage.run("run-1").await;
    stage.s3.broken(true);
    stage.want(&member, "Hibernated").await;
    stage
        .shows(&member, "Hibernating", |member| {
            member.status.as_ref().is_some_and(|status| status.hibernation.is_some())
        })
        .await;
    stage.scene.operator.kill9().await;
    stage.s3.broken(false);
    stage.scene.operator.restart().await;
    let asleep = stage.shows(&member, "Hibernated", |member| member.phase() == Phase::Hibernated).await;
    assert_eq!(held(&asleep), Some("run-1"));
    stage.scene.operator.kill9().await;
    stage.want(&member, "Running").await;
    stage.scene.operator.restart().await;
    let second = |member: &Sandbox| member.instance().is_some_and(|instance| instance.attempt == 2);
    stage.shows(&member, "waking", second).await;
    stage.scene.operator.kill9().await;
    stage.scene.operator.restart().await;
    let awake = stage.shows(&member, "awake", |member| is(member, "FilesRestored") && is(member, "Ready")).await;
    assert_eq!(awake.instance().map(|instance| instance.attempt), Some(2), "no attempt was made for nothing");
    assert_eq!(stage.notes("run-1").await, "kept\nmine\n");
    stage.scene.sound(2).await;
}

#[tokio::test]
async fn a_store_that_fails_keeps_the_sandbox_running() {
    let stage = Stage::start("hibernate-store").await;
    let member = stage.run("run-1").await;
    stage.s3.broken(true);
    let told = failed(&stage.typed(&["hibernate", "run-1"]).await, 1);
    assert!(told.contains("is not hibernated: it goes on running and is tried again: cannot "), "{told}");
    let runs = stage.shows(&member, "running", |member| member.phase() == Phase::Claimed && is(member, "Ready")).await;
    assert!(says(&runs, "Hibernated", "SnapshotFailed"));
    eventually("it can be used between two tries", async || {
        let answer = stage.typed(&["exec", "run-1", "--", "cat notes .git/objects/a"]).await;
        if answer.stdout == b"kept\nmine\n" { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    done(&stage.typed(&["wake", "run-1"]).await);
    let stays = stage.shows(&member, "no hibernation", |member| says(member, "Hibernated", "AsExpected")).await;
    assert_eq!(stays.status.unwrap().hibernation, None);

    failed(&stage.typed(&["hibernate", "run-1"]).await, 1);
    stage.s3.broken(false);
    stage.shows(&member, "hibernated by a later try", |member| member.phase() == Phase::Hibernated).await;
    stage.scene.sound(2).await;
}

#[tokio::test]
async fn a_wake_whose_create_loses_its_answer_and_whose_store_is_away_comes_late_and_whole_s1_s6() {
    let stage = Stage::start("hibernate-late").await;
    let member = stage.run("run-1").await;
    done(&stage.typed(&["hibernate", "run-1"]).await);
    let lost = Rule::new(Fault::ErrorAfter(Shape::Html { status: 504 })).on([Op::Create]).times(1);
    stage.scene.env.sim.set_rules(&stage.scene.env.account, [lost]).await.expect("the fault is taken");
    stage.s3.broken(true);
    let made = stage.scene.ledger().await.apps.len();
    stage.want(&member, "Running").await;
    let looks = |member: &Sandbox| {
        let mut all = member.status.iter().flat_map(|status| &status.conditions);
        all.any(|told| told.type_ == "Hibernated" && told.message.contains("is looked for again: "))
    };
    let looking = stage.shows(&member, "looking for its snapshot", looks).await;
    assert_eq!((looking.phase(), stage.scene.ledger().await.apps.len()), (Phase::Hibernated, made));
    stage.s3.broken(false);
    let second = |member: &Sandbox| member.instance().is_some_and(|instance| instance.attempt == 2);
    stage.shows(&member, "waking", second).await;
    stage.s3.broken(true);
    let waits =
        stage.shows(&member, "waiting for the store", |member| says(member, "FilesRestored", "Restoring")).await;
    assert!(is_not(&waits, "Ready") && held(&waits) == Some("run-1"), "nobody uses it before its files are back");
    stage
        .shows(&member, "told what is wrong", |member| {
            let mut all = member.status.iter().flat_map(|status| &status.conditions);
            all.any(|told| told.type_ == "FilesRestored" && told.message.contains("is tried again: "))
        })
        .await;
    stage.s3.broken(false);
    let awake = stage.shows(&member, "awake", |member| is(member, "FilesRestored") && is(member, "Ready")).await;
    assert_eq!(
        awake.instance().map(|instance| instance.attempt),
        Some(2),
        "the create was not sent under another name"
    );
    assert_eq!(stage.notes("run-1").await, "kept\nmine\n");
    stage.scene.sound(2).await;
}

#[tokio::test]
async fn what_a_dead_operator_left_in_the_store_is_swept_and_nothing_else_s9() {
    let stage = Stage::with("hibernate-left", &["--snapshot-keep", "1s", "--snapshot-sweep", "1s"]).await;
    let member = stage.run("run-1").await;
    done(&stage.typed(&["snapshot", "create", "run-1", "--name", "notes"]).await);
    done(&stage.typed(&["hibernate", "run-1"]).await);
    let folder = stage.s3.snapshots(&stage.scene.env.namespace);
    let own = kept(&stage.scene.sandboxes.get(&name(&member)).await.unwrap()).snapshot;
    let left = |name: &str| {
        std::fs::create_dir(folder.join(name)).unwrap();
        for file in std::fs::read_dir(folder.join(&own)).unwrap().map(|entry| entry.unwrap().path()) {
            std::fs::copy(&file, folder.join(name).join(file.file_name().unwrap())).unwrap();
        }
    };
    // Another try of its own, one of a Sandbox that is gone, one that was never whole; and another installation's.
    let uid = member.metadata.uid.clone().unwrap().replace('-', "");
    let (dead, abroad) = (own.replace(&uid, &"0".repeat(32)), format!("hibernate-abroad00-{uid}-1-1"));
    let (again, half) = (format!("{own}9"), dead.clone() + "9");
    [&again, &dead, &half, &abroad].into_iter().for_each(|name| left(name));
    std::fs::remove_file(folder.join(&half).join("metadata.json")).unwrap();
    let there = || {
        let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
        // The server of the test leaves empty folders.
        let full = entries.filter(|entry| std::fs::read_dir(entry.path()).unwrap().next().is_some());
        full.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<BTreeSet<String>>()
    };
    let stays: BTreeSet<String> = [own.clone(), abroad, "notes".to_owned()].into();
    eventually("what nobody speaks of goes", async || match there() {
        left if left == stays => Ok(()),
        left => Err(format!("{left:#?}")),
    })
    .await;
    let asked = stage.s3.asked();
    eventually("two more sweeps", async || if stage.s3.asked() > asked + 6 { Ok(()) } else { Err("not yet") }).await;
    assert_eq!(there(), stays);
    done(&stage.typed(&["wake", "run-1"]).await);
    assert_eq!(stage.notes("run-1").await, "kept\nmine\n");
    stage.scene.sound(2).await;
}

#[tokio::test]
async fn a_wake_without_its_snapshot_sleeps_on_until_it_is_back_s6() {
    let stage = Stage::start("hibernate-missing").await;
    let member = stage.run("run-1").await;
    done(&stage.typed(&["hibernate", "run-1"]).await);
    let folder = stage.s3.snapshots(&stage.scene.env.namespace).join(&stage.stored()[0]);
    let elsewhere = folder.parent().and_then(Path::parent).unwrap().join("elsewhere");
    std::fs::rename(&folder, &elsewhere).unwrap();
    stage.scene.level(1).await;
    let made = stage.scene.ledger().await.apps.len();
    let told = failed(&stage.typed(&["wake", "run-1"]).await, 1);
    for part in ["sleeps on", "there is no snapshot hibernate-", "--snapshot-url", "sandbar.dev/abandon-files="] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let waits = stage.shows(&member, "asleep", |member| says(member, "Hibernated", "SnapshotMissing")).await;
    assert_eq!((waits.phase(), held(&waits)), (Phase::Hibernated, Some("run-1")));
    assert!(is(&waits, "Hibernated") && !is(&waits, "FilesLost") && kept(&waits).lost_at.is_none());
    assert_eq!(stage.scene.ledger().await.apps.len(), made, "no instance is paid for without files");
    std::fs::rename(&elsewhere, &folder).unwrap();
    stage.shows(&member, "awake by itself", |member| is(member, "FilesRestored") && is(member, "Ready")).await;
    assert_eq!(stage.notes("run-1").await, "kept\nmine\n");
    stage.scene.sound(2).await;
}

#[tokio::test]
async fn a_request_tells_of_its_sleeping_sandbox() {
    let stage = Stage::start("hibernate-request").await;
    stage.scene.request("nightly", json!({"ttl": "20m"})).await;
    let ready = stage.scene.ready("nightly").await;
    let bound = ready.status.and_then(|status| status.bound_to).expect("bound");
    done(&stage.typed(&["hibernate", "nightly"]).await);
    let asleep = stage.scene.shows("nightly", "Hibernated", |request| request.phase() == Phase::Hibernated).await;
    assert!(is(&asleep, "Hibernated") && says(&asleep, "Hibernated", "Hibernated"));
    done(&stage.typed(&["wake", "nightly"]).await);
    let awake = stage.scene.ready("nightly").await.status.unwrap();
    let member = stage.scene.sandboxes.get(&bound.name).await.unwrap().status.unwrap();
    assert_eq!(awake.url, member.url, "it tells the new address");
}

#[tokio::test]
async fn a_pool_begins_with_the_files_of_a_snapshot() {
    let stage = Stage::start("snapshot-pool").await;
    let pools: Api<SandboxPool> = stage.scene.env.api();
    let based = |pool: &str, snapshot: &str| {
        let mut based = scene::pool(json!({"warm": {"target": 1}, "limits": {"maxSandboxes": 1},
            "snapshot": {"name": snapshot}}));
        based.metadata.name = Some(pool.to_owned());
        based
    };
    pools.create(&PostParams::default(), &based("based", "base")).await.unwrap();
    let failing = wait_for(&pools, "based", "failed twice, as there is no such snapshot", |pool| {
        let failures = pool.status.as_ref().and_then(|status| status.failures.as_ref());
        failures.is_some_and(|failures| failures.consecutive >= 2 && failures.last_reason == "SnapshotMissing")
    })
    .await;
    let failures = failing.status.unwrap().failures.unwrap();
    assert!(failures.last_message.contains("there is no snapshot base in "), "{}", failures.last_message);

    stage.run("run-1").await;
    done(&stage.typed(&["snapshot", "create", "run-1", "--name", "base"]).await);
    let warm =
        wait_for(&pools, "based", "a warm one", |pool| pool.status.as_ref().is_some_and(|status| status.warm == 1));
    warm.await;
    let member = wait_for(&stage.scene.sandboxes, "based-0", "Warm", |member| member.phase() == Phase::Warm).await;
    assert!(is(&member, "FilesRestored"));
    done(&stage.typed(&["claim", "based", "--id", "run-2", "--ttl", "5m"]).await);
    assert_eq!(stage.notes("run-2").await, "kept\nmine\n");
    let made = stage.scene.ledger().await.apps.len();
    done(&stage.typed(&["release", "run-2"]).await);
    pools.delete("based", &Default::default()).await.unwrap();
    wait_gone(&pools, "based").await;
    assert!(made <= 12, "every try is paid for: {made} apps");
}
