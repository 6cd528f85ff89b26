use std::io;
use std::time::{Duration, Instant};

use crate::context::thread_role::{self, ThreadRole};
use crate::phase::Phase;
use crate::pool::Pool;
use crate::queue::{Chain, LaneCursor, Ring};
use crate::sync::{Arc, thread};
use crate::util::named_thread::named_thread;
use crate::util::wake_list::catch_user_panic;
use crate::worker_set::threads;
use crate::{context, shutdown};

/// In the place of a seat's number, when a test is asked whether it refuses a thread.
const NO_SEAT: usize = usize::MAX;

/// What the threads of a drain are called.
const NAME: &str = "heist-drain";

/// Begins to drain a pool, unless that has been done.
pub(crate) fn begin_drain(pool: &Arc<Pool>, deadline: Duration) {
    let deadline = Instant::now().checked_add(deadline);
    if !pool.drain_state.begin_drain(&pool.phase, &**pool, deadline) {
        return;
    }
    let resizes = pool.worker_set.refuse_requests(Phase::Draining);
    keep_deadline(pool);
    pool.wake_all_workers();
    // User code comes last: a waker may block.
    context::run_in_runtime(pool, || {
        resizes.write();
        pool.drain_state.beginning.fire();
        pool.recheck_quiescent();
    });
}

/// Starts the thread that keeps the deadline, if there has to be one and there is none. If the
/// system gives none, whoever waits tries again.
pub(crate) fn keep_deadline(pool: &Arc<Pool>) {
    if !pool.drain_state.claim_deadline_thread() {
        return;
    }
    match start_deadline_thread(pool) {
        Ok(thread) => pool.drain_state.deadline_thread_started(Some(thread)),
        Err(error) => {
            pool.drain_state.deadline_thread_started(None);
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

/// Starts the deadline thread. It is not present, for it waits for the report, which may be the
/// closer's.
fn start_deadline_thread(pool: &Arc<Pool>) -> io::Result<thread::JoinHandle<()>> {
    let kept = Arc::clone(pool);
    let start = || named_thread(NAME).spawn(move || deadline_thread_main(&kept));
    refusal(pool).map_or_else(start, Err)
}

/// Starts the reaper, which has been entered as present; and so has the caller.
fn start_reaper(pool: &Arc<Pool>) -> io::Result<()> {
    refusal(pool).map_or_else(|| threads::start_one(pool, NAME.to_owned(), reaper_main), Err)
}

/// What a test says in place of the operating system.
fn refusal(pool: &Pool) -> Option<io::Error> {
    pool.settings.refuse_thread.as_ref().and_then(|refuse| refuse(NO_SEAT))
}

/// The life of the deadline thread.
fn deadline_thread_main(pool: &Arc<Pool>) {
    let _member = context::member_of(pool.id);
    let _role = thread_role::enter(ThreadRole::Draining);
    // The report wakes the tasks that wait for it.
    let _entered = context::enter(Arc::clone(pool));
    if pool.drain_state.wait_for_deadline() {
        expire(pool);
    }
    pool.drain_state.wait_for_report(report_at(pool));
    if pool.drain_state.is_open_drain(|| pool.live_threads.inc()) {
        // What waits in rings and slots cannot be named there.
        collect_overdue(pool);
        shutdown::thread_exited_in_time(pool);
    }
    pool.drain_state.finalize_report(&**pool);
}

/// Returns when the report is made at the latest: a little after the deadline, so that what is late
/// can be cancelled. If the runtime is being shut down and its grace ends first, the end of the
/// grace.
fn report_at(pool: &Pool) -> Option<Instant> {
    let expired =
        pool.drain_state.deadline().and_then(|deadline| deadline.checked_add(pool.settings.drain_report_delay));
    if pool.phase.load() == Phase::DeadlinePassed {
        return expired;
    }
    let grace = Instant::now().checked_add(pool.settings.shutdown_grace);
    [expired, grace].into_iter().flatten().min()
}

/// The deadline has come: whoever is not excused is cancelled.
fn expire(pool: &Arc<Pool>) {
    // The reaper is present from now on: a destructor that does not return is waited for like a
    // poll. And so are we, until its thread has been filed.
    if !pool.drain_state.pass_deadline(&pool.phase, &**pool, || (0..2).for_each(|_| pool.live_threads.inc())) {
        return;
    }
    pool.wake_all_workers();
    collect_overdue(pool);
    if let Err(error) = start_reaper(pool) {
        catch_user_panic("a tracing subscriber", || {
            tracing::error!(
                target: "heist::drain",
                %error,
                "no thread to cancel what is late: it is left to the workers, and is only named if none of them is free"
            );
        });
        shutdown::thread_exited_in_time(pool);
    }
    shutdown::thread_exited_in_time(pool);
    pool.recheck_quiescent();
}

/// Brings whatever is late, and can be reached without a seat, to where everybody reaches it. The
/// caller is present.
fn collect_overdue(pool: &Arc<Pool>) {
    // The handshake: who queues something that is not seen below sees the phase.
    pool.notify();
    if pool.is_local() {
        // Not even into a thread's hands: its own thread may shut down meanwhile. That cancels them
        // when it drives again, or then.
        return;
    }
    let spared = pool.drain_state.exempt_ids();
    let mut chain = Chain::new();
    let (hand, _) = Ring::new_pair();
    for seat in pool.seats.iter() {
        // See `Seat::return_lease`.
        let _ = seat.is_vacant();
        let idle = seat.live.cancel_all_except(|id| spared.binary_search(&id).is_ok());
        idle.into_iter().for_each(|runnable| chain.push(runnable));
    }
    // Afterwards: what was not idle any more, because somebody has woken it, may have gone into any
    // of these.
    for seat in pool.seats.iter() {
        chain.append(seat.steal_all(&hand));
    }
    pool.requeue(chain);
}

/// Cancels what is late: the workers may be stuck, or there may be none. A destructor that does not
/// return blocks only this thread and its own task. Once the report is there, the sweep ends when a
/// pass finds nothing.
fn reaper_main(pool: &Arc<Pool>) {
    let _role = thread_role::enter(ThreadRole::Draining);
    let _entered = context::enter(Arc::clone(pool));
    let lane_cursor = LaneCursor::new(0);
    while pool.phase.load() == Phase::DeadlinePassed
        && (sweep_once(pool, &lane_cursor) || pool.drain_state.wait_for_notify())
    {}
}

/// True if a task was cancelled.
fn sweep_once(pool: &Arc<Pool>, lane_cursor: &LaneCursor) -> bool {
    pool.blocking.cancel_queued();
    collect_overdue(pool);
    // The tasks of a local pool are dropped on its own thread, when that drives again or shuts
    // down.
    pool.may_poll_here()
        && pool
            .cancel_overdue_queued(lane_cursor, |runnable| shutdown::helper::cancel(pool, &pool.reaper_task, runnable))
}
