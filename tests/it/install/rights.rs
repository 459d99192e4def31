//! The least that operator and gateway may do is what they need: each right that is taken away is named.

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use sandbar::controllers::runtime::preflight::{Needs, look};
use sandbar::dev::install::{self, NAMESPACE};
use sandbar::dev::kubeconfig;
use sandbar::telemetry::readiness::Readiness;
use serde_json::json;

use super::cluster::Cluster;
use crate::wait::eventually;

/// A role, and the one namespace in which it is given.
type Given = (&'static str, Option<&'static str>);

const OPERATOR: [Given; 3] = [
    ("ClusterRole sandbar-operator", None),
    ("ClusterRole sandbar-operator-cluster", None),
    ("Role sandbar-operator", Some(NAMESPACE)),
];
/// The namespace that the shipped gateway serves.
const SERVED: &str = "default";
const GATEWAY: [Given; 2] =
    [("ClusterRole sandbar-gateway-reviews", None), ("ClusterRole sandbar-gateway", Some(SERVED))];

/// One verb on one resource.
#[derive(Clone, Debug)]
struct Right {
    role: &'static str,
    place: Option<&'static str>,
    rule: PolicyRule,
}

impl Right {
    /// Every right that a role gives, one by one.
    fn of((role, place): Given, rules: &[PolicyRule]) -> Vec<Self> {
        let mut rights = Vec::new();
        for rule in rules {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    let (resources, verbs) = (Some(vec![resource.clone()]), vec![verb.clone()]);
                    rights.push(Self { role, place, rule: PolicyRule { resources, verbs, ..rule.clone() } });
                }
            }
        }
        rights
    }

    /// The line about it in `/readyz`.
    fn line(&self) -> String {
        let one = |list: &Option<Vec<String>>| list.iter().flatten().next().cloned().unwrap_or_default();
        let (group, resource, name) =
            (one(&self.rule.api_groups), one(&self.rule.resources), one(&self.rule.resource_names));
        let dot = if group.is_empty() { "" } else { "." };
        let name = if name.is_empty() { name } else { format!(" {name}") };
        let place = self.place.map_or_else(String::new, |place| format!(" in {place}"));
        format!("[-] permission {} {resource}{dot}{group}{name}{place}: not allowed", self.rule.verbs[0])
    }
}

impl Cluster {
    async fn rights(&self, roles: &[Given]) -> Vec<Right> {
        let mut rights = Vec::new();
        for given in roles {
            let rules = match given.0.split_once(' ') {
                Some(("Role", name)) => {
                    Api::<Role>::namespaced(self.client.clone(), NAMESPACE).get(name).await.expect("a role").rules
                }
                Some((_, name)) => Api::<ClusterRole>::all(self.client.clone()).get(name).await.expect("a role").rules,
                None => None,
            };
            rights.extend(Right::of(*given, &rules.unwrap_or_default()));
        }
        rights
    }

    /// Gives a role the rights that are its own among `rights`.
    async fn grant(&self, role: &str, rights: &[Right]) {
        let rules: Vec<_> = rights.iter().filter(|right| right.role == role).map(|right| &right.rule).collect();
        let patch = Patch::Merge(json!({"rules": rules}));
        let params = PatchParams::default();
        let granted = match role.split_once(' ') {
            Some(("Role", name)) => {
                Api::<Role>::namespaced(self.client.clone(), NAMESPACE).patch(name, &params, &patch).await.map(|_| ())
            }
            Some((_, name)) => {
                Api::<ClusterRole>::all(self.client.clone()).patch(name, &params, &patch).await.map(|_| ())
            }
            None => Ok(()),
        };
        granted.expect("the role is changed");
    }
}

/// What is missing for whom the client speaks, by `/readyz`.
async fn missing(client: &Client, needs: &Needs) -> BTreeSet<String> {
    let readiness = Readiness::new();
    look(client, &readiness, needs).await;
    lines(&readiness.report())
}

/// What is missing, without reasons and ways out.
fn lines(report: &str) -> BTreeSet<String> {
    let line = |line: &str| line.split([';', '(']).next().unwrap_or_default().trim_end().to_owned();
    report.lines().filter(|line| line.starts_with("[-] permission")).map(line).collect()
}

async fn readyz(base: &str) -> Result<(u16, String), reqwest::Error> {
    let answer = reqwest::get(format!("{base}/readyz")).await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// A cluster in which everything is installed that ships.
async fn installed() -> Cluster {
    let cluster = Cluster::start().await;
    cluster.kubectl(&["apply", "--server-side", "-k", "deploy/base"]).await;
    cluster.established().await;
    cluster
}

#[tokio::test]
async fn each_right_that_is_taken_away_is_named_and_none_is_too_many() {
    let cluster = installed().await;
    let parts = [
        (install::SERVICE_ACCOUNT, &OPERATOR[..], Needs::of_operator(NAMESPACE, None), 25),
        (install::GATEWAY_ACCOUNT, &GATEWAY[..], Needs::of_gateway(SERVED), 12),
    ];
    for (account, roles, needs, least) in parts {
        let token = install::service_account_token(&cluster.client, NAMESPACE, account).await.expect("a token");
        let identity = kubeconfig::client(&cluster.kubeconfig(token)).await.expect("a client");
        let rights = cluster.rights(roles).await;
        assert!(rights.len() >= least, "{rights:?}");
        // The API server learns of a changed role a moment later.
        let shows = async |expected: &BTreeSet<String>| {
            eventually("what is missing", async || {
                let missing = missing(&identity, &needs).await;
                if missing == *expected { Ok(()) } else { Err(format!("{missing:?} instead of {expected:?}")) }
            })
            .await;
        };
        shows(&BTreeSet::new()).await;
        for (number, taken) in rights.iter().enumerate() {
            let mut left = rights.clone();
            left.remove(number);
            cluster.grant(taken.role, &left).await;
            shows(&[taken.line()].into()).await;
            cluster.grant(taken.role, &rights).await;
        }
        shows(&BTreeSet::new()).await;
    }
}

/// Takes the last right of each role away. Gives all rights, and what is said of the missing ones.
async fn lacking(cluster: &Cluster, roles: &[Given]) -> (Vec<Right>, BTreeSet<String>) {
    let rights = cluster.rights(roles).await;
    let stays = |right: &&Right| {
        rights.iter().rev().find(|last| last.role == right.role).is_none_or(|last| last.line() != right.line())
    };
    let left: Vec<Right> = rights.iter().filter(stays).cloned().collect();
    assert_eq!(left.len() + roles.len(), rights.len());
    for (role, _) in roles {
        cluster.grant(role, &left).await;
    }
    let all: BTreeSet<String> = rights.iter().map(Right::line).collect();
    let granted: BTreeSet<String> = left.iter().map(Right::line).collect();
    let expected = all.difference(&granted).cloned().collect();
    (rights, expected)
}

/// Waits until `/readyz` there names exactly these, and says that it is not ready.
async fn names_what_is_missing(base: &str, expected: &BTreeSet<String>) {
    eventually("/readyz names what is missing", async || {
        let (status, report) = readyz(base).await.map_err(|error| error.to_string())?;
        let told = status == 503 && lines(&report) == *expected;
        if told { Ok(()) } else { Err(format!("{expected:?} are not in\n{status} {report}")) }
    })
    .await;
}

#[tokio::test]
async fn who_lacks_rights_says_which_and_begins_when_it_has_them() {
    let cluster = installed().await;
    let (rights, expected) = lacking(&cluster, &OPERATOR).await;
    let operator = cluster.operator_unready().await;
    names_what_is_missing(&operator.base_url(), &expected).await;
    for (role, _) in OPERATOR {
        cluster.grant(role, &rights).await;
    }
    operator.wait_until_ready().await.unwrap_or_else(|error| panic!("{error}"));

    let (rights, expected) = lacking(&cluster, &GATEWAY).await;
    let gateway = cluster.gateway_unready().await;
    names_what_is_missing(&gateway.base_url(), &expected).await;
    for (role, _) in GATEWAY {
        cluster.grant(role, &rights).await;
    }
    gateway.wait_until_ready().await.unwrap_or_else(|error| panic!("{error}"));
    assert!(gateway.stop().await.success() && operator.stop().await.success());
}
