//! Counters with one writer each: a plain load and store, no read-modify-write.

use crate::sync::atomic::{AtomicU64, Ordering};

/// A counter that one thread at a time advances, and that anybody reads.
#[derive(Debug)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn new() -> Self {
        Counter(AtomicU64::new(0))
    }

    /// Adds `amount`. Called by the counter's one writer.
    #[inline]
    pub(crate) fn add(&self, amount: u64) {
        // Ordering: Relaxed — a figure, nothing is read through it. One writer: nothing is lost between load and store.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// As [`Counter::add`]; what the writer has done before can be seen by whoever sees the count by [`Counter::read`].
    #[inline]
    pub(crate) fn publish(&self, amount: u64) {
        // Ordering: Release — pairs with the Acquire in `read`.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Release);
    }

    pub(crate) fn read(&self) -> u64 {
        // Ordering: Acquire — pairs with the Release in `publish`.
        self.0.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        // Ordering: Relaxed — a figure.
        self.0.load(Ordering::Relaxed)
    }
}

/// What is counted per seat, by the worker that sits in it.
#[derive(Debug)]
pub(crate) struct Stats {
    /// Polls begun. Also the sequence number by which the sentinel recognises a poll.
    pub(crate) polls: Counter,
    /// Tasks spawned by the seat's worker.
    pub(crate) spawned: Counter,
    /// Tasks ended by the seat's worker; counted when nothing of the end is left to do.
    pub(crate) ended: Counter,
    /// Tasks that it has ended with an output; this and the two below are counted before the end can be seen.
    pub(crate) completed: Counter,
    /// Tasks that it has ended by a panic.
    pub(crate) panicked: Counter,
    /// Tasks that it has cancelled.
    pub(crate) cancelled: Counter,
    /// Times the worker went to sleep.
    pub(crate) parks: Counter,
    /// Sleeps that ended without anything to do.
    pub(crate) noops: Counter,
    /// Successful searches, and the tasks they took from other rings.
    pub(crate) steals: Counter,
    /// Times the ring was full.
    pub(crate) overflows: Counter,
    /// Wake-ups granted to other workers.
    pub(crate) wakes: Counter,
}

impl Stats {
    pub(crate) fn new() -> Self {
        let zero = Counter::new;
        Stats {
            polls: zero(),
            spawned: zero(),
            ended: zero(),
            completed: zero(),
            panicked: zero(),
            cancelled: zero(),
            parks: zero(),
            noops: zero(),
            steals: zero(),
            overflows: zero(),
            wakes: zero(),
        }
    }
}
