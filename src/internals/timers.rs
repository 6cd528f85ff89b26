//! A timer wheel and timers at chosen times, for the property tests.

use std::pin::Pin;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::primitive::Arc;
use crate::primitive::real_now;
use crate::primitive::statics::{AtomicU64, Ordering};
use crate::timer::wheel::TICK;
use crate::timer::{self, SleeperWaker, Timer, TimerWheel};
use crate::util::wake_list::WakeList;

/// Nanoseconds per tick.
pub const TICK_NANOS: u64 = TICK;

/// The state of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimerState {
    /// On no wheel.
    Idle,
    /// On a wheel.
    Armed,
    /// The deadline has passed.
    Fired,
    /// The wheel was closed first.
    Closed,
}

impl From<timer::State> for TimerState {
    fn from(state: timer::State) -> Self {
        match state {
            timer::State::Idle => TimerState::Idle,
            timer::State::Armed => TimerState::Armed,
            timer::State::Fired => TimerState::Fired,
            timer::State::Closed => TimerState::Closed,
        }
    }
}

/// Counts the wake-ups of the owner and of the backup sleeper.
#[derive(Debug, Default)]
struct WakeCounts([AtomicU64; 2]);

impl SleeperWaker for WakeCounts {
    fn wake(&self) {
        // Ordering: Relaxed — a count, which the same thread reads.
        self.0[0].fetch_add(1, Ordering::Relaxed);
    }

    fn wake_backup(&self) {
        // Ordering: Relaxed — as above.
        self.0[1].fetch_add(1, Ordering::Relaxed);
    }
}

/// A wheel whose time is what its caller says.
#[derive(Debug)]
pub struct TestWheel {
    wheel: Arc<TimerWheel>,
    wakes: Arc<WakeCounts>,
}

impl Default for TestWheel {
    fn default() -> Self {
        // An anchor ahead: the wheel begins at zero, however long this takes.
        let clock = Clock::anchored(real_now() + Duration::from_secs(3600));
        let wakes = Arc::new(WakeCounts::default());
        TestWheel { wheel: Arc::new(TimerWheel::new(clock, wakes.clone())), wakes }
    }
}

impl TestWheel {
    /// Fires every timer that is due at `now`, and wakes the wakers in the order in which the wheel
    /// has handed them out. Returns the next deadline.
    pub fn fire_due(&self, now: u64) -> Option<u64> {
        let mut wakes = WakeList::new();
        let next = self.wheel.fire_due(now, &mut wakes);
        wakes.wake_all();
        next
    }

    /// Returns the hint of the time of the next `fire_due`; `u64::MAX` if there is none.
    pub fn next_due(&self) -> u64 {
        self.wheel.next_due()
    }

    /// Begins a sleep of the wheel's owner, or of the backup sleeper. Returns its end.
    pub fn begin_sleep(&self, is_backup: bool) -> Option<u64> {
        if is_backup { self.wheel.begin_backup_sleep() } else { self.wheel.begin_sleep() }
    }

    /// Ends a sleep of the wheel's owner, or of the backup sleeper.
    pub fn end_sleep(&self, is_backup: bool) {
        if is_backup { self.wheel.end_backup_sleep() } else { self.wheel.end_sleep() }
    }

    /// Returns how often the wheel has woken its owner and the backup sleeper.
    pub fn sleeper_wakes(&self) -> [u64; 2] {
        // Ordering: Relaxed — as in `WakeCounts`.
        [0, 1].map(|sleeper: usize| self.wakes.0[sleeper].load(Ordering::Relaxed))
    }

    /// Returns true if no timer is armed.
    pub fn is_empty(&self) -> bool {
        self.wheel.is_empty()
    }

    /// Closes the wheel, and wakes the wakers of its timers.
    pub fn close_wheel(&self) {
        let mut wakes = WakeList::new();
        self.wheel.close_wheel(&mut wakes);
        wakes.wake_all();
    }

    /// Returns the instant `nanos` after the wheel's zero. `None` means an instant that is beyond
    /// the end of the clock.
    fn instant(&self, nanos: Option<u64>) -> Instant {
        let beyond = || self.instant(Some(0)) + Duration::from_secs(1 << 40);
        nanos.map_or_else(beyond, |_| self.wheel.clock().real_deadline(nanos).expect("the system can name 584 years"))
    }
}

/// A timer.
#[derive(Debug)]
pub struct TestTimer(Pin<Box<Timer>>);

impl Default for TestTimer {
    fn default() -> Self {
        TestTimer(Box::pin(Timer::new()))
    }
}

impl TestTimer {
    /// Arms an unarmed timer on a wheel, and returns the new state. `None` is a deadline beyond the
    /// end of the clock.
    pub fn arm(&mut self, wheel: &TestWheel, deadline: Option<u64>, waker: &Waker) -> TimerState {
        self.0.as_mut().arm(Arc::clone(&wheel.wheel), wheel.instant(deadline), waker).into()
    }

    /// Gives an armed timer another waker, and returns the state.
    pub fn update_waker(&mut self, waker: &Waker) -> TimerState {
        self.0.as_mut().update_waker(waker).into()
    }

    /// Moves an armed timer to another deadline. An unarmed timer becomes idle.
    pub fn reset(&mut self, wheel: &TestWheel, deadline: Option<u64>) {
        self.0.as_mut().reset(wheel.instant(deadline));
    }

    /// Removes the timer from its wheel.
    pub fn cancel(&mut self) {
        self.0.as_mut().cancel();
    }

    /// Marks the timer as fired.
    pub fn mark_fired(&mut self) {
        self.0.as_mut().mark_fired();
    }

    /// Returns the state.
    pub fn state(&self) -> TimerState {
        self.0.state().into()
    }
}
