//! System calls per operation by kind, and useless wake-ups.
//!
//! They are counted apart from the timing, each runtime and row in a process of its own.

use crate::child::Job;
use crate::contenders::Entry;
use crate::sample::{Load, Row};
use crate::syscall_counters::{KINDS, open_counters};

/// System calls and useless wake-ups of one runtime in one row, per operation.
#[derive(Clone, Debug, PartialEq)]
pub struct PerOperation {
    pub calls: [f64; KINDS],
    /// Sleeps of workers that ended with nothing to do, if the runtime counts them.
    pub useless: Option<f64>,
}

/// Counts a row in a child process. Returns `None` if the runtime lacks what the row needs.
///
/// # Errors
///
/// If this machine does not permit the count.
pub fn count_in_child(row: &Row, entry: &Entry, workers: usize) -> Result<Option<PerOperation>, String> {
    let job = Job::Calls { runtime: entry.name.to_owned(), workers, row: row.id.to_owned() };
    Ok(parse(&job.output()?))
}

/// In the child: counts a row and prints what `parse` reads.
///
/// # Errors
///
/// If this machine does not permit the count.
pub fn count_here(entry: &Entry, workers: usize, row: &Row) -> Result<(), String> {
    open_counters()?;
    let load = Load { workers, quick: true };
    let runtime = (entry.build)(workers);
    if !row.long {
        let _warm = runtime.run(row.id, &load);
    }
    let before = runtime.useless_wakes();
    let Some(sample) = runtime.run(row.id, &load) else { return Ok(()) };
    let useless = runtime.useless_wakes().zip(before).and_then(|(after, before)| after.checked_sub(before));
    let Some((calls, operations)) = sample.calls else { return Ok(()) };
    let mut words: Vec<String> = calls.iter().map(|count| format!("{:.6}", *count as f64 / operations)).collect();
    words.extend(useless.map(|count| format!("{:.6}", count as f64 / operations)));
    println!("{}", words.join(" "));
    // nio's workers cannot be stopped, and the result has been printed.
    std::process::exit(0)
}

fn parse(line: &str) -> Option<PerOperation> {
    let numbers: Vec<f64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    let calls = numbers.get(..KINDS)?.try_into().ok()?;
    Some(PerOperation { calls, useless: numbers.get(KINDS).copied() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_with_and_without_useless_wakes_reads_all_counts() {
        let with = parse("1 2 3 4 5 6 7 0.5\n").unwrap();
        assert_eq!((with.calls[6], with.useless), (7.0, Some(0.5)));
        assert_eq!(parse("1 2 3 4 5 6 7").unwrap().useless, None);
        assert_eq!(parse(""), None);
    }
}
