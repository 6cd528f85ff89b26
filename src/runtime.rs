//! The runtime: building it, entering it, waiting on it, shutting it down.

mod block_on;
mod builder;
mod drain;
mod dump;
mod handle;
mod histograms;
mod limits;
mod local_runtime;
mod metrics;
mod pace_settings;
mod phase;
pub(crate) mod root_state;
mod spawn_error;
mod stall_settings;
mod task_hooks;
#[cfg(feature = "internals")]
mod test_settings;
mod thread_settings;
mod worker_metrics;

use std::future::Future;
use std::io;
use std::panic::Location;
use std::time::{Duration, Instant};

pub use builder::Builder;
pub use drain::{Drain, Draining};
pub use dump::{Activity, Dump, TaskDump, TaskState, WorkerDump};
pub use handle::{EnterGuard, Handle, TryCurrentError};
pub(crate) use local_runtime::spawn_in;
pub use local_runtime::{LocalOptions, LocalRuntime};
pub use metrics::RuntimeMetrics;
pub use phase::RuntimePhase;
pub use spawn_error::SpawnError;

use self::block_on::BlockOnMode;
use crate::context::thread_role;
pub use crate::drain::report::{DrainReport, Straggler};
pub use crate::metrics::buckets::{
    HistogramConfiguration, InvalidHistogramConfiguration, LogHistogram, LogHistogramBuilder,
};
pub use crate::pool::Id;
use crate::pool::Pool;
pub use crate::pool::hooks::{TaskMeta, UnhandledPanic};
use crate::raw_task::JoinHandle;
pub use crate::reactor::is_rt_shutdown_err;
use crate::scheduler::schedule;
use crate::sync::Arc;
use crate::util::wake_list::catch_user_panic;
pub use crate::watchdog::stall::{StallCause, StallReport};
pub use crate::worker_set::completion::{ResizeError, Resized, WorkerMeta};
pub use crate::worker_set::resize::Resize;
pub use crate::worker_set::seat_state::WorkerState;
use crate::worker_set::threads;
use crate::{context, shutdown, task_alloc};

/// What kind of runtime it is; answered by [`Handle::runtime_flavor`].
///
/// ```
/// use heist::runtime::{Builder, RuntimeFlavor};
///
/// let runtime = Builder::new_current_thread().build().unwrap();
/// assert_eq!(runtime.handle().runtime_flavor(), RuntimeFlavor::CurrentThread);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuntimeFlavor {
    /// One seat, driven by `block_on`.
    CurrentThread,
    /// Worker threads that steal from each other.
    MultiThread,
}

/// The seat of the worker that runs this, as [`RuntimeMetrics`] counts them: from zero, below the
/// number of workers.
///
/// None where no worker runs: in a blocking job, in a thread of somebody else's, and in the root
/// future of a [`Runtime::block_on`] on a multi-threaded runtime. On a current-thread runtime it is
/// zero for whoever drives the runtime, in its tasks as in its root future; a `block_on` that waits
/// for another thread's has none.
///
/// A task may go on with another worker after an `.await`.
///
/// ```
/// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
/// let index = runtime.block_on(async { heist::spawn(async { heist::runtime::worker_index() }).await.unwrap() });
/// assert!(index.is_some_and(|index| index < 2));
/// assert_eq!(heist::runtime::worker_index(), None);
/// ```
pub fn worker_index() -> Option<usize> {
    context::seated(|seated| seated.map(|seated| seated.seat.index))
}

/// A runtime: worker threads, a reactor for sockets, and timers.
///
/// It owns them: dropping it ends every task at its next suspension, waits for the polls and
/// blocking jobs that are under way (at most [`Builder::shutdown_grace`]), and closes sockets and
/// timers. Dropped inside of async code, it does not wait. It never panics.
///
/// ```
/// let runtime = heist::runtime::Runtime::new().unwrap();
/// let answer = runtime.block_on(async { heist::spawn(async { 42 }).await.unwrap() });
/// assert_eq!(answer, 42);
/// ```
#[derive(Debug)]
pub struct Runtime {
    handle: Handle,
    finished: bool,
}

impl Runtime {
    /// A multi-threaded runtime with default settings, sockets and timers.
    ///
    /// # Errors
    ///
    /// What the operating system says if it refuses threads or the reactor's file descriptors.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// assert_eq!(runtime.block_on(async { 7 }), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> io::Result<Runtime> {
        Builder::new_multi_thread().enable_all().build()
    }

    fn from_pool(pool: Arc<Pool>) -> Runtime {
        Runtime { handle: Handle::new(pool), finished: false }
    }

    /// A handle to spawn with from anywhere. It does not keep the runtime alive.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let handle = runtime.handle().clone(); // for other threads
    /// std::thread::spawn(move || handle.spawn(async {})).join().unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Spawns a task; see [`task::spawn`](crate::task::spawn()).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let task = runtime.spawn(async { 6 * 7 });
    /// assert_eq!(runtime.block_on(task)?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let loan = task_alloc::borrow_depot(&self.handle.pool().depot);
        let made = schedule::new_task(future, Location::caller());
        drop(loan);
        self.handle.start(made)
    }

    /// Spawns a task if the runtime takes it; see [`Handle::try_spawn`].
    ///
    /// # Errors
    ///
    /// The future, if the runtime drains.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let task = runtime.try_spawn(async { 6 * 7 })?; // an error once it is drained or shut down
    /// assert_eq!(runtime.block_on(task)?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.try_spawn(future)
    }

    /// Runs a function that may block; see [`task::spawn_blocking`](crate::task::spawn_blocking).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let reading = runtime.spawn_blocking(|| std::fs::read_to_string("Cargo.toml"));
    /// assert!(runtime.block_on(reading)?.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, function: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.handle.spawn_blocking(function)
    }

    /// Polls `future` on this thread until it is ready.
    ///
    /// On a multi-threaded runtime the workers run the spawned tasks meanwhile. On a current-thread
    /// runtime this call runs them: between two calls they stand still. If several threads call it
    /// at once, one of them drives, and passes that on when it leaves.
    ///
    /// # Panics
    ///
    /// If this thread is polling a future already, and if `future` panics. On a runtime with
    /// [`UnhandledPanic::ShutdownRuntime`], if a task panics or has panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let length = runtime.block_on(async {
    ///     let task = heist::spawn(async { "hello" });
    ///     task.await.map(str::len)
    /// })?;
    /// assert_eq!(length, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let pool = self.handle.pool();
        block_on::block_on(
            pool,
            future,
            if pool.settings.current_thread { BlockOnMode::Driving } else { BlockOnMode::Open },
        )
    }

    /// Enters the runtime: while the guard lives, `spawn`, sockets and timers on this thread belong
    /// to it.
    ///
    /// # Panics
    ///
    /// The guard panics when it is dropped, if a guard that was made later on this thread has not
    /// been dropped.
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new().unwrap();
    /// let _guard = runtime.enter();
    /// heist::spawn(async {});
    /// ```
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// How many workers there are now: seats that are taken, those included whose workers have been
    /// asked to leave and have not left yet, or whose threads are being started. Spares in place of
    /// stuck workers do not count. When the runtime has ended, as many as there were at the end.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(3).build()?;
    /// assert_eq!(runtime.worker_threads(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn worker_threads(&self) -> usize {
        self.handle.worker_threads()
    }

    /// Sets the number of workers to `workers`, in place: sockets, timers, and tasks that run or
    /// wait stay where they are.
    ///
    /// It acts at once, whether or not the answer is awaited. Threads that come are started before
    /// it returns (unless another thread is resizing now: then that one does it), and find the work
    /// that waits. Threads that go leave at their next task boundary, however much there is to do:
    /// the `Resize` is done when they have left. Resizes from several threads take effect one after
    /// the other, and the `from`, `to` and `version` of each [`Resized`] tell in which order.
    ///
    /// A worker whose poll does not return cannot leave, and the `Resize` waits for it, as long as
    /// the poll lasts. Everything else goes on: the other workers leave; what waits behind the poll
    /// is done by others, if need be by a spare (see [`StallReport`]); and later resizes take
    /// effect at once. The wait ends when one of them takes the worker back, when the runtime is
    /// drained, shut down or dropped (with an error), or by [`timeout`](crate::time::timeout).
    ///
    /// It may be called from anywhere, also from a task, whose worker may be among those that
    /// leave, and from hooks. New threads inherit what the operating system lets them inherit, the
    /// affinity mask among it, from the thread that starts them.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    /// let resized = runtime.resize(4).wait().unwrap();
    /// assert_eq!((resized.from, resized.to, resized.version), (1, 4, 1));
    /// runtime.block_on(async {
    ///     let resized = heist::runtime::Handle::current().resize(2).await.unwrap();
    ///     assert_eq!((resized.from, resized.to, resized.version), (4, 2, 2));
    /// });
    /// assert_eq!(runtime.worker_threads(), 2);
    /// ```
    ///
    /// # Errors
    ///
    /// The `Resize` answers a [`ResizeError`], each with a text that names the remedy: zero
    /// workers; more than [`Builder::max_worker_threads`]; a current-thread runtime; a runtime that
    /// is being drained or shut down, which also ends the wait for workers that have not left; or a
    /// thread that the operating system refuses. In the last case the error says how far it got,
    /// and the runtime goes on with that many workers.
    ///
    /// # Cancel safety
    ///
    /// Dropping the `Resize` changes nothing.
    pub fn resize(&self, workers: usize) -> Resize {
        self.handle.resize(workers)
    }

    /// Figures about the runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// println!("{:?}", runtime.metrics());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle.metrics()
    }

    /// Drains the runtime; see [`Handle::drain`].
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = heist::runtime::Runtime::new().unwrap();
    /// runtime.spawn(async { heist::task::yield_now().await });
    /// let report = runtime.drain(Duration::from_secs(10)).wait();
    /// assert!(report.stragglers.is_empty());
    /// ```
    pub fn drain(&self, deadline: Duration) -> Drain {
        self.handle.drain(deadline)
    }

    /// Resolves when a drain or the shutdown begins; see [`Handle::draining`].
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let stop = runtime.draining();
    /// let task = runtime.spawn(async move {
    ///     stop.await;
    ///     "the last words"
    /// });
    /// runtime.drain(std::time::Duration::from_secs(10)).wait();
    /// assert_eq!(runtime.block_on(task)?, "the last words");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn draining(&self) -> Draining {
        self.handle.draining()
    }

    /// Returns the id of the runtime; see [`Handle::id`].
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// assert_eq!(runtime.id(), runtime.block_on(async { heist::runtime::Handle::current().id() }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn id(&self) -> Id {
        self.handle.id()
    }

    /// Returns the name of the runtime, if it has one; see [`Handle::name`].
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().name("control").build()?;
    /// assert_eq!(runtime.name(), Some("control"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.handle.name()
    }

    /// Returns the kind of the runtime; see [`Handle::runtime_flavor`].
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::{Runtime, RuntimeFlavor};
    ///
    /// assert_eq!(Runtime::new()?.runtime_flavor(), RuntimeFlavor::MultiThread);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn runtime_flavor(&self) -> RuntimeFlavor {
        self.handle.runtime_flavor()
    }

    /// Returns what the runtime does now: its workers, and every task that is visible from outside;
    /// see [`Handle::dump`].
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    /// let dump = runtime.dump();
    /// assert_eq!((dump.worker_count, dump.workers.len()), (2, 2));
    /// println!("{dump}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dump(&self) -> Dump {
        self.handle.dump()
    }

    /// Shuts the runtime down, and waits at most `timeout` for polls and blocking jobs that are
    /// under way.
    ///
    /// Any duration works; zero does not wait, and [`Duration::MAX`] waits for as long as it takes.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// runtime.spawn_blocking(|| std::thread::sleep(std::time::Duration::from_millis(1)));
    /// runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown_timeout(mut self, timeout: Duration) {
        self.shut_down(timeout);
    }

    /// Shuts the runtime down without waiting. Good in places that must not block, also inside of
    /// async code.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// runtime.shutdown_background(); // no wait, whatever is under way
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown_background(self) {
        self.shutdown_timeout(Duration::ZERO);
    }

    fn shut_down(&mut self, grace: Duration) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let pool = self.handle.pool();
        shutdown::begin_shutdown(pool);
        // A thread that polls a future, or is in one of our hooks, may be the one that would be
        // waited for.
        let waits_for_itself = context::is_polling()
            || thread_role::current().is_some()
            || context::is_blocking_in(pool.id)
            || context::is_member_of(pool.id);
        let grace = if waits_for_itself { Duration::ZERO } else { grace };
        let deadline = Instant::now().checked_add(grace);
        if shutdown::finish_shutdown(pool, deadline) {
            threads::join(pool, deadline);
        } else if !grace.is_zero() {
            catch_user_panic("a tracing subscriber", || {
                tracing::warn!(
                    target: "heist::shutdown",
                    "a poll or a blocking job has not returned in time; its thread has been detached"
                );
            });
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shut_down(self.handle.pool().settings.shutdown_grace);
    }
}
