//! Queues a spawned or woken task, and wakes a helper if that pays.
//!
//! A worker of the task's pool puts the task into its own LIFO slot or ring. Every other thread
//! puts it into the global queue. The rules of waking are those of [the idle page](crate::idle).

use std::future::Future;

use crate::context::{self, SeatHere, Seated};
use crate::drain::gate::SpawnSource;
use crate::group::Group;
use crate::pool::hooks::TaskHooks;
use crate::pool::{Pool, Seat, WakeHelper};
use crate::primitive::{Arc, wake_policy};
use crate::raw_task::{self, Header, JoinHandle, Origin, Outcome, OwnedTasks, Refusal, Runnable, Schedule, SpawnMeta};
use crate::recorder::record::{Kind, Record};

// SAFETY: a seat is part of its pool. A task points to a seat in which it was polled, until it has
// ended. The shutdown ends all tasks, or leaks the pool.
unsafe impl Schedule for Seat {
    #[inline]
    fn schedule(&self, runnable: Runnable) {
        let pool = self.pool();
        context::seated(|seated| match seated {
            Some(seated) if works_in(seated, pool) => seated.push(runnable, Kind::Wake),
            _ => pool.push_remote(runnable),
        });
    }

    fn owned_tasks(&self) -> &OwnedTasks {
        &self.live
    }

    #[inline]
    fn record_outcome(&self, task: &Header, end: Outcome, unfinished: bool) {
        if end == Outcome::Panicked {
            self.pool().on_task_panic();
        }
        if unfinished {
            return self.count_unfinished(task, end);
        }
        self.polling.end_poll();
        self.stats.record_outcome(end);
    }
}

/// Creates a task, for [`queue_on`] or [`queue_in_seat`]. With the feature `tracing-spans`, a
/// subscriber runs meanwhile, which leaves this thread's seat for its own length at most.
///
/// A large future is boxed here, because each further pass by value would copy it on the stack.
#[inline]
pub(crate) fn new_task<F>(future: F, spawn_meta: impl Into<SpawnMeta>) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if size_of::<F>() > raw_task::BOXED_ABOVE {
        raw_task::spawn::<_, Seat>(Box::pin(future), spawn_meta.into().with_origin(Origin::task::<F>()))
    } else {
        raw_task::spawn::<_, Seat>(future, spawn_meta.into().with_origin(Origin::task::<F>()))
    }
}

/// As [`new_task`], for a future that need not be `Send`.
///
/// # Safety
///
/// The caller must queue the runnable on a local pool of this thread, or drop it on this thread.
#[inline]
pub(crate) unsafe fn make_local<F>(future: F, spawn_meta: impl Into<SpawnMeta>) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + 'static,
    F::Output: 'static,
{
    // The runnables of a local pool are in its seat's queues, in its global queue, or with a wake
    // that queues them there. Only the thread that has taken the seat's local state takes them out.
    // That is the pool's own thread (`Seat::take_local`). The reaper of a drain does not touch
    // local pools. The pool does not drop them, because it outlives them.
    let spawn_meta = spawn_meta.into().with_origin(Origin::local::<F>());
    if size_of::<F>() > raw_task::BOXED_ABOVE {
        // SAFETY: by the argument above, and by the caller's promise, the runnable is run,
        // cancelled and dropped on this thread.
        unsafe { raw_task::spawn_local::<_, Seat>(Box::pin(future), spawn_meta) }
    } else {
        // SAFETY: as above.
        unsafe { raw_task::spawn_local::<_, Seat>(future, spawn_meta) }
    }
}

/// Queues a new task on `pool`. If the pool takes no more tasks, the future is dropped, and the
/// handle resolves as cancelled.
pub(crate) fn queue_on(pool: &Arc<Pool>, runnable: Runnable) {
    context::seated(|seated| match seated {
        Some(seated) if works_in(seated, pool) => seated.push_new(runnable),
        _ => queue_from_outside(pool, runnable),
    });
}

/// Admits a task that is about to be created. If it returns true, [`queue_admitted`] has to follow.
#[must_use]
pub(crate) fn try_admit(pool: &Arc<Pool>) -> bool {
    context::seated(|seated| match seated {
        Some(seated) if works_in(seated, pool) && pool.phase.is_running() => {
            seated.seat.stats.spawned.add(1);
            true
        }
        _ => enter_gate(pool),
    })
}

/// Queues a task that has been admitted.
pub(crate) fn queue_admitted(pool: &Arc<Pool>, runnable: Runnable) {
    context::seated(|seated| match seated {
        Some(seated) if works_in(seated, pool) => seated.push_admitted(runnable),
        _ => push_from_outside(pool, runnable),
    });
}

/// Passes the gate, if it is open to this thread. Returns false if it is closed.
pub(crate) fn enter_gate(pool: &Pool) -> bool {
    // The open gate admits every thread. Only a closed one needs to know the kind of this thread.
    pool.drain_state.gate.try_enter(SpawnSource::External)
        || (context::spawn_source(pool) == SpawnSource::Internal
            && pool.drain_state.gate.try_enter(SpawnSource::Internal))
}

/// Where a task is spawned by code that names no runtime, if it is not on the worker of this thread
/// (see [`context::seat_here`]).
pub(crate) enum SpawnPlace {
    /// In the group that this thread is inside of.
    Group(Arc<Pool>, Arc<Group>),
    /// On the runtime that this thread is inside of.
    Pool(Arc<Pool>),
    /// Nowhere: this thread is not inside of a runtime.
    Nowhere,
}

/// Returns where this thread spawns tasks, if [`context::seat_here`] has returned nothing.
///
/// The caller creates the task, so that the future is not moved into another function first.
#[cold]
pub(crate) fn spawn_place() -> SpawnPlace {
    let Some(pool) = context::pool() else { return SpawnPlace::Nowhere };
    match context::group() {
        Some(group) => SpawnPlace::Group(pool, group),
        None => SpawnPlace::Pool(pool),
    }
}

/// Queues a new task on the worker of this thread.
///
/// # Safety
///
/// No code but the creation of the task has run since [`context::seat_here`] has returned `seat`.
#[inline]
pub(crate) unsafe fn queue_in_seat(seat: SeatHere, runnable: Runnable) {
    // SAFETY: this thread has not left the seat since.
    unsafe { seat.seated() }.push_new(runnable);
}

#[inline]
fn works_in(seated: &Seated<'_>, pool: &Pool) -> bool {
    std::ptr::eq(Arc::as_ptr(seated.pool), pool)
}

#[cold]
fn queue_from_outside(pool: &Arc<Pool>, runnable: Runnable) {
    if enter_gate(pool) { push_from_outside(pool, runnable) } else { reject_spawn(pool, runnable) }
}

#[inline]
fn push_from_outside(pool: &Arc<Pool>, runnable: Runnable) {
    pool.simulation.check_thread(|| format!("spawns {}", runnable.header().description()));
    run_spawn_hook(pool, &runnable);
    pool.record_spawn(Kind::Spawn, runnable.header());
    if pool.settings.queue_times {
        pool.record_queue_time(runnable.header());
    }
    match pool.global.push_new(runnable) {
        Ok(()) => pool.announce_published(WakeHelper::Now, None),
        // The runtime has begun to shut down since the task was admitted.
        Err(refused) => context::run_in_runtime(pool, || {
            pool.cancel_unseated(refused);
            pool.exit_unseated();
        }),
    }
}

/// Cancels a task that has been admitted, and that no queue has taken.
#[cold]
pub(crate) fn cancel_admitted(pool: &Arc<Pool>, refused: Runnable) {
    context::run_in_runtime(pool, || {
        context::seated(|seated| match seated {
            Some(seated) if works_in(seated, pool) => seated.seat.cancel_in_seat(refused),
            _ => {
                pool.cancel_unseated(refused);
                pool.exit_unseated();
            }
        });
    });
}

/// Calls the spawn hook, if there is one, for an admitted task that is about to be queued.
#[inline]
pub(super) fn run_spawn_hook(pool: &Arc<Pool>, runnable: &Runnable) {
    if let Some(hooks) = &pool.settings.task_hooks {
        run_spawn_hook_cold(pool, hooks, runnable.header());
    }
}

#[cold]
fn run_spawn_hook_cold(pool: &Arc<Pool>, hooks: &TaskHooks, task: &Header) {
    context::run_in_runtime(pool, || hooks.run_hook(|hooks| &hooks.spawn, &task.identity()));
}

/// Rejects a task that was not admitted. Its future is dropped, and its handle resolves as
/// cancelled.
#[cold]
pub(super) fn reject_spawn(pool: &Arc<Pool>, runnable: Runnable) {
    pool.drain_state.refusals.log_rejection(pool.clock.now(), runnable.header().location());
    let refusal = refusal_of(pool);
    context::run_in_runtime(pool, || refusal.run_with(|| drop(runnable)));
}

/// Returns why the runtime accepts no task.
pub(crate) fn refusal_of(pool: &Pool) -> Refusal {
    if pool.is_open() { Refusal::Draining } else { Refusal::Closed }
}

impl Seated<'_> {
    /// Queues a task that this thread has spawned.
    #[inline]
    fn push_new(&self, runnable: Runnable) {
        if !self.pool.phase.is_running() {
            return self.push_new_late(runnable);
        }
        self.seat.stats.spawned.add(1);
        self.push_admitted(runnable);
    }

    /// As [`Seated::push_new`], when the runtime drains or shuts down.
    #[cold]
    fn push_new_late(&self, runnable: Runnable) {
        if enter_gate(self.pool) { self.push_admitted(runnable) } else { reject_spawn(self.pool, runnable) }
    }

    /// Queues an admitted task that this thread has spawned.
    #[inline]
    fn push_admitted(&self, runnable: Runnable) {
        run_spawn_hook(self.pool, &runnable);
        self.push(runnable, Kind::Spawn);
        // A second check: the phase may have changed during the hook, or while this thread did not
        // run.
        if !self.pool.phase.is_running() {
            self.recheck_seal();
        }
    }

    /// Notifies the reaper if the deadline has passed since the task was admitted. The current poll
    /// may not return, so this worker may never cancel the task.
    #[cold]
    fn recheck_seal(&self) {
        if self.pool.drain_state.gate.is_sealed() {
            self.pool.drain_state.notify_reaper(None);
        }
    }

    /// Queues a task that this thread has woken or spawned, to run next. `why` tells which, for the
    /// recorder.
    #[inline]
    fn push(&self, runnable: Runnable, why: Kind) {
        if self.local.needs_slow_push() { self.push_slow(runnable, why) } else { self.push_next(runnable) }
    }

    /// As [`Seated::push`], while a batch is dispatched, or if queue times or events are recorded.
    #[inline(never)]
    fn push_slow(&self, runnable: Runnable, why: Kind) {
        self.record_queued(runnable.header(), why);
        if self.local.has_queue_times() {
            self.pool.record_queue_time(runnable.header());
        }
        if self.local.is_batching() { self.push_back(runnable) } else { self.push_next(runnable) }
    }

    #[inline]
    fn push_next(&self, runnable: Runnable) {
        let slot = self.pool.settings.lifo && self.local.is_lifo_on();
        let displaced = if slot { self.seat.lifo.push(runnable) } else { Some(runnable) };
        if let Some(runnable) = displaced {
            self.push_back(runnable);
            self.maybe_wake_helper(self.local.ring.len());
        } else {
            self.local.count_lifo_push();
            if wake_policy().wakes_for_lifo {
                self.maybe_wake_helper(self.local.ring.len());
            }
        }
    }

    /// Queues a task behind all others of this worker. Wakes a helper only if the ring overflows.
    #[inline]
    pub(crate) fn push_back(&self, runnable: Runnable) {
        if let Err(runnable) = self.local.ring.push(runnable) {
            self.push_overflow(runnable);
        }
    }

    /// Moves the newer half of the full ring, and `runnable`, to the global queue.
    #[cold]
    fn push_overflow(&self, runnable: Runnable) {
        self.seat.stats.overflows.add(1);
        if self.pool.publish(self.local.ring.overflow(runnable), WakeHelper::Later) {
            self.maybe_wake_helper(self.local.ring.len());
        }
    }

    /// Wakes a helper if that pays, before the worker continues with its next poll. `behind` tasks
    /// of its ring wait behind that poll, and so do the tasks in the global queue.
    pub(crate) fn wake_helper_for(&self, behind: usize) {
        if wake_policy().priced && (behind > 0 || self.pool.global.len() > 0) {
            self.maybe_wake_helper(behind);
        }
    }

    /// As [`Seated::wake_helper_for`], for a batch of tasks that was queued without a wake-up.
    pub(crate) fn wake_helper_for_batch(&self, behind: usize) {
        if behind > 0 || self.pool.global.len() > 0 || wake_policy().wakes_for_lifo {
            self.maybe_wake_helper(behind);
        }
    }

    /// Wakes a helper for what a searcher that has found a task leaves behind. `last` tells whether
    /// it was the last searcher.
    pub(crate) fn wake_successor(&self, last: bool) {
        if !wake_policy().chained {
            self.wake_helper_for(self.local.ring.len());
        } else if last {
            self.notify();
        }
    }

    /// Wakes a helper if the gain is likely to exceed the cost of waking it. The gain depends on
    /// the tasks `behind` the poll in the ring, and in the global queue. A lone task in the ring
    /// does not count, because a thief would not take it.
    #[inline]
    fn maybe_wake_helper(&self, behind: usize) {
        if !wake_policy().priced {
            return self.wake_without_price();
        }
        if !self.pool.idle.counts().could_wake() {
            return;
        }
        let global = self.pool.global.len();
        let stealable = if behind >= Seat::MIN_STEALABLE { behind + global } else { global };
        if self.local.wake_pays(stealable, self.pool.settings.wake_pays_after) {
            self.notify();
        }
    }

    /// Wakes a helper as a policy without a price does.
    #[cold]
    fn wake_without_price(&self) {
        if !wake_policy().looks_first || self.pool.idle.counts().searchers() <= 0 {
            self.notify();
        }
    }

    /// Wakes a sleeper by the full handshake, and counts it.
    #[cold]
    pub(crate) fn notify(&self) {
        if let Some(woken) = self.pool.wake_sleeper() {
            self.seat.stats.wakes.add(1);
            self.record(|at| Record::pair(Kind::Notify, at, woken, 0));
        }
    }
}
