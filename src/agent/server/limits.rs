//! What a command may use at most, as the operating system keeps it.

use super::problem::Problem;
use crate::agent::wire::Limits;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use std::ops::RangeInclusive;
use tokio::process::Command;

const MIB: rlim_t = 1024 * 1024;
/// One TiB in MiB, and as many processes as Linux can tell apart by far.
const MOST: u64 = 1024 * 1024;
/// Below this not even a shell starts.
const LEAST_MEMORY: u64 = 16;
const DAY: u64 = 86_400;

/// One bound: the value that is reported, and the one that cannot be passed.
type Bound = (Resource, rlim_t, rlim_t);

/// Puts the limits on a command that is not started yet.
pub fn put(limits: Option<&Limits>, process: &mut Command) -> Result<(), Problem> {
    let Some(limits) = limits else { return Ok(()) };
    let bounds = bounds(limits, nix::unistd::geteuid().is_root())?;
    // SAFETY: setrlimit is async-signal-safe and touches nothing but the new process.
    unsafe {
        process.pre_exec(move || {
            bounds.iter().try_for_each(|(resource, soft, hard)| Ok(setrlimit(*resource, *soft, *hard)?))
        });
    }
    Ok(())
}

fn bounds(limits: &Limits, root: bool) -> Result<Vec<Bound>, Problem> {
    let mut bounds = Vec::new();
    let mut bound = |name: &str,
                     value: Option<u64>,
                     range: RangeInclusive<u64>,
                     resource: Resource,
                     unit: rlim_t,
                     grace: rlim_t| {
        let Some(value) = value else { return Ok(()) };
        let field = format!("limits.{name}");
        if !range.contains(&value) {
            let message =
                format!("{value} is not between {} and {}; leave it out for no limit", range.start(), range.end());
            return Err(Problem::field("body", &field, message));
        }
        let most = getrlimit(resource)
            .map_err(|error| Problem::Io { what: "cannot learn the agent's own limits", source: error.into() })?
            .1;
        // Nobody may have more than the agent itself.
        let soft = (value * unit).min(most);
        bounds.push((resource, soft, (soft + grace).min(most)));
        Ok(())
    };
    bound("memory_mib", limits.memory_mib, LEAST_MEMORY..=MOST, Resource::RLIMIT_AS, MIB, 0)?;
    bound("cpu_seconds", limits.cpu_seconds, 1..=DAY, Resource::RLIMIT_CPU, 1, 1)?;
    bound("file_mib", limits.file_mib, 1..=MOST, Resource::RLIMIT_FSIZE, MIB, 0)?;
    bound("processes", limits.processes, 1..=MOST, Resource::RLIMIT_NPROC, 1, 0)?;
    if root && limits.processes.is_some() {
        let message = "the agent runs as root, whom the system does not bound; leave it out, or use an image whose \
                       agent runs as another user";
        return Err(Problem::field("body", "limits.processes", message));
    }
    Ok(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(limits: Limits, root: bool) -> Option<String> {
        match bounds(&limits, root) {
            Err(Problem::Schema(violations)) => Some(format!("{}: {}", violations[0].loc.join("."), violations[0].msg)),
            other => {
                other.expect("in range");
                None
            }
        }
    }

    #[test]
    fn every_bound_has_a_range_and_none_is_no_bound() {
        assert!(bounds(&Limits::default(), true).expect("fine").is_empty());
        for (limits, field) in [
            (Limits { memory_mib: Some(15), ..Limits::default() }, "body.limits.memory_mib: 15 is not between 16 and"),
            (Limits { memory_mib: Some(u64::MAX), ..Limits::default() }, "body.limits.memory_mib"),
            (
                Limits { cpu_seconds: Some(0), ..Limits::default() },
                "body.limits.cpu_seconds: 0 is not between 1 and 86400",
            ),
            (Limits { file_mib: Some(0), ..Limits::default() }, "body.limits.file_mib"),
            (Limits { processes: Some(0), ..Limits::default() }, "body.limits.processes"),
        ] {
            let told = refused(limits, false).expect("a refusal");
            assert!(told.starts_with(field), "{told}");
        }
    }

    #[test]
    fn a_bound_that_would_not_hold_is_refused() {
        let limits = Limits { processes: Some(100), ..Limits::default() };
        assert_eq!(refused(limits, false), None);
        assert!(refused(limits, true).is_some_and(|told| told.contains("runs as root")));
    }
}
