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
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::timer::wheel::{Advance, Wheel};
use crate::util::wake_list::WakeList;

/// How many wheel entries are looked at under one hold of the lock.
const BATCH: usize = 64;

/// What is noted of a keeper or guardian that is awake, or to which a wake is on its way: nothing
/// is due before it.
const AWAKE: u64 = 0;

/// How a wheel reaches the thread that sleeps until its next timer.
pub(crate) trait SleeperWaker: Send + Sync {
    /// Ends the keeper's present sleep, or its next one if it is not asleep yet.
    fn wake(&self);

    /// The same for the guardian. Only the wheel of a seat ever has one.
    fn wake_backup(&self) {
        unreachable!("nobody guards this wheel")
    }
}

/// The timers of one seat, or of the shared wheel: a wheel, its lock, and what its keeper sleeps
/// to.
pub(crate) struct TimerWheel {
    clock: Clock,
    sleeper_waker: Arc<dyn SleeperWaker>,
    /// When to turn the wheel next; `u64::MAX` if there is no need. May be too early, since a
    /// cancel leaves it as it is. Written under the lock. Relaxed everywhere: it only says that a
    /// look is due, and whoever goes to sleep asks the wheel.
    next_due: AtomicU64,
    held: Mutex<WheelState>,
}

struct WheelState {
    wheel: Wheel,
    /// The time to which the keeper sleeps. Written by it, and by whoever wakes it.
    owner_until: u64,
    /// The time to which the guardian sleeps. Not the same: each may get up while the other sleeps
    /// on.
    backup_until: u64,
    closed: bool,
}

impl TimerWheel {
    pub(crate) fn new(clock: Clock, sleeper_waker: Arc<dyn SleeperWaker>) -> Self {
        let wheel = Wheel::new(clock.to_timer_time(clock.now()));
        let held = WheelState { wheel, owner_until: AWAKE, backup_until: AWAKE, closed: false };
        TimerWheel { clock, sleeper_waker, next_due: AtomicU64::new(u64::MAX), held: Mutex::new(held) }
    }

    /// The clock on which this wheel's times are counted.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// When to call [`turn`](Self::turn) next, without a lock; `u64::MAX` if there is no need. For
    /// a thread that is awake: whoever goes to sleep asks [`begin_sleep`](Self::begin_sleep).
    #[inline]
    pub(crate) fn next_due(&self) -> u64 {
        self.next_due.load(Ordering::Relaxed)
    }

    /// Fires what is due at `now`. The wakers are in `wakes`, and the caller wakes them. Returns
    /// the next deadline.
    pub(crate) fn turn(&self, now: u64, wakes: &mut WakeList) -> Option<u64> {
        loop {
            let mut held = self.held.lock();
            let done = held.fire(now, wakes);
            if done {
                return self.note_next(&held);
            }
        }
    }

    /// Whether no timer hangs here.
    #[cold]
    pub(crate) fn is_empty(&self) -> bool {
        self.held.lock().wheel.is_empty()
    }

    /// Called by the keeper on its way to sleep: the deadline to which it may sleep, which is
    /// written down, so that an earlier one wakes it. It has to sleep, or ask anew, before anything
    /// else eats the keeper's token.
    #[must_use]
    pub(crate) fn begin_sleep(&self) -> Option<u64> {
        let mut held = self.held.lock();
        let next = self.note_next(&held);
        held.owner_until = next.unwrap_or(u64::MAX);
        next
    }

    /// Called by the keeper when it is awake again, and before anybody else can become the keeper:
    /// else this would undo the successor's note, and an earlier timer would not wake it.
    pub(crate) fn end_sleep(&self) {
        self.held.lock().owner_until = AWAKE;
    }

    /// [`begin_sleep`](Self::begin_sleep) for a guardian: who sleeps to the deadlines of this wheel because its
    /// keeper may not be able to.
    #[must_use]
    pub(crate) fn begin_backup_sleep(&self) -> Option<u64> {
        let mut held = self.held.lock();
        let next = self.note_next(&held);
        held.backup_until = next.unwrap_or(u64::MAX);
        next
    }

    /// The guardian is awake again, or guards this wheel no longer.
    pub(crate) fn end_backup_sleep(&self) {
        self.held.lock().backup_until = AWAKE;
    }

    /// Refuses all arming from now on, and ends what is armed as closed. The caller wakes the
    /// wakers.
    pub(crate) fn close_wheel(&self, wakes: &mut WakeList) {
        self.held.lock().closed = true;
        loop {
            let mut held = self.held.lock();
            let done = held.close_entries(wakes);
            if done {
                self.note_next(&held);
                return;
            }
        }
    }

    fn note_next(&self, held: &WheelState) -> Option<u64> {
        let next = held.wheel.next_deadline();
        self.next_due.store(next.unwrap_or(u64::MAX), Ordering::Relaxed);
        next
    }

    /// Notes that a node with this deadline has come, releases the lock, and wakes whoever would
    /// oversleep.
    fn wake_if_earlier(&self, mut held: MutexGuard<'_, WheelState>, deadline: u64) {
        let due = wheel::due_at(deadline);
        if due < self.next_due.load(Ordering::Relaxed) {
            self.next_due.store(due, Ordering::Relaxed);
        }
        // One wake is enough: both ask anew before they sleep again.
        let sleeper_waker = oversleeps(&mut held.owner_until, due);
        let guardian = oversleeps(&mut held.backup_until, due);
        drop(held);
        if sleeper_waker {
            self.sleeper_waker.wake();
        }
        if guardian {
            self.sleeper_waker.wake_backup();
        }
    }

    /// Hangs an idle node up. `false` if the wheel is closed.
    ///
    /// # Safety
    ///
    /// `node` hangs nowhere; it stays where it is, and its owner keeps this wheel alive, until it
    /// is unfiled, or is seen as fired or closed.
    #[inline]
    unsafe fn insert(&self, node: &Node, deadline: u64) -> bool {
        let mut held = self.held.lock();
        if held.closed {
            return false;
        }
        node.set(State::Armed);
        // SAFETY: as the caller vouches.
        unsafe { held.wheel.insert(node.entry(), deadline) };
        self.wake_if_earlier(held, deadline);
        true
    }

    /// Takes a node out. `None` if it has fired or been closed meanwhile, which its state then
    /// tells; else the waker.
    ///
    /// # Safety
    ///
    /// `node` was filed here.
    #[inline]
    unsafe fn remove(&self, node: &Node) -> Option<Waker> {
        let mut held = self.held.lock();
        if !node.is_armed() {
            return None;
        }
        // SAFETY: it is armed, so it hangs here.
        unsafe { held.wheel.remove(node.entry()) };
        // SAFETY: we hold the lock, and it hangs no longer.
        let waker = unsafe { node.take_waker() };
        node.set(State::Idle);
        waker
    }

    /// Hangs a node elsewhere. `false` if it has fired or been closed meanwhile.
    ///
    /// # Safety
    ///
    /// `node` was filed here.
    unsafe fn reinsert(&self, node: &Node, deadline: u64) -> bool {
        let mut held = self.held.lock();
        if !node.is_armed() {
            return false;
        }
        // SAFETY: it is armed, so it hangs here.
        unsafe { held.wheel.remove(node.entry()) };
        // SAFETY: it hangs nowhere, and the promises made when it was filed still hold.
        unsafe { held.wheel.insert(node.entry(), deadline) };
        self.wake_if_earlier(held, deadline);
        true
    }

    /// Gives a node another waker. Returns the one that is not needed: the old one, or `waker`
    /// itself if the node has fired or been closed meanwhile.
    ///
    /// # Safety
    ///
    /// `node` was filed here.
    unsafe fn replace_waker(&self, node: &Node, waker: Waker) -> Option<Waker> {
        let _held = self.held.lock();
        if !node.is_armed() {
            return Some(waker);
        }
        // SAFETY: we hold the lock of the wheel on which it hangs.
        unsafe { node.replace_waker(waker) }
    }
}

/// Whether somebody who sleeps to that time has to be woken for what is `due`, and so counts as
/// awake.
#[inline]
fn oversleeps(until: &mut u64, due: u64) -> bool {
    let oversleeps = due < *until;
    if oversleeps {
        *until = AWAKE;
    }
    oversleeps
}

impl WheelState {
    /// Looks at one batch. Whether there is nothing more to do.
    fn fire(&mut self, now: u64, wakes: &mut WakeList) -> bool {
        for _ in 0..BATCH {
            match self.wheel.step(now) {
                // SAFETY: it is out of the wheel, and its owner has not been told.
                Advance::Due(entry) => unsafe { Node::finish_node(entry, State::Fired, wakes) },
                Advance::Moved => {}
                Advance::Done => return true,
            }
        }
        false
    }

    /// As `fire`, for a wheel that is closed.
    fn close_entries(&mut self, wakes: &mut WakeList) -> bool {
        for _ in 0..BATCH {
            let Some(entry) = self.wheel.pop_any() else { return true };
            // SAFETY: it is out of the wheel, and its owner has not been told.
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
