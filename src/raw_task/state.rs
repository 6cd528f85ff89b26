//! The state word of a task: its bits, and the transitions between them.

use std::fmt;

use super::home_table::{HOME_BITS, HomeNumber};
use crate::primitive::assert_last_access;
use crate::primitive::atomic::{AtomicU64, Ordering};

/// Bits 0 to 19: the number of the home in whose list of owned tasks the task is, or zero. Set by
/// the first [`State::suspend`] that may leave the task idle, or by [`State::mark_linked`]. Never
/// changed after that.
const HOME: u64 = (1 << HOME_BITS) - 1;
/// Bit 20: woken while a `Runnable` existed, so another poll has to begin later. Set by a wake,
/// cleared by [`State::start`].
const WOKEN: u64 = 1 << 20;
/// Bit 21: a `Runnable` exists: in a queue, on its way to one, or held by the thread that polls or
/// ends the task. Set initially, by the wake of an idle task, and by
/// [`State::start`]. Cleared by [`State::suspend`],
/// [`State::complete`] or [`State::finish`].
const ACTIVE: u64 = 1 << 21;
/// Bit 22: the future is gone, and the output is stored if the handle still wants it. Set once,
/// while ACTIVE is set; never cleared.
const COMPLETE: u64 = 1 << 22;
/// Bit 23: the task is to be dropped instead of polled. Never cleared.
const CANCELLED: u64 = 1 << 23;
/// Bit 24: the `JoinHandle` exists. Set initially, cleared by the handle only.
const JOIN_INTEREST: u64 = 1 << 24;
/// Bit 25: the joiner's waker slot is filled. Set and cleared by the handle while COMPLETE is not
/// set.
const JOIN_WAKER: u64 = 1 << 25;
/// Bits from 26 up: the number of wakers and abort handles.
const REF: u64 = 1 << 26;

const _: () = assert!(HOME < WOKEN, "a number of a home fits below the flags");

/// A new task is queued, with a handle and without wakers.
const INITIAL: u64 = ACTIVE | JOIN_INTEREST;

/// A word with 2³⁷ references, half of what fits. Only leaked wakers can exceed it: others would
/// fill terabytes. The process aborts long before the count overflows, however many threads add to
/// it.
const MAX_REFS: u64 = u64::MAX / 2;

/// The state of a task. See the table in [the task's page](crate::raw_task).
pub(crate) struct State(AtomicU64);

/// The value of a state word at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot(u64);

/// Next step of a waker.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The task was idle: the caller now holds its `Runnable`, and queues it.
    Schedule,
    /// Nothing: the holder of the `Runnable` will see this wake, or the task has ended.
    Nothing,
    /// This was the last reference: the caller frees the cell. Only after a wake by value.
    Free,
}

/// Next step of the holder of a `Runnable`.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Poll the future.
    Poll {
        /// The home in which the task is linked.
        linked: Option<HomeNumber>,
    },
    /// Drop the future.
    Cancel {
        /// The home in which the task is linked.
        linked: Option<HomeNumber>,
    },
}

/// Next step of the poller of a pending future.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Suspend {
    /// Do not touch the task again: another thread may hold its `Runnable` already.
    Idle,
    /// The task was woken meanwhile: queue it again.
    Again,
}

/// Next step of the poller of a finished future.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Complete {
    /// Do not touch the task again: the output belongs to the handle, or the last waker frees the
    /// cell.
    Done,
    /// Wake the joiner with the waker in the slot, then [`State::finish`].
    WakeJoiner,
    /// The handle does not want the stored output: drop it, and complete again.
    DropOutput,
    /// No other thread can reach the cell: free it.
    Free,
}

/// Next step of a `JoinHandle` that is dropped.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DropHandle {
    /// Nothing: the handle's bit is cleared.
    Done,
    /// The slot belongs to the handle again: drop the waker in it, then call [`State::drop_handle`]
    /// again.
    DropWaker,
    /// The task has ended: drop the output, then call [`State::drop_handle_of_ended`].
    DropOutput,
}

impl State {
    pub(crate) fn new() -> Self {
        State(AtomicU64::new(INITIAL))
    }

    /// Returns the current state. It may be outdated at once.
    #[inline]
    pub(crate) fn load(&self) -> Snapshot {
        // Ordering: Acquire — pairs with the Release in `State::complete`: the output of a complete
        // task can be read.
        Snapshot(self.0.load(Ordering::Acquire))
    }

    /// Consumes a waker. Its reference becomes the `Runnable`, or is dropped.
    #[inline]
    pub(crate) fn wake_by_value(&self) -> Wake {
        self.update(|now| {
            if now.is_complete() {
                let next = now.0 - REF;
                (next, if Snapshot(next).is_unreachable() { Wake::Free } else { Wake::Nothing })
            } else {
                let (next, action) = now.woken();
                (next - REF, action)
            }
        })
    }

    /// Wakes by a waker that continues to exist.
    #[inline]
    pub(crate) fn wake_by_ref(&self) -> Wake {
        // Ordering: Relaxed — a wake of an ended task reads nothing and causes no poll.
        if Snapshot(self.0.load(Ordering::Relaxed)).is_complete() {
            return Wake::Nothing;
        }
        self.update(Snapshot::woken)
    }

    /// Requests that the task be dropped: a flag and an ordinary wake. The caller keeps its
    /// reference.
    pub(crate) fn cancel(&self) -> Wake {
        self.update(|now| {
            if now.is_complete() {
                return (now.0, Wake::Nothing);
            }
            let (next, action) = now.woken();
            (next | CANCELLED, action)
        })
    }

    /// Marks a task as linked that has not been queued yet.
    pub(super) fn mark_linked(&self, home: HomeNumber) {
        // Ordering: Relaxed — the `Runnable` carries it to the next reader.
        self.0.fetch_or(home.bits() as u64, Ordering::Relaxed);
    }

    /// Returns the number of the home in which the task is linked. A task that is or was idle is
    /// linked.
    #[inline]
    pub(super) fn home(&self) -> Option<HomeNumber> {
        // Ordering: Relaxed — the caller has acquired `State::suspend` or `State::mark_linked` with
        // the `Runnable`, and the number never changes after that.
        Snapshot(self.0.load(Ordering::Relaxed)).home()
    }

    /// Uses the `Runnable`. A plain load, unless the task was woken in its last poll or while it
    /// was queued.
    #[inline]
    pub(super) fn start(&self) -> Start {
        // Ordering: Relaxed — the queue orders the wake that made the `Runnable`, and the last
        // poll, before this. A wake that is not seen here has set WOKEN, and `State::suspend` sees
        // it.
        let mut now = Snapshot(self.0.load(Ordering::Relaxed));
        debug_assert!(now.is(WOKEN | ACTIVE) && !now.is(COMPLETE), "started twice: {now:?}");
        if now.is(WOKEN) {
            // If a task was woken just before `State::suspend`, it is without ACTIVE here.
            let missing = if now.is(ACTIVE) { 0 } else { ACTIVE };
            // Ordering: Acquire — pairs with the Release in `State::update` of every wake since the
            // last poll, which form one release sequence. Release — continues that sequence for the
            // wakes that follow.
            now = Snapshot(self.0.fetch_add(missing.wrapping_sub(WOKEN), Ordering::AcqRel));
        }
        let linked = now.home();
        if now.is(CANCELLED) { Start::Cancel { linked } } else { Start::Poll { linked } }
    }

    /// Returns true if the task that is being polled has been woken meanwhile. True is final: only
    /// its poller clears the bit.
    #[inline]
    pub(crate) fn is_woken(&self) -> bool {
        // Ordering: Relaxed — the next `State::start` acquires what the waker wrote.
        Snapshot(self.0.load(Ordering::Relaxed)).is(WOKEN)
    }

    /// Suspends a pending future: active → idle, or queued again if a wake has come in between.
    ///
    /// With `linking`, the task has just been linked in this home, for the first time.
    #[inline]
    pub(super) fn suspend(&self, linking: Option<HomeNumber>) -> Suspend {
        let linking = linking.map_or(0, |home| home.bits() as u64);
        // Ordering: Release — pairs with the Acquire in `State::update` of the wake that makes the
        // next `Runnable`: publishes the future's new state. Acquire — pairs with the Release in
        // `State::update` of a wake that was seen here: it comes before the queueing that follows.
        let was = Snapshot(self.0.fetch_add(linking.wrapping_sub(ACTIVE), Ordering::AcqRel));
        debug_assert!(was.is(ACTIVE) && !was.is(COMPLETE), "suspended while not active: {was:?}");
        if was.is(WOKEN) { Suspend::Again } else { Suspend::Idle }
    }

    /// Returns true if an output would be wanted now. False is final.
    #[inline]
    pub(crate) fn wants_output(&self) -> bool {
        // Ordering: Relaxed — the bit is only ever cleared, and `State::complete` checks it again.
        Snapshot(self.0.load(Ordering::Relaxed)).is(JOIN_INTEREST)
    }

    /// Ends a task whose future is gone: active → ended. With `stored`, the output is in the cell.
    #[inline]
    pub(crate) fn complete(&self, stored: bool) -> Complete {
        // Ordering: Acquire — pairs with the Release in `State::drop_ref` and in `State::update` of
        // the dropped handle. If no reference is left, everything done through one comes before the
        // free. No read-modify-write is needed to find that out, for no other thread is left to
        // race with.
        let mut now = Snapshot(self.0.load(Ordering::Acquire));
        loop {
            debug_assert!(now.is(ACTIVE) && !now.is(COMPLETE), "completed while not active: {now:?}");
            let (next, action) = match (now.is(JOIN_INTEREST), stored) {
                (false, true) => return Complete::DropOutput,
                (false, false) if now.refs() == 0 => return Complete::Free,
                (true, true) if now.is(JOIN_WAKER) => (now.0 | COMPLETE, Complete::WakeJoiner),
                _ => ((now.0 | COMPLETE) & !ACTIVE, Complete::Done),
            };
            // Ordering: Release — pairs with the Acquire in `State::load`: publishes the output to
            // the handle, and the end to the thread that frees. Acquire — pairs with the Release in
            // `State::update` of the registration: the joiner's waker can be read.
            match self.0.compare_exchange_weak(now.0, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return action,
                Err(other) => now = Snapshot(other),
            }
        }
    }

    /// Ends a task whose joiner has been woken: ending → ended. Returns true if the caller has to
    /// free the cell.
    #[inline]
    #[must_use]
    pub(crate) fn finish(&self) -> bool {
        // Ordering: Release — the read of the slot comes before the free. Acquire — if this thread
        // frees, the last use by each other thread comes before the free.
        Snapshot(self.0.fetch_sub(ACTIVE, Ordering::AcqRel) - ACTIVE).is_unreachable()
    }

    /// Counts one more waker or abort handle.
    #[inline]
    pub(crate) fn add_ref(&self) {
        // Ordering: Relaxed — a cloning thread holds a reference already, so the cell stays alive.
        if self.0.fetch_add(REF, Ordering::Relaxed) > MAX_REFS {
            std::process::abort();
        }
    }

    /// Counts one waker or abort handle less. Returns true if the caller has to free the cell.
    #[inline]
    #[must_use]
    pub(crate) fn drop_ref(&self) -> bool {
        // Ordering: Release — the last use by this thread comes before the free. Acquire — if this
        // thread frees, the last use by each other thread comes before the free.
        let was = self.0.fetch_sub(REF, Ordering::AcqRel);
        debug_assert!(Snapshot(was).refs() > 0, "one reference too many was dropped");
        Snapshot(was - REF).is_unreachable()
    }

    /// Gives the filled waker slot to the poller. If the task has ended, the slot stays with the
    /// handle, and the result is false.
    #[inline]
    #[must_use]
    pub(crate) fn register(&self) -> bool {
        self.update(|now| if now.is_complete() { (now.0, false) } else { (now.0 | JOIN_WAKER, true) })
    }

    /// Gives the waker slot back to the handle. If the task has ended, the slot stays with the
    /// poller, and the result is false.
    #[inline]
    #[must_use]
    pub(crate) fn unregister(&self) -> bool {
        self.update(|now| if now.is_complete() { (now.0, false) } else { (now.0 & !JOIN_WAKER, true) })
    }

    /// Drops the handle.
    #[inline]
    pub(crate) fn drop_handle(&self) -> DropHandle {
        self.update(|now| match now {
            _ if now.is_complete() => (now.0, DropHandle::DropOutput),
            _ if now.is(JOIN_WAKER) => (now.0 & !JOIN_WAKER, DropHandle::DropWaker),
            _ => (now.0 & !JOIN_INTEREST, DropHandle::Done),
        })
    }

    /// Drops the handle of an ended task, after its output. Returns true if the caller has to free
    /// the cell.
    #[inline]
    #[must_use]
    pub(crate) fn drop_handle_of_ended(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `State::finish` and `State::drop_ref`. If
        // no other reference is left, none can appear, so no read-modify-write is needed.
        let now = Snapshot(self.0.load(Ordering::Acquire));
        debug_assert!(now.is(COMPLETE) && now.is(JOIN_INTEREST));
        if Snapshot(now.0 & !JOIN_INTEREST).is_unreachable() {
            return true;
        }
        // Ordering: Release — the read of the output comes before the free. Acquire — if this
        // thread frees, the last use by each other thread comes before the free.
        Snapshot(self.0.fetch_sub(JOIN_INTEREST, Ordering::AcqRel) - JOIN_INTEREST).is_unreachable()
    }

    /// Changes the word to what `f` makes of it, and returns `f`'s second result.
    ///
    /// Always a read-modify-write, even if the value stays the same. That orders a merged wake
    /// before the poll.
    #[inline(always)]
    fn update<A>(&self, f: impl Fn(Snapshot) -> (u64, A)) -> A {
        // Ordering: Relaxed — the value is only a guess for the exchange.
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            let (next, action) = f(Snapshot(now));
            // Ordering: Release — pairs with the Acquire in `State::start` (a wake publishes what
            // it wrote) and in `State::complete` (a registration publishes the slot). Acquire —
            // pairs with the Release in `State::complete`: a handle or waker that finds COMPLETE
            // may read or free.
            match self.0.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return action,
                Err(other) => now = other,
            }
        }
    }
}

impl Drop for State {
    /// The cell is freed. In a model, this proves that the last use by each thread comes before.
    #[inline(always)]
    fn drop(&mut self) {
        assert_last_access(&mut self.0);
    }
}

impl Snapshot {
    #[inline]
    fn is(self, bits: u64) -> bool {
        self.0 & bits != 0
    }

    /// Returns the number of wakers and abort handles.
    #[inline]
    pub(crate) fn refs(self) -> u64 {
        self.0 / REF
    }

    /// Returns the word after a wake, and the waker's next step.
    #[inline]
    fn woken(self) -> (u64, Wake) {
        if self.is(WOKEN | ACTIVE | COMPLETE) {
            (self.0 | WOKEN, Wake::Nothing)
        } else {
            (self.0 | ACTIVE, Wake::Schedule)
        }
    }

    /// Returns the number of the home in which the task is linked.
    #[inline]
    fn home(self) -> Option<HomeNumber> {
        // The other bits are masked off.
        HomeNumber::from_bits((self.0 & HOME) as usize)
    }

    /// Returns true if the task has ended; its output, if it was wanted, can be read.
    #[inline]
    pub(crate) fn is_complete(self) -> bool {
        self.is(COMPLETE)
    }

    /// Returns true if the slot holds a waker of the joiner.
    #[inline]
    pub(crate) fn has_join_waker(self) -> bool {
        self.is(JOIN_WAKER)
    }

    /// Returns true if no reference of any kind is left.
    #[inline]
    fn is_unreachable(self) -> bool {
        self.is(COMPLETE) && !self.is(ACTIVE | JOIN_INTEREST) && self.refs() == 0
    }

    /// Returns the task's state for a dump.
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
            .field("home", &self.home())
            .field("refs", &self.refs())
            .finish()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load().fmt(f)
    }
}

#[cfg(all(test, unix, not(any(heist_loom, heist_count))))]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    /// Wakers that are leaked cannot make the count overflow: the process ends long before.
    #[test]
    fn reference_count_beyond_its_limit_aborts_the_process() {
        const NAME: &str = "raw_task::state::tests::reference_count_beyond_its_limit_aborts_the_process";
        const MARK: &str = "HEIST_TEST_ABORTS";
        if std::env::var_os(MARK).is_some() {
            let state = State(AtomicU64::new(INITIAL + MAX_REFS / REF * REF));
            state.add_ref();
            state.add_ref();
            std::process::exit(0);
        }
        let mut command = Command::new(std::env::current_exe().expect("this test"));
        let output = command.args([NAME, "--exact"]).env(MARK, "yes").output().expect("a child");
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
