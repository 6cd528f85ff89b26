//! Metrics of one worker.

use std::thread::ThreadId;
use std::time::Duration;

use super::RuntimeMetrics;

/// Metrics of one worker.
impl RuntimeMetrics {
    /// Returns the thread of the worker.
    ///
    /// Returns `None` if the worker has not started or has exited, or if no `block_on` drives a
    /// current-thread runtime.
    ///
    /// # Panics
    ///
    /// Panics if no worker has had the index `worker`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// let metrics = runtime.metrics();
    /// assert_eq!(metrics.worker_thread_id(0), None);
    /// let driver = runtime.block_on(async { metrics.worker_thread_id(0) });
    /// assert_eq!(driver, Some(std::thread::current().id()));
    /// ```
    #[track_caller]
    pub fn worker_thread_id(&self, worker: usize) -> Option<ThreadId> {
        self.seat(worker).occupant()
    }

    /// Returns how long the worker has been busy in total. Time in which it sleeps, or spins for
    /// events before a sleep, does not count.
    ///
    /// The worker updates it about every 100 µs, when it goes to sleep, and when it exits.
    ///
    /// # Panics
    ///
    /// Panics if no worker has had the index `worker`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async { heist::spawn(async { (0..1000).sum::<u64>() }).await.unwrap() });
    /// assert!(runtime.metrics().worker_total_busy_duration(0) > std::time::Duration::ZERO);
    /// ```
    #[track_caller]
    pub fn worker_total_busy_duration(&self, worker: usize) -> Duration {
        Duration::from_nanos(self.seat(worker).stats.busy.get())
    }

    /// Returns how often the worker has gone to sleep because it had no task. Spinning for events
    /// before that is part of the sleep.
    ///
    /// # Panics
    ///
    /// Panics if no worker has had the index `worker`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    /// runtime.block_on(async { heist::time::sleep(std::time::Duration::from_millis(1)).await });
    /// assert!(runtime.metrics().worker_park_count(0) >= 1);
    /// ```
    #[track_caller]
    pub fn worker_park_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.parks.get().div_ceil(2)
    }

    /// Returns how often the worker has gone to sleep, plus how often it has woken up. The number
    /// is odd while the worker sleeps.
    ///
    /// # Panics
    ///
    /// Panics if no worker has had the index `worker`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .build()
    ///     .unwrap();
    /// let metrics = runtime.metrics();
    /// let asleep = || metrics.worker_park_unpark_count(0) % 2 == 1;
    /// while !asleep() {
    ///     std::thread::yield_now();
    /// }
    /// let awake = metrics.clone();
    /// let task = runtime.spawn(async move { awake.worker_park_unpark_count(0) % 2 == 0 });
    /// assert!(runtime.block_on(task).unwrap());
    /// ```
    #[track_caller]
    pub fn worker_park_unpark_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.parks.get()
    }

    /// Returns how often the worker woke up and went back to sleep without having polled a task.
    /// Either the wake-up had no cause, or another worker took the task.
    ///
    /// The worker counts it when it goes back to sleep. The root future of a `block_on` is not a
    /// task.
    ///
    /// # Panics
    ///
    /// Panics if no worker has had the index `worker`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// assert_eq!(runtime.metrics().worker_noop_count(0), 0, "the worker did not sleep");
    /// ```
    #[track_caller]
    pub fn worker_noop_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.noops.get()
    }

    /// Returns how many tasks the worker has stolen from the queues of other workers. It counts
    /// them when it has them.
    ///
    /// # Panics
    ///
    /// Panics if no worker has had the index `worker`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// assert_eq!(runtime.metrics().worker_steal_count(0), 0, "there is no other worker");
    /// ```
    #[track_caller]
    pub fn worker_steal_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.stolen.get()
    }

    /// Returns how often the worker has stolen from the queue of another worker. Each time it takes
    /// one task or more; see [`worker_steal_count`](RuntimeMetrics::worker_steal_count).
    ///
    /// # Panics
    ///
    /// Panics if no worker has had the index `worker`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// assert_eq!(runtime.metrics().worker_steal_operations(0), 0, "there is no other worker");
    /// ```
    #[track_caller]
    pub fn worker_steal_operations(&self, worker: usize) -> u64 {
        self.seat(worker).stats.steals.get()
    }

    /// Returns how many polls of tasks the worker has begun. Polls of the root future of a
    /// `block_on` do not count.
    ///
    /// # Panics
    ///
    /// Panics if no worker has had the index `worker`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async { heist::spawn(heist::task::yield_now()).await.unwrap() });
    /// assert_eq!(runtime.metrics().worker_poll_count(0), 2);
    /// ```
    #[track_caller]
    pub fn worker_poll_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.polls.get()
    }

    /// Returns the moving average of the worker's recent poll times. The time between two polls is
    /// included.
    ///
    /// The worker updates it about every 100 µs, and when it has nothing to do. The result is zero
    /// if no poll has been measured.
    ///
    /// # Panics
    ///
    /// Panics if no worker has had the index `worker`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// println!("a poll takes {:?}", runtime.metrics().worker_mean_poll_time(0));
    /// ```
    #[track_caller]
    pub fn worker_mean_poll_time(&self, worker: usize) -> Duration {
        Duration::from_nanos(self.seat(worker).stats.mean_poll.get())
    }

    /// Returns how often the worker has queued a task: its tasks or events spawned or woke it, or
    /// the task yielded. [`remote_schedule_count`](RuntimeMetrics::remote_schedule_count) counts
    /// tasks from other threads. Tasks of groups count for neither.
    ///
    /// The worker updates it about every 100 µs, when it goes to sleep, and when it exits.
    ///
    /// # Panics
    ///
    /// Panics if no worker has had the index `worker`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async { heist::spawn(heist::task::yield_now()).await.unwrap() });
    /// assert_eq!(runtime.metrics().worker_local_schedule_count(0), 2, "a spawn and a yield");
    /// ```
    #[track_caller]
    pub fn worker_local_schedule_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.scheduled.get()
    }

    /// Returns how often the worker's queue was full, so that half of it was moved to the global
    /// queue.
    ///
    /// # Panics
    ///
    /// Panics if no worker has had the index `worker`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     for _ in 0..300 {
    ///         drop(heist::spawn(async {})); // the queue has room for 256
    ///     }
    /// });
    /// assert_eq!(runtime.metrics().worker_overflow_count(0), 1);
    /// ```
    #[track_caller]
    pub fn worker_overflow_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.overflows.get()
    }

    /// Returns the number of tasks in the worker's queue. The task in its LIFO slot does not count.
    ///
    /// # Panics
    ///
    /// Panics if no worker has had the index `worker`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// let metrics = runtime.metrics();
    /// runtime.block_on(async {
    ///     drop(heist::spawn(async {}));
    ///     assert_eq!(metrics.worker_local_queue_depth(0), 1);
    /// });
    /// ```
    #[track_caller]
    pub fn worker_local_queue_depth(&self, worker: usize) -> usize {
        self.seat(worker).thief.len()
    }
}
