//! Figures about a runtime.

use std::fmt;
use std::ops::Range;
use std::thread::ThreadId;
use std::time::Duration;

use crate::pool::{Pool, Seat};
use crate::sync::Arc;

/// Figures about a runtime.
///
/// Each worker counts for itself, in memory that nobody else writes to; the sums are made when somebody asks. So counting costs the
/// workers next to nothing, a figure of a worker that is busy may lag behind by a moment, and figures that are read one after the other are
/// not of the same moment. Counts begin at zero when the runtime is made, and never go down.
///
/// # Workers
///
/// The figures of a worker are those of its *seat*: the place with this number, from zero, whoever sits there. On a current-thread runtime
/// there is one, for whichever thread drives. [`resize`](super::Runtime::resize) adds seats at the end and leaves them from the end; a seat
/// that has been left keeps its counts, which can be read as before, and whoever takes it again goes on counting. So a sum over all seats
/// that there have ever been loses nothing: numbers from [`num_workers`](RuntimeMetrics::num_workers) up to the most workers that there were
/// are valid, too. Methods that take the number of a worker panic if there has never been such a seat.
///
/// # Examples
///
/// ```
/// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
/// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
///
/// let metrics = runtime.metrics();
/// assert_eq!((metrics.spawned_tasks_count(), metrics.num_alive_tasks()), (1, 0));
/// let polls: u64 = (0..metrics.num_workers()).map(|worker| metrics.worker_poll_count(worker)).sum();
/// assert_eq!(polls, 1);
/// ```
#[derive(Clone)]
pub struct RuntimeMetrics {
    pub(super) pool: Arc<Pool>,
}

/// The runtime as a whole.
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

    /// Tasks that have been spawned and have not ended. Jobs of [`spawn_blocking`](crate::task::spawn_blocking) do not count.
    pub fn num_alive_tasks(&self) -> usize {
        usize::try_from(self.pool.alive()).unwrap_or(usize::MAX)
    }

    /// Tasks that have been spawned so far. Jobs of [`spawn_blocking`](crate::task::spawn_blocking) do not count.
    pub fn spawned_tasks_count(&self) -> u64 {
        self.pool.spawned()
    }

    /// Tasks in the global queue now: those that were spawned or woken from outside, and those that a worker had no room for.
    pub fn global_queue_depth(&self) -> usize {
        self.pool.global.len()
    }

    /// How often a task was queued by a thread that is no worker of the runtime, for being spawned or woken there. That is dearer than
    /// [by a worker](RuntimeMetrics::worker_local_schedule_count).
    pub fn remote_schedule_count(&self) -> u64 {
        self.pool.global.outsiders()
    }

    /// How often a poll, of a task or of a future in `block_on`, found something ready and had to wait nevertheless, because it had spent its
    /// [budget](crate::task::coop). Counted once for each such poll, when it has ended.
    pub fn budget_forced_yield_count(&self) -> u64 {
        self.pool.forced_yields()
    }

    /// Threads for blocking jobs now, at work or waiting for it; at most
    /// [`Builder::max_blocking_threads`](super::Builder::max_blocking_threads). Workers do not count.
    pub fn num_blocking_threads(&self) -> usize {
        self.pool.blocking.counts().threads
    }

    /// Those of the [threads for blocking jobs](RuntimeMetrics::num_blocking_threads) that wait for a job.
    pub fn num_idle_blocking_threads(&self) -> usize {
        self.pool.blocking.counts().idle
    }

    /// Blocking jobs that no thread has begun, because all are at work and there may be no more.
    pub fn blocking_queue_depth(&self) -> usize {
        self.pool.blocking.counts().queued
    }

    /// Sockets and other descriptors registered with the reactor so far.
    pub fn io_driver_fd_registered_count(&self) -> u64 {
        self.pool.reactor.counts().registered
    }

    /// Sockets and other descriptors taken off the reactor so far.
    pub fn io_driver_fd_deregistered_count(&self) -> u64 {
        self.pool.reactor.counts().deregistered
    }

    /// Events that the reactor has brought to a socket or another descriptor so far.
    pub fn io_driver_ready_count(&self) -> u64 {
        self.pool.reactor.counts().events
    }
}

/// One worker.
impl RuntimeMetrics {
    /// The thread that `worker` is now. `None` if it has not started yet or has left; on a current-thread runtime, if no `block_on` drives.
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_thread_id(&self, worker: usize) -> Option<ThreadId> {
        self.seat(worker).occupant()
    }

    /// For how long `worker` has been at work, in all: awake, and not looking for events in place of a sleep. Brought up to date when it looks
    /// around (about every 100 µs), when it goes to sleep, and when it leaves.
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_total_busy_duration(&self, worker: usize) -> Duration {
        Duration::from_nanos(self.seat(worker).stats.busy.get())
    }

    /// How often `worker` went to sleep, having found nothing to do. Looking for events for a while before that is part of the sleep.
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_park_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.parks.get().div_ceil(2)
    }

    /// How often `worker` went to sleep, and how often it got up again, together: odd while it sleeps.
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_park_unpark_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.parks.get()
    }

    /// How often `worker` got up and no task was the reason: none in its own queue, and none for whose sake it was woken. The future of a
    /// `block_on` is no task.
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_noop_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.noops.get()
    }

    /// How many tasks `worker` took from other workers' queues; counted when it has them.
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_steal_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.stolen.get()
    }

    /// How often `worker` took tasks from another worker's queue; one or more at a time, as
    /// [`worker_steal_count`](RuntimeMetrics::worker_steal_count) says.
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_steal_operations(&self, worker: usize) -> u64 {
        self.seat(worker).stats.steals.get()
    }

    /// How many polls of tasks `worker` has begun. Polls of a future in `block_on` do not count.
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_poll_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.polls.get()
    }

    /// How long a poll of `worker` takes of late, on average: a moving mean that is brought up to date when the worker looks around (about
    /// every 100 µs) or rests. The time between two polls is included. Zero if none has been measured.
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_mean_poll_time(&self, worker: usize) -> Duration {
        Duration::from_nanos(self.seat(worker).stats.mean_poll.get())
    }

    /// How often `worker` itself queued a task, because its tasks or its events spawned it or woke it, or because the task let others go
    /// first. For those from elsewhere see [`remote_schedule_count`](RuntimeMetrics::remote_schedule_count). Brought up to date when the
    /// worker looks around (about every 100 µs), when it goes to sleep, and when it leaves.
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_local_schedule_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.scheduled.get()
    }

    /// How often the queue of `worker` was full, so that half of it went into the global queue.
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_overflow_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.overflows.get()
    }

    /// Tasks in the queue of `worker` now. One may wait besides in the slot for the task that was woken last.
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_local_queue_depth(&self, worker: usize) -> usize {
        self.seat(worker).thief.len()
    }

    #[track_caller]
    pub(super) fn seat(&self, worker: usize) -> &Seat {
        let seats = &self.pool.seats;
        seats.get(worker).unwrap_or_else(|| panic!("there is no worker {worker}: this runtime has had {}", seats.len()))
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
