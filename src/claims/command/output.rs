//! Tables for people, objects for programs.

use crate::failure::Failure;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Serialize;
use std::io::Write;

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// The whole, as JSON
    Json,
    /// The whole, as YAML
    Yaml,
    /// Names only, one per line
    Name,
}

/// What every command that prints a result takes.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct OutputArgs {
    /// How to print the result
    #[arg(short, long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub output: Format,
}

/// Prints a value in a format for programs.
pub fn print<T: Serialize>(value: &T, yaml: bool) -> Result<(), Failure> {
    let unwritable = |error: &dyn std::error::Error| Failure::new(format!("cannot print the result: {error}"));
    let text = if yaml {
        serde_yaml::to_string(value).map_err(|error| unwritable(&error))?
    } else {
        serde_json::to_string_pretty(value).map_err(|error| unwritable(&error))? + "\n"
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// A table without lines, as kubectl's are.
pub fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(head);
    table
}

/// Prints a table without the blanks at the ends of its lines.
pub fn show(table: &Table) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    for line in table.lines() {
        writeln!(out, "{}", line.trim())?;
    }
    Ok(())
}

/// A moment as people ask for it: `in 12m`, `3m ago`; `-` if there is none.
pub fn from_now(time: Option<&Time>, now: Timestamp) -> String {
    let Some(time) = time else { return "-".to_owned() };
    let seconds = time.0.as_second() - now.as_second();
    if seconds >= 0 { format!("in {}", rough(seconds)) } else { format!("{} ago", rough(-seconds)) }
}

/// A length of time in its one or two biggest units.
pub fn rough(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600, seconds / 60);
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7200 => format!("{minutes}m"),
        7200..172_800 => match minutes % 60 {
            0 => format!("{hours}h"),
            rest => format!("{hours}h{rest}m"),
        },
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_from_now() {
        let now = Timestamp::from_second(1_000_000).expect("in range");
        let told = |seconds: i64| from_now(Some(&Time(Timestamp::from_second(1_000_000 + seconds).expect("ok"))), now);
        assert_eq!([told(90), told(725), told(9000), told(-60)], ["in 90s", "in 12m", "in 2h30m", "60s ago"]);
        assert_eq!(told(3 * 86_400), "in 3d");
        assert_eq!(from_now(None, now), "-");
    }
}
