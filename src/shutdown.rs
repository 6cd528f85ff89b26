#![doc = include_str!("../docs/shutdown.md")]

pub(crate) mod helper;
pub(crate) mod live_threads;

use std::time::Instant;

use crate::context::{self, Member, Seated};
use crate::phase::Phase;
use crate::pool::local::Local;
use crate::pool::{Pool, Seat};
use crate::primitive::Arc;
use crate::primitive::real_now;
use crate::raw_task::Runnable;
pub(crate) use crate::shutdown::helper::start_helper;
use crate::shutdown::live_threads::ClearPass;
use crate::util::named_thread::named_thread;
use crate::util::wake_list::{WakeList, catch_user_panic};

/// Does steps 1 and 2 of [the page](self): refuses new work, and notifies every worker. User code
/// comes last, because it may wait for tasks that the workers end.
pub(crate) fn begin_shutdown(pool: &Arc<Pool>) {
    pool.drain_state.begin_shutdown(&pool.phase);
    pool.global.close_queue();
    pool.groups.close_all();
    let jobs = pool.blocking.begin_shutdown();
    let resizes = pool.worker_set.refuse_requests(Phase::ShuttingDown);
    pool.wake_all_workers();
    start_helper(pool);
    context::run_in_runtime(pool, || {
        pool.groups.all().iter().for_each(|group| crate::blocking::task::cancel_waiting(group));
        jobs.cancel();
        resizes.complete();
        pool.drain_state.beginning.fire();
    });
}

/// Counts a thread that has a seat, or is about to take one, as live. So the closer waits for the
/// thread, or leaves the rest of the shutdown to it.
#[must_use = "the thread is counted as live until this is dropped"]
pub(crate) struct LiveThreadGuard<'a> {
    pool: &'a Arc<Pool>,
    _member: Member,
}

impl<'a> LiveThreadGuard<'a> {
    /// Counts a driver. Returns `None` if the pool is being shut down: the closer may have seen
    /// that no thread is live.
    pub(crate) fn for_driver(pool: &'a Arc<Pool>) -> Option<Self> {
        let entered = pool.live_threads.enter_if(|| pool.is_open());
        entered.then(|| LiveThreadGuard { pool, _member: context::member_of(pool.id) })
    }

    /// Counts a thread that closes the pool and is not its closer.
    pub(crate) fn for_another_closer(pool: &'a Arc<Pool>) -> Self {
        pool.live_threads.inc();
        LiveThreadGuard { pool, _member: context::member_of(pool.id) }
    }
}

impl Drop for LiveThreadGuard<'_> {
    fn drop(&mut self) {
        thread_exited(self.pool);
    }
}

/// Counts out a thread that was counted as live. The last one of an abandoned pool finishes the
/// shutdown.
pub(crate) fn thread_exited(pool: &Arc<Pool>) {
    if !pool.is_open() {
        // The system may have refused the helper. If a worker is blocked, it is live, so the
        // shutdown is not finished.
        start_helper(pool);
    }
    count_out(pool);
}

/// As [`thread_exited`], for a thread after a start of the helper that the system has refused.
fn count_out(pool: &Arc<Pool>) {
    if pool.live_threads.dec() {
        finish_late(pool);
    }
    // The helper may wait until the other threads are gone.
    pool.blocked_workers.notify_helper();
}

/// As [`thread_exited`], for a thread with a deadline. If it has to finish the shutdown, another
/// thread does so in its place.
pub(crate) fn thread_exited_in_time(pool: &Arc<Pool>) {
    if pool.live_threads.dec() {
        clear_elsewhere(pool);
    }
    pool.blocked_workers.notify_helper();
}

/// Ends the runtime after a task's panic. A driver that has given the seat back, or one that waits
/// for it, closes the pool and ends its tasks.
pub(crate) fn close_after_panic(pool: &Arc<Pool>) {
    let _live = LiveThreadGuard::for_another_closer(pool);
    begin_shutdown(pool);
    if !pool.is_local() {
        // If another thread clears already, it is left to that one.
        let _ = context::run_in_runtime(pool, || clear(pool, Some(real_now())));
    } else if pool.may_poll_here() {
        // No other thread may clear it. A `LocalRuntime` that is dropped meanwhile leaves it to
        // this thread.
        clear_driven(pool);
    }
}

/// Does steps 4 to 6 of [the page](self). Returns true if every task has ended and every thread has
/// exited before the deadline. Otherwise the last thread to exit finishes the shutdown.
pub(crate) fn finish_shutdown(pool: &Arc<Pool>, deadline: Option<Instant>) -> bool {
    let exited = pool.live_threads.wait_until_empty(deadline);
    context::run_in_runtime(pool, || {
        let cleared = if pool.is_local() { clear_local(pool) && exited } else { exited && clear(pool, deadline) };
        if exited && !cleared && !pool.is_local() {
            clear_elsewhere(pool);
        }
        close_drivers(pool);
        if cleared {
            pool.drain_state.finish_shutdown(&**pool);
        }
        pool.blocking.wait_for_threads(deadline) && cleared
    })
}

/// Finishes the shutdown on the last thread that exits after the closer has stopped waiting. The
/// tasks of a local pool have been dropped on its own thread.
fn finish_late(pool: &Arc<Pool>) {
    context::run_in_runtime(pool, || {
        if !pool.is_local() {
            clear(pool, None);
        }
        close_drivers(pool);
        pool.drain_state.finish_shutdown(&**pool);
    });
}

/// Ends the tasks of a local pool on this thread. Its driver has given the seat back, and the pool
/// was closed during the drive.
#[cold]
pub(crate) fn clear_driven(pool: &Arc<Pool>) {
    context::run_in_runtime(pool, || clear_local(pool));
}

/// Does step 5 of [the page](self): closes the reactor and the timers.
pub(crate) fn close_drivers(pool: &Arc<Pool>) {
    pool.phase.advance(Phase::Closed);
    let mut wakes = WakeList::new();
    pool.reactor.close_reactor(&mut wakes);
    for seat in pool.seats.iter() {
        seat.wheel.close_wheel(&mut wakes);
    }
    pool.shared_wheel.close_wheel(&mut wakes);
    wakes.wake_all();
    pool.drain_state.closing.fire();
}

/// Clears the seats until no task lives, at most until the deadline, but with at least one pass.
///
/// It may have to wait for a seat whose local slot another thread has. It may also have to wait for
/// a waker on another thread that is about to queue its task. Either thread sees the phase and
/// notes the change afterwards; see [the page](self).
fn clear(pool: &Arc<Pool>, deadline: Option<Instant>) -> bool {
    // A waker that queues its task after the pass sees the phase: both do a read-modify-write of
    // the idle word.
    pool.notify();
    // A seat that is in use may hold tasks that are in no list: those in its ring, and one in its
    // first poll.
    pool.live_threads.clear_by(deadline, || {
        let pass = clear_free(pool);
        ClearPass { cleared: pass.cleared && pool.seats.iter().all(|seat| seat.live.is_empty()), ..pass }
    })
}

/// Clears a local pool on its own thread, where its `Runtime` ends. No other thread may do so.
/// Whatever time the caller gives, this waits for a waker that is about to queue its runnable. That
/// takes moments.
///
/// This thread may drive or clear the pool further down its stack, in `Drain::wait`, which keeps no
/// runtime. Then that frame clears the pool when it returns: see [`clear_driven`].
#[cold]
fn clear_local(pool: &Arc<Pool>) -> bool {
    if pool.live_threads.is_clearing() || !pool.seats.iter().all(Seat::is_vacant) {
        return false;
    }
    let cleared = clear(pool, real_now().checked_add(pool.settings.shutdown_grace));
    if !cleared {
        // Comes first: a subscriber is user code, and may panic.
        std::mem::forget(Arc::clone(pool));
        catch_user_panic("a tracing subscriber", || {
            tracing::error!(
                target: "heist::shutdown",
                "a waker on another thread did not return in time; the task that it wakes, and the local runtime's \
                 memory, are leaked"
            );
        });
    }
    cleared
}

/// Clears the seats whose local slot is free. A worker that exits does so too, because a vacant
/// seat has no worker to do it.
pub(crate) fn clear_free(pool: &Arc<Pool>) -> ClearPass {
    let mut pass = ClearPass { cleared: true, returned: 0 };
    for seat in pool.seats.iter() {
        match seat.take_local() {
            Some(local) => {
                clear_seat(pool, seat, &local);
                seat.return_local(local);
                pass.returned += 1;
            }
            None => pass.cleared = false,
        }
    }
    pass
}

/// Clears the pool on a thread started for it.
///
/// A waker on another thread holds a runnable, or another thread has a seat, and does not run just
/// now. The clearing has to wait for that thread, which will touch the pool.
#[cold]
fn clear_elsewhere(pool: &Arc<Pool>) {
    let kept_pool = Arc::clone(pool);
    let started = named_thread("heist-closer").spawn(move || {
        let _member = context::member_of(kept_pool.id);
        finish_late(&kept_pool);
    });
    if let Err(error) = started {
        std::mem::forget(Arc::clone(pool));
        catch_user_panic("a tracing subscriber", || {
            tracing::error!(
                target: "heist::shutdown",
                %error,
                "no thread could be started to wait for a late waker; the runtime's memory is leaked"
            );
        });
    }
}

/// Drops every task that can be reached from a seat whose local slot the caller holds.
pub(crate) fn clear_seat(pool: &Arc<Pool>, seat: &Seat, local: &Local) {
    context::run_in_seat(Seated { pool, seat, local }, || {
        let _polling = context::polling();
        // A runtime may end inside of another one's task.
        let _no_task = context::no_task();
        let drop_task = |runnable: Runnable| {
            seat.cancel_in_seat(runnable);
        };
        loop {
            let mut found = false;
            while let Some(runnable) =
                seat.lifo.pop().or_else(|| local.ring.pop()).or_else(|| pool.global.take(&local.lane_cursor, 1).pop())
            {
                drop_task(runnable);
                found = true;
            }
            let mut queued = pool.groups.take_queued(|_| true);
            while let Some(runnable) = queued.pop() {
                drop_task(runnable);
                found = true;
            }
            let idle = seat.live.cancel_all();
            found |= !idle.is_empty();
            idle.into_iter().for_each(drop_task);
            if !found {
                return;
            }
        }
    });
}
