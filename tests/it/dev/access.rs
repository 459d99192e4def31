//! Who may do what: the shipped roles and the slot policy, on a real server.

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use sandbar::api::{Sandbox, SandboxPool};
use sandbar::dev::kubeconfig;

use crate::wait::wait_for;
use crate::world::{TestEnv, World};

/// The operator's client: the identity that `deploy/rbac` gives it.
async fn operator(env: &TestEnv) -> kube::Client {
    let text = std::fs::read_to_string(env.world.local().operator_kubeconfig()).unwrap();
    kubeconfig::client(&text).await.unwrap()
}

fn code<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> u16 {
    match result {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(error) => panic!("{error}"),
    }
}

fn message<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> String {
    match result.unwrap_err() {
        kube::Error::Api(status) => status.message,
        error => panic!("{error}"),
    }
}

fn sandbox(name: &str, spec: serde_json::Value) -> Sandbox {
    let object = serde_json::json!({"apiVersion": "sandbar.dev/v1alpha1", "kind": "Sandbox",
        "metadata": {"name": name}, "spec": spec});
    serde_json::from_value(object).unwrap()
}

fn member(name: &str) -> Sandbox {
    let provider = serde_json::json!({"digitalOcean": {"credentialsRef": {"name": "c", "key": "k"}, "region": "nyc"}});
    let template = serde_json::json!({"poolUid": "u", "poolGeneration": 1, "provider": provider,
        "image": {"registryType": "DOCR", "repository": "r", "tag": "1"}});
    sandbox(name, serde_json::json!({"poolRef": {"name": "python"}, "slot": 0, "template": template}))
}

fn request(name: &str) -> Sandbox {
    let claim = serde_json::json!({"id": name, "holder": "somebody"});
    sandbox(name, serde_json::json!({"poolRef": {"name": "python"}, "claim": claim}))
}

#[tokio::test]
async fn the_operator_reads_a_secret_by_name_and_can_never_list_them() {
    let env = World::get().await.test("rbac-secrets").await;
    let secrets: Api<Secret> = Api::namespaced(operator(&env).await, &env.namespace);
    assert_eq!(code(secrets.get("digitalocean").await), 200);
    assert_eq!(code(secrets.list(&ListParams::default()).await), 403);
    let all: Api<Secret> = Api::all(operator(&env).await);
    assert_eq!(code(all.list(&ListParams::default()).await), 403);
}

#[tokio::test]
async fn the_operator_reads_no_namespace_but_kube_system() {
    let env = World::get().await.test("rbac-namespaces").await;
    let namespaces: Api<Namespace> = Api::all(operator(&env).await);
    assert_eq!(code(namespaces.get("kube-system").await), 200);
    assert_eq!(code(namespaces.get(&env.namespace).await), 403);
    assert_eq!(code(namespaces.list(&ListParams::default()).await), 403);
}

#[tokio::test]
async fn a_user_claims_but_reads_no_secret_and_makes_no_pool() {
    let env = World::get().await.test("rbac-user").await;
    let sandboxes: Api<Sandbox> = env.user_api();
    assert_eq!(code(sandboxes.create(&PostParams::default(), &request("mine")).await), 200);
    let ttl = serde_json::json!({"spec": {"claim": {"ttl": "10m"}}});
    assert_eq!(code(sandboxes.patch("mine", &PatchParams::default(), &Patch::Merge(ttl)).await), 200);
    assert_eq!(code(sandboxes.delete("mine", &Default::default()).await), 200);
    assert_eq!(code(env.user_api::<Secret>().get("digitalocean").await), 403);
    assert_eq!(code(env.user_api::<SandboxPool>().list(&ListParams::default()).await), 200);
    assert_eq!(code(env.user_api::<SandboxPool>().delete("any", &Default::default()).await), 403);
    let elsewhere: Api<Sandbox> = Api::namespaced(env.user.clone(), "default");
    assert_eq!(code(elsewhere.list(&ListParams::default()).await), 403);
}

#[tokio::test]
async fn only_the_operator_makes_members() {
    let env = World::get().await.test("slot-create").await;
    let made = member("python-0");
    for refused in [
        message(env.api::<Sandbox>().create(&PostParams::default(), &made).await),
        message(env.user_api::<Sandbox>().create(&PostParams::default(), &made).await),
    ] {
        assert!(refused.contains("spec.slot: 0 is only for the operator"), "{refused}");
        assert!(refused.contains("create one with spec.claim"), "{refused}");
    }
    let own: Api<Sandbox> = Api::namespaced(operator(&env).await, &env.namespace);
    assert_eq!(code(own.create(&PostParams::default(), &made).await), 200);
}

#[tokio::test]
async fn a_user_claims_a_member_and_nothing_else_of_it_changes() {
    let env = World::get().await.test("slot-claim").await;
    let own: Api<Sandbox> = Api::namespaced(operator(&env).await, &env.namespace);
    let made = own.create(&PostParams::default(), &member("python-0")).await.unwrap();
    let claim = serde_json::json!({"spec": {"claim": {"id": "mine", "holder": "me", "ttl": "10m"}}});
    let claimed = env.user_api::<Sandbox>().patch("python-0", &PatchParams::default(), &Patch::Merge(claim)).await;
    let claimed = claimed.unwrap();
    assert_eq!(claimed.spec.claim.as_ref().unwrap().id, "mine");
    assert_eq!((claimed.spec.slot, claimed.spec.template), (made.spec.slot, made.spec.template));
}

#[tokio::test]
async fn a_user_turns_no_request_into_a_member_and_no_member_into_a_request() {
    let env = World::get().await.test("slot-update").await;
    let own: Api<Sandbox> = Api::namespaced(operator(&env).await, &env.namespace);
    own.create(&PostParams::default(), &member("python-0")).await.unwrap();
    env.user_api::<Sandbox>().create(&PostParams::default(), &request("mine")).await.unwrap();
    let full = member("mine").spec;
    let set = serde_json::json!({"spec": {"slot": 0, "template": full.template}});
    let unset = serde_json::json!({"spec": {"slot": null, "template": null}});
    for (name, body) in [("mine", set), ("python-0", unset)] {
        let refused = env.user_api::<Sandbox>().patch(name, &PatchParams::default(), &Patch::Merge(body)).await;
        // The schema forbids it to everybody, and it speaks before the policy.
        let refused = message(refused);
        assert!(refused.contains("spec.slot: cannot be changed"), "{refused}");
    }
}

#[tokio::test]
async fn the_slot_policy_fits_the_schema_it_speaks_of() {
    let env = World::get().await.test("slot-types").await;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(env.client.clone());
    let checked = wait_for(&policies, "sandbar-slot", "its types are checked", |policy| {
        policy.status.as_ref().is_some_and(|status| status.type_checking.is_some())
    });
    let warnings = checked.await.status.unwrap().type_checking.unwrap().expression_warnings;
    assert_eq!(warnings, None);
}
