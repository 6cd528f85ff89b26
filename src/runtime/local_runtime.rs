//! A runtime that stays on its thread, for futures that need not be `Send`.

use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::Duration;

use super::{Builder, Drain, Draining, Dump, EnterGuard, GroupBuilder, Handle, Id, Runtime, RuntimeMetrics};
use crate::pool::Pool;
use crate::primitive::Arc;
use crate::raw_task::{JoinHandle, SpawnMeta};
use crate::scheduler::schedule;

/// Settings that only a [`LocalRuntime`] has. There are none yet.
///
/// # Examples
///
/// ```
/// let options = heist::runtime::LocalOptions::default();
/// # let _ = heist::runtime::Builder::new_current_thread().build_local(options).unwrap();
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct LocalOptions {
    /// Future settings may belong to the thread.
    not_send: PhantomData<*mut ()>,
}

/// A current-thread runtime whose tasks need not be `Send`.
///
/// The runtime stays on the thread that created it, and so do its tasks. Their futures are polled
/// there, during [`LocalRuntime::block_on`], and dropped there, also if another thread aborts them.
/// In all other respects it is a current-thread [`Runtime`].
///
/// Other threads may use its [`Handle`] to spawn futures that are `Send`, and may wake and abort
/// tasks. Only its own thread may call [`spawn_local`](crate::task::spawn_local).
///
/// Dropping the runtime drops its tasks, as for any runtime. If another thread is waking a task at
/// that moment, the drop waits for the end of the wake.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
///
/// let runtime = heist::runtime::LocalRuntime::new().unwrap();
/// let sum = Rc::new(Cell::new(0));
/// runtime.block_on(async {
///     let tasks: Vec<_> = (1..=3)
///         .map(|n| {
///             let sum = Rc::clone(&sum);
///             heist::task::spawn_local(async move {
///                 heist::task::yield_now().await;
///                 sum.set(sum.get() + n);
///                 sum
///             })
///         })
///         .collect();
///     for task in tasks {
///         // The output is not `Send` either.
///         let _: Rc<Cell<i32>> = task.await.unwrap();
///     }
/// });
/// assert_eq!(sum.get(), 6);
/// ```
///
/// The runtime does not move to another thread:
///
/// ```compile_fail,E0277
/// let runtime = heist::runtime::LocalRuntime::new().unwrap();
/// std::thread::spawn(move || drop(runtime));
/// ```
///
/// An output that is not `Send` does not, either:
///
/// ```compile_fail,E0277
/// let runtime = heist::runtime::LocalRuntime::new().unwrap();
/// let task = runtime.spawn_local(async { std::rc::Rc::new(1) });
/// std::thread::spawn(move || drop(task));
/// ```
#[derive(Debug)]
pub struct LocalRuntime {
    runtime: Runtime,
    not_send: PhantomData<*mut ()>,
}

impl LocalRuntime {
    /// Creates a local runtime with default settings, sockets and timers.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system if it refuses the reactor's file descriptors.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::LocalRuntime::new().unwrap();
    /// assert_eq!(runtime.block_on(async { 6 * 7 }), 42);
    /// ```
    pub fn new() -> io::Result<LocalRuntime> {
        Builder::new_current_thread().enable_all().build_local(LocalOptions::default())
    }

    /// Wraps a runtime whose pool is local to this thread.
    pub(super) fn new_in(runtime: Runtime) -> LocalRuntime {
        LocalRuntime { runtime, not_send: PhantomData }
    }

    /// Returns a builder of a group of tasks; see [`Handle::group`]. The futures of its tasks are
    /// `Send`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::LocalRuntime::new().unwrap();
    /// let group = runtime.group("batch").max_tasks(10).build().unwrap();
    /// assert_eq!(runtime.block_on(group.spawn(async { 7 })).unwrap(), 7);
    /// ```
    pub fn group(&self, name: &str) -> GroupBuilder {
        self.handle().group(name)
    }

    /// Returns a handle to the runtime. Other threads can spawn futures with it that are `Send`. It
    /// does not keep the runtime alive.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::LocalRuntime::new().unwrap();
    /// let handle = runtime.handle().clone();
    /// let task = std::thread::spawn(move || handle.spawn(async { 6 * 7 })).join().unwrap();
    /// assert_eq!(runtime.block_on(task).unwrap(), 42);
    /// ```
    pub fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Spawns a task that stays on this thread; see
    /// [`task::spawn_local`](crate::task::spawn_local).
    ///
    /// The task runs during the next [`LocalRuntime::block_on`].
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::LocalRuntime::new().unwrap();
    /// let here = std::rc::Rc::new(42);
    /// let task = runtime.spawn_local(async move { here });
    /// assert_eq!(*runtime.block_on(task).unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn_in(self.handle().pool(), future, Location::caller())
    }

    /// Runs a function that may block on a thread for blocking jobs; see
    /// [`task::spawn_blocking`](crate::task::spawn_blocking).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::LocalRuntime::new().unwrap();
    /// let sum = runtime.spawn_blocking(|| (1..=10).sum::<u32>()); // on another thread
    /// assert_eq!(runtime.block_on(sum).unwrap(), 55);
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, function: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.runtime.spawn_blocking(function)
    }

    /// Polls `future` on this thread until it is ready, and returns its output. It runs the
    /// runtime's tasks meanwhile.
    ///
    /// # Panics
    ///
    /// Panics if this thread is already polling a future, or if `future` panics. On a runtime with
    /// [`UnhandledPanic::ShutdownRuntime`](super::UnhandledPanic::ShutdownRuntime), panics if a
    /// task panics or has panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::LocalRuntime::new().unwrap();
    /// let name = String::from("heist");
    /// assert_eq!(runtime.block_on(async { name.len() }), 5); // the future may borrow
    /// ```
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Enters the runtime: while the guard lives, `spawn`, `spawn_local`, sockets and timers on
    /// this thread use this runtime.
    ///
    /// # Panics
    ///
    /// The guard panics when it is dropped before a guard that was created later on this thread.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::LocalRuntime::new().unwrap();
    /// let _inside = runtime.enter();
    /// let here = std::rc::Rc::new(42);
    /// let task = heist::task::spawn_local(async move { here }); // needs the guard
    /// assert_eq!(*runtime.block_on(task).unwrap(), 42);
    /// ```
    pub fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Returns the metrics of the runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::LocalRuntime::new().unwrap();
    /// drop(runtime.spawn_local(std::future::pending::<()>()));
    /// assert_eq!(runtime.metrics().num_alive_tasks(), 1);
    /// ```
    pub fn metrics(&self) -> RuntimeMetrics {
        self.runtime.metrics()
    }

    /// Drains the runtime; see [`Handle::drain`].
    ///
    /// Spawns from the root future of a [`LocalRuntime::block_on`] are refused from now on. The
    /// tasks go on only while this thread drives the runtime, with [`Drain::wait`] or in a
    /// `block_on`. A task that is left at the deadline is dropped on this thread, when it drives
    /// the runtime again or drops it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = heist::runtime::LocalRuntime::new()?;
    /// let shared = std::rc::Rc::new(7);
    /// let task = runtime.spawn_local(async move { *shared });
    /// let report = runtime.drain(Duration::from_secs(10)).wait();
    /// assert_eq!((report.completed, report.stragglers.len()), (1, 0));
    /// assert_eq!(runtime.block_on(task)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drain(&self, deadline: Duration) -> Drain {
        self.runtime.drain(deadline)
    }

    /// Resolves when a drain or the shutdown of the runtime begins; see [`Handle::draining`].
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::LocalRuntime::new()?;
    /// let draining = runtime.draining();
    /// let task = runtime.spawn_local(async move {
    ///     draining.await;
    ///     std::rc::Rc::new("last words")
    /// });
    /// runtime.drain(std::time::Duration::from_secs(10)).wait();
    /// assert_eq!(*runtime.block_on(task)?, "last words");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn draining(&self) -> Draining {
        self.runtime.draining()
    }

    /// Returns the id of the runtime; see [`Handle::id`].
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::LocalRuntime::new()?;
    /// assert_eq!(runtime.id(), runtime.handle().id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn id(&self) -> Id {
        self.runtime.id()
    }

    /// Returns the name of the runtime, if it has one; see [`Handle::name`].
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::{Builder, LocalOptions};
    ///
    /// let options = LocalOptions::default();
    /// let runtime = Builder::new_current_thread().name("ui").build_local(options)?;
    /// assert_eq!(runtime.name(), Some("ui"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.runtime.name()
    }

    /// Returns what the runtime does now: its worker, and every task that is visible from outside;
    /// see [`Handle::dump`].
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::{Activity, LocalRuntime};
    ///
    /// let runtime = LocalRuntime::new()?;
    /// let dump = runtime.dump();
    /// assert_eq!(dump.workers[0].activity, Activity::Vacant, "no `block_on` drives the runtime");
    /// println!("{dump}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dump(&self) -> Dump {
        self.runtime.dump()
    }

    /// Shuts the runtime down: drops its tasks, and waits at most `timeout` for blocking jobs that
    /// have begun.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::LocalRuntime::new().unwrap();
    /// let dropped = std::rc::Rc::new(());
    /// let part = std::rc::Rc::clone(&dropped);
    /// drop(runtime.spawn_local(async move { drop(part) }));
    /// runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    /// assert_eq!(std::rc::Rc::strong_count(&dropped), 1);
    /// ```
    pub fn shutdown_timeout(self, timeout: Duration) {
        self.runtime.shutdown_timeout(timeout);
    }

    /// Shuts the runtime down: drops its tasks, and does not wait for blocking jobs. It may be
    /// called where blocking is not allowed, such as in async code.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::LocalRuntime::new().unwrap();
    /// drop(runtime.spawn_blocking(|| std::thread::sleep(std::time::Duration::from_millis(1))));
    /// runtime.shutdown_background(); // does not wait for it
    /// ```
    pub fn shutdown_background(self) {
        self.runtime.shutdown_background();
    }
}

/// Spawns a task on a local pool.
///
/// # Panics
///
/// Panics if the pool is not local to this thread.
#[track_caller]
pub(crate) fn spawn_in<F>(pool: &Arc<Pool>, future: F, spawn_meta: impl Into<SpawnMeta>) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    assert!(
        pool.is_local(),
        "spawn_local: this runtime is not a `LocalRuntime`, and may poll its tasks on other threads; create it with \
         `LocalRuntime::new` or `Builder::build_local`, or use `spawn` for a future that is `Send`"
    );
    assert!(
        pool.may_poll_here(),
        "spawn_local: this is not the thread of the `LocalRuntime`; call it in one of its tasks or inside of its `block_on`, \
         or use `spawn` for a future that is `Send`"
    );
    // SAFETY: the pool is local to this thread, as the assertions have checked. The Runnable is
    // queued on it, or refused and dropped here.
    let (runnable, handle) = unsafe { schedule::make_local(future, spawn_meta) };
    schedule::queue_on(pool, runnable);
    handle
}
