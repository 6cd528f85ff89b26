#![doc = include_str!("../docs/task.md")]

mod error;
mod header;
mod id;
mod join;
mod owned_tasks;
mod poll;
mod runnable;
mod spawn_meta;
mod state;
mod waker;

pub use error::JoinError;
pub(crate) use header::{Header, TaskView};
pub use id::Id;
pub use join::{AbortHandle, JoinHandle};
pub(crate) use owned_tasks::OwnedTasks;
pub(crate) use runnable::{RunResult, Runnable};
pub(crate) use spawn_meta::{SpawnMeta, TaskInfo};

#[cfg(all(test, not(heist_loom)))]
mod panic_tests;
#[cfg(all(test, not(heist_loom)))]
mod tests;

use std::future::Future;

/// Futures larger than this are boxed, so that neither the cell nor the stack that builds it grows
/// with them.
pub(crate) const BOXED_ABOVE: usize = 16 * 1024;

/// Where a task goes when it is woken, and where it is filed. The upward call of the lowest floor:
/// a seat implements it.
///
/// # Safety
///
/// The implementor stays where it is, and alive, as long as a task that was polled with it as its
/// home has not ended; and nobody forms a `&mut` to it meanwhile.
pub(crate) unsafe trait Schedule: 'static {
    /// Queues a task that has been woken. Called from any thread, by a waker: it neither blocks for
    /// long nor runs user code.
    ///
    /// Publish, then touch: once the runnable is in a queue the task may end, and with it the last
    /// reason for `self` to be alive. An implementation that goes on with `self` after that has to
    /// keep it by other means.
    fn schedule(&self, runnable: Runnable);

    /// The live list of this home.
    fn owned_tasks(&self) -> &OwnedTasks;

    /// Counts a task that ends here. Called by its poller, before anybody can see the end.
    /// `unfinished` says that it was not polled any more, but dropped.
    fn record_outcome(&self, task: &Header, end: Outcome, unfinished: bool);
}

/// Makes a task of `future`, and answers the right to poll it and the right to its output.
///
/// `S` is the kind of home that it will be polled in.
pub(crate) fn spawn<F, S>(future: F, spawn_meta: SpawnMeta) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send,
    S: Schedule,
{
    // SAFETY: the future and its output are `Send`: they may be used and dropped on any thread.
    unsafe { spawn_local::<F, S>(future, spawn_meta) }
}

/// As [`spawn`], of a future that need not be `Send`.
///
/// The future is touched by whoever runs, cancels or drops the `Runnable`, and by nobody else; the
/// output by him, and by the handle, which is `Send` only if the output is. Wakers and abort
/// handles touch neither.
///
/// # Safety
///
/// Whoever runs, cancels or drops the `Runnable`, or one that a wake makes later, does so on the
/// thread that calls this; unless the future and its output are `Send`. That a `Runnable` lies in a
/// queue, or is carried there by another thread, is none of it.
pub(crate) unsafe fn spawn_local<F, S>(future: F, spawn_meta: SpawnMeta) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + 'static,
    S: Schedule,
{
    if size_of::<F>() > BOXED_ABOVE {
        runnable::allocate::<_, S>(Box::pin(future), spawn_meta)
    } else {
        runnable::allocate::<_, S>(future, spawn_meta)
    }
}

/// How a task has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With an output.
    Completed,
    /// By a panic.
    Panicked,
    /// Aborted, or dropped by the runtime.
    Cancelled,
}
