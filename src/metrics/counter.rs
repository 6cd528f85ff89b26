//! Counters with one writer each: a plain load and store, no read-modify-write.

use crate::primitive::atomic::{AtomicU64, Ordering};

/// A counter that one thread at a time advances, and that any thread reads.
#[derive(Debug)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn new() -> Self {
        Counter(AtomicU64::new(0))
    }

    /// Adds `amount`. Called by the counter's one writer.
    #[inline]
    pub(crate) fn add(&self, amount: u64) {
        // Ordering: Relaxed — a figure that publishes nothing. There is one writer, so no addition
        // is lost between load and store.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Adds `amount`, and publishes the writer's earlier writes to [`Counter::load_acquire`].
    #[inline]
    pub(crate) fn add_release(&self, amount: u64) {
        // Ordering: Release — pairs with the Acquire in `Counter::load_acquire`.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Release);
    }

    /// Replaces the value. Called by the counter's one writer.
    pub(crate) fn set(&self, value: u64) {
        // Ordering: Relaxed — a figure.
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn load_acquire(&self) -> u64 {
        // Ordering: Acquire — pairs with the Release in `Counter::add_release`.
        self.0.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        // Ordering: Relaxed — a figure.
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of one seat, written by its worker.
#[derive(Debug)]
pub(crate) struct Stats {
    /// Polls begun. Together with the sleeps, the blocking sections and the ended tasks, they show
    /// the watchdog whether the worker makes progress.
    pub(crate) polls: Counter,
    /// Blocking sections ended.
    pub(crate) blocking_sections: Counter,
    /// Tasks spawned by the seat's worker.
    pub(crate) spawned: Counter,
    /// Tasks ended by the seat's worker. Counted when nothing of the end is left to do.
    pub(crate) ended: Counter,
    /// Tasks that ended with an output. This and the next two are counted before the end can be
    /// observed.
    pub(crate) completed: Counter,
    /// Tasks that ended by a panic.
    pub(crate) panicked: Counter,
    /// Tasks that were cancelled.
    pub(crate) cancelled: Counter,
    /// Times that the seat's worker queued a task here: by a spawn, a wake or a yield. Updated at
    /// each checkpoint and sleep.
    pub(crate) scheduled: Counter,
    /// Polls in which an operation was refused because the budget was spent.
    pub(crate) forced_yields: Counter,
    /// Sleeps begun, and sleeps ended: odd while the worker sleeps.
    pub(crate) parks: Counter,
    /// Sleeps that ended without a poll before the next one.
    pub(crate) noops: Counter,
    /// Successful searches in other seats.
    pub(crate) steals: Counter,
    /// Tasks taken by these searches.
    pub(crate) stolen: Counter,
    /// Times that the ring was full.
    pub(crate) overflows: Counter,
    /// Wake-ups granted to other workers.
    pub(crate) wakes: Counter,
    /// Nanoseconds that the worker was awake. Updated at each checkpoint and sleep.
    pub(crate) busy: Counter,
    /// Recent mean length of a poll in nanoseconds; zero if none has been measured.
    pub(crate) mean_poll: Counter,
}

impl Stats {
    pub(crate) fn new() -> Self {
        let zero = Counter::new;
        Stats {
            polls: zero(),
            blocking_sections: zero(),
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
