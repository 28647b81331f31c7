//! A group's rows as a picture: a bar for each, as long as the guest's rate relative to native CPython.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::bench::Row;

/// Pixels: of the part with the bars, of a character of a label, of a row, and of title and axis.
const WIDTH: u32 = 560;
const PER_CHARACTER: u32 = 7;
const PER_ROW: u32 = 22;
const HEAD: u32 = 90;
/// Longer bars end here, and their numbers tell how long they would be.
const RATIO_MAX: f64 = 4.0;

const OURS: RGBColor = RGBColor(47, 111, 178);
const PEER: RGBColor = RGBColor(214, 119, 32);

/// Writes an SVG file with the ratios of the rows that have one. `peer` names the group's peer.
///
/// # Errors
/// The file cannot be written.
pub fn plot(path: &Path, rows: &[Row], peer: &str) -> Result<(), Box<dyn Error>> {
    let rows: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row, row.ratio(row.ours)?)))
        .collect();
    let Some((first, _)) = rows.first() else {
        return Ok(());
    };
    let peers = rows.iter().map(|(row, _)| row.ratio(row.peer));
    let highest = rows
        .iter()
        .map(|(_, ratio)| *ratio)
        .chain(peers.clone().flatten());
    let end = highest.fold(1.2, f64::max).min(RATIO_MAX) * 1.05;
    let height = HEAD + PER_ROW * u32::try_from(rows.len())?;
    let longest = rows.iter().map(|(row, _)| row.case.chars().count()).max();
    let labels = PER_CHARACTER * u32::try_from(longest.unwrap_or(0))?;
    let width = WIDTH + labels;
    // A row is as high as 1 on the vertical axis.
    let count = rows.len() as f64;

    let area = SVGBackend::new(path, (width, height)).into_drawing_area();
    // Otherwise it would be black on black where pages are dark.
    area.fill(&WHITE)?;
    let mut title = format!(
        "{}: relative to native CPython (longer is better)",
        first.group
    );
    if rows.iter().any(|(row, _)| row.peer.is_some()) {
        title.push_str(&format!("; dots: {peer}"));
    }
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 17))
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(labels)
        .build_cartesian_2d(0.0..end, 0.0..count)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", 13))
        .draw()?;
    let text = |at: f64, middle: f64, text: String, side: HPos, color: &RGBColor| {
        let style = ("sans-serif", 13).into_font().color(color);
        let style = style.pos(Pos::new(side, VPos::Center));
        let gap = if matches!(side, HPos::Right) { -5 } else { 5 };
        EmptyElement::at((at, middle)) + Text::new(text, (gap, 0), style)
    };
    let mut middle = count + 0.5;
    for ((row, ratio), peer) in rows.iter().zip(peers) {
        // The first row is on top.
        middle -= 1.0;
        let shown = ratio.min(end);
        let corners = [(0.0, middle - 0.5), (shown, middle + 0.5)];
        let mut bar = Rectangle::new(corners, OURS.filled());
        bar.set_margin(4, 4, 0, 0);
        chart.draw_series([bar])?;
        let (side, color) = match shown > end * 0.9 {
            true => (HPos::Right, &WHITE),
            false => (HPos::Left, &BLACK),
        };
        let number = text(shown, middle, format!("{ratio:.2}"), side, color);
        let label = text(0.0, middle, row.case.clone(), HPos::Right, &BLACK);
        chart.draw_series([number, label])?;
        if let Some(ratio) = peer {
            chart.draw_series([Circle::new((ratio.min(end), middle), 4, PEER.filled())])?;
        }
    }
    let line = [(1.0, 0.0), (1.0, count)];
    chart.draw_series([PathElement::new(line, BLACK.stroke_width(1))])?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Column, Samples};

    #[test]
    fn plot_has_the_ratio_of_each_row_that_has_one() {
        let mut samples = Samples::new("group");
        samples.read(Column::Native, "first\tMiB/s\t10\nonly native\tms\t1\n");
        samples.read(Column::Ours, "first\tMiB/s\t7.3\n");
        samples.read(Column::Peer, "first\tMiB/s\t5\n");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("group.svg");
        plot(&path, &samples.rows(), "a peer").unwrap();
        let svg = std::fs::read_to_string(path).unwrap();
        for text in ["first", "0.73", "a peer", "group: relative"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(!svg.contains("only native"));
    }
}
