//! The least that the operator may do is what it needs: each right that is taken away is named.

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use sandbar::controllers::runtime::preflight::{Needs, look};
use sandbar::dev::install::{self, NAMESPACE};
use sandbar::dev::kubeconfig;
use sandbar::dev::operator::Operator;
use sandbar::telemetry::readiness::Readiness;
use serde_json::json;

use super::cluster::Cluster;
use crate::wait::eventually;

/// The operator's roles; the last one is of its own namespace.
const ROLES: [&str; 3] =
    ["ClusterRole sandbar-operator", "ClusterRole sandbar-operator-cluster", "Role sandbar-operator"];

/// One verb on one resource.
#[derive(Clone, Debug)]
struct Right {
    role: &'static str,
    rule: PolicyRule,
}

impl Right {
    /// Every right that a role gives, one by one.
    fn of(role: &'static str, rules: &[PolicyRule]) -> Vec<Self> {
        let mut rights = Vec::new();
        for rule in rules {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    let (resources, verbs) = (Some(vec![resource.clone()]), vec![verb.clone()]);
                    rights.push(Self { role, rule: PolicyRule { resources, verbs, ..rule.clone() } });
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
        let place = if self.role.starts_with("Role") { format!(" in {NAMESPACE}") } else { String::new() };
        format!("[-] permission {} {resource}{dot}{group}{name}{place}: not allowed", self.rule.verbs[0])
    }
}

impl Cluster {
    async fn rights(&self) -> Vec<Right> {
        let mut rights = Vec::new();
        for role in ROLES {
            let rules = match role.split_once(' ') {
                Some(("Role", name)) => {
                    Api::<Role>::namespaced(self.client.clone(), NAMESPACE).get(name).await.expect("a role").rules
                }
                Some((_, name)) => Api::<ClusterRole>::all(self.client.clone()).get(name).await.expect("a role").rules,
                None => None,
            };
            rights.extend(Right::of(role, &rules.unwrap_or_default()));
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
async fn missing(client: &Client) -> BTreeSet<String> {
    let readiness = Readiness::new();
    look(client, &readiness, &Needs::of_operator(NAMESPACE, None)).await;
    lines(&readiness.report())
}

/// What is missing, without reasons and ways out.
fn lines(report: &str) -> BTreeSet<String> {
    let line = |line: &str| line.split([';', '(']).next().unwrap_or_default().trim_end().to_owned();
    report.lines().filter(|line| line.starts_with("[-]")).map(line).collect()
}

async fn readyz(operator: &Operator) -> Result<String, reqwest::Error> {
    reqwest::get(format!("{}/readyz", operator.base_url())).await?.text().await
}

#[tokio::test]
async fn each_right_that_is_taken_away_is_named_and_none_is_too_many() {
    let cluster = Cluster::start().await;
    cluster.kubectl(&["apply", "--server-side", "-k", "deploy/base"]).await;
    cluster.established().await;
    let token = install::service_account_token(&cluster.client, NAMESPACE, install::SERVICE_ACCOUNT).await;
    let identity = kubeconfig::client(&cluster.kubeconfig(token.expect("a token"))).await.expect("a client");
    let rights = cluster.rights().await;
    assert!(rights.len() >= 25, "{rights:?}");
    // The API server learns of a changed role a moment later.
    let shows = async |expected: &BTreeSet<String>| {
        eventually("what is missing", async || {
            let missing = missing(&identity).await;
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

#[tokio::test]
async fn an_operator_that_lacks_rights_says_which_and_begins_when_it_has_them() {
    let cluster = Cluster::start().await;
    cluster.kubectl(&["apply", "--server-side", "-k", "deploy/base"]).await;
    cluster.established().await;
    let rights = cluster.rights().await;
    // The last right of each role is taken away.
    let stays = |right: &&Right| {
        rights.iter().rev().find(|last| last.role == right.role).is_none_or(|last| last.line() != right.line())
    };
    let left: Vec<Right> = rights.iter().filter(stays).cloned().collect();
    assert_eq!(left.len() + ROLES.len(), rights.len());
    for role in ROLES {
        cluster.grant(role, &left).await;
    }
    let operator = cluster.operator_unready().await;
    let all: BTreeSet<String> = rights.iter().map(Right::line).collect();
    let granted: BTreeSet<String> = left.iter().map(Right::line).collect();
    let expected: BTreeSet<String> = all.difference(&granted).cloned().collect();
    eventually("/readyz names what is missing", async || {
        let report = readyz(&operator).await.map_err(|error| error.to_string())?;
        if lines(&report) == expected { Ok(()) } else { Err(format!("{expected:?} are not in\n{report}")) }
    })
    .await;
    for role in ROLES {
        cluster.grant(role, &rights).await;
    }
    operator.wait_until_ready().await.unwrap_or_else(|error| panic!("{error}"));
    assert!(operator.stop().await.success());
}
