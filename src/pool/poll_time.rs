//! A worker's estimate of how long a poll takes.

use std::cell::Cell;

/// The initial estimate, in nanoseconds.
const FIRST_GUESS: u32 = 1_000;

/// The smallest sample that updates the estimate: this many polls, or this many nanoseconds. A tick
/// may come after a single poll, which need not be typical.
const MIN_SAMPLE_POLLS: u32 = 16;
const MIN_SAMPLE_NANOS: u64 = 50_000;

/// The mean length of a worker's recent polls, measured by its clock at checkpoints.
#[derive(Debug)]
pub(super) struct PollTimeEstimate {
    /// In nanoseconds.
    mean: Cell<u32>,
    /// Polls that are not in the mean yet, because they were too few.
    polls: Cell<u32>,
    /// How long these polls have taken together, in nanoseconds.
    passed: Cell<u64>,
}

impl PollTimeEstimate {
    pub(super) fn new() -> Self {
        PollTimeEstimate { mean: Cell::new(FIRST_GUESS), polls: Cell::new(0), passed: Cell::new(0) }
    }

    /// Returns the mean length of recent polls, in nanoseconds.
    #[inline]
    pub(super) fn mean(&self) -> u32 {
        self.mean.get()
    }

    /// Adds `polls`, at least one, that have taken `passed` nanoseconds together.
    pub(super) fn update(&self, polls: u32, passed: u64) {
        let (polls, passed) = (self.polls.take().saturating_add(polls), self.passed.take().saturating_add(passed));
        if polls < MIN_SAMPLE_POLLS && passed < MIN_SAMPLE_NANOS {
            self.polls.set(polls);
            self.passed.set(passed);
        } else {
            self.mean.set(next_mean(self.mean.get(), passed / u64::from(polls)));
        }
    }
}

/// Returns the mean after one more sample. It moves half-way to a shorter sample, and up by at most
/// a half. So a single long poll does not make all polls look long.
fn next_mean(old: u32, sample: u64) -> u32 {
    let sample = u32::try_from(sample.min(u64::from(old) * 2)).unwrap_or(u32::MAX);
    (old / 2 + sample.div_ceil(2)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the mean after so many checkpoints, 100 µs apart, with polls of this length.
    fn mean_after(time: &PollTimeEstimate, checkpoints: usize, poll: u64) -> u32 {
        for _ in 0..checkpoints {
            time.update((100_000 / poll) as u32, 100_000);
        }
        // Halves are rounded.
        time.mean().next_multiple_of(10)
    }

    #[test]
    fn mean_moves_halfway_down_and_at_most_half_up() {
        let time = PollTimeEstimate::new();
        assert_eq!(mean_after(&time, 20, 4_000), 4_000);
        assert_eq!(mean_after(&time, 1, 50_000), 6_000);
        assert_eq!(mean_after(&time, 20, 50_000), 50_000);
        assert_eq!(mean_after(&time, 1, 10), 25_010);
        assert_eq!(mean_after(&time, 20, 10), 10);
    }

    #[test]
    fn single_poll_is_averaged_with_next_ones() {
        let time = PollTimeEstimate::new();
        assert_eq!(mean_after(&time, 20, 5_000), 5_000);
        // A tick comes right after a checkpoint.
        time.update(1, 14_000);
        assert_eq!(time.mean().next_multiple_of(10), 5_000);
        time.update(10, 41_000);
        assert_eq!(time.mean().next_multiple_of(10), 5_000);
        // The short sample is used up.
        time.update(16, 80_000);
        assert_eq!(time.mean().next_multiple_of(10), 5_000);
    }

    #[test]
    fn poll_of_minimum_sample_time_updates_at_once() {
        let time = PollTimeEstimate::new();
        time.update(1, 50_000);
        assert_eq!(time.mean(), 1_500);
    }

    #[test]
    fn update_with_extreme_lengths_stays_in_range() {
        let time = PollTimeEstimate::new();
        for passed in [u64::MAX, 0, u64::MAX, u64::MAX] {
            time.update(1, passed);
            assert!(time.mean() >= 1);
        }
        (0..100).for_each(|_| time.update(1, u64::MAX));
        assert!(time.mean() > u32::MAX - 4, "{time:?}");
        time.update(u32::MAX, 0);
        time.update(u32::MAX, u64::MAX);
        assert!(time.mean() >= 1);
    }
}
