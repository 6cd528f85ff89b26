//! Settings, and the making of a runtime.

use std::time::Duration;
use std::{fmt, io};

use super::limits::{check_stack_size, default_workers, most_outings, most_spares, most_workers};
use super::{LocalOptions, LocalRuntime, Runtime};
use crate::blocking::{self, BlockingPool};
use crate::pool::local::CheckIntervals;
use crate::pool::{HomeThread, Pool, Settings};
use crate::sync::{Arc, Weak};
use crate::watchdog::PeriodicHook;
use crate::worker_set::completion::Resized;
use crate::worker_set::cpu_quota::{self, Follower};
use crate::worker_set::threads;

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
    pub(super) max_spares: Option<usize>,
    pub(super) settings: Settings,
}

impl Builder {
    /// For a runtime with worker threads: as many as the machine has processors that this process
    /// may use (its affinity mask and its cgroup's quota included), unless
    /// [`Builder::worker_threads`] or the variable `HEIST_WORKER_THREADS` says otherwise.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().build().unwrap();
    /// println!("{} workers", runtime.worker_threads());
    /// ```
    pub fn new_multi_thread() -> Builder {
        Builder { workers: None, max_workers: None, max_spares: None, settings: Settings::new(1) }
    }

    /// For a runtime without threads of its own: its tasks run inside of [`Runtime::block_on`].
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// let here = std::thread::current().id();
    /// runtime.block_on(async {
    ///     heist::spawn(async move { assert_eq!(std::thread::current().id(), here) }).await.unwrap();
    /// });
    /// ```
    pub fn new_current_thread() -> Builder {
        let mut settings = Settings::new(1);
        settings.current_thread = true;
        settings.watchdog = false;
        settings.lifo = false;
        settings.pace = CheckIntervals { global: 31, global_is_exact: true, ..settings.pace };
        Builder { workers: Some(1), max_workers: Some(1), max_spares: None, settings }
    }

    /// How many worker threads there are. No effect on a current-thread runtime.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(3).build().unwrap();
    /// assert_eq!(runtime.worker_threads(), 3);
    /// ```
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

    /// How many worker threads there may be after a [`Runtime::resize`]. The default is 64, or four
    /// times the number of processors, or [`Builder::worker_threads`], whichever is most. A place
    /// that is not used costs next to nothing. No effect on a current-thread runtime.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(1).max_worker_threads(2).build().unwrap();
    /// assert!(runtime.resize(2).wait().is_ok());
    /// assert!(runtime.resize(3).wait().is_err());
    /// ```
    ///
    /// # Panics
    ///
    /// If it is zero. That it is not below `worker_threads`, nor above 16,384, is checked by
    /// [`Builder::build`].
    #[track_caller]
    pub fn max_worker_threads(&mut self, workers: usize) -> &mut Builder {
        assert!(workers > 0, "max_worker_threads(0): a runtime needs at least one worker thread");
        if !self.settings.current_thread {
            self.max_workers = Some(workers);
        }
        self
    }

    /// Called after each change of the number of workers by [`Runtime::resize`], once for each
    /// version and in their order, by the thread that has made the change (or by another one that
    /// is resizing), with no lock held. Workers that have to leave may not have left yet. It may
    /// resize, and wait for that where whoever resizes might (see
    /// [`Resize::wait`](crate::worker_set::resize::Resize::wait)): not in a task, nor under
    /// [`Builder::follow_cpu_quota`].
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let (tell, told) = mpsc::channel();
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .after_resize(move |resized| tell.send((resized.from, resized.to)).unwrap())
    ///     .build()
    ///     .unwrap();
    /// runtime.resize(2).wait().unwrap();
    /// assert_eq!(told.recv().unwrap(), (1, 2));
    /// ```
    pub fn after_resize(&mut self, hook: impl Fn(Resized) + Send + Sync + 'static) -> &mut Builder {
        self.settings.after_resize = Some(Arc::new(hook));
        self
    }

    /// Whether the number of workers follows the number of processors that this process may use:
    /// the whole processors of its control group's CPU quota (cgroup v1 and v2, those above it
    /// included), at most as many as its affinity mask has, and at most
    /// [`Builder::max_worker_threads`].
    ///
    /// While workers are busy the runtime looks every second, and resizes itself if there are more
    /// or fewer than it has workers; so a [`Runtime::resize`] to another number does not last. An
    /// idle runtime does not look until it has something to do again. It begins with
    /// [`Builder::worker_threads`]. Hooks and naming functions are called by a thread of the
    /// runtime's own then, which should not be held up. No effect on a current-thread runtime. The
    /// default is `false`.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().follow_cpu_quota(true).build().unwrap();
    /// # drop(runtime);
    /// ```
    pub fn follow_cpu_quota(&mut self, follow: bool) -> &mut Builder {
        self.settings.follow = follow.then(cpu_quota::follow);
        self
    }

    /// Names the runtime, for [`Handle::name`](super::Handle::name); its threads are named by
    /// [`Builder::thread_name`]. By default it has no name.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().name("control").build().unwrap();
    /// assert_eq!(runtime.handle().name(), Some("control"));
    /// ```
    ///
    /// # Panics
    ///
    /// If the name is empty, or only white space.
    #[track_caller]
    pub fn name(&mut self, name: impl Into<String>) -> &mut Builder {
        let name = name.into();
        assert!(
            !name.trim().is_empty(),
            "name({name:?}): the name of a runtime must not be blank; for a runtime without a name, leave the call out"
        );
        self.settings.name = Some(name);
        self
    }

    /// Sockets and timers.
    ///
    /// ```
    /// use heist::net::TcpListener;
    /// use heist::time::timeout;
    /// use std::time::Duration;
    ///
    /// # fn serve() -> std::io::Result<()> {
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_all().build()?;
    /// runtime.block_on(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let nobody = timeout(Duration::from_millis(1), listener.accept()).await;
    ///     assert!(nobody.is_err());
    ///     Ok(())
    /// })
    /// # }
    /// # serve().unwrap();
    /// ```
    pub fn enable_all(&mut self) -> &mut Builder {
        self.enable_io().enable_time()
    }

    /// Sockets.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_io().build()?;
    /// let listener = runtime.block_on(heist::net::TcpListener::bind("127.0.0.1:0"))?;
    /// # drop(listener);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn enable_io(&mut self) -> &mut Builder {
        self.settings.io = true;
        self
    }

    /// Timers.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    /// runtime.block_on(async { heist::time::sleep(std::time::Duration::from_millis(1)).await });
    /// ```
    pub fn enable_time(&mut self) -> &mut Builder {
        self.settings.time = true;
        self
    }

    /// Whether the runtime begins with its time paused; see [`time::pause`](crate::time::pause()).
    /// The default is `false`.
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

    /// How long dropping the runtime waits for polls and blocking jobs that are under way. The
    /// default is five seconds; what has not returned by then is detached, with a warning.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(1).shutdown_grace(Duration::ZERO).build().unwrap();
    /// let (end, ended) = std::sync::mpsc::channel::<()>();
    /// drop(runtime.spawn_blocking(move || ended.recv()));
    /// drop(runtime); // does not wait for the job
    /// drop(end);
    /// ```
    pub fn shutdown_grace(&mut self, grace: Duration) -> &mut Builder {
        self.settings.shutdown_grace = grace;
        self
    }

    /// Builds the runtime and starts its threads.
    ///
    /// # Errors
    ///
    /// What the operating system says if it refuses a thread or the reactor's file descriptors; if
    /// `HEIST_WORKER_THREADS` is set to something that is not a number above zero; and if there are
    /// more workers than [`Builder::max_worker_threads`] allows. The error is
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there are more than 16,384 workers and
    /// spares together, or if the stack is above a quarter of the address space.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// # Ok::<(), std::io::Error>(())
    /// ```
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
        self.build_on(Some(HomeThread::current())).map(LocalRuntime::new_in)
    }

    fn build_on(&mut self, own_thread: Option<HomeThread>) -> io::Result<Runtime> {
        let mut settings = self.settings.clone();
        check_stack_size(&settings)?;
        settings.workers = match self.workers {
            Some(workers) => workers,
            None => default_workers()?,
        };
        settings.own_thread = own_thread;
        settings.max_workers = most_workers(settings.workers, self.max_workers)?;
        settings.max_spares = most_spares(&settings, self.max_spares)?;
        settings.max_outings = most_outings(&settings);
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
        let host: Weak<Pool> = Arc::downgrade(&pool);
        pool.blocking.set_host(host);
        if !current_thread {
            threads::start(&pool, periodic_hook(&pool))?;
        }
        Ok(Runtime::from_pool(pool))
    }
}

/// What the watchdog does besides.
fn periodic_hook(pool: &Pool) -> PeriodicHook {
    match pool.settings.follow.clone().map(Follower::new) {
        Some(mut follower) => Box::new(move |pool| follower.check_quota(pool)),
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
