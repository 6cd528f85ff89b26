//! The pool of the models: two seats and a reactor.

use std::time::Instant;

use super::super::support::parcels;
use crate::idle::{Idle, Withdrawn};
use crate::park::{Drive, Parker, Unpark};
use crate::primitive::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::primitive::{Arc, Condvar, Mutex};
use crate::queue::{Chain, LifoSlot, Ring};
use crate::worker_set::seat_state::SeatState;
use crate::worker_set::threads::{HandOff, hand_off};

/// Two seats, a queue that is only a length, and a reactor that is only its pending events.
///
/// The worker of seat 0 retires. A submitter wakes the lowest seat, so the retiring worker gets the
/// wake-ups.
pub(super) struct TwoSeats {
    pub(super) idle: Idle,
    pub(super) parkers: [Parker; 2],
    pub(super) state: SeatState,
    pub(super) queued: AtomicUsize,
    pub(super) driver: Mutex<()>,
    pub(super) pending: Mutex<usize>,
    pub(super) posted: Condvar,
    /// Set once the task was taken, or the event was returned.
    pub(super) done: AtomicBool,
}

pub(super) const RETIRING: usize = 0;
pub(super) const STAYING: usize = 1;

impl TwoSeats {
    pub(super) fn new() -> Arc<TwoSeats> {
        let pool = TwoSeats {
            idle: Idle::new(2),
            parkers: [Parker::new(), Parker::new()],
            state: SeatState::new(),
            queued: AtomicUsize::new(0),
            driver: Mutex::new(()),
            pending: Mutex::new(0),
            posted: Condvar::new(),
            done: AtomicBool::new(false),
        };
        let _ = pool.state.claim_seat();
        pool.state.activate();
        Arc::new(pool)
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

    /// Does what a resize does to the seat.
    pub(super) fn retire(&self) {
        self.state.request_retire();
        self.unpark(RETIRING);
    }

    /// Does what the watchdog does to the seat of a surplus worker.
    pub(super) fn ask_to_rest(&self) {
        assert!(self.state.set_surplus(), "it was asked before");
        self.unpark(RETIRING);
    }

    /// Lets the worker of that seat work again.
    pub(super) fn end_rest(&self) {
        assert!(self.state.clear_surplus(), "it was not asked to rest");
        self.unpark(RETIRING);
    }

    /// Posts an interrupt and so many events.
    pub(super) fn post(&self, events: usize) {
        *self.pending.lock() += events + INTERRUPT;
        self.posted.notify_one();
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
        self.unpark(STAYING);
    }

    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Retires, with so many tasks in the ring.
    pub(super) fn vacate(&self, tasks: usize) {
        let (owner, _) = Ring::new_pair();
        parcels(tasks).into_iter().for_each(|task| assert!(owner.push(task).is_ok()));
        self.state.deactivate();
        hand_off(&LifoSlot::new(), &owner, self);
        assert!(self.state.try_vacate(), "the seat is not wanted again");
    }

    /// Rests until the worker may work again, with so many tasks in the ring before.
    pub(super) fn rest(&self, tasks: usize) {
        let (owner, _) = Ring::new_pair();
        parcels(tasks).into_iter().for_each(|task| assert!(owner.push(task).is_ok()));
        self.state.deactivate();
        hand_off(&LifoSlot::new(), &owner, self);
        while self.state.has_to_rest() {
            self.parkers[RETIRING].park(None);
        }
        self.state.activate();
    }

    /// The loop of a worker without tasks, until the task is taken, or until it has to retire.
    pub(super) fn run_worker(&self, seat: usize, mut searching: bool) {
        loop {
            if self.is_done() {
                break;
            }
            if seat == RETIRING && !self.state.may_work() {
                if std::mem::take(&mut searching) {
                    let _ = self.idle.end_search();
                }
                if !self.state.is_wanted() {
                    return self.vacate(0);
                }
                self.rest(0);
                continue;
            }
            if self.take() {
                self.finish();
                break;
            }
            self.idle.announce(seat, searching);
            searching = self.sleep_after_announce(seat);
        }
        if searching {
            let _ = self.idle.end_search();
        }
    }

    /// Makes the final check, sleeps if it finds nothing, and withdraws the announcement. Returns
    /// true if the worker is a searcher afterwards.
    pub(super) fn sleep_after_announce(&self, seat: usize) -> bool {
        let run_worker = self.sees_work();
        if !run_worker {
            self.park_worker(seat);
        }
        self.idle.withdraw(seat, run_worker) == Withdrawn::Searching
    }

    /// Parks in the reactor if its driver is free, else on the parker.
    pub(super) fn park_worker(&self, seat: usize) {
        let Some(driver) = self.driver.try_lock() else { return self.parkers[seat].park(None) };
        let mut driver_park = DriverPark { pool: self, events: 0 };
        self.parkers[seat].park_in(&mut driver_park, None);
        let events = driver_park.events;
        drop(driver);
        if events > 0 {
            self.finish();
        }
    }
}

impl HandOff for TwoSeats {
    fn take_tasks(&self, tasks: Chain) {
        // Ordering: Relaxed — as `GlobalQueue`.
        self.queued.fetch_add(tasks.len(), Ordering::Relaxed);
    }

    fn take_wheel(&self) {}

    fn notify(&self) {
        TwoSeats::notify(self);
    }
}

/// An interrupt: no event, but it ends the wait.
pub(super) const INTERRUPT: usize = 1 << 8;

pub(super) struct DriverPark<'a> {
    pool: &'a TwoSeats,
    events: usize,
}

impl Drive for DriverPark<'_> {
    fn sleep(&mut self, _: Option<Instant>) {
        let mut pending = self.pool.pending.lock();
        while *pending == 0 {
            self.pool.posted.wait(&mut pending);
        }
        self.events += std::mem::take(&mut *pending) % INTERRUPT;
    }
}
