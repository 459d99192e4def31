//! What one call under `/v2` is allowed and destined to do.

use super::clock::LONGEST_SECONDS;
use super::faults::{Fault, Op, Shape};
use http::Method;

/// A call that was let in, and the faults that met it.
#[derive(Debug, Clone)]
pub struct Admitted {
    pub account: String,
    pub faults: Vec<Fault>,
}

impl Admitted {
    pub fn error_before(&self) -> Option<&Shape> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::ErrorBefore(shape) => Some(shape),
            _ => None,
        })
    }

    pub fn error_after(&self) -> Option<&Shape> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::ErrorAfter(shape) => Some(shape),
            _ => None,
        })
    }

    /// The platform's own 429, with its `retry-after`.
    pub fn too_many(&self) -> Option<Option<u32>> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::TooManyRequests { retry_after } => Some(*retry_after),
            _ => None,
        })
    }

    pub fn has(&self, wanted: &Fault) -> bool {
        self.faults.contains(wanted)
    }

    /// Simulated seconds by which the answer is late.
    pub fn slow(&self) -> f64 {
        let seconds = self.faults.iter().map(|fault| if let Fault::Slow { seconds } = fault { *seconds } else { 0.0 });
        seconds.sum::<f64>().min(LONGEST_SECONDS)
    }

    /// Simulated seconds by which the listing is old.
    pub fn lag(&self) -> f64 {
        let seconds =
            self.faults.iter().map(|fault| if let Fault::ListingLag { seconds } = fault { *seconds } else { 0.0 });
        seconds.fold(0.0, f64::max)
    }
}

/// Set on an answer whose call made an app or began its end.
#[derive(Debug, Clone, Copy)]
pub struct Effect;

/// Simulated seconds that an answer takes by itself; set on the answer.
#[derive(Debug, Clone, Copy)]
pub struct Takes(pub f64);

/// Which operation a request is, by method and path.
pub fn op(method: &Method, path: &str) -> Op {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["v2", "account"]) => Op::Account,
        ("GET", ["v2", "apps"]) => Op::List,
        ("POST", ["v2", "apps"]) => Op::Create,
        ("POST", ["v2", "apps", "propose"]) => Op::Propose,
        ("GET", ["v2", "apps", "regions"]) => Op::Regions,
        ("GET", ["v2", "apps", "tiers", "instance_sizes", ..]) => Op::Sizes,
        ("GET", ["v2", "apps", _]) => Op::Get,
        ("DELETE", ["v2", "apps", _]) => Op::Delete,
        (
            "GET",
            ["v2", "apps", _, "components", _, "exec"] | ["v2", "apps", _, "deployments", _, "components", _, "exec"],
        ) => Op::Console,
        ("GET", ["v2", "apps", _, "deployments", ..]) => Op::Deployments,
        _ => Op::Other,
    }
}
