use super::{Operator, POOL, pool};
use crate::world::World;
use futures::future::join_all;
use http::Method;
use kube::api::{Api, Patch, PatchParams};
use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use sandbar::api::{Sandbox, Span};
use sandbar::claims::{
    ClaimError, ClaimWish, Claims, ExtendError, Extension, FindError, RequestError, RequestWish, claimable,
};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn wish(holder: &str) -> ClaimWish {
    ClaimWish { holder: holder.to_owned(), ttl: None, id: None }
}

fn request(id: &str) -> RequestWish {
    let (pool, holder) = (POOL.to_owned(), "ada".to_owned());
    RequestWish { id: id.to_owned(), pool, holder, ttl: None, snapshot: None, app: None, keep_ended: None }
}

/// The user's client, and the numbers of its reads and of its writes.
async fn counted(kubeconfig: &Path) -> (Client, Arc<[AtomicU32; 2]>) {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let counts = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
    let seen = counts.clone();
    let layer = tower::util::MapRequestLayer::new(move |request: http::Request<Body>| {
        seen[usize::from(request.method() != Method::GET)].fetch_add(1, Ordering::SeqCst);
        request
    });
    (ClientBuilder::try_from(config).unwrap().with_layer(&layer).build(), counts)
}

#[tokio::test]
async fn claim_is_never_shared_s6() {
    let env = World::get().await.test("claims-crowd").await;
    let operator = Operator::of(&env).await;
    pool(&env).await;
    for slot in 0..5 {
        operator.warm(slot).await;
    }
    let claims = Claims::new(env.user.clone(), &env.namespace);
    let claimers = (0..30).map(|number| {
        let claims = claims.clone();
        tokio::spawn(async move { claims.claim_warm(POOL, &wish(&format!("claimer-{number}"))).await })
    });
    let ends: Vec<_> = join_all(claimers).await.into_iter().map(Result::unwrap).collect();
    let won: Vec<_> = ends.iter().flatten().collect();
    let members: BTreeSet<_> = won.iter().map(|claimed| claimed.sandbox.metadata.uid.clone()).collect();
    assert_eq!((won.len(), members.len()), (5, 5));
    for lost in ends.iter().filter_map(|end| end.as_ref().err()) {
        assert_eq!(lost, &ClaimError::NoneWarm { pool: POOL.to_owned() });
    }
    for claimed in won {
        let stored = operator.sandboxes.get(claimed.sandbox.metadata.name.as_deref().unwrap()).await.unwrap();
        assert_eq!(stored.spec.claim.as_ref().map(|claim| &claim.id), Some(&claimed.id));
        // Made once, changed once.
        assert_eq!(stored.metadata.generation, Some(2), "{}", crate::world::yaml(&stored));
    }
}

#[tokio::test]
async fn a_claim_is_one_write_and_from_a_watch_no_read() {
    let env = World::get().await.test("claims-count").await;
    let operator = Operator::of(&env).await;
    let known = [operator.warm(0).await, operator.warm(1).await];
    let (client, counts) = counted(&env.user_kubeconfig).await;
    let claims = Claims::new(client, &env.namespace);
    let count = || (counts[0].load(Ordering::SeqCst), counts[1].load(Ordering::SeqCst));
    let first = claims.claim_warm(POOL, &wish("ada")).await.unwrap();
    assert_eq!((count(), first.writes), ((1, 1), 1));
    let rest: Vec<_> = known.iter().filter(|member| member.metadata.uid != first.sandbox.metadata.uid).collect();
    claims.claim_from(POOL, &rest, &wish("ada")).await.unwrap();
    assert_eq!(count(), (1, 2));
}

#[tokio::test]
async fn a_member_that_is_on_its_way_out_cannot_be_claimed_b11() {
    let env = World::get().await.test("claims-phases").await;
    let operator = Operator::of(&env).await;
    let claims = Claims::new(env.user.clone(), &env.namespace);
    for (slot, phase) in [(0, "Terminating"), (1, "Failed"), (2, "Claimed"), (3, "Ended")] {
        let mut old_view = operator.member(slot, phase, "http://127.0.0.1:1").await;
        assert!(!claimable(&old_view));
        // A claimer that believes in a phase which is over, and whose version would be right.
        old_view.status.as_mut().unwrap().phase = Some(sandbar::api::Phase::Warm);
        let error = claims.claim_from(POOL, &[&old_view], &wish("ada")).await.unwrap_err();
        assert_eq!(error, ClaimError::NoneWarm { pool: POOL.to_owned() }, "{phase}");
        let name = old_view.metadata.name.unwrap();
        let claim = json!({"spec": {"claim": {"id": "x", "holder": "y", "ttl": "5m"}}});
        let refused = env.user_api::<Sandbox>().patch(&name, &PatchParams::default(), &Patch::Merge(claim)).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(&format!("B11: spec.claim: {name} is {phase}")), "{refused}");
    }
}

#[tokio::test]
async fn a_claim_never_falls_on_another_member_of_the_same_name_s6() {
    let env = World::get().await.test("claims-uid").await;
    let operator = Operator::of(&env).await;
    let mut old_view = operator.warm(0).await;
    operator.sandboxes.delete("python-0", &Default::default()).await.unwrap();
    let new = operator.warm(0).await;
    let claims = Claims::new(env.user.clone(), &env.namespace);
    for version in [old_view.metadata.resource_version.clone(), new.metadata.resource_version] {
        old_view.metadata.resource_version = version;
        let error = claims.claim_from(POOL, &[&old_view], &wish("ada")).await.unwrap_err();
        assert_eq!(error, ClaimError::NoneWarm { pool: POOL.to_owned() });
    }
    assert_eq!(operator.sandboxes.get("python-0").await.unwrap().spec.claim, None);
}

#[tokio::test]
async fn an_extension_only_adds_b8_b9() {
    let env = World::get().await.test("claims-extend").await;
    Operator::of(&env).await.warm(0).await;
    let claims = Claims::new(env.user.clone(), &env.namespace);
    let run = claims.claim_warm(POOL, &wish("ada")).await.unwrap();
    let by = claims.extend(&run.id, Extension::By(Span::minutes(15))).await.unwrap();
    assert_eq!(by.ttl, Span::minutes(45));
    assert_eq!(by.sandbox.spec.claim.unwrap().ttl, Some(Span::minutes(45)));
    let ttl = Span::minutes(44);
    let error = claims.extend(&run.id, Extension::To(ttl)).await.unwrap_err();
    assert_eq!(error, ExtendError::Shorter { ttl, current: Span::minutes(45) });
    let error = claims.extend(&run.id, Extension::By(Span::hours(2))).await.unwrap_err();
    assert_eq!(error, ExtendError::TooLong { ttl: Span::minutes(165), max: Span::hours(2) });
    // The API server keeps both by itself, whoever writes.
    let sandboxes: Api<Sandbox> = env.user_api();
    for (ttl, rule) in [("44m", "B8: "), ("3h", "B9: ")] {
        let patch = Patch::Merge(json!({"spec": {"claim": {"ttl": ttl}}}));
        let refused = sandboxes.patch("python-0", &PatchParams::default(), &patch).await.unwrap_err().to_string();
        assert!(refused.contains(rule), "{refused}");
    }
    let missing = claims.extend("run-none", Extension::By(Span::minutes(1))).await.unwrap_err();
    assert!(matches!(missing, ExtendError::Find(FindError::NoRun { .. })), "{missing}");
}

#[tokio::test]
async fn an_extension_of_a_requested_run_goes_to_the_request() {
    let env = World::get().await.test("claims-extend-request").await;
    pool(&env).await;
    let claims = Claims::new(env.user.clone(), &env.namespace);
    claims.request(&request("job-1")).await.unwrap();
    // Without a time of its own it has the pool's default, 30 min.
    let extended = claims.extend("job-1", Extension::By(Span::minutes(10))).await.unwrap();
    assert_eq!((extended.ttl, extended.sandbox.is_member()), (Span::minutes(40), false));
    let error = claims.extend("job-1", Extension::To(Span::hours(3))).await.unwrap_err();
    assert_eq!(error, ExtendError::TooLong { ttl: Span::hours(3), max: Span::hours(2) });
}

#[tokio::test]
async fn a_release_may_be_repeated() {
    let env = World::get().await.test("claims-release").await;
    let operator = Operator::of(&env).await;
    operator.warm(0).await;
    operator.warm(1).await;
    let claims = Claims::new(env.user.clone(), &env.namespace);
    claims.request(&request("job-1")).await.unwrap();
    let run = claims.claim_warm(POOL, &ClaimWish { id: Some("job-1".into()), ..wish("ada") }).await.unwrap();
    let released = claims.release("job-1").await.unwrap();
    let names: Vec<_> = released.objects.iter().map(|object| object.name.as_str()).collect();
    assert_eq!(names, ["job-1", run.sandbox.metadata.name.as_deref().unwrap()]);
    assert!(released.objects.iter().all(|object| object.deleted_now));
    assert!(claims.release("job-1").await.unwrap().objects.is_empty());
    // The other member is untouched.
    assert_eq!(operator.sandboxes.list(&Default::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_request_happens_once_however_many_ask() {
    let env = World::get().await.test("claims-request").await;
    let claims = Claims::new(env.user.clone(), &env.namespace);
    let wish = request("job-1");
    let asked = join_all((0..8).map(|_| claims.request(&wish))).await;
    let uids: BTreeSet<_> = asked.into_iter().map(|request| request.unwrap().metadata.uid).collect();
    assert_eq!(uids.len(), 1);
    let other = RequestWish { holder: "bob".to_owned(), ..wish };
    let error = claims.request(&other).await.unwrap_err();
    assert!(matches!(error, RequestError::Conflict { field: "spec.claim.holder", .. }), "{error}");
}
