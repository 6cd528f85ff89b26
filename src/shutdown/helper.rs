//! Ending what workers wait for that have stepped out of their seats, when the runtime is being
//! shut down.
//!
//! The protocol is on [the page of `block_in_place`](crate::pool::Blocking sections).

use crate::context;
use crate::context::thread_role::{self, ThreadRole};
use crate::pool::current_task::CurrentTask;
use crate::pool::{Pool, WakeHelper};
use crate::queue::{Chain, LaneCursor};
use crate::raw_task::Runnable;
use crate::shutdown::{close_drivers, thread_exited};
use crate::sync::Arc;
use crate::util::named_thread::named_thread;
use crate::util::wake_list::catch_user_panic;

/// The runtime is being shut down: starts the helper, or calls it, if anybody is out. Called by the
/// closer, and by whoever steps out then.
pub(crate) fn start_helper(pool: &Arc<Pool>) {
    if !pool.blocked_workers.claim_helper() {
        return;
    }
    // Whoever is out is present, or we are the closer.
    pool.live_threads.inc();
    let kept = Arc::clone(pool);
    match named_thread("heist-helper").spawn(move || helper_main(&kept)) {
        Ok(started) => pool.live_threads.track(started),
        Err(error) => {
            pool.blocked_workers.release_helper();
            catch_user_panic("a subscriber", || {
                tracing::error!(
                    target: "heist::shutdown",
                    %error,
                    "no thread to end the tasks that a function in `block_in_place` may wait for; it waits for them until another worker leaves"
                );
            });
            thread_exited(pool);
        }
    }
}

/// The life of the helper: until nobody is out any more.
fn helper_main(pool: &Arc<Pool>) {
    // Whoever drops the runtime here, in a waker or a destructor, does not wait for us.
    let _member = context::member_of(pool.id);
    let role = thread_role::enter(ThreadRole::Stopping);
    let stay = context::enter(Arc::clone(pool));
    let lane_cursor = LaneCursor::new(0);
    let mut closed = false;
    loop {
        end_all(pool, &lane_cursor);
        if !closed && pool.live_threads.count() <= pool.blocked_workers.count() + 1 {
            // Nobody works any more. Sockets and timers would be told when those who are out have
            // left, and they may wait for that.
            close_drivers(pool);
            closed = true;
        } else if !pool.blocked_workers.wait_for_call() {
            break;
        }
    }
    drop((stay, role));
    thread_exited(pool);
}

/// Ends what can be reached without a seat, whose worker would do it: the tasks that are at home
/// where nobody works, and those that are queued.
fn end_all(pool: &Arc<Pool>, lane_cursor: &LaneCursor) {
    // The handshake: who queues something that is not seen below sees the phase.
    pool.notify();
    let mut idle = Chain::new();
    for seat in pool.seats.iter().filter(|seat| !seat.is_active()) {
        seat.live.cancel_all().into_iter().for_each(|runnable| idle.push(runnable));
    }
    pool.publish(idle, WakeHelper::Later);
    while let Some(runnable) = pool.global.take(lane_cursor, 1).pop() {
        cancel(pool, &pool.blocked_workers.ending, runnable);
    }
}

/// Cancels a task on this thread, which must not block meanwhile, and is shown in `place`.
pub(crate) fn cancel(pool: &Arc<Pool>, place: &CurrentTask, runnable: Runnable) {
    let _polling = context::polling();
    let outer = context::set_task(Some(runnable.header().into()));
    place.begin_poll(runnable.header());
    pool.cancel_unseated(runnable);
    place.end_poll();
    context::set_task(outer);
    pool.exit_unseated();
}
