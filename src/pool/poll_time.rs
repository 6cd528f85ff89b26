//! How long a poll takes, as far as a worker knows.

use std::cell::Cell;

/// A worker starts with this guess, in nanoseconds.
const FIRST_GUESS: u32 = 1_000;

/// From fewer polls than this, and less time, in nanoseconds, nothing is learnt: a tick may come
/// after a single poll, which need not be like the others.
const FEW: u32 = 16;
const ENOUGH: u64 = 50_000;

/// The mean length of a worker's polls of late, learnt from its clock at checkpoints.
#[derive(Debug)]
pub(super) struct PollTimeEstimate {
    /// In nanoseconds.
    mean: Cell<u32>,
    /// Polls that have been too few to learn from...
    polls: Cell<u32>,
    /// ...and how long they have taken together, in nanoseconds.
    passed: Cell<u64>,
}

impl PollTimeEstimate {
    pub(super) fn new() -> Self {
        PollTimeEstimate { mean: Cell::new(FIRST_GUESS), polls: Cell::new(0), passed: Cell::new(0) }
    }

    /// The mean poll of late.
    #[inline]
    pub(super) fn mean(&self) -> u32 {
        self.mean.get()
    }

    /// Learns from so many polls, at least one, that have taken `passed` together.
    pub(super) fn update(&self, polls: u32, passed: u64) {
        let (polls, passed) = (self.polls.take().saturating_add(polls), self.passed.take().saturating_add(passed));
        if polls < FEW && passed < ENOUGH {
            self.polls.set(polls);
            self.passed.set(passed);
        } else {
            self.mean.set(next_mean(self.mean.get(), passed / u64::from(polls)));
        }
    }
}

/// The mean after one more sample: follows down at once by half, and up at most by doubling, so
/// that a single long poll does not make all of them look long.
fn next_mean(old: u32, sample: u64) -> u32 {
    let sample = u32::try_from(sample.min(u64::from(old) * 2)).unwrap_or(u32::MAX);
    (old / 2 + sample.div_ceil(2)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After so many checkpoints, 100 µs apart, of polls of this length.
    fn after(time: &PollTimeEstimate, checkpoints: usize, poll: u64) -> u32 {
        for _ in 0..checkpoints {
            time.update((100_000 / poll) as u32, 100_000);
        }
        // Halves are rounded.
        time.mean().next_multiple_of(10)
    }

    #[test]
    fn the_mean_follows_down_by_half_and_up_by_half_as_much_again() {
        let time = PollTimeEstimate::new();
        assert_eq!(after(&time, 20, 4_000), 4_000);
        assert_eq!(after(&time, 1, 50_000), 6_000);
        assert_eq!(after(&time, 20, 50_000), 50_000);
        assert_eq!(after(&time, 1, 10), 25_010);
        assert_eq!(after(&time, 20, 10), 10);
    }

    #[test]
    fn a_poll_by_itself_is_learnt_together_with_the_next_ones() {
        let time = PollTimeEstimate::new();
        assert_eq!(after(&time, 20, 5_000), 5_000);
        // A tick, right after a checkpoint.
        time.update(1, 14_000);
        assert_eq!(time.mean().next_multiple_of(10), 5_000);
        time.update(10, 41_000);
        assert_eq!(time.mean().next_multiple_of(10), 5_000);
        // Nothing is left of it.
        time.update(16, 80_000);
        assert_eq!(time.mean().next_multiple_of(10), 5_000);
    }

    #[test]
    fn a_poll_that_is_long_enough_by_itself_is_learnt_at_once() {
        let time = PollTimeEstimate::new();
        time.update(1, 50_000);
        assert_eq!(time.mean(), 1_500);
    }

    #[test]
    fn no_length_is_too_long_and_none_too_short() {
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
