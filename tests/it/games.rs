//! The example games in their pools, and a gateway that launches them: a real control plane, real processes, a real
//! S3 server.

use std::path::Path;

use kube::api::PostParams;
use reqwest::{Client, Method};
use sandbar::api::{SandboxPool, SandboxPoolStatus};
use sandbar::gateway::Settings;
use serde_json::{Value, json};

use crate::claims::done;
use crate::gateway::sse::{Frame, Stream};
use crate::gateway::{Inside, gateway, json_of, let_serve};
use crate::hibernation::Stage;
use crate::wait::wait_for;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Every game, its snapshot, and the pool that has it.
pub const GAMES: [(&str, &str, &str); 3] = [
    ("snake", "snake-python", "games-python"),
    ("memory", "memory-python", "games-python"),
    ("tic-tac-toe", "tictactoe-node", "games-node"),
];

/// Both pools of the games, as they ship.
pub struct Games {
    pub stage: Stage,
    /// Kubeconfig of the gateways.
    kubeconfig: String,
    http: Client,
}

impl Games {
    /// Without pools; everything is published.
    pub async fn start(test: &str) -> Self {
        let stage = Stage::empty(test, &[]).await;
        for (game, snapshot, _) in GAMES {
            let folder = format!("{ROOT}/deploy/examples/apps/{game}");
            done(&stage.typed(&["app", "publish", &folder, "--app", game, "--snapshot", snapshot]).await);
        }
        let kubeconfig = let_serve(&stage.scene.env).await;
        Self { stage, kubeconfig, http: Client::new() }
    }

    /// Makes both pools, and waits for the level of the one that has one.
    pub async fn with_pools(test: &str) -> Self {
        let games = Self::start(test).await;
        games.pool("games-python").await;
        games.pool("games-node").await;
        games.level("games-python", 2).await;
        games
    }

    /// Makes a pool from the manifest that ships.
    pub async fn pool(&self, name: &str) {
        let file = Path::new(ROOT).join(format!("deploy/examples/pool-{name}.yaml"));
        let text = std::fs::read_to_string(file).expect("the manifest");
        let mut pool: SandboxPool = serde_yaml::from_str(&text).expect("a pool");
        pool.spec.provider.digital_ocean.as_mut().expect("DigitalOcean").credentials_ref.namespace = None;
        self.stage.scene.pools.create(&PostParams::default(), &pool).await.expect("the API server takes it");
    }

    /// Waits until a pool has so many warm ones and makes none.
    pub async fn level(&self, pool: &str, warm: i32) {
        let level = |status: &SandboxPoolStatus| status.warm == warm && status.creating == 0;
        let shows = |pool: &SandboxPool| pool.status.as_ref().is_some_and(level);
        wait_for(&self.stage.scene.pools, pool, "its level", shows).await;
    }

    /// A gateway that asks nobody who they are.
    pub async fn gateway(&self) -> Inside {
        let settings = Settings { demo: true, ..Settings::default() };
        gateway(&self.kubeconfig, &self.stage.scene.env.namespace, settings).await
    }

    /// One that does.
    pub async fn guarded(&self) -> Inside {
        gateway(&self.kubeconfig, &self.stage.scene.env.namespace, Settings::default()).await
    }

    /// Launches a game; gives the run's id.
    pub async fn launch(&self, gateway: &Inside, how: &str, game: &str) -> String {
        let request = self.http.post(format!("{}/api/launch/{how}", gateway.url));
        let answer = request.json(&json!({"game": game, "use_snapshot": true})).send().await.expect("an answer");
        let (status, body) = json_of(answer).await;
        assert_eq!(status, 202, "{body}");
        body["run_id"].as_str().expect("an id").to_owned()
    }

    /// What a stream tells until the game can be played.
    pub async fn until_ready(&self, gateway: &Inside, run: &str) -> Vec<Frame> {
        Stream::open(self.http.get(format!("{}/api/stream/{run}?until=ready", gateway.url))).await.rest().await
    }

    pub async fn status(&self, gateway: &Inside, run: &str) -> Value {
        let answer = self.http.get(format!("{}/api/status/{run}", gateway.url)).send().await.expect("an answer");
        json_of(answer).await.1
    }

    pub async fn stop(&self, gateway: &Inside, run: &str) {
        self.stage.scene.watcher.ends_by_word(run);
        let request = self.http.request(Method::POST, format!("{}/api/runs/{run}/stop", gateway.url));
        let (status, body) = json_of(request.send().await.expect("an answer")).await;
        assert_eq!(status, 200, "{body}");
    }

    /// What a browser gets from an address of a running game.
    pub async fn opened(&self, address: &str) -> String {
        let answer = self.http.get(address).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{address}");
        answer.text().await.expect("text")
    }
}
