//! The state word of a task: its bits, and the transitions between them.

use std::fmt;

use crate::sync::atomic::{AtomicUsize, Ordering};

/// Woken while there was a `Runnable` already: it owes a poll that begins later. Set by a wake,
/// cleared by `start`.
const WOKEN: usize = 1 << 0;
/// There is a `Runnable`: in a queue, on its way to one, or in the hands of who polls or ends the
/// task. Set at birth and by the wake of an idle task, cleared by `suspend`, `complete` or
/// `finish`.
const ACTIVE: usize = 1 << 1;
/// The future is gone and the output, if anybody wants it, is stored. Never cleared; set once,
/// under ACTIVE.
const COMPLETE: usize = 1 << 2;
/// Somebody asked for the task to be dropped instead of polled. Never cleared.
const CANCELLED: usize = 1 << 3;
/// The `JoinHandle` exists. Set at birth, cleared by the handle only.
const JOIN_INTEREST: usize = 1 << 4;
/// The joiner's waker slot is filled. Set and cleared by the handle while COMPLETE is not set.
const JOIN_WAKER: usize = 1 << 5;
/// The task is in its home seat's live list. Set by the first `suspend` that may leave it idle.
const LINKED: usize = 1 << 6;
/// One waker or abort handle.
const REF: usize = 1 << 7;

/// A task is born queued, with a handle and without wakers.
const BIRTH: usize = ACTIVE | JOIN_INTEREST;

/// More wakers than this can only be leaked ones: the process aborts before the count runs over.
const MOST_REFS: usize = usize::MAX / 2;

/// A task's state. See the table in [the task's page](crate::raw_task).
pub(crate) struct State(AtomicUsize);

/// What a state word said at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot(usize);

/// What a waker does next.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The task was idle: the caller holds its `Runnable` now and queues it.
    Schedule,
    /// Whoever holds the `Runnable` will see this wake, or the task has ended.
    Nothing,
    /// That was the last reference: the caller frees the cell. (By value only.)
    Free,
}

/// What the holder of a `Runnable` does next.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Poll the future.
    Poll {
        /// The task is in a live list.
        filed: bool,
    },
    /// Drop the future.
    Cancel {
        /// The task is in a live list.
        filed: bool,
    },
}

/// What the poller of a pending future does next.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Suspend {
    /// Forget the task: somebody else may own it already.
    Idle,
    /// It was woken meanwhile: queue it again.
    Again,
}

/// What the poller of a finished future does next.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Complete {
    /// Forget the task: the output belongs to the handle, or the last waker frees the cell.
    Leave,
    /// Wake the joiner with the waker in the slot, then [`State::finish`].
    WakeJoiner,
    /// Nobody wants the output that was stored: drop it and complete again.
    DropOutput,
    /// Nobody else can reach the cell: free it.
    Free,
}

/// What a leaving `JoinHandle` does next.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DropHandle {
    /// Nothing: the handle's bit is gone.
    Done,
    /// The slot is the handle's again: drop the waker in it, then leave again.
    DropWaker,
    /// The task has ended: drop the output, then [`State::leave_complete`].
    DropOutput,
}

impl State {
    pub(crate) fn new() -> Self {
        State(AtomicUsize::new(BIRTH))
    }

    /// What the word says now; good for answering questions, not for acting on the answer.
    #[inline]
    pub(crate) fn load(&self) -> Snapshot {
        // Ordering: Acquire — pairs with the Release in `complete`, so that a complete task's
        // output can be read.
        Snapshot(self.0.load(Ordering::Acquire))
    }

    /// A waker is consumed. Its reference becomes the `Runnable`, or is dropped.
    #[inline]
    pub(crate) fn wake_by_value(&self) -> Wake {
        self.update(|now| {
            if now.is_complete() {
                let next = now.0 - REF;
                (next, if Snapshot(next).is_unreachable() { Wake::Free } else { Wake::Nothing })
            } else {
                let (next, answer) = now.woken();
                (next - REF, answer)
            }
        })
    }

    /// A waker wakes and stays.
    #[inline]
    pub(crate) fn wake_by_ref(&self) -> Wake {
        // Ordering: Relaxed — a wake of an ended task reads nothing and owes nobody a poll.
        if Snapshot(self.0.load(Ordering::Relaxed)).is_complete() {
            return Wake::Nothing;
        }
        self.update(Snapshot::woken)
    }

    /// Asks for the task to be dropped: a flag and an ordinary wake. The caller keeps its
    /// reference.
    pub(crate) fn cancel(&self) -> Wake {
        self.update(|now| {
            if now.is_complete() {
                return (now.0, Wake::Nothing);
            }
            let (next, answer) = now.woken();
            (next | CANCELLED, answer)
        })
    }

    /// A task that has not been queued yet is filed.
    pub(crate) fn mark_linked(&self) {
        // Ordering: Relaxed — read by whoever gets the `Runnable`.
        self.0.fetch_or(LINKED, Ordering::Relaxed);
    }

    /// The `Runnable` is used. A plain load, unless somebody has woken the task while it was
    /// queued.
    #[inline]
    pub(crate) fn start(&self) -> Start {
        // Ordering: Relaxed — the wake that made the `Runnable`, and the last poll, come before by
        // way of the queue. A wake that is not seen here has set WOKEN, and is seen by `suspend`.
        let mut now = Snapshot(self.0.load(Ordering::Relaxed));
        debug_assert!(now.is(WOKEN | ACTIVE) && !now.is(COMPLETE), "started twice: {now:?}");
        if now.is(WOKEN) {
            // `suspend` leaves a task that was woken just before it without ACTIVE.
            let owed = if now.is(ACTIVE) { 0 } else { ACTIVE };
            // Ordering: Acquire — pairs with the Release of every wake since the last poll (they
            // form one release sequence); Release — keeps that sequence whole for the wakes that
            // follow.
            now = Snapshot(self.0.fetch_add(owed.wrapping_sub(WOKEN), Ordering::AcqRel));
        }
        let filed = now.is(LINKED);
        if now.is(CANCELLED) { Start::Cancel { filed } } else { Start::Poll { filed } }
    }

    /// Whether the task that is being polled has been woken meanwhile. A yes is final: nobody but
    /// its poller takes that back.
    #[inline]
    pub(crate) fn is_woken(&self) -> bool {
        // Ordering: Relaxed — the next `start` acquires what the waker wrote.
        Snapshot(self.0.load(Ordering::Relaxed)).is(WOKEN)
    }

    /// The future is pending, and so is no wake: active → idle, or queued again if a wake has come
    /// in between.
    ///
    /// `filing` says that the task has just been filed.
    #[inline]
    pub(crate) fn suspend(&self, filing: bool) -> Suspend {
        let filing = if filing { LINKED } else { 0 };
        // Ordering: Release — publishes the future's new state to the wake that makes the next
        // `Runnable`; Acquire — a wake that was seen here is followed by a queueing on its behalf,
        // which must come after it.
        let was = Snapshot(self.0.fetch_add(filing.wrapping_sub(ACTIVE), Ordering::AcqRel));
        debug_assert!(was.is(ACTIVE) && !was.is(COMPLETE), "suspended while not active: {was:?}");
        if was.is(WOKEN) { Suspend::Again } else { Suspend::Idle }
    }

    /// Whether an output would be wanted now. A no is final.
    #[inline]
    pub(crate) fn wants_output(&self) -> bool {
        // Ordering: Relaxed — the bit is only ever cleared, and `complete` looks again.
        Snapshot(self.0.load(Ordering::Relaxed)).is(JOIN_INTEREST)
    }

    /// The future is gone: active → ended. `stored` says that the output lies in the cell.
    #[inline]
    pub(crate) fn complete(&self, stored: bool) -> Complete {
        // Ordering: Acquire — pairs with the Release of the last `drop_ref` and of the handle's
        // `leave`: if nobody is left, all they did came before the free. No read-modify-write is
        // needed to learn it: there is nobody to race with.
        let mut now = Snapshot(self.0.load(Ordering::Acquire));
        loop {
            debug_assert!(now.is(ACTIVE) && !now.is(COMPLETE), "completed while not active: {now:?}");
            let (next, answer) = match (now.is(JOIN_INTEREST), stored) {
                (false, true) => return Complete::DropOutput,
                (false, false) if now.refs() == 0 => return Complete::Free,
                (true, true) if now.is(JOIN_WAKER) => (now.0 | COMPLETE, Complete::WakeJoiner),
                _ => ((now.0 | COMPLETE) & !ACTIVE, Complete::Leave),
            };
            // Ordering: Release — publishes the output to the handle and the end to whoever frees;
            // Acquire — pairs with the Release in `register`: the joiner's waker can be read.
            match self.0.compare_exchange_weak(now.0, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return answer,
                Err(other) => now = Snapshot(other),
            }
        }
    }

    /// The joiner has been woken: ending → ended. True if the caller has to free the cell.
    #[inline]
    #[must_use]
    pub(crate) fn finish(&self) -> bool {
        // Ordering: Release — what was read from the slot comes before the free; Acquire — if we
        // free, everybody else's last use comes before it.
        Snapshot(self.0.fetch_sub(ACTIVE, Ordering::AcqRel) - ACTIVE).is_unreachable()
    }

    /// One more waker or abort handle.
    #[inline]
    pub(crate) fn add_ref(&self) {
        // Ordering: Relaxed — whoever clones holds a reference already, so the cell cannot go away
        // meanwhile.
        if self.0.fetch_add(REF, Ordering::Relaxed) > MOST_REFS {
            std::process::abort();
        }
    }

    /// One waker or abort handle less. True if the caller has to free the cell.
    #[inline]
    #[must_use]
    pub(crate) fn drop_ref(&self) -> bool {
        // Ordering: Release — our last use comes before the free; Acquire — if we free, everybody
        // else's does.
        let was = self.0.fetch_sub(REF, Ordering::AcqRel);
        debug_assert!(Snapshot(was).refs() > 0, "a reference too many was dropped");
        Snapshot(was - REF).is_unreachable()
    }

    /// The handle has filled the waker slot and gives it away. False if the task ended first: the
    /// slot stays the handle's.
    #[inline]
    #[must_use]
    pub(crate) fn register(&self) -> bool {
        self.update(|now| if now.is_complete() { (now.0, false) } else { (now.0 | JOIN_WAKER, true) })
    }

    /// The handle wants the waker slot back. False if the task ended first: the slot is the
    /// poller's.
    #[inline]
    #[must_use]
    pub(crate) fn unregister(&self) -> bool {
        self.update(|now| if now.is_complete() { (now.0, false) } else { (now.0 & !JOIN_WAKER, true) })
    }

    /// The handle is dropped.
    #[inline]
    pub(crate) fn drop_handle(&self) -> DropHandle {
        self.update(|now| match now {
            _ if now.is_complete() => (now.0, DropHandle::DropOutput),
            _ if now.is(JOIN_WAKER) => (now.0 & !JOIN_WAKER, DropHandle::DropWaker),
            _ => (now.0 & !JOIN_INTEREST, DropHandle::Done),
        })
    }

    /// The handle of an ended task goes, after its output. True if the caller has to free the cell.
    #[inline]
    #[must_use]
    pub(crate) fn leave_complete(&self) -> bool {
        // Ordering: Acquire — pairs with the Release of `finish` and `drop_ref`. If we are the only
        // ones left, nobody can come: no read-modify-write is needed.
        let now = Snapshot(self.0.load(Ordering::Acquire));
        debug_assert!(now.is(COMPLETE) && now.is(JOIN_INTEREST));
        if Snapshot(now.0 & !JOIN_INTEREST).is_unreachable() {
            return true;
        }
        // Ordering: Release — taking the output comes before the free; Acquire — if we free,
        // everybody else's last use does.
        Snapshot(self.0.fetch_sub(JOIN_INTEREST, Ordering::AcqRel) - JOIN_INTEREST).is_unreachable()
    }

    /// Changes the word from what it is to what `f` makes of it, and answers `f`'s answer.
    ///
    /// Always a read-modify-write, also of the same value: that is what puts a merged wake before
    /// the poll.
    #[inline(always)]
    fn update<A>(&self, f: impl Fn(Snapshot) -> (usize, A)) -> A {
        // Ordering: Relaxed — the value is only a guess for the exchange.
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            let (next, answer) = f(Snapshot(now));
            // Ordering: Release — pairs with the Acquire in `start` (a wake publishes what it
            // wrote) and in `complete` (a registration publishes the slot); Acquire — a handle or
            // waker that finds COMPLETE may read or free.
            match self.0.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return answer,
                Err(other) => now = other,
            }
        }
    }
}

impl Snapshot {
    #[inline]
    fn is(self, bits: usize) -> bool {
        self.0 & bits != 0
    }

    /// How many wakers and abort handles there are.
    #[inline]
    pub(crate) fn refs(self) -> usize {
        self.0 / REF
    }

    /// What the word becomes by a wake, and what the waker does next.
    #[inline]
    fn woken(self) -> (usize, Wake) {
        if self.is(WOKEN | ACTIVE | COMPLETE) {
            (self.0 | WOKEN, Wake::Nothing)
        } else {
            (self.0 | ACTIVE, Wake::Schedule)
        }
    }

    /// The task has ended; its output, if it was wanted, can be read.
    #[inline]
    pub(crate) fn is_complete(self) -> bool {
        self.is(COMPLETE)
    }

    /// The slot holds a waker of the joiner.
    #[inline]
    pub(crate) fn has_join_waker(self) -> bool {
        self.is(JOIN_WAKER)
    }

    /// Nobody holds a reference of any kind.
    #[inline]
    fn is_unreachable(self) -> bool {
        self.is(COMPLETE) && !self.is(ACTIVE | JOIN_INTEREST) && self.refs() == 0
    }

    /// What a dump says of the task.
    pub(crate) fn phase(self) -> &'static str {
        match self {
            _ if self.is(COMPLETE) => "ended",
            _ if self.is(WOKEN | ACTIVE) => "active",
            _ => "idle",
        }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("phase", &self.phase())
            .field("cancelled", &self.is(CANCELLED))
            .field("joined", &self.is(JOIN_INTEREST))
            .field("join_waker", &self.is(JOIN_WAKER))
            .field("filed", &self.is(LINKED))
            .field("refs", &self.refs())
            .finish()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load().fmt(f)
    }
}
