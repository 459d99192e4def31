//! Files of a sleeping run that nobody can put back: a real control plane, real processes, a real S3 server.

use kube::api::{Api, Patch, PatchParams};
use sandbar::api::Sandbox;
use serde_json::json;

use crate::claims::{done, failed};
use crate::hibernation::{Stage, says};
use crate::scene::{held, is, is_not, name};

#[tokio::test]
async fn files_are_given_up_by_their_holders_word_alone() {
    let stage = Stage::start("hibernate-lost").await;
    let member = stage.run("run-1").await;
    done(&stage.typed(&["hibernate", "run-1"]).await);
    let first = stage.stored()[0].clone();
    let folder = stage.s3.snapshots(&stage.scene.env.namespace).join(&first);
    let archive = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let archive = archive.into_iter().find(|path| path.extension().is_some_and(|end| end == "gz")).unwrap();
    let mut bytes = std::fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&archive, bytes).unwrap();
    let told = failed(&stage.typed(&["wake", "run-1"]).await, 1);
    assert!(told.contains("sleeps on") && told.contains("is damaged"), "{told}");
    let sleeps = stage.shows(&member, "asleep", |member| says(member, "Hibernated", "SnapshotDamaged")).await;
    assert!(held(&sleeps) == Some("run-1") && !is(&sleeps, "FilesLost"));

    let users: Api<Sandbox> = stage.scene.env.user_api();
    let word = Patch::Merge(json!({"metadata": {"annotations": {"sandbar.dev/abandon-files": first}}}));
    users.patch(&name(&member), &PatchParams::default(), &word).await.expect("the API server takes it");
    let awake = stage.shows(&member, "awake", |member| is(member, "Ready")).await;
    assert!(says(&awake, "FilesLost", "Abandoned") && is(&awake, "FilesLost") && is_not(&awake, "FilesRestored"));
    failed(&stage.typed(&["exec", "run-1", "--", "test -e notes"]).await, 1);
    assert!(folder.exists(), "what is left of it stays for its holder");

    done(&stage.typed(&["exec", "run-1", "--", "echo new > notes"]).await);
    done(&stage.typed(&["hibernate", "run-1"]).await);
    done(&stage.typed(&["wake", "run-1"]).await);
    let again = stage.shows(&member, "awake with its files", |member| is(member, "FilesRestored")).await;
    assert!(is_not(&again, "FilesLost"), "the word was for another snapshot");
    assert_eq!(done(&stage.typed(&["exec", "run-1", "--", "cat notes"]).await), "new\n");
    stage.scene.sound(2).await;
}
