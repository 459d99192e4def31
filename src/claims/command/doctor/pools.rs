//! What the operator says of the pools.

use super::Patient;
use super::line::Line;
use crate::api::SandboxPool;
use crate::api::conditions::Type;
use crate::failure::chain;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

/// Pools that need a person, by the operator's own word; one line if none does.
pub(super) fn check(patient: &Patient<'_>, pools: &[SandboxPool]) -> Vec<Line> {
    if pools.is_empty() {
        let place = patient.args.list.place(&patient.namespace);
        return vec![Line::ok("pools", format!("none in {place}; another namespace is named with -n, all with -A"))];
    }
    let mut lines = Vec::new();
    for pool in pools {
        let Some(bad) = condition(pool, Type::Degraded).filter(|condition| condition.status == "True") else {
            continue;
        };
        let (name, namespace) = (pool.name_any(), pool.namespace().unwrap_or_default());
        lines.push(Line::warning(
            format!("pool {namespace}/{name}"),
            format!("{}: {}", bad.reason, bad.message),
            format!("kubectl -n {namespace} describe sbp/{name}"),
        ));
    }
    if lines.is_empty() {
        lines.push(Line::ok("pools", format!("{}, none of them needs a person", pools.len())));
    }
    lines
}

/// A condition of a pool.
pub(super) fn condition(pool: &SandboxPool, kind: Type) -> Option<&Condition> {
    pool.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == kind.as_str())
}

/// Pools that nobody could list.
pub(super) fn unseen(error: &kube::Error) -> Line {
    let advice = match error {
        kube::Error::Api(status) if status.code == 403 => {
            "ask for a RoleBinding to ClusterRole sandbar-view, or name a namespace of yours with -n"
        }
        kube::Error::Api(status) if status.code == 404 => "install the definitions, see above",
        _ => "kubectl get sbp -o yaml shows what is stored",
    };
    Line::unseen("pools and credentials", format!("pools cannot be listed: {}", chain(error)), advice)
}
