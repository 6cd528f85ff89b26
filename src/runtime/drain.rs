//! Waiting for a drain to begin, and to end.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::block_on::{self, BlockOnMode};
use crate::context;
use crate::drain::reaper;
use crate::drain::report::DrainReport;
use crate::phase::Phase;
use crate::pool::Pool;
use crate::sync::Arc;

/// A drain that is under way; answered by [`Runtime::drain`](super::Runtime::drain). Await it, or
/// [`Drain::wait`] for it, to get the report; or drop it: the drain goes on.
///
/// A task that has polled it is excused: the drain does not wait for that task until it drops the
/// `Drain`, and does not cancel it. The same goes for a blocking job that waits for it, by
/// [`Drain::wait`] or in a `block_on`. Nobody is excused who polls it for the first time after the
/// deadline.
///
/// # Cancel safety
///
/// Cancel safe: [`Handle::drain`](super::Handle::drain) joins the same drain again.
#[must_use = "the drain goes on without it, but its report is lost"]
pub struct Drain {
    pool: Arc<Pool>,
    listens: Option<usize>,
    /// The place of the task that is excused because of this.
    excuse: Option<usize>,
}

impl Drain {
    pub(super) fn new(pool: &Arc<Pool>) -> Drain {
        Drain { pool: Arc::clone(pool), listens: None, excuse: None }
    }

    /// Waits for the report on this thread.
    ///
    /// On a current-thread runtime this drives the runtime, as
    /// [`Runtime::block_on`](super::Runtime::block_on) does, so that its tasks can end; if another
    /// thread drives it already, this one waits in line.
    ///
    /// # Panics
    ///
    /// If this thread is polling a future: it would block the worker. `.await` it there. And if it
    /// drives a runtime that a task's panic ends; see
    /// [`UnhandledPanic`](crate::pool::hooks::UnhandledPanic).
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// // It lives until the drain begins: what has ended before is not counted.
    /// runtime.spawn(runtime.draining());
    /// let report = runtime.drain(std::time::Duration::from_secs(10)).wait();
    /// println!("{report}");
    /// assert_eq!(report.completed, 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn wait(self) -> DrainReport {
        assert!(
            !context::is_polling(),
            "Drain::wait was called from inside of async code, where it would block the worker: `.await` the drain instead"
        );
        let pool = Arc::clone(&self.pool);
        let keep = if pool.settings.current_thread { BlockOnMode::Driving } else { BlockOnMode::Open };
        block_on::block_on(&pool, self, keep)
    }

    /// Excuses the task or job that waits here, and nobody else.
    fn register_exemption(&mut self) {
        let Some(task) = context::task_of(&self.pool) else { return self.revoke_exemption() };
        if self.excuse.is_some_and(|key| self.pool.drain_state.holds_exemption(key, task.id())) {
            return;
        }
        self.revoke_exemption();
        self.excuse = self.pool.drain_state.exempt(task);
        context::seated(|seated| {
            // A job may drive another runtime, which does not drain.
            if let Some(seated) = seated.filter(|seated| Arc::ptr_eq(seated.pool, &self.pool)) {
                // Its worker need not be waited for, to hear of the drain at its next boundary: it
                // hears of it here.
                seated.seat.ack_drain();
            }
        });
    }

    /// Whoever was excused is so no longer.
    fn revoke_exemption(&mut self) {
        let late = self.excuse.take().and_then(|key| self.pool.drain_state.revoke_exemption(key));
        if let Some(task) = late {
            task.abort();
            // It may wait where the reaper has been, as one of the excused; or where only this
            // thread comes, which may not return.
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
            // Who is excused here may have been the last.
            context::run_in_runtime(&this.pool, || this.pool.recheck_quiescent());
        }
        match this.pool.drain_state.report() {
            Some(report) => Poll::Ready(report),
            None => Poll::Pending,
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

/// Resolves when a drain or the shutdown of a runtime begins; answered by
/// [`Handle::draining`](super::Handle::draining).
///
/// # Cancel safety
///
/// Cancel safe.
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
