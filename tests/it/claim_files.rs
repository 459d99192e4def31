//! Runs that begin with the files of a snapshot: a real control plane, real processes, a real S3 server.

use kube::api::Api;
use sandbar::api::{Phase, Sandbox};
use serde_json::json;

use crate::claims::{done, failed};
use crate::hibernation::{Stage, says};
use crate::scene::{Scene, held, is, is_not, name};
use crate::wait::eventually;

/// What the condition Ready of a Sandbox says.
fn told(sandbox: &Sandbox) -> String {
    let mut all = sandbox.status.iter().flat_map(|status| &status.conditions);
    all.find(|condition| condition.type_ == "Ready").map(|condition| condition.message.clone()).unwrap_or_default()
}

/// The member that a request holds.
async fn bound(scene: &Scene, request: &str) -> Sandbox {
    let of = |request: &Sandbox| request.status.as_ref().and_then(|status| status.bound_to.clone());
    let request = scene.shows(request, "bound", |request| of(request).is_some()).await;
    scene.shows(&of(&request).expect("bound").name, "held", |member| held(member).is_some()).await
}

#[tokio::test]
async fn a_claim_begins_with_the_files_of_a_snapshot_whoever_dies_meanwhile_s8() {
    let mut stage = Stage::start("claim-files").await;
    stage.scene.edit(json!({"limits": {"maxSandboxes": 3}})).await;
    stage.run("run-1").await;
    done(&stage.typed(&["snapshot", "create", "run-1", "--name", "base"]).await);
    stage.scene.watcher.ends_by_word("run-1");
    done(&stage.typed(&["release", "run-1"]).await);
    stage.scene.level(1).await;

    stage.s3.broken(true);
    let claim = ["claim", "python", "--id", "run-2", "--ttl", "20m", "--snapshot", "base"];
    done(&stage.typed(&[&claim[..], &["--no-wait"]].concat()).await);
    let member = bound(&stage.scene, "run-2").await;
    let waits = stage.shows(&member, "waiting for the store", |member| {
        member.phase() == Phase::Claimed
            && says(member, "Ready", "Restoring")
            && told(member).contains("is tried again: ")
    });
    assert!(is_not(&waits.await, "FilesRestored"));
    let request =
        stage.scene.shows("run-2", "why it waits", |request| told(request).contains("is tried again: ")).await;
    assert!(is(&request, "Claimed") && is_not(&request, "Ready") && request.phase() == Phase::Booting);
    let answer = failed(&stage.typed(&["exec", "run-2", "--", "true"]).await, 125);
    assert!(answer.contains("does not have the files of snapshot base yet"), "{answer}");
    stage.scene.operator.kill9().await;
    stage.s3.broken(false);
    stage.scene.operator.restart().await;

    done(&stage.typed(&claim).await);
    assert_eq!(stage.notes("run-2").await, "kept\nmine\n");
    let ready = stage.scene.sandboxes.get(&name(&member)).await.unwrap();
    assert!(is(&ready, "FilesRestored") && is(&ready, "Ready"));
    let answer = failed(&stage.typed(&["claim", "python", "--id", "run-2", "--snapshot", "other"]).await, 1);
    assert!(answer.contains("spec.claim.snapshot.name base, not other"), "{answer}");

    // What its holder did since is what counts: not for a new process, not after a sleep.
    done(&stage.typed(&["exec", "run-2", "--", "echo changed > notes"]).await);
    stage.scene.operator.kill9().await;
    stage.scene.operator.restart().await;
    done(&stage.typed(&["hibernate", "run-2"]).await);
    done(&stage.typed(&["wake", "run-2"]).await);
    assert_eq!(stage.notes("run-2").await, "changed\nmine\n");
    stage.scene.sound(3).await;
}

#[tokio::test]
async fn a_request_with_a_missing_snapshot_says_so_and_is_ready_once_somebody_makes_it() {
    let stage = Stage::start("claim-files-missing").await;
    stage.scene.edit(json!({"limits": {"maxSandboxes": 3}})).await;
    stage.run("run-1").await;
    stage.scene.level(1).await;
    let refused = failed(&stage.typed(&["claim", "python", "--snapshot", "late"]).await, 1);
    let field = "spec.claim.snapshot.name: late cannot be put into the sandbox: there is no snapshot late in ";
    assert!(refused.contains(field) && refused.contains("sandbar snapshot create RUN --name late"), "{refused}");
    stage.scene.level(1).await;
    eventually("what failed holds nothing", async || {
        let members = stage.scene.members().await;
        let holders: Vec<_> = members.iter().filter_map(held).collect();
        if holders == ["run-1"] { Ok(()) } else { Err(format!("{holders:?}")) }
    })
    .await;

    let claim = ["claim", "python", "--id", "nightly", "--ttl", "20m", "--snapshot", "late"];
    done(&stage.typed(&[&claim[..], &["--no-wait"]].concat()).await);
    let waits = stage.scene.shows("nightly", "told", |request| says(request, "Ready", "SnapshotMissing")).await;
    assert!(told(&waits).starts_with(field) && is(&waits, "Claimed") && is_not(&waits, "Ready"), "{}", told(&waits));
    done(&stage.typed(&["snapshot", "create", "run-1", "--name", "late"]).await);
    // The wait is for the next try, and not about the one that failed before.
    done(&stage.typed(&claim).await);
    assert_eq!(stage.notes("nightly").await, "kept\nmine\n");

    let member = bound(&stage.scene, "nightly").await;
    let users: Api<Sandbox> = stage.scene.env.user_api();
    let other = kube::api::Patch::Merge(json!({"spec": {"claim": {"snapshot": {"name": "other"}}}}));
    let refused = users.patch(&name(&member), &Default::default(), &other).await;
    assert!(refused.as_ref().is_err_and(|error| error.to_string().contains("snapshot and app stay")), "{refused:?}");
    stage.scene.sound(3).await;
}
