use super::*;
use crate::providers::scripted::{Reply, Scripted};
use crate::providers::{ErrorClass, Provider};
use serde_json::{Value, json};

fn sizes() -> Vec<Size> {
    ["apps-s-1vcpu-0.5gb", "apps-s-1vcpu-1gb", "apps-s-1vcpu-2gb", "apps-s-2vcpu-4gb", "apps-d-1vcpu-1gb"]
        .map(|slug| Size { slug: slug.to_owned(), usd_per_second: None, deprecated: slug == "apps-d-1vcpu-1gb" })
        .into()
}

fn regions(closed: Option<&str>) -> Vec<Region> {
    [("ams", "Europe"), ("nyc", "North America"), ("sgp", "Asia"), ("sfo", "North America"), ("tor", "North America")]
        .map(|(slug, continent)| Region {
            slug: slug.to_owned(),
            continent: continent.to_owned(),
            closed: closed.filter(|_| slug == "nyc").map(str::to_owned),
        })
        .into()
}

#[test]
fn a_misspelt_size_is_answered_with_the_nearest_that_will_stay() {
    assert_eq!(size("apps-s-1vcpu-1gb", &sizes()), Fit::Offered);
    let Fit::NotOffered { reason, message } = size("apps-s-1cpu-1gb", &sizes()) else { panic!("it does not exist") };
    assert_eq!(reason, Reason::SizeUnknown);
    assert_eq!(
        message,
        "provider.digitalOcean.size: the provider has no size \"apps-s-1cpu-1gb\"; the nearest are apps-s-1vcpu-1gb, apps-s-1vcpu-2gb, apps-s-2vcpu-4gb"
    );
}

#[test]
fn a_size_that_will_go_is_told_and_holds_nothing_back() {
    let Fit::Leaving { message } = size("apps-d-1vcpu-1gb", &sizes()) else { panic!("it is offered, and leaving") };
    assert!(message.contains("about to withdraw apps-d-1vcpu-1gb; change to one of apps-s-1vcpu-1gb"), "{message}");
}

#[test]
fn a_closed_region_is_answered_with_open_ones_nearby() {
    assert_eq!(region("nyc", &regions(None)), Fit::Offered);
    let Fit::NotOffered { reason, message } = region("nyc", &regions(Some("too crowded"))) else { panic!("closed") };
    assert_eq!(reason, Reason::RegionUnavailable);
    assert_eq!(
        message,
        "provider.digitalOcean.region: the provider makes nothing new in nyc (too crowded); a pool stays in its region, so make another pool, for example in sfo, tor, ams"
    );
    let Fit::NotOffered { message, .. } = region("syd", &regions(None)) else { panic!("not there") };
    assert!(message.contains("has no region \"syd\"") && message.ends_with("in ams, nyc, sgp"), "{message}");
}

fn spec() -> crate::api::ProviderSpec {
    let provider =
        json!({"digitalOcean": {"credentialsRef": {"name": "do", "key": "token"}, "region": "nyc", "size": "s"}});
    serde_json::from_value(provider).expect("a provider")
}

fn listed(size: &str, region: &Value) -> [Reply; 2] {
    [
        Reply::Json(200, json!({"instance_sizes": [{"slug": size, "deprecation_intent": null}]})),
        Reply::Json(200, json!({"regions": [region]})),
    ]
}

#[tokio::test]
async fn the_lists_are_asked_for_once() {
    let server = Scripted::start("team", listed("s", &json!({"slug": "nyc", "disabled": null}))).await;
    let client = server.client();
    for _ in 0..3 {
        assert_eq!(client.fit(&spec()).await.expect("read"), Fit::Offered);
    }
    assert_eq!(server.calls(), ["GET /v2/apps/tiers/instance_sizes", "GET /v2/apps/regions"]);
}

#[tokio::test]
async fn a_list_that_cannot_be_read_proves_nothing_s3() {
    let odd = [Reply::Html(502), Reply::Json(200, json!({"instance_sizes": []})), Reply::Json(200, json!({}))];
    for sizes in odd {
        let [_, regions] = listed("s", &json!({"slug": "nyc"}));
        let server = Scripted::start("team", [sizes.clone(), regions]).await;
        let client = server.client();
        for _ in 0..3 {
            assert_eq!(client.fit(&spec()).await.expect_err("unread").class, ErrorClass::Unknown, "{sizes:?}");
        }
        assert_eq!(server.calls().len(), 2, "one failure is enough for a while");
    }
}

#[tokio::test]
async fn what_one_list_says_counts_without_the_other() {
    let [_, regions] = listed("s", &json!({"slug": "nyc", "disabled": true, "reason": "full"}));
    let server = Scripted::start("team", [Reply::Html(502), regions]).await;
    let fit = server.client().fit(&spec()).await.expect("one list is enough to say no");
    assert!(matches!(fit, Fit::NotOffered { reason: Reason::RegionUnavailable, .. }), "{fit:?}");
}
