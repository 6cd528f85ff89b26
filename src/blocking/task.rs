//! Blocking jobs as tasks: the one poll of such a task runs the function.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::blocking::{Host, Job, Refusal, Refused};
use crate::context;
use crate::context::budget;
use crate::drain::outcome_counts::BlockingJobs;
use crate::phase::Phase;
use crate::pool::Pool;
use crate::primitive::Arc;
use crate::primitive::atomic::Ordering;
use crate::raw_task::{self, JoinHandle, Runnable, SpawnMeta};
use crate::scheduler::schedule;
use crate::util::wake_list::catch_user_panic;

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

/// A job in the blocking pool.
struct BlockingJob {
    runnable: Runnable,
    pool: Arc<Pool>,
}

impl Job for BlockingJob {
    fn run_job(self: Box<Self>) {
        // After the drain's deadline no job starts any more.
        if self.pool.phase.load() == Phase::DeadlinePassed {
            return self.cancel();
        }
        let BlockingJob { runnable, pool } = *self;
        context::run_in_runtime(&pool, || {
            run_job(&pool, runnable);
            job_ended(&pool);
        });
    }

    fn cancel(self: Box<Self>) {
        let BlockingJob { runnable, pool } = *self;
        // Dropping the future drops the function, and the handle resolves as cancelled.
        context::run_in_runtime(&pool, || {
            pool.cancel_job(runnable);
            job_ended(&pool);
        });
    }
}

impl Host for Pool {
    fn run_in_runtime(self: Arc<Self>, f: &mut dyn FnMut()) {
        context::run_in_runtime(&self, f);
    }
}

/// Runs a job. When this returns, the job's memory may have been freed.
fn run_job(pool: &Arc<Pool>, runnable: Runnable) {
    let _job = context::job(pool, runnable.header());
    let _unlimited = budget::unlimited();
    let id = runnable.header().id();
    let outer = context::set_task(Some(runnable.header().into()));
    pool.drain_state.jobs.mark_running(runnable.header().identity());
    let _ = runnable.run(&pool.drain_state.jobs);
    pool.drain_state.jobs.mark_ended(id);
    context::set_task(outer);
}

/// Counts the end of a job.
fn job_ended(pool: &Pool) {
    pool.exit_unseated();
    // Last: the waiter of the job has been woken before, so paused time does not advance past it.
    if pool.clock.allow_auto_advance() {
        pool.unpark(0);
    }
}

/// Queues `function` on the blocking pool, and returns its handle. If the pool refuses, the handle
/// resolves as cancelled.
pub(crate) fn spawn<F, R>(pool: &Arc<Pool>, function: F, spawn_meta: SpawnMeta) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let (runnable, handle) = raw_task::spawn::<_, BlockingJobs>(Blocking(Some(function)), spawn_meta);
    if !schedule::enter_gate(pool) {
        pool.drain_state.refusals.log_rejection(pool.clock.now(), runnable.header().location());
        context::run_in_runtime(pool, || drop(runnable));
        return handle;
    }
    pool.clock.inhibit_auto_advance();
    // Ordering: Release — pairs with the Acquire in `Pool::spawned`: a job that is counted here has
    // been counted by the gate.
    pool.drain_state.jobs.entered.fetch_add(1, Ordering::Release);
    runnable.link_into(&pool.drain_state.jobs);
    let job = Box::new(BlockingJob { runnable, pool: Arc::clone(pool) });
    if let Err(Refused { job, why }) = pool.blocking.submit(job) {
        job.cancel();
        if let Refusal::NoThread(_) = why {
            catch_user_panic("a tracing subscriber", || {
                tracing::error!(target: "heist::blocking", "a blocking job was cancelled: {why}");
            });
        }
    }
    // The queue's lock orders this against the reaper: either the reaper has found the job, or the
    // deadline is seen here.
    pool.recheck_deadline(None);
    handle
}
