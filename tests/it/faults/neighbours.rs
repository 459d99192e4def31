//! Others in the same account or cluster: another pool's credentials, another installation, foreign apps.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};
use sandbar::api::{Sandbox, SandboxPool};
use sandbar::cloudsim::admin::{Fault, Op, Rule, Shape, State};
use sandbar::dev::cloud::new_token;
use serde_json::{Value, json};

use crate::scene::{POOL, Scene, condition, condition_reason, is_free, name, pool};
use crate::wait::{eventually, wait_for, wait_gone};
use crate::world::{OperatorSpec, TestEnv, World, quick_account};

async fn warm(pools: &Api<SandboxPool>, name: &str, warm: i32) {
    wait_for(pools, name, &format!("{warm} warm"), |pool| {
        pool.status.as_ref().is_some_and(|status| {
            status.warm == warm && status.creating == 0 && condition(&status.conditions, "Progressing") == "False"
        })
    })
    .await;
}

#[tokio::test]
async fn broken_credentials_of_one_pool_leave_the_other_level_s3() {
    let scene = Scene::start("two-tokens").await;
    let (sim, theirs) = (&scene.env.sim, format!("{}-other", scene.env.account));
    let token = new_token();
    sim.put_account(&theirs, &quick_account(token.clone())).await.unwrap();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other"},
        "stringData": {"token": token}});
    let secrets: Api<Secret> = scene.env.api();
    secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    let of_other = scene.env.watcher_of(&theirs).await;
    scene.pool(json!({"warm": {"target": 2}})).await;
    let reference = json!({"name": "other", "key": "token"});
    let mut other = pool(json!({"warm": {"target": 1}, "provider": {"digitalOcean": {"credentialsRef": reference}}}));
    other.metadata.name = Some("other".to_owned());
    scene.pools.create(&PostParams::default(), &other).await.unwrap();
    scene.level(2).await;
    warm(&scene.pools, "other", 1).await;

    sim.revoke_token(&token).await.unwrap();
    let rejected = |pool: &SandboxPool| {
        let status = pool.status.as_ref();
        status.is_some_and(|status| condition_reason(&status.conditions, "ProviderReachable") == "CredentialsRejected")
    };
    wait_for(&scene.pools, "other", "rejected", rejected).await;
    // The one goes on with everything: it scales, hands out, replaces what was lost.
    scene.scale(3).await;
    scene.level(3).await;
    let claimed = eventually("one of this pool claimed", async || {
        let members = scene.members().await;
        let free = members.into_iter().find(|member| is_free(member) && name(member).starts_with(POOL));
        scene.claim(&free.ok_or("none is warm")?, "run-1", "2s").await.map_err(|error| error.to_string())
    })
    .await;
    scene
        .within("over", async || match scene.sandboxes.get_opt(&name(&claimed)).await {
            Ok(found) if found.as_ref().is_none_or(|found| found.metadata.uid != claimed.metadata.uid) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    scene.level(3).await;
    let mine = scene.members().await.into_iter().find(|member| name(member).starts_with(POOL)).expect("a member");
    let lost = scene.app_of(&mine).await;
    sim.vanish(&lost.id).await.unwrap();
    scene.books_show("the lost one and the claimed one replaced", |totals| totals.made == 5).await;
    scene.level(3).await;
    let still = scene.pools.get("other").await.unwrap();
    assert!(rejected(&still), "{}", crate::world::yaml(&still));
    let books = sim.ledger_of(&theirs).await.unwrap();
    assert_eq!((books.apps.len(), books.existing().count()), (1, 1), "{books:#?}");

    sim.put_account(&theirs, &quick_account(token)).await.unwrap();
    let spec = kube::api::Patch::Merge(json!({"spec": {"warm": {"target": 2}}}));
    scene.pools.patch("other", &Default::default(), &spec).await.unwrap();
    warm(&scene.pools, "other", 2).await;
    scene.sound(4).await;
    of_other.verdict().await;
}

/// Makes an app with the account's token, as any of its owners can.
async fn by_hand(env: &TestEnv, name: &str) -> String {
    let image = json!({"registry_type": "DOCKER_HUB", "registry": "library", "repository": "nginx", "tag": "1"});
    let body = json!({"spec": {"name": name, "region": "nyc", "services": [{"name": "web", "image": image}]}});
    let url = format!("{}/v2/apps", env.world.cloud_url());
    let answer = reqwest::Client::new().post(url).bearer_auth(&env.token).json(&body).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    answer["app"]["id"].as_str().unwrap_or_else(|| panic!("not made: {answer}")).to_owned()
}

#[tokio::test]
async fn an_app_with_our_very_name_and_no_marks_is_never_touched_s9() {
    let mut scene = Scene::start("our-name").await;
    let refusing = Rule::new(Fault::ErrorBefore(Shape::server_error())).on([Op::Create]);
    scene.env.sim.set_rules(&scene.env.account, [refusing]).await.unwrap();
    scene.pool(json!({"warm": {"target": 1}, "create": {"deadline": "5s"}})).await;
    let member = format!("{POOL}-0");
    let named = scene.shows(&member, "a written attempt", |member| member.instance().is_some()).await;
    let ours = named.instance().unwrap().name.clone();
    scene.operator.kill9().await;
    scene.env.sim.clear_faults(&scene.env.account).await.unwrap();
    let theirs = by_hand(&scene.env, &ours).await;
    scene.operator.restart().await;
    // The name is taken, and nobody can tell that it is not ours with its marks left out of the answer.
    scene
        .within("its name met", async || {
            let calls = scene.calls(0).await;
            let met = calls.iter().any(|call| call.op == Op::Create && call.status == Some(409));
            let listed = scene.sandboxes.get(&member).await.map_err(|error| error.to_string())?;
            let over = listed.instance().is_some_and(|instance| instance.failure.is_some());
            if met || over { Ok(()) } else { Err(crate::world::yaml(&listed)) }
        })
        .await;
    scene.listings(6).await;
    let entry = scene.ledger().await.apps.into_iter().find(|app| app.id == theirs).unwrap();
    assert_eq!((entry.state, scene.count(Op::Delete).await), (State::Active, 0), "{entry:?}");
    scene.watcher.verdict().await;

    // Its owner ends it; then the pool can have its level.
    scene.watcher.owner_touches(&ours);
    let url = format!("{}/v2/apps/{theirs}", scene.env.world.cloud_url());
    let gone = reqwest::Client::new().delete(url).bearer_auth(&scene.env.token).send().await.unwrap();
    assert!(gone.status().is_success());
    scene.level(1).await;
    scene.sound(2).await;
}

/// A quick operator that also sweeps for orphans as often as it can.
fn sweeping() -> OperatorSpec {
    OperatorSpec::default().args(&["--orphan-sweep", "500ms", "--orphan-grace", "1s"])
}

async fn living(env: &TestEnv, installation: &str) -> BTreeSet<String> {
    let ledger = env.sim.ledger_of(&env.account).await.unwrap();
    let theirs = |app: &&sandbar::cloudsim::admin::Entry| {
        app.marks.get("SANDBAR_INSTALLATION").is_some_and(|mark| mark == installation)
    };
    ledger.existing().filter(theirs).map(|app| app.id.clone()).collect()
}

#[tokio::test]
async fn two_installations_share_an_account_and_leave_each_other_alone_s9_s15() {
    let mut first = Scene::with("blue", quick_account, sweeping()).await;
    // Another namespace, Lease and installation; the same token, so the same account.
    let mut second = World::get().await.test("green").await;
    (second.account, second.token) = (first.env.account.clone(), first.env.token.clone());
    second.set_credentials(&second.token).await;
    let (blue, green) = (first.env.installation(), second.installation());
    assert_ne!(blue, green);
    let of_second = second.watcher().await;
    first.watcher.has_neighbour(&green);
    of_second.has_neighbour(&blue);
    let second_operator = second.operator(sweeping()).await;
    let pools: Api<SandboxPool> = second.api();
    first.pool(json!({"warm": {"target": 2}})).await;
    pools.create(&PostParams::default(), &pool(json!({"warm": {"target": 2}}))).await.unwrap();
    first.level(2).await;
    warm(&pools, POOL, 2).await;
    let (of_blue, of_green) = (living(&first.env, &blue).await, living(&first.env, &green).await);
    assert_eq!((of_blue.len(), of_green.len()), (2, 2));

    // The one is gone for a while. The other sweeps, ends its own pool and begins anew.
    first.operator.kill9().await;
    let swept = first.calls(0).await.len();
    pools.delete(POOL, &Default::default()).await.unwrap();
    wait_gone(&pools, POOL).await;
    pools.create(&PostParams::default(), &pool(json!({"warm": {"target": 1}}))).await.unwrap();
    warm(&pools, POOL, 1).await;
    first.listings(8).await;
    assert!(first.calls(0).await.len() > swept);
    assert_eq!(living(&first.env, &blue).await, of_blue, "nobody touched them while their operator was away");

    first.operator.restart().await;
    let of_green = living(&first.env, &green).await;
    drop(second_operator);
    first.scale(3).await;
    first.level(3).await;
    first.pools.delete(POOL, &Default::default()).await.unwrap();
    wait_gone(&first.pools, POOL).await;
    assert_eq!(living(&first.env, &blue).await, BTreeSet::new());
    assert_eq!(living(&first.env, &green).await, of_green);
    first.watcher.verdict().await;
    let members: Api<Sandbox> = second.api();
    assert_eq!(members.list(&Default::default()).await.unwrap().items.len(), 1);
    of_second.verdict().await;
}
