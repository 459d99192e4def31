//! Every version of every pool and Sandbox of a namespace, as the API server gave it to who watches.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use kube::api::{Api, DynamicObject};
use kube::core::ApiResource;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, Event, watcher};
use sandbar::api::{Sandbox, SandboxPool};
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use crate::wait::eventually;
use crate::world::TestEnv;

/// Records until it is dropped.
pub struct Film {
    frames: Arc<Mutex<Vec<Value>>>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Film {
    pub fn start(env: &TestEnv) -> Self {
        let frames = Arc::new(Mutex::new(Vec::new()));
        let kinds = [ApiResource::erase::<Sandbox>(&()), ApiResource::erase::<SandboxPool>(&())];
        let tasks = kinds.map(|kind| {
            let api = Api::namespaced_with(env.client.clone(), &env.namespace, &kind);
            AbortOnDropHandle::new(tokio::spawn(follow(api, Arc::clone(&frames))))
        });
        Self { frames, _tasks: tasks }
    }

    /// All that was seen until now.
    pub fn frames(&self) -> Vec<Value> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has seen this.
    pub async fn shows(&self, what: &str, like: impl Fn(&Value) -> bool) {
        eventually(what, async || {
            let frames = self.frames();
            if frames.iter().any(&like) { Ok(()) } else { Err(format!("{} frames without it", frames.len())) }
        })
        .await;
    }
}

async fn follow(api: Api<DynamicObject>, frames: Arc<Mutex<Vec<Value>>>) {
    let mut events = std::pin::pin!(watcher(api, Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        if let Ok(Event::InitApply(object) | Event::Apply(object)) = event {
            let frame = serde_json::to_value(&object).expect("JSON");
            frames.lock().unwrap_or_else(PoisonError::into_inner).push(frame);
        }
    }
}
