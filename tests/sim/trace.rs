//! What happened, in order: the lines for people, a running hash of all of them to compare two runs.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// The trace of one run.
#[derive(Default)]
pub struct Trace {
    lines: Vec<String>,
    hash: u64,
}

impl Trace {
    pub fn note(&mut self, at: Duration, line: &str) {
        let mut hasher = DefaultHasher::new();
        (self.hash, at, line).hash(&mut hasher);
        self.hash = hasher.finish();
        self.lines.push(format!("{:>12.3}s {line}", at.as_secs_f64()));
    }

    /// Two runs with the same hash did the same at the same moments.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}
