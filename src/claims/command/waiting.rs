//! Showing a wait: a moving line in a terminal, plain lines elsewhere.

use crate::claims::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// Tells on standard error how far a request has come.
pub struct Waiting {
    line: Option<ProgressBar>,
}

impl Waiting {
    /// Starts to tell.
    pub fn new() -> Self {
        let line = std::io::stderr().is_terminal().then(|| {
            let line = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                line.set_style(style);
            }
            line.enable_steady_tick(Duration::from_millis(120));
            line
        });
        Self { line }
    }

    /// Tells one sentence.
    pub fn say(&self, text: String) {
        match &self.line {
            Some(line) => line.set_message(text),
            None => eprintln!("{text}"),
        }
    }

    /// Tells a change.
    pub fn tell(&self, progress: &Progress) {
        self.say(sentence(progress));
    }

    /// Leaves no line behind.
    pub fn end(self) {
        if let Some(line) = self.line {
            line.finish_and_clear();
        }
    }
}

fn sentence(progress: &Progress) -> String {
    let reason = progress.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    match (&progress.member, progress.place) {
        (Some(member), _) => format!("sandbox {member} is coming up{reason}"),
        (None, Some((place, length))) => format!("waiting, place {place} of {length} in the queue{reason}"),
        (None, None) => format!("waiting, {:?}{reason}", progress.phase),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Phase;

    #[test]
    fn a_person_reads_the_place_and_the_reason() {
        let reason = Some("AtCapacity".to_owned());
        let queued = Progress { phase: Phase::Pending, reason, place: Some((2, 5)), member: None };
        assert_eq!(sentence(&queued), "waiting, place 2 of 5 in the queue (AtCapacity)");
        let bound = Progress { phase: Phase::Booting, reason: None, place: None, member: Some("python-1".to_owned()) };
        assert_eq!(sentence(&bound), "sandbox python-1 is coming up");
    }
}
