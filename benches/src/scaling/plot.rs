//! Plots two figures over the number of workers: the delay at p99, and operations per worker.

use std::fmt::Write;

use crate::report::{colour, curves::decade_label, escaped};
use crate::scaling::loads::Load;
use crate::scaling::measure::Figures;
use crate::scaling::page::median;
use crate::scaling::{Cell, POLICIES, SIZES};

const LEFT: f64 = 70.0;
const TOP: f64 = 60.0;
const WIDTH: f64 = 280.0;
const HEIGHT: f64 = 220.0;
/// From the left edge of one panel to that of the next.
const PANEL: f64 = 370.0;

pub fn file(id: &str) -> String {
    format!("scaling-{id}.svg")
}

/// A panel: a figure of each policy and number of workers, on a logarithmic axis.
struct Panel {
    title: &'static str,
    left: f64,
    of: fn(&Figures, usize) -> f64,
    label: fn(i32) -> String,
}

const PANELS: [Panel; 2] = [
    Panel { title: "delay p99, from queue to poll", left: LEFT, of: |run, _| run.delay[1] * 1e3, label: decade_label },
    Panel {
        title: "operations per ms and worker",
        left: LEFT + PANEL,
        of: |run, workers| run.rate / workers as f64,
        label: |decade| format!("{}", 10_f64.powi(decade)),
    },
];

/// Returns the plot of a workload.
pub fn plot(load: &Load, cells: &[Cell], figures: &[Vec<Figures>]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"20\" font-size=\"15\" font-weight=\"600\" fill=\"#222\">{}</text>\n",
        2.0 * PANEL + 20.0,
        TOP + HEIGHT + 50.0,
        escaped(load.title),
    );
    for (at, policy) in POLICIES.iter().enumerate() {
        let x = 500.0 + 80.0 * at as f64;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"10\" width=\"11\" height=\"11\" fill=\"{}\"/><text x=\"{}\" y=\"20\" \
             fill=\"#222\">{}</text>",
            colour(policy.name),
            x + 16.0,
            policy.name
        );
    }
    for panel in &PANELS {
        draw(&mut svg, panel, load, cells, figures);
    }
    svg + "</svg>\n"
}

fn draw(svg: &mut String, panel: &Panel, load: &Load, cells: &[Cell], figures: &[Vec<Figures>]) {
    let points: Vec<(&'static str, usize, f64)> = cells
        .iter()
        .zip(figures)
        .filter(|(cell, _)| cell.load.id == load.id && cell.variant.is_none())
        .map(|(cell, runs)| {
            (cell.policy.name, cell.workers, median(runs, |run| (panel.of)(run, cell.workers)).median.max(1e-3))
        })
        .collect();
    let low = points.iter().map(|point| point.2.log10().floor()).fold(f64::MAX, f64::min);
    let high = points.iter().map(|point| point.2.log10().ceil()).fold(low + 1.0, f64::max);
    let (first, last) = ((SIZES[0] as f64).log2(), (SIZES[SIZES.len() - 1] as f64).log2());
    let x = |workers: usize| panel.left + WIDTH * ((workers as f64).log2() - first) / (last - first);
    let y = |value: f64| TOP + HEIGHT * (1.0 - (value.log10() - low) / (high - low));
    let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\" fill=\"#555\">{}</text>", panel.left, TOP - 12.0, panel.title);
    for workers in SIZES {
        let at = x(workers);
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{workers}</text>",
            TOP + HEIGHT,
            TOP + HEIGHT + 18.0,
        );
    }
    for decade in low as i32..=high as i32 {
        let at = y(10_f64.powi(decade));
        let _ = writeln!(
            svg,
            "<line x1=\"{}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{}</text>",
            panel.left,
            panel.left + WIDTH,
            panel.left - 6.0,
            at + 4.0,
            (panel.label)(decade),
        );
    }
    for policy in POLICIES {
        let of_policy = points.iter().filter(|point| point.0 == policy.name);
        let curve: Vec<String> =
            of_policy.map(|&(_, workers, value)| format!("{:.1},{:.1}", x(workers), y(value))).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
            curve.join(" "),
            colour(policy.name)
        );
    }
}
