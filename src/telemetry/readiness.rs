//! What this process still lacks, by name: the body of `/readyz`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// The state of one thing the process needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// It is there.
    Ok,
    /// It is rightly not there: another process does the work, and this one
    /// could take over.
    Standby(String),
    /// It is missing; the text says what, and the way out.
    Missing(String),
}

/// Everything the process needs and whether it has it. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    checks: Arc<Mutex<BTreeMap<String, Check>>>,
}

impl Readiness {
    /// Nothing checked yet, which is not ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how it stands with the thing of this name, such as
    /// `crd sandboxes.sandbar.dev`, `permission patch secrets`,
    /// `store sandboxpools` or `leader`.
    pub fn set(&self, name: &str, check: Check) {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        if checks.get(name) != Some(&check) {
            match &check {
                Check::Missing(why) => tracing::warn!(check = name, "not ready: {why}"),
                Check::Ok | Check::Standby(_) => tracing::debug!(check = name, ?check, "ready"),
            }
            checks.insert(name.to_owned(), check);
        }
    }

    /// No longer needs the thing of this name.
    pub fn remove(&self, name: &str) {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Whether the process can do its work or take it over: something was
    /// checked and nothing is missing.
    pub fn is_ready(&self) -> bool {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        !checks.is_empty() && !checks.values().any(|check| matches!(check, Check::Missing(_)))
    }

    /// One line per check, what is missing first, and the verdict at the end.
    pub fn report(&self) -> String {
        let mut lines: Vec<(bool, String)> = {
            let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
            let line = |(name, check): (&String, &Check)| match check {
                Check::Ok => (true, format!("[+] {name}: ok")),
                Check::Standby(why) => (true, format!("[+] {name}: standby ({why})")),
                Check::Missing(why) => (false, format!("[-] {name}: {why}")),
            };
            checks.iter().map(line).collect()
        };
        lines.sort_by_key(|(fine, _)| *fine);
        let mut report = String::new();
        for (_, line) in &lines {
            let _ = writeln!(report, "{line}");
        }
        let missing = lines.iter().filter(|(fine, _)| !fine).count();
        let _ = match (lines.len(), missing) {
            (0, _) => writeln!(report, "not ready: starting"),
            (_, 0) => writeln!(report, "ready"),
            (_, missing) => writeln!(report, "not ready: {missing} missing"),
        };
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_checked_is_not_ready() {
        let readiness = Readiness::new();
        assert!(!readiness.is_ready());
        assert_eq!(readiness.report(), "not ready: starting\n");
    }

    #[test]
    fn what_is_missing_is_said_first_and_by_name() {
        let readiness = Readiness::new();
        readiness.set("a", Check::Ok);
        readiness.set("permission patch secrets", Check::Missing("apply deploy/rbac.yaml".into()));
        assert!(!readiness.is_ready());
        let report = readiness.report();
        assert_eq!(report, "[-] permission patch secrets: apply deploy/rbac.yaml\n[+] a: ok\nnot ready: 1 missing\n");
        readiness.set("permission patch secrets", Check::Ok);
        assert!(readiness.is_ready());
        readiness.set("b", Check::Missing("gone".into()));
        readiness.remove("b");
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_standby_is_ready_and_says_so() {
        let readiness = Readiness::new();
        readiness.set("leader", Check::Standby("another leads".into()));
        assert!(readiness.is_ready());
        assert_eq!(readiness.report(), "[+] leader: standby (another leads)\nready\n");
    }
}
