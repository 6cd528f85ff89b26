//! For the terminal.

use super::{Verdict, shown, spread};
use crate::driver::Outcome;
use crate::goals::{REFERENCE, SUBJECT, Set};

/// A row, as soon as it is done.
pub fn row(outcome: &Outcome, set: Set) -> String {
    let verdict = Verdict::on(outcome, set);
    let mut text = format!("{}  [{}]\n", outcome.row.title, outcome.row.id);
    for (name, series) in &outcome.series {
        let Some(value) = series.value() else {
            text += &format!("    {name:<6} –\n");
            continue;
        };
        let value = format!("{:<28}", shown(outcome.row, value.median));
        let ratio =
            if *name == REFERENCE { String::new() } else { format!("× {}", spread(outcome.ratio(name, REFERENCE))) };
        let switches = crate::stats::Spread::of(&series.switches);
        let switches = switches.map_or(String::new(), |s| format!("  {:.3} switches/op", s.median));
        let line = format!("    {name:<6} {value} {ratio:<22}{switches}");
        text += line.trim_end();
        text.push('\n');
    }
    if let (Some(goal), Some(met)) = (verdict.goal, verdict.met) {
        let peer = verdict.peer.map_or(String::new(), |(name, ratio)| format!(", {:.2} × {name}", ratio.median));
        let ratio = verdict.ratio.map_or(f64::NAN, |ratio| ratio.median);
        let word = if met { "MET" } else { "MISSED" };
        text += &format!("    {SUBJECT}: {ratio:.2} × {REFERENCE}{peer}; goal {goal}: {word}\n");
    }
    text
}
