//! Figures about a runtime.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::pool::{Pool, Seat};
use crate::sync::Arc;

/// Figures about a runtime.
///
/// Each worker counts for itself, in memory that nobody else writes to; the sums are made when
/// somebody asks. So counting costs the workers next to nothing, a figure of a worker that is busy
/// may lag behind by a moment, and figures that are read one after the other are not of the same
/// moment. Counts begin at zero when the runtime is made, and never go down.
///
/// # Workers
///
/// The figures of a worker are those of its *seat*: the place with this number, from zero, whoever
/// sits there. On a current-thread runtime there is one, for whichever thread drives.
/// [`resize`](super::Runtime::resize) adds seats at the end and leaves them from the end, and
/// [spares](super::Builder::max_spare_workers) sit behind the workers for as long as they are
/// needed. A seat that has been left keeps its counts, which can be read as before, and whoever
/// takes it again goes on counting. So a sum over all seats that there have ever been loses
/// nothing: the numbers below [`num_worker_slots`](RuntimeMetrics::num_worker_slots) are valid. Methods that take
/// the number of a worker panic if it is another.
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
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    /// assert_eq!(runtime.metrics().num_workers(), 2);
    /// runtime.resize(3).wait().unwrap();
    /// assert_eq!(runtime.metrics().num_workers(), 3);
    /// ```
    pub fn num_workers(&self) -> usize {
        self.pool.base_workers()
    }

    /// Seats that there have ever been: figures can be asked for of a worker with a number below
    /// it.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(3).build().unwrap();
    /// runtime.block_on(runtime.spawn(async {})).unwrap();
    /// runtime.resize(1).wait().unwrap();
    ///
    /// let metrics = runtime.metrics();
    /// let polls: u64 = (0..metrics.num_worker_slots()).map(|worker| metrics.worker_poll_count(worker)).sum();
    /// assert_eq!((metrics.num_workers(), polls), (1, 1), "whoever made it");
    /// ```
    pub fn num_worker_slots(&self) -> usize {
        self.pool.seats.len()
    }

    /// Spares now: threads in place of workers that are stuck, see
    /// [`Builder::max_spare_workers`](super::Builder::max_spare_workers), or in
    /// [`block_in_place`](crate::task::block_in_place).
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    /// // Nobody is stuck.
    /// assert_eq!(runtime.metrics().num_spare_workers(), 0);
    /// ```
    pub fn num_spare_workers(&self) -> usize {
        self.pool.worker_set.active_spares()
    }

    /// Spares that were started so far.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    /// assert_eq!(runtime.metrics().spare_start_count(), 0);
    /// ```
    pub fn spare_start_count(&self) -> u64 {
        self.pool.stalls.spares()
    }

    /// Stalls that have been reported so far: polls that lasted for
    /// [`Builder::stall_threshold`](super::Builder::stall_threshold).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    /// let metrics = runtime.metrics();
    /// runtime.spawn(async move {
    ///     // Never do that: it holds the worker up. Here, until it has been noticed.
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

    /// How often other threads took over work, timers or the reactor of a worker in a long poll, or
    /// woke another worker for that. The poll blocks or computes. For workers that get no processor
    /// see [`preempted_rescue_count`](Self::preempted_rescue_count).
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    /// // Nobody is stuck.
    /// assert_eq!(runtime.metrics().rescue_count(), 0);
    /// ```
    pub fn rescue_count(&self) -> u64 {
        self.pool.stalls.rescues.get()
    }

    /// As [`rescue_count`](Self::rescue_count), where the worker was ready to run and had no
    /// processor. The task is not the cause: the machine has too few processors for its load. If
    /// there are many of these, the runtime has too many workers for the processors that it gets.
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

    /// How long the reported stalls have lasted that are over: how many there were of each length.
    /// Each range is twice as long as the one before; the first begins at zero, and the last has no
    /// end.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
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

    /// Tasks that have been spawned and have not ended. Jobs of
    /// [`spawn_blocking`](crate::task::spawn_blocking) do not count.
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

    /// Tasks that have been spawned so far. Jobs of [`spawn_blocking`](crate::task::spawn_blocking)
    /// do not count.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// assert_eq!(runtime.metrics().spawned_tasks_count(), 1);
    /// ```
    pub fn spawned_tasks_count(&self) -> u64 {
        self.pool.spawned()
    }

    /// Tasks in the global queue now: those that were spawned or woken from outside, and those that
    /// a worker had no room for.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// // Nobody runs it yet.
    /// drop(runtime.spawn(async {}));
    /// assert_eq!(runtime.metrics().global_queue_depth(), 1);
    /// ```
    pub fn global_queue_depth(&self) -> usize {
        self.pool.global.len()
    }

    /// How often a task was queued by a thread that is no worker of the runtime, for being spawned
    /// or woken there. That is dearer than [by a
    /// worker](RuntimeMetrics::worker_local_schedule_count).
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// let task = runtime.spawn(async {});
    /// runtime.block_on(async {
    ///     task.await.unwrap();
    ///     heist::spawn(async {}).await.unwrap();
    /// });
    /// assert_eq!(runtime.metrics().remote_schedule_count(), 1, "the first one");
    /// ```
    pub fn remote_schedule_count(&self) -> u64 {
        self.pool.global.outsiders()
    }

    /// How often a poll, of a task or of a future in `block_on`, found something ready and had to
    /// wait nevertheless, because it had spent its [budget](crate::task::coop). Counted once for
    /// each such poll, when it has ended.
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

    /// Threads for blocking jobs now, at work or waiting for it; at most
    /// [`Builder::max_blocking_threads`](super::Builder::max_blocking_threads). Workers do not
    /// count.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// assert_eq!(runtime.metrics().num_blocking_threads(), 0);
    /// runtime.block_on(runtime.spawn_blocking(|| ())).unwrap();
    /// assert_eq!(runtime.metrics().num_blocking_threads(), 1, "it waits for another job");
    /// ```
    pub fn num_blocking_threads(&self) -> usize {
        self.pool.blocking.counts().threads
    }

    /// Those of the [threads for blocking jobs](RuntimeMetrics::num_blocking_threads) that wait for
    /// a job.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(runtime.spawn_blocking(|| ())).unwrap();
    /// // It has done its job, and waits for another one very soon.
    /// while runtime.metrics().num_idle_blocking_threads() == 0 {
    ///     std::thread::yield_now();
    /// }
    /// ```
    pub fn num_idle_blocking_threads(&self) -> usize {
        self.pool.blocking.counts().idle
    }

    /// Blocking jobs that no thread has begun, because all are at work and there may be no more.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    /// let (end, ended) = std::sync::mpsc::channel::<()>();
    /// let first = runtime.spawn_blocking(move || ended.recv().is_err());
    /// let second = runtime.spawn_blocking(|| ());
    /// assert_eq!(runtime.metrics().blocking_queue_depth(), 1, "the second waits for the first");
    /// drop(end);
    /// assert!(runtime.block_on(async { (first.await.unwrap(), second.await.unwrap()).0 }));
    /// assert_eq!(runtime.metrics().blocking_queue_depth(), 0);
    /// ```
    pub fn blocking_queue_depth(&self) -> usize {
        self.pool.blocking.counts().queued
    }

    /// Sockets and other descriptors registered with the reactor so far.
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

    /// Sockets and other descriptors taken off the reactor so far.
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

    /// Events that the reactor has brought to a socket or another descriptor so far.
    ///
    /// ```
    /// use heist::net::UdpSocket;
    ///
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    /// runtime.block_on(async {
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let address = socket.local_addr()?;
    ///     let heard = heist::spawn(async move { socket.recv(&mut [0; 8]).await });
    ///     heist::task::yield_now().await; // it waits
    ///     UdpSocket::bind("127.0.0.1:0").await?.send_to(b"hello", address).await?;
    ///     heard.await.unwrap()
    /// })?;
    /// assert!(runtime.metrics().io_driver_ready_count() >= 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn io_driver_ready_count(&self) -> u64 {
        self.pool.reactor.counts().events
    }
}

impl RuntimeMetrics {
    /// That of a worker.
    #[track_caller]
    pub(super) fn seat(&self, worker: usize) -> &Seat {
        let seats = &self.pool.seats;
        match seats.get(worker) {
            Some(seat) => seat,
            // Not in a closure, whose line would be the location of the panic.
            None => panic!(
                "there is no worker {worker}: this runtime has had {}; ask for those below `num_worker_slots()`",
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
