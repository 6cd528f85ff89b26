//! The settings of a runtime, and its construction.

use std::time::Duration;
use std::{fmt, io};

use super::limits::{check_stack_size, default_workers, max_blocked_workers, max_spares, max_workers};
use super::{LocalOptions, LocalRuntime, Runtime, snapshot};
use crate::blocking::{self, BlockingPool};
use crate::pool::local::CheckIntervals;
use crate::pool::{HomeThread, Pool, Settings};
use crate::primitive::{Arc, Weak};
use crate::watchdog::PeriodicHook;
use crate::worker_set::Resized;
use crate::worker_set::cpu_quota::{self, Follower};
use crate::worker_set::threads;

/// Builds a [`Runtime`].
///
/// # Examples
///
/// ```
/// use heist::runtime::Builder;
/// use heist::time::{Duration, sleep};
///
/// let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
/// runtime.block_on(async { sleep(Duration::from_micros(200)).await });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// With more settings:
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
///     .on_thread_start(|| println!("a thread has started"))
///     .on_thread_stop(|| println!("a thread is about to exit"))
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
    /// Creates a builder of a runtime with worker threads.
    ///
    /// By default, there is one worker for each processor that this process may use. The affinity
    /// mask and the cgroup's CPU quota count. [`Builder::worker_threads`] sets another number, and
    /// so does the environment variable `HEIST_WORKER_THREADS`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().build().unwrap();
    /// println!("{} workers", runtime.worker_threads());
    /// ```
    pub fn new_multi_thread() -> Builder {
        Builder { workers: None, max_workers: None, max_spares: None, settings: Settings::new(1) }
    }

    /// Creates a builder of a runtime without worker threads: its tasks run during
    /// [`Runtime::block_on`].
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().build().unwrap();
    /// let here = std::thread::current().id();
    /// let task = runtime.spawn(async { std::thread::current().id() });
    /// assert_eq!(runtime.block_on(task).unwrap(), here);
    /// ```
    pub fn new_current_thread() -> Builder {
        let mut settings = Settings::new(1);
        settings.current_thread = true;
        settings.watchdog = false;
        settings.lifo = false;
        settings.pace = CheckIntervals { global: 31, global_is_exact: true, ..settings.pace };
        Builder { workers: Some(1), max_workers: Some(1), max_spares: None, settings }
    }

    /// Sets the number of worker threads. It has no effect on a current-thread runtime.
    ///
    /// # Panics
    ///
    /// Panics if `workers` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(3).build()?;
    /// assert_eq!(runtime.worker_threads(), 3);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn worker_threads(&mut self, workers: usize) -> &mut Builder {
        assert!(
            workers > 0,
            "worker_threads(0): a runtime needs at least one worker thread; for a runtime without any, use `new_current_thread`"
        );
        if !self.settings.current_thread {
            self.workers = Some(workers);
        }
        self
    }

    /// Sets the largest number of worker threads to which [`Runtime::resize`] may change the
    /// runtime.
    ///
    /// The default is the largest of 64, four times the number of processors, and
    /// [`Builder::worker_threads`]. An unused worker costs next to nothing. The setting has no
    /// effect on a current-thread runtime.
    ///
    /// # Errors
    ///
    /// [`Builder::build`] returns an error if `workers` is below the number of worker threads, or
    /// above 16,384.
    ///
    /// # Panics
    ///
    /// Panics if `workers` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::Builder;
    ///
    /// let runtime = Builder::new_multi_thread().worker_threads(1).max_worker_threads(2).build()?;
    /// assert!(runtime.resize(2).wait().is_ok());
    /// assert!(runtime.resize(3).wait().is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn max_worker_threads(&mut self, workers: usize) -> &mut Builder {
        assert!(workers > 0, "max_worker_threads(0): a runtime needs at least one worker thread");
        if !self.settings.current_thread {
            self.max_workers = Some(workers);
        }
        self
    }

    /// Sets a function that is called after each change of the number of workers by
    /// [`Runtime::resize`].
    ///
    /// It is called once for each version, in the order of the versions, with no lock held. The
    /// calling thread is the one that has made the change, or another one that is resizing.
    /// Retiring workers may not have exited yet.
    ///
    /// The function may resize the runtime. It may also wait for that resize where the resizing
    /// thread may (see [`Resize::wait`](crate::worker_set::resize::Resize::wait)). A task may not,
    /// and neither may the thread of [`Builder::follow_cpu_quota`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .after_resize(move |resized| sender.send((resized.from, resized.to)).unwrap())
    ///     .build()
    ///     .unwrap();
    /// runtime.resize(2).wait().unwrap();
    /// assert_eq!(receiver.recv().unwrap(), (1, 2));
    /// ```
    pub fn after_resize(&mut self, hook: impl Fn(Resized) + Send + Sync + 'static) -> &mut Builder {
        self.settings.after_resize = Some(Arc::new(hook));
        self
    }

    /// Sets whether the number of workers follows the number of processors that this process may
    /// use. The default is `false`.
    ///
    /// That number is the CPU quota in whole processors, at most the number of processors in the
    /// affinity mask, and at most [`Builder::max_worker_threads`]. The quota is that of the
    /// process's cgroup (v1 or v2) and the cgroups above it.
    ///
    /// The runtime begins with [`Builder::worker_threads`]. While workers are busy, it reads the
    /// quota once per second, and resizes itself if the number differs. So a [`Runtime::resize`] to
    /// another number does not last. An idle runtime does not read the quota.
    ///
    /// A thread of the runtime then calls the hooks and the naming functions, and these must not
    /// block it. The setting has no effect on a current-thread runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::Builder;
    ///
    /// let runtime = Builder::new_multi_thread().follow_cpu_quota(true).build()?;
    /// # drop(runtime);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn follow_cpu_quota(&mut self, follow: bool) -> &mut Builder {
        self.settings.follow = follow.then(cpu_quota::follow);
        self
    }

    /// Sets the name of the runtime, which [`Handle::name`](super::Handle::name) returns. By
    /// default it has none. The threads get their names from [`Builder::thread_name`].
    ///
    /// # Panics
    ///
    /// Panics if the name is empty or only white space.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().name("control").build().unwrap();
    /// assert_eq!(runtime.handle().name(), Some("control"));
    /// ```
    #[track_caller]
    pub fn name(&mut self, name: impl Into<String>) -> &mut Builder {
        let name = name.into();
        assert!(
            !name.trim().is_empty(),
            "name({name:?}): the name of a runtime must not be blank; for a runtime without a name, do not call `name`"
        );
        self.settings.name = Some(name);
        self
    }

    /// Enables sockets and timers.
    ///
    /// # Examples
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
    ///     let accepted = timeout(Duration::from_millis(1), listener.accept()).await;
    ///     assert!(accepted.is_err());
    ///     Ok(())
    /// })
    /// # }
    /// # serve().unwrap();
    /// ```
    pub fn enable_all(&mut self) -> &mut Builder {
        self.enable_io().enable_time()
    }

    /// Enables sockets, and everything else that needs the reactor.
    ///
    /// # Examples
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

    /// Enables timers.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    /// runtime.block_on(async { heist::time::sleep(std::time::Duration::from_millis(1)).await });
    /// ```
    pub fn enable_time(&mut self) -> &mut Builder {
        self.settings.time = true;
        self
    }

    /// Sets whether the runtime's time is paused from the beginning; see
    /// [`time::pause`](crate::time::pause()). The default is `false`.
    ///
    /// # Panics
    ///
    /// [`Builder::build`] panics if the runtime is a multi-threaded one.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::Builder;
    /// use heist::time::{Duration, Instant, sleep};
    ///
    /// let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    /// runtime.block_on(async {
    ///     let start = Instant::now();
    ///     sleep(Duration::from_secs(3600)).await;
    ///     assert_eq!(start.elapsed(), Duration::from_secs(3600));
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "test-util")]
    #[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
    pub fn start_paused(&mut self, paused: bool) -> &mut Builder {
        self.settings.start_paused = paused;
        self
    }

    /// Sets how long the drop of the runtime waits for polls and blocking jobs that have begun.
    ///
    /// The default is five seconds. Threads that have not returned by then are detached, with a
    /// warning.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::Builder;
    /// use std::time::Duration;
    ///
    /// let runtime = Builder::new_multi_thread().shutdown_grace(Duration::ZERO).build().unwrap();
    /// let (end, ended) = std::sync::mpsc::channel::<()>();
    /// drop(runtime.spawn_blocking(move || ended.recv()));
    /// drop(runtime); // does not wait for the job
    /// drop(end);
    /// ```
    pub fn shutdown_grace(&mut self, grace: Duration) -> &mut Builder {
        self.settings.shutdown_grace = grace;
        self
    }

    /// Builds the runtime, and starts its threads.
    ///
    /// # Errors
    ///
    /// - The error of the operating system, if it refuses a thread or the reactor's file
    ///   descriptors.
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput), if `HEIST_WORKER_THREADS` is not a number
    ///   above zero.
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput), if there are more workers than
    ///   [`Builder::max_worker_threads`] allows, or more than 16,384 workers and spare workers
    ///   together.
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput), if the stack size is above a quarter of the
    ///   address space.
    ///
    /// # Panics
    ///
    /// Panics if time is to start paused (feature `test-util`) and the runtime is a multi-threaded
    /// one.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::Builder;
    ///
    /// let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    /// runtime.block_on(async { heist::spawn(async {}).await.unwrap() });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn build(&mut self) -> io::Result<Runtime> {
        assert!(
            self.settings.current_thread || !self.settings.start_paused,
            "start_paused(true): only the time of a current-thread runtime can be paused; use `new_current_thread`"
        );
        self.build_on(None)
    }

    /// Builds a runtime for futures that need not be `Send`. The runtime stays on this thread.
    ///
    /// # Errors
    ///
    /// As for [`Builder::build`].
    ///
    /// # Panics
    ///
    /// Panics if the builder is for a multi-threaded runtime, whose tasks move between threads.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::{Builder, LocalOptions};
    ///
    /// let options = LocalOptions::default();
    /// let runtime = Builder::new_current_thread().enable_all().build_local(options).unwrap();
    /// let text = std::rc::Rc::new("not Send");
    /// assert_eq!(runtime.block_on(runtime.spawn_local(async move { text.len() })).unwrap(), 8);
    /// ```
    #[track_caller]
    pub fn build_local(&mut self, options: LocalOptions) -> io::Result<LocalRuntime> {
        assert!(
            self.settings.current_thread,
            "build_local: the tasks of a multi-threaded runtime move between threads; use `Builder::new_current_thread`"
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
        settings.max_workers = max_workers(settings.workers, self.max_workers)?;
        settings.max_spares = max_spares(&settings, self.max_spares)?;
        settings.max_blocking_spares = max_blocked_workers(&settings);
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
        let pool = Pool::new(settings, blocking).map_err(|error| refused_descriptor(&error))?;
        let host: Weak<Pool> = Arc::downgrade(&pool);
        pool.blocking.set_host(host);
        snapshot::install(&pool)?;
        if !current_thread {
            threads::start(&pool, periodic_hook(&pool))?;
        }
        Ok(Runtime::from_pool(pool))
    }
}

/// Returns `error` with its remedy: the operating system has refused a descriptor, or has refused
/// to watch one.
#[cold]
fn refused_descriptor(error: &io::Error) -> io::Error {
    let text = format!(
        "the operating system refused a file descriptor for the runtime ({error}); raise the limit on open files \
         (`ulimit -n`, `fs.file-max`) or on watched ones (`fs.epoll.max_user_watches`), or close some"
    );
    io::Error::new(error.kind(), text)
}

/// Returns what the watchdog calls once per tick.
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
