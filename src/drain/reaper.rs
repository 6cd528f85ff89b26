//! Begins a drain, and runs its two threads: the deadline thread and the reaper.
//!
//! The protocol is on [the drain's page](crate::drain).

use std::io;
use std::time::{Duration, Instant};

use crate::context::thread_role::{self, ThreadRole};
use crate::drain::deadline_thread::DeadlineClaim;
use crate::group::priority::Priority;
use crate::phase::Phase;
use crate::pool::Pool;
use crate::primitive::{Arc, real_now, thread};
use crate::queue::{Chain, LaneCursor, Ring};
use crate::recorder::DrainStep;
use crate::recorder::triggers::SnapshotReason;
use crate::util::named_thread::named_thread;
use crate::util::wake_list::catch_user_panic;
use crate::worker_set::threads;
use crate::{context, shutdown};

/// Stands for a seat's number when a test decides whether a thread of a drain is refused.
const NO_SEAT: usize = usize::MAX;

/// The name of the threads of a drain.
const NAME: &str = "heist-drain";

/// How long a refused deadline thread is not tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// How long a poll of a `Drain` without deadline waits until it tries to start the thread again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Begins to drain a pool, unless a drain has begun before.
pub(crate) fn begin_drain(pool: &Arc<Pool>, deadline: Duration) {
    let deadline = real_now().checked_add(deadline);
    if !pool.drain_state.begin_drain(&pool.phase, &**pool, deadline) {
        return;
    }
    pool.recorder.record_drain(DrainStep::Begin, pool.live_tasks());
    let resizes = pool.worker_set.refuse_requests(Phase::Draining);
    ensure_deadline_thread(pool);
    pool.wake_all_workers();
    // User code comes last, because a waker may block.
    context::run_in_runtime(pool, || {
        resizes.complete();
        pool.drain_state.beginning.fire();
        pool.recheck_quiescent();
    });
}

/// Starts the deadline thread, if a drain needs one and there is none. If the system refuses the
/// thread, this call does what is due of its work. The caller calls again at [`next_due`].
pub(crate) fn ensure_deadline_thread(pool: &Arc<Pool>) {
    match pool.drain_state.claim_deadline_thread(RETRY_INTERVAL) {
        DeadlineClaim::Nothing => {}
        DeadlineClaim::DoDueWork => do_due_work(pool),
        DeadlineClaim::Start => match start_deadline_thread(pool) {
            Ok(thread) => pool.drain_state.deadline_thread_started(Some(thread)),
            Err(error) => {
                pool.drain_state.deadline_thread_started(None);
                do_due_work(pool);
                // Comes last: a subscriber is user code, and may block.
                log_refused_thread(&error);
            }
        },
    }
}

#[cold]
fn log_refused_thread(error: &io::Error) {
    catch_user_panic("a tracing subscriber", || {
        tracing::error!(
            target: "heist::drain",
            %error,
            "no thread could be started for the drain's deadline; it is kept only while the `Drain` is awaited"
        );
    });
}

/// Returns when the work of the deadline thread is due next, if there is no such thread.
pub(crate) fn next_due(pool: &Arc<Pool>) -> Option<Instant> {
    if !pool.drain_state.lacks_deadline_thread() {
        return None;
    }
    let due = if pool.phase.load() == Phase::Draining { pool.drain_state.deadline() } else { report_at(pool) };
    // A waiter without a deadline has to be woken by a shutdown, which its timer does.
    due.or_else(|| real_now().checked_add(LONGEST_WAIT))
}

/// Does what is due of the deadline thread's work, on a thread that polls a `Drain`.
#[cold]
pub(crate) fn do_due_work(pool: &Arc<Pool>) {
    context::run_in_runtime(pool, || {
        let is_past = |at: Option<Instant>| at.is_some_and(|at| at <= real_now());
        if is_past(pool.drain_state.deadline()) {
            on_deadline(pool);
        }
        let is_report_due = match pool.phase.load() {
            // During a shutdown, the closer may wait for a stuck worker for long.
            Phase::DeadlinePassed | Phase::ShuttingDown => is_past(report_at(pool)),
            // A closer that has given up on a stuck worker makes no report.
            Phase::Closed => true,
            _ => false,
        };
        if is_report_due {
            make_late_report(pool);
        }
    });
}

/// Makes the report, although tasks may live.
fn make_late_report(pool: &Arc<Pool>) {
    if pool.drain_state.enter_if_draining(|| pool.live_threads.inc()) {
        // The report cannot name what waits in rings and LIFO slots.
        collect_overdue(pool);
        shutdown::thread_exited_in_time(pool);
    }
    pool.drain_state.finalize_report(&**pool);
}

/// Starts the deadline thread. It is not counted as live, because it waits for the report, which
/// the closer may have to make.
fn start_deadline_thread(pool: &Arc<Pool>) -> io::Result<thread::JoinHandle<()>> {
    let kept_pool = Arc::clone(pool);
    let start = || named_thread(NAME).spawn(move || deadline_thread_main(&kept_pool));
    test_refusal(pool).map_or_else(start, Err)
}

/// Starts the reaper. It and the caller are counted as live already.
fn start_reaper(pool: &Arc<Pool>) -> io::Result<()> {
    test_refusal(pool).map_or_else(|| threads::start_one(pool, NAME.to_owned(), reaper_main), Err)
}

/// Returns the error of a thread that a test refuses in place of the operating system.
fn test_refusal(pool: &Pool) -> Option<io::Error> {
    pool.settings.refuse_thread.as_ref().and_then(|refuse| refuse(NO_SEAT))
}

/// Runs the deadline thread.
fn deadline_thread_main(pool: &Arc<Pool>) {
    let _member = context::member_of(pool.id);
    let _role = thread_role::enter(ThreadRole::Draining);
    // The report calls wakers, which are user code.
    let _entered = context::enter(Arc::clone(pool));
    let is_late = pool.drain_state.wait_for_deadline();
    if is_late {
        on_deadline(pool);
    }
    pool.drain_state.wait_for_report(report_at(pool));
    make_late_report(pool);
    // The runtime may be shutting down already.
    if is_late {
        pool.save_snapshot_here(SnapshotReason::Drain);
    }
}

/// Returns the latest time of the report. That is a little after the deadline was passed, so that
/// overdue tasks can be cancelled. If the runtime is being shut down, it is the end of the grace if
/// that is earlier.
fn report_at(pool: &Pool) -> Option<Instant> {
    let passed = pool.drain_state.passed_deadline();
    let after_deadline = passed.and_then(|passed| passed.checked_add(pool.settings.drain_report_delay));
    if pool.phase.load() == Phase::DeadlinePassed {
        return after_deadline;
    }
    let grace = real_now().checked_add(pool.settings.shutdown_grace);
    [after_deadline, grace].into_iter().flatten().min()
}

/// Passes the deadline, once: every task that is not exempt is cancelled.
fn on_deadline(pool: &Arc<Pool>) {
    // The reaper is live from now on, so the closer waits for its destructors as for polls. This
    // thread is live, too, until the reaper's thread is tracked.
    if !pool.drain_state.pass_deadline(&pool.phase, &**pool, || (0..2).for_each(|_| pool.live_threads.inc())) {
        return;
    }
    pool.recorder.record_drain(DrainStep::Deadline, pool.live_tasks());
    pool.wake_all_workers();
    collect_overdue(pool);
    if let Err(error) = start_reaper(pool) {
        catch_user_panic("a tracing subscriber", || {
            tracing::error!(
                target: "heist::drain",
                %error,
                "no thread could be started to drop overdue tasks; the workers drop them, and if all are busy the \
                 report only names them"
            );
        });
        shutdown::thread_exited_in_time(pool);
    }
    shutdown::thread_exited_in_time(pool);
    pool.recheck_quiescent();
}

/// Moves the overdue tasks that can be reached without a seat into the global queue. The caller is
/// counted as live.
fn collect_overdue(pool: &Arc<Pool>) {
    // A thread that queues a task which this collection misses sees the phase: both do a
    // read-modify-write of the idle word.
    pool.notify();
    if pool.is_local() {
        // This thread may not even hold the tasks, because the pool's own thread may shut down
        // meanwhile. The own thread cancels them then, or when it drives again.
        return;
    }
    let exempt = pool.drain_state.exempt_ids();
    let mut chain = Chain::new();
    let (hand, _) = Ring::new_pair();
    for seat in pool.seats.iter() {
        // The lock of the local slot orders this with `Seat::return_local`.
        let _ = seat.is_vacant();
        let idle = seat.live.cancel_all_except(|id| exempt.binary_search(&id).is_ok());
        idle.into_iter().for_each(|runnable| chain.push(runnable));
    }
    // The queues come after all lists: a task that was woken meanwhile is not idle, and may be in
    // any of them.
    for seat in pool.seats.iter() {
        chain.append(seat.steal_all(&hand));
    }
    chain.append(pool.groups.take_queued(|id| exempt.binary_search(&id).is_err()));
    pool.requeue(chain);
    // A worker may have found the queue of a group empty while this thread had its tasks.
    if pool.groups.ready.is_ready(Priority::Background) {
        pool.notify();
    }
}

/// Runs the reaper, which drops overdue tasks, because the workers may be stuck or missing.
///
/// A destructor that does not return blocks only this thread and its own task. Once the report is
/// there, the thread ends when a pass finds no overdue task.
fn reaper_main(pool: &Arc<Pool>) {
    let _role = thread_role::enter(ThreadRole::Draining);
    let _entered = context::enter(Arc::clone(pool));
    let lane_cursor = LaneCursor::new(0);
    while pool.phase.load() == Phase::DeadlinePassed
        && (sweep_once(pool, &lane_cursor) || pool.drain_state.wait_for_notify())
    {}
}

/// Collects and cancels overdue tasks once. Returns true if a task was cancelled.
fn sweep_once(pool: &Arc<Pool>, lane_cursor: &LaneCursor) -> bool {
    pool.groups.all().iter().for_each(|group| crate::blocking::task::cancel_waiting(group));
    pool.blocking.cancel_queued();
    collect_overdue(pool);
    // The tasks of a local pool are dropped on its own thread, when it drives again or shuts down.
    pool.may_poll_here()
        && pool.cancel_overdue_queued(lane_cursor, |runnable| {
            shutdown::helper::cancel_on_this_thread(pool, &pool.reaper_task, runnable)
        })
}
