//! The growth as a picture: one panel per figure, members from left to right.

use std::path::Path;

use plotters::prelude::*;

use crate::common::Result;
use crate::growth::Grown;

/// Where the picture is kept, as the book shows it.
const FILE: &str = "docs/src/images/growth.svg";
const SIZE: (u32, u32) = (960, 300);
const INK: RGBColor = RGBColor(31, 41, 55);
const LINE: RGBColor = RGBColor(29, 78, 216);
const BAR: RGBColor = RGBColor(220, 38, 38);

/// One figure over the number of members.
struct Panel {
    title: &'static str,
    of: fn(&Grown) -> f64,
    /// What it must stay under, where that is agreed.
    bar: Option<f64>,
}

const PANELS: [Panel; 3] = [
    Panel { title: "memory at most, MiB", of: |grown| grown.restart.peak, bar: Some(200.0) },
    Panel { title: "restart until every plan is empty, s", of: |grown| grown.restart.level, bar: Some(10.0) },
    Panel { title: "processor time of a restart, s", of: |grown| grown.restart.cpu, bar: None },
];

/// Draws what was measured, in the book's colours on white.
pub fn draw(grown: &[Grown]) -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let area = SVGBackend::new(&file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    for (panel, place) in PANELS.iter().zip(area.split_evenly((1, PANELS.len()))) {
        let points: Vec<(f64, f64)> = grown.iter().map(|grown| (grown.members as f64, (panel.of)(grown))).collect();
        let most = points.iter().map(|(_, value)| *value).chain(panel.bar).fold(0.0, f64::max);
        let right = points.iter().map(|(members, _)| *members).fold(0.0, f64::max);
        let mut chart = ChartBuilder::on(&place)
            .margin(12)
            .caption(panel.title, ("sans-serif", 15).into_font().color(&INK))
            .x_label_area_size(28)
            .y_label_area_size(40)
            .build_cartesian_2d(0.0..right * 1.03, 0.0..most * 1.1)?;
        chart.configure_mesh().x_desc("members").x_labels(5).y_labels(6).light_line_style(WHITE).draw()?;
        if let Some(bar) = panel.bar {
            chart.draw_series(LineSeries::new([(0.0, bar), (right * 1.03, bar)], BAR.stroke_width(1)))?;
        }
        chart.draw_series(LineSeries::new(points, LINE.stroke_width(2)).point_size(3))?;
    }
    area.present()?;
    eprintln!("drawn: {FILE}");
    Ok(())
}
