//! One story that leads pools, members and requests through all their states, and what kstatus, Flux and Argo CD say of
//! every version of every object in it.

use std::collections::BTreeSet;

use kube::api::{DeleteParams, PostParams};
use sandbar::api::{Phase, Sandbox};
use sandbar::cloudsim::admin::{Fault, Rule};
use serde_json::{Value, json};

use super::film::Film;
use super::tools::{Verdict, verdicts};
use crate::claims::done;
use crate::hibernation::Stage;
use crate::scene::{self, condition_reason, is, name};
use crate::wait::wait_gone;

/// A kind; a state of it: JSON pointers and the word there (`-`: nothing), or conditions and their reasons; and what
/// kstatus and Argo CD say whenever it is in that state, as of its newest spec.
type Row = (&'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

const PHASE: &str = "/status/phase";
const REASON: &str = "/status/reason";

const ROWS: &[Row] = &[
    ("Sandbox", &[(PHASE, "Pending")], "InProgress", "Progressing"),
    ("Sandbox", &[(PHASE, "Creating")], "InProgress", "Progressing"),
    ("Sandbox", &[(PHASE, "Booting")], "InProgress", "Progressing"),
    ("Sandbox", &[(PHASE, "Warm")], "Current", "Healthy"),
    ("Sandbox", &[(PHASE, "Claimed"), (REASON, "Claimed"), ("/spec/claim/app", "-")], "Current", "Healthy"),
    ("Sandbox", &[(PHASE, "Launching")], "InProgress", "Progressing"),
    ("Sandbox", &[(PHASE, "Running"), (REASON, "Healthy")], "Current", "Healthy"),
    ("Sandbox", &[(PHASE, "Claimed"), (REASON, "AppExited")], "Failed", "Degraded"),
    ("Sandbox", &[(PHASE, "Hibernating")], "InProgress", "Progressing"),
    ("Sandbox", &[(PHASE, "Hibernated"), (REASON, "Hibernated")], "Current", "Suspended"),
    ("Sandbox", &[(PHASE, "Failed"), (REASON, "InstanceLost")], "Failed", "Degraded"),
    ("Sandbox", &[(PHASE, "Ended"), (REASON, "Released")], "Current", "Healthy"),
    ("Sandbox", &[(PHASE, "Ended"), (REASON, "InstanceLost")], "Failed", "Degraded"),
    ("Sandbox", &[(PHASE, "Ended"), (REASON, "TtlTooLong")], "Failed", "Degraded"),
    ("SandboxPool", &[("Available", "BelowTarget")], "InProgress", "Progressing"),
    ("SandboxPool", &[("Available", "AtCapacity"), ("Progressing", "AsExpected")], "Current", "Healthy"),
    (
        "SandboxPool",
        &[("Available", "AsExpected"), ("Progressing", "AsExpected"), ("Degraded", "AsExpected")],
        "Current",
        "Healthy",
    ),
    ("SandboxPool", &[("Idle", "NoDemand"), ("Progressing", "AsExpected")], "Current", "Healthy"),
    ("SandboxPool", &[("Available", "BackingOff"), ("Degraded", "BackingOff")], "InProgress", "Progressing"),
    ("SandboxPool", &[("Degraded", "SecretMissing")], "Failed", "Degraded"),
    ("SandboxPool", &[("Available", "CredentialsMissing")], "Failed", "Degraded"),
];

#[tokio::test]
async fn tools_say_of_every_object_in_every_state_what_is_so() {
    let stage = Stage::empty("gitops", &[]).await;
    let film = Film::start(&stage.scene.env);
    runs(&stage).await;
    ends(&stage).await;
    fails(&stage, &film).await;
    stage.scene.watcher.verdict().await;

    let frames = film.frames();
    let mut seen = BTreeSet::new();
    for (frame, said) in frames.iter().zip(verdicts(&frames).await) {
        agree(frame, &said);
        let rows = ROWS.iter().enumerate().filter(|(_, row)| !is_old(frame) && is_in(row, frame));
        for (number, row) in rows {
            let verdict = (said.kstatus.status.as_str(), said.argo.status.as_str());
            assert_eq!(verdict, (row.2, row.3), "{row:?}: {said:#?}\n{frame:#}");
            seen.insert(number);
        }
    }
    let missing: Vec<_> = ROWS.iter().enumerate().filter(|(number, _)| !seen.contains(number)).collect();
    assert!(missing.is_empty(), "the story never showed {missing:#?}");
    eprintln!("{} versions of objects judged", frames.len());
}

/// Runs of all sorts: one that asked before there was a pool, one with an app, one whose app fails; one sleeps and wakes.
async fn runs(stage: &Stage) {
    let scene = &stage.scene;
    scene.request("early", json!({"ttl": "30m"})).await;
    let apps = json!([{"name": "page", "run": "exec python3 -m http.server --bind 127.0.0.1 $PORT"},
        {"name": "broken", "run": "exit 3"}]);
    scene.pool(json!({"warm": {"target": 1}, "limits": {"maxSandboxes": 3}, "apps": apps})).await;
    scene.ready("early").await;
    scene.level(1).await;
    scene.request("page", json!({"ttl": "30m", "app": {"name": "page"}})).await;
    scene.shows("page", "its app answers", |request| is(request, "AppReady")).await;
    scene.request("broken", json!({"ttl": "30m", "app": {"name": "broken"}})).await;
    let exited = |request: &Sandbox| {
        request.status.as_ref().is_some_and(|status| condition_reason(&status.conditions, "AppReady") == "AppExited")
    };
    scene.shows("broken", "its app has ended", exited).await;
    scene.pool_says("Available", "False", "AtCapacity").await;
    scene.pool_says("Progressing", "False", "AsExpected").await;
    done(&stage.typed(&["hibernate", "early"]).await);
    scene.shows("early", "Hibernated", |request| request.phase() == Phase::Hibernated).await;
    done(&stage.typed(&["wake", "early"]).await);
    scene.ready("early").await;
}

/// Runs end in all ways.
async fn ends(stage: &Stage) {
    let scene = &stage.scene;
    let member = async |request: &str| {
        let bound = scene.sandboxes.get(request).await.expect("the request").status.and_then(|status| status.bound_to);
        scene.sandboxes.get(&bound.expect("bound").name).await.expect("the member")
    };
    let app = scene.app_of(&member("page").await).await;
    scene.env.sim.vanish(&app.id).await.expect("it vanishes");
    scene.ended("page", "InstanceLost").await;
    scene.watcher.ends_by_word("broken");
    scene.delete(&name(&member("broken").await)).await;
    scene.ended("broken", "Released").await;
    scene.request("greedy", json!({"ttl": "48h"})).await;
    scene.ended("greedy", "TtlTooLong").await;
}

/// Pools that get nowhere, one that rests, and one that goes.
async fn fails(stage: &Stage, film: &Film) {
    let scene = &stage.scene;
    let make = async |name: &str, patch: Value| {
        let mut pool = scene::pool(patch);
        pool.metadata.name = Some(name.to_owned());
        scene.pools.create(&PostParams::default(), &pool).await.expect("the API server takes the pool");
    };
    let shows = async |pool: &str, kind: &str, reason: &str| {
        let like = |frame: &Value| {
            frame.pointer("/metadata/name").is_some_and(|name| name == pool) && reason_of(frame, kind) == Some(reason)
        };
        film.shows(&format!("{pool}: {kind} {reason}"), like).await;
    };
    make("rests", json!({"warm": {"activation": "OnFirstClaim"}})).await;
    shows("rests", "Idle", "NoDemand").await;
    make("lacks", json!({"env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "none", "key": "none"}}}]}))
        .await;
    shows("lacks", "Degraded", "SecretMissing").await;
    let nowhere = json!({"digitalOcean": {"credentialsRef": {"name": "nowhere"}}});
    make("poor", json!({"provider": nowhere})).await;
    shows("poor", "Available", "CredentialsMissing").await;
    let fault = Fault::FailedDeployment { code: "BuildFailed".into(), message: "no".into() };
    scene.env.sim.set_rules(&scene.env.account, [Rule::new(fault)]).await.expect("the fault is taken");
    make("fails", json!({"create": {"maxAttempts": 1, "backoff": {"initial": "5s", "max": "1m"}}})).await;
    shows("fails", "Available", "BackingOff").await;
    scene.pools.delete("fails", &DeleteParams::default()).await.expect("a deletion");
    wait_gone(&scene.pools, "fails").await;
}

/// Whether the status is of an older spec.
fn is_old(frame: &Value) -> bool {
    frame.pointer("/status/observedGeneration") != frame.pointer("/metadata/generation")
        || frame.pointer("/metadata/deletionTimestamp").is_some()
}

fn is_in(row: &Row, frame: &Value) -> bool {
    let word = |place: &str| match place.starts_with('/') {
        true => frame.pointer(place).map(|word| word.as_str().unwrap_or("something")),
        false => reason_of(frame, place),
    };
    frame["kind"] == row.0 && row.1.iter().all(|(place, expected)| word(place).unwrap_or("-") == *expected)
}

fn reason_of<'a>(frame: &'a Value, kind: &str) -> Option<&'a str> {
    let conditions = frame.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)?["reason"].as_str()
}

/// The three tools say the same, and none that all is well before it is.
fn agree(frame: &Value, said: &Verdict) {
    let expected = match said.kstatus.status.as_str() {
        "Current" => ["Healthy", "Suspended"],
        "Failed" => ["Degraded", "Degraded"],
        "InProgress" | "Terminating" => ["Progressing", "Progressing"],
        other => panic!("{other}: {frame:#}"),
    };
    assert!(expected.contains(&said.argo.status.as_str()) && !said.argo.message.is_empty(), "{said:#?}\n{frame:#}");
    if said.kstatus.status != "Terminating" {
        // No expression is asked of what is being deleted.
        assert_eq!(said.flux, said.kstatus.status, "{said:#?}\n{frame:#}");
    }
    if said.kstatus.status == "Current" {
        let number = |place: &str| frame.pointer(place).and_then(Value::as_i64).unwrap_or_default();
        let level = match frame["kind"].as_str() {
            Some("SandboxPool") => {
                let full = number("/status/total") >= number("/spec/limits/maxSandboxes");
                full || number("/status/warm") >= number("/status/desiredWarm")
            }
            _ => frame
                .pointer(PHASE)
                .and_then(Value::as_str)
                .is_some_and(|phase| ["Warm", "Claimed", "Running", "Hibernated", "Ended"].contains(&phase)),
        };
        assert!(level && !is_old(frame), "{said:#?}\n{frame:#}");
    }
}
