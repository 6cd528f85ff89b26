//! The difference between two traces, per kind of task.

use std::collections::BTreeMap;
use std::fmt;

use crate::history::History;
use crate::nanos::Nanos;
use crate::quantiles::Quantiles;
use crate::summary::kind_rows;
use crate::table::Table;

/// The most rows of the table.
const MOST_ROWS: usize = 60;

/// The difference between two traces. Its `Display` is the report of `heist-trace diff`.
#[derive(Clone, Debug)]
pub struct Diff {
    rows: Vec<DiffRow>,
}

/// The numbers of one kind of task in both traces.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiffRow {
    /// The label of the tasks.
    pub label: String,
    /// The numbers in the first trace, and those in the second one.
    pub sides: [Side; 2],
}

/// The numbers of one kind of task in one trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Side {
    /// The number of polls.
    pub polls: u64,
    /// The time inside of polls.
    pub cpu: Nanos,
    /// The time from a spawn, a wake-up or a yield to the start of the poll.
    pub waits: Quantiles,
}

impl Diff {
    /// Compares two traces. Tasks of the same name or place belong together.
    #[must_use]
    pub fn new(a: &History<'_>, b: &History<'_>) -> Self {
        let mut rows: BTreeMap<String, [Side; 2]> = BTreeMap::new();
        for (side, history) in [a, b].into_iter().enumerate() {
            for row in kind_rows(history) {
                let label = history.kinds()[row.kind].to_string();
                rows.entry(label).or_default()[side] = Side { polls: row.polls, cpu: row.cpu, waits: row.waits };
            }
        }
        let mut rows: Vec<DiffRow> = rows.into_iter().map(|(label, sides)| DiffRow { label, sides }).collect();
        // The sort is stable: rows with the same change stay in the order of their labels.
        rows.sort_by_key(|row| std::cmp::Reverse(row.p99_change()));
        Self { rows }
    }

    /// Returns the rows, those whose 99th percentile of the wait has changed most first.
    #[must_use]
    pub fn rows(&self) -> &[DiffRow] {
        &self.rows
    }
}

impl DiffRow {
    /// Returns by how much the 99th percentile of the wait has changed, in either direction.
    #[must_use]
    pub fn p99_change(&self) -> Nanos {
        let [a, b] = self.sides.map(|side| side.waits.p99);
        Nanos(a.0.abs_diff(b.0))
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "each column: A, B, and B as a multiple of A; the largest change of the 99th percentile comes first"
        )?;
        let mut table = Table::new(&["task", "polls", "CPU", "wait p50", "wait p99", "wait max"]);
        for row in self.rows.iter().take(MOST_ROWS) {
            let [a, b] = &row.sides;
            let mut cells = vec![row.label.clone()];
            cells.push(format!("{} {} {}", a.polls, b.polls, ratio(a.polls, b.polls)));
            let times =
                [(a.cpu, b.cpu), (a.waits.p50, b.waits.p50), (a.waits.p99, b.waits.p99), (a.waits.max, b.waits.max)];
            cells.extend(times.map(|(a, b)| format!("{a} {b} {}", ratio(a.0, b.0))));
            table.row(cells);
        }
        write!(f, "{table}")?;
        match self.rows.len().saturating_sub(MOST_ROWS) {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more, with smaller changes"),
        }
    }
}

/// Returns `b` as a multiple of `a`, or a dash if there is none.
fn ratio(a: u64, b: u64) -> String {
    if a == 0 { "(-)".to_owned() } else { format!("(×{:.2})", b as f64 / a as f64) }
}
