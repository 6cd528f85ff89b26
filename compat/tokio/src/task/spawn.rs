//! Functions that start tasks and jobs.

use std::future::Future;

use super::JoinHandle;

/// Spawns a task.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    crate::runtime::install_messages();
    heist::task::spawn(future)
}

/// Runs `function` on a blocking thread.
#[track_caller]
pub fn spawn_blocking<F, R>(function: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    crate::runtime::spawn_blocking(function)
}

/// Runs `function`, which may block, on this thread. Other workers run the other tasks meanwhile.
///
/// # Panics
///
/// On a current-thread runtime, and in a [`LocalSet`](super::LocalSet).
#[cfg(feature = "rt-multi-thread")]
#[track_caller]
pub fn block_in_place<F, R>(function: F) -> R
where
    F: FnOnce() -> R,
{
    super::local::refuse_block_in_place();
    heist::task::block_in_place(function)
}
