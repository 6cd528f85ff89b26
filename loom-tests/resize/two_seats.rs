//! What the models of leaving and coming take place in.

use std::time::Instant;

use super::super::support::parcels;
use crate::idle::{Idle, Withdrawn};
use crate::park::{Drive, Parker, Unpark};
use crate::queue::{Chain, LifoSlot, Ring};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Arc, Condvar, Mutex};
use crate::worker_set::retire::{HandOff, hand_off};
use crate::worker_set::seat_state::SeatState;

/// Two seats, a queue of which only the length matters, and a reactor that consists of its pending
/// events.
///
/// Seat 0 is the one that is left: a submitter wakes the lowest, so it is the leaver that gets the
/// wake-ups.
pub(super) struct House {
    pub(super) idle: Idle,
    pub(super) parkers: [Parker; 2],
    pub(super) word: SeatState,
    pub(super) queued: AtomicUsize,
    pub(super) driver: Mutex<()>,
    pub(super) pending: Mutex<usize>,
    pub(super) come: Condvar,
    /// The piece of work, or the event, has found somebody.
    pub(super) done: AtomicBool,
}

pub(super) const LEAVER: usize = 0;
pub(super) const STAYER: usize = 1;

impl House {
    pub(super) fn new() -> Arc<House> {
        let house = House {
            idle: Idle::new(2),
            parkers: [Parker::new(), Parker::new()],
            word: SeatState::new(),
            queued: AtomicUsize::new(0),
            driver: Mutex::new(()),
            pending: Mutex::new(0),
            come: Condvar::new(),
            done: AtomicBool::new(false),
        };
        let _ = house.word.claim_seat();
        house.word.activate();
        Arc::new(house)
    }

    pub(super) fn submit(&self) {
        // Ordering: Relaxed — as `GlobalQueue`.
        self.queued.fetch_add(1, Ordering::Relaxed);
        self.notify();
    }

    pub(super) fn notify(&self) {
        if let Some(seat) = self.idle.claim_sleeper() {
            self.unpark(seat);
        }
    }

    pub(super) fn unpark(&self, seat: usize) {
        if self.parkers[seat].unpark() == Unpark::Interrupt {
            self.post(0);
        }
    }

    /// What a resize does.
    pub(super) fn ask(&self) {
        self.word.request_retire();
        self.unpark(LEAVER);
    }

    /// An event, or an interrupt, that counts for `worth`.
    pub(super) fn post(&self, worth: usize) {
        *self.pending.lock() += worth + INTERRUPT;
        self.come.notify_one();
    }

    pub(super) fn sees_work(&self) -> bool {
        // Ordering: Relaxed — as `GlobalQueue::len`.
        self.queued.load(Ordering::Relaxed) > 0
    }

    pub(super) fn take(&self) -> bool {
        self.sees_work() && self.queued.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1)).is_ok()
    }

    pub(super) fn finish(&self) {
        self.done.store(true, Ordering::Release);
        self.unpark(STAYER);
    }

    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Leaves, with `left` tasks in the ring.
    pub(super) fn vacate(&self, left: usize) {
        let (owner, _) = Ring::new_pair();
        parcels(left).into_iter().for_each(|task| assert!(owner.push(task).is_ok()));
        self.word.deactivate();
        hand_off(&LifoSlot::new(), &owner, self);
        assert!(self.word.try_vacate(), "nobody wants it back");
    }

    /// The loop of a worker that has nothing, until the work is done, or until it has to leave.
    pub(super) fn work(&self, seat: usize, mut searching: bool) {
        loop {
            if self.is_done() {
                break;
            }
            if seat == LEAVER && !self.word.is_wanted() {
                if searching {
                    let _ = self.idle.end_search();
                }
                return self.vacate(0);
            }
            if self.take() {
                self.finish();
                break;
            }
            self.idle.announce(seat, searching);
            searching = self.rise(seat);
        }
        if searching {
            let _ = self.idle.end_search();
        }
    }

    /// From the announcement on. Whether it is a searcher then.
    pub(super) fn rise(&self, seat: usize) -> bool {
        let work = self.sees_work();
        if !work {
            self.rest(seat);
        }
        self.idle.withdraw(seat, work) == Withdrawn::Searching
    }

    /// In the reactor if nobody else is there, else on the parker.
    pub(super) fn rest(&self, seat: usize) {
        let Some(driver) = self.driver.try_lock() else { return self.parkers[seat].park(None) };
        let mut turn = Turn { house: self, brought: 0 };
        self.parkers[seat].park_in(&mut turn, None);
        let brought = turn.brought;
        drop(driver);
        if brought > 0 {
            self.finish();
        }
    }
}

impl HandOff for House {
    fn take_tasks(&self, tasks: Chain) {
        // Ordering: Relaxed — as `GlobalQueue`.
        self.queued.fetch_add(tasks.len(), Ordering::Relaxed);
    }

    fn take_wheel(&self) {}

    fn notify(&self) {
        House::notify(self);
    }
}

/// What an interrupt counts for: nothing, but it ends the wait.
pub(super) const INTERRUPT: usize = 1 << 8;

pub(super) struct Turn<'a> {
    house: &'a House,
    brought: usize,
}

impl Drive for Turn<'_> {
    fn sleep(&mut self, _: Option<Instant>) {
        let mut pending = self.house.pending.lock();
        while *pending == 0 {
            self.house.come.wait(&mut pending);
        }
        self.brought += std::mem::take(&mut *pending) % INTERRUPT;
    }
}
