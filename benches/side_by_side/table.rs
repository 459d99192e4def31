//! The table that the book shows.

use crate::figures::Figures;
use crate::script::{CAP, PATIENCE, Script};

/// One measure of both sides.
struct Row {
    what: String,
    library: String,
    sandbar: String,
    /// Sandbar's bar, and whether it holds.
    bar: Option<(String, bool)>,
}

/// The measures of one run.
pub struct Table {
    rows: Vec<Row>,
    remark: Option<String>,
}

impl Table {
    /// Puts both sides next to each other.
    pub fn of(script: &Script, library: &Figures, sandbar: &Figures) -> Self {
        let mut table = Self { rows: Vec::new(), remark: library.users.remark.clone() };
        let count = |figure: usize| figure.to_string();
        let usd = |figure: f64| format!("${figure:.2}");
        let per_app = |figures: &Figures, calls| format!("{:.2}", figures.per_app(calls));
        table.row("apps made", [library, sandbar].map(|side| count(side.made)), None);
        let bar = (format!("≤ {CAP}"), sandbar.peak <= CAP);
        table.row(&format!("apps at peak (cap {CAP})"), [library, sandbar].map(|side| count(side.peak)), Some(bar));
        let bar = ("0".to_owned(), sandbar.left == 0);
        let what = "apps left after a clean shutdown: orphans";
        table.row(what, [library, sandbar].map(|side| count(side.left)), Some(bar));
        let what = "provider calls per app, shared ones apart";
        table.row(what, [library, sandbar].map(|side| per_app(side, side.calls)), None);
        let done = |side: &Figures| side.calls - side.refused;
        let bar = ("≤ 3".to_owned(), sandbar.per_app(done(sandbar)) <= 3.0);
        let what = "the same without those refused by 429 or 503";
        table.row(what, [library, sandbar].map(|side| per_app(side, done(side))), Some(bar));
        let kinds = |side: &Figures| side.kinds.map(|(name, calls)| format!("{name} {calls}")).join(", ");
        table.row("calls of each kind", [library, sandbar].map(kinds), None);
        let what = "shared calls (listing and account) per app";
        table.row(what, [library, sandbar].map(|side| per_app(side, side.shared)), None);
        let users = script.users.len();
        let served = |side: &Figures| format!("{} of {users}", side.users.got());
        let what = format!("users who got a sandbox within {:.0} min", PATIENCE / 60.0);
        table.row(&what, [library, sandbar].map(served), None);
        let share = |side: &Figures| format!("{:.0} %", 100.0 * side.users.warm() as f64 / users as f64);
        table.row("users who got a warm one", [library, sandbar].map(share), None);
        for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
            let wait = |side: &Figures| side.users.quantile(part).map_or("–".to_owned(), seconds);
            table.row(&format!("time to acquire, {name} of those who got one"), [library, sandbar].map(wait), None);
        }
        table.row("cost of the run", [library, sandbar].map(|side| usd(side.usd)), None);
        let what = "what is left goes on costing, per month";
        table.row(what, [library, sandbar].map(|side| usd(side.usd_per_month)), None);
        table
    }

    fn row(&mut self, what: &str, [library, sandbar]: [String; 2], bar: Option<(String, bool)>) {
        self.rows.push(Row { what: what.to_owned(), library, sandbar, bar });
    }

    /// Whether every bar holds.
    pub fn met(&self) -> bool {
        self.rows.iter().filter_map(|row| row.bar.as_ref()).all(|(_, met)| *met)
    }

    /// Prints everything as Markdown.
    pub fn print(&self, script: &Script) {
        println!("\n| | do-app-sandbox | Sandbar | bar | met |\n| --- | --- | --- | --- | --- |");
        for Row { what, library, sandbar, bar } in &self.rows {
            let (bar, met) = bar.as_ref().map_or(("", ""), |(bar, met)| (bar, if *met { "yes" } else { "**no**" }));
            println!("| {what} | {library} | {sandbar} | {bar} | {met} |");
        }
        if let Some(remark) = &self.remark {
            println!("\nThe library's shutdown did not end well: {remark}");
        }
        println!("\n{} users, simulated time at {} times the speed of the wall's.", script.users.len(), script.speed);
    }
}

fn seconds(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.1} s") } else { format!("{seconds:.0} s") }
}
