#![doc = include_str!("../docs/task.md")]

mod error;
mod header;
mod home_table;
mod id;
mod join;
mod join_waker;
mod owned_tasks;
mod poll;
mod refusal;
mod runnable;
mod spawn_meta;
mod state;
#[cfg(feature = "tracing-spans")]
mod task_span;
#[cfg(not(feature = "tracing-spans"))]
#[path = "raw_task/task_span_none.rs"]
mod task_span;
mod waker;

pub use error::JoinError;
pub(crate) use header::{Header, TaskView};
pub use id::Id;
pub use join::{AbortHandle, JoinHandle};
pub(crate) use join_waker::EndCallback;
pub(crate) use owned_tasks::OwnedTasks;
pub use refusal::Refusal;
pub(crate) use runnable::{RunResult, Runnable};
pub(crate) use spawn_meta::{SpawnMeta, TaskInfo};
pub(crate) use task_span::Origin;
#[cfg(feature = "tracing-spans")]
pub(crate) use task_span::{SpanId, Spanned, TaskSpan};

#[cfg(all(test, not(heist_loom)))]
mod join_waker_tests;
#[cfg(all(test, not(heist_loom)))]
mod panic_tests;
#[cfg(all(test, not(heist_loom)))]
mod tests;

use std::any::Any;
use std::fmt;
use std::future::Future;

use crate::primitive::Arc;

/// Futures larger than this are boxed, so that neither the cell nor the stack that builds it grows
/// with them.
pub(crate) const BOXED_ABOVE: usize = 16 * 1024;

/// The home of a task: the place that queues it when it is woken, and that links it. A seat
/// implements it. By this trait, a waker calls up into the scheduler.
///
/// # Safety
///
/// The implementor stays alive until every task that was linked in it has ended. From the first
/// link on, it does not move, and no `&mut` to it is formed until it is dropped. It drops its
/// [`OwnedTasks`] with itself, and not before.
pub(crate) unsafe trait Schedule: 'static {
    /// Queues a task that has been woken. Called from any thread, by a waker. It does not block for
    /// long, and does not panic. It may call a waker, whose panics it contains.
    ///
    /// Once the runnable is in a queue, the task may end, and with it the last reason for `self` to
    /// be alive. An implementation that uses `self` after that has to keep it alive by other means.
    fn schedule(&self, runnable: Runnable);

    /// Returns this home's list of owned tasks.
    fn owned_tasks(&self) -> &OwnedTasks;

    /// Records a task that ends here. Called by its poller, before another thread can observe the
    /// end. `unfinished` means that the task was dropped, not polled to its end.
    fn record_outcome(&self, task: &Header, end: Outcome, unfinished: bool);
}

/// The group of a task, as its waker and its reports see it. By this trait, a waker calls up into
/// the group.
pub(crate) trait Route: fmt::Debug + Send + Sync {
    /// Queues a task of the group that has been woken. The conditions are those of
    /// [`Schedule::schedule`].
    fn queue_woken(self: Arc<Self>, runnable: Runnable);

    /// Returns the group's name.
    fn name(&self) -> &Arc<str>;

    /// Returns the group, for the upper layer, which knows its type.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// Creates a task of the group in `spawn_meta`. The group queues it when it is woken. In all other
/// respects it is a task of [`spawn`].
pub(crate) fn spawn_in_group<F, S>(future: F, spawn_meta: SpawnMeta) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send,
    S: Schedule,
{
    if size_of::<F>() > BOXED_ABOVE {
        runnable::allocate_in_group::<_, S>(Box::pin(future), spawn_meta)
    } else {
        runnable::allocate_in_group::<_, S>(future, spawn_meta)
    }
}

/// Creates a task of `future`. Returns the right to poll it and the right to its output.
///
/// `S` is the type of the homes in which it will be polled.
pub(crate) fn spawn<F, S>(future: F, spawn_meta: SpawnMeta) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send,
    S: Schedule,
{
    // SAFETY: the future and its output are `Send`: they may be used and dropped on any thread.
    unsafe { spawn_local::<F, S>(future, spawn_meta) }
}

/// Same as [`spawn`], for a future that need not be `Send`.
///
/// Only the thread that runs, cancels or drops the `Runnable` accesses the future. That thread and
/// the handle access the output, and the handle is `Send` only if the output is. Wakers and abort
/// handles access neither.
///
/// # Safety
///
/// Unless the future and its output are `Send`, each `Runnable` of the task is run, cancelled or
/// dropped on the thread that calls this. That includes a `Runnable` that a later wake makes.
/// Another thread may queue a `Runnable`, or carry it to a queue.
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
    /// By an abort, or because the runtime dropped it.
    Cancelled,
}
