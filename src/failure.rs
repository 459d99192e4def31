//! The one way a command ends badly: what went wrong, and what to do about it.

use crate::command::Invoked;
use std::process::ExitCode;

/// Why a command of the `sandbar` program ended without doing its job.
///
/// Library code has its own typed errors; they become a `Failure` only at the
/// edge, where a person reads them.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    what: String,
    advice: Option<String>,
    code: u8,
}

impl Failure {
    /// A failure with exit code 1 and no advice.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), advice: None, code: 1 }
    }

    /// Adds the way out, printed on a line of its own.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Sets the exit code (1–255).
    #[must_use]
    pub fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// Prints the failure to standard error and gives the exit code.
    pub fn report(&self) -> ExitCode {
        let invoked = Invoked::now();
        anstream::eprintln!("error: {}", invoked.told(&self.what));
        if let Some(advice) = &self.advice {
            anstream::eprintln!("  try: {}", invoked.told(advice));
        }
        ExitCode::from(self.code)
    }
}

/// The text of an error and of everything that caused it, joined by `: `.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(chain(&error))
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        Self::new(chain(&error))
    }
}
