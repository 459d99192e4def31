//! From typed errors to what a person reads.

use crate::claims::{ClaimError, ExtendError, Fault, FindError, ReleaseError, RequestError, WaitError};
use crate::failure::Failure;

/// The role that holds every right the commands need.
const ROLE: &str = "sandbar-user";

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let failure = Self::new(fault.to_string());
        match fault {
            Fault::Denied(message) if message.contains("Unauthorized") || message.is_empty() => {
                failure.advice("log in again: the API server does not know who asks")
            }
            Fault::Denied(_) => failure.advice(format!(
                "ask for a RoleBinding to ClusterRole {ROLE} in this namespace; it holds the missing right"
            )),
            Fault::NotFound(_) => failure.advice("install Sandbar's definitions: sandbar crds | kubectl apply -f -"),
            Fault::Unclear(_) => {
                failure.advice("see whether the cluster answers: kubectl version; the same command may be repeated")
            }
            Fault::Refused(_) | Fault::Conflict(_) => failure,
        }
    }
}

impl From<FindError> for Failure {
    fn from(error: FindError) -> Self {
        let failure = Self::new(error.to_string());
        match error {
            FindError::Api(fault) => fault.into(),
            FindError::NoRun { .. } => failure.advice("sandbar ls shows the runs; another namespace is named with -n"),
            FindError::Waiting { id } => failure.advice(format!("sandbar claim POOL --id {id} waits for it")),
            FindError::Ended { .. } => failure.advice("claim another one: sandbar claim POOL"),
            FindError::BadId(_) => failure,
        }
    }
}

impl From<ReleaseError> for Failure {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::Find(error) => error.into(),
            ReleaseError::Delete { name, cause } => {
                let text = format!("cannot delete Sandbox {name}: {cause}");
                Self::new(text).advice("the same command may be repeated")
            }
        }
    }
}

impl From<ExtendError> for Failure {
    fn from(error: ExtendError) -> Self {
        let failure = Self::new(error.to_string());
        match error {
            ExtendError::Find(error) => error.into(),
            ExtendError::Api(fault) => fault.into(),
            ExtendError::Shorter { .. } => failure.advice("sandbar release ends a run now"),
            ExtendError::TooLong { .. } | ExtendError::Refused { .. } => failure,
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        let failure = Self::new(error.to_string());
        match error {
            RequestError::Api(fault) => fault.into(),
            RequestError::Conflict { .. } | RequestError::Deleting { .. } => failure.advice("use another --id"),
            RequestError::BadId(_) => failure,
        }
    }
}

impl From<ClaimError> for Failure {
    fn from(error: ClaimError) -> Self {
        let failure = Self::new(error.to_string());
        match error {
            ClaimError::Api(fault) => fault.into(),
            ClaimError::NoneWarm { .. } => failure.advice("wait for one: leave out --no-wait"),
            ClaimError::PoolNotFound { .. } => failure.advice(NO_POOL),
            ClaimError::Unclear { id, .. } => {
                failure.advice(format!("sandbar release {id} makes sure that nothing is held"))
            }
            ClaimError::TtlTooLong { .. } | ClaimError::Refused { .. } => failure,
        }
    }
}

impl From<WaitError> for Failure {
    fn from(error: WaitError) -> Self {
        let failure = Self::new(error.to_string());
        match error {
            WaitError::Api(fault) => fault.into(),
            WaitError::Ended { name, .. } => failure
                .advice(format!("sandbar release {name} removes the ended request; its id can be used again then")),
            WaitError::NoApp { name, .. } => failure.advice(format!(
                "kubectl get sandbox/{name} -o yaml tells every step; sandbar exec looks into the sandbox; sandbar release gives it back"
            )),
            WaitError::TimedOut { .. } | WaitError::Deleted { .. } | WaitError::NoFiles { .. } => failure,
        }
    }
}

const NO_POOL: &str = "sandbar ls shows the pools; another namespace is named with -n";
