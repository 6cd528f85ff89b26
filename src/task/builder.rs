//! Spawning tasks that have a name.

use std::future::Future;
use std::io;
use std::panic::Location;

use crate::raw_task::{JoinHandle, SpawnMeta};
use crate::runtime::Handle;
use crate::scheduler::schedule;

/// Spawns a task that has a name.
///
/// The name says who it is in a [`Straggler`](crate::drain::report::Straggler) of a drain's report
/// and to the hooks of a runtime (see [`TaskMeta`](crate::pool::hooks::TaskMeta)). It need not be
/// unique. A task without a name pays nothing for it; one with a name for one allocation more.
///
/// Each method answers an [`io::Result`], for the day when there is an error to answer.
///
/// ```
/// use std::time::Duration;
///
/// let runtime = heist::runtime::Runtime::new().unwrap();
/// let handle = runtime.handle();
/// let task = heist::task::Builder::new().name("listener").spawn_on(std::future::pending::<()>(), handle).unwrap();
/// let report = runtime.drain(Duration::ZERO).wait();
/// assert_eq!(report.stragglers[0].name.as_deref(), Some("listener"));
/// assert_eq!(report.stragglers[0].id, task.id());
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "it does nothing unless a task is spawned with it"]
pub struct Builder<'a> {
    name: Option<&'a str>,
}

impl<'a> Builder<'a> {
    /// For a task without a name, yet.
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

    /// Names the task.
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let task = heist::task::Builder::new().name("sleeper").spawn(std::future::pending::<()>()).unwrap();
    /// // So it is called in a dump, in the report of a stall, and in that of a drain.
    /// task.abort();
    /// # });
    /// ```
    pub fn name(&self, name: &'a str) -> Self {
        Builder { name: Some(name) }
    }

    /// Spawns a task; see [`task::spawn`](crate::task::spawn()).
    ///
    /// # Errors
    ///
    /// None today.
    ///
    /// # Panics
    ///
    /// If this thread is in no runtime.
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
        Ok(super::start(schedule::new_task(future, self.spawn_meta())))
    }

    /// Spawns a task on the runtime of `handle`; see [`Handle::spawn`].
    ///
    /// # Errors
    ///
    /// None today.
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new().unwrap();
    /// // This thread is in no runtime.
    /// let task = heist::task::Builder::new().name("answer").spawn_on(async { 6 * 7 }, runtime.handle()).unwrap();
    /// assert_eq!(runtime.block_on(task).unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Ok(handle.start(schedule::new_task(future, self.spawn_meta())))
    }

    /// Spawns a task that need not be `Send`; see [`task::spawn_local`](crate::task::spawn_local).
    ///
    /// # Errors
    ///
    /// None today.
    ///
    /// # Panics
    ///
    /// If this thread is in no runtime, or not on the thread of a local one.
    ///
    /// ```
    /// # heist::runtime::LocalRuntime::new().unwrap().block_on(async {
    /// let here = std::rc::Rc::new(42);
    /// let task = heist::task::Builder::new().name("here").spawn_local(async move { here }).unwrap();
    /// assert_eq!(*task.await.unwrap(), 42);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Ok(super::start_local(future, self.spawn_meta()))
    }

    /// Runs a function that may block; see [`task::spawn_blocking`](crate::task::spawn_blocking).
    ///
    /// # Errors
    ///
    /// None today.
    ///
    /// # Panics
    ///
    /// If this thread is in no runtime.
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let task = heist::task::Builder::new().name("sum").spawn_blocking(|| (1..=10).sum::<u32>()).unwrap();
    /// assert_eq!(task.await.unwrap(), 55);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, R>(self, function: F) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.spawn_blocking_on(function, &Handle::current())
    }

    /// Runs a function that may block on a thread of the runtime of `handle`; see
    /// [`Handle::spawn_blocking`].
    ///
    /// # Errors
    ///
    /// None today.
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new().unwrap();
    /// let sum = || (1..=10).sum::<u32>();
    /// let task = heist::task::Builder::new().name("sum").spawn_blocking_on(sum, runtime.handle()).unwrap();
    /// assert_eq!(runtime.block_on(task).unwrap(), 55);
    /// ```
    #[track_caller]
    pub fn spawn_blocking_on<F, R>(self, function: F, handle: &Handle) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        Ok(handle.spawn_blocking_as(function, self.spawn_meta()))
    }

    #[track_caller]
    fn spawn_meta(self) -> SpawnMeta {
        match self.name {
            Some(name) => SpawnMeta::named(Location::caller(), name),
            None => Location::caller().into(),
        }
    }
}
