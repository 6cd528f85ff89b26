//! Figures about one worker.

use std::thread::ThreadId;
use std::time::Duration;

use super::RuntimeMetrics;

/// One worker.
impl RuntimeMetrics {
    /// The thread that `worker` is now. `None` if it has not started yet or has left; on a
    /// current-thread runtime, if no `block_on` drives.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// let metrics = runtime.metrics();
    /// assert_eq!(metrics.worker_thread_id(0), None);
    /// let driver = runtime.block_on(async { metrics.worker_thread_id(0) });
    /// assert_eq!(driver, Some(std::thread::current().id()));
    /// ```
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_thread_id(&self, worker: usize) -> Option<ThreadId> {
        self.seat(worker).occupant()
    }

    /// For how long `worker` has been at work, in all: awake, and not looking for events in place
    /// of a sleep. Brought up to date when it looks around (about every 100 µs), when it goes to
    /// sleep, and when it leaves.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async { heist::spawn(async { (0..1000).sum::<u64>() }).await.unwrap() });
    /// assert!(runtime.metrics().worker_total_busy_duration(0) > std::time::Duration::ZERO);
    /// ```
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_total_busy_duration(&self, worker: usize) -> Duration {
        Duration::from_nanos(self.seat(worker).stats.busy.get())
    }

    /// How often `worker` went to sleep, having found nothing to do. Looking for events for a while
    /// before that is part of the sleep.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    /// runtime.block_on(async { heist::time::sleep(std::time::Duration::from_millis(1)).await });
    /// assert!(runtime.metrics().worker_park_count(0) >= 1);
    /// ```
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_park_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.parks.get().div_ceil(2)
    }

    /// How often `worker` went to sleep, and how often it got up again, together: odd while it
    /// sleeps.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    /// let metrics = runtime.metrics();
    /// let asleep = || metrics.worker_park_unpark_count(0) % 2 == 1;
    /// while !asleep() {
    ///     std::thread::yield_now();
    /// }
    /// let awake = metrics.clone();
    /// let task = runtime.spawn(async move { awake.worker_park_unpark_count(0) % 2 == 0 });
    /// assert!(runtime.block_on(task).unwrap());
    /// ```
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_park_unpark_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.parks.get()
    }

    /// How often `worker` got up and went back to sleep without having polled a task: it was woken
    /// for nothing, or another worker was faster. Counted when it goes back to sleep. The future of
    /// a `block_on` is no task.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// assert_eq!(runtime.metrics().worker_noop_count(0), 0, "it did not even sleep");
    /// ```
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
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// assert_eq!(runtime.metrics().worker_steal_count(0), 0, "there is nobody to take from");
    /// ```
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
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// assert_eq!(runtime.metrics().worker_steal_operations(0), 0, "there is nobody to take from");
    /// ```
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
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async { heist::spawn(heist::task::yield_now()).await.unwrap() });
    /// assert_eq!(runtime.metrics().worker_poll_count(0), 2);
    /// ```
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_poll_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.polls.get()
    }

    /// How long a poll of `worker` takes of late, on average: a moving mean that is brought up to
    /// date when the worker looks around (about every 100 µs) or rests. The time between two polls
    /// is included. Zero if none has been measured.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// println!("a poll takes {:?}", runtime.metrics().worker_mean_poll_time(0));
    /// ```
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_mean_poll_time(&self, worker: usize) -> Duration {
        Duration::from_nanos(self.seat(worker).stats.mean_poll.get())
    }

    /// How often `worker` itself queued a task, because its tasks or its events spawned it or woke
    /// it, or because the task let others go first. For those from elsewhere see
    /// [`remote_schedule_count`](RuntimeMetrics::remote_schedule_count). Brought up to date when
    /// the worker looks around (about every 100 µs), when it goes to sleep, and when it leaves.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async { heist::spawn(heist::task::yield_now()).await.unwrap() });
    /// assert_eq!(runtime.metrics().worker_local_schedule_count(0), 2, "a spawn and a yield");
    /// ```
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
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     for _ in 0..300 {
    ///         drop(heist::spawn(async {})); // the queue has room for 256
    ///     }
    /// });
    /// assert_eq!(runtime.metrics().worker_overflow_count(0), 1);
    /// ```
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_overflow_count(&self, worker: usize) -> u64 {
        self.seat(worker).stats.overflows.get()
    }

    /// Tasks in the queue of `worker` now. One may wait besides in the slot for the task that was
    /// woken last.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// let metrics = runtime.metrics();
    /// runtime.block_on(async {
    ///     drop(heist::spawn(async {}));
    ///     assert_eq!(metrics.worker_local_queue_depth(0), 1);
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// If there has never been such a worker.
    #[track_caller]
    pub fn worker_local_queue_depth(&self, worker: usize) -> usize {
        self.seat(worker).thief.len()
    }
}
