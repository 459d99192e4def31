//! What the demo says while it plays, and the table at its end.

use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};

/// One thing that was to hold.
#[derive(Debug)]
struct Finding {
    what: &'static str,
    shown: String,
    held: bool,
}

/// Tells the demo and collects what it showed.
#[derive(Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
    steps: u32,
}

impl Report {
    /// One in which nothing was shown yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a step.
    pub fn step(&mut self, title: &str) {
        self.steps += 1;
        anstream::println!("\n\x1b[1m{}. {title}\x1b[0m", self.steps);
    }

    /// Says one line.
    pub fn tell(&self, line: &str) {
        anstream::println!("   {line}");
    }

    /// Shows a command and what it printed.
    pub fn show(&self, command: &str, printed: &str) {
        anstream::println!("   \x1b[36m$ {command}\x1b[0m");
        for line in printed.lines() {
            anstream::println!("     {line}");
        }
    }

    /// Notes whether something held, with the figures that show it.
    pub fn note(&mut self, what: &'static str, held: bool, shown: String) {
        let mark = if held { "\x1b[32mheld\x1b[0m" } else { "\x1b[31mNOT HELD\x1b[0m" };
        anstream::println!("   {mark}: {what}: {shown}");
        self.findings.push(Finding { what, shown, held });
    }

    /// Whether something was shown, and everything shown held.
    pub fn all_held(&self) -> bool {
        !self.findings.is_empty() && self.findings.iter().all(|finding| finding.held)
    }

    /// Says that the page is the user's now.
    pub fn open(&self, page: &str) {
        anstream::println!(
            "\n\x1b[1mThe page is open: {page}\x1b[0m\nLaunch a game and play it. Ctrl-C ends everything."
        );
    }

    /// Prints the table.
    pub fn print(&self, took: Duration) {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["what was to hold", "what was seen", "held"]);
        for Finding { what, shown, held } in &self.findings {
            table.add_row([*what, shown.as_str(), if *held { "yes" } else { "NO" }]);
        }
        anstream::println!("\n{table}\n{:.0} s in all", took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_that_did_not_hold_spoils_all_and_so_does_showing_nothing() {
        let mut report = Report::new();
        assert!(!report.all_held());
        report.note("level", true, "2".to_owned());
        assert!(report.all_held());
        report.note("cap", false, "6".to_owned());
        report.note("left", true, "0".to_owned());
        assert!(!report.all_held());
    }
}
