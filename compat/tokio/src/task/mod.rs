//! Tasks: heist's own types, and Tokio's collections of tasks.

use std::future::Future;

pub use heist::task::{AbortHandle, Id, JoinError, JoinHandle, id, try_id};
pub use coop::consume_budget;
pub use coop::{Unconstrained, unconstrained};

pub mod coop;
mod join_set;
mod local;
mod task_local;
mod yield_now;

pub use join_set::JoinSet;
pub use local::{LocalEnterGuard, LocalSet, spawn_local};
pub use task_local::LocalKey;
pub use yield_now::yield_now;

/// Futures of tasks.
pub mod futures {
    pub use super::task_local::TaskLocalFuture;
}

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
/// On a current-thread runtime, and in a [`LocalSet`].
#[cfg(feature = "rt-multi-thread")]
#[track_caller]
pub fn block_in_place<F, R>(function: F) -> R
where
    F: FnOnce() -> R,
{
    local::refuse_block_in_place();
    heist::task::block_in_place(function)
}
