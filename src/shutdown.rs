#![doc = include_str!("../docs/shutdown.md")]

mod attendant;

use std::time::Instant;

use crate::cell::Runnable;
use crate::context::{self, Seated};
use crate::local::Local;
use crate::phase::Phase;
use crate::pool::{Pool, Seat};
use crate::sync::{Arc, thread};
use crate::wakes::Wakes;

pub(crate) use attendant::{attend, cancel};

/// Steps 1 and 2: nobody may spawn any more, and every worker hears of it.
pub(crate) fn close(pool: &Arc<Pool>) {
    pool.ledger.close(&pool.phase);
    pool.global.close();
    pool.blocking.shutdown();
    pool.staff.stop(Phase::Cancelling).write();
    pool.call_all();
    attend(pool);
    pool.ledger.beginning.call();
}

/// A thread that was present, or expected, is not any more.
pub(crate) fn leave(pool: &Arc<Pool>) {
    if pool.attendance.leave() {
        finish_late(pool);
    }
    // He may wait for the others to be gone.
    pool.outings.call();
}

/// Steps 4 to 6. True if every task has ended and every thread has left before the deadline; else the last of them closes up.
pub(crate) fn finish(pool: &Arc<Pool>, deadline: Option<Instant>) -> bool {
    let left = pool.attendance.wait_until_empty(deadline);
    let cleared = if pool.is_local() { clear_local(pool) && left } else { left && clear(pool, deadline) };
    if left && !cleared && !pool.is_local() {
        clear_elsewhere(pool);
    }
    close_up(pool);
    if cleared {
        pool.ledger.closed(&**pool);
    }
    pool.blocking.wait(deadline) && cleared
}

/// What the last thread does that leaves after the closer has gone. From a local pool the closer has taken the tasks with him.
pub(crate) fn finish_late(pool: &Arc<Pool>) {
    if !pool.is_local() {
        clear(pool, None);
    }
    close_up(pool);
    pool.ledger.closed(&**pool);
}

/// What the driver of a local pool does that was closed while it drove.
#[cold]
pub(crate) fn finish_driven(pool: &Arc<Pool>) {
    if clear_local(pool) {
        pool.ledger.closed(&**pool);
    }
}

/// Step 5.
fn close_up(pool: &Arc<Pool>) {
    pool.phase.advance(Phase::Closed);
    let mut wakes = Wakes::new();
    pool.reactor.close(&mut wakes);
    for seat in pool.seats.iter() {
        seat.wheel.close(&mut wakes);
    }
    pool.street.close(&mut wakes);
    wakes.wake_all();
    pool.ledger.closing.call();
}

/// Clears the seats, in which nobody sits any more, until no task lives; at most until the deadline, but once in any case.
fn clear(pool: &Arc<Pool>, deadline: Option<Instant>) -> bool {
    loop {
        clear_free(pool);
        if pool.seats.iter().all(|seat| seat.live.is_empty()) {
            return true;
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return false;
        }
        // A waker on another thread has a runnable in its hands, and is about to queue it.
        thread::yield_now();
    }
}

/// Clears a local pool, on its own thread, where its `Runtime` ends. There is nobody else who could: whatever time the caller gives, a waker
/// that is about to queue its runnable is waited for; that is a matter of instants.
///
/// If this thread drives the pool further down its stack (in `Drain::wait`, which keeps no runtime), then that does it on its way out:
/// [`finish_driven`].
#[cold]
fn clear_local(pool: &Arc<Pool>) -> bool {
    if !pool.seats.iter().all(Seat::is_vacant) {
        return false;
    }
    let cleared = clear(pool, Instant::now().checked_add(pool.settings.shutdown_grace));
    if !cleared {
        tracing::error!(
            target: "heist::shutdown",
            "a waker on another thread does not come on; the task that it wakes, and the local runtime's memory, are leaked"
        );
        std::mem::forget(Arc::clone(pool));
    }
    cleared
}

/// Clears the seats that nobody sits in now. A worker that leaves does so too: tasks that are at home in a vacant seat have no worker of
/// their own to do it.
pub(crate) fn clear_free(pool: &Arc<Pool>) {
    for seat in pool.seats.iter() {
        if let Some(local) = seat.take_lease() {
            clear_seat(pool, seat, &local);
            seat.return_lease(local);
        }
    }
}

/// A waker elsewhere has a runnable in its hands and does not come on, perhaps because its thread does not run: somebody else waits
/// for it. It has to be waited for, since it will touch the pool.
#[cold]
fn clear_elsewhere(pool: &Arc<Pool>) {
    let kept = Arc::clone(pool);
    let started = thread::Builder::new().name("heist-closer".to_owned()).spawn(move || finish_late(&kept));
    if let Err(error) = started {
        tracing::error!(target: "heist::shutdown", %error, "no thread to wait for a late waker; the runtime's memory is leaked");
        std::mem::forget(Arc::clone(pool));
    }
}

/// Drops every task that can be reached from a seat whose lease the caller holds.
pub(crate) fn clear_seat(pool: &Arc<Pool>, seat: &Seat, local: &Local) {
    context::sit(Seated { pool, seat, local }, || {
        let _polling = context::polling();
        // A runtime may end inside of another one's task.
        let _no_task = context::no_task();
        let drop_task = |runnable: Runnable| {
            seat.end_late(runnable);
        };
        loop {
            let mut found = false;
            while let Some(runnable) =
                seat.lifo.pop().or_else(|| local.ring.pop()).or_else(|| pool.global.take(&local.rota, 1).pop())
            {
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
