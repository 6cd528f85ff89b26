//! Plots latencies as percentile curves. The share of wakes is the x-axis, which is stretched
//! towards 100 %; the latency is the y-axis.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::{colour, escaped};
use crate::driver::Outcome;

const LEFT: f64 = 70.0;
const TOP: f64 = 60.0;
const WIDTH: f64 = 620.0;
const HEIGHT: f64 = 300.0;
/// The axis ends at 1 − 10^-NINES.
const NINES: f64 = 4.0;

pub fn has_any(outcome: &Outcome) -> bool {
    outcome.series.iter().any(|(_, series)| series.latency.is_some())
}

pub fn file(outcome: &Outcome) -> String {
    format!("benchmarks-{}.svg", outcome.row.id)
}

/// The decades of nanoseconds that the curves span.
struct Decades {
    low: f64,
    high: f64,
}

impl Decades {
    fn of(outcome: &Outcome) -> Decades {
        let all = outcome.series.iter().filter_map(|(_, series)| series.latency.as_ref());
        let (mut low, mut high) = (f64::MAX, 0.0_f64);
        for latency in all {
            low = low.min((latency.min().max(1) as f64).log10().floor());
            high = high.max((latency.max().max(1) as f64).log10().ceil());
        }
        Decades { low, high: high.max(low + 1.0) }
    }

    fn y(&self, nanos: f64) -> f64 {
        let part = (nanos.max(1.0).log10() - self.low) / (self.high - self.low);
        TOP + HEIGHT * (1.0 - part.clamp(0.0, 1.0))
    }
}

fn x(quantile: f64) -> f64 {
    LEFT + WIDTH * (-(1.0 - quantile).log10() / NINES).clamp(0.0, 1.0)
}

pub fn plot(outcome: &Outcome) -> String {
    let decades = Decades::of(outcome);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"24\" font-size=\"15\" font-weight=\"600\" fill=\"#222\">{}</text>\n",
        LEFT + WIDTH + 40.0,
        TOP + HEIGHT + 50.0,
        escaped(outcome.row.title.split(", p").next().unwrap_or_default()),
    );
    axes(&mut svg, &decades);
    let mut at = LEFT;
    for (name, series) in &outcome.series {
        let Some(latency) = &series.latency else { continue };
        draw_curve(&mut svg, &decades, latency, colour(name), "");
        draw_legend_entry(&mut svg, &mut at, name, colour(name));
    }
    let lateness = outcome.series.iter().find_map(|(_, series)| series.lateness.as_ref());
    if let Some(lateness) = lateness {
        draw_curve(&mut svg, &decades, lateness, "#bbb", " stroke-dasharray=\"4 3\"");
        draw_legend_entry(&mut svg, &mut at, "lateness of the generator", "#bbb");
    }
    svg + "</svg>\n"
}

fn axes(svg: &mut String, decades: &Decades) {
    for (quantile, label) in [(0.0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %")] {
        let at = x(quantile);
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{label}</text>",
            TOP + HEIGHT,
            TOP + HEIGHT + 18.0,
        );
    }
    for decade in decades.low as i32..=decades.high as i32 {
        let y = decades.y(10_f64.powi(decade));
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{}</text>",
            LEFT + WIDTH,
            LEFT - 6.0,
            y + 4.0,
            decade_label(decade),
        );
    }
}

/// Returns the label of so many powers of ten, in nanoseconds.
pub fn decade_label(decade: i32) -> String {
    let nanos = 10_f64.powi(decade);
    match decade {
        ..3 => format!("{nanos} ns"),
        3..6 => format!("{} µs", nanos / 1e3),
        6..9 => format!("{} ms", nanos / 1e6),
        9.. => format!("{} s", nanos / 1e9),
    }
}

fn draw_curve(svg: &mut String, decades: &Decades, latency: &Histogram<u64>, colour: &str, style: &str) {
    // The curve ends at the last value, which lies at 1 − 1/count.
    let last = 1.0 - 1.0 / latency.len().max(2) as f64;
    let steps = 200;
    let mut points = String::new();
    for step in 0..=steps {
        let quantile = 1.0 - 10_f64.powf(-NINES * f64::from(step) / f64::from(steps));
        if quantile > last {
            break;
        }
        let _ = write!(points, "{:.1},{:.1} ", x(quantile), decades.y(latency.value_at_quantile(quantile) as f64));
    }
    let points = points.trim_end();
    let _ =
        writeln!(svg, "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{style}/>");
}

fn draw_legend_entry(svg: &mut String, at: &mut f64, name: &str, colour: &str) {
    let _ = writeln!(
        svg,
        "<rect x=\"{at:.1}\" y=\"35\" width=\"11\" height=\"11\" fill=\"{colour}\"/>\
         <text x=\"{:.1}\" y=\"45\" fill=\"#222\">{}</text>",
        *at + 16.0,
        escaped(name)
    );
    *at += 40.0 + 8.0 * name.chars().count() as f64;
}
