use super::{done, failed, out};
use crate::world::{PROGRAM, TestEnv, World};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use sandbar::api::orphans::{APPROVE_ANNOTATION, DEFAULT_LEASE, Orphan, OrphanState, approval, config_map_name};
use serde_json::json;
use std::process::Output;

/// `sandbar orphans`, as an administrator, with the test's namespace as the operator's.
async fn orphans(env: &TestEnv, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(PROGRAM);
    command.args(["orphans", "--system-namespace", &env.namespace]).args(arguments);
    command.env("KUBECONFIG", &env.kubeconfig).kill_on_drop(true).output().await.unwrap()
}

#[tokio::test]
async fn only_the_orphans_that_were_shown_are_approved_s9() {
    let env = World::get().await.test("orphans").await;
    assert_eq!(done(&orphans(&env, &[]).await).trim(), "no orphans");
    let orphan = Orphan {
        account: "team-1".to_owned(),
        id: "app-1".to_owned(),
        name: "sbx-1".to_owned(),
        sandbox_namespace: "ns".to_owned(),
        sandbox_name: "python-0".to_owned(),
        created_at: Some(jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2)),
        state: OrphanState::Braked,
        ..Orphan::default()
    };
    let name = config_map_name(DEFAULT_LEASE);
    let list = serde_json::to_string(&[&orphan]).unwrap();
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
        "data": {"orphans.json": list}});
    let maps: Api<ConfigMap> = env.api();
    maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();

    let digest = approval(std::slice::from_ref(&orphan));
    let table = done(&orphans(&env, &[]).await);
    for words in ["sbx-1", "team-1", "ns/python-0", "2h", "Braked", &digest] {
        assert!(table.contains(words), "{table}");
    }
    let told = failed(&orphans(&env, &["--approve", "0123"]).await, 1);
    assert!(told.contains("nothing was approved: the list is another one now"), "{told}");
    let annotation = async || maps.get(&name).await.unwrap().metadata.annotations.unwrap_or_default();
    assert_eq!(annotation().await.get(APPROVE_ANNOTATION), None);
    done(&orphans(&env, &["--approve", &digest]).await);
    assert_eq!(annotation().await.get(APPROVE_ANNOTATION), Some(&digest));
    let json = orphans(&env, &["-o", "json"]).await;
    assert_eq!(serde_json::from_str::<Vec<Orphan>>(&out(&json)).unwrap(), [orphan]);
}
