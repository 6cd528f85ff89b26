//! When the watchdog sleeps, and who sets its alarm.
//!
//! The protocol is on [the watchdog's page](crate::watchdog).

use std::io;
use std::time::Duration;

use crate::idle::Idle;
use crate::sync::IntervalTimer;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::util::rng::Rng;

/// The watchdog's sleep. It looks once per tick while anybody is up, and not at all while all
/// sleep.
#[derive(Debug)]
pub(crate) struct WatchdogSleep {
    alarm: IntervalTimer,
    tick: Duration,
    /// How often it has been called.
    calls: AtomicU32,
}

impl WatchdogSleep {
    /// # Errors
    ///
    /// What the operating system says if it refuses a file descriptor.
    pub(crate) fn new(tick: Duration) -> io::Result<WatchdogSleep> {
        Ok(WatchdogSleep { alarm: IntervalTimer::new()?, tick, calls: AtomicU32::new(0) })
    }

    /// The watchdog begins to watch.
    pub(crate) fn start_ticks(&self) {
        self.alarm.set(self.tick, self.tick);
    }

    /// Sleeps until the next look. Called by the watchdog, as is `rest`.
    pub(crate) fn wait_for_tick(&self) {
        self.alarm.wait();
    }

    /// Gives up watching until somebody gets up, if `nobody_is_up`; which is asked when whoever
    /// gets up can see that nobody watches.
    pub(crate) fn sleep_if(&self, idle: &Idle, nobody_is_up: impl FnOnce() -> bool) {
        // Before anybody is told to set it.
        self.alarm.disarm();
        idle.set_watchdog_asleep();
        if !nobody_is_up() {
            self.wake(idle);
        }
    }

    /// Somebody is up: one of those who notice sets the alarm. It costs him a system call, and
    /// wakes nobody for half a tick at least.
    #[cold]
    pub(crate) fn wake(&self, idle: &Idle) {
        if idle.claim_watchdog_wake() {
            self.alarm.set(self.first_tick(), self.tick);
        }
    }

    /// From half a tick to a whole one, each time another: who gets up in step with the ticks would
    /// meet the watchdog each time, on the processor that he is woken for.
    fn first_tick(&self) -> Duration {
        const STEPS: u32 = 64;
        // Ordering: Relaxed — nothing but a number.
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let step = Rng::new(call.into()).below(STEPS as usize) as u32;
        self.tick / 2 + self.tick / (2 * STEPS) * step
    }

    /// Everything ends, which can be seen by now: whether or not the watchdog watches, it looks at
    /// once.
    pub(crate) fn ring_now(&self) {
        self.alarm.fire_now(self.tick);
    }
}
