//! The operator's surroundings on a real API server, under the identity and
//! the roles that are shipped.

mod events;
mod lease;
mod preflight;
mod requests;

use crate::world::TestEnv;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use sandbar::controllers::runtime::client::build_client;
use sandbar::controllers::runtime::clock::ServerClock;

/// The operator's own client, built as the operator builds it.
async fn operator(env: &TestEnv, clock: &ServerClock) -> Client {
    let text = std::fs::read_to_string(env.world.local().operator_kubeconfig()).unwrap();
    client(&text, clock).await
}

async fn client(kubeconfig: &str, clock: &ServerClock) -> Client {
    let config = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    build_client(config, "test", clock).unwrap()
}
