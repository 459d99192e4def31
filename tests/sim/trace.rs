//! What happened, in order: the last lines for people, a running hash of all of them to compare two runs.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Lines that are kept.
const KEPT: usize = 300;

/// The trace of one run.
#[derive(Default)]
pub struct Trace {
    lines: VecDeque<String>,
    hash: u64,
    /// How many lines there were.
    pub steps: u64,
}

impl Trace {
    pub fn note(&mut self, at: Duration, line: &str) {
        let mut hasher = DefaultHasher::new();
        (self.hash, at, line).hash(&mut hasher);
        self.hash = hasher.finish();
        self.steps += 1;
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{:>12.3}s {line}", at.as_secs_f64()));
    }

    /// Two runs with the same hash did the same at the same moments.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn tail(&self, lines: usize) -> Vec<String> {
        self.lines.iter().rev().take(lines).rev().cloned().collect()
    }
}
