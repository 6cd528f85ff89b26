//! Spawns tasks with a name.

use std::future::Future;
use std::io;
use std::panic::Location;

use crate::context;
use crate::primitive::Arc;
use crate::raw_task::{JoinHandle, SpawnMeta};
use crate::runtime::{Handle, TaskGroup};
use crate::scheduler::group_queue;
use crate::scheduler::schedule;

/// Spawns a task with a name.
///
/// The name identifies the task in a [`Straggler`](crate::drain::state::Straggler) of a drain's
/// report, in a dump, and in the report of a stall. The hooks of tasks get it, too (see
/// [`TaskMeta`](crate::pool::hooks::TaskMeta)). It need not be unique. A task with a name costs one
/// more allocation. A task without one costs nothing more.
///
/// The methods return an [`io::Result`], as Tokio's do. The one error is a group that does not fit.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let runtime = heist::runtime::Runtime::new().unwrap();
/// let never = std::future::pending::<()>();
/// let listener = heist::task::Builder::new().name("listener");
/// let task = listener.spawn_on(never, runtime.handle()).unwrap();
/// let report = runtime.drain(Duration::ZERO).wait();
/// assert_eq!(report.stragglers[0].name.as_deref(), Some("listener"));
/// assert_eq!(report.stragglers[0].id, task.id());
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "it does nothing unless a task is spawned with it"]
pub struct Builder<'a> {
    name: Option<&'a str>,
    group: Option<&'a TaskGroup>,
}

impl<'a> Builder<'a> {
    /// Creates a builder of a task without a name.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let task = heist::task::Builder::new().name("answer").spawn(async { 6 * 7 }).unwrap();
    /// assert_eq!(task.await.unwrap(), 42);
    /// # });
    /// ```
    pub fn new() -> Self {
        Builder::default()
    }

    /// Sets the name of the task.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let never = std::future::pending::<()>();
    /// let task = heist::task::Builder::new().name("sleeper").spawn(never).unwrap();
    /// // Dumps and reports show the name.
    /// task.abort();
    /// # });
    /// ```
    pub fn name(&self, name: &'a str) -> Self {
        Builder { name: Some(name), ..*self }
    }

    /// Sets the group of the task, in place of that of the code that spawns it.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("tenant-7").build().unwrap();
    /// let builder = heist::task::Builder::new().name("answer").group(&group);
    /// let task = builder.spawn_on(async { 6 * 7 }, runtime.handle()).unwrap();
    /// assert_eq!(runtime.block_on(task).unwrap(), 42);
    /// ```
    pub fn group(&self, group: &'a TaskGroup) -> Self {
        Builder { group: Some(group), ..*self }
    }

    /// Spawns a task; see [`task::spawn`](crate::task::spawn()).
    ///
    /// # Errors
    ///
    /// If the group is one of another runtime than that of this thread.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is running on this thread, unless a group is set.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let task = heist::task::Builder::new().name("answer").spawn(async { 6 * 7 }).unwrap();
    /// assert_eq!(task.await.unwrap(), 42);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.group {
            Some(group) => {
                if let Ok(handle) = Handle::try_current() {
                    self.check_group(group, &handle)?;
                }
                Ok(group.spawn_named(future, self.name, Location::caller()))
            }
            None => Ok(start(future, self.spawn_meta())),
        }
    }

    /// Spawns a task on the runtime of `handle`; see [`Handle::spawn`].
    ///
    /// # Errors
    ///
    /// If the group is one of another runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new().unwrap();
    /// // No runtime is running on this thread.
    /// let answer = heist::task::Builder::new().name("answer");
    /// let task = answer.spawn_on(async { 6 * 7 }, runtime.handle()).unwrap();
    /// assert_eq!(runtime.block_on(task).unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.group {
            Some(group) => {
                self.check_group(group, handle)?;
                Ok(group.spawn_named(future, self.name, Location::caller()))
            }
            None => Ok(handle.start(schedule::new_task(future, self.spawn_meta()))),
        }
    }

    /// Spawns a task that need not be `Send`; see [`task::spawn_local`](crate::task::spawn_local).
    ///
    /// # Errors
    ///
    /// If a group is set: its tasks are `Send`.
    ///
    /// # Panics
    ///
    /// Panics if this thread is not inside of its own
    /// [`LocalRuntime`](crate::runtime::LocalRuntime).
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::LocalRuntime::new().unwrap().block_on(async {
    /// let shared = std::rc::Rc::new(42);
    /// let local = heist::task::Builder::new().name("local");
    /// let task = local.spawn_local(async move { shared }).unwrap();
    /// assert_eq!(*task.await.unwrap(), 42);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        if self.group.is_some() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a task that need not be `Send` cannot be in a group: use `spawn`, or build it without a group",
            ));
        }
        Ok(super::start_local(future, self.spawn_meta()))
    }

    /// Runs a function that may block; see [`task::spawn_blocking`](crate::task::spawn_blocking).
    ///
    /// # Errors
    ///
    /// If the group is one of another runtime.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is running on this thread.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let sum = heist::task::Builder::new().name("sum");
    /// let task = sum.spawn_blocking(|| (1..=10).sum::<u32>()).unwrap();
    /// assert_eq!(task.await.unwrap(), 55);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, R>(self, function: F) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let handle = Handle::current();
        match self.group {
            Some(_) => self.spawn_blocking_on(function, &handle),
            None => Ok(handle.spawn_blocking_here(function, self.spawn_meta())),
        }
    }

    /// Runs a function that may block on a thread of the runtime of `handle`; see
    /// [`Handle::spawn_blocking`].
    ///
    /// # Errors
    ///
    /// If the group is one of another runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new().unwrap();
    /// let sum = heist::task::Builder::new().name("sum");
    /// let task = sum.spawn_blocking_on(|| (1..=10).sum::<u32>(), runtime.handle()).unwrap();
    /// assert_eq!(runtime.block_on(task).unwrap(), 55);
    /// ```
    #[track_caller]
    pub fn spawn_blocking_on<F, R>(self, function: F, handle: &Handle) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        match self.group {
            Some(group) => {
                self.check_group(group, handle)?;
                Ok(group.spawn_blocking_named(function, self.name, Location::caller()))
            }
            None => Ok(handle.spawn_blocking_as(function, self.spawn_meta())),
        }
    }

    /// Checks that the group is one of the runtime of `handle`.
    fn check_group(&self, group: &TaskGroup, handle: &Handle) -> io::Result<()> {
        if group_queue::pool_of(group.group()).is_none_or(|pool| Arc::ptr_eq(&pool, handle.pool())) {
            return Ok(());
        }
        let name = group.name();
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the group {name:?} is one of another runtime: build a group on the runtime of the handle"),
        ))
    }

    #[track_caller]
    fn spawn_meta(self) -> SpawnMeta {
        match self.name {
            Some(name) => SpawnMeta::named(Location::caller(), name),
            None => Location::caller().into(),
        }
    }
}

/// Spawns a task as [`task::spawn`](crate::task::spawn()) does, with a name.
#[track_caller]
fn start<F>(future: F, spawn_meta: SpawnMeta) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if let Some(seat) = context::seat_here() {
        let (runnable, handle) = schedule::new_task(future, spawn_meta);
        // SAFETY: nothing but the creation of the task has run since.
        unsafe { schedule::queue_in_seat(seat, runnable) };
        return handle;
    }
    super::start_elsewhere(future, spawn_meta)
}
