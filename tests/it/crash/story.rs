//! The story of every life: fill, claim warm, claim cold, expire, scale down,
//! replace by age, delete. It waits for what it sees and for nothing else, so
//! that a death in between only makes it longer.

use std::time::Duration;

use kube::api::{Api, DeleteParams, Patch, PostParams};
use sandbar::api::{Phase, Sandbox, SandboxPool};
use serde_json::{Value, json};

use crate::scene::{self, POOL};
use crate::wait::eventually_within;
use crate::world::TestEnv;

/// The bound of every wait: leases have to run out in it, next to many others on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// Of both claims: long beside the whole seconds of time-stamps, so that an early end is seen.
const TTL: &str = "10s";
/// `limits.maxSandboxes` of the pool.
pub const LIMIT: u32 = 3;

/// One namespace's objects while the story is played.
struct Stage<'env> {
    env: &'env TestEnv,
    pools: Api<SandboxPool>,
    sandboxes: Api<Sandbox>,
}

/// Plays the whole story.
pub async fn play(env: &TestEnv) {
    let stage = Stage { env, pools: env.api(), sandboxes: env.api() };
    stage.fill().await;
    let warm = stage.claim_warm().await;
    stage.claim_cold().await;
    stage.expire(&warm).await;
    stage.scale_down().await;
    stage.replace_by_age().await;
    stage.delete().await;
}

impl Stage<'_> {
    async fn until<T, F: Future<Output = Result<T, String>>>(&self, what: &str, check: impl Fn() -> F) -> T {
        eventually_within(PATIENCE, what, check).await
    }

    async fn members(&self) -> Result<Vec<Sandbox>, String> {
        let list = self.sandboxes.list(&Default::default()).await.map_err(|error| error.to_string())?;
        Ok(list.items.into_iter().filter(Sandbox::is_member).collect())
    }

    /// Waits until exactly so many are there, and all of them are free.
    async fn level(&self, warm: usize) -> Vec<Sandbox> {
        self.until(&format!("{warm} warm and no other"), async || {
            let members = self.members().await?;
            let level = members.len() == warm && members.iter().all(scene::is_free);
            if level { Ok(members) } else { Err(crate::world::yaml(&members)) }
        })
        .await
    }

    async fn edit(&self, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.pools.patch(POOL, &Default::default(), &patch).await.expect("the API server takes the change");
    }

    async fn fill(&self) {
        let pool = scene::pool(
            json!({"warm": {"target": 2}, "limits": {"maxSandboxes": LIMIT}, "create": {"deadline": "10m"}}),
        );
        self.pools.create(&PostParams::default(), &pool).await.expect("the API server takes the pool");
        self.level(2).await;
    }

    async fn claim_warm(&self) -> Sandbox {
        let users: Api<Sandbox> = self.env.user_api();
        self.until("claimed", async || {
            let free = self.members().await?.into_iter().find(scene::is_free).ok_or("none is warm")?;
            scene::claim(&users, &free, "run-1", TTL).await.map_err(|error| error.to_string())
        })
        .await
    }

    /// Takes what is warm out of the way first: the request gets one that is made for it.
    async fn claim_cold(&self) {
        self.edit(json!({"warm": {"target": 0}})).await;
        self.until("nothing is warm", async || {
            let members = self.members().await?;
            if members.iter().any(scene::is_free) { Err(crate::world::yaml(&members)) } else { Ok(()) }
        })
        .await;
        let users: Api<Sandbox> = self.env.user_api();
        let request = scene::request("cold", json!({"ttl": TTL}));
        users.create(&PostParams::default(), &request).await.expect("the API server takes the request");
        self.until("the request has had its member", async || {
            let request = self.sandboxes.get("cold").await.map_err(|error| error.to_string())?;
            let had = request.status.as_ref().is_some_and(|status| status.claimed_at.is_some());
            if had { Ok(()) } else { Err(crate::world::yaml(&request)) }
        })
        .await;
    }

    async fn expire(&self, warm: &Sandbox) {
        self.until("both are over", async || {
            let members = self.members().await?;
            let request = self.sandboxes.get("cold").await.map_err(|error| error.to_string())?;
            let held =
                members.iter().any(|member| member.metadata.uid == warm.metadata.uid || member.held_by().is_some());
            if held || request.phase() != Phase::Ended { Err(crate::world::yaml(&members)) } else { Ok(()) }
        })
        .await;
    }

    async fn scale_down(&self) {
        self.edit(json!({"warm": {"target": 2}})).await;
        self.level(2).await;
        self.edit(json!({"warm": {"target": 1}})).await;
        self.level(1).await;
    }

    async fn replace_by_age(&self) {
        let old = self.level(1).await;
        self.edit(json!({"warm": {"maxAge": "4s"}})).await;
        self.until("another member", async || {
            let members = self.members().await?;
            let same = members.iter().any(|member| member.metadata.uid == old[0].metadata.uid);
            if same || !members.iter().any(scene::is_free) { Err(crate::world::yaml(&members)) } else { Ok(()) }
        })
        .await;
        self.edit(json!({"warm": {"maxAge": null}})).await;
    }

    async fn delete(&self) {
        self.pools.delete(POOL, &DeleteParams::default()).await.expect("the pool can be deleted");
        self.until("the pool gone", async || match self.pools.get_opt(POOL).await {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }
}
