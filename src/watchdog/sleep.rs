//! When the watchdog sleeps, and which thread sets its alarm.
//!
//! The protocol is on [the watchdog's page](crate::watchdog).

use std::io;
use std::time::Duration;

use crate::idle::Idle;
use crate::primitive::IntervalTimer;
use crate::primitive::atomic::{AtomicU32, Ordering};
use crate::util::rng::Rng;

/// The watchdog's sleep. It scans once per tick while a worker is awake, and not at all while all
/// sleep.
#[derive(Debug)]
pub(crate) struct WatchdogSleep {
    alarm: IntervalTimer,
    tick: Duration,
    /// The number of wake-ups, which seeds the first tick.
    wakes: AtomicU32,
    /// How many times a worker may put the watchdog to sleep before the next scan.
    grants: AtomicU32,
}

impl WatchdogSleep {
    /// # Errors
    ///
    /// If the operating system refuses a file descriptor.
    pub(crate) fn new(tick: Duration) -> io::Result<WatchdogSleep> {
        Ok(WatchdogSleep { alarm: IntervalTimer::new()?, tick, wakes: AtomicU32::new(0), grants: AtomicU32::new(0) })
    }

    /// Sets the periodic alarm, to fire after each `ticks` ticks. Called by the watchdog.
    ///
    /// A shutdown that fires the alarm at the same time may be heard only after these ticks.
    pub(crate) fn set_period(&self, ticks: u32) {
        self.alarm.set(self.tick * ticks, self.tick * ticks);
    }

    /// Sleeps until the next scan. Called by the watchdog.
    pub(crate) fn wait_for_tick(&self) {
        self.alarm.wait();
    }

    /// Disarms the alarm until a worker is awake, if `all_idle` returns true. It is called after
    /// the sleep was announced, so a worker that leaves idle afterwards sets the alarm.
    ///
    /// The watchdog calls this, and workers may do so at the same time.
    pub(crate) fn sleep_if(&self, idle: &Idle, all_idle: impl FnOnce() -> bool) {
        // Comes before the announcement, which makes other threads set the alarm.
        self.alarm.disarm();
        idle.set_watchdog_asleep();
        if !all_idle() {
            self.wake(idle);
        }
    }

    /// Lets workers put the watchdog to sleep `count` times. Returns how many times they still
    /// could. Called by the watchdog at each scan.
    pub(crate) fn grant_sleeps(&self, count: u32) -> u32 {
        // Setting the other kind of timer wakes the watchdog, so nothing would be saved.
        let count = if IntervalTimer::IS_SILENT { count } else { 0 };
        // Ordering: Relaxed — only a number. The protocol does not depend on it.
        self.grants.swap(count, Ordering::Relaxed)
    }

    /// Puts the watchdog to sleep, if `all_idle` returns true and the watchdog has granted it. It
    /// is called by a worker that has announced its own sleep.
    #[inline]
    pub(crate) fn sleep_if_granted(&self, idle: &Idle, all_idle: impl Fn() -> bool) {
        // Ordering: Relaxed — as in `WatchdogSleep::grant_sleeps`.
        if self.grants.load(Ordering::Relaxed) > 0 && !idle.counts().is_watchdog_asleep() && all_idle() {
            self.use_grant(idle, all_idle);
        }
    }

    #[cold]
    fn use_grant(&self, idle: &Idle, all_idle: impl Fn() -> bool) {
        // Ordering: Relaxed — as in `WatchdogSleep::grant_sleeps`.
        let used = self.grants.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if used.is_ok() {
            self.sleep_if(idle, all_idle);
        }
    }

    /// Sets the alarm, if the watchdog sleeps. One of the threads that notice does so. It costs
    /// that thread a system call, and wakes no thread for at least half a tick.
    #[cold]
    pub(crate) fn wake(&self, idle: &Idle) {
        if idle.claim_watchdog_wake() {
            self.alarm.set(self.first_tick(), self.tick);
        }
    }

    /// Returns a random duration of half a tick to a whole one. A worker that wakes in step with
    /// the ticks would otherwise always meet the watchdog on its processor.
    fn first_tick(&self) -> Duration {
        const STEPS: u32 = 64;
        // Ordering: Relaxed — only a seed.
        let wake = self.wakes.fetch_add(1, Ordering::Relaxed);
        let step = Rng::new(wake.into()).below(STEPS as usize) as u32;
        self.tick / 2 + self.tick / (2 * STEPS) * step
    }

    /// Fires the alarm at once, whether or not the watchdog sleeps. Called after a new
    /// phase is published.
    pub(crate) fn ring_now(&self) {
        // A worker that goes to sleep now would delay it. Ordering: Relaxed — as in
        // `WatchdogSleep::grant_sleeps`.
        self.grants.store(0, Ordering::Relaxed);
        self.alarm.fire_now(self.tick);
    }
}
