//! Plots ratios as bars on a logarithmic axis: each runtime's time divided by Tokio's, row by row.

use std::fmt::Write;

use super::{colour, escaped};
use crate::driver::Outcome;
use crate::goals::{Goal, REFERENCE, SUBJECT, Set};
use crate::stats::Spread;

pub const FILE: &str = "benchmarks-ratios.svg";

const LEFT: f64 = 500.0;
const WIDTH: f64 = 470.0;
const TOP: f64 = 70.0;
const BAR: f64 = 11.0;
const GAP: f64 = 10.0;
/// The axis, as ratios.
const SMALLEST: f64 = 0.03;
const LARGEST: f64 = 16.0;

/// Inverts the ratio of a rate, so that below 1 is better than Tokio in every row.
fn as_time(outcome: &Outcome, ratio: Spread) -> Spread {
    if outcome.row.unit.more_is_better() {
        Spread { median: 1.0 / ratio.median, low: 1.0 / ratio.high, high: 1.0 / ratio.low }
    } else {
        ratio
    }
}

fn x(ratio: f64) -> f64 {
    let part = (ratio / SMALLEST).ln() / (LARGEST / SMALLEST).ln();
    LEFT + WIDTH * part.clamp(0.0, 1.0)
}

pub fn plot(outcomes: &[Outcome], set: Set) -> String {
    let names = outcomes.first().map_or(Vec::new(), |outcome| outcome.series.iter().map(|(name, _)| *name).collect());
    let mut body = String::new();
    let mut y = TOP;
    for outcome in outcomes {
        y += draw_row(&mut body, outcome, set, y) + GAP;
    }
    let mut svg = head(y + 20.0);
    axis(&mut svg, y);
    svg += &body;
    legend(&mut svg, &names);
    svg + "</svg>\n"
}

fn head(height: f64) -> String {
    let width = LEFT + WIDTH + 70.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"24\" font-size=\"15\" font-weight=\"600\" fill=\"#222\">Time by {REFERENCE}'s time, \
         medians of round-by-round ratios (shorter is better; for requests/s the inverse)</text>\n"
    )
}

fn axis(svg: &mut String, bottom: f64) {
    for tick in [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0] {
        let (at, stroke) = (x(tick), if tick == 1.0 { "#222" } else { "#ddd" });
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\" stroke=\"{stroke}\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{tick}×</text>",
            TOP - 6.0,
            TOP - 10.0,
        );
    }
}

fn legend(svg: &mut String, names: &[&str]) {
    let mut at = LEFT;
    for name in names.iter().filter(|name| **name != REFERENCE) {
        let _ = writeln!(
            svg,
            "<rect x=\"{at}\" y=\"33\" width=\"11\" height=\"11\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"43\" fill=\"#222\">{name}</text>",
            colour(name),
            at + 16.0
        );
        at += 80.0;
    }
    let _ = writeln!(svg, "<text x=\"{at}\" y=\"43\" fill=\"#222\">◆ goal for {SUBJECT}</text>");
}

/// Draws one row's bars, and returns their height.
fn draw_row(svg: &mut String, outcome: &Outcome, set: Set, top: f64) -> f64 {
    let mut y = top;
    for (name, _) in outcome.series.iter().filter(|(name, _)| *name != REFERENCE) {
        let Some(ratio) = outcome.ratio(name, REFERENCE).map(|ratio| as_time(outcome, ratio)) else { continue };
        let (begin, end) = (x(SMALLEST), x(ratio.median));
        let _ = writeln!(
            svg,
            "<rect x=\"{begin:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"/>\
             <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#222\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\" fill=\"#222\">{:.2}</text>",
            end - begin,
            BAR - 2.0,
            colour(name),
            x(ratio.low),
            x(ratio.high),
            y + BAR / 2.0 - 1.0,
            y + BAR / 2.0 - 1.0,
            x(ratio.high) + 4.0,
            y + BAR - 3.0,
            ratio.median,
        );
        y += BAR;
    }
    let height = (y - top).max(BAR);
    let middle = top + height / 2.0;
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#222\">{}</text>",
        LEFT - 8.0,
        middle + 3.0,
        escaped(outcome.row.title)
    );
    let goal = match set.goal_for(outcome.row.id) {
        Some(Goal::RatioAtMost(bound)) => Some(bound),
        Some(Goal::RatioAtLeast(bound)) => Some(1.0 / bound),
        Some(Goal::ValueAtMost(_)) | None => None,
    };
    if let Some(bound) = goal {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"10\" fill=\"#222\">◆</text>",
            x(bound),
            top + BAR - 2.0
        );
    }
    height
}
