//! Settings, and the making of a runtime.

use std::time::Duration;
use std::{env, fmt, io};

use super::Runtime;
use crate::blocking::{self, BlockingPool};
use crate::pool::{Pool, Settings};
use crate::sync::Arc;
use crate::threads::Threads;

/// Overrides the default number of worker threads.
const WORKERS_VARIABLE: &str = "HEIST_WORKER_THREADS";

/// Builds a [`Runtime`].
///
/// ```
/// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
/// runtime.block_on(async { heist::time::sleep(std::time::Duration::from_micros(200)).await });
/// ```
#[derive(Clone)]
pub struct Builder {
    workers: Option<usize>,
    settings: Settings,
}

impl Builder {
    /// For a runtime with worker threads: as many as the machine has processors that this process may use (its affinity mask
    /// and its cgroup's quota included), unless [`Builder::worker_threads`] or the variable `HEIST_WORKER_THREADS` says otherwise.
    pub fn new_multi_thread() -> Builder {
        Builder { workers: None, settings: Settings::new(1) }
    }

    /// For a runtime without threads of its own: its tasks run inside of [`Runtime::block_on`].
    pub fn new_current_thread() -> Builder {
        let mut settings = Settings::new(1);
        settings.current_thread = true;
        settings.sentinel = false;
        settings.lifo = false;
        Builder { workers: Some(1), settings }
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

    /// The threads' stack size in bytes. The default is the platform's.
    pub fn thread_stack_size(&mut self, bytes: usize) -> &mut Builder {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// Called by each thread of the runtime when it starts.
    pub fn on_thread_start(&mut self, hook: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.settings.on_thread_start = Some(Arc::new(hook));
        self
    }

    /// Called by each thread of the runtime before it ends.
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

    /// After how many polls, at most, a busy worker looks at sockets and timers. By default it looks about every 100 µs, by the
    /// length of its recent polls, and at the latest after 1,024 of them.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn event_interval(&mut self, polls: u32) -> &mut Builder {
        assert!(polls > 0, "event_interval(0): a worker cannot look around more often than after each poll; use 1");
        self.settings.pace.polls = polls;
        self
    }

    /// After how many polls, at most, a busy worker looks at the global queue. The default is 61.
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

    /// Builds the runtime and starts its threads.
    ///
    /// # Errors
    ///
    /// What the operating system says if it refuses a thread or the reactor's file descriptors; and if
    /// `HEIST_WORKER_THREADS` is set to something that is not a number above zero.
    pub fn build(&mut self) -> io::Result<Runtime> {
        let mut settings = self.settings.clone();
        settings.workers = match self.workers {
            Some(workers) => workers,
            None => default_workers()?,
        };
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
        let threads = if current_thread { Threads::default() } else { Threads::start(&pool)? };
        Ok(Runtime::from_parts(pool, threads))
    }
}

/// What the variable says, else what the machine has.
fn default_workers() -> io::Result<usize> {
    match env::var(WORKERS_VARIABLE) {
        Ok(text) => text.parse().ok().filter(|&workers| workers > 0).ok_or_else(|| {
            let text = format!("{WORKERS_VARIABLE} is {text:?}: set it to a number above zero, or unset it");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        }),
        Err(env::VarError::NotPresent) => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        Err(error) => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{WORKERS_VARIABLE}: {error}; unset it")))
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("workers", &self.workers).field("settings", &self.settings).finish()
    }
}
