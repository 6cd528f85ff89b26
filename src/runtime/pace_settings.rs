//! When workers look around, and in which order they poll.

use std::time::Duration;

use super::Builder;
use crate::pool::local::CheckIntervals;

/// When workers look around, and in which order they poll.
impl Builder {
    /// After how many polls in a row a worker looks at sockets and timers: exactly so many, however
    /// long they take. Polls of a root future that is driven here count, too. By default it looks
    /// about every 100 µs, by the length of its recent polls, and at the latest after 1,024 of
    /// them. A worker that has nothing to do looks at once.
    ///
    /// ```
    /// // As Tokio does.
    /// let runtime = heist::runtime::Builder::new_multi_thread().event_interval(61).build().unwrap();
    /// # drop(runtime);
    /// ```
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn event_interval(&mut self, polls: u32) -> &mut Builder {
        assert!(polls > 0, "event_interval(0): a worker cannot look around more often than after each poll; use 1");
        self.settings.pace.polls = polls;
        self.settings.pace.nanos = CheckIntervals::COUNTED;
        self
    }

    /// After how many polls in a row a worker looks at the global queue, where the tasks wait that
    /// were spawned or woken by other threads: it polls the first of them, and takes its share of
    /// the others. Whoever says it gets exactly so many; only that the worker's own tasks have a
    /// turn between any two looks that it polls from. The default is 31 on a current-thread
    /// runtime, exactly; else at most 61, and a look whenever sockets and timers are looked at. A
    /// worker that has nothing of its own to do looks at once.
    ///
    /// ```
    /// // What comes from other threads is seen to after every fourth poll.
    /// let runtime = heist::runtime::Builder::new_multi_thread().global_queue_interval(4).build().unwrap();
    /// # drop(runtime);
    /// ```
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn global_queue_interval(&mut self, polls: u32) -> &mut Builder {
        assert!(
            polls > 0,
            "global_queue_interval(0): a worker cannot look around more often than after each poll; use 1"
        );
        self.settings.pace.global = polls;
        self.settings.pace.global_is_exact = true;
        self
    }

    /// How many events a worker that has nothing else to do takes from the operating system at
    /// once, at most; and one that is busy, unless [`Builder::max_io_events_per_busy_tick`] says
    /// otherwise. What is left over is taken at the next look. By default 256, and 64 where the
    /// worker is busy; never more than 65,536. With more than eight workers there are several sets
    /// of sockets, and it goes for each.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().enable_io().max_io_events_per_tick(1024).build().unwrap();
    /// # drop(runtime);
    /// ```
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_io_events_per_tick(&mut self, events: usize) -> &mut Builder {
        assert!(events > 0, "max_io_events_per_tick(0): no socket would ever become ready; use at least 1");
        self.settings.events_parked = events;
        self.settings.events_busy = events;
        self
    }

    /// How many events a busy worker takes from the operating system at once, at most: few, so that
    /// what it has to do does not wait behind all of them. The default is 64, or what
    /// [`Builder::max_io_events_per_tick`] has said before.
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
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_io_events_per_busy_tick(&mut self, events: usize) -> &mut Builder {
        assert!(events > 0, "max_io_events_per_busy_tick(0): no socket would become ready under load; use at least 1");
        self.settings.events_busy = events;
        self
    }

    /// Switches the LIFO slot off: a woken task goes behind those that are ready.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().disable_lifo_slot().build().unwrap();
    /// # drop(runtime);
    /// ```
    pub fn disable_lifo_slot(&mut self) -> &mut Builder {
        self.settings.lifo = false;
        self
    }

    /// How long, at most, a worker that has run dry looks for events before it sleeps. The default
    /// is 50 µs; zero switches it off.
    ///
    /// A thread that has gone to sleep needs longer to get up than many a client needs for its next
    /// request. The time adapts: it grows while sleeps would have been short, and shrinks to
    /// nothing while they are long, so an idle runtime does not spin. At most one worker spins, the
    /// one that would sleep in the reactor, and it lets other threads of its processor go first.
    ///
    /// Any duration works. With [`Duration::MAX`] every sleep counts as short. After some time the
    /// worker never sleeps, and keeps its processor busy.
    ///
    /// ```
    /// // Sleeps at once, and leaves the processor to others.
    /// let runtime = heist::runtime::Builder::new_multi_thread().spin_before_park(std::time::Duration::ZERO).build().unwrap();
    /// # drop(runtime);
    /// ```
    pub fn spin_before_park(&mut self, most: Duration) -> &mut Builder {
        self.settings.spin = most;
        self
    }

    /// The seed of the order in which workers search each other.
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
