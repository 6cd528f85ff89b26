//! Builds a runtime, enters it, waits on it, and shuts it down.

mod block_on;
mod builder;
mod consolidation;
mod drain;
mod dump;
mod group_admit;
mod group_builder;
mod group_drain;
mod group_metrics;
mod group_scope;
mod handle;
mod histograms;
mod limits;
mod local_runtime;
mod metrics;
mod pace_settings;
mod phase;
mod recorder;
#[cfg(feature = "tracing-spans")]
mod root_span;
#[cfg(not(feature = "tracing-spans"))]
#[path = "runtime/root_span_none.rs"]
mod root_span;
pub(crate) mod root_state;
mod snapshot;
#[cfg(unix)]
mod snapshot_signal;
#[cfg(not(unix))]
#[path = "runtime/snapshot_signal_none.rs"]
mod snapshot_signal;
mod spawn_error;
mod stall_settings;
mod task_group;
mod task_hooks;
#[cfg(feature = "internals")]
mod test_settings;
mod thread_settings;
mod worker_metrics;

use std::future::Future;
use std::io;
use std::panic::Location;
use std::time::Duration;

pub use builder::Builder;
pub use drain::{Drain, Draining};
pub use dump::{Activity, Dump, GroupDump, TaskDump, TaskState, WorkerDump};
pub use group_admit::{Admission, Admit, SpawnWhenAdmitted};
pub use group_builder::{GroupBuilder, GroupError};
pub use group_drain::GroupDrain;
pub use group_metrics::GroupMetrics;
pub use group_scope::GroupScope;
pub use handle::{EnterGuard, Handle, TryCurrentError};
pub(crate) use local_runtime::spawn_in;
pub use local_runtime::{LocalOptions, LocalRuntime};
pub use metrics::RuntimeMetrics;
pub use phase::RuntimePhase;
pub use recorder::{Recorder, mark};
pub use snapshot::Snapshot;
pub use spawn_error::{Refusal, SpawnError};
pub use task_group::TaskGroup;

use self::block_on::BlockOnMode;
use crate::context::can_block::{Operation, can_block};
pub use crate::drain::state::{DrainReport, Straggler};
pub use crate::group::priority::Priority;
pub use crate::metrics::buckets::{
    HistogramConfiguration, InvalidHistogramConfiguration, LogHistogram, LogHistogramBuilder,
};
pub use crate::pool::Id;
use crate::pool::Pool;
pub use crate::pool::hooks::{TaskMeta, UnhandledPanic};
use crate::primitive::Arc;
use crate::primitive::real_now;
use crate::raw_task::JoinHandle;
pub use crate::reactor::is_rt_shutdown_err;
pub use crate::recorder::triggers::SnapshotReason;
use crate::scheduler::schedule;
use crate::util::wake_list::catch_user_panic;
pub use crate::watchdog::stall::{StallCause, StallReport};
pub use crate::worker_set::resize::Resize;
pub use crate::worker_set::seat_state::WorkerMeta;
pub use crate::worker_set::seat_state::WorkerState;
use crate::worker_set::threads;
pub use crate::worker_set::{ResizeError, Resized};
use crate::{context, shutdown, task_alloc};

/// The kind of a runtime. [`Handle::runtime_flavor`] returns it.
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
    /// No worker threads: the tasks run on the thread that calls `block_on`.
    CurrentThread,
    /// Worker threads that steal tasks from each other.
    MultiThread,
}

/// Returns the index of the worker that runs this code, below the number of workers. The
/// [metrics](RuntimeMetrics) of a worker are found by its index.
///
/// Returns `None` outside of workers: on a thread that the runtime does not own, and in a blocking
/// job. On a multi-threaded runtime, the root future of a [`Runtime::block_on`] has no index
/// either.
///
/// On a current-thread runtime, the thread that drives the runtime is worker zero, in tasks and in
/// the root future. A `block_on` that waits while another thread drives has no index.
///
/// After an `.await`, a task may run on another worker.
///
/// # Examples
///
/// ```
/// use heist::runtime::{Builder, worker_index};
///
/// let runtime = Builder::new_multi_thread().worker_threads(2).build()?;
/// let index = runtime.block_on(runtime.spawn(async { worker_index() })).unwrap();
/// assert!(index.is_some_and(|index| index < 2));
/// assert_eq!(worker_index(), None);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn worker_index() -> Option<usize> {
    context::seated(|seated| seated.map(|seated| seated.seat.index))
}

/// A runtime: worker threads, a reactor for sockets, and timers.
///
/// Dropping the runtime shuts it down. Every task ends at its next suspension, and sockets and
/// timers are closed. The drop waits for polls and blocking jobs that have begun, for
/// [`Builder::shutdown_grace`] at most. In async code it does not wait. The drop never panics.
///
/// # Limits
///
/// A child after a `fork` may exit or execute a program, and nothing else, as POSIX says for a
/// process with threads. The parent's runtime is unaffected, and a program inherits none of its
/// descriptors. A child that uses or drops the runtime, or builds one, may wait for ever. A lock
/// that a worker held at the fork is never released there. Parent and child share the reactor: a
/// socket that the child drops gets no more events in the parent.
///
/// If memory is exhausted, std aborts the process; see
/// [`handle_alloc_error`](std::alloc::handle_alloc_error). If threads or descriptors are exhausted,
/// the operation that needs one returns an error, or the runtime serves with those that it has.
///
/// # Examples
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
    /// Creates a multi-threaded runtime with default settings, sockets and timers.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system if it refuses a thread or the reactor's file
    /// descriptors.
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

    /// Returns a handle, with which any thread can spawn tasks. A handle does not keep the runtime
    /// alive.
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
        let depot_borrow = task_alloc::borrow_depot(&self.handle.pool().depot);
        let made = schedule::new_task(future, Location::caller());
        drop(depot_borrow);
        self.handle.start(made)
    }

    /// Returns a builder of a group of tasks; see [`Handle::group`].
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let ingest = runtime.group("ingest").max_workers(1).build()?;
    /// assert_eq!(runtime.block_on(ingest.spawn(async { 7 }))?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn group(&self, name: &str) -> GroupBuilder {
        self.handle.group(name)
    }

    /// Returns the live groups of the runtime; see [`Handle::groups`].
    pub fn groups(&self) -> Vec<TaskGroup> {
        self.handle.groups()
    }

    /// Spawns a task if the runtime accepts it; see [`Handle::try_spawn`].
    ///
    /// # Errors
    ///
    /// Returns the future if the runtime is being drained or has been shut down.
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

    /// Polls `future` on this thread until it is ready, and returns its output.
    ///
    /// On a multi-threaded runtime, the workers run the spawned tasks meanwhile. On a
    /// current-thread runtime, this call runs the tasks, and they do not run between two calls. If
    /// several threads call it at once, one of them drives the runtime. When that call returns,
    /// another thread drives.
    ///
    /// # Panics
    ///
    /// Panics if this thread is already polling a future, or if `future` panics. On a runtime with
    /// [`UnhandledPanic::ShutdownRuntime`], panics if a task panics or has panicked.
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

    /// Enters the runtime: while the guard lives, `spawn`, sockets and timers on this thread use
    /// this runtime.
    ///
    /// # Panics
    ///
    /// The guard panics when it is dropped before a guard that was created later on this thread.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new().unwrap();
    /// let _guard = runtime.enter();
    /// heist::spawn(async {});
    /// ```
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// Returns the number of workers.
    ///
    /// It includes workers that are being started, and workers that a resize has asked to exit and
    /// that have not exited yet. Spare workers do not count. After the runtime has ended, it stays
    /// the number at the end.
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

    /// Changes the number of workers to `workers`. Sockets, timers and tasks are not disturbed.
    ///
    /// The resize acts at once, also if the returned [`Resize`] is never awaited. New threads are
    /// started before this function returns, and run tasks that wait. If another thread is resizing
    /// now, that thread starts them. Retiring workers exit at their next task boundary, however
    /// many tasks they have. The `Resize` resolves when they have exited.
    ///
    /// Resizes from several threads take effect one after the other. The `from`, `to` and `version`
    /// of each [`Resized`] show the order.
    ///
    /// A worker cannot exit while a poll on it does not return, and the `Resize` waits for it.
    /// Meanwhile:
    ///
    /// - the other retiring workers exit;
    /// - other workers take over the tasks behind the stalled poll, if need be a spare worker (see
    ///   [`StallReport`]);
    /// - later resizes take effect at once.
    ///
    /// The wait ends early if a later resize keeps the worker. It ends with an error if the runtime
    /// is drained, shut down or dropped. [`timeout`](crate::time::timeout) limits it.
    ///
    /// Any thread may call it, also a task whose worker may retire, and hooks. The new threads
    /// inherit from the thread that starts them what the operating system lets them inherit, such
    /// as the affinity mask.
    ///
    /// # Errors
    ///
    /// The `Resize` resolves to a [`ResizeError`] in these cases:
    ///
    /// - `workers` is zero, or more than [`Builder::max_worker_threads`].
    /// - The runtime is a current-thread runtime.
    /// - The runtime is being drained or shut down. This also ends the wait for workers that have
    ///   not exited.
    /// - The operating system refuses a thread. The error holds how many workers there are now, and
    ///   the runtime goes on with them.
    ///
    /// # Cancel safety
    ///
    /// Dropping the `Resize` does not undo the resize.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::{Builder, Handle};
    ///
    /// let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    /// let resized = runtime.resize(4).wait().unwrap();
    /// assert_eq!((resized.from, resized.to, resized.version), (1, 4, 1));
    /// runtime.block_on(async {
    ///     let resized = Handle::current().resize(2).await.unwrap();
    ///     assert_eq!((resized.from, resized.to, resized.version), (4, 2, 2));
    /// });
    /// assert_eq!(runtime.worker_threads(), 2);
    /// ```
    pub fn resize(&self, workers: usize) -> Resize {
        self.handle.resize(workers)
    }

    /// Returns the metrics of the runtime.
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
    /// # Examples
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

    /// Returns a future that resolves when a drain or the shutdown begins; see
    /// [`Handle::draining`].
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
    /// assert_eq!(runtime.id(), runtime.handle().id());
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

    /// Shuts the runtime down, and waits at most `timeout` for polls and blocking jobs that have
    /// begun.
    ///
    /// Every duration is valid. Zero does not wait, and [`Duration::MAX`] waits without a limit. In
    /// async code it does not wait.
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

    /// Shuts the runtime down without waiting. It may be called where blocking is not allowed, such
    /// as in async code.
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
        // A thread that polls a future, or runs a hook of the runtime, may be the thread that this
        // shutdown would wait for.
        let grace = can_block(Operation::Shutdown(pool.id)).map_or(Duration::ZERO, |()| grace);
        let deadline = real_now().checked_add(grace);
        if shutdown::finish_shutdown(pool, deadline) {
            threads::join(pool, deadline);
        } else if !grace.is_zero() {
            catch_user_panic("a tracing subscriber", || {
                tracing::warn!(
                    target: "heist::shutdown",
                    "a poll or a blocking job has not returned within the shutdown's time limit; its thread has been detached"
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
