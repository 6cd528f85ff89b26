//! Removes deviations from a run that fails, as long as it fails.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::{LastRun, Replay, Sim, quiet};
use crate::primitive::decisions::Kept;
use crate::primitive::{Arc, Mutex, real_now};
use crate::util::wake_list::panic_message;

/// How often a seed is run again at most.
const MOST_RUNS: u32 = 200;
/// As [`MOST_RUNS`], for runs that leak their threads and sockets.
const MOST_STUCK_RUNS: u32 = 20;
/// How long a seed is run again at most, in real time.
const LONGEST: Duration = Duration::from_secs(10);

/// A run that has failed, and was recorded.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) message: String,
    /// The deviations from the plain schedule that were drawn, whether they took place or not.
    pub(super) drawn: u64,
    /// The last turns, one a line.
    pub(super) turn_log: String,
    /// The threads could not run on, and were leaked.
    is_stuck: bool,
}

/// A failure with few deviations.
#[derive(Debug)]
pub(super) struct Shrunk {
    /// How many deviations the first failure had.
    pub(super) drawn: u64,
    /// The failure with the fewest deviations.
    pub(super) smallest: Failure,
    /// The deviations that took place in it.
    pub(super) kept: Vec<u64>,
    /// How often the seed was run again.
    pub(super) runs: u32,
}

/// Runs `test` once with some deviations of a seed, and records it. Returns the failure if it
/// panics.
pub(super) fn run_once(sim: Sim, kept: Kept, is_quiet: bool, test: &impl Fn(Sim)) -> Result<(), RecordedPanic> {
    let replay = Arc::new(Replay { kept, is_quiet, last: Mutex::default() });
    let sim = Sim { replay: Some(Arc::clone(&replay)), ..sim };
    let _quiet = is_quiet.then(quiet::hide_panics);
    let Err(payload) = catch_unwind(AssertUnwindSafe(|| test(sim))) else { return Ok(()) };
    let LastRun { drawn, turn_log, is_stuck } = std::mem::take(&mut *replay.last.lock());
    let message = message_of(&*payload);
    Err(RecordedPanic { payload, failure: Failure { message, drawn, turn_log, is_stuck } })
}

/// The panic of a run that was recorded.
#[derive(Debug)]
pub(super) struct RecordedPanic {
    pub(super) payload: Box<dyn Any + Send>,
    pub(super) failure: Failure,
}

/// Returns the text of a panic.
pub(super) fn message_of(payload: &(dyn Any + Send)) -> String {
    panic_message(payload).unwrap_or("a panic without a text").to_owned()
}

/// Runs a seed that has failed again, with fewer deviations each time it still fails. Returns
/// `None` if it does not fail again with all of them.
pub(super) fn shrink(seed: u64, test: &impl Fn(Sim)) -> Option<Shrunk> {
    let begun = real_now();
    let fails = |kept| run_once(Sim::new(seed), kept, true, test).err().map(|panic| panic.failure);
    let mut smallest = fails(Kept::All)?;
    let (drawn, mut runs, is_stuck) = (smallest.drawn, 0, smallest.is_stuck);
    let most_runs = if is_stuck { MOST_STUCK_RUNS } else { MOST_RUNS };
    let all: Vec<u64> = (1..=drawn).collect();
    let kept = minimise(all, |numbers| {
        if runs == most_runs || real_now() >= begun + LONGEST {
            return None;
        }
        runs += 1;
        smallest = fails(Kept::Only(numbers.to_vec())).filter(|failure| failure.is_stuck == is_stuck)?;
        Some(smallest.drawn)
    });
    Some(Shrunk { drawn, smallest, kept, runs })
}

/// Removes numbers from an ascending list: first all of them, then halves, and so on down to single
/// ones. `fails` returns `None` if the rest does not suffice, or else the largest number that it
/// has used.
fn minimise(all: Vec<u64>, mut fails: impl FnMut(&[u64]) -> Option<u64>) -> Vec<u64> {
    let mut kept = all;
    let mut length = kept.len();
    while length > 0 {
        let (mut at, before) = (0, kept.len());
        while at < kept.len() {
            let mut fewer = kept.clone();
            fewer.drain(at..(at + length).min(kept.len()));
            match fails(&fewer) {
                Some(used) => {
                    fewer.retain(|&number| number <= used);
                    kept = fewer;
                }
                None => at += length,
            }
        }
        // Single ones are tried until none can be removed.
        if length > 1 || kept.len() == before {
            length /= 2;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimise_finds_the_numbers_that_are_needed() {
        for needed in [vec![], vec![1], vec![7, 30], vec![2, 3, 50], (1..=60).collect()] {
            let mut runs = 0;
            let kept = minimise((1..=60).collect(), |numbers| {
                runs += 1;
                needed.iter().all(|number| numbers.contains(number)).then_some(60)
            });
            assert_eq!(kept, needed);
            assert!(runs < 200, "{runs} runs for {needed:?}");
        }
    }

    #[test]
    fn minimise_drops_numbers_that_were_not_reached() {
        let kept = minimise((1..=100).collect(), |numbers| numbers.contains(&3).then_some(3));
        assert_eq!(kept, [3]);
    }

    #[test]
    fn minimise_without_another_failure_keeps_all() {
        assert_eq!(minimise(vec![1, 2], |_| None), [1, 2]);
        assert_eq!(minimise(Vec::new(), |_| None), Vec::<u64>::new());
    }
}
