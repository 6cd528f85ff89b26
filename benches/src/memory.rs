//! The memory per idle task of each runtime, by the size of the task's future.

use crate::contenders::{Entry, FLOOR};
use crate::driver::progress;
use crate::goals::SUBJECT;
use crate::rows::memory::{SIZES, resident_per_task};

pub const WORKERS: usize = 2;

/// The bytes per task of each runtime, for futures of one size.
pub struct Line {
    pub future: usize,
    pub tasks: Vec<(&'static str, f64)>,
}

impl Line {
    /// Returns the runtimes whose tasks are smaller than the subject's, and the subject's ratio to
    /// each. Halves of a byte do not count.
    pub fn losses(&self) -> Vec<(&'static str, f64)> {
        let ours = self.tasks.iter().find(|(name, _)| *name == SUBJECT).map_or(0.0, |(_, bytes)| bytes.round());
        let smaller = self.tasks.iter().filter(|(_, bytes)| bytes.round() < ours);
        smaller.map(|(name, bytes)| (*name, ours / bytes)).collect()
    }
}

/// Measures each size and runtime in a fresh process, and passes each line to `done`.
///
/// # Errors
///
/// If a child fails.
pub fn run(entries: &[Entry], done: impl Fn(&Line)) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for future in SIZES {
        let mut tasks = Vec::new();
        for entry in entries.iter().filter(|entry| entry.name != FLOOR) {
            progress(&format!("futures of {future} bytes: {}", entry.name));
            let bytes = resident_per_task(entry.name, WORKERS, future);
            tasks.push((entry.name, bytes.map_err(|problem| format!("{}: {problem}", entry.name))?));
        }
        progress("");
        let line = Line { future, tasks };
        done(&line);
        lines.push(line);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_of_a_line_are_the_runtimes_with_smaller_tasks() {
        let tasks = vec![(SUBJECT, 96.2), ("tokio", 316.0), ("smol", 96.4), ("nio", 64.0)];
        assert_eq!(Line { future: 8, tasks }.losses(), [("nio", 1.5)]);
    }
}
