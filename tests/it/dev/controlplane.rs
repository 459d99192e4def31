//! The control plane as a library call.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use kube::runtime::wait::{await_condition, conditions::is_deleted};
use sandbar::dev::{binaries::Binaries, controlplane::ControlPlane, kubeconfig};
use std::time::Duration;

use crate::wait::wait_for;

fn object(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

#[tokio::test]
async fn a_control_plane_of_its_own_restarts_its_api_server_and_leaves_no_process() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let say = |line: &str| eprintln!("{line}");
    let binaries = Binaries::from_env().unwrap();
    let mut plane =
        ControlPlane::start(binaries, &dir.path().join("data"), &dir.path().join("logs"), &say).await.unwrap();
    plane.start_controllers(&say).await.unwrap();
    let client = kubeconfig::client(&plane.admin_kubeconfig()).await.unwrap();

    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = Namespace { metadata: object("n"), ..Namespace::default() };
    let uid = namespaces.create(&PostParams::default(), &namespace).await.unwrap().metadata.uid.unwrap();
    // The controllers run: one that is still starting gives up where the API server is away for ten seconds.
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "n");
    wait_for(&accounts, "default", "made by a controller", |_| true).await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "n");
    maps.create(&PostParams::default(), &ConfigMap { metadata: object("m"), ..ConfigMap::default() }).await.unwrap();

    plane.restart_apiserver(&say).await.unwrap();
    assert!(maps.get("m").await.is_ok(), "the store survives a restart of the server");

    namespaces.delete("n", &DeleteParams::default()).await.unwrap();
    let gone = await_condition(namespaces, "n", is_deleted(&uid));
    let Ok(gone) = tokio::time::timeout(Duration::from_secs(180), gone).await else {
        let controllers = plane.children().next().expect("the controllers");
        panic!("the namespace stays; the last words of its controller:\n{}", controllers.tail(40));
    };
    gone.unwrap();

    let pids: Vec<i32> = plane.children().map(|child| child.pid()).collect();
    assert_eq!(pids.len(), 3);
    plane.stop().await;
    for pid in pids {
        assert!(nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_err(), "process {pid} is left");
    }
}
