//! Judges the results against the goals, and writes them down.

use crate::contenders::{Entry, FLOOR};
use crate::driver::Outcome;
use crate::goals::{Goal, REFERENCE, SUBJECT, Set};
use crate::sample::{Row, Unit};
use crate::stats::Spread;

pub mod bars;
pub mod contended;
pub mod curves;
pub mod light;
pub mod markdown;
pub mod memory;
pub mod page;
pub mod text;

/// The verdict on a row.
pub struct Verdict {
    pub goal: Option<Goal>,
    /// heist / tokio.
    pub ratio: Option<Spread>,
    /// The name of the best other runtime, and heist / that runtime.
    pub peer: Option<(&'static str, Spread)>,
    /// `None` if there is no goal or no result.
    pub met: Option<bool>,
}

impl Verdict {
    pub fn new(outcome: &Outcome, set: Set) -> Verdict {
        let goal = set.goal_for(outcome.row.id);
        let ratio = outcome.ratio(SUBJECT, REFERENCE);
        let best = outcome.best_but(SUBJECT);
        let peer = best.and_then(|best| Some((best, outcome.ratio(SUBJECT, best)?)));
        let value = outcome.series_of(SUBJECT).and_then(|series| series.value());
        let reached = goal.zip(value).and_then(|(goal, value)| goal.is_met(value.median, ratio.map(|r| r.median)));
        let ahead = peer.is_none_or(|(_, ratio)| match outcome.row.unit {
            // Judged by its bound alone: the runtime with the smallest tasks keeps no list of them,
            // and cannot stop.
            Unit::Bytes => true,
            Unit::Rate => ratio.median >= 1.0,
            Unit::Micros | Unit::Latency(_) => ratio.median <= 1.0,
        });
        let met = reached.map(|reached| reached && (ahead || !set.includes_peers()));
        Verdict { goal, ratio, peer, met }
    }

    pub fn word(&self) -> &'static str {
        match self.met {
            Some(true) => "met",
            Some(false) => "missed",
            None => "–",
        }
    }
}

/// Returns the number of goals that are met, and the number of those that could be judged.
pub fn tally(outcomes: &[Outcome], set: Set) -> (usize, usize) {
    let judged: Vec<bool> = outcomes.iter().filter_map(|outcome| Verdict::new(outcome, set).met).collect();
    (judged.iter().filter(|met| **met).count(), judged.len())
}

/// Returns the closing line of a report.
pub fn summary(outcomes: &[Outcome], entries: &[Entry], set: Set) -> String {
    if !entries.iter().any(|entry| entry.name == SUBJECT) {
        return format!("{SUBJECT} did not take part: no goal judged.");
    }
    let (met, judged) = tally(outcomes, set);
    let missed: Vec<&str> = outcomes
        .iter()
        .filter(|outcome| Verdict::new(outcome, set).met == Some(false))
        .map(|outcome| outcome.row.id)
        .collect();
    let tail = if missed.is_empty() { String::new() } else { format!(" Missed: {}.", missed.join(", ")) };
    format!("{met} of {judged} goals met.{tail}")
}

/// Returns the plots by file name.
pub fn plots(outcomes: &[Outcome], set: Set) -> Vec<(String, String)> {
    let mut plots = vec![(bars::FILE.to_owned(), bars::plot(outcomes, set))];
    let with_curves = outcomes.iter().filter(|outcome| curves::has_any(outcome));
    plots.extend(with_curves.map(|outcome| (curves::file(outcome), curves::plot(outcome))));
    plots
}

/// Returns the colour of a runtime, which is visible on white and on black.
pub(crate) fn colour(name: &str) -> &'static str {
    match name {
        "heist" => "#d1495b",
        "tokio" => "#7a7f87",
        "smol" => "#2e86ab",
        FLOOR => "#5f9e6e",
        _ => "#c98b1b",
    }
}

/// Escapes text for XML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Formats a value with its unit, and per operation if the row counts operations.
fn shown(row: &Row, value: f64) -> String {
    match row.unit {
        Unit::Micros if row.ops > 0 => format!("{} ({} ns/op)", grouped(value), grouped(value * 1e3 / row.ops as f64)),
        Unit::Micros => grouped(value),
        Unit::Rate => format!("{}/s", grouped(value)),
        Unit::Latency(_) => format!("{value:.1} µs"),
        Unit::Bytes => format!("{value:.0} B"),
    }
}

fn spread(spread: Option<Spread>) -> String {
    spread.map_or("–".to_owned(), |s| format!("{:.2} [{:.2}–{:.2}]", s.median, s.low, s.high))
}

fn counted_rounds(rounds: usize) -> String {
    format!("{rounds} round{}", if rounds == 1 { "" } else { "s" })
}

/// Formats a number as `12,345`.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grouped_number_has_a_comma_per_thousand() {
        assert_eq!(grouped(999.4), "999");
        assert_eq!(grouped(1_000.0), "1,000");
        assert_eq!(grouped(1_234_567.0), "1,234,567");
    }
}
