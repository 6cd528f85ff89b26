//! The error of a refused spawn, which holds the future.

use std::fmt;
use std::future::Future;
use std::panic::Location;

use crate::raw_task::JoinHandle;
pub use crate::raw_task::Refusal;
use crate::scheduler::group_queue;

/// The runtime, or a group, did not accept a task.
///
/// The error holds the future, and the reason. [`Handle::try_spawn`](super::Handle::try_spawn) and
/// the spawns of [`TaskGroup`](super::TaskGroup) return it.
pub struct SpawnError<F> {
    future: F,
    refusal: Refusal,
}

impl<F> SpawnError<F> {
    pub(super) fn new(future: F, refusal: Refusal) -> Self {
        SpawnError { future, refusal }
    }

    /// Drops the future. Returns a handle that resolves as cancelled for the reason.
    pub(super) fn into_handle(self, location: &'static Location<'static>) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        group_queue::reject_detached(self.refusal, self.future, location)
    }

    /// Returns the future that was not spawned.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// drop(runtime);
    /// let future = handle.try_spawn(async { 7 }).unwrap_err().into_inner(); // for another runtime
    /// assert_eq!(heist::runtime::Runtime::new()?.block_on(future), 7);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_inner(self) -> F {
        self.future
    }

    /// Returns why the task was not accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::Refusal;
    ///
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// drop(runtime);
    /// assert_eq!(handle.try_spawn(async {}).unwrap_err().refusal(), Refusal::Closed);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn refusal(&self) -> Refusal {
        self.refusal
    }
}

impl<F> fmt::Display for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; `into_inner` returns the future", self.refusal)
    }
}

impl<F> fmt::Debug for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnError").field("refusal", &self.refusal).finish_non_exhaustive()
    }
}

impl<F> std::error::Error for SpawnError<F> {}
