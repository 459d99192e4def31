//! Sandbar's side: a pool, and users who claim from it as `sandbar claim` does.

use crate::Result;
use crate::clock::Clock;
use crate::script::{self, Script, User};
use crate::users::{Served, Users};
use crate::world::{CREDENTIALS, NAMESPACE, World};
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use sandbar::agent::client::probe;
use sandbar::api::{END_CLAIMS_ANNOTATION, Sandbox, SandboxPool, StartKind};
use sandbar::claims::{ClaimError, ClaimWish, Claims, RequestWish, fresh_id};
use serde_json::json;
use std::time::Duration;

const POOL: &str = "compared";
const HOLDER: &str = "user";
/// How often the end of the pool is looked for.
const LOOK: Duration = Duration::from_millis(500);
/// The longest that the pool may take to end, in simulated seconds.
const SHUTDOWN: f64 = 900.0;

/// The users of Sandbar.
pub struct Sandbar<'a> {
    client: Client,
    claims: Claims,
    http: reqwest::Client,
    script: &'a Script,
    clock: Clock,
}

impl<'a> Sandbar<'a> {
    /// The users in this world.
    pub fn of(world: &World, script: &'a Script, clock: Clock) -> Self {
        let (client, http) = (world.client.clone(), reqwest::Client::new());
        Self { claims: Claims::new(client.clone(), NAMESPACE), client, http, script, clock }
    }

    /// From the pool's creation to its end.
    pub async fn run(&self) -> Result<Users> {
        self.clock.until(0.0).await;
        let pools: Api<SandboxPool> = Api::namespaced(self.client.clone(), NAMESPACE);
        pools.create(&PostParams::default(), &serde_json::from_value(self.pool())?).await?;
        let all = self.script.users.iter().map(|user| self.user(*user));
        let served = futures::future::try_join_all(all).await?;
        self.clock.until(self.script.ends).await;
        self.end(&pools).await?;
        Ok(Users { served, remark: None })
    }

    /// The pool, with a script's durations at its speed.
    fn pool(&self) -> serde_json::Value {
        let span = |seconds: f64| format!("{}s", (seconds / self.script.speed).round().max(1.0));
        json!({
            "apiVersion": "sandbar.dev/v1alpha1", "kind": "SandboxPool", "metadata": {"name": POOL},
            "spec": {
                "provider": {"digitalOcean": {
                    "credentialsRef": {"name": CREDENTIALS, "key": "token"},
                    "region": script::REGION, "size": script::SIZE,
                }},
                "image": {"registryType": "GHCR", "registry": "example", "repository": "sandbox-python", "tag": "1"},
                "warm": {
                    "target": script::TARGET, "maxAge": span(script::MAX_WARM_AGE),
                    "scaleDownDelay": span(60.0), "cooldownAfterClaim": span(120.0),
                },
                "limits": {"maxSandboxes": script::CAP, "maxConcurrentCreates": script::CAP},
                "create": {"deadline": span(600.0), "backoff": {"initial": span(10.0), "max": span(600.0)}},
                "claims": {"defaultTTL": span(1800.0), "waitTimeout": span(script::PATIENCE)},
            },
        })
    }

    async fn user(&self, user: User) -> Result<Served> {
        self.clock.until(user.at).await;
        let patience = (user.at + script::PATIENCE).min(self.script.ends);
        let Some((id, warm)) = self.get(patience).await? else { return Ok(Served::Nothing) };
        let got = self.clock.now();
        self.clock.until((got + user.hold).min(self.script.ends)).await;
        self.claims.release(&id).await?;
        Ok(Served::Got { waited: got - user.at, warm })
    }

    /// A run and whether it began warm. One that does not answer is given back.
    async fn get(&self, patience: f64) -> Result<Option<(String, bool)>> {
        while self.clock.now() < patience {
            let id = fresh_id();
            let wish = ClaimWish { holder: HOLDER.to_owned(), ttl: None, id: Some(id.clone()) };
            let (sandbox, warm) = match self.claims.claim_warm(POOL, &wish).await {
                Ok(claimed) => (claimed.sandbox, true),
                Err(ClaimError::NoneWarm { .. }) => match self.wait(&id, patience).await? {
                    Some(sandbox) => {
                        let kind = sandbox.status.as_ref().and_then(|status| status.start_kind);
                        (sandbox, kind == Some(StartKind::Warm))
                    }
                    None => return Ok(None),
                },
                Err(error) => return Err(error.into()),
            };
            if self.answers(&sandbox).await {
                return Ok(Some((id, warm)));
            }
            self.claims.release(&id).await?;
        }
        Ok(None)
    }

    /// Waits in the pool's queue, like everybody for whom none is warm.
    async fn wait(&self, id: &str, patience: f64) -> Result<Option<Sandbox>> {
        let wish = RequestWish {
            id: id.to_owned(),
            pool: POOL.to_owned(),
            holder: HOLDER.to_owned(),
            ttl: None,
            snapshot: None,
            app: None,
            keep_ended: None,
        };
        let request = self.claims.request(&wish).await?;
        let left = self.clock.wall(patience - self.clock.now());
        let end = self.claims.wait_ready(&request, left, |_| {}).await;
        if let Err(error) = &end {
            eprintln!("minute {:4.1}: {error}", self.clock.now() / 60.0);
            self.claims.release(id).await?;
        }
        Ok(end.ok())
    }

    async fn answers(&self, sandbox: &Sandbox) -> bool {
        let url = sandbox.status.as_ref().and_then(|status| status.url.as_deref());
        let Some(url) = url else { return false };
        probe(&self.http, url).await.is_ok()
    }

    /// Deletes the pool and waits until it is gone.
    async fn end(&self, pools: &Api<SandboxPool>) -> Result<()> {
        let end_claims = json!({"metadata": {"annotations": {END_CLAIMS_ANNOTATION: "true"}}});
        pools.patch(POOL, &PatchParams::default(), &Patch::Merge(&end_claims)).await?;
        pools.delete(POOL, &DeleteParams::default()).await?;
        while pools.get_opt(POOL).await?.is_some() {
            if self.clock.now() > self.script.ends + SHUTDOWN {
                return Err(format!("the pool is still there {SHUTDOWN} simulated seconds after its deletion").into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}
