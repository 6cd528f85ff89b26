//! Spawns tasks with names into a set, and sets that spawn in a group.

use std::future::Future;
use std::io;

use super::join_set::JoinSet;
use crate::raw_task::AbortHandle;
use crate::runtime::{Handle, TaskGroup};

/// Spawns a task with a name into a [`JoinSet`]. [`JoinSet::build_task`] returns it.
///
/// Its methods are those of [`task::Builder`](crate::task::Builder), with the same errors and
/// panics.
#[derive(Debug)]
#[must_use = "it does nothing unless a task is spawned with it"]
pub struct Builder<'a, T> {
    pub(super) set: &'a mut JoinSet<T>,
    pub(super) builder: super::Builder<'a>,
}

impl<T> JoinSet<T> {
    /// Creates an empty set that spawns tasks and blocking jobs in a group. A task that the group
    /// does not admit is joined as cancelled. A spawn on a handle, and one of a local task, is not
    /// in the group.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("squares").build().unwrap();
    /// let mut set = heist::task::JoinSet::in_group(&group);
    /// (0..4).for_each(|number| drop(set.spawn(async move { number * number })));
    /// assert_eq!(runtime.block_on(set.join_all()).iter().sum::<i32>(), 14);
    /// assert_eq!(group.metrics().completed, 4);
    /// ```
    pub fn in_group(group: &TaskGroup) -> Self {
        let mut set = JoinSet::new();
        set.group = Some(group.clone());
        set
    }
}

impl<'a, T: 'static> Builder<'a, T> {
    /// Sets the name of the task.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = heist::task::JoinSet::new();
    /// set.build_task().name("greeter").spawn(async { heist::task::yield_now().await }).unwrap();
    /// set.join_next().await.unwrap().unwrap();
    /// # });
    /// ```
    pub fn name(self, name: &'a str) -> Self {
        Builder { builder: self.builder.name(name), ..self }
    }
}

impl<T: Send + 'static> Builder<'_, T> {
    /// Spawns a task; see [`JoinSet::spawn`].
    ///
    /// # Errors
    ///
    /// It returns no error today.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is running on this thread.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = heist::task::JoinSet::new();
    /// set.build_task().name("answer").spawn(async { 6 * 7 }).unwrap();
    /// assert_eq!(set.join_all().await, [42]);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn<F: Future<Output = T> + Send + 'static>(self, future: F) -> io::Result<AbortHandle> {
        let group = self.set.group.clone();
        let builder = group.as_ref().map_or(self.builder, |group| self.builder.group(group));
        Ok(self.set.insert(builder.spawn(future)?))
    }

    /// Spawns a task on the runtime of `handle`; see [`JoinSet::spawn_on`].
    ///
    /// # Errors
    ///
    /// It returns no error today.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new().unwrap();
    /// let mut set = heist::task::JoinSet::new();
    /// // No runtime is running on this thread.
    /// set.build_task().name("answer").spawn_on(async { 6 * 7 }, runtime.handle()).unwrap();
    /// assert_eq!(runtime.block_on(set.join_all()), [42]);
    /// ```
    #[track_caller]
    pub fn spawn_on<F: Future<Output = T> + Send + 'static>(
        self,
        future: F,
        handle: &Handle,
    ) -> io::Result<AbortHandle> {
        Ok(self.set.insert(self.builder.spawn_on(future, handle)?))
    }

    /// Runs a function that may block; see [`JoinSet::spawn_blocking`].
    ///
    /// # Errors
    ///
    /// It returns no error today.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is running on this thread.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = heist::task::JoinSet::new();
    /// set.build_task().name("sum").spawn_blocking(|| (1..=10).sum::<u32>()).unwrap();
    /// assert_eq!(set.join_all().await, [55]);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_blocking(self, function: impl FnOnce() -> T + Send + 'static) -> io::Result<AbortHandle> {
        let group = self.set.group.clone();
        let builder = group.as_ref().map_or(self.builder, |group| self.builder.group(group));
        Ok(self.set.insert(builder.spawn_blocking(function)?))
    }

    /// Runs a function that may block on a thread of the runtime of `handle`; see
    /// [`JoinSet::spawn_blocking_on`].
    ///
    /// # Errors
    ///
    /// It returns no error today.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new().unwrap();
    /// let mut set = heist::task::JoinSet::new();
    /// let sum = set.build_task().name("sum");
    /// sum.spawn_blocking_on(|| (1..=10).sum::<u32>(), runtime.handle()).unwrap();
    /// assert_eq!(runtime.block_on(set.join_all()), [55]);
    /// ```
    #[track_caller]
    pub fn spawn_blocking_on(
        self,
        function: impl FnOnce() -> T + Send + 'static,
        handle: &Handle,
    ) -> io::Result<AbortHandle> {
        Ok(self.set.insert(self.builder.spawn_blocking_on(function, handle)?))
    }
}

impl<T: 'static> Builder<'_, T> {
    /// Spawns a task that need not be `Send`; see [`JoinSet::spawn_local`].
    ///
    /// # Errors
    ///
    /// It returns no error today.
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
    /// let mut set = heist::task::JoinSet::new();
    /// set.build_task().name("local").spawn_local(async { std::rc::Rc::new(42) }).unwrap();
    /// assert_eq!(*set.join_next().await.unwrap().unwrap(), 42);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_local<F: Future<Output = T> + 'static>(self, future: F) -> io::Result<AbortHandle> {
        Ok(self.set.insert(self.builder.spawn_local(future)?))
    }
}
