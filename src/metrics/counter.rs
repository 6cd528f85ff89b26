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
        // Ordering: Relaxed — a figure, nothing is read through it. One writer: nothing is lost
        // between load and store.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// As [`Counter::add`]; what the writer has done before can be seen by whoever sees the count
    /// by [`Counter::load_acquire`].
    #[inline]
    pub(crate) fn add_release(&self, amount: u64) {
        // Ordering: Release — pairs with the Acquire in `read`.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Release);
    }

    /// Replaces the figure. Called by its one writer.
    pub(crate) fn set(&self, value: u64) {
        // Ordering: Relaxed — a figure.
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn load_acquire(&self) -> u64 {
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
    /// Polls begun. With the sleeps, the blocking sections and the ended tasks also what tells the
    /// watchdog whether the worker gets on.
    pub(crate) polls: Counter,
    /// Times the worker has stepped out in a poll, and come back.
    pub(crate) blocked_workers: Counter,
    /// Tasks spawned by the seat's worker.
    pub(crate) spawned: Counter,
    /// Tasks ended by the seat's worker; counted when nothing of the end is left to do.
    pub(crate) ended: Counter,
    /// Tasks that it has ended with an output; this and the two below are counted before the end
    /// can be seen.
    pub(crate) completed: Counter,
    /// Tasks that it has ended by a panic.
    pub(crate) panicked: Counter,
    /// Tasks that it has cancelled.
    pub(crate) cancelled: Counter,
    /// Times that tasks were queued here by the seat's worker, by a spawn, a wake, or a yield; as
    /// of its last look around, or rest.
    pub(crate) scheduled: Counter,
    /// Polls in which a resource was refused, because the budget was spent.
    pub(crate) forced_yields: Counter,
    /// Times the worker went to sleep, and times it got up: odd while it sleeps.
    pub(crate) parks: Counter,
    /// Sleeps that ended, and the next one began without a poll in between.
    pub(crate) noops: Counter,
    /// Successful searches in other seats.
    pub(crate) steals: Counter,
    /// The tasks that they took.
    pub(crate) stolen: Counter,
    /// Times the ring was full.
    pub(crate) overflows: Counter,
    /// Wake-ups granted to other workers.
    pub(crate) wakes: Counter,
    /// Nanoseconds for which the worker has not rested; as of its last look around, or rest.
    pub(crate) busy: Counter,
    /// Nanoseconds that a poll takes of late; zero if none has been measured.
    pub(crate) mean_poll: Counter,
}

impl Stats {
    pub(crate) fn new() -> Self {
        let zero = Counter::new;
        Stats {
            polls: zero(),
            blocked_workers: zero(),
            spawned: zero(),
            ended: zero(),
            completed: zero(),
            panicked: zero(),
            cancelled: zero(),
            scheduled: zero(),
            forced_yields: zero(),
            parks: zero(),
            noops: zero(),
            steals: zero(),
            stolen: zero(),
            overflows: zero(),
            wakes: zero(),
            busy: zero(),
            mean_poll: zero(),
        }
    }
}
