//! What is measured: writes at the API server, time and memory of a process.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::Client;

use super::Result;

/// Ticks per second in `/proc/PID/stat`: fixed by the kernel's interface.
const TICKS: f64 = 100.0;

/// Writes that the API server was asked for, by resource and verb (`secrets POST`), whatever it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writes(BTreeMap<String, u64>);

/// What is written for members and claims. Of Secrets only the members' own are made while something is measured;
/// the finalizer on the credentials is the pool's.
pub const OBJECTS: [&str; 3] = ["sandboxes ", "secrets POST", "events "];

impl Writes {
    /// Reads them from the API server's metrics (`apiserver_request_total`).
    pub async fn read(client: &Client) -> Result<Self> {
        let text = client.request_text(http::Request::get("/metrics").body(Vec::new())?).await?;
        let mut writes = BTreeMap::new();
        for line in text.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
            let label = |name: &str| {
                let (_, rest) = line.split_once(&format!(",{name}=\""))?;
                rest.split_once('"').map(|(value, _)| value)
            };
            let dry = label("dry_run").is_some_and(|dry| !dry.is_empty());
            let (Some(resource), Some(verb)) = (label("resource"), label("verb")) else { continue };
            let Some((_, count)) = line.rsplit_once(' ') else { continue };
            let changes = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"].contains(&verb);
            if changes && !dry && resource != "leases" && resource != "selfsubjectaccessreviews" {
                // Counters are floats in this format.
                *writes.entry(format!("{resource} {verb}")).or_default() += count.parse::<f64>()? as u64;
            }
        }
        Ok(Self(writes))
    }

    /// Writes since then whose resource and verb begin with one of these.
    pub fn since(&self, before: &Self, kinds: &[&str]) -> u64 {
        let counted = self.0.iter().filter(|(name, _)| kinds.iter().any(|kind| name.starts_with(kind)));
        counted.map(|(name, count)| count - before.0.get(name).copied().unwrap_or_default()).sum()
    }

    /// All writes since then.
    pub fn all_since(&self, before: &Self) -> u64 {
        self.since(before, &[""])
    }
}

/// Processor time of a process until now.
pub fn cpu(pid: i32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold blanks; what follows the last bracket does not.
    let rest = stat.rsplit_once(") ").map(|(_, rest)| rest).ok_or("no processor time")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_secs_f64(ticks as f64 / TICKS))
}

/// Resident memory of a process in MiB.
pub fn resident(pid: i32) -> Result<f64> {
    kilobytes(pid, "VmRSS:").map(|kib| kib / 1024.0)
}

/// The most memory that a process ever had resident, in MiB.
pub fn peak(pid: i32) -> Result<f64> {
    kilobytes(pid, "VmHWM:").map(|kib| kib / 1024.0)
}

fn kilobytes(pid: i32, line: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let found = status.lines().find_map(|text| text.strip_prefix(line)).ok_or(format!("no {line}"))?;
    Ok(found.trim().trim_end_matches(" kB").parse()?)
}

/// The middle of these times, in ms.
pub fn p50(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
}
