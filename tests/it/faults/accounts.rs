//! Accounts that are full, or that hang while others must stay level.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::PostParams;
use sandbar::api::SandboxPool;
use sandbar::cloudsim::admin::{Fault, Op, Rule, Shape};
use sandbar::dev::cloud::new_token;
use serde_json::json;

use crate::scene::{Scene, pool};
use crate::wait::wait_for;
use crate::world::{OperatorSpec, quick_account};

#[tokio::test]
async fn a_full_account_is_asked_again_slowly_until_it_has_room() {
    let scene = Scene::on("full", |mut account| {
        account.max_apps = Some(2);
        account
    })
    .await;
    scene.pool(json!({"warm": {"target": 3}})).await;
    let pool = scene.pool_says("Degraded", "True", "AccountLimit").await;
    let said: Vec<String> = pool.status.expect("a status").conditions.into_iter().map(|said| said.message).collect();
    let said = said.join("\n");
    for words in
        ["the account's limit of 2 apps is reached", "ask the provider for a higher limit", "lower warm.target"]
    {
        assert!(said.contains(words), "{said}");
    }
    let tried = scene.count(Op::Create).await;
    scene
        .within("it is asked again", async || match scene.count(Op::Create).await {
            more if more > tried => Ok(()),
            same => Err(format!("{same} creates")),
        })
        .await;
    assert_eq!(scene.totals().await.made, 2);
    // Nobody edits the pool: the provider raised the limit.
    let sim = &scene.env.sim;
    sim.put_account(&scene.env.account, &quick_account(scene.env.token.clone())).await.expect("the account is changed");
    scene.level(3).await;
    scene.pool_says("Degraded", "False", "AsExpected").await;
    scene.sound(4).await;
}

#[tokio::test]
async fn an_account_that_hangs_leaves_workers_for_another() {
    // Nothing that hangs ends before the test does.
    let patient = ["--create-timeout", "80s", "--call-timeout", "80s", "--lease-duration", "100s"];
    let scene = Scene::with("hangs", quick_account, OperatorSpec::default().args(&patient)).await;
    let sim = &scene.env.sim;
    let hang = Rule::new(Fault::ErrorBefore(Shape::Hang { seconds: 600.0 })).on([Op::Create]);
    sim.set_rules(&scene.env.account, [hang]).await.expect("a rule");
    let many = json!({"maxSandboxes": 100, "maxConcurrentCreates": 100});
    // More members than the controller has workers, each in a call that does not end.
    scene.pool(json!({"warm": {"target": 100}, "limits": many})).await;
    scene.pool_shows("a hundred on their way", |status| status.creating == 100).await;

    let (token, account) = (new_token(), format!("{}-level", scene.env.account));
    sim.put_account(&account, &quick_account(token.clone())).await.expect("an account");
    let secret = json!({"metadata": {"name": "level"}, "stringData": {"token": token}});
    let secret: Secret = serde_json::from_value(secret).expect("a Secret");
    scene.env.api().create(&PostParams::default(), &secret).await.expect("the Secret is made");
    let mut level = pool(json!({"provider": {"digitalOcean": {"credentialsRef": {"name": "level", "key": "token"}}}}));
    level.metadata.name = Some("level".to_owned());
    scene.pools.create(&PostParams::default(), &level).await.expect("the API server takes the pool");
    wait_for(&scene.pools, "level", "two warm", |pool: &SandboxPool| {
        pool.status.as_ref().is_some_and(|status| status.warm == 2)
    })
    .await;
    let metrics = scene.operator.metrics().await;
    let ended = metrics.lines().find(|line| line.contains("operation=\"create\"") && line.contains("unknown"));
    assert_eq!(ended, None, "the other account did not hang any more");
    let members = scene.members().await;
    assert_eq!(members.iter().filter(|member| member.name_any().starts_with("level-")).count(), 2);
}
