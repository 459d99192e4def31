//! The table that the book shows.

use std::time::Duration;

/// One measure.
struct Row {
    what: String,
    bar: String,
    figure: String,
    met: Option<bool>,
}

/// The measures of one run.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds a figure that must be at most `bar`; `unit` follows both.
    pub fn at_most(&mut self, what: &str, bar: f64, figure: f64, unit: &str) {
        self.row(what, format!("≤ {bar}{unit}"), format!("{}{unit}", rounded(figure)), Some(figure <= bar));
    }

    /// Adds a figure that must be at least `bar`.
    pub fn at_least(&mut self, what: &str, bar: f64, figure: f64, unit: &str) {
        self.row(what, format!("≥ {bar}{unit}"), format!("{}{unit}", rounded(figure)), Some(figure >= bar));
    }

    /// Adds a figure for orientation.
    pub fn figure(&mut self, what: &str, figure: String) {
        self.row(what, "–".to_owned(), figure, None);
    }

    fn row(&mut self, what: &str, bar: String, figure: String, met: Option<bool>) {
        eprintln!("{what}: {figure} ({bar})");
        self.rows.push(Row { what: what.to_owned(), bar, figure, met });
    }

    /// Prints everything as Markdown.
    pub fn print(&self, command: &str, took: Duration) {
        println!("\n| measure | bar | figure | met |\n| --- | --- | --- | --- |");
        for Row { what, bar, figure, met } in &self.rows {
            let met = met.map_or("", |met| if met { "yes" } else { "**no**" });
            println!("| {what} | {bar} | {figure} | {met} |");
        }
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        println!("\n`{command}` on {cores} cores, {} s.", took.as_secs());
    }
}

fn rounded(figure: f64) -> String {
    let digits = if figure.abs() < 10.0 { 2 } else { 1 };
    let text = format!("{figure:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
