//! Settings, and the making of a runtime.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use super::numbers::{default_workers, most_spares, most_workers};
use super::{LocalOptions, LocalRuntime, Resized, Runtime, StallReport, ThreadSeat};
use crate::blocking::{self, BlockingPool};
use crate::local::Pace;
use crate::pool::{Follow, OwnThread, Pool, Settings};
use crate::quota::{self, Follower};
use crate::sentinel::Chore;
use crate::sync::Arc;
use crate::threads;

/// Builds a [`Runtime`].
///
/// ```
/// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
/// runtime.block_on(async { heist::time::sleep(std::time::Duration::from_micros(200)).await });
/// ```
///
/// With more to say:
///
/// ```
/// use heist::runtime::Builder;
/// use std::time::Duration;
///
/// let runtime = Builder::new_multi_thread()
///     .name("shop")
///     .enable_io()
///     .enable_time()
///     .worker_threads(2)
///     .max_worker_threads(8)
///     .follow_cpu_quota(true)
///     .after_resize(|resized| println!("{} → {} workers", resized.from, resized.to))
///     .max_blocking_threads(64)
///     .thread_keep_alive(Duration::from_secs(1))
///     .thread_name("shop-worker")
///     .thread_stack_size(1 << 20)
///     .on_thread_start(|| println!("a thread comes"))
///     .on_thread_stop(|| println!("a thread goes"))
///     .on_thread_park(|| {})
///     .on_thread_unpark(|| {})
///     .event_interval(61)
///     .global_queue_interval(31)
///     .max_io_events_per_tick(512)
///     .max_io_events_per_busy_tick(32)
///     .disable_lifo_slot()
///     .spin_before_park(Duration::ZERO)
///     .shutdown_grace(Duration::from_secs(1))
///     .rng_seed(7)
///     .build()?;
/// assert_eq!(runtime.block_on(async { heist::spawn(async { 7 }).await })?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Builder {
    workers: Option<usize>,
    max_workers: Option<usize>,
    max_spares: Option<usize>,
    pub(super) settings: Settings,
}

impl Builder {
    /// For a runtime with worker threads: as many as the machine has processors that this process may use (its affinity mask
    /// and its cgroup's quota included), unless [`Builder::worker_threads`] or the variable `HEIST_WORKER_THREADS` says otherwise.
    pub fn new_multi_thread() -> Builder {
        Builder { workers: None, max_workers: None, max_spares: None, settings: Settings::new(1) }
    }

    /// For a runtime without threads of its own: its tasks run inside of [`Runtime::block_on`].
    pub fn new_current_thread() -> Builder {
        let mut settings = Settings::new(1);
        settings.current_thread = true;
        settings.sentinel = false;
        settings.lifo = false;
        settings.pace = Pace { global: 31, global_is_exact: true, ..settings.pace };
        Builder { workers: Some(1), max_workers: Some(1), max_spares: None, settings }
    }

    /// How many worker threads there are. No effect on a current-thread runtime.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn worker_threads(&mut self, workers: usize) -> &mut Builder {
        assert!(
            workers > 0,
            "worker_threads(0): a runtime needs at least one worker thread; for none, use `new_current_thread`"
        );
        if !self.settings.current_thread {
            self.workers = Some(workers);
        }
        self
    }

    /// How many worker threads there may be after a [`Runtime::resize`]. The default is 64, or four times the number of processors, or
    /// [`Builder::worker_threads`], whichever is most. A place that is not used costs next to nothing. No effect on a
    /// current-thread runtime.
    ///
    /// # Panics
    ///
    /// If it is zero. That it is not below `worker_threads`, nor above 16,384, is checked by [`Builder::build`].
    #[track_caller]
    pub fn max_worker_threads(&mut self, workers: usize) -> &mut Builder {
        assert!(workers > 0, "max_worker_threads(0): a runtime needs at least one worker thread");
        if !self.settings.current_thread {
            self.max_workers = Some(workers);
        }
        self
    }

    /// Called after each change of the number of workers by [`Runtime::resize`], once for each version and in their order, by the
    /// thread that has made the change (or by another one that is resizing), with no lock held. Workers that have to leave may not
    /// have left yet. It may resize, and wait for that where whoever resizes might (see [`Resize::wait`](crate::resize::Resize::wait)):
    /// not in a task, nor under [`Builder::follow_cpu_quota`].
    pub fn after_resize(&mut self, hook: impl Fn(Resized) + Send + Sync + 'static) -> &mut Builder {
        self.settings.after_resize = Some(Arc::new(hook));
        self
    }

    /// Whether the number of workers follows the number of processors that this process may use: the whole processors of its control
    /// group's CPU quota (cgroup v1 and v2, those above it included), at most as many as its affinity mask has, and at most
    /// [`Builder::max_worker_threads`].
    ///
    /// While workers are busy the runtime looks every second, and resizes itself if there are more or fewer than it has workers; so a
    /// [`Runtime::resize`] to another number does not last. An idle runtime does not look until it has something to do again. It
    /// begins with [`Builder::worker_threads`]. Hooks and naming functions are called by a thread of the runtime's own then, which should
    /// not be held up. No effect on a current-thread runtime. The default is `false`.
    pub fn follow_cpu_quota(&mut self, follow: bool) -> &mut Builder {
        self.settings.follow = follow.then(quota::follow);
        self
    }

    /// The same with another root of the file system, and another pace; for the tests.
    #[doc(hidden)]
    pub fn follow_cpu_quota_in(&mut self, root: impl Into<PathBuf>, every: Duration) -> &mut Builder {
        self.settings.follow = Some(Follow { root: root.into(), every });
        self
    }

    /// How many threads [`spawn_blocking`](crate::task::spawn_blocking) may have at a time, at most. The default is 512.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_blocking_threads(&mut self, threads: usize) -> &mut Builder {
        assert!(threads > 0, "max_blocking_threads(0): spawn_blocking needs at least one thread");
        self.settings.max_blocking_threads = threads;
        self
    }

    /// How long an idle blocking thread stays. The default is ten seconds.
    pub fn thread_keep_alive(&mut self, duration: Duration) -> &mut Builder {
        self.settings.keep_alive = duration;
        self
    }

    /// Names the runtime, for [`Handle::name`](super::Handle::name); its threads are named by [`Builder::thread_name`]. By default it has no
    /// name.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().name("control").build().unwrap();
    /// assert_eq!(runtime.handle().name(), Some("control"));
    /// ```
    pub fn name(&mut self, name: impl Into<String>) -> &mut Builder {
        self.settings.name = Some(name.into());
        self
    }

    /// Names the threads. The default is `heist-worker`.
    pub fn thread_name(&mut self, name: impl Into<String>) -> &mut Builder {
        let name = name.into();
        self.thread_name_fn(move || name.clone())
    }

    /// Names each thread by a function.
    pub fn thread_name_fn(&mut self, name: impl Fn() -> String + Send + Sync + 'static) -> &mut Builder {
        self.settings.thread_name = Arc::new(name);
        self
    }

    /// Names each worker thread by a function of its seat and of the version of the worker set with which it comes. Other threads keep
    /// the name that [`Builder::thread_name`] or [`Builder::thread_name_fn`] gives.
    ///
    /// If it panics while the runtime is being resized, the thread is called `heist-worker`. It may resize, but not wait for that, which
    /// panics: the next resize begins when it has returned. Nor may it wait for anything else that waits for a resize.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(2)
    ///     .thread_name_with(|at| format!("worker-{}-{}", at.version, at.seat))
    ///     .build()
    ///     .unwrap();
    /// # drop(runtime);
    /// ```
    pub fn thread_name_with(&mut self, name: impl Fn(ThreadSeat) -> String + Send + Sync + 'static) -> &mut Builder {
        self.settings.worker_name = Some(Arc::new(name));
        self
    }

    /// The threads' stack size in bytes. The default is the platform's.
    pub fn thread_stack_size(&mut self, bytes: usize) -> &mut Builder {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// Called by each thread of the runtime when it starts.
    ///
    /// It may resize the runtime; waiting for that panics on a worker's thread, which may be one that has to leave. If it panics on a
    /// worker's thread, the process is aborted.
    pub fn on_thread_start(&mut self, hook: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.settings.on_thread_start = Some(Arc::new(hook));
        self
    }

    /// Called by each thread of the runtime before it ends. If it panics on a worker's thread, the process is aborted.
    pub fn on_thread_stop(&mut self, hook: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.settings.on_thread_stop = Some(Arc::new(hook));
        self
    }

    /// Called by a worker before it announces that it sleeps; what it spawns is run first.
    pub fn on_thread_park(&mut self, hook: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.settings.on_thread_park = Some(Arc::new(hook));
        self
    }

    /// Called by a worker after it has slept.
    pub fn on_thread_unpark(&mut self, hook: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.settings.on_thread_unpark = Some(Arc::new(hook));
        self
    }

    /// After how many polls in a row a worker looks at sockets and timers: exactly so many, however long they take. Polls of a root
    /// future that is driven here count, too. By default it looks about every 100 µs, by the length of its recent polls, and at the
    /// latest after 1,024 of them. A worker that has nothing to do looks at once.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn event_interval(&mut self, polls: u32) -> &mut Builder {
        assert!(polls > 0, "event_interval(0): a worker cannot look around more often than after each poll; use 1");
        self.settings.pace.polls = polls;
        self.settings.pace.nanos = Pace::COUNTED;
        self
    }

    /// After how many polls in a row a worker looks at the global queue, where the tasks wait that were spawned or woken by other threads: it
    /// polls the first of them, and takes its share of the others. Whoever says it gets exactly so many; only that the worker's own tasks
    /// have a turn between any two looks that it polls from. The default is 31 on a current-thread runtime, exactly; else at most 61, and a
    /// look whenever sockets and timers are looked at. A worker that has nothing of its own to do looks at once.
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

    /// How many events a worker that has nothing else to do takes from the operating system at once, at most; and one that is busy, unless
    /// [`Builder::max_io_events_per_busy_tick`] says otherwise. What is left over is taken at the next look. By default 256, and 64 where
    /// the worker is busy; never more than 65,536. With more than eight workers there are several sets of sockets, and it goes for each.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_io_events_per_tick(&mut self, events: usize) -> &mut Builder {
        assert!(events > 0, "max_io_events_per_tick(0): no socket would ever become ready; use at least 1");
        self.settings.events_rest = events;
        self.settings.events_busy = events;
        self
    }

    /// How many events a busy worker takes from the operating system at once, at most: few, so that what it has to do does not wait behind
    /// all of them. The default is 64, or what [`Builder::max_io_events_per_tick`] has said before.
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
    pub fn disable_lifo_slot(&mut self) -> &mut Builder {
        self.settings.lifo = false;
        self
    }

    /// Sockets and timers.
    pub fn enable_all(&mut self) -> &mut Builder {
        self.enable_io().enable_time()
    }

    /// Sockets.
    pub fn enable_io(&mut self) -> &mut Builder {
        self.settings.io = true;
        self
    }

    /// Timers.
    pub fn enable_time(&mut self) -> &mut Builder {
        self.settings.time = true;
        self
    }

    /// Whether the runtime begins with its time paused; see [`time::pause`](crate::time::pause()). The default is `false`.
    ///
    /// ```
    /// use heist::time::{Duration, Instant, sleep};
    ///
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    /// runtime.block_on(async {
    ///     let start = Instant::now();
    ///     sleep(Duration::from_secs(3600)).await;
    ///     assert_eq!(start.elapsed(), Duration::from_secs(3600));
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// [`Builder::build`] panics if the runtime is not a current-thread one.
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    pub fn start_paused(&mut self, paused: bool) -> &mut Builder {
        self.settings.start_paused = paused;
        self
    }

    /// How long, at most, a worker that has run dry looks for events before it sleeps. The default is 50 µs; zero switches it off.
    ///
    /// A thread that has gone to sleep needs longer to get up than many a client needs for its next request. The time adapts: it
    /// grows while sleeps would have been short, and shrinks to nothing while they are long, so an idle runtime does not spin. At
    /// most one worker spins, the one that would sleep in the reactor, and it lets other threads of its processor go first.
    pub fn spin_before_park(&mut self, most: Duration) -> &mut Builder {
        self.settings.spin = most;
        self
    }

    /// How long dropping the runtime waits for polls and blocking jobs that are under way. The default is five seconds; what has
    /// not returned by then is detached, with a warning.
    pub fn shutdown_grace(&mut self, grace: Duration) -> &mut Builder {
        self.settings.shutdown_grace = grace;
        self
    }

    /// From when on a poll that does not return is reported: by a warning, [`Builder::on_stall`], and the metrics. The default is 10 ms.
    ///
    /// It is looked at every millisecond or so; a report comes up to two of them late. No effect on a current-thread runtime.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn stall_threshold(&mut self, threshold: Duration) -> &mut Builder {
        assert!(
            !threshold.is_zero(),
            "stall_threshold(0): every poll would be a stall; to have none reported, use `Duration::MAX`"
        );
        self.settings.stall_threshold = threshold;
        self
    }

    /// Called once for each stall, while it lasts, when it has come to [`Builder::stall_threshold`].
    ///
    /// The hook runs on the thread that looks after the workers, with no lock held: while it does, no other stall is noticed. So it should
    /// hand the report on, and not wait. A panic of it is logged, and nothing else happens. No effect on a current-thread runtime.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    ///
    /// let (tell, told) = mpsc::channel();
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .on_stall(move |report| tell.send(report.clone()).unwrap())
    ///     .build()
    ///     .unwrap();
    /// let (end, ended) = mpsc::channel::<()>();
    /// let stuck = runtime.spawn(async move { ended.recv() });
    /// let report = told.recv().unwrap();
    /// assert_eq!(report.task, Some(stuck.id()));
    /// println!("{report}");
    /// drop(end);
    /// ```
    pub fn on_stall(&mut self, hook: impl Fn(&StallReport) + Send + Sync + 'static) -> &mut Builder {
        self.settings.on_stall = Some(Arc::new(hook));
        self
    }

    /// How many threads there may be, at most, in place of workers that are stuck in a poll. The default is as many as
    /// [`Builder::worker_threads`], and at least eight; zero means that there are none.
    ///
    /// A spare comes when nobody is left to poll anything, or when a worker waits in the operating system, nobody sleeps, and tasks
    /// wait. It leaves when it has not been needed for a while. Spares have places of their own, beside [`Builder::max_worker_threads`],
    /// and [`Runtime::worker_threads`] does not count them. No effect on a current-thread runtime.
    pub fn max_spare_workers(&mut self, spares: usize) -> &mut Builder {
        self.max_spares = Some(spares);
        self
    }

    /// The seed of the order in which workers search each other.
    pub fn rng_seed(&mut self, seed: u64) -> &mut Builder {
        self.settings.seed = seed;
        self
    }

    /// Whether there is a sentinel; for the tests that look for lost wake-ups, which it must not hide.
    #[doc(hidden)]
    pub fn sentinel(&mut self, on: bool) -> &mut Builder {
        self.settings.sentinel = on;
        self
    }

    /// How many lanes the global queue has; for the tests, on machines that would get one.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[doc(hidden)]
    #[track_caller]
    pub fn queue_lanes(&mut self, lanes: usize) -> &mut Builder {
        assert!(lanes > 0, "queue_lanes(0): the global queue needs at least one lane");
        self.settings.lanes = Some(lanes);
        self
    }

    /// How many shards the reactor has; for the tests, on machines that would get one. Only on Linux are there ever more than one.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[doc(hidden)]
    #[track_caller]
    pub fn reactor_shards(&mut self, shards: usize) -> &mut Builder {
        assert!(shards > 0, "reactor_shards(0): the reactor needs at least one shard");
        self.settings.shards = Some(shards);
        self
    }

    /// Refuses threads in the operating system's place, where `refuse` answers an error for the worker's seat, or for `usize::MAX`, which
    /// stands for a thread that a drain needs; for the tests of
    /// what happens then.
    #[doc(hidden)]
    pub fn refuse_worker(
        &mut self,
        refuse: impl Fn(usize) -> Option<io::Error> + Send + Sync + 'static,
    ) -> &mut Builder {
        self.settings.refuse_thread = Some(Arc::new(refuse));
        self
    }

    /// Builds the runtime and starts its threads.
    ///
    /// # Errors
    ///
    /// What the operating system says if it refuses a thread or the reactor's file descriptors; if
    /// `HEIST_WORKER_THREADS` is set to something that is not a number above zero; and if there are more workers than
    /// [`Builder::max_worker_threads`] allows, or than there can be.
    ///
    /// # Panics
    ///
    /// If time is to start paused (feature `test-util`), and the runtime has worker threads.
    #[track_caller]
    pub fn build(&mut self) -> io::Result<Runtime> {
        assert!(
            self.settings.current_thread || !self.settings.start_paused,
            "start_paused(true): only the time of a current-thread runtime can be paused; build it by `new_current_thread`"
        );
        self.build_on(None)
    }

    /// Builds a runtime for futures that need not be `Send`. It stays on this thread.
    ///
    /// ```
    /// use heist::runtime::{Builder, LocalOptions};
    ///
    /// let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    /// let text = std::rc::Rc::new("not Send");
    /// assert_eq!(runtime.block_on(runtime.spawn_local(async move { text.len() })).unwrap(), 8);
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Builder::build`].
    ///
    /// # Panics
    ///
    /// If the builder is for a multi-threaded runtime: tasks move between its threads.
    #[track_caller]
    pub fn build_local(&mut self, options: LocalOptions) -> io::Result<LocalRuntime> {
        assert!(
            self.settings.current_thread,
            "build_local: the tasks of a multi-threaded runtime move between its threads; begin with \
             `Builder::new_current_thread`"
        );
        let LocalOptions { .. } = options;
        self.build_on(Some(OwnThread::this())).map(LocalRuntime::new_in)
    }

    fn build_on(&mut self, own_thread: Option<OwnThread>) -> io::Result<Runtime> {
        let mut settings = self.settings.clone();
        settings.workers = match self.workers {
            Some(workers) => workers,
            None => default_workers()?,
        };
        settings.own_thread = own_thread;
        settings.max_workers = most_workers(settings.workers, self.max_workers)?;
        settings.max_spares = most_spares(&settings, self.max_spares)?;
        let current_thread = settings.current_thread;
        let blocking = BlockingPool::new(blocking::Settings {
            max_threads: settings.max_blocking_threads,
            keep_alive: settings.keep_alive,
            thread_name: Arc::clone(&settings.thread_name),
            stack_size: settings.stack_size,
            on_thread_start: settings.on_thread_start.clone(),
            on_thread_stop: settings.on_thread_stop.clone(),
            ..blocking::Settings::default()
        });
        let pool = Pool::new(settings, blocking)?;
        if !current_thread {
            threads::start(&pool, chore(&pool))?;
        }
        Ok(Runtime::from_pool(pool))
    }
}

/// What the sentinel does besides.
fn chore(pool: &Pool) -> Chore {
    match pool.settings.follow.clone().map(Follower::new) {
        Some(mut follower) => Box::new(move |pool| follower.look(pool)),
        None => Box::new(|_| {}),
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .field("max_workers", &self.max_workers)
            .field("settings", &self.settings)
            .finish()
    }
}
