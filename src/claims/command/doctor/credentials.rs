//! Do the credentials of every pool open the account that its sandboxes are in, and how much may still be asked there?

use super::Patient;
use super::line::Line;
use super::pools::condition;
use crate::api::SandboxPool;
use crate::api::conditions::Type;
use crate::providers::{Accounts, Connection, CredentialsError, Endpoints, ErrorClass, Timing};
use kube::ResourceExt;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest wait for the provider.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn check(patient: &Patient<'_>, pools: &[SandboxPool]) -> Vec<Line> {
    let endpoints = Endpoints { digitalocean_url: patient.args.digitalocean_url.clone() };
    let timing = Timing { call_timeout: PATIENCE, ..Timing::default() };
    let accounts = Accounts::new(patient.client.clone(), endpoints, &timing);
    let mut lines = Vec::new();
    let mut opened = BTreeMap::new();
    for pool in pools {
        let namespace = pool.namespace().unwrap_or_default();
        let resolved = accounts.resolve(&namespace, &pool.spec.provider).await;
        lines.push(judge(format!("credentials of pool {namespace}/{}", pool.name_any()), pool, &resolved));
        if let Ok(connection) = resolved {
            opened.insert(connection.token_label, connection.account);
        }
    }
    for (label, budget) in accounts.budgets() {
        if let Some(account) = opened.get(&label) {
            lines.push(left(format!("rate budget of account {account}"), budget.left().hour, budget.limit()));
        }
    }
    lines
}

fn judge(check: String, pool: &SandboxPool, resolved: &Result<Connection, CredentialsError>) -> Line {
    let error = match resolved {
        Ok(connection) => {
            let theirs = pool.status.as_ref().and_then(|status| status.account.as_deref());
            return match theirs.filter(|theirs| *theirs != connection.account.0) {
                None => Line::ok(check, format!("accepted; account {}", connection.account)),
                Some(theirs) => Line::failed(
                    check,
                    format!("they open account {}, and the pool's sandboxes are in {theirs}", connection.account),
                    format!(
                        "put a token of account {theirs} into the Secret; a pool changes accounts only while it is empty"
                    ),
                ),
            };
        }
        Err(error) => error,
    };
    // An error of this kind says what to do itself.
    let (what, advice) = parts(&error.to_string());
    match error {
        CredentialsError::Api { source, namespace, name, .. } if is_denied(source) => {
            let told = match condition(pool, Type::ProviderReachable) {
                Some(condition) => format!("; the operator says {}: {}", condition.reason, condition.message),
                None => "; the operator has said nothing yet".to_owned(),
            };
            Line::unseen(
                check,
                format!("you may not read Secret {namespace}/{name}{told}"),
                format!("somebody who may get secrets in {namespace} runs this"),
            )
        }
        CredentialsError::Unavailable(error) => {
            let advice = match error.class {
                ErrorClass::Limited { .. } => "wait: the provider counts the calls of an hour",
                _ => "see whether this machine reaches the provider; --digitalocean-url names another address",
            };
            Line::warning(check, format!("the provider cannot be asked now: {error}"), advice)
        }
        _ => Line::failed(check, what, advice),
    }
}

/// What is wrong, and the way out that stands after it.
fn parts(text: &str) -> (String, String) {
    match text.rsplit_once("; ") {
        Some((what, advice)) => (what.to_owned(), advice.to_owned()),
        None => (text.to_owned(), "kubectl describe sbp shows what the operator says".to_owned()),
    }
}

fn is_denied(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

fn left(check: String, left: u32, limit: u32) -> Line {
    let told = format!("{left} of {limit} calls are left in this hour");
    // Below this the operator makes nothing any more.
    match left < limit / 5 {
        false => Line::ok(check, told),
        true => Line::warning(
            check,
            format!("{told}; the last fifth is kept for deletes"),
            "see what else uses the token, and give Sandbar one of its own; calls are counted for an hour",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::command::doctor::line::State;

    #[test]
    fn a_budget_of_which_only_the_part_for_deletes_is_left_is_told() {
        assert_eq!(left("b".to_owned(), 1_000, 5_000).state, State::Ok);
        assert_eq!(left("b".to_owned(), 999, 5_000).state, State::Warning);
    }

    #[test]
    fn the_way_out_is_taken_from_the_error() {
        let error = CredentialsError::SecretMissing { namespace: "ns".into(), name: "do".into(), key: "token".into() };
        let (what, advice) = parts(&error.to_string());
        assert_eq!(what, "credentialsRef.name: there is no Secret \"do\" in namespace \"ns\"");
        assert_eq!(advice, "create it with the API token under key \"token\"");
    }
}
