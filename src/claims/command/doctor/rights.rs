//! May everybody do what they have to: who asks, the operator, the gateway?

use super::Patient;
use super::line::Line;
use crate::api::GROUP;
use crate::controllers::runtime::preflight::{Access, Needs};
use crate::failure::chain;
use futures::future::join_all;

/// Missing rights that are named.
const SHOWN: usize = 5;

/// What of the accesses is missing, in words.
type Missing = kube::Result<Vec<String>>;

pub(super) async fn check(patient: &Patient<'_>) -> Vec<Line> {
    let args = patient.args;
    let (own, watched) = (&args.system_namespace, args.watch_namespace.as_deref());
    let operator = Needs::of_operator(own, watched).accesses;
    let (serves, reviews) = needs_of_gateway(&patient.namespace);
    let (mut lines, operator, gateway, served) = futures::join!(
        yours(patient),
        of(patient, &args.operator_account, &operator),
        of(patient, &args.gateway_account, &reviews),
        of(patient, &args.gateway_account, &serves),
    );
    lines.push(of_operator(&args.operator_account, own, operator));
    lines.push(of_gateway(&args.gateway_account, own, &patient.namespace, gateway, served));
    lines
}

/// What who asks may do in the namespace.
async fn yours(patient: &Patient<'_>) -> Vec<Line> {
    let namespace = Some(patient.namespace.as_str());
    let used = [
        Access::to(&["list", "watch", "create", "patch", "delete"], GROUP, "sandboxes", namespace),
        Access::to(&["get", "list"], GROUP, "sandboxpools", namespace),
    ]
    .concat();
    let one =
        |verb, group, resource| Access { verb, group, resource, namespace: namespace.map(str::to_owned), name: None };
    let (direct, by_gateway) = (one("get", "", "secrets"), one("create", GROUP, "sandboxes/exec"));
    let (used, direct, by_gateway) = futures::join!(
        missing(&used, async |access| you_may(patient, access).await),
        you_may(patient, &direct),
        you_may(patient, &by_gateway),
    );
    let place = &patient.namespace;
    let grant = |role: &str| {
        format!("kubectl create rolebinding NAME -n {place} --clusterrole={role} --user=YOU, by somebody who may")
    };
    let (claim, enter) = ("your rights to claim", "your rights to enter");
    let claiming = match used {
        Ok(missing) if missing.is_empty() => Line::ok(claim, format!("all, in namespace {place}")),
        Ok(missing) => Line::warning(claim, format!("you may not {}", listed(&missing)), grant("sandbar-user")),
        Err(error) => unasked(claim, &error),
    };
    let entering = match (direct, by_gateway) {
        (Ok(true), Ok(_)) => Line::ok(enter, format!("directly, in namespace {place}")),
        (Ok(false), Ok(true)) => Line::ok(enter, format!("by way of a gateway, in namespace {place}")),
        (Ok(false), Ok(false)) => Line::warning(
            enter,
            format!("you may neither get secrets nor create sandboxes/exec.{GROUP} in {place}"),
            grant("sandbar-enter"),
        ),
        (Err(error), _) | (_, Err(error)) => unasked(enter, &error),
    };
    vec![claiming, entering]
}

async fn you_may(patient: &Patient<'_>, access: &Access) -> kube::Result<bool> {
    Ok(access.allowed(&patient.client).await?.allowed)
}

/// What a service account of the operator's namespace may not.
async fn of(patient: &Patient<'_>, account: &str, accesses: &[Access]) -> Missing {
    let namespace = &patient.args.system_namespace;
    missing(accesses, async |access| access.allowed_to(&patient.client, namespace, account).await).await
}

async fn missing(accesses: &[Access], ask: impl AsyncFn(&Access) -> kube::Result<bool>) -> Missing {
    let answers = join_all(accesses.iter().map(async |access| (access.told(), ask(access).await))).await;
    let mut missing = Vec::new();
    for (told, allowed) in answers {
        if !allowed? {
            missing.push(told);
        }
    }
    Ok(missing)
}

fn of_operator(account: &str, namespace: &str, missing: Missing) -> Line {
    let check = "rights of the operator";
    match missing {
        Ok(missing) if missing.is_empty() => Line::ok(check, format!("all, as {namespace}/{account}")),
        Ok(missing) => Line::failed(
            check,
            format!("service account {namespace}/{account} may not {}", listed(&missing)),
            "apply deploy/rbac/operator.yaml or the chart again; --watch-namespace for an operator of one namespace",
        ),
        Err(error) => unasked(check, &error),
    }
}

/// In the namespace that it serves, and everywhere.
fn needs_of_gateway(serves: &str) -> (Vec<Access>, Vec<Access>) {
    Needs::of_gateway(serves).accesses.into_iter().partition(|access| access.namespace.is_some())
}

fn of_gateway(account: &str, own: &str, place: &str, reviews: Missing, served: Missing) -> Line {
    let check = "rights of the gateway";
    let again = "apply deploy/rbac/gateway.yaml or the chart again";
    let needed = needs_of_gateway(place).0.len();
    match (reviews, served) {
        (Ok(reviews), Ok(served)) if reviews.is_empty() && served.is_empty() => {
            Line::ok(check, format!("all, as {own}/{account}, for namespace {place}"))
        }
        (Ok(_), Ok(served)) if served.len() == needed => Line::unseen(
            check,
            format!("no gateway of service account {own}/{account} serves namespace {place}"),
            "nothing if none is wanted; deploy/examples/gateway.yaml shows how one is made",
        ),
        (Ok(reviews), Ok(served)) => {
            let missing = [reviews, served].concat();
            Line::failed(check, format!("service account {own}/{account} may not {}", listed(&missing)), again)
        }
        (Err(error), _) | (_, Err(error)) => unasked(check, &error),
    }
}

/// The API server does not tell this person.
fn unasked(check: &str, error: &kube::Error) -> Line {
    match error {
        kube::Error::Api(status) if status.code == 403 => Line::unseen(
            check,
            "you may not ask what others may",
            "a cluster administrator runs this; the operator's /readyz tells the same of itself",
        ),
        error => Line::unseen(check, chain(error), "kubectl version shows whether the cluster answers"),
    }
}

fn listed(missing: &[String]) -> String {
    let more = missing.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(", nor {more} other things") } else { String::new() };
    format!("{}{more}", missing[..missing.len().min(SHOWN)].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::command::doctor::line::State;

    fn rights(count: usize) -> Missing {
        Ok((0..count).map(|n| format!("right-{n}")).collect())
    }

    #[test]
    fn missing_rights_are_named_and_many_are_counted() {
        let line = of_operator("sandbar", "sys", rights(7));
        assert_eq!(line.state, State::Failed);
        assert!(
            line.says.ends_with("may not right-0, right-1, right-2, right-3, right-4, nor 2 other things"),
            "{line:?}"
        );
        assert_eq!(of_operator("sandbar", "sys", rights(0)).state, State::Ok);
    }

    #[test]
    fn a_namespace_without_a_gateway_is_no_failure_and_half_a_gateway_is() {
        let all = needs_of_gateway("ns").0.len();
        let judged = |reviews, served| of_gateway("g", "sys", "ns", rights(reviews), rights(served)).state;
        assert_eq!(judged(0, 0), State::Ok);
        assert_eq!(judged(2, all), State::NotChecked);
        assert_eq!(judged(1, 0), State::Failed);
        assert_eq!(judged(0, 1), State::Failed);
    }
}
