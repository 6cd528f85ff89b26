//! How a worker sleeps: in the reactor, or on its parker.

use std::time::{Duration, Instant};

use crate::park::Drive;
use crate::primitive::atomic::Ordering;
use crate::primitive::{Condvar, Mutex, preemption_point, real_now, thread};
use crate::reactor::DriverGuard;
use crate::recorder::record::{Kind, Record};
use crate::scheduler::checkpoint::log_poll_error;
use crate::scheduler::worker::Worker;
use crate::util::wake_list::WakeList;
use crate::watchdog::may_sleep;

/// A spinning worker goes to sleep if it was off its processor for longer than this, in
/// nanoseconds. Other threads need the processor.
const MAX_OFF_CPU: u64 = 20_000;

/// How long a worker sleeps after a poll of the reactor that has failed.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

impl Worker<'_> {
    /// Sleeps: in the reactor, if no other thread drives it, else on the parker. Must follow the
    /// final check at once.
    pub(crate) fn park(&self) {
        preemption_point();
        self.count_park();
        self.seated().record(|at| Record::new(Kind::Park, at, 0));
        let mut wakes = self.local.borrow_wakes();
        // If the wheel was treated as an orphan wheel, this worker owns it again from here on.
        self.pool.orphan_wheels.remove(self.seat.index);
        let polled = match self.pool.reactor.try_drive() {
            Some(driver) => self.park_in_reactor(driver, &mut wakes),
            None => {
                self.put_watchdog_to_sleep();
                self.seat.parker.park(self.pool.clock.real_deadline(self.seat.wheel.begin_sleep()));
                false
            }
        };
        self.count_unpark();
        self.record_unpark(polled, wakes.len());
        self.seat.wheel.end_sleep();
        self.leave_idle(false);
        let now = self.pool.clock.now();
        self.local.slept_until(now);
        if polled {
            self.local.spin.update_window(now.saturating_sub(self.checked_at.get()), now);
            self.local.record_reactor_poll(now);
            self.begin_interval(now);
        }
        self.turn_wheels(now, &mut wakes);
        self.wake_batch(wakes);
        if polled {
            self.local.begin_reactor_round();
            self.observe_tick();
        }
    }

    /// Puts the watchdog to sleep, if this worker is the last one that goes to sleep and the load
    /// is light.
    fn put_watchdog_to_sleep(&self) {
        if let Some(watchdog_sleep) = &self.pool.watchdog_sleep {
            watchdog_sleep.sleep_if_granted(&self.pool.idle, || may_sleep(self.pool));
        }
    }

    /// Marks the present tick as observed, because a sleep with a reactor poll has done what a
    /// checkpoint does. If the phase or the seat state asks for more, the tick stays new.
    fn observe_tick(&self) {
        // Ordering: Acquire — pairs with the Release in `ThreadHost::wake_seats` and
        // `Pool::wake_all_workers`: what they ask for is seen below, or advances the tick later.
        let tick = self.pool.tick.load(Ordering::Acquire);
        if self.pool.phase.is_running() && self.pool.worker_set.may_work(self.seat.index) {
            self.local.tick.set(tick);
            self.refresh_recording();
        }
    }

    /// Sleeps in the reactor, also on behalf of the shared wheel and the orphan wheels. Returns
    /// false if the reactor was not polled, because there was an unpark already.
    fn park_in_reactor(&self, driver: DriverGuard<'_>, wakes: &mut WakeList) -> bool {
        let mut sleep = ReactorSleep { driver, wakes, polled: false };
        if self.pool.clock.is_paused() {
            self.park_paused(&mut sleep);
        } else if !self.spin_for_events(&mut sleep) {
            self.put_watchdog_to_sleep();
            let until = self.begin_sleep();
            self.seat.parker.park_in(&mut sleep, self.pool.clock.real_deadline(until));
        }
        // Before the shard driver is free: the next driver records its own deadline there.
        self.pool.shared_wheel.end_sleep();
        self.pool.orphan_wheels.end_sleep();
        sleep.polled
    }

    /// Records in each wheel that this worker sleeps for it, and returns the earliest deadline.
    pub(super) fn begin_sleep(&self) -> Option<u64> {
        earlier(
            earlier(self.seat.wheel.begin_sleep(), self.pool.shared_wheel.begin_sleep()),
            self.pool.orphan_wheels.begin_sleep(),
        )
    }

    /// Polls for events for a while, before a sleep. Returns true if there were any.
    ///
    /// The worker has announced its sleep and made the final check, so other threads treat it as a
    /// sleeper. A thread that wakes it finds the parker awake, and needs no system call.
    ///
    /// A poll may consume the interrupt for an earlier timer. So the deadlines are recorded after
    /// the last poll.
    fn spin_for_events(&self, sleep: &mut ReactorSleep<'_>) -> bool {
        let window = self.local.spin.window();
        if window == 0 {
            return false;
        }
        let mut now = self.pool.clock.now();
        let end = now.saturating_add(window);
        // While it is awake, other threads do not notify it of deadlines, so it checks for itself.
        while now < end && self.pool.clock.to_timer_time(now) < self.first_due() && !self.seat.parker.is_notified() {
            sleep.polled = true;
            match sleep.driver.poll_busy(sleep.wakes) {
                Ok(0) => thread::yield_now(),
                Ok(_) => return true,
                Err(_) => return false,
            }
            let last = std::mem::replace(&mut now, self.pool.clock.now());
            if now.saturating_sub(last) > MAX_OFF_CPU {
                self.local.spin.back_off(now);
                return false;
            }
        }
        false
    }

    /// Sleeps while time is paused. If only a timer could end the sleep, time advances to the first
    /// timer instead.
    #[cold]
    pub(super) fn park_paused(&self, sleep: &mut ReactorSleep<'_>) {
        let clock = &self.pool.clock;
        let until = self.begin_sleep();
        // The permit comes first. A job wakes its waiter before it allows an advance. So a worker
        // that gets the permit sees that wake.
        let permit = clock.permit_advance(until);
        let deadline = if permit.is_some() { Some(real_now()) } else { clock.real_deadline(until) };
        let woken = self.seat.parker.park_in(sleep, deadline);
        if let Some(permit) = permit.filter(|_| !woken && sleep.wakes.is_empty()) {
            clock.advance_by_permit(permit);
        }
    }

    /// Returns when the first timer is due for which this worker sleeps, or an earlier time.
    fn first_due(&self) -> u64 {
        self.seat.wheel.next_due().min(self.pool.shared_wheel.next_due()).min(self.pool.orphan_wheels.next_due())
    }
}

/// A sleep in the reactor, as the parker drives it.
pub(super) struct ReactorSleep<'a> {
    pub(super) driver: DriverGuard<'a>,
    pub(super) wakes: &'a mut WakeList,
    /// The reactor was polled.
    pub(super) polled: bool,
}

impl Drive for ReactorSleep<'_> {
    fn sleep(&mut self, deadline: Option<Instant>) {
        self.polled = true;
        let polled = self.driver.poll_idle(deadline, self.wakes);
        let failed = polled.is_err();
        log_poll_error(polled);
        if failed {
            pause_after_error();
        }
    }
}

/// Sleeps for a moment. The next poll may fail at once, too, and the worker would spin.
#[cold]
#[inline(never)]
fn pause_after_error() {
    let (mutex, never) = (Mutex::new(()), Condvar::new());
    never.wait_until(&mut mutex.lock(), real_now() + ERROR_PAUSE);
}

/// Returns the earlier of two deadlines.
fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
