//! Lays members and their apps down, as the operator would have left them.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use sandbar::api::{Phase, Sandbox, SandboxPool};
use sandbar::providers::budget::Budget;
use sandbar::providers::digitalocean::DigitalOcean;
use sandbar::providers::{CreateRequest, Inputs, Instance, Marks, Provider, Timing, instance_name};
use sandbar::telemetry::secret::Secret;
use serde_json::json;

use crate::common::Result;
use crate::world::{ACCOUNTS, Account, INSTALLATION, NAMESPACE, World};

/// Room in each pool: at the largest size it is full, so that claims cause no refill.
pub const MOST: usize = 200;
/// Members that are laid down at once.
const AT_ONCE: usize = 24;
/// Members that are laid down with one client of the cloud: less than its rate budget.
const PER_CLIENT: usize = 150;

/// The name of a pool.
pub fn pool_name(number: usize) -> String {
    format!("pool-{number}")
}

/// The account of a pool.
pub fn account(world: &World, pool: usize) -> &Account {
    &world.accounts[pool % ACCOUNTS]
}

/// A warm member that the operator itself grew.
pub async fn pattern(world: &mut World) -> Result<Sandbox> {
    let pool = make_pool(world, "pattern", &world.accounts[0].name, 1, 1).await?;
    world.start_operator().await?;
    let members = ListParams::default().fields("spec.poolRef.name=pattern");
    let grown = world
        .until("the first member", async || {
            let list = world.api::<Sandbox>().list(&members).await?;
            Ok(list.items.into_iter().find(|member| member.phase() == Phase::Warm))
        })
        .await?;
    let pools = world.api::<SandboxPool>();
    pools.delete(&pool.name_any(), &DeleteParams::default()).await?;
    world
        .until("the end of the first pool", async || Ok(pools.get_opt("pattern").await?.is_none().then_some(())))
        .await?;
    world.stop_operator().await;
    Ok(grown)
}

/// Makes a pool in an account.
pub async fn make_pool(world: &World, name: &str, account: &str, level: usize, most: usize) -> Result<SandboxPool> {
    let pool = json!({
        "apiVersion": "sandbar.dev/v1alpha1", "kind": "SandboxPool", "metadata": {"name": name},
        "spec": {
            "provider": {"digitalOcean": {"credentialsRef": {"name": account, "key": "token"}, "region": "nyc"}},
            "image": {"registryType": "GHCR", "registry": "example", "repository": "sandbox", "tag": "1"},
            "warm": {"target": level},
            "limits": {"maxSandboxes": most},
        },
    });
    let (pools, pool) = (world.api::<SandboxPool>(), serde_json::from_value(pool)?);
    Ok(pools.create(&PostParams::default(), &pool).await?)
}

/// Gives a pool another level.
pub async fn set_level(world: &World, name: &str, level: usize) -> Result<SandboxPool> {
    let patch = json!({"spec": {"warm": {"target": level}}});
    Ok(world.api::<SandboxPool>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?)
}

/// Lays the members of a pool down, from one slot up to another.
pub async fn members(world: &World, pool: &SandboxPool, account: &Account, like: &Sandbox, slots: Slots) -> Result<()> {
    let slots: Vec<usize> = slots.collect();
    for some in slots.chunks(PER_CLIENT) {
        let token = Secret::new(account.own_token.clone());
        let cloud = DigitalOcean::new(world.cloud_url(), token, Arc::new(Budget::new()), &Timing::default())?;
        let opened = cloud.account().await?.0;
        stream::iter(some)
            .map(|slot| member(world, pool, like, &cloud, &opened, *slot))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
    }
    Ok(())
}

/// Slot numbers.
pub type Slots = std::ops::Range<usize>;

/// The member first, then its app, then its status: as the operator does it.
async fn member(
    world: &World,
    pool: &SandboxPool,
    like: &Sandbox,
    cloud: &DigitalOcean,
    account: &str,
    slot: usize,
) -> Result<()> {
    let api: Api<Sandbox> = Api::namespaced(world.as_operator.clone(), NAMESPACE);
    let made = api.create(&PostParams::default(), &blank(pool, like, slot)).await?;
    let app = app(cloud, pool, &made).await?;
    let mut warm = made;
    warm.metadata.managed_fields = None;
    warm.status.clone_from(&like.status);
    let url = format!("{}/_app/{}", world.cloud_url(), app.id);
    if let Some(status) = &mut warm.status {
        status.url = Some(url);
        if let Some(instance) = &mut status.instance {
            account.clone_into(&mut instance.account);
            instance.name = app.name;
            instance.id = Some(app.id);
            instance.deployment_id = app.deployment_id;
            // Times of the pattern: a little older than the app, which is never wrong.
        }
    }
    api.replace_status(&warm.name_any(), &PostParams::default(), &warm).await?;
    Ok(())
}

fn blank(pool: &SandboxPool, like: &Sandbox, slot: usize) -> Sandbox {
    let mut sandbox = like.clone();
    sandbox.metadata = ObjectMeta {
        name: Some(format!("{}-{slot}", pool.name_any())),
        namespace: Some(NAMESPACE.to_owned()),
        labels: Some([(sandbar::api::POOL_LABEL.to_owned(), pool.name_any())].into()),
        finalizers: like.metadata.finalizers.clone(),
        owner_references: pool.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    };
    sandbox.spec.pool_ref.name = pool.name_any();
    sandbox.spec.slot = i32::try_from(slot).ok();
    sandbox.spec.template =
        Some(pool.spec.template(&pool.uid().unwrap_or_default(), pool.metadata.generation.unwrap_or_default()));
    sandbox.status = None;
    sandbox
}

async fn app(cloud: &DigitalOcean, pool: &SandboxPool, member: &Sandbox) -> Result<Instance> {
    let uid = member.uid().unwrap_or_default();
    let marks = Marks {
        installation: INSTALLATION.to_owned(),
        namespace: NAMESPACE.to_owned(),
        name: member.name_any(),
        uid: uid.clone(),
        attempt: 1,
        pool_uid: pool.uid().unwrap_or_default(),
        spec_hash: "laid-down".to_owned(),
    };
    let template = member.spec.template.clone().ok_or("a member without template")?;
    let name = instance_name(INSTALLATION, &uid, 1);
    let agent_token = Secret::new("none".to_owned());
    let request = CreateRequest { name, marks, template, agent_token, inputs: Inputs::default() };
    Ok(cloud.create(&request).await?)
}
