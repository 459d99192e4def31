use super::{Operator, POOL, done, err, failed, pool, sandbar};
use crate::agent::Agent;
use crate::world::World;
use kube::api::Api;
use sandbar::api::Sandbox;
use serde_json::{Value, json};

#[tokio::test]
async fn a_person_claims_looks_extends_and_gives_back() {
    let env = World::get().await.test("cli-life").await;
    let operator = Operator::of(&env).await;
    pool(&env).await;
    let agent = Agent::start();
    operator.member(0, "Warm", &agent.base).await;
    let claimed = sandbar(&env, &["claim", POOL, "--ttl", "20m", "-v"]).await;
    let told = done(&claimed);
    assert!(err(&claimed).contains("1 write by this command"), "{}", err(&claimed));
    for words in ["sandbox  python-0", &format!("url      {}", agent.base), "expires  in 20m"] {
        assert!(told.contains(words), "{told}");
    }
    let id = told.lines().find_map(|line| line.strip_prefix("run      ")).unwrap().to_owned();
    let stored = operator.sandboxes.get("python-0").await.unwrap();
    assert_eq!(stored.spec.claim.as_ref().unwrap().holder, "ada");
    // Half a minute ago, so that no rounded minute is near its edge.
    let start = jiff::Timestamp::now().checked_sub(jiff::SignedDuration::from_secs(30)).unwrap();
    let end = start.checked_add(jiff::SignedDuration::from_mins(20)).unwrap();
    operator.status("python-0", json!({"phase": "Claimed", "claimedAt": start, "expiresAt": end})).await;

    let table = done(&sandbar(&env, &["ls"]).await);
    assert!(table.contains("POOL") && table.contains("RUN"), "{table}");
    let row = table.lines().find(|line| line.starts_with(&id)).unwrap();
    for cell in ["python-0", "Claimed", "ada", "in 19m"] {
        assert!(row.contains(cell), "{row}");
    }
    let listing: Value = serde_json::from_str(&done(&sandbar(&env, &["ls", "-o", "json"]).await)).unwrap();
    assert_eq!((&listing["runs"][0]["id"], &listing["pools"][0]["max"]), (&json!(id), &json!(10)));

    let told = done(&sandbar(&env, &["extend", &id, "--by", "25m"]).await);
    assert!(told.contains("lives 45m (expires in 44m)"), "{told}");
    let told = failed(&sandbar(&env, &["extend", &id, "--ttl", "30m"]).await, 1);
    assert!(told.contains("ttl 30m is less than 45m"), "{told}");

    let told = done(&sandbar(&env, &["release", &id]).await);
    assert!(told.contains(&format!("{id}: released (sandbox python-0 deleted)")), "{told}");
    assert_eq!(done(&sandbar(&env, &["release", &id]).await).trim(), format!("{id}: already gone"));
}

#[tokio::test]
async fn programs_get_the_object() {
    let env = World::get().await.test("cli-output").await;
    let operator = Operator::of(&env).await;
    operator.warm(0).await;
    operator.warm(1).await;
    let text = done(&sandbar(&env, &["claim", POOL, "--no-probe", "-o", "json"]).await);
    let object: Sandbox = serde_json::from_str(&text).unwrap();
    assert!(object.held_by().is_some() && text.contains("\"kind\": \"Sandbox\""), "{text}");
    let text = done(&sandbar(&env, &["claim", POOL, "--no-probe", "-o", "yaml"]).await);
    let object: Sandbox = serde_yaml::from_str(&text).unwrap();
    assert!(object.held_by().is_some(), "{text}");
}

#[tokio::test]
async fn a_request_by_id_may_be_repeated() {
    let env = World::get().await.test("cli-id").await;
    pool(&env).await;
    let first = done(&sandbar(&env, &["claim", POOL, "--id", "job-1", "--no-wait"]).await);
    assert!(first.contains("request  job-1 (in the queue)"), "{first}");
    done(&sandbar(&env, &["claim", POOL, "--id", "job-1", "--no-wait"]).await);
    let sandboxes: Api<Sandbox> = env.api();
    assert_eq!(sandboxes.list(&Default::default()).await.unwrap().items.len(), 1);
    let told = failed(&sandbar(&env, &["claim", POOL, "--id", "job-1", "--no-wait", "--holder", "bob"]).await, 1);
    assert!(told.contains("spec.claim.holder ada, not bob") && told.contains("another --id"), "{told}");
    let table = done(&sandbar(&env, &["ls"]).await);
    assert!(table.lines().any(|line| line.starts_with("job-1") && line.contains("Pending")), "{table}");
}

#[tokio::test]
async fn sandboxes_that_do_not_answer_are_given_back_and_others_are_tried() {
    let env = World::get().await.test("cli-dead").await;
    let operator = Operator::of(&env).await;
    for slot in 0..4 {
        operator.warm(slot).await;
    }
    let told = failed(&sandbar(&env, &["claim", POOL]).await, 1);
    assert!(told.contains("3 sandboxes of pool python in a row do not answer"), "{told}");
    let left = operator.sandboxes.list(&Default::default()).await.unwrap().items;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].spec.claim, None);
}

#[tokio::test]
async fn what_goes_wrong_is_said_with_the_way_out() {
    let env = World::get().await.test("cli-errors").await;
    Operator::of(&env).await.warm(0).await;
    let told = failed(&sandbar(&env, &["claim", "nowhere"]).await, 1);
    assert!(told.contains("pool nowhere does not exist in namespace") && told.contains("sandbar ls"), "{told}");
    let told = failed(&sandbar(&env, &["claim", POOL, "--ttl", "3h"]).await, 1);
    assert!(told.contains("ttl 3h is more than the pool's claims.maxTTL (2h)"), "{told}");
    let told = failed(&sandbar(&env, &["claim", POOL, "-n", "default"]).await, 1);
    assert!(told.contains("cannot list resource \"sandboxes\"") && told.contains("sandbar-user"), "{told}");
    let told = failed(&sandbar(&env, &["release", "Not_An_Id"]).await, 1);
    assert!(told.contains("\"Not_An_Id\" is no run id"), "{told}");
    let told = failed(&sandbar(&env, &["ls", "--kubeconfig", "/nonexistent"]).await, 1);
    assert!(told.contains("no cluster") && told.contains("--kubeconfig"), "{told}");
    let told = failed(&sandbar(&env, &["ls", "--context", "other"]).await, 1);
    assert!(told.contains("cannot use context other"), "{told}");
    let told = failed(&sandbar(&env, &["claim", POOL, "--ttl", "1d"]).await, 2);
    assert!(told.contains("\"1d\" is not a duration"), "{told}");
}
