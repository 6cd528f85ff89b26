//! The shutdown helper: ends what workers in a blocking section may wait for during a shutdown.
//!
//! The protocol is on [the page of `block_in_place`](crate::block_in_place).

use crate::context;
use crate::context::thread_role::{self, ThreadRole};
use crate::pool::current_task::CurrentTask;
use crate::pool::{Pool, WakeHelper};
use crate::primitive::Arc;
use crate::queue::{Chain, LaneCursor};
use crate::raw_task::Runnable;
use crate::shutdown::{close_drivers, count_out, thread_exited};
use crate::util::named_thread::named_thread;
use crate::util::wake_list::catch_user_panic;

/// Starts or notifies the shutdown helper, if a worker is in a blocking section.
///
/// Called by the closer, and by a worker that enters a blocking section during the shutdown. Each
/// thread that exits calls it, too, before it is counted out, unless it has a deadline.
pub(crate) fn start_helper(pool: &Arc<Pool>) {
    if !pool.blocked_workers.claim_helper() {
        return;
    }
    // The count may rise here: the caller is live, or the closer.
    pool.live_threads.inc();
    loop {
        let kept_pool = Arc::clone(pool);
        let error = match named_thread("heist-helper").spawn(move || helper_main(&kept_pool)) {
            Ok(thread) => return pool.live_threads.track(thread),
            Err(error) => error,
        };
        let is_wanted_again = pool.blocked_workers.release_helper();
        catch_user_panic("a tracing subscriber", || {
            tracing::error!(
                target: "heist::shutdown",
                %error,
                "no thread could be started to end the tasks that a function in `block_in_place` may wait for; it waits \
                 until another thread of the runtime exits and starts that one"
            );
        });
        if !is_wanted_again {
            return count_out(pool);
        }
    }
}

/// Runs the shutdown helper until no worker is in a blocking section.
fn helper_main(pool: &Arc<Pool>) {
    // A waker or a destructor that drops the runtime here does not wait for this thread.
    let _member = context::member_of(pool.id);
    let role = thread_role::enter(ThreadRole::Stopping);
    let entered = context::enter(Arc::clone(pool));
    let lane_cursor = LaneCursor::new(0);
    let mut closed = false;
    loop {
        drop_reachable_tasks(pool, &lane_cursor);
        if !closed && pool.live_threads.count() <= pool.blocked_workers.count() + 1 {
            // No worker runs tasks any more. The closer would close sockets and timers only after
            // the blocking sections have ended, and these may wait for that.
            close_drivers(pool);
            closed = true;
        } else if !pool.blocked_workers.wait_for_notify() {
            break;
        }
    }
    drop((entered, role));
    thread_exited(pool);
}

/// Drops the tasks that can be reached without a seat: those of inactive seats, those of groups,
/// and those in the global queue.
fn drop_reachable_tasks(pool: &Arc<Pool>, lane_cursor: &LaneCursor) {
    // A thread that queues a task which this pass misses sees the phase: both do a
    // read-modify-write of the idle word.
    pool.notify();
    let mut idle = Chain::new();
    for seat in pool.seats.iter().filter(|seat| !seat.is_local_taken()) {
        seat.live.cancel_all().into_iter().for_each(|runnable| idle.push(runnable));
    }
    idle.append(pool.groups.take_queued(|_| true));
    pool.publish(idle, WakeHelper::Later);
    while let Some(runnable) = pool.global.take(lane_cursor, 1).pop() {
        cancel_on_this_thread(pool, &pool.blocked_workers.ending, runnable);
    }
}

/// Cancels a task on this thread, which has no seat. Reports name the task by `place` meanwhile.
/// The thread counts as polling, so user code may not block it.
pub(crate) fn cancel_on_this_thread(pool: &Arc<Pool>, place: &CurrentTask, runnable: Runnable) {
    let _polling = context::polling();
    let outer = context::set_task(Some(runnable.header().into()));
    place.begin_poll(runnable.header());
    pool.cancel_unseated(runnable);
    place.end_poll();
    context::set_task(outer);
    pool.exit_unseated();
}
