#![doc = include_str!("../docs/drain.md")]

use std::io;
use std::time::{Duration, Instant};

use crate::phase::Phase;
use crate::pool::Pool;
use crate::queue::{Chain, LaneCursor, Ring};
use crate::sync::{Arc, thread};
use crate::thread_role::{self, ThreadRole};
use crate::wake_list::catch_user_panic;
use crate::{context, shutdown, threads};

/// In the place of a seat's number, when a test is asked whether it refuses a thread.
const NO_SEAT: usize = usize::MAX;

/// What the threads of a drain are called.
const NAME: &str = "heist-drain";

/// Begins to drain a pool, unless that has been done.
pub(crate) fn begin(pool: &Arc<Pool>, deadline: Duration) {
    let deadline = Instant::now().checked_add(deadline);
    if !pool.ledger.begin(&pool.phase, &**pool, deadline) {
        return;
    }
    let resizes = pool.staff.stop(Phase::Draining);
    keep_deadline(pool);
    pool.wake_all_workers();
    // User code comes last: a waker may block.
    context::inside(pool, || {
        resizes.write();
        pool.ledger.beginning.fire();
        pool.look();
    });
}

/// Starts the thread that keeps the deadline, if there has to be one and there is none. If the system gives none, whoever waits tries
/// again.
pub(crate) fn keep_deadline(pool: &Arc<Pool>) {
    if !pool.ledger.wants_timekeeper() {
        return;
    }
    match start_timekeeper(pool) {
        Ok(thread) => pool.ledger.call_answered(Some(thread)),
        Err(error) => {
            pool.ledger.call_answered(None);
            catch_user_panic("a tracing subscriber", || {
                tracing::error!(
                    target: "heist::drain",
                    %error,
                    "no thread to keep the drain's deadline; it is tried again when the `Drain` is polled"
                );
            });
        }
    }
}

/// Starts the timekeeper. It is not present, for it waits for the report, which may be the closer's.
fn start_timekeeper(pool: &Arc<Pool>) -> io::Result<thread::JoinHandle<()>> {
    let kept = Arc::clone(pool);
    let start = || thread::Builder::new().name(NAME.to_owned()).spawn(move || deadline_thread_main(&kept));
    refusal(pool).map_or_else(start, Err)
}

/// Starts the sweeper, which has been entered as present; and so has the caller.
fn start_sweeper(pool: &Arc<Pool>) -> io::Result<()> {
    refusal(pool).map_or_else(|| threads::start_one(pool, NAME.to_owned(), reaper_main), Err)
}

/// What a test says in place of the operating system.
fn refusal(pool: &Pool) -> Option<io::Error> {
    pool.settings.refuse_thread.as_ref().and_then(|refuse| refuse(NO_SEAT))
}

/// The life of the timekeeper.
fn deadline_thread_main(pool: &Arc<Pool>) {
    let _member = context::member_of(pool.id);
    let _duty = thread_role::enter(ThreadRole::Draining);
    // The report wakes the tasks that wait for it.
    let _stay = context::enter(Arc::clone(pool));
    if pool.ledger.wait_for_deadline() {
        expire(pool);
    }
    pool.ledger.wait_for_report(report_at(pool));
    if pool.ledger.is_open_drain(|| pool.attendance.inc()) {
        // What waits in rings and slots cannot be named there.
        collect_overdue(pool);
        shutdown::leave_in_time(pool);
    }
    pool.ledger.finalize_report(&**pool);
}

/// Returns when the report is made at the latest: a little after the deadline, so that what is late can be cancelled. If the runtime is being shut
/// down and its grace ends first, the end of the grace.
fn report_at(pool: &Pool) -> Option<Instant> {
    let expired = pool.ledger.deadline().and_then(|deadline| deadline.checked_add(pool.settings.drain_report_delay));
    if pool.phase.load() == Phase::DeadlinePassed {
        return expired;
    }
    let grace = Instant::now().checked_add(pool.settings.shutdown_grace);
    [expired, grace].into_iter().flatten().min()
}

/// The deadline has come: whoever is not excused is cancelled.
fn expire(pool: &Arc<Pool>) {
    // The sweeper is present from now on: a destructor that does not return is waited for like a poll. And so are we, until its thread has
    // been filed.
    if !pool.ledger.expire(&pool.phase, &**pool, || (0..2).for_each(|_| pool.attendance.inc())) {
        return;
    }
    pool.wake_all_workers();
    collect_overdue(pool);
    if let Err(error) = start_sweeper(pool) {
        catch_user_panic("a tracing subscriber", || {
            tracing::error!(
                target: "heist::drain",
                %error,
                "no thread to cancel what is late: it is left to the workers, and is only named if none of them is free"
            );
        });
        shutdown::leave_in_time(pool);
    }
    shutdown::leave_in_time(pool);
    pool.look();
}

/// Brings whatever is late, and can be reached without a seat, to where everybody reaches it. The caller is present.
fn collect_overdue(pool: &Arc<Pool>) {
    // The handshake: who queues something that is not seen below sees the phase.
    pool.notify();
    if pool.is_local() {
        // Not even into a thread's hands: its own thread may shut down meanwhile. That cancels them when it drives again, or then.
        return;
    }
    let spared = pool.ledger.exempt_ids();
    let mut chain = Chain::new();
    let (hand, _) = Ring::new_pair();
    for seat in pool.seats.iter() {
        // See `Seat::return_lease`.
        let _ = seat.is_vacant();
        let idle = seat.live.cancel_all_except(|id| spared.binary_search(&id).is_ok());
        idle.into_iter().for_each(|runnable| chain.push(runnable));
    }
    // Afterwards: what was not idle any more, because somebody has woken it, may have gone into any of these.
    for seat in pool.seats.iter() {
        while let Some(runnable) = seat.thief.steal(&hand, 1) {
            chain.push(runnable);
            chain.append(hand.evict_newest(0));
        }
        if let Some(runnable) = seat.lifo.peek().and_then(|seen| seat.lifo.claim(seen)) {
            chain.push(runnable);
        }
    }
    if !chain.is_empty() {
        pool.global.push_chain(chain);
        pool.notify();
    }
}

/// Cancels what is late: the workers may be stuck, or there may be none. A destructor that does not return blocks only this thread and its own task.
/// Once the report is there, the sweep ends when a pass finds nothing.
fn reaper_main(pool: &Arc<Pool>) {
    let _duty = thread_role::enter(ThreadRole::Draining);
    let _stay = context::enter(Arc::clone(pool));
    let rota = LaneCursor::new(0);
    while pool.phase.load() == Phase::DeadlinePassed && (sweep_once(pool, &rota) || pool.ledger.wait_for_notify()) {}
}

/// True if a task was cancelled.
fn sweep_once(pool: &Arc<Pool>, rota: &LaneCursor) -> bool {
    pool.blocking.cancel_queued();
    collect_overdue(pool);
    // The tasks of a local pool are dropped on its own thread, when that drives again or shuts down.
    pool.may_poll_here()
        && pool.cancel_overdue_queued(rota, |runnable| shutdown::cancel(pool, &pool.reaper_task, runnable))
}
