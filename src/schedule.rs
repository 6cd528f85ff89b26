//! Where a task goes: from a wake or a spawn to a queue, and to a wake-up if that pays.
//!
//! A thread that sits in a seat of the task's pool puts it into its own LIFO slot or ring; every other thread into the global queue.
//! The wake-up rules are those of [the idle page](crate::idle).

use std::future::Future;

use crate::cell::{self, End, Header, JoinHandle, LiveSet, Origin, Runnable, Schedule};
use crate::context::{self, Seated};
use crate::ledger::Who;
use crate::pool::{Pool, Seat, TaskHooks};
use crate::sync::Arc;

// SAFETY: a seat is part of its pool, and a pool does not go away while a task has not ended that was polled in one of its
// seats: the shutdown ends them all, or leaks the pool.
unsafe impl Schedule for Seat {
    #[inline]
    fn schedule(&self, runnable: Runnable) {
        let pool = self.pool();
        context::seated(|seated| match seated {
            Some(seated) if is_in(seated, pool) => seated.push(runnable),
            _ => pool.push_outside(runnable),
        });
    }

    fn live(&self) -> &LiveSet {
        &self.live
    }

    #[inline]
    fn settle(&self, task: &Header, end: End, unfinished: bool) {
        if end == End::Panicked {
            self.pool().note_panic();
        }
        if unfinished {
            return self.count_unfinished(task, end);
        }
        self.polling.end();
        self.stats.count(end);
    }
}

/// Makes a task, for [`queue_on`] or [`queue_here`].
///
/// A large future is boxed here, before it has been passed on by value any further: each step of that is a copy on the stack.
#[inline]
pub(crate) fn make<F>(future: F, origin: impl Into<Origin>) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if size_of::<F>() > cell::BOXED_ABOVE {
        cell::spawn::<_, Seat>(Box::pin(future), origin.into())
    } else {
        cell::spawn::<_, Seat>(future, origin.into())
    }
}

/// As [`make`], of a future that need not be `Send`.
///
/// # Safety
///
/// The runnable is queued on a local pool of this thread, or dropped on this thread.
#[inline]
pub(crate) unsafe fn make_local<F>(future: F, origin: impl Into<Origin>) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + 'static,
    F::Output: 'static,
{
    // A local pool's runnables lie in its seat's ring and in its global queue, or are in the hands of a waker, who queues them there. Out of
    // either they are taken only by whoever holds the lease of the seat; and the lease is taken on the pool's own thread only
    // (`Seat::take_lease`). The sweeper of a drain leaves local pools alone. With the pool they are dropped never: it outlives them.
    if size_of::<F>() > cell::BOXED_ABOVE {
        // SAFETY: as said above, and by what the caller vouches for, the runnable is run, cancelled and dropped on this thread.
        unsafe { cell::spawn_local::<_, Seat>(Box::pin(future), origin.into()) }
    } else {
        // SAFETY: as above.
        unsafe { cell::spawn_local::<_, Seat>(future, origin.into()) }
    }
}

/// Queues a new task on `pool`. A pool that takes no more tasks drops the future, and the handle resolves as cancelled.
pub(crate) fn queue_on(pool: &Arc<Pool>, runnable: Runnable) {
    context::seated(|seated| match seated {
        Some(seated) if is_in(seated, pool) => seated.push_new(runnable),
        _ => queue_from_outside(pool, runnable),
    });
}

/// Counts in a task that is about to be made. A yes has to be followed by [`queue_admitted`].
#[must_use]
pub(crate) fn admit(pool: &Arc<Pool>) -> bool {
    context::seated(|seated| match seated {
        Some(seated) if is_in(seated, pool) && pool.phase.is_running() => {
            seated.seat.stats.spawned.add(1);
            true
        }
        _ => pass(pool),
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
pub(crate) fn pass(pool: &Pool) -> bool {
    // While it is open to everybody, nobody asks.
    pool.ledger.gate.enter(Who::Outsider)
        || (context::who(pool) == Who::Insider && pool.ledger.gate.enter(Who::Insider))
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
    if pass(pool) { push_from_outside(pool, runnable) } else { refuse(pool, runnable) }
}

#[inline]
fn push_from_outside(pool: &Arc<Pool>, runnable: Runnable) {
    tell(pool, &runnable);
    if pool.settings.stamps {
        pool.stamp(runnable.header());
    }
    match pool.global.push_new(runnable) {
        Ok(()) => {
            pool.notify();
            pool.mind_deadline(None);
        }
        // The runtime has begun to shut down in between.
        Err(refused) => context::inside(pool, || {
            pool.cancel_stray(refused);
            pool.leave_stray();
        }),
    }
}

/// Tells the hook, if there is one, of a task that has been counted in and is about to be queued.
#[inline]
fn tell(pool: &Arc<Pool>, runnable: &Runnable) {
    if let Some(hooks) = &pool.settings.task_hooks {
        tell_inside(pool, hooks, runnable.header());
    }
}

#[cold]
fn tell_inside(pool: &Arc<Pool>, hooks: &TaskHooks, task: &Header) {
    context::inside(pool, || hooks.tell(|hooks| &hooks.spawn, &task.identity()));
}

/// Dropping the runnable drops the future, and cancels the handle. It has not been counted in.
#[cold]
fn refuse(pool: &Arc<Pool>, runnable: Runnable) {
    pool.ledger.refusals.say(pool.clock.now(), runnable.header().location());
    context::inside(pool, || drop(runnable));
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
        if pass(self.pool) { self.push_admitted(runnable) } else { refuse(self.pool, runnable) }
    }

    /// Queues a task that this thread has spawned and that has been counted in.
    #[inline]
    fn push_admitted(&self, runnable: Runnable) {
        tell(self.pool, &runnable);
        self.push(runnable);
        // Again: the hook may have taken its time, or this thread has not run meanwhile.
        if !self.pool.phase.is_running() {
            self.mind_seal();
        }
    }

    /// The deadline may have come since the task was counted in, and this poll may not return.
    #[cold]
    fn mind_seal(&self) {
        if self.pool.ledger.gate.is_sealed() {
            self.pool.ledger.call_sweeper(None);
        }
    }

    /// Queues a task that this thread has woken or spawned: it runs next.
    #[inline]
    fn push(&self, runnable: Runnable) {
        if self.local.is_aside() { self.push_aside(runnable) } else { self.push_next(runnable) }
    }

    /// As [`Seated::push`], while a batch is handed out, or if it is noted when tasks are queued.
    #[inline(never)]
    fn push_aside(&self, runnable: Runnable) {
        if self.local.has_stamps() {
            self.pool.stamp(runnable.header());
        }
        if self.local.is_batching() { self.push_back(runnable) } else { self.push_next(runnable) }
    }

    #[inline]
    fn push_next(&self, runnable: Runnable) {
        let slot = self.pool.settings.lifo && self.local.lifo_is_on();
        let behind = if slot { self.seat.lifo.push(runnable) } else { Some(runnable) };
        if let Some(runnable) = behind {
            self.push_back(runnable);
            self.wake_if_it_pays(self.local.ring.len());
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
        let chain = self.local.ring.overflow(runnable);
        if !chain.is_empty() {
            self.pool.global.push_chain(chain);
            // While we had it in hand the sweeper may have looked in vain.
            self.pool.mind_deadline(None);
            self.wake_if_it_pays(self.local.ring.len());
        }
    }

    /// The worker goes on to its next poll, and `behind` tasks of its ring wait behind that, and whatever has been left to it in the
    /// global queue: others may have to see to them.
    pub(crate) fn mind(&self, behind: usize) {
        if behind > 0 || self.pool.global.len() > 0 {
            self.wake_if_it_pays(behind);
        }
    }

    /// Wakes another worker if it is likely to gain more than its getting up costs, by what waits `behind` the poll in the ring
    /// and in the global queue; unless that is so little that nobody would take it away from us.
    #[inline]
    fn wake_if_it_pays(&self, behind: usize) {
        if !self.pool.idle.counts().could_wake() {
            return;
        }
        let global = self.pool.global.len();
        let takeable = if behind >= Seat::SPARE { behind + global } else { global };
        if self.local.sharing_pays(takeable, self.pool.settings.wake_pays_after) {
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
