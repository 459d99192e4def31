//! Is there an operator that works?

use super::Patient;
use super::line::Line;
use crate::claims::command::output::rough;
use crate::failure::chain;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;

const CHECK: &str = "operator";

pub(super) async fn check(patient: &Patient<'_>) -> Line {
    let (namespace, name) = (&patient.args.system_namespace, &patient.args.lease_name);
    let api: Api<Lease> = Api::namespaced(patient.client.clone(), namespace);
    match api.get_opt(name).await {
        Ok(lease) => judge(lease.as_ref(), &format!("{namespace}/{name}"), namespace, patient.clock.now()),
        Err(kube::Error::Api(status)) if status.code == 403 => Line::unseen(
            CHECK,
            format!("you may not read its Lease {namespace}/{name}"),
            format!("somebody who may get leases.coordination.k8s.io in {namespace} runs this"),
        ),
        Err(error) => Line::unseen(CHECK, chain(&error), "kubectl version shows whether the cluster answers"),
    }
}

/// `now` is told by the API server's clock, which may be a second behind.
fn judge(lease: Option<&Lease>, place: &str, namespace: &str, now: Timestamp) -> Line {
    let look = format!("kubectl -n {namespace} get deployments,pods; kubectl -n {namespace} logs deployment/sandbar");
    let Some(spec) = lease.and_then(|lease| lease.spec.as_ref()) else {
        let says = format!("none has ever worked: there is no Lease {place}");
        return Line::failed(CHECK, says, format!("install it, or name its namespace with --system-namespace; {look}"));
    };
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    if holder.is_empty() {
        return Line::failed(CHECK, format!("nobody holds Lease {place}: it was stopped in order"), look);
    }
    let Some(renewed) = spec.renew_time.as_ref() else {
        return Line::failed(CHECK, format!("Lease {place} of {holder} was never renewed"), look);
    };
    let age = now.duration_since(renewed.0).as_secs();
    let lasts = i64::from(spec.lease_duration_seconds.unwrap_or(15));
    if age > lasts {
        let says = format!("{holder} does not renew Lease {place} any more: last {} ago", rough(age));
        return Line::failed(CHECK, says, look);
    }
    Line::ok(CHECK, format!("{holder} works; it renewed Lease {place} {} ago", rough(age.max(0))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::command::doctor::line::State;
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    fn judged(holder: &str, renewed: Option<i64>) -> Line {
        let at = |second| Timestamp::from_second(second).expect("in range");
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            renew_time: renewed.map(|second| MicroTime(at(second))),
            ..LeaseSpec::default()
        };
        judge(Some(&Lease { spec: Some(spec), ..Lease::default() }), "sys/sandbar", "sys", at(1_000))
    }

    #[test]
    fn only_a_lease_that_was_renewed_in_time_means_an_operator() {
        assert_eq!(judged("pod-1", Some(985)).state, State::Ok);
        assert_eq!(judged("pod-1", Some(1_001)).state, State::Ok);
        let stale = judged("pod-1", Some(700));
        assert_eq!(stale.state, State::Failed);
        assert_eq!(stale.says, "pod-1 does not renew Lease sys/sandbar any more: last 5m ago");
        assert_eq!(judged("", Some(999)).state, State::Failed);
        assert_eq!(judged("pod-1", None).state, State::Failed);
        assert_eq!(judge(None, "sys/sandbar", "sys", Timestamp::UNIX_EPOCH).state, State::Failed);
    }
}
