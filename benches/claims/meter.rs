//! What is measured: writes at the API server, time and memory of a process.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::Client;

use crate::world::Result;

/// Ticks per second in `/proc/PID/stat`: fixed by the kernel's interface.
const TICKS: f64 = 100.0;

/// Writes that the API server was asked for, by resource, whatever it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writes(BTreeMap<String, u64>);

/// What Sandbar writes apart from the pools' status.
pub const OBJECTS: [&str; 3] = ["sandboxes", "secrets", "events"];

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
            let changes =
                matches!(label("verb"), Some("POST" | "PUT" | "PATCH" | "APPLY" | "DELETE" | "DELETECOLLECTION"));
            let dry = label("dry_run").is_some_and(|dry| !dry.is_empty());
            let (Some(resource), Some((_, count))) = (label("resource"), line.rsplit_once(' ')) else { continue };
            if changes && !dry && resource != "leases" && resource != "selfsubjectaccessreviews" {
                // Counters are floats in this format.
                *writes.entry(resource.to_owned()).or_default() += count.parse::<f64>()? as u64;
            }
        }
        Ok(Self(writes))
    }

    /// Writes of these resources since then.
    pub fn since(&self, before: &Self, resources: &[&str]) -> u64 {
        let of = |writes: &Self, resource: &str| writes.0.get(resource).copied().unwrap_or_default();
        resources.iter().map(|resource| of(self, resource) - of(before, resource)).sum()
    }

    /// All writes since then.
    pub fn all_since(&self, before: &Self) -> u64 {
        self.0.keys().map(|resource| self.since(before, &[resource.as_str()])).sum()
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
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

/// The middle of these times, in ms.
pub fn p50(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
}
