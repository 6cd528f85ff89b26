//! Metrics of a runtime as a whole.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::pool::{Pool, Seat};
use crate::primitive::Arc;

/// The metrics of a runtime.
///
/// Each worker counts for itself, in memory that no other thread writes. A method of this type adds
/// the counts up. So counting costs the workers next to nothing. The count of a busy worker may lag
/// behind for a moment. Two values that are read one after the other do not belong to the same
/// moment. Counts begin at zero when the runtime is built, and never decrease.
///
/// # Workers
///
/// The metrics of a worker are found by its index; see [`worker_index`](super::worker_index). On a
/// current-thread runtime, index zero stands for the thread that drives.
///
/// The indices of workers begin at zero. [`resize`](super::Runtime::resize) adds and removes the
/// highest ones. [Spare workers](super::Builder::max_spare_workers) have indices after them while
/// they are needed. Each index has its counts. They stay when the worker exits, and go on when a
/// new worker gets the index. So a sum over
/// `0..`[`num_worker_slots`](RuntimeMetrics::num_worker_slots) is complete. A method with a
/// `worker` panics for every other index.
///
/// # Examples
///
/// ```
/// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
/// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
///
/// let metrics = runtime.metrics();
/// assert_eq!((metrics.spawned_tasks_count(), metrics.num_alive_tasks()), (1, 0));
/// let workers = 0..metrics.num_workers();
/// let polls: u64 = workers.map(|worker| metrics.worker_poll_count(worker)).sum();
/// assert_eq!(polls, 1);
/// ```
#[derive(Clone)]
pub struct RuntimeMetrics {
    pub(super) pool: Arc<Pool>,
}

/// Metrics of the runtime as a whole.
impl RuntimeMetrics {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        RuntimeMetrics { pool }
    }

    /// Returns the number of workers; see
    /// [`Runtime::worker_threads`](super::Runtime::worker_threads).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(2)
    ///     .build()
    ///     .unwrap();
    /// assert_eq!(runtime.metrics().num_workers(), 2);
    /// runtime.resize(3).wait().unwrap();
    /// assert_eq!(runtime.metrics().num_workers(), 3);
    /// ```
    pub fn num_workers(&self) -> usize {
        self.pool.base_workers()
    }

    /// Returns how many worker indices have been used so far. Every method with a `worker` accepts
    /// an index below it.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(3)
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(runtime.spawn(async {})).unwrap();
    /// runtime.resize(1).wait().unwrap();
    ///
    /// let metrics = runtime.metrics();
    /// let workers = 0..metrics.num_worker_slots();
    /// let polls: u64 = workers.map(|worker| metrics.worker_poll_count(worker)).sum();
    /// assert_eq!((metrics.num_workers(), polls), (1, 1), "a sum over all indices is complete");
    /// ```
    pub fn num_worker_slots(&self) -> usize {
        self.pool.seats.len()
    }

    /// Returns the number of spare workers. A spare worker stands in for a worker that is stalled
    /// (see [`Builder::max_spare_workers`](super::Builder::max_spare_workers)) or in
    /// [`block_in_place`](crate::task::block_in_place).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .build()
    ///     .unwrap();
    /// // No worker is stalled.
    /// assert_eq!(runtime.metrics().num_spare_workers(), 0);
    /// ```
    pub fn num_spare_workers(&self) -> usize {
        self.pool.worker_set.num_spares()
    }

    /// Returns how many spare workers have been started so far.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .build()
    ///     .unwrap();
    /// assert_eq!(runtime.metrics().spare_start_count(), 0);
    /// ```
    pub fn spare_start_count(&self) -> u64 {
        self.pool.stalls.spares()
    }

    /// Returns how many stalls have been reported so far. A stall is a poll that has lasted for
    /// [`Builder::stall_threshold`](super::Builder::stall_threshold).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(2)
    ///     .build()
    ///     .unwrap();
    /// let metrics = runtime.metrics();
    /// runtime.spawn(async move {
    ///     // This blocks the worker until the runtime has reported the stall.
    ///     while metrics.stall_count() == 0 {
    ///         std::thread::sleep(Duration::from_millis(1));
    ///     }
    /// });
    /// while runtime.metrics().stall_count() == 0 {
    ///     std::thread::yield_now();
    /// }
    /// ```
    pub fn stall_count(&self) -> u64 {
        self.pool.stalls.reported.get()
    }

    /// Returns how often the work of a worker in a long poll was rescued. Another thread has taken
    /// over tasks, timers or the reactor from it, or has woken a worker to do so.
    ///
    /// The poll blocks or computes. [`preempted_rescue_count`](Self::preempted_rescue_count) counts
    /// workers that get no processor.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(2)
    ///     .build()
    ///     .unwrap();
    /// // No worker is stalled.
    /// assert_eq!(runtime.metrics().rescue_count(), 0);
    /// ```
    pub fn rescue_count(&self) -> u64 {
        self.pool.stalls.rescues.get()
    }

    /// Returns how often a worker was rescued, as in [`rescue_count`](Self::rescue_count), that was
    /// ready to run and had no processor.
    ///
    /// The task is not the cause: the machine has too few processors for its load. If the number is
    /// high, the runtime has too many workers for the processors that it gets.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// println!("{} rescues from preempted workers", runtime.metrics().preempted_rescue_count());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn preempted_rescue_count(&self) -> u64 {
        self.pool.stalls.preempted_rescues.get()
    }

    /// Returns the durations of the reported stalls that have ended, as the number of stalls in
    /// each range.
    ///
    /// The first range begins at zero, each range is twice as long as the one before, and the last
    /// has no end.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .build()
    ///     .unwrap();
    /// for (lasted, stalls) in runtime.metrics().stall_durations() {
    ///     println!("{lasted:?}: {stalls}");
    /// }
    /// ```
    pub fn stall_durations(&self) -> Vec<(Range<Duration>, u64)> {
        let over = self.pool.stalls.ended_by_bucket();
        let edge = |bucket: usize| match bucket {
            0 => Duration::ZERO,
            bucket if bucket == over.len() => Duration::MAX,
            bucket => Duration::from_millis(1 << bucket),
        };
        over.iter().enumerate().map(|(bucket, count)| (edge(bucket)..edge(bucket + 1), *count)).collect()
    }

    /// Returns how many tasks have been spawned and have not ended. Jobs of
    /// [`spawn_blocking`](crate::task::spawn_blocking) do not count.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// let task = runtime.spawn(async {});
    /// assert_eq!(runtime.metrics().num_alive_tasks(), 1);
    /// runtime.block_on(task).unwrap();
    /// assert_eq!(runtime.metrics().num_alive_tasks(), 0);
    /// ```
    pub fn num_alive_tasks(&self) -> usize {
        usize::try_from(self.pool.live_tasks()).unwrap_or(usize::MAX)
    }

    /// Returns how many tasks have been spawned so far. Jobs of
    /// [`spawn_blocking`](crate::task::spawn_blocking) do not count.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// assert_eq!(runtime.metrics().spawned_tasks_count(), 1);
    /// ```
    pub fn spawned_tasks_count(&self) -> u64 {
        self.pool.spawned()
    }

    /// Returns the number of tasks in the global queue. These are tasks that were spawned or woken
    /// by other threads than workers, and tasks for which a local queue had no room.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// // No `block_on` drives the runtime yet.
    /// drop(runtime.spawn(async {}));
    /// assert_eq!(runtime.metrics().global_queue_depth(), 1);
    /// ```
    pub fn global_queue_depth(&self) -> usize {
        self.pool.global.len()
    }

    /// Returns how often a thread that is not a worker of the runtime has queued a task, by a spawn
    /// or a wake. Tasks of groups do not count: they wait in the queue of their group.
    ///
    /// That costs more than scheduling [by a worker](RuntimeMetrics::worker_local_schedule_count).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// let task = runtime.spawn(async {});
    /// runtime.block_on(async {
    ///     task.await.unwrap();
    ///     heist::spawn(async {}).await.unwrap();
    /// });
    /// assert_eq!(runtime.metrics().remote_schedule_count(), 1, "the first task");
    /// ```
    pub fn remote_schedule_count(&self) -> u64 {
        self.pool.global.remote_pushes()
    }

    /// Returns how often a poll had to yield, although a resource was ready, because it had spent
    /// its [budget](crate::task::coop).
    ///
    /// Polls of tasks and of the root futures of `block_on` count, each once when it ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::task::coop::consume_budget;
    ///
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     for _ in 0..200 {
    ///         consume_budget().await; // a poll has 128 units
    ///     }
    /// });
    /// assert_eq!(runtime.metrics().budget_forced_yield_count(), 1);
    /// ```
    pub fn budget_forced_yield_count(&self) -> u64 {
        self.pool.forced_yields()
    }

    /// Returns the number of threads for blocking jobs, busy or idle.
    ///
    /// There are at most [`Builder::max_blocking_threads`](super::Builder::max_blocking_threads).
    /// Workers do not count.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// assert_eq!(runtime.metrics().num_blocking_threads(), 0);
    /// runtime.block_on(runtime.spawn_blocking(|| ())).unwrap();
    /// assert_eq!(runtime.metrics().num_blocking_threads(), 1, "the thread waits for another job");
    /// ```
    pub fn num_blocking_threads(&self) -> usize {
        self.pool.blocking.counts().threads
    }

    /// Returns the number of [threads for blocking jobs](RuntimeMetrics::num_blocking_threads) that
    /// wait for a job.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(runtime.spawn_blocking(|| ())).unwrap();
    /// // The thread has done its job, and soon waits for another one.
    /// while runtime.metrics().num_idle_blocking_threads() == 0 {
    ///     std::thread::yield_now();
    /// }
    /// ```
    pub fn num_idle_blocking_threads(&self) -> usize {
        self.pool.blocking.counts().idle
    }

    /// Returns the number of blocking jobs that wait for a thread. A job waits if all threads are
    /// busy, and the runtime may start no more.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread()
    ///     .max_blocking_threads(1)
    ///     .build()
    ///     .unwrap();
    /// let (end, ended) = std::sync::mpsc::channel::<()>();
    /// let first = runtime.spawn_blocking(move || ended.recv().is_err());
    /// let second = runtime.spawn_blocking(|| ());
    /// assert_eq!(runtime.metrics().blocking_queue_depth(), 1, "the second waits");
    /// drop(end);
    /// assert!(runtime.block_on(async { (first.await.unwrap(), second.await.unwrap()).0 }));
    /// assert_eq!(runtime.metrics().blocking_queue_depth(), 0);
    /// ```
    pub fn blocking_queue_depth(&self) -> usize {
        self.pool.blocking.counts().queued
    }

    /// Returns how many sockets and other descriptors have been registered with the reactor so far.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    /// let socket = runtime.block_on(heist::net::UdpSocket::bind("127.0.0.1:0")).unwrap();
    /// assert_eq!(runtime.metrics().io_driver_fd_registered_count(), 1);
    /// # drop(socket);
    /// ```
    pub fn io_driver_fd_registered_count(&self) -> u64 {
        self.pool.reactor.counts().registered
    }

    /// Returns how many sockets and other descriptors have been deregistered from the reactor so
    /// far.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    /// let socket = runtime.block_on(heist::net::UdpSocket::bind("127.0.0.1:0")).unwrap();
    /// drop(socket);
    /// assert_eq!(runtime.metrics().io_driver_fd_deregistered_count(), 1);
    /// ```
    pub fn io_driver_fd_deregistered_count(&self) -> u64 {
        self.pool.reactor.counts().deregistered
    }

    /// Returns how many readiness events the reactor has delivered so far.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::net::UdpSocket;
    ///
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    /// runtime.block_on(async {
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let address = socket.local_addr()?;
    ///     let received = heist::spawn(async move { socket.recv(&mut [0; 8]).await });
    ///     heist::task::yield_now().await; // now it waits
    ///     UdpSocket::bind("127.0.0.1:0").await?.send_to(b"hello", address).await?;
    ///     received.await.unwrap()
    /// })?;
    /// assert!(runtime.metrics().io_driver_ready_count() >= 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn io_driver_ready_count(&self) -> u64 {
        self.pool.reactor.counts().events
    }
}

impl RuntimeMetrics {
    /// Returns the seat with this index.
    #[track_caller]
    pub(super) fn seat(&self, worker: usize) -> &Seat {
        let seats = &self.pool.seats;
        match seats.get(worker) {
            Some(seat) => seat,
            // Not in a closure, whose line would be the location of the panic.
            None => panic!(
                "there is no worker {worker}: this runtime has had {}; use an index below `num_worker_slots()`",
                seats.len()
            ),
        }
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
