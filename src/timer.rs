#![doc = include_str!("../docs/timers.md")]

mod node;
pub(crate) mod orphan_wheels;
pub(crate) mod wheel;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::task::Waker;

use node::Node;
pub(crate) use node::{State, Timer};

use crate::clock::Clock;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::{Arc, Mutex, MutexGuard};
use crate::timer::wheel::{Advance, Wheel};
use crate::util::wake_list::WakeList;

/// The most steps that a wheel takes under one hold of its lock.
const BATCH: usize = 64;

/// The value of `owner_until` and `backup_until` for a thread that is awake, or has been woken. No
/// timer is due before it.
const AWAKE: u64 = 0;

/// Wakes the thread that sleeps until the next timer of a wheel.
pub(crate) trait SleeperWaker: Send + Sync {
    /// Ends the present sleep of the wheel's owner, or its next sleep if it is not asleep yet.
    fn wake(&self);

    /// Does the same for the backup sleeper. Only the wheel of a seat ever has one.
    fn wake_backup(&self) {
        unreachable!("the shared wheel has no backup sleeper")
    }
}

/// The timers of one seat, or of the threads without a seat: a wheel, its lock, and the times until
/// which its sleepers sleep.
pub(crate) struct TimerWheel {
    clock: Clock,
    sleeper_waker: Arc<dyn SleeperWaker>,
    /// When to fire timers next; `u64::MAX` if there are none. May be too early, since a cancel
    /// leaves it as it is. Written under the lock.
    ///
    /// Relaxed everywhere: the value is a hint to a thread that is awake. A thread that goes to
    /// sleep reads the wheel under the lock.
    next_due: AtomicU64,
    state: Mutex<WheelState>,
}

struct WheelState {
    wheel: Wheel,
    /// The time until which the wheel's owner sleeps. Written by the owner, and by the thread that
    /// wakes it.
    owner_until: u64,
    /// The time until which the backup sleeper sleeps. A field of its own, because one of the two
    /// may wake while the other sleeps on.
    backup_until: u64,
    closed: bool,
}

impl TimerWheel {
    pub(crate) fn new(clock: Clock, sleeper_waker: Arc<dyn SleeperWaker>) -> Self {
        let wheel = Wheel::new(clock.to_timer_time(clock.now()));
        let state = WheelState { wheel, owner_until: AWAKE, backup_until: AWAKE, closed: false };
        TimerWheel { clock, sleeper_waker, next_due: AtomicU64::new(u64::MAX), state: Mutex::new(state) }
    }

    /// Returns the clock on which this wheel's times are counted.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns when to call [`fire_due`](Self::fire_due) next, without a lock; `u64::MAX` if there
    /// is no need.
    ///
    /// For a thread that is awake. A thread that goes to sleep calls
    /// [`begin_sleep`](Self::begin_sleep) instead.
    #[inline]
    pub(crate) fn next_due(&self) -> u64 {
        // Ordering: Relaxed — a hint; see `TimerWheel::next_due`.
        self.next_due.load(Ordering::Relaxed)
    }

    /// Fires every timer that is due at `now`, and moves their wakers to `wakes`, for the caller to
    /// wake. Returns the next deadline.
    pub(crate) fn fire_due(&self, now: u64, wakes: &mut WakeList) -> Option<u64> {
        loop {
            let mut state = self.state.lock();
            let done = state.fire_batch(now, wakes);
            if done {
                return self.update_next_due(&state);
            }
        }
    }

    /// Returns true if no timer is armed here.
    #[cold]
    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().wheel.is_empty()
    }

    /// Returns the deadline until which the wheel's owner may sleep, and stores it, so that an
    /// earlier timer wakes the owner.
    ///
    /// The owner has to sleep, or call this again, before anything else consumes its wake-up token.
    #[must_use]
    pub(crate) fn begin_sleep(&self) -> Option<u64> {
        let mut state = self.state.lock();
        let next = self.update_next_due(&state);
        state.owner_until = next.unwrap_or(u64::MAX);
        next
    }

    /// Stores that the wheel's owner is awake again.
    ///
    /// Called before another thread can become the owner. Later, it would overwrite the
    /// successor's deadline, and an earlier timer would not wake the successor.
    pub(crate) fn end_sleep(&self) {
        self.state.lock().owner_until = AWAKE;
    }

    /// Does what [`begin_sleep`](Self::begin_sleep) does, for the backup sleeper. That thread also
    /// sleeps until the deadlines of this wheel, because the wheel's owner may not be able to.
    #[must_use]
    pub(crate) fn begin_backup_sleep(&self) -> Option<u64> {
        let mut state = self.state.lock();
        let next = self.update_next_due(&state);
        state.backup_until = next.unwrap_or(u64::MAX);
        next
    }

    /// Stores that the backup sleeper is awake again, or does not serve this wheel any more.
    pub(crate) fn end_backup_sleep(&self) {
        self.state.lock().backup_until = AWAKE;
    }

    /// Closes the wheel: armed timers become closed, and no timer can be armed from now on. Moves
    /// the wakers to `wakes`, for the caller to wake.
    pub(crate) fn close_wheel(&self, wakes: &mut WakeList) {
        self.state.lock().closed = true;
        loop {
            let mut state = self.state.lock();
            let done = state.close_batch(wakes);
            if done {
                self.update_next_due(&state);
                return;
            }
        }
    }

    fn update_next_due(&self, state: &WheelState) -> Option<u64> {
        let next = state.wheel.next_deadline();
        // Ordering: Relaxed — a hint; see `TimerWheel::next_due`.
        self.next_due.store(next.unwrap_or(u64::MAX), Ordering::Relaxed);
        next
    }

    /// Lowers `next_due` for a node that was added with this deadline, releases the lock, and wakes
    /// each sleeper that would sleep past it.
    fn wake_if_earlier(&self, mut state: MutexGuard<'_, WheelState>, deadline: u64) {
        let due = wheel::due_at(deadline);
        // Ordering: Relaxed — a hint; see `TimerWheel::next_due`. The lock orders the writers.
        if due < self.next_due.load(Ordering::Relaxed) {
            self.next_due.store(due, Ordering::Relaxed);
        }
        // One wake is enough: a woken sleeper reads the next deadline again before it sleeps again.
        let wakes_owner = mark_awake_if_late(&mut state.owner_until, due);
        let wakes_backup = mark_awake_if_late(&mut state.backup_until, due);
        drop(state);
        if wakes_owner {
            self.sleeper_waker.wake();
        }
        if wakes_backup {
            self.sleeper_waker.wake_backup();
        }
    }

    /// Adds an idle node, which becomes armed. Returns false if the wheel is closed.
    ///
    /// # Safety
    ///
    /// `node` is on no wheel. Until it is removed, or is seen as fired or closed, it is not moved
    /// or freed, and its owner keeps this wheel alive.
    #[inline]
    unsafe fn insert(&self, node: &Node, deadline: u64) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        node.set_state(State::Armed);
        // SAFETY: the caller guarantees it: the node is on no wheel, and stays live and in place.
        unsafe { state.wheel.insert(node.entry(), deadline) };
        self.wake_if_earlier(state, deadline);
        true
    }

    /// Removes a node and returns its waker. Returns `None` if it has fired or been closed
    /// meanwhile; its state tells which.
    ///
    /// # Safety
    ///
    /// `node` was inserted into this wheel.
    #[inline]
    unsafe fn remove(&self, node: &Node) -> Option<Waker> {
        let mut state = self.state.lock();
        if !node.is_armed() {
            return None;
        }
        // SAFETY: the node is armed, so it is on this wheel.
        unsafe { state.wheel.remove(node.entry()) };
        // SAFETY: the node is armed, and the wheel's lock is held.
        let waker = unsafe { node.take_waker() };
        node.set_state(State::Idle);
        waker
    }

    /// Moves a node to another deadline. Returns false if it has fired or been closed meanwhile.
    ///
    /// # Safety
    ///
    /// `node` was inserted into this wheel.
    unsafe fn reinsert(&self, node: &Node, deadline: u64) -> bool {
        let mut state = self.state.lock();
        if !node.is_armed() {
            return false;
        }
        // SAFETY: the node is armed, so it is on this wheel.
        unsafe { state.wheel.remove(node.entry()) };
        // SAFETY: the node is on no wheel, and the guarantees of its first insertion still hold.
        unsafe { state.wheel.insert(node.entry(), deadline) };
        self.wake_if_earlier(state, deadline);
        true
    }

    /// Gives a node another waker. Returns the waker that is not needed: the old one, or `waker`
    /// itself if the node has fired or been closed meanwhile.
    ///
    /// # Safety
    ///
    /// `node` was inserted into this wheel.
    unsafe fn replace_waker(&self, node: &Node, waker: Waker) -> Option<Waker> {
        let _state = self.state.lock();
        if !node.is_armed() {
            return Some(waker);
        }
        // SAFETY: the node is armed, and the lock of its wheel is held.
        unsafe { node.replace_waker(waker) }
    }
}

/// Returns true if a thread that sleeps until `until` would sleep past `due`. It then counts as
/// awake, and the caller has to wake it.
#[inline]
fn mark_awake_if_late(until: &mut u64, due: u64) -> bool {
    let is_late = due < *until;
    if is_late {
        *until = AWAKE;
    }
    is_late
}

impl WheelState {
    /// Takes at most [`BATCH`] steps towards `now`. Returns true if nothing more is due.
    fn fire_batch(&mut self, now: u64, wakes: &mut WakeList) -> bool {
        for _ in 0..BATCH {
            match self.wheel.step(now) {
                // SAFETY: the node is off the wheel and still armed, and the lock is held.
                Advance::Due(entry) => unsafe { Node::finish_node(entry, State::Fired, wakes) },
                Advance::Moved => {}
                Advance::Done => return true,
            }
        }
        false
    }

    /// Removes at most [`BATCH`] nodes as closed. Returns true if the wheel is empty.
    fn close_batch(&mut self, wakes: &mut WakeList) -> bool {
        for _ in 0..BATCH {
            let Some(entry) = self.wheel.pop_any() else { return true };
            // SAFETY: the node is off the wheel and still armed, and the lock is held.
            unsafe { Node::finish_node(entry, State::Closed, wakes) };
        }
        false
    }
}

impl fmt::Debug for TimerWheel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerWheel").field("next_due", &self.next_due()).finish_non_exhaustive()
    }
}
