//! The futures that wait for the begin and for the end of a drain.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use super::block_on::{self, BlockOnMode};
use crate::context;
use crate::context::can_block::{Operation, can_block};
use crate::drain::reaper;
use crate::drain::state::DrainReport;
use crate::phase::Phase;
use crate::pool::Pool;
use crate::primitive::Arc;
use crate::timer::{State, Timer};

/// A drain of a runtime. [`Runtime::drain`](super::Runtime::drain) returns it.
///
/// Awaiting it, or calling [`Drain::wait`], returns the report. If it is dropped, the drain goes
/// on.
///
/// A task that polls the `Drain` is exempt: the drain neither waits for the task nor cancels it,
/// until the task drops the `Drain`. The same holds for a blocking job that waits for the drain,
/// with [`Drain::wait`] or in a `block_on`. A first poll after the deadline does not make a task
/// exempt.
///
/// # Cancel safety
///
/// It is cancel safe: [`Handle::drain`](super::Handle::drain) joins the same drain again.
#[must_use = "the drain goes on without it, but its report is lost"]
pub struct Drain {
    pool: Arc<Pool>,
    listens: Option<usize>,
    /// The key under which the drain lists the polling task as exempt.
    exemption: Option<usize>,
    /// Wakes the polling task when it has to do the work of the deadline thread, which the
    /// operating system has refused.
    timer: AssertUnwindSafe<Option<Pin<Box<Timer>>>>,
}

impl Drain {
    pub(super) fn new(pool: &Arc<Pool>) -> Drain {
        Drain { pool: Arc::clone(pool), listens: None, exemption: None, timer: AssertUnwindSafe(None) }
    }

    /// Blocks this thread until the report is ready, and returns it.
    ///
    /// On a current-thread runtime this call drives the runtime, so that its tasks can end, as
    /// [`Runtime::block_on`](super::Runtime::block_on) does. If another thread drives the runtime,
    /// this thread waits for its turn.
    ///
    /// # Panics
    ///
    /// Panics if this thread is polling a future, because the call would block the worker. `.await`
    /// the drain there. Also panics if it drives a runtime that a task's panic ends; see
    /// [`UnhandledPanic`](crate::pool::hooks::UnhandledPanic).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// // The task lives until the drain begins. The report does not count tasks that ended before.
    /// runtime.spawn(runtime.draining());
    /// let report = runtime.drain(std::time::Duration::from_secs(10)).wait();
    /// println!("{report}");
    /// assert_eq!(report.completed, 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn wait(self) -> DrainReport {
        assert!(
            can_block(Operation::Future).is_ok(),
            "`Drain::wait` was called in async code, where it would block the worker; `.await` the `Drain` instead"
        );
        let pool = Arc::clone(&self.pool);
        let mode = if pool.settings.current_thread { BlockOnMode::Driving } else { BlockOnMode::Open };
        block_on::block_on(&pool, self, mode)
    }

    /// Exempts the task or job that polls this future, and revokes the exemption of the previous
    /// one.
    fn register_exemption(&mut self) {
        let Some(task) = context::task_of(&self.pool) else { return self.revoke_exemption() };
        if self.exemption.is_some_and(|key| self.pool.drain_state.holds_exemption(key, task.id())) {
            return;
        }
        self.revoke_exemption();
        self.exemption = self.pool.drain_state.exempt(task);
        context::seated(|seated| {
            // A job may drive another runtime, which is not being drained.
            if let Some(seated) = seated.filter(|seated| Arc::ptr_eq(seated.pool, &self.pool)) {
                // The drain need not wait for the next task boundary of this worker: the worker
                // observes the drain here.
                seated.seat.ack_drain();
            }
        });
    }

    /// Wakes the polling task at `due`, or when the runtime is closed. Returns false if it is
    /// closed.
    #[cold]
    fn wake_at(&mut self, due: Instant, cx: &Context<'_>) -> bool {
        // This drops the timer of an earlier poll.
        let timer = self.timer.insert(Box::pin(Timer::new()));
        timer.as_mut().arm(Arc::clone(&self.pool.shared_wheel), due, cx.waker()) == State::Armed
    }

    /// Revokes the exemption of the task that polled this future last.
    fn revoke_exemption(&mut self) {
        let late = self.exemption.take().and_then(|key| self.pool.drain_state.revoke_exemption(key));
        if let Some(task) = late {
            task.abort();
            // The reaper may already have visited the queue of this task, and skipped it as exempt.
            // Or the task is in the queue of this thread, whose poll may not return.
            self.pool.drain_state.notify_reaper(None);
        }
    }
}

impl Future for Drain {
    type Output = DrainReport;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<DrainReport> {
        self.register_exemption();
        reaper::ensure_deadline_thread(&self.pool);
        let this = &mut *self;
        if this.pool.drain_state.reported.register(&mut this.listens, cx.waker()) {
            // The newly exempt task may have been the last one that the drain waited for.
            context::run_in_runtime(&this.pool, || this.pool.recheck_quiescent());
        }
        loop {
            if let Some(report) = this.pool.drain_state.report() {
                return Poll::Ready(report);
            }
            match reaper::next_due(&this.pool) {
                // No timer can be armed once the runtime is closed. Then the report is due.
                Some(due) if !this.wake_at(due, cx) => reaper::do_due_work(&this.pool),
                _ => return Poll::Pending,
            }
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.pool.drain_state.reported.deregister(&mut self.listens);
        self.revoke_exemption();
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("phase", &self.pool.phase.load()).finish_non_exhaustive()
    }
}

/// Resolves when a drain or the shutdown of a runtime begins.
/// [`Handle::draining`](super::Handle::draining) returns it.
///
/// # Cancel safety
///
/// It is cancel safe.
#[must_use = "it does nothing unless it is awaited"]
pub struct Draining {
    pool: Arc<Pool>,
    listens: Option<usize>,
}

impl Draining {
    pub(super) fn new(pool: &Arc<Pool>) -> Draining {
        Draining { pool: Arc::clone(pool), listens: None }
    }
}

impl Future for Draining {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.pool.phase.load() != Phase::Running {
            return Poll::Ready(());
        }
        let this = &mut *self;
        if this.pool.drain_state.beginning.register(&mut this.listens, cx.waker()) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        self.pool.drain_state.beginning.deregister(&mut self.listens);
    }
}

impl fmt::Debug for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draining").field("phase", &self.pool.phase.load()).finish_non_exhaustive()
    }
}
