//! What a check has found.

use crate::command::Invoked;
use crate::failure::Failure;
use serde::Serialize;
use std::io::Write;

/// How it stands with what was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Works, and somebody should look.
    Warning,
    /// Does not work.
    Failed,
    /// Nobody could tell.
    NotChecked,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::NotChecked => "not checked",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What was checked.
    pub check: String,
    /// How it stands.
    pub state: State,
    /// In words.
    pub says: String,
    /// What to do; absent if there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Line {
    fn new(check: impl Into<String>, state: State, says: impl Into<String>) -> Self {
        Self { check: check.into(), state, says: says.into(), advice: None }
    }

    /// It is as it should be.
    pub fn ok(check: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(check, State::Ok, says)
    }

    /// Somebody should look.
    pub fn warning(check: impl Into<String>, says: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..Self::new(check, State::Warning, says) }
    }

    /// It does not work.
    pub fn failed(check: impl Into<String>, says: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..Self::new(check, State::Failed, says) }
    }

    /// Nobody could tell.
    pub fn unseen(check: impl Into<String>, says: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..Self::new(check, State::NotChecked, says) }
    }
}

/// Prints them for people.
pub fn show(lines: &[Line]) -> Result<(), Failure> {
    let invoked = Invoked::now();
    let mut out = std::io::stdout().lock();
    let width = lines.iter().map(|line| line.check.chars().count()).max().unwrap_or_default();
    for Line { check, state, says, advice } in lines {
        writeln!(out, "{:<11}  {check:<width$}  {}", state.word(), invoked.told(says))?;
        if let Some(advice) = advice {
            writeln!(out, "{:<11}  {:<width$}  try: {}", "", "", invoked.told(advice))?;
        }
    }
    Ok(())
}
