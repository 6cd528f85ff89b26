//! The results as Markdown: a table for each workload, and one for each constant of the policy.

use std::fmt::Write;

use crate::report::page::wrapped;
use crate::scaling::loads::Load;
use crate::scaling::measure::Figures;
use crate::scaling::{Cell, plot};
use crate::stats::WithWorst;

/// The heading of the part of `docs/scaling.md` that the program writes. What stands above it is
/// written by hand.
const HEADING: &str = "## Results";

/// Returns the page with new results.
///
/// # Errors
///
/// If the page has no such heading.
pub fn replace_results(page: &str, results: &str) -> Result<String, String> {
    let at = page.find(&format!("{HEADING}\n")).ok_or(format!("the page has no heading `{HEADING}`"))?;
    Ok(format!("{}{HEADING}\n\n{}", &page[..at], wrapped(results)))
}

/// Returns the tables of the policies: one row for each number of workers and each policy.
pub fn policies(loads: &[Load], cells: &[Cell], figures: &[Vec<Figures>]) -> String {
    let mut page = String::new();
    for load in loads {
        let _ = write!(page, "### {}\n\n![{}]({})\n\n", capitalized(load.title), load.id, plot::file(load.id));
        page.push_str(
            "| workers | policy | operations/ms | useful | awake | delay p50, µs | p99 | p99.9 | steals | sleeps | \
             useless wake-ups | locks of the global queue | taken |\n|---:|---|",
        );
        page.push_str(&"---:|".repeat(11));
        page.push('\n');
        for (cell, runs) in cells.iter().zip(figures) {
            if cell.load.id != load.id || cell.variant.is_some() {
                continue;
            }
            let _ = writeln!(page, "| {} | {} | {} |", cell.workers, cell.policy.name, row(runs));
        }
        page.push('\n');
    }
    page
}

/// Returns the table of the constants at so many workers. Figures are relative to heist's policy.
pub fn constants(loads: &[Load], cells: &[Cell], figures: &[Vec<Figures>], workers: usize) -> String {
    let mut page = format!(
        "### Constants at {workers} workers\n\nEach cell: operations per ms, time awake and delay p99, by those \
         of heist's value.\n\n| constant | value |"
    );
    for load in loads {
        let _ = write!(page, " {} |", load.id);
    }
    let _ = writeln!(page, "\n|---|---|{}", "---:|".repeat(loads.len()));
    let mut line = None;
    for (cell, runs) in cells.iter().zip(figures).filter(|(cell, _)| cell.workers == workers) {
        let Some(variant) = cell.variant else { continue };
        if line != Some((variant.constant, variant.value)) {
            page.push_str(if line.is_some() { "\n" } else { "" });
            let _ = write!(page, "| {} | {} |", variant.constant, variant.value);
            line = Some((variant.constant, variant.value));
        }
        let is_reference = |other: &&Cell| {
            other.load.id == cell.load.id
                && other.workers == workers
                && other.policy.name == "heist"
                && other.variant.is_none()
        };
        let reference = cells.iter().position(|other| is_reference(&other)).map(|at| &figures[at]);
        let ratio = |of: &dyn Fn(&Figures) -> f64| {
            reference.map_or(f64::NAN, |reference| median(runs, of).median / median(reference, of).median)
        };
        let _ = write!(
            page,
            " {:.2}, {:.2}, {:.2} |",
            ratio(&|run| run.rate),
            ratio(&|run| run.busy),
            ratio(&|run| run.delay[1])
        );
    }
    page + "\n"
}

fn row(runs: &[Figures]) -> String {
    let delay = |at: usize| {
        let delay = median(runs, |run: &Figures| run.delay[at]);
        format!("{} ({})", short(delay.median), short(delay.worst))
    };
    let plain = |of: &dyn Fn(&Figures) -> f64| short(median(runs, of).median);
    let part = |of: &dyn Fn(&Figures) -> f64| format!("{:.0} %", 100.0 * median(runs, of).median);
    let rate = WithWorst::of(&runs.iter().map(|run| run.rate).collect::<Vec<_>>(), true).expect("there is a run");
    let cells = [
        format!("{} ({})", short(rate.median), short(rate.worst)),
        part(&|run| run.useful),
        part(&|run| run.busy),
        delay(0),
        delay(1),
        delay(2),
        plain(&|run| run.steals),
        plain(&|run| run.sleeps),
        plain(&|run| run.useless),
        plain(&|run| run.locks),
        part(&|run| run.taken),
    ];
    cells.join(" | ")
}

/// Returns the median of the seeds and the worst of them. More is worse.
pub fn median(runs: &[Figures], of: impl Fn(&Figures) -> f64) -> WithWorst {
    WithWorst::of(&runs.iter().map(of).collect::<Vec<_>>(), false).expect("there is a run")
}

/// Formats a value with about three digits.
fn short(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replace_results_keeps_what_stands_above() {
        let page = replace_results("# Title\n\nText.\n\n## Results\n\nold\n", "new\n").unwrap();
        assert_eq!(page, "# Title\n\nText.\n\n## Results\n\nnew\n");
        assert!(replace_results("# Title\n", "new\n").is_err());
    }
}
