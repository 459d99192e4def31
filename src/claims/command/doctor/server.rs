//! Does the API server answer, and is it new enough?

use super::Patient;
use super::line::Line;
use crate::failure::chain;
use k8s_openapi::apimachinery::pkg::version::Info;

/// The oldest minor release of Kubernetes 1 that has all that is needed: selectable fields of custom resources.
const OLDEST: u32 = 32;
const CHECK: &str = "API server";

/// An error is the line when nobody answers: nothing else can be asked then.
pub(super) async fn check(patient: &Patient<'_>) -> Result<Line, Line> {
    match patient.client.apiserver_version().await {
        Ok(version) => Ok(judge(&version)),
        Err(error) => Err(Line::failed(
            CHECK,
            format!("does not answer: {}", chain(&error)),
            "kubectl version; another cluster is named with --context or --kubeconfig",
        )),
    }
}

fn judge(version: &Info) -> Line {
    // Some add a plus: "32+".
    let number = |text: &str| text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().ok();
    let told = format!("Kubernetes {}", version.git_version);
    match (number(&version.major), number(&version.minor)) {
        (Some(1), Some(minor)) if minor < OLDEST => Line::failed(
            CHECK,
            format!("{told}: selectable fields of custom resources and admission policies are missing"),
            format!("upgrade the cluster to 1.{OLDEST} or newer"),
        ),
        (Some(_), Some(_)) => Line::ok(CHECK, format!("{told}, sandbar {}", env!("CARGO_PKG_VERSION"))),
        _ => Line::unseen(CHECK, format!("{told} is no known version"), format!("see that it is 1.{OLDEST} or newer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::command::doctor::line::State;

    #[test]
    fn releases_that_lack_selectable_fields_are_told() {
        let of = |major: &str, minor: &str| {
            let git_version = format!("v{major}.{minor}.0");
            judge(&Info { major: major.into(), minor: minor.into(), git_version, ..Info::default() })
        };
        assert_eq!(of("1", "32").state, State::Ok);
        assert_eq!(of("1", "36+").state, State::Ok);
        assert_eq!(of("2", "0").state, State::Ok);
        assert_eq!(of("", "").state, State::NotChecked);
        let old = of("1", "31+");
        assert_eq!((old.state, old.advice.as_deref()), (State::Failed, Some("upgrade the cluster to 1.32 or newer")));
    }
}
