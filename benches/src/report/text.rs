//! Writes results to the terminal.

use super::{Verdict, shown, spread};
use crate::calls::PerOperation;
use crate::driver::Outcome;
use crate::goals::{REFERENCE, SUBJECT, Set};
use crate::sample::Processors;
use crate::stats::Spread;
use crate::syscall_counters::headings;
use crate::wrk::Percentiles;

/// Formats the results of one row.
pub fn format_row(outcome: &Outcome, set: Set) -> String {
    let verdict = Verdict::new(outcome, set);
    let mut text = format!("{}  [{}]\n", outcome.row.title, outcome.row.id);
    for (name, series) in &outcome.series {
        let Some(value) = series.value() else {
            text += &format!("    {name:<6} –\n");
            continue;
        };
        let value = format!("{:<28}", shown(outcome.row, value.median));
        let ratio =
            if *name == REFERENCE { String::new() } else { format!("× {}", spread(outcome.ratio(name, REFERENCE))) };
        let switches = Spread::of(&series.switches);
        let switches = switches.map_or(String::new(), |s| format!("  {:.3} switches/op", s.median));
        let line = format!("    {name:<6} {value} {ratio:<22}{switches}");
        text += line.trim_end();
        text.push('\n');
        if let Some(Processors { server, generator }) = series.processors() {
            text += &format!("           processors: server {server:.2}, wrk {generator:.2}\n");
        }
        if !series.percentiles.is_empty() {
            text += &format!("           latency, ms: {}\n", latencies(&series.percentiles));
        }
        if let Some(counted) = &series.calls {
            text += &format!("           {}\n", calls(counted));
        }
    }
    if let (Some(goal), Some(met)) = (verdict.goal, verdict.met) {
        let peer = verdict.peer.map_or(String::new(), |(name, ratio)| format!(", {:.2} × {name}", ratio.median));
        let ratio = verdict.ratio.map_or(f64::NAN, |ratio| ratio.median);
        let word = if met { "MET" } else { "MISSED" };
        text += &format!("    {SUBJECT}: {ratio:.2} × {REFERENCE}{peer}; goal {goal}: {word}\n");
    }
    text
}

/// Formats the medians of the rounds.
fn latencies(rounds: &[Percentiles]) -> String {
    let words = Percentiles::HEADINGS.iter().enumerate().map(|(at, heading)| {
        let values: Vec<f64> = rounds.iter().map(|round| round.values()[at]).collect();
        Spread::of(&values).map_or(String::new(), |spread| format!("{heading} {:.2}", spread.median))
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Formats the kinds of system calls that occurred.
fn calls(counted: &Result<PerOperation, String>) -> String {
    let counted = match counted {
        Ok(counted) => counted,
        Err(why) => return format!("system calls not counted: {why}"),
    };
    let kinds = headings().into_iter().zip(counted.calls).filter(|(_, count)| *count > 0.0);
    let mut words: Vec<String> = kinds.map(|(heading, count)| format!("{heading} {count:.4}")).collect();
    words.extend(counted.useless.map(|count| format!("useless wake-ups {count:.4}")));
    format!("per op: {}", words.join("; "))
}
