//! How a worker sleeps.

use std::time::Instant;

use crate::park::Drive;
use crate::reactor::DriverGuard;
use crate::scheduler::worker::{Worker, log_poll_error};
use crate::sync::thread;
use crate::util::wake_list::WakeList;

/// A spinning worker that has been off its processor for longer than this, in nanoseconds, goes to
/// sleep: others need it more.
const GIVE_WAY: u64 = 20_000;

impl Worker<'_> {
    /// Sleeps: in the reactor if nobody else does, else on the parker. Follows the last look at
    /// once.
    pub(crate) fn rest(&self) {
        self.count_rest();
        let mut wakes = self.local.borrow_wakes();
        // If others had to take it over: from here on it is ours again.
        self.pool.orphan_wheels.remove(self.seat.index);
        let looked = match self.pool.reactor.try_drive() {
            Some(turn) => self.rest_in_reactor(turn, &mut wakes),
            None => {
                self.seat.parker.park(self.pool.clock.real_deadline(self.seat.wheel.begin_sleep()));
                false
            }
        };
        self.count_rise();
        self.seat.wheel.end_sleep();
        self.leave_idle(false);
        let now = self.pool.clock.now();
        self.local.slept_until(now);
        if looked {
            self.local.spin.update_window(now.saturating_sub(self.looked.get()));
            self.local.saw_reactor(now);
            self.begin_interval(now);
        }
        self.turn_wheels(now, &mut wakes);
        self.wake_batch(wakes);
    }

    /// Sleeps in the reactor, as the keeper of the shared wheel too. False if an unpark had come
    /// before, so that the reactor was not even looked at.
    fn rest_in_reactor(&self, turn: DriverGuard<'_>, wakes: &mut WakeList) -> bool {
        let mut rest = RestIn { turn, wakes, looked: false };
        if self.pool.clock.is_paused() {
            self.rest_paused(&mut rest);
        } else if !self.spin(&mut rest) {
            let until = self.begin_sleep();
            self.seat.parker.park_in(&mut rest, self.pool.clock.real_deadline(until));
        }
        // Before the shard driver is free: a successor notes his own deadline there.
        self.pool.shared_wheel.end_sleep();
        self.pool.orphan_wheels.end_sleep();
        rest.looked
    }

    /// Notes the deadlines of all wheels that are kept from the reactor, and answers the earliest
    /// one.
    pub(super) fn begin_sleep(&self) -> Option<u64> {
        earlier(
            earlier(self.seat.wheel.begin_sleep(), self.pool.shared_wheel.begin_sleep()),
            self.pool.orphan_wheels.begin_sleep(),
        )
    }

    /// Looks for events for a while, in place of sleeping. True if there were any.
    ///
    /// The worker has announced its sleep and taken the last look; to everybody else it sleeps
    /// already. Whoever wakes it finds its parker awake, and need not ask the operating system.
    ///
    /// A look may swallow the interrupt that says that there is an earlier timer: the deadlines are
    /// noted after the last look.
    fn spin(&self, rest: &mut RestIn<'_>) -> bool {
        let window = self.local.spin.window();
        if window == 0 {
            return false;
        }
        let mut now = self.pool.clock.now();
        let end = now.saturating_add(window);
        // Nobody has to tell the keeper of a deadline while it is awake; so it looks for itself.
        while now < end && self.pool.clock.to_timer_time(now) < self.first_due() && !self.seat.parker.is_notified() {
            rest.looked = true;
            match rest.turn.poll_busy(rest.wakes) {
                Ok(0) => thread::yield_now(),
                Ok(_) => return true,
                Err(_) => return false,
            }
            let last = std::mem::replace(&mut now, self.pool.clock.now());
            if now.saturating_sub(last) > GIVE_WAY {
                self.local.spin.back_off();
                return false;
            }
        }
        false
    }

    /// Sleeps until something happens. If nothing can happen by itself but a timer, which would
    /// never be due, time leaps to the first one instead.
    #[cold]
    pub(super) fn rest_paused(&self, rest: &mut RestIn<'_>) {
        let clock = &self.pool.clock;
        let until = self.begin_sleep();
        // First: a job wakes who waits for it, and lets go of the time after that. With the leap at
        // hand we see the wake.
        let permit = clock.permit_advance(until);
        let get_up = if permit.is_some() { Some(Instant::now()) } else { clock.real_deadline(until) };
        let woken = self.seat.parker.park_in(rest, get_up);
        if let Some(permit) = permit.filter(|_| !woken && rest.wakes.is_empty()) {
            clock.advance_by_permit(permit);
        }
    }

    /// When the first timer is due that this worker keeps, or earlier.
    fn first_due(&self) -> u64 {
        self.seat.wheel.next_due().min(self.pool.shared_wheel.next_due()).min(self.pool.orphan_wheels.next_due())
    }
}

/// The reactor, as a parker sees it.
pub(super) struct RestIn<'a> {
    pub(super) turn: DriverGuard<'a>,
    pub(super) wakes: &'a mut WakeList,
    /// Whether the reactor was looked at.
    pub(super) looked: bool,
}

impl Drive for RestIn<'_> {
    fn sleep(&mut self, deadline: Option<Instant>) {
        self.looked = true;
        log_poll_error(self.turn.rest(deadline, self.wakes));
    }
}

fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
