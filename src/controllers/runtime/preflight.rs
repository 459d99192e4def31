//! Before the controllers start: are the kinds installed, and may we do what
//! we must? A missing CRD or permission shows as an endless back-off inside
//! a watch, so it is asked for by name, told in `/readyz`, and waited for
//! instead of crash-looping.

use super::backoff::Backoff;
use super::ticks::Ticks;
use crate::failure::chain;
use crate::telemetry::readiness::{Check, Readiness};
use futures::future::join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use kube::Client;
use kube::api::{Api, PostParams};

/// One kind that must be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// API group, such as `sandbar.dev`.
    pub group: &'static str,
    /// Version, such as `v1alpha1`.
    pub version: &'static str,
    /// Plural name, such as `sandboxes`.
    pub plural: &'static str,
}

impl Kind {
    fn check_name(self) -> String {
        format!("crd {}.{}", self.plural, self.group)
    }
}

/// One thing that this process must be allowed to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Verb, such as `patch`.
    pub verb: &'static str,
    /// API group; empty = core.
    pub group: &'static str,
    /// Plural name, `/subresource` included where there is one.
    pub resource: &'static str,
    /// The namespace; none = all of them.
    pub namespace: Option<String>,
    /// The one object; none = all of them.
    pub name: Option<&'static str>,
}

impl Access {
    /// One access per verb.
    pub fn to(
        verbs: &[&'static str],
        group: &'static str,
        resource: &'static str,
        namespace: Option<&str>,
    ) -> Vec<Self> {
        let namespace = namespace.map(str::to_owned);
        let access = |&verb: &&'static str| Self { verb, group, resource, namespace: namespace.clone(), name: None };
        verbs.iter().map(access).collect()
    }

    fn check_name(&self) -> String {
        format!("permission {}", self.told())
    }

    /// For people, such as `patch sandboxes.sandbar.dev in default`.
    pub fn told(&self) -> String {
        let Self { verb, group, resource, namespace, name } = self;
        let dot = if group.is_empty() { "" } else { "." };
        let name = name.map_or_else(String::new, |name| format!(" {name}"));
        let place = namespace.as_ref().map_or_else(String::new, |namespace| format!(" in {namespace}"));
        format!("{verb} {resource}{dot}{group}{name}{place}")
    }

    fn attributes(&self) -> ResourceAttributes {
        let (resource, subresource) = match self.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
            None => (self.resource, None),
        };
        ResourceAttributes {
            verb: Some(self.verb.to_owned()),
            group: Some(self.group.to_owned()),
            resource: Some(resource.to_owned()),
            subresource,
            namespace: self.namespace.clone(),
            name: self.name.map(str::to_owned),
            ..ResourceAttributes::default()
        }
    }

    /// Whether who asks may do it, and why.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn allowed(&self, client: &Client) -> kube::Result<SubjectAccessReviewStatus> {
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(self.attributes()),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
        Ok(reviews.create(&PostParams::default(), &review).await?.status.unwrap_or_default())
    }

    /// Whether a service account may do it. Needs `create` of subjectaccessreviews.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn allowed_to(&self, client: &Client, namespace: &str, account: &str) -> kube::Result<bool> {
        let groups = ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
        let spec = SubjectAccessReviewSpec {
            user: Some(format!("system:serviceaccount:{namespace}:{account}")),
            groups: Some(groups.into_iter().chain(["system:authenticated".to_owned()]).collect()),
            resource_attributes: Some(self.attributes()),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
        let answer = reviews.create(&PostParams::default(), &review).await?;
        Ok(answer.status.is_some_and(|status| status.allowed && status.denied != Some(true)))
    }
}

/// Everything a process needs of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Kinds that must be served.
    pub kinds: Vec<Kind>,
    /// What must be allowed.
    pub accesses: Vec<Access>,
}

impl Needs {
    /// What the operator needs, and `deploy/rbac` grants: `own` is the
    /// namespace of its Lease and its list of orphans, `watched` the one namespace it looks after
    /// (none = all of them).
    pub fn of_operator(own: &str, watched: Option<&str>) -> Self {
        let (group, core) = (crate::api::GROUP, "");
        let kind = |plural| Kind { group, version: crate::api::VERSION, plural };
        let mut accesses =
            Access::to(&["get", "list", "watch", "create", "patch", "delete"], group, "sandboxes", watched);
        accesses.extend(Access::to(&["get", "list", "watch", "patch"], group, "sandboxpools", watched));
        for resource in ["sandboxes/status", "sandboxpools/status", "sandboxes/finalizers", "sandboxpools/finalizers"] {
            accesses.extend(Access::to(&["update"], group, resource, watched));
        }
        accesses.extend(Access::to(&["get", "create", "patch", "delete"], core, "secrets", watched));
        accesses.extend(Access::to(&["create", "patch"], "events.k8s.io", "events", watched));
        accesses.extend(Access::to(&["get", "create", "update"], "coordination.k8s.io", "leases", Some(own)));
        accesses.extend(Access::to(&["get", "create", "patch"], core, "configmaps", Some(own)));
        accesses.extend(Access::to(&["create"], "authentication.k8s.io", "tokenreviews", None));
        accesses.extend(Access::to(&["create"], "authorization.k8s.io", "subjectaccessreviews", None));
        let cluster = Access::to(&["get"], core, "namespaces", None);
        accesses.extend(cluster.into_iter().map(|access| Access { name: Some("kube-system"), ..access }));
        Self { kinds: vec![kind("sandboxes"), kind("sandboxpools")], accesses }
    }

    /// What a gateway needs that serves this namespace; `deploy/rbac/gateway.yaml` grants it.
    pub fn of_gateway(served: &str) -> Self {
        let (group, served) = (crate::api::GROUP, Some(served));
        let kind = |plural| Kind { group, version: crate::api::VERSION, plural };
        let runs = ["get", "list", "watch", "create", "patch", "delete"];
        let mut accesses = Access::to(&runs, group, "sandboxes", served);
        accesses.extend(Access::to(&["get", "list", "watch"], group, "sandboxpools", served));
        accesses.extend(Access::to(&["get"], "", "secrets", served));
        accesses.extend(Access::to(&["create"], "authentication.k8s.io", "tokenreviews", None));
        accesses.extend(Access::to(&["create"], "authorization.k8s.io", "subjectaccessreviews", None));
        Self { kinds: vec![kind("sandboxes"), kind("sandboxpools")], accesses }
    }
}

/// Waits until every kind is served and every access allowed. Says what is
/// missing in `readiness` under `crd <plural>.<group>` and
/// `permission <verb> <resource>.<group>`; asks again after 1 s, later less
/// often, at least every 30 s.
pub async fn wait(client: &Client, readiness: &Readiness, needs: &Needs) {
    const OFTEN: std::time::Duration = std::time::Duration::from_secs(30);
    let backoff = Backoff::new(Ticks::real());
    while !look(client, readiness, needs).await {
        tokio::time::sleep(backoff.failed("preflight").min(OFTEN)).await;
    }
}

/// Looks once at everything; gives whether nothing is missing.
pub async fn look(client: &Client, readiness: &Readiness, needs: &Needs) -> bool {
    let kinds = needs.kinds.iter().map(async |&kind| (kind.check_name(), look_for_kind(client, kind).await));
    let accesses =
        needs.accesses.iter().map(async |access| (access.check_name(), look_for_access(client, access).await));
    let (kinds, accesses) = futures::join!(join_all(kinds), join_all(accesses));
    let mut complete = true;
    for (name, check) in kinds.into_iter().chain(accesses) {
        complete &= check == Check::Ok;
        readiness.set(&name, check);
    }
    complete
}

/// Whether a kind is served: by discovery, which shows it only once it is established and needs no permission of its
/// own.
pub async fn look_for_kind(client: &Client, kind: Kind) -> Check {
    let missing = || Check::Missing("not installed; install it with `sandbar crds | kubectl apply -f -`".to_owned());
    match client.list_api_group_resources(&format!("{}/{}", kind.group, kind.version)).await {
        Ok(list) if list.resources.iter().any(|resource| resource.name == kind.plural) => Check::Ok,
        Ok(_) => missing(),
        // A group nobody serves is answered in plain text, without a reason.
        Err(kube::Error::Api(status)) if status.code == 404 => missing(),
        Err(error) => Check::Missing(format!("cannot ask the API server: {}", chain(&error))),
    }
}

async fn look_for_access(client: &Client, access: &Access) -> Check {
    match access.allowed(client).await {
        Ok(status) if status.allowed => Check::Ok,
        Ok(status) => {
            let reason = status.reason.filter(|reason| !reason.is_empty());
            let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
            Check::Missing(format!("not allowed{reason}; grant it as deploy/ does"))
        }
        Err(error) => Check::Missing(format!("cannot ask the API server: {}", chain(&error))),
    }
}

#[cfg(test)]
#[path = "preflight_tests.rs"]
mod tests;
