//! What a group has done so far.

use crate::drain::outcome_counts::OutcomeCounters;
use crate::primitive::atomic::{AtomicU64, Ordering};

/// The counts of a group. Several workers add to each.
#[derive(Debug)]
pub(crate) struct GroupCounts {
    pub(crate) spawned: Total,
    pub(crate) polls: Total,
    /// The time in polls, in nanoseconds.
    pub(crate) busy: Total,
    pub(crate) refused: Total,
    /// How its tasks have ended.
    pub(crate) outcomes: OutcomeCounters,
}

/// A number that only grows.
#[derive(Debug)]
pub(crate) struct Total(AtomicU64);

impl Total {
    fn new() -> Total {
        Total(AtomicU64::new(0))
    }

    pub(crate) fn add(&self, count: u64) {
        // Ordering: Relaxed — a metric.
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        // Ordering: Relaxed — a metric.
        self.0.load(Ordering::Relaxed)
    }
}

/// How many times all tasks of a group have been aborted.
///
/// A task that is polled for the first time is in no queue and in no list, so an abort misses it.
/// The worker that polls it compares: if more aborts have begun when the poll is over than had
/// ended before, it repeats the abort.
#[derive(Debug)]
pub(crate) struct AbortCounts {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// How many aborts had ended when a task was taken out of a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndedAborts(u64);

impl AbortCounts {
    pub(crate) fn new() -> AbortCounts {
        AbortCounts { begun: AtomicU64::new(0), ended: AtomicU64::new(0) }
    }

    /// Runs an abort.
    pub(crate) fn count(&self, abort: impl FnOnce()) {
        // Ordering: Relaxed — the locks of lists and queues order it before
        // `AbortCounts::has_begun` of a worker that queues or links a task after the abort.
        self.begun.fetch_add(1, Ordering::Relaxed);
        abort();
        // Ordering: Release — pairs with the Acquire in `AbortCounts::take`: the abort is over.
        self.ended.fetch_add(1, Ordering::Release);
    }

    /// Takes a task out of a queue by `take`. Returns it with the number of aborts that had ended
    /// before. An abort that ends in between may miss the task, so the number is read first.
    pub(crate) fn take<T>(&self, take: impl FnOnce() -> Option<T>) -> Option<(T, EndedAborts)> {
        // Ordering: Acquire — pairs with the Release in `AbortCounts::count`.
        let ended = EndedAborts(self.ended.load(Ordering::Acquire));
        Some((take()?, ended))
    }

    /// Returns true if an abort has begun that had not ended before the caller took the task.
    /// Called when the task has been queued or linked.
    pub(crate) fn has_begun(&self, ended_before: EndedAborts) -> bool {
        // Ordering: Relaxed — see `AbortCounts::count`.
        self.begun.load(Ordering::Relaxed) != ended_before.0
    }
}

impl GroupCounts {
    pub(crate) fn new() -> GroupCounts {
        GroupCounts {
            spawned: Total::new(),
            polls: Total::new(),
            busy: Total::new(),
            refused: Total::new(),
            outcomes: OutcomeCounters::new(),
        }
    }
}
