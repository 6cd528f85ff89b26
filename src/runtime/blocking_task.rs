//! A blocking job is a task whose one poll runs the function.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::blocking::{Job, Refusal};
use crate::cell::{self, JoinHandle, LiveSet, Runnable, Schedule};
use crate::context;
use crate::pool::Pool;
use crate::sync::Arc;

/// The future of a blocking job: ready at its first poll.
struct Blocking<F>(Option<F>);

// The function is moved out before it is called, never pinned.
impl<F> Unpin for Blocking<F> {}

impl<F: FnOnce() -> R, R> Future for Blocking<F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<R> {
        let function = self.0.take().expect("a blocking job is polled once");
        Poll::Ready(function())
    }
}

/// The home of jobs, which never suspend: nothing is ever scheduled or filed there.
#[derive(Debug)]
struct Nowhere;

// SAFETY: it has no size and no state; any reference to it is good for ever.
unsafe impl Schedule for Nowhere {
    fn schedule(&self, _: Runnable) {
        unreachable!("a blocking job is never idle, so it is never woken");
    }

    fn live(&self) -> &LiveSet {
        unreachable!("a blocking job never suspends, so it is never filed");
    }
}

/// A job on its way through the blocking pool.
struct BlockingJob {
    runnable: Runnable,
    pool: Arc<Pool>,
}

impl Job for BlockingJob {
    fn run(self: Box<Self>) {
        let BlockingJob { runnable, pool } = *self;
        let _stay = context::enter(pool);
        let outer = context::set_task(Some(runnable.header().id()));
        let _ = runnable.run(&Nowhere);
        context::set_task(outer);
    }

    fn cancel(self: Box<Self>) {
        // Dropping the runnable drops the function, and the handle resolves as cancelled.
        drop(self.runnable);
    }
}

/// Queues `function` on the blocking pool.
pub(super) fn spawn<F, R>(pool: &Arc<Pool>, function: F, location: &'static Location<'static>) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let (runnable, handle) = cell::spawn::<_, Nowhere>(Blocking(Some(function)), location);
    let job = Box::new(BlockingJob { runnable, pool: Arc::clone(pool) });
    if let Err(refused) = pool.blocking.submit(job) {
        if let Refusal::NoThread(_) = refused.why {
            tracing::error!(target: "heist::blocking", "a blocking job was cancelled: {}", refused.why);
        }
        refused.job.cancel();
    }
    handle
}
