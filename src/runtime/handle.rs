//! A handle to a runtime, and the stay inside of one.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::Duration;

use super::block_on::BlockOnMode;
use super::{Drain, Draining, Dump, Id, RuntimeFlavor, RuntimeMetrics, SpawnError, block_on};
use crate::drain::reaper;
use crate::pool::Pool;
use crate::raw_task::{JoinHandle, Runnable, SpawnMeta};
use crate::scheduler::schedule;
use crate::sync::Arc;
use crate::util::thread_bound::ThreadBound;
use crate::worker_set::resize;
use crate::worker_set::resize::Resize;
use crate::{context, task_alloc};

/// A handle to a runtime: spawn with it from any thread.
///
/// Cheap to clone. It does not keep the runtime running: once the [`Runtime`](super::Runtime) is
/// gone, what is spawned is dropped and its `JoinHandle` resolves as cancelled. What it keeps is
/// some memory of it; so a handle that a hook of the same runtime holds for ever is never freed:
/// give the hook a place to find it in, and empty that in the end.
#[derive(Clone)]
pub struct Handle {
    pool: Arc<Pool>,
}

impl Handle {
    pub(super) fn new(pool: Arc<Pool>) -> Handle {
        Handle { pool }
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The handle of the runtime that this thread is inside of.
    ///
    /// # Panics
    ///
    /// If it is in none; see [`Handle::try_current`].
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let handle = heist::runtime::Handle::current();
    /// // A thread of one's own has no runtime, unless it is given the handle of one.
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

    /// The handle of the runtime that this thread is inside of.
    ///
    /// # Errors
    ///
    /// If it is in none; see [`TryCurrentError`].
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::Handle;
    ///
    /// assert!(Handle::try_current().is_err()); // this is no runtime
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// assert!(Handle::try_current().is_ok());
    /// # });
    /// ```
    pub fn try_current() -> Result<Handle, TryCurrentError> {
        context::pool().map(Handle::new).ok_or_else(|| TryCurrentError { destroyed: context::is_destroyed() })
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
        let loan = task_alloc::borrow_depot(&self.pool.depot);
        let made = schedule::new_task(future, Location::caller());
        drop(loan);
        self.start(made)
    }

    /// Queues a task that has been made.
    pub(crate) fn start<T>(&self, (runnable, handle): (Runnable, JoinHandle<T>)) -> JoinHandle<T> {
        schedule::queue_on(&self.pool, runnable);
        handle
    }

    /// Runs a blocking job of this origin.
    pub(crate) fn spawn_blocking_as<F, R>(&self, function: F, spawn_meta: impl Into<SpawnMeta>) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        crate::blocking::task::spawn(&self.pool, function, spawn_meta.into())
    }

    /// Spawns a task if the runtime takes it.
    ///
    /// A runtime that drains takes tasks from its own tasks and blocking jobs only, until the
    /// deadline, and then from nobody; one that is shut down takes none.
    ///
    /// # Errors
    ///
    /// The future, if the runtime does not take it.
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
            return Err(SpawnError::new(future));
        }
        let loan = task_alloc::borrow_depot(&self.pool.depot);
        let (runnable, handle) = schedule::new_task(future, Location::caller());
        drop(loan);
        schedule::queue_admitted(&self.pool, runnable);
        Ok(handle)
    }

    /// Begins to drain the runtime: no task comes in from outside any more, and those that live
    /// have until `deadline` from now to end.
    ///
    /// It acts at once, whether or not the [`Drain`] is polled.
    ///
    /// * Everything that awaits [`Handle::draining`] is woken: an accept loop stops, a long task
    ///   comes to its end.
    /// * Spawns from outside, that is from threads that are not the runtime's and from the root
    ///   future of a `block_on`, are refused: `spawn` answers a handle that resolves as cancelled
    ///   (an error that names the place is logged, at most one a second), and
    ///   [`try_spawn`](Handle::try_spawn) gives the future back. Tasks and blocking jobs that live
    ///   may spawn; so may destructors, and wakers that a worker calls. What they spawn is counted,
    ///   too.
    /// * When nobody lives any more, or at the deadline, nobody may spawn. What lives at the
    ///   deadline is cancelled, and its future dropped. The report does not wait for polls, jobs,
    ///   destructors and hooks that do not return. It is there 10 ms after the deadline at the
    ///   latest. It names them, and says for how long they have been running. What has not been
    ///   dropped by then is dropped afterwards.
    ///
    /// When the report is there, the destructor of every task and job that it counts has run, and
    /// its handle is finished; except for what does not return, which is named in
    /// [`DrainReport::stragglers`](crate::drain::report::DrainReport::stragglers). Outputs stay
    /// readable by their handles. The runtime is not shut down: sockets and timers work, and
    /// whoever was excused (see [`Drain`]) goes on. Drop the [`Runtime`](super::Runtime) to end it.
    ///
    /// A second drain joins the first, keeps its deadline, and answers the same report. A drain of
    /// a runtime that is shut down meanwhile, or has been, ends with it. On a current-thread
    /// runtime tasks run only inside of `block_on`, or [`Drain::wait`]; at the deadline they are
    /// dropped also if nobody is there.
    ///
    /// A task that waits for another one that waits for the drain is waited for: these three end at
    /// the deadline.
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

    /// Resolves when a drain or the shutdown of the runtime begins, or if it has begun: what an
    /// accept loop selects on. It can be awaited anywhere.
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

    /// Polls `future` on this thread until it is ready, inside of the runtime.
    ///
    /// It does not drive a current-thread runtime: that is what
    /// [`Runtime::block_on`](super::Runtime::block_on) does.
    ///
    /// # Panics
    ///
    /// If this thread is polling a future already, and if `future` panics. And if the runtime has
    /// been shut down, and `future` still waits when
    /// [`Builder::shutdown_grace`](super::Builder::shutdown_grace) has passed since: what it waits
    /// for may never come. A future that does not need the runtime works on a closed one.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// // On a thread of one's own; a blocking job does it in the same way.
    /// let thread = std::thread::spawn(move || handle.block_on(async { heist::spawn(async { 7 }).await }));
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
    /// The guard panics when it is dropped, if a guard that was made later on this thread has not
    /// been dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let _inside = runtime.handle().enter();
    /// let task = heist::spawn(async {}); // without a guard this would panic here
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard { token: context::enter(Arc::clone(&self.pool)), _thread: ThreadBound::new(), _runtime: PhantomData }
    }

    /// The runtime's id.
    ///
    /// ```
    /// let (a, b) = (heist::runtime::Runtime::new().unwrap(), heist::runtime::Runtime::new().unwrap());
    /// assert_eq!(a.handle().id(), a.block_on(async { heist::runtime::Handle::current().id() }));
    /// assert_ne!(a.handle().id(), b.handle().id());
    /// ```
    pub fn id(&self) -> Id {
        self.pool.id
    }

    /// The name that [`Builder::name`](super::Builder::name) has given to the runtime, if it has.
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

    /// What kind of runtime it is.
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

    /// How many workers there are now; see
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

    /// Sets the number of workers, live; see [`Runtime::resize`](super::Runtime::resize).
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

    /// What the runtime does just now: every seat with its worker and what that polls, and every
    /// task that can be seen.
    ///
    /// It can be called from any thread, also from one that the runtime is stuck on: it needs no
    /// worker, and takes only locks under which no code of users runs. It is no snapshot of one
    /// moment: what is looked at first may have changed when the last is. It goes through all
    /// tasks, about 20 ns each, and while it goes through those that were first idle in one seat
    /// none of them can end.
    ///
    /// What it does not say, because each would cost every task memory or every poll time: how
    /// often a task has been polled, how old it is, what it waits for.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    /// let idle = runtime.spawn(std::future::pending::<()>());
    /// let dump = loop {
    ///     let dump = runtime.handle().dump();
    ///     if dump.tasks.iter().any(|task| task.state == heist::runtime::TaskState::Idle) {
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

    /// Figures about the runtime.
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

/// A stay inside of a runtime, which ends when the guard is dropped. Guards are dropped in the
/// reverse order in which they were made.
///
/// It is dropped on the thread that has entered:
///
/// ```compile_fail,E0277
/// let runtime = heist::runtime::Runtime::new().unwrap();
/// let guard = runtime.enter();
/// std::thread::scope(|scope| scope.spawn(move || drop(guard)).join()).unwrap();
/// ```
#[must_use = "the stay ends when the guard is dropped"]
#[derive(Debug)]
pub struct EnterGuard<'a> {
    token: context::EnterToken,
    /// The stay is noted in the thread that has entered.
    _thread: ThreadBound,
    /// The guard borrows the runtime's handle.
    _runtime: PhantomData<&'a Handle>,
}

impl Drop for EnterGuard<'_> {
    fn drop(&mut self) {
        // The stay has ended in any case. A second panic would abort the process.
        if !self.token.exit() && !std::thread::panicking() {
            panic!(
                "guards of `enter` were dropped out of order: a runtime that was entered later on this thread has not been left; drop \
                 the guards in the reverse order in which they were made"
            );
        }
    }
}

/// This thread is in no runtime, or so near to its end that it cannot be told.
pub struct TryCurrentError {
    destroyed: bool,
}

impl TryCurrentError {
    /// Whether the thread is in no runtime.
    ///
    /// ```
    /// let error = heist::runtime::Handle::try_current().unwrap_err(); // this is no runtime
    /// assert!(error.is_missing_context());
    /// ```
    pub fn is_missing_context(&self) -> bool {
        !self.destroyed
    }

    /// Whether the thread ends, and what it knew of its runtime has been dropped: in the destructor
    /// of a thread-local.
    ///
    /// ```
    /// let error = heist::runtime::Handle::try_current().unwrap_err(); // this is no runtime
    /// assert!(!error.is_thread_local_destroyed());
    /// ```
    pub fn is_thread_local_destroyed(&self) -> bool {
        self.destroyed
    }
}

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.destroyed {
            "this thread ends, and has forgotten its runtime: keep a `Handle` in the thread-local whose destructor wants one"
        } else {
            context::NO_RUNTIME
        })
    }
}

impl fmt::Debug for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryCurrentError").field("destroyed", &self.destroyed).finish()
    }
}

impl std::error::Error for TryCurrentError {}
