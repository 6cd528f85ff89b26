#![doc = include_str!("../docs/drain.md")]

use std::time::{Duration, Instant};

use crate::cell::Runnable;
use crate::phase::Phase;
use crate::pool::Pool;
use crate::queue::{Owner, Ring, Rota};
use crate::sync::{Arc, thread};
use crate::{context, threads};

/// Begins to drain a pool, unless that has been done.
pub(crate) fn begin(pool: &Arc<Pool>, deadline: Duration) {
    let deadline = Instant::now().checked_add(deadline);
    if !pool.ledger.begin(&pool.phase, &**pool, deadline) {
        return;
    }
    pool.staff.stop(Phase::Draining).write();
    keep_deadline(pool);
    pool.call_all();
    pool.ledger.beginning.call();
    pool.look();
}

/// Starts the thread that keeps the deadline, if there has to be one and there is none. If the system gives none, whoever waits tries
/// again.
pub(crate) fn keep_deadline(pool: &Arc<Pool>) {
    if !pool.ledger.wants_timekeeper() {
        return;
    }
    if let Err(error) = start(pool, "heist-drain", keep_time) {
        pool.ledger.resign();
        tracing::error!(
            target: "heist::drain",
            %error,
            "no thread to keep the drain's deadline; it is tried again when the `Drain` is polled"
        );
    }
}

fn start(pool: &Arc<Pool>, name: &str, main: fn(&Arc<Pool>)) -> std::io::Result<()> {
    let pool = Arc::clone(pool);
    thread::Builder::new().name(name.to_owned()).spawn(move || main(&pool)).map(drop)
}

/// The life of the timekeeper.
fn keep_time(pool: &Arc<Pool>) {
    if pool.ledger.wait_for_deadline() {
        expire(pool);
    }
    let grace = Instant::now().checked_add(pool.settings.shutdown_grace);
    pool.ledger.wait_for_report(grace);
    if pool.ledger.is_pending() {
        pool.ledger.settle(&**pool, pool.stragglers());
    }
    pool.ledger.timekeeper_goes();
}

/// The deadline has come: whoever is not excused is cancelled.
fn expire(pool: &Arc<Pool>) {
    if !pool.ledger.expire(&pool.phase) {
        return;
    }
    pool.call_all();
    // A destructor that does not return is waited for like a poll.
    pool.attendance.enter();
    if let Err(error) = start(pool, "heist-drain", sweep) {
        let _ = pool.attendance.leave();
        tracing::error!(target: "heist::drain", %error, "no thread to cancel what waits behind a poll that does not return");
    }
    pool.look();
}

/// Cancels what can be reached without a seat, until there is nothing left: the workers may be stuck, or there may be none. A
/// destructor that does not return keeps only this thread.
fn sweep(pool: &Arc<Pool>) {
    let _stay = context::enter(Arc::clone(pool));
    pool.blocking.cancel_queued();
    let (hand, _) = Ring::ends();
    while pool.phase.load() == Phase::Overdue && pool.ledger.is_pending() && sweep_once(pool, &hand) {}
    threads::stay_away(pool);
}

/// True if a task was cancelled.
fn sweep_once(pool: &Arc<Pool>, hand: &Owner) -> bool {
    let mut found = false;
    let mut spared = Vec::new();
    let mut see = |runnable: Runnable| {
        if pool.ledger.is_spared(runnable.header().id()) {
            spared.push(runnable);
            return;
        }
        found = true;
        cancel(pool, runnable);
    };
    for seat in pool.seats.iter() {
        seat.live.cancel_all_but(|id| pool.ledger.is_spared(id)).into_iter().for_each(&mut see);
        while let Some(runnable) = seat.thief.steal(hand, 1) {
            see(runnable);
            while let Some(runnable) = hand.pop() {
                see(runnable);
            }
        }
        if let Some(runnable) = seat.lifo.glimpse().and_then(|seen| seat.lifo.claim(seen)) {
            see(runnable);
        }
    }
    let mut global = pool.global.take(&Rota::new(0), usize::MAX);
    while let Some(runnable) = global.pop() {
        see(runnable);
    }
    for runnable in spared {
        pool.push_outside(runnable);
    }
    found
}

/// Cancels a task on this thread, which must not block meanwhile.
fn cancel(pool: &Arc<Pool>, runnable: Runnable) {
    let _polling = context::polling();
    let outer = context::set_task(Some(runnable.header().into()));
    let end = pool.cancel_late(runnable);
    context::set_task(outer);
    pool.end_stray(end);
}
