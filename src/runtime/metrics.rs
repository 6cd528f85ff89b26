//! Figures about a runtime.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::pool::{Pool, Seat};
use crate::sync::Arc;

/// Figures about a runtime, read from counters that each worker keeps for itself.
///
/// ```
/// let runtime = heist::runtime::Runtime::new().unwrap();
/// assert_eq!(runtime.metrics().num_alive_tasks(), 0);
/// ```
#[derive(Clone)]
pub struct RuntimeMetrics {
    pool: Arc<Pool>,
}

impl RuntimeMetrics {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        RuntimeMetrics { pool }
    }

    /// Workers now; see [`Runtime::worker_threads`](super::Runtime::worker_threads).
    pub fn num_workers(&self) -> usize {
        self.pool.regulars()
    }

    /// Spares now: threads in place of stuck workers; see [`Builder::max_spare_workers`](super::Builder::max_spare_workers).
    pub fn num_spare_workers(&self) -> usize {
        self.pool.staff.spares()
    }

    /// Spares that were started so far.
    pub fn spare_start_count(&self) -> u64 {
        self.pool.stalls.spares.get()
    }

    /// Stalls that have been reported so far: polls that lasted for [`Builder::stall_threshold`](super::Builder::stall_threshold).
    pub fn stall_count(&self) -> u64 {
        self.pool.stalls.reported.get()
    }

    /// Times that work, timers or the reactor of a worker in a long poll were seen to by others, or another worker was woken for that.
    pub fn rescue_count(&self) -> u64 {
        self.pool.stalls.rescues.get()
    }

    /// How long the reported stalls have lasted that are over: how many there were of each length. Each range is twice as long as the one
    /// before; the first begins at zero, and the last has no end.
    pub fn stall_durations(&self) -> Vec<(Range<Duration>, u64)> {
        let over = self.pool.stalls.over();
        let edge = |bucket: usize| match bucket {
            0 => Duration::ZERO,
            bucket if bucket == over.len() => Duration::MAX,
            bucket => Duration::from_millis(1 << bucket),
        };
        over.iter().enumerate().map(|(bucket, count)| (edge(bucket)..edge(bucket + 1), *count)).collect()
    }

    /// Tasks that have been spawned and have not ended.
    pub fn num_alive_tasks(&self) -> usize {
        usize::try_from(self.pool.alive()).unwrap_or(usize::MAX)
    }

    /// Tasks in the global queue.
    pub fn global_queue_depth(&self) -> usize {
        self.pool.global.len()
    }

    /// Times that `worker` went to sleep.
    ///
    /// # Panics
    ///
    /// If there is no such worker; this is so for the other figures of a worker, too.
    #[track_caller]
    pub fn worker_park_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.parks.get()
    }

    /// Times that `worker` was woken and found nothing to do.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_noop_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.noops.get()
    }

    /// Times that `worker` took work from another.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_steal_operations(&self, worker: usize) -> u64 {
        self.seat(worker).stats.steals.get()
    }

    /// Polls by `worker`.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_poll_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.polls.get()
    }

    /// Times that the ring of `worker` was full.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_overflow_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.overflows.get()
    }

    /// Tasks in the ring of `worker`.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    #[track_caller]
    pub fn worker_local_queue_depth(&self, worker: usize) -> usize {
        self.seat(worker).thief.len()
    }

    /// Sockets registered with the reactor so far.
    pub fn io_driver_fd_registered_count(&self) -> u64 {
        self.pool.reactor.counts().registered
    }

    /// Sockets taken off the reactor so far.
    pub fn io_driver_fd_deregistered_count(&self) -> u64 {
        self.pool.reactor.counts().deregistered
    }

    /// Events that the reactor has brought to a socket so far.
    pub fn io_driver_ready_count(&self) -> u64 {
        self.pool.reactor.counts().events
    }

    #[track_caller]
    fn seat(&self, worker: usize) -> &Seat {
        let seats = &self.pool.seats;
        seats.get(worker).unwrap_or_else(|| panic!("there is no worker {worker}: this runtime has {}", seats.len()))
    }
}

impl fmt::Debug for RuntimeMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeMetrics")
            .field("num_workers", &self.num_workers())
            .field("num_alive_tasks", &self.num_alive_tasks())
            .field("global_queue_depth", &self.global_queue_depth())
            .finish()
    }
}
