//! Sizes that will go, closed regions, and registries that ask who pulls.

use super::support::{Cloud, instant, spec, until};
use sandbar::cloudsim::admin::{AccountSettings, Offer, PrivateRegistry};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn private() -> AccountSettings {
    let registry =
        PrivateRegistry { registry_type: "GHCR".into(), registry: "acme".into(), credentials: "bot:ghp_1".into() };
    AccountSettings { private_registries: vec![registry], ..instant() }
}

/// A spec that pulls an image of `acme` with these credentials.
fn pulling(name: &str, credentials: Option<&str>) -> Value {
    let mut spec = spec(name);
    let image = &mut spec["spec"]["services"][0]["image"];
    *image = json!({"registry_type": "GHCR", "registry": "acme", "repository": "sandbox", "tag": "1"});
    if let Some(credentials) = credentials {
        image["registry_credentials"] = credentials.into();
    }
    spec
}

#[tokio::test]
async fn a_private_image_needs_the_right_credentials() {
    let cloud = Cloud::start(private()).await;
    for (name, credentials, phase) in
        [("none", None, "ERROR"), ("wrong", Some("bot:ghp_2"), "ERROR"), ("right", Some("bot:ghp_1"), "ACTIVE")]
    {
        let made = cloud.client.post("/v2/apps", &pulling(name, credentials)).await;
        assert_eq!(made.status, 200, "{}", made.body);
        let id = made.body["app"]["id"].as_str().expect("an id").to_owned();
        let path = format!("/v2/apps/{id}/deployments");
        let ended = until("an end", async || {
            let newest = cloud.client.get(&path).await.body["deployments"][0].clone();
            ["ERROR", "ACTIVE"].contains(&newest["phase"].as_str()?).then_some(newest)
        })
        .await;
        assert_eq!(ended["phase"], phase, "{name}");
        let stored = cloud.client.app(&id).await["spec"]["services"][0]["image"]["registry_credentials"].clone();
        match credentials {
            None => assert!(stored.is_null()),
            Some(_) => assert!(stored.as_str().is_some_and(|text| text.starts_with("EV[1:")), "{stored}"),
        }
    }
}

#[tokio::test]
async fn lists_tell_what_will_go_and_what_is_closed() {
    let offer = Offer {
        deprecated_sizes: vec!["apps-d-1vcpu-1gb".into()],
        closed_regions: BTreeMap::from([("nyc".to_owned(), "too crowded".to_owned())]),
    };
    let cloud = Cloud::start(AccountSettings { offer, ..instant() }).await;
    let sizes = cloud.client.get("/v2/apps/tiers/instance_sizes").await.body;
    let leaving: Vec<&Value> = sizes["instance_sizes"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|size| size["deprecation_intent"] == true)
        .map(|size| &size["slug"])
        .collect();
    assert_eq!(leaving, ["apps-d-1vcpu-1gb"]);
    let regions = cloud.client.get("/v2/apps/regions").await.body;
    let nyc = regions["regions"].as_array().expect("a list").iter().find(|region| region["slug"] == "nyc");
    assert_eq!(nyc.map(|nyc| (&nyc["disabled"], &nyc["reason"])), Some((&json!(true), &json!("too crowded"))));
    let mut there = spec("web-1");
    there["spec"]["region"] = "nyc".into();
    let refused = cloud.client.post("/v2/apps", &there).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body["message"].as_str().is_some_and(|text| text.contains("too crowded")), "{}", refused.body);
}

#[tokio::test]
async fn an_offer_that_cannot_be_is_refused() {
    let cloud = Cloud::start(instant()).await;
    let offer = Offer { deprecated_sizes: vec!["huge".into()], ..Offer::default() };
    let error = cloud.admin.put_account("default", &AccountSettings { offer, ..instant() }).await.expect_err("refused");
    assert!(error.to_string().contains("offer.deprecatedSizes: \"huge\" is not a known size"), "{error}");
}
