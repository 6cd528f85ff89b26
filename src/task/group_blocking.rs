//! Blocking jobs of a group of tasks.

use std::future::{pending, poll_fn};
use std::panic::Location;
use std::task::Poll;

use crate::blocking;
use crate::group::Group;
use crate::group::admission::Ticket;
use crate::primitive::Arc;
use crate::raw_task::{AbortHandle, Refusal};
use crate::scheduler::group_queue;
use crate::{context, task};

/// One of the blocking jobs that a group allows at once.
struct Slot(Arc<Group>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.blocking.release();
    }
}

/// Waits for a slot.
struct SlotWait {
    group: Arc<Group>,
    ticket: Ticket,
}

impl Drop for SlotWait {
    fn drop(&mut self) {
        self.group.blocking.cancel_wait(&mut self.ticket);
    }
}

/// Aborts a job whose task has been dropped.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits for a slot, runs `function` on a thread for blocking jobs, and returns its result. It is
/// the future of a task.
pub(crate) async fn run<F, R>(group: Arc<Group>, function: F, location: &'static Location<'static>) -> R
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let (Ok(slot), Some(pool)) = (wait_for_slot(&group).await, group_queue::pool_of(&group)) else {
        return end_as_cancelled().await;
    };
    let job = move || {
        let result = function();
        drop(slot);
        result
    };
    let job = blocking::task::spawn(&pool, job, location.into());
    let _abort = AbortOnDrop(job.abort_handle());
    match job.await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_cancelled) => end_as_cancelled().await,
    }
}

async fn wait_for_slot(group: &Arc<Group>) -> Result<Slot, Refusal> {
    let mut wait = SlotWait { group: Arc::clone(group), ticket: Ticket::default() };
    poll_fn(|cx| match wait.group.blocking.poll_admit(&mut wait.ticket, cx.waker(), true) {
        Poll::Ready(Ok(())) => Poll::Ready(Ok(Slot(Arc::clone(group)))),
        Poll::Ready(Err(refusal)) => Poll::Ready(Err(refusal)),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Ends the task that awaits this as cancelled: the runtime does not run its job.
async fn end_as_cancelled<R>() -> R {
    let own = context::pool().and_then(|pool| context::task_of(&pool));
    debug_assert!(own.is_some() && task::try_id().is_some(), "a job of a group is a task");
    if let Some(own) = own {
        own.abort();
    }
    pending().await
}
