//! Tasks of a set that have names.

use std::future::Future;
use std::io;

use super::join_set::JoinSet;
use crate::cell::AbortHandle;
use crate::runtime::Handle;

/// Spawns a task into a [`JoinSet`] that has a name; see [`JoinSet::build_task`].
///
/// Its methods are those of [`task::Builder`](crate::task::Builder), and have the same errors and panics.
#[derive(Debug)]
#[must_use = "it does nothing unless a task is spawned with it"]
pub struct Builder<'a, T> {
    pub(super) set: &'a mut JoinSet<T>,
    pub(super) builder: super::Builder<'a>,
}

impl<'a, T: Send + 'static> Builder<'a, T> {
    /// Names the task.
    pub fn name(self, name: &'a str) -> Self {
        Builder { builder: self.builder.name(name), ..self }
    }

    /// Spawns a task; see [`JoinSet::spawn`].
    ///
    /// # Errors
    ///
    /// None today.
    ///
    /// # Panics
    ///
    /// If this thread is in no runtime.
    #[track_caller]
    pub fn spawn<F: Future<Output = T> + Send + 'static>(self, future: F) -> io::Result<AbortHandle> {
        Ok(self.set.insert(self.builder.spawn(future)?))
    }

    /// Spawns a task on the runtime of `handle`; see [`JoinSet::spawn_on`].
    ///
    /// # Errors
    ///
    /// None today.
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
    /// None today.
    ///
    /// # Panics
    ///
    /// If this thread is in no runtime.
    #[track_caller]
    pub fn spawn_blocking(self, function: impl FnOnce() -> T + Send + 'static) -> io::Result<AbortHandle> {
        Ok(self.set.insert(self.builder.spawn_blocking(function)?))
    }

    /// Runs a function that may block on a thread of the runtime of `handle`; see [`JoinSet::spawn_blocking_on`].
    ///
    /// # Errors
    ///
    /// None today.
    #[track_caller]
    pub fn spawn_blocking_on(
        self,
        function: impl FnOnce() -> T + Send + 'static,
        handle: &Handle,
    ) -> io::Result<AbortHandle> {
        Ok(self.set.insert(self.builder.spawn_blocking_on(function, handle)?))
    }
}
