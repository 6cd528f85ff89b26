//! Handles to a runtime, and guards that enter it.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::Duration;

use super::block_on::BlockOnMode;
use super::{Drain, Draining, Dump, GroupBuilder, Id, RuntimeFlavor, RuntimeMetrics, SpawnError, TaskGroup, block_on};
use crate::drain::reaper;
use crate::pool::Pool;
use crate::primitive::Arc;
use crate::raw_task::{JoinHandle, Runnable, SpawnMeta};
use crate::scheduler::schedule;
use crate::util::thread_bound::ThreadBound;
use crate::worker_set::resize;
use crate::worker_set::resize::Resize;
use crate::{context, task_alloc};

/// A handle to a runtime. Any thread can spawn tasks with it.
///
/// A handle is cheap to clone, and does not keep the runtime alive. After the
/// [`Runtime`](super::Runtime) has been dropped, a spawned future is dropped, and its `JoinHandle`
/// resolves as cancelled.
///
/// A handle keeps some memory of the runtime. If a hook owns a handle to its own runtime, that
/// memory is never freed. Let the hook find the handle in a place that the program empties in the
/// end.
#[derive(Clone)]
pub struct Handle {
    pool: Arc<Pool>,
}

impl Handle {
    pub(super) fn new(pool: Arc<Pool>) -> Handle {
        Handle { pool }
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Returns the handle of the runtime that is running on this thread.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is running on this thread. [`Handle::try_current`] returns an error
    /// instead.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let handle = heist::runtime::Handle::current();
    /// // No runtime is running on a new thread, so it needs the handle.
    /// let task = std::thread::spawn(move || handle.spawn(async { 7 })).join().unwrap();
    /// assert_eq!(task.await.unwrap(), 7);
    /// # });
    /// ```
    #[track_caller]
    pub fn current() -> Handle {
        match Handle::try_current() {
            Ok(handle) => handle,
            Err(error) => panic!("{error}"),
        }
    }

    /// Returns the handle of the runtime that is running on this thread.
    ///
    /// # Errors
    ///
    /// Returns a [`TryCurrentError`] if no runtime is running on this thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::Handle;
    ///
    /// assert!(Handle::try_current().is_err()); // no runtime is running here
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// assert!(Handle::try_current().is_ok());
    /// # });
    /// ```
    pub fn try_current() -> Result<Handle, TryCurrentError> {
        context::pool().map(Handle::new).ok_or_else(|| TryCurrentError { destroyed: context::is_destroyed() })
    }

    /// Returns the runtime's reactor.
    ///
    /// # Panics
    ///
    /// If the runtime was built without I/O.
    #[cfg(feature = "facade")]
    #[track_caller]
    pub(crate) fn reactor(&self) -> Arc<crate::reactor::Reactor> {
        context::reactor_of(&self.pool)
    }

    /// Spawns a task; see [`task::spawn`](crate::task::spawn()).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let task = runtime.handle().spawn(async { 6 * 7 });
    /// assert_eq!(runtime.block_on(task)?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let depot_borrow = task_alloc::borrow_depot(&self.pool.depot);
        let made = schedule::new_task(future, Location::caller());
        drop(depot_borrow);
        self.start(made)
    }

    /// Queues a task that has been created.
    pub(crate) fn start<T>(&self, (runnable, handle): (Runnable, JoinHandle<T>)) -> JoinHandle<T> {
        schedule::queue_on(&self.pool, runnable);
        handle
    }

    /// Runs a blocking job with this name and spawn location.
    pub(crate) fn spawn_blocking_as<F, R>(&self, function: F, spawn_meta: impl Into<SpawnMeta>) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        crate::blocking::task::spawn(&self.pool, function, spawn_meta.into())
    }

    /// Runs a blocking job, which belongs to the group of the code that calls this.
    pub(crate) fn spawn_blocking_here<F, R>(&self, function: F, spawn_meta: impl Into<SpawnMeta>) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let spawn_meta = spawn_meta.into();
        match context::group().map(TaskGroup::new) {
            Some(group) => {
                group.spawn_blocking_named(function, spawn_meta.name().map(|name| &**name), spawn_meta.location())
            }
            None => self.spawn_blocking_as(function, spawn_meta),
        }
    }

    /// Spawns a task if the runtime accepts it.
    ///
    /// A runtime that is being drained accepts tasks from its own tasks and blocking jobs until the
    /// deadline, and then no more. A runtime that has been shut down accepts none.
    ///
    /// # Errors
    ///
    /// Returns the future if the runtime does not accept it.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// # let handle = runtime.handle().clone();
    /// assert!(handle.try_spawn(async {}).is_ok());
    /// drop(runtime);
    /// let future = handle.try_spawn(async { 5 }).unwrap_err().into_inner();
    /// assert_eq!(handle.block_on(future), 5);
    /// ```
    #[track_caller]
    pub fn try_spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if !schedule::try_admit(&self.pool) {
            return Err(SpawnError::new(future, schedule::refusal_of(&self.pool)));
        }
        let depot_borrow = task_alloc::borrow_depot(&self.pool.depot);
        let (runnable, handle) = schedule::new_task(future, Location::caller());
        drop(depot_borrow);
        schedule::queue_admitted(&self.pool, runnable);
        Ok(handle)
    }

    /// Returns a builder of a group of tasks, which have a priority, a share of the workers' time,
    /// and limits. The name is unique among the live groups of the runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let ingest = runtime.handle().group("ingest").max_tasks(1_000).build().unwrap();
    /// assert_eq!(runtime.block_on(ingest.spawn(async { 7 })).unwrap(), 7);
    /// ```
    pub fn group(&self, name: &str) -> GroupBuilder {
        GroupBuilder::new(self, name)
    }

    /// Returns the live groups of the runtime, in the order of their names.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let _ingest = runtime.group("ingest").build().unwrap();
    /// let groups = runtime.handle().groups();
    /// assert_eq!(groups[0].name(), "ingest");
    /// ```
    pub fn groups(&self) -> Vec<TaskGroup> {
        self.pool.groups.all().into_iter().map(TaskGroup::new).collect()
    }

    /// Drains the runtime: refuses new tasks from outside, and waits for the live ones until
    /// `deadline` from now.
    ///
    /// The drain acts at once, also if the returned [`Drain`] is never polled.
    ///
    /// - Every future of [`Handle::draining`] resolves. So an accept loop can stop, and a long task
    ///   can come to its end.
    /// - Spawns from outside are refused. These are spawns from threads that the runtime does not
    ///   own, and from the root future of a `block_on`. `spawn` returns a handle that resolves as
    ///   cancelled, and logs an error with the location, at most once per second.
    ///   [`try_spawn`](Handle::try_spawn) returns the future.
    /// - Live tasks and blocking jobs may spawn, and so may destructors and wakers that a worker
    ///   calls. The drain counts these tasks, too.
    /// - When no task is left, or at the deadline, every spawn is refused.
    /// - Tasks that are left at the deadline are cancelled, and their futures dropped.
    ///
    /// The report is ready 10 ms after the deadline at the latest. It does not wait for polls,
    /// jobs, destructors and hooks that do not return: it names them, and how long they have been
    /// running. Futures that have not been dropped by then are dropped afterwards.
    ///
    /// When the report is ready, the destructor of every task and job that it counts has run, and
    /// its handle is finished. The exceptions are listed in
    /// [`DrainReport::stragglers`](crate::drain::state::DrainReport::stragglers). The handles
    /// still return the outputs of tasks.
    ///
    /// The drain does not shut the runtime down. Sockets and timers work, and tasks that are exempt
    /// (see [`Drain`]) go on. To end the runtime, drop the [`Runtime`](super::Runtime).
    ///
    /// A second drain joins the first one, with its deadline and its report. A shutdown ends a
    /// drain, and a drain after a shutdown ends at once. On a current-thread runtime, tasks run
    /// only during `block_on` or [`Drain::wait`]. At the deadline they are dropped also if no
    /// thread drives the runtime.
    ///
    /// If a task waits for another task, and that one waits for the drain, all three end at the
    /// deadline only.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = heist::runtime::Runtime::new().unwrap();
    /// let report = runtime.block_on(async {
    ///     let late = heist::spawn(std::future::pending::<()>());
    ///     let report = heist::runtime::Handle::current().drain(Duration::ZERO).await;
    ///     assert!(late.await.unwrap_err().is_cancelled());
    ///     report
    /// });
    /// assert_eq!((report.cancelled, report.stragglers.len()), (1, 1));
    /// println!("{report}");
    /// ```
    pub fn drain(&self, deadline: Duration) -> Drain {
        reaper::begin_drain(&self.pool, deadline);
        Drain::new(&self.pool)
    }

    /// Returns a future that resolves when a drain or the shutdown of the runtime begins. If one
    /// has begun, it is ready at once.
    ///
    /// An accept loop selects on it. It can be awaited on any runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let mut draining = runtime.handle().draining();
    /// assert!(!runtime.block_on(async { futures::poll!(&mut draining).is_ready() }));
    /// runtime.drain(std::time::Duration::from_secs(10)).wait();
    /// runtime.block_on(draining);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn draining(&self) -> Draining {
        Draining::new(&self.pool)
    }

    /// Runs a function that may block; see [`task::spawn_blocking`](crate::task::spawn_blocking).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let reading = runtime.handle().spawn_blocking(|| std::fs::read_to_string("Cargo.toml"));
    /// assert!(runtime.block_on(reading)?.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, function: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.spawn_blocking_as(function, Location::caller())
    }

    /// Polls `future` on this thread until it is ready, inside of the runtime, and returns its
    /// output.
    ///
    /// It does not drive a current-thread runtime: [`Runtime::block_on`](super::Runtime::block_on)
    /// does that.
    ///
    /// # Panics
    ///
    /// Panics in these cases:
    ///
    /// - This thread is already polling a future.
    /// - `future` panics.
    /// - The runtime has been shut down,
    ///   [`Builder::shutdown_grace`](super::Builder::shutdown_grace) has passed since, and `future`
    ///   has not been woken. The event that it waits for may never happen.
    ///
    /// After a shutdown, a future that does not need the runtime still completes.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// // A blocking job may do the same.
    /// let thread = std::thread::spawn(move || {
    ///     handle.block_on(async { heist::spawn(async { 7 }).await })
    /// });
    /// assert_eq!(thread.join().unwrap()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on::block_on(&self.pool, future, BlockOnMode::Nothing)
    }

    /// Enters the runtime; see [`Runtime::enter`](super::Runtime::enter).
    ///
    /// # Panics
    ///
    /// The guard panics when it is dropped before a guard that was created later on this thread.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let _inside = runtime.handle().enter();
    /// let task = heist::spawn(async {}); // without the guard this would panic
    ///
    /// // The guard of a temporary handle, and a guard that outlives the runtime.
    /// let _again = heist::runtime::Handle::current().enter();
    /// drop(runtime);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard::new(context::enter(Arc::clone(&self.pool)))
    }

    /// Returns the id of the runtime, which no other runtime of the process has.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::{Handle, Runtime};
    ///
    /// let (a, b) = (Runtime::new()?, Runtime::new()?);
    /// assert_eq!(a.handle().id(), a.block_on(async { Handle::current().id() }));
    /// assert_ne!(a.handle().id(), b.handle().id());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn id(&self) -> Id {
        self.pool.id
    }

    /// Returns the name of the runtime, if [`Builder::name`](super::Builder::name) has given it
    /// one.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().name("control").build()?;
    /// assert_eq!(runtime.handle().name(), Some("control"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.pool.settings.name.as_deref()
    }

    /// Returns the kind of the runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::{Builder, RuntimeFlavor};
    ///
    /// let runtime = Builder::new_current_thread().build()?;
    /// assert_eq!(runtime.handle().runtime_flavor(), RuntimeFlavor::CurrentThread);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn runtime_flavor(&self) -> RuntimeFlavor {
        if self.pool.settings.current_thread { RuntimeFlavor::CurrentThread } else { RuntimeFlavor::MultiThread }
    }

    /// Returns the number of workers; see
    /// [`Runtime::worker_threads`](super::Runtime::worker_threads).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(3).build()?;
    /// assert_eq!(runtime.handle().worker_threads(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn worker_threads(&self) -> usize {
        self.pool.base_workers()
    }

    /// Changes the number of workers; see [`Runtime::resize`](super::Runtime::resize).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    /// runtime.block_on(async {
    ///     let resized = heist::runtime::Handle::current().resize(2).await.unwrap();
    ///     assert_eq!((resized.from, resized.to), (1, 2));
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resize(&self, workers: usize) -> Resize {
        resize::resize(&self.pool, workers)
    }

    /// Returns what the runtime does now: its workers with the tasks that they poll, and every task
    /// that is visible from outside.
    ///
    /// Any thread may call it, also while the runtime is stuck. It needs no worker, and takes only
    /// locks under which no user code runs.
    ///
    /// The dump is not a snapshot of one moment: its first entries may be out of date when the last
    /// are read. It visits every task, for about 20 ns each. A task is listed with the worker on
    /// which it was first idle. While the dump visits the tasks of one worker, none of them can
    /// end.
    ///
    /// The dump does not show how often a task has been polled, how old it is, or what it waits
    /// for. Each of these would cost memory for every task, or time for every poll.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::{Builder, TaskState};
    ///
    /// let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    /// let idle = runtime.spawn(std::future::pending::<()>());
    /// let dump = loop {
    ///     let dump = runtime.handle().dump();
    ///     if dump.tasks.iter().any(|task| task.state == TaskState::Idle) {
    ///         break dump;
    ///     }
    /// };
    /// assert_eq!(dump.workers.len(), 2);
    /// assert_eq!(dump.tasks[0].id, idle.id());
    /// println!("{dump}");
    /// ```
    pub fn dump(&self) -> Dump {
        Dump::capture(&self.pool)
    }

    /// Returns the metrics of the runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// assert_eq!(runtime.handle().metrics().num_alive_tasks(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn metrics(&self) -> RuntimeMetrics {
        RuntimeMetrics::new(Arc::clone(&self.pool))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("flavor", &self.runtime_flavor())
            .field("phase", &self.pool.phase.load())
            .finish_non_exhaustive()
    }
}

/// Keeps this thread inside of a runtime until it is dropped. Guards must be dropped in the reverse
/// order of their creation.
///
/// The guard stays on the thread that has entered:
///
/// ```compile_fail,E0277
/// let runtime = heist::runtime::Runtime::new().unwrap();
/// let guard = runtime.enter();
/// std::thread::scope(|scope| scope.spawn(move || drop(guard)).join()).unwrap();
/// ```
#[must_use = "the thread exits the runtime when the guard is dropped"]
#[derive(Debug)]
pub struct EnterGuard<'a> {
    _exit: ExitOnDrop,
    /// The guard borrows the runtime's handle. Its drop does not use the borrow, so the runtime may
    /// be dropped before the guard.
    _runtime: PhantomData<&'a Handle>,
}

/// Exits the runtime when it is dropped.
#[derive(Debug)]
struct ExitOnDrop {
    token: context::EnterToken,
    /// The entry is recorded in a thread-local of the thread that has entered.
    _thread: ThreadBound,
}

impl EnterGuard<'_> {
    fn new(token: context::EnterToken) -> Self {
        EnterGuard { _exit: ExitOnDrop { token, _thread: ThreadBound::new() }, _runtime: PhantomData }
    }
}

impl Drop for ExitOnDrop {
    fn drop(&mut self) {
        // The thread has exited the runtime in any case. A second panic would abort the process.
        if !self.token.exit() && !std::thread::panicking() {
            panic!(
                "`EnterGuard`s were dropped out of order: a guard that was created later on this thread is still alive; drop \
                 the guards in the reverse order of their creation"
            );
        }
    }
}

/// No runtime is running on this thread, or the thread is exiting. [`Handle::try_current`] returns
/// it.
pub struct TryCurrentError {
    destroyed: bool,
}

impl TryCurrentError {
    /// Returns true if no runtime is running on the thread.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = heist::runtime::Handle::try_current().unwrap_err(); // outside of a runtime
    /// assert!(error.is_missing_context());
    /// ```
    pub fn is_missing_context(&self) -> bool {
        !self.destroyed
    }

    /// Returns true if the thread is exiting, and its runtime context has been destroyed. That
    /// happens in the destructor of a thread-local.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = heist::runtime::Handle::try_current().unwrap_err(); // outside of a runtime
    /// assert!(!error.is_thread_local_destroyed());
    /// ```
    pub fn is_thread_local_destroyed(&self) -> bool {
        self.destroyed
    }
}

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.destroyed {
            "this thread is exiting, and its runtime context has been destroyed; if the destructor of a thread-local needs a \
             runtime, keep a `Handle` in that thread-local"
        } else {
            context::messages::no_runtime()
        })
    }
}

impl fmt::Debug for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryCurrentError").field("destroyed", &self.destroyed).finish()
    }
}

impl std::error::Error for TryCurrentError {}
