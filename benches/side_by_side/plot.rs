//! Apps over time, drawn.

use crate::Result;
use crate::figures::{Figures, timeline};
use crate::script::{CAP, Script, TARGET, Trouble};
use plotters::prelude::*;
use std::path::PathBuf;

const SIZE: (u32, u32) = (960, 480);
const LIBRARY: RGBColor = RGBColor(200, 60, 40);
const SANDBAR: RGBColor = RGBColor(20, 100, 180);
const WANTED: RGBColor = RGBColor(60, 150, 70);
const TROUBLE: RGBColor = RGBColor(240, 200, 90);
const CAPPED: RGBColor = RGBColor(90, 90, 90);

/// Draws both sides, and gives the file.
pub fn draw(script: &Script, library: &Figures, sandbar: &Figures, ended: f64) -> Result<PathBuf> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/src/images/apps.svg");
    std::fs::write(&file, svg(script, library, sandbar, ended)?)?;
    Ok(file)
}

/// Both sides, what was wanted, the cap, and the troubles.
fn svg(script: &Script, library: &Figures, sandbar: &Figures, ended: f64) -> Result<String> {
    let mut text = String::new();
    let most = library.peak.max(sandbar.peak).max(CAP) as f64;
    let (width, height) = (ended / 60.0, (most * 1.25).ceil());
    let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("Apps at the provider", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d(0.0..width, 0.0..height)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_desc("simulated minutes")
        .y_desc("apps")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()?;
    let band = |trouble: &Trouble| {
        let corners = [(trouble.from / 60.0, 0.0), (trouble.until / 60.0, height)];
        Rectangle::new(corners, TROUBLE.mix(0.3).filled())
    };
    chart.draw_series(script.troubles.iter().map(band))?;
    // One below the other: each is wider than its band.
    let name = |(row, trouble): (usize, &Trouble)| {
        let top = height * (0.985 - 0.05 * row as f64);
        Text::new(trouble.name, (trouble.from / 60.0 + 0.1, top), ("sans-serif", 13))
    };
    chart.draw_series(script.troubles.iter().enumerate().map(name))?;
    let cap = [(0.0, CAP as f64), (width, CAP as f64)];
    let dashed = DashedLineSeries::new(cap, 6, 4, CAPPED.stroke_width(1));
    chart.draw_series(dashed)?.label(format!("cap ({CAP})")).legend(|(x, y)| sample(x, y, CAPPED));
    for (name, steps, color, thick) in [
        ("wanted: warm level and users", wanted(script), WANTED, 1),
        ("do-app-sandbox", library.timeline.clone(), LIBRARY, 2),
        ("Sandbar", sandbar.timeline.clone(), SANDBAR, 2),
    ] {
        let line = LineSeries::new(stairs(&steps, ended), color.stroke_width(thick));
        chart.draw_series(line)?.label(name).legend(move |(x, y)| sample(x, y, color));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::Coordinate(8, 32))
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 13))
        .draw()?;
    root.present()?;
    drop((chart, root));
    Ok(text)
}

fn sample(x: i32, y: i32, color: RGBColor) -> PathElement<(i32, i32)> {
    PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2))
}

/// The warm level, and everybody who would hold a sandbox if it came at once.
fn wanted(script: &Script) -> Vec<(f64, i32)> {
    let level = [(0.0, TARGET as i32), (script.ends, -(TARGET as i32))];
    let users = script.users.iter().flat_map(|user| [(user.at, 1), (user.at + user.hold, -1)]);
    timeline(level.into_iter().chain(users).collect())
}

/// Points of a line that stays level between changes, in minutes.
fn stairs(steps: &[(f64, i32)], ended: f64) -> Vec<(f64, f64)> {
    let mut points = vec![(0.0, 0.0)];
    let mut level = 0.0;
    for (at, existing) in steps {
        points.push((at / 60.0, level));
        level = f64::from(*existing);
        points.push((at / 60.0, level));
    }
    points.push((ended / 60.0, level));
    points
}
