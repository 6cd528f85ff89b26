//! The error of a refused spawn, which holds the future.

use std::fmt;

/// The runtime did not accept a task: it is being drained, or has been shut down.
///
/// The error holds the future. [`Handle::try_spawn`](super::Handle::try_spawn) returns it.
pub struct SpawnError<F>(F);

impl<F> SpawnError<F> {
    pub(super) fn new(future: F) -> Self {
        SpawnError(future)
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
        self.0
    }
}

impl<F> fmt::Display for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the runtime is being drained or has been shut down, and accepts no more tasks from here; `into_inner` returns \
             the future, and `Handle::draining` resolves when a drain begins",
        )
    }
}

impl<F> fmt::Debug for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnError").finish_non_exhaustive()
    }
}

impl<F> std::error::Error for SpawnError<F> {}
