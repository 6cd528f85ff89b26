//! Blocking jobs as tasks: the one poll of such a task runs the function.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::blocking::{Host, Job, Refusal, Refused};
use crate::context;
use crate::context::budget;
use crate::drain::outcome_counts::BlockingJobs;
use crate::group::Group;
use crate::group::blocking_slots::SlotJob;
use crate::phase::Phase;
use crate::pool::Pool;
use crate::primitive::Arc;
use crate::primitive::atomic::Ordering;
use crate::raw_task::{self, JoinHandle, Origin, Runnable, SpawnMeta};
use crate::recorder::record::Kind;
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
    group: Option<Arc<Group>>,
    /// The group counts the job.
    has_slot: bool,
}

impl SlotJob for BlockingJob {
    fn with_slot(mut self: Box<Self>) -> Box<dyn Job> {
        self.has_slot = true;
        self
    }

    fn cancel(self: Box<Self>) {
        Job::cancel(self);
    }
}

impl Job for BlockingJob {
    fn run_job(self: Box<Self>) {
        // After the deadline of a drain, of the runtime or of the group, no job starts any more.
        let is_closed = self.group.as_ref().is_some_and(|group| group.admission.is_closed());
        if is_closed || self.pool.phase.load() == Phase::DeadlinePassed {
            return Job::cancel(self);
        }
        let BlockingJob { runnable, pool, group, has_slot } = *self;
        context::run_in_runtime(&pool, || {
            match &group {
                Some(group) => context::run_in_scope(group, || run_job(&pool, runnable)),
                None => run_job(&pool, runnable),
            }
            job_ended(&pool, group.as_ref(), has_slot);
        });
    }

    fn cancel(self: Box<Self>) {
        let BlockingJob { runnable, pool, group, has_slot } = *self;
        // Dropping the future drops the function, and the handle resolves as cancelled.
        context::run_in_runtime(&pool, || {
            pool.cancel_job(runnable);
            job_ended(&pool, group.as_ref(), has_slot);
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
    pool.record_job(Kind::JobStart, id);
    let _ = runnable.run(&pool.drain_state.jobs);
    pool.record_job(Kind::JobEnd, id);
    pool.drain_state.jobs.mark_ended(id);
    context::set_task(outer);
}

/// Counts the end of a job. If it had a slot of a group, the next job gets it.
fn job_ended(pool: &Arc<Pool>, group: Option<&Arc<Group>>, has_slot: bool) {
    if let Some(group) = group {
        let next = if has_slot { group.blocking.exit() } else { None };
        if let Some(next) = next {
            submit(pool, Some(group), next);
        }
        group.admission.exit_job();
    }
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
    spawn_in(pool, None, function, spawn_meta)
}

/// As [`spawn`], for a job of a group, if there is one, which has counted it in. If the group has
/// as many jobs as it allows, the job waits for the end of another one.
pub(crate) fn spawn_in<F, R>(
    pool: &Arc<Pool>,
    group: Option<Arc<Group>>,
    function: F,
    spawn_meta: SpawnMeta,
) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let spawn_meta = spawn_meta.with_origin(Origin::blocking::<F>());
    let (runnable, handle) = raw_task::spawn::<_, BlockingJobs>(Blocking(Some(function)), spawn_meta);
    if !schedule::enter_gate(pool) {
        pool.drain_state.refusals.log_rejection(pool.clock.now(), runnable.header().location());
        let refusal = schedule::refusal_of(pool);
        context::run_in_runtime(pool, || refusal.run_with(|| drop(runnable)));
        group.iter().for_each(|group| group.admission.exit_job());
        return handle;
    }
    pool.clock.inhibit_auto_advance();
    // Ordering: Release — pairs with the Acquire in `Pool::spawned`: a job that is counted here has
    // been counted by the gate.
    pool.drain_state.jobs.entered.fetch_add(1, Ordering::Release);
    runnable.link_into(&pool.drain_state.jobs);
    pool.record_spawn(Kind::JobQueued, runnable.header());
    let job = Box::new(BlockingJob { runnable, pool: Arc::clone(pool), group: group.clone(), has_slot: false });
    match &group {
        None => submit(pool, None, job),
        Some(group) => {
            if let Some(job) = group.blocking.enter(job) {
                submit(pool, Some(group), job);
            }
            // The shutdown changes the phase before it cancels what waits.
            if !pool.is_open() || group.admission.is_closed() {
                cancel_waiting(group);
            }
        }
    }
    // The queue's lock orders this against the reaper: either the reaper has found the job, or the
    // deadline is seen here.
    pool.recheck_deadline(None);
    handle
}

/// Cancels the jobs of a group that wait for the end of another one.
pub(crate) fn cancel_waiting(group: &Group) {
    while let Some(job) = group.blocking.take_waiting() {
        catch_user_panic("cancelling a blocking job", || job.cancel());
    }
}

/// Gives a job to the blocking pool. If the pool refuses, the job is cancelled, and so are those
/// that wait for its slot.
fn submit(pool: &Arc<Pool>, group: Option<&Arc<Group>>, job: Box<dyn Job>) {
    if let Err(Refused { job, why }) = pool.blocking.submit(job) {
        // First, so that the slot passes to no job that would be refused, too.
        group.into_iter().for_each(|group| cancel_waiting(group));
        job.cancel();
        if let Refusal::NoThread(_) = why {
            catch_user_panic("a tracing subscriber", || {
                tracing::error!(target: "heist::blocking", "a blocking job was cancelled: {why}");
            });
        }
    }
}
