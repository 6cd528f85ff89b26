//! How often workers check their event sources, and in which order they poll tasks.

use std::time::Duration;

use super::Builder;
use crate::pool::local::CheckIntervals;

/// How often workers check their event sources, and in which order they poll tasks.
impl Builder {
    /// Sets after how many polls in a row a worker checks sockets and timers. It then checks after
    /// exactly this number of polls, however long they take. Polls of a root future that the worker
    /// drives count, too.
    ///
    /// By default, a worker checks about every 100 µs, as its recent poll times predict, and after
    /// 1,024 polls at the latest. A worker without tasks checks at once.
    ///
    /// # Panics
    ///
    /// Panics if `polls` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// // As in Tokio.
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .event_interval(61)
    ///     .build()
    ///     .unwrap();
    /// # drop(runtime);
    /// ```
    #[track_caller]
    pub fn event_interval(&mut self, polls: u32) -> &mut Builder {
        assert!(polls > 0, "event_interval(0): a worker cannot check more often than after each poll; use 1");
        self.settings.pace.polls = polls;
        self.settings.pace.nanos = CheckIntervals::COUNTED;
        self
    }

    /// Sets after how many polls in a row a worker checks the global queue, where tasks wait that
    /// other threads have spawned or woken. The worker polls the first of them, and takes its share
    /// of the rest.
    ///
    /// It checks after exactly this number of polls, with one exception: between two checks that
    /// yield a task, the worker's own tasks have a turn.
    ///
    /// The default is exactly 31 on a current-thread runtime. On a multi-threaded runtime, a worker
    /// checks after 61 polls at the latest, and whenever it checks sockets and timers. A worker
    /// without tasks of its own checks at once.
    ///
    /// # Panics
    ///
    /// Panics if `polls` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// // Checks for tasks of other threads after every fourth poll.
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .global_queue_interval(4)
    ///     .build()
    ///     .unwrap();
    /// # drop(runtime);
    /// ```
    #[track_caller]
    pub fn global_queue_interval(&mut self, polls: u32) -> &mut Builder {
        assert!(polls > 0, "global_queue_interval(0): a worker cannot check more often than after each poll; use 1");
        self.settings.pace.global = polls;
        self.settings.pace.global_is_exact = true;
        self
    }

    /// Sets the share of the workers' time that each lower priority gets at least, in percent,
    /// while higher ones are busy. The default is 5. See [`TaskGroup`](super::TaskGroup).
    ///
    /// # Panics
    ///
    /// Panics if `percent` is zero or more than 25.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .group_minimum_share(10)
    ///     .build()
    ///     .unwrap();
    /// # drop(runtime);
    /// ```
    #[track_caller]
    pub fn group_minimum_share(&mut self, percent: u32) -> &mut Builder {
        assert!(
            (1..=25).contains(&percent),
            "group_minimum_share({percent}): zero would starve lower priorities, and more than 25 would leave little for \
             the highest; use 1 to 25"
        );
        self.settings.group_min_share = percent;
        self
    }

    /// Sets how many events a worker takes from the operating system at once, at most.
    ///
    /// It applies to idle workers, and to busy ones unless a later call of
    /// [`Builder::max_io_events_per_busy_tick`] sets another number. Events that are left over are
    /// taken at the next check. The default is 256 for an idle worker and 64 for a busy one. The
    /// maximum is 65,536. With more than eight workers, the reactor has several sets of sockets,
    /// and the number applies to each.
    ///
    /// # Panics
    ///
    /// Panics if `events` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .enable_io()
    ///     .max_io_events_per_tick(1024)
    ///     .build()
    ///     .unwrap();
    /// # drop(runtime);
    /// ```
    #[track_caller]
    pub fn max_io_events_per_tick(&mut self, events: usize) -> &mut Builder {
        assert!(events > 0, "max_io_events_per_tick(0): no socket would ever become ready; use at least 1");
        self.settings.events_parked = events;
        self.settings.events_busy = events;
        self
    }

    /// Sets how many events a busy worker takes from the operating system at once, at most. A small
    /// number keeps the worker's tasks from waiting behind a batch of events.
    ///
    /// The default is 64, or the number of an earlier call of [`Builder::max_io_events_per_tick`].
    ///
    /// # Panics
    ///
    /// Panics if `events` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .enable_io()
    ///     .max_io_events_per_tick(1024)
    ///     .max_io_events_per_busy_tick(16)
    ///     .build()
    ///     .unwrap();
    /// # drop(runtime);
    /// ```
    #[track_caller]
    pub fn max_io_events_per_busy_tick(&mut self, events: usize) -> &mut Builder {
        assert!(events > 0, "max_io_events_per_busy_tick(0): no socket would become ready under load; use at least 1");
        self.settings.events_busy = events;
        self
    }

    /// Disables the LIFO slot: a woken task goes behind the tasks that are ready.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .disable_lifo_slot()
    ///     .build()
    ///     .unwrap();
    /// # drop(runtime);
    /// ```
    pub fn disable_lifo_slot(&mut self) -> &mut Builder {
        self.settings.lifo = false;
        self
    }

    /// Sets how long a worker without tasks spins for events before it sleeps, at most. The default
    /// is 50 µs. Zero disables spinning.
    ///
    /// A sleeping thread may take longer to wake up than a client to send its next request. The
    /// spin time adapts. It grows while sleeps would have been short, and shrinks to nothing while
    /// they are long. So an idle runtime does not spin. At most one worker spins, the one that
    /// would sleep in the reactor. It yields its processor to other threads first.
    ///
    /// Every duration is valid. With [`Duration::MAX`] every sleep counts as short: after some time
    /// the worker never sleeps, and keeps its processor busy.
    ///
    /// # Examples
    ///
    /// ```
    /// // Workers sleep at once, and leave the processor to other threads.
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .spin_before_park(std::time::Duration::ZERO)
    ///     .build()
    ///     .unwrap();
    /// # drop(runtime);
    /// ```
    pub fn spin_before_park(&mut self, max: Duration) -> &mut Builder {
        self.settings.spin = max;
        self
    }

    /// Sets the seed of the order in which a worker searches the other workers for tasks.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().rng_seed(7).build().unwrap();
    /// # drop(runtime);
    /// ```
    pub fn rng_seed(&mut self, seed: u64) -> &mut Builder {
        self.settings.seed = seed;
        self
    }
}
