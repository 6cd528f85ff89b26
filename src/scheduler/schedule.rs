//! Where a task goes: from a wake or a spawn to a queue, and to a wake-up if that pays.
//!
//! A thread that sits in a seat of the task's pool puts it into its own LIFO slot or ring; every
//! other thread into the global queue. The wake-up rules are those of [the idle page](crate::idle).

use std::future::Future;

use crate::context::{self, Seated};
use crate::drain::gate::SpawnSource;
use crate::pool::hooks::TaskHooks;
use crate::pool::{Pool, Seat, WakeHelper};
use crate::raw_task::{self, Header, JoinHandle, Outcome, OwnedTasks, Runnable, Schedule, SpawnMeta};
use crate::sync::Arc;

// SAFETY: a seat is part of its pool, and a pool does not go away while a task has not ended that
// was polled in one of its seats: the shutdown ends them all, or leaks the pool.
unsafe impl Schedule for Seat {
    #[inline]
    fn schedule(&self, runnable: Runnable) {
        let pool = self.pool();
        context::seated(|seated| match seated {
            Some(seated) if is_in(seated, pool) => seated.push(runnable),
            _ => pool.push_remote(runnable),
        });
    }

    fn owned_tasks(&self) -> &OwnedTasks {
        &self.live
    }

    #[inline]
    fn record_outcome(&self, task: &Header, end: Outcome, unfinished: bool) {
        if end == Outcome::Panicked {
            self.pool().note_panic();
        }
        if unfinished {
            return self.count_unfinished(task, end);
        }
        self.polling.end_poll();
        self.stats.record_outcome(end);
    }
}

/// Makes a task, for [`queue_on`] or [`queue_here`].
///
/// A large future is boxed here, before it has been passed on by value any further: each step of
/// that is a copy on the stack.
#[inline]
pub(crate) fn new_task<F>(future: F, spawn_meta: impl Into<SpawnMeta>) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if size_of::<F>() > raw_task::BOXED_ABOVE {
        raw_task::spawn::<_, Seat>(Box::pin(future), spawn_meta.into())
    } else {
        raw_task::spawn::<_, Seat>(future, spawn_meta.into())
    }
}

/// As [`new_task`], of a future that need not be `Send`.
///
/// # Safety
///
/// The runnable is queued on a local pool of this thread, or dropped on this thread.
#[inline]
pub(crate) unsafe fn make_local<F>(future: F, spawn_meta: impl Into<SpawnMeta>) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + 'static,
    F::Output: 'static,
{
    // A local pool's runnables lie in its seat's ring and in its global queue, or are in the hands
    // of a waker, who queues them there. Out of either they are taken only by whoever holds the
    // local slot of the seat; and the local slot is taken on the pool's own thread only
    // (`Seat::take_lease`). The reaper of a drain leaves local pools alone. With the pool they are
    // dropped never: it outlives them.
    if size_of::<F>() > raw_task::BOXED_ABOVE {
        // SAFETY: as said above, and by what the caller vouches for, the runnable is run, cancelled
        // and dropped on this thread.
        unsafe { raw_task::spawn_local::<_, Seat>(Box::pin(future), spawn_meta.into()) }
    } else {
        // SAFETY: as above.
        unsafe { raw_task::spawn_local::<_, Seat>(future, spawn_meta.into()) }
    }
}

/// Queues a new task on `pool`. A pool that takes no more tasks drops the future, and the handle
/// resolves as cancelled.
pub(crate) fn queue_on(pool: &Arc<Pool>, runnable: Runnable) {
    context::seated(|seated| match seated {
        Some(seated) if is_in(seated, pool) => seated.push_new(runnable),
        _ => queue_from_outside(pool, runnable),
    });
}

/// Counts in a task that is about to be made. A yes has to be followed by [`queue_admitted`].
#[must_use]
pub(crate) fn try_admit(pool: &Arc<Pool>) -> bool {
    context::seated(|seated| match seated {
        Some(seated) if is_in(seated, pool) && pool.phase.is_running() => {
            seated.seat.stats.spawned.add(1);
            true
        }
        _ => enter_gate(pool),
    })
}

/// Queues a task that has been counted in.
pub(crate) fn queue_admitted(pool: &Arc<Pool>, runnable: Runnable) {
    context::seated(|seated| match seated {
        Some(seated) if is_in(seated, pool) => seated.push_admitted(runnable),
        _ => push_from_outside(pool, runnable),
    });
}

/// Passes the gate, if it is open to whoever this is.
pub(crate) fn enter_gate(pool: &Pool) -> bool {
    // While it is open to everybody, nobody asks.
    pool.drain_state.gate.try_enter(SpawnSource::External)
        || (context::spawn_source(pool) == SpawnSource::Internal
            && pool.drain_state.gate.try_enter(SpawnSource::Internal))
}

/// Queues a new task on the runtime that this thread is inside of.
///
/// # Errors
///
/// The task, if there is none.
#[inline]
pub(crate) fn queue_here(runnable: Runnable) -> Result<(), Runnable> {
    context::seated(|seated| match seated {
        Some(seated) if context::is_inside(seated.pool) => {
            seated.push_new(runnable);
            Ok(())
        }
        _ => match context::pool() {
            Some(pool) => {
                queue_on(&pool, runnable);
                Ok(())
            }
            None => Err(runnable),
        },
    })
}

#[inline]
fn is_in(seated: &Seated<'_>, pool: &Pool) -> bool {
    std::ptr::eq(Arc::as_ptr(seated.pool), pool)
}

#[cold]
fn queue_from_outside(pool: &Arc<Pool>, runnable: Runnable) {
    if enter_gate(pool) { push_from_outside(pool, runnable) } else { reject(pool, runnable) }
}

#[inline]
fn push_from_outside(pool: &Arc<Pool>, runnable: Runnable) {
    run_spawn_hook(pool, &runnable);
    if pool.settings.queue_times {
        pool.record_queue_time(runnable.header());
    }
    match pool.global.push_new(runnable) {
        Ok(()) => pool.announce_published(WakeHelper::Now, None),
        // The runtime has begun to shut down in between.
        Err(refused) => context::run_in_runtime(pool, || {
            pool.cancel_unseated(refused);
            pool.exit_unseated();
        }),
    }
}

/// Tells the hook, if there is one, of a task that has been counted in and is about to be queued.
#[inline]
fn run_spawn_hook(pool: &Arc<Pool>, runnable: &Runnable) {
    if let Some(hooks) = &pool.settings.task_hooks {
        tell_inside(pool, hooks, runnable.header());
    }
}

#[cold]
fn tell_inside(pool: &Arc<Pool>, hooks: &TaskHooks, task: &Header) {
    context::run_in_runtime(pool, || hooks.run_hook(|hooks| &hooks.spawn, &task.identity()));
}

/// Dropping the runnable drops the future, and cancels the handle. It has not been counted in.
#[cold]
fn reject(pool: &Arc<Pool>, runnable: Runnable) {
    pool.drain_state.refusals.log_rejection(pool.clock.now(), runnable.header().location());
    context::run_in_runtime(pool, || drop(runnable));
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

    /// The runtime drains, or is being shut down.
    #[cold]
    fn push_new_late(&self, runnable: Runnable) {
        if enter_gate(self.pool) { self.push_admitted(runnable) } else { reject(self.pool, runnable) }
    }

    /// Queues a task that this thread has spawned and that has been counted in.
    #[inline]
    fn push_admitted(&self, runnable: Runnable) {
        run_spawn_hook(self.pool, &runnable);
        self.push(runnable);
        // Again: the hook may have taken its time, or this thread has not run meanwhile.
        if !self.pool.phase.is_running() {
            self.recheck_seal();
        }
    }

    /// The deadline may have come since the task was counted in, and this poll may not return.
    #[cold]
    fn recheck_seal(&self) {
        if self.pool.drain_state.gate.is_sealed() {
            self.pool.drain_state.notify_reaper(None);
        }
    }

    /// Queues a task that this thread has woken or spawned: it runs next.
    #[inline]
    fn push(&self, runnable: Runnable) {
        if self.local.needs_slow_push() { self.push_slow(runnable) } else { self.push_next(runnable) }
    }

    /// As [`Seated::push`], while a batch is handed out, or if it is noted when tasks are queued.
    #[inline(never)]
    fn push_slow(&self, runnable: Runnable) {
        if self.local.has_stamps() {
            self.pool.record_queue_time(runnable.header());
        }
        if self.local.is_batching() { self.push_back(runnable) } else { self.push_next(runnable) }
    }

    #[inline]
    fn push_next(&self, runnable: Runnable) {
        let slot = self.pool.settings.lifo && self.local.lifo_is_on();
        let behind = if slot { self.seat.lifo.push(runnable) } else { Some(runnable) };
        if let Some(runnable) = behind {
            self.push_back(runnable);
            self.maybe_wake_helper(self.local.ring.len());
        } else {
            self.local.count_slotted();
        }
    }

    /// Queues a task behind all that this worker has. Wakes nobody.
    #[inline]
    pub(crate) fn push_back(&self, runnable: Runnable) {
        if let Err(runnable) = self.local.ring.push(runnable) {
            self.overflow(runnable);
        }
    }

    /// The ring is full: half of it becomes work for everybody.
    #[cold]
    fn overflow(&self, runnable: Runnable) {
        self.seat.stats.overflows.add(1);
        if self.pool.publish(self.local.ring.overflow(runnable), WakeHelper::Later) {
            self.maybe_wake_helper(self.local.ring.len());
        }
    }

    /// The worker goes on to its next poll, and `behind` tasks of its ring wait behind that, and
    /// whatever has been left to it in the global queue: others may have to see to them.
    pub(crate) fn wake_helper_for(&self, behind: usize) {
        if behind > 0 || self.pool.global.len() > 0 {
            self.maybe_wake_helper(behind);
        }
    }

    /// Wakes another worker if it is likely to gain more than its getting up costs, by what waits
    /// `behind` the poll in the ring and in the global queue; unless that is so little that nobody
    /// would take it away from us.
    #[inline]
    fn maybe_wake_helper(&self, behind: usize) {
        if !self.pool.idle.counts().could_wake() {
            return;
        }
        let global = self.pool.global.len();
        let takeable = if behind >= Seat::MIN_STEALABLE { behind + global } else { global };
        if self.local.wake_pays(takeable, self.pool.settings.wake_pays_after) {
            self.notify();
        }
    }

    /// The full handshake, counted.
    #[cold]
    pub(crate) fn notify(&self) {
        if self.pool.notify() {
            self.seat.stats.wakes.add(1);
        }
    }
}
