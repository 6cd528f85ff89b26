//! A spawn that was refused, with what was to be spawned.

use std::fmt;

/// The runtime takes no more tasks: it drains, or has been shut down. Holds the future that was to
/// be spawned.
pub struct SpawnError<F>(F);

impl<F> SpawnError<F> {
    pub(super) fn new(future: F) -> Self {
        SpawnError(future)
    }

    /// Gives the future back.
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
            "the runtime drains or has been shut down, and takes no more tasks from here: take the future back with \
             `into_inner`, and stop in time by selecting on `Handle::draining`",
        )
    }
}

impl<F> fmt::Debug for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnError").finish_non_exhaustive()
    }
}

impl<F> std::error::Error for SpawnError<F> {}
