//! Counts the schedules that runs have taken.

use std::collections::BTreeSet;
use std::fmt;

use crate::primitive::prefixes::{LENGTHS, Prefixes};

/// How many prefixes of a length are kept at most.
const MOST: usize = 1 << 20;

/// How many different beginnings the schedules of some runs have. Returned by
/// [`for_each_seed`](crate::sim::for_each_seed).
///
/// A beginning is the order in which the running thread changed for the first 16, 64, 256 or 1,024
/// times, without virtual times. If more seeds add no beginning, they repeat these. Later turns and
/// times may still differ.
#[derive(Clone, Default)]
pub struct Coverage {
    runs: u64,
    prefixes: [BTreeSet<u64>; LENGTHS.len()],
}

impl Coverage {
    /// Adds a run.
    pub(super) fn add(&mut self, prefixes: &Prefixes) {
        self.runs += 1;
        for (known, hash) in self.prefixes.iter_mut().zip(prefixes.hashes()) {
            if known.len() < MOST {
                known.insert(hash);
            }
        }
    }

    /// Returns the number of runs.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// Returns how many different beginnings with `turns` changes of the running thread there are.
    /// It counts up to 1,048,576. Returns `None` if `turns` is not 16, 64, 256 or 1,024.
    ///
    /// A schedule that is shorter counts with all its changes.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::sim::for_each_seed;
    ///
    /// let coverage = for_each_seed(50, |mut sim| {
    ///     sim.run(async { heist::spawn(async {}).await.unwrap() });
    /// });
    /// assert_eq!(coverage.runs(), 50);
    /// assert!(coverage.distinct(16).unwrap() > 1);
    /// ```
    pub fn distinct(&self, turns: u64) -> Option<usize> {
        let length = LENGTHS.iter().position(|&length| length == turns)?;
        Some(self.prefixes[length].len())
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |numbers: [u64; LENGTHS.len()]| numbers.map(|number| number.to_string()).join(", ");
        let distinct = self.prefixes.each_ref().map(|known| known.len() as u64);
        write!(f, "{} runs; different schedules in the first {} turns: {}", self.runs, list(LENGTHS), list(distinct))
    }
}

impl fmt::Debug for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
