//! A timer wheel against a sorted map, over all of the 584 years of a clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Wake, Waker};

use arbitrary::Arbitrary;
use heist::internals::timers::{TICK_NANOS, TestTimer, TestWheel, TimerState};

/// The number of timers.
const TIMERS: usize = 12;

/// A length of time.
#[derive(Debug, Clone, Copy, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) enum Span {
    Zero,
    Nanos(u8),
    /// Some ticks, and as many nanoseconds less.
    Ticks(u8, u8),
    /// Any number of nanoseconds below a power of two, so each magnitude is as likely as another.
    Any(u64, u8),
    /// Beyond the end of the clock, as `Duration::MAX` is.
    Beyond,
}

impl Span {
    fn nanos(self) -> Option<u64> {
        match self {
            Span::Zero => Some(0),
            Span::Nanos(nanos) => Some(u64::from(nanos)),
            Span::Ticks(ticks, less) => Some((u64::from(ticks) * TICK_NANOS).saturating_sub(u64::from(less))),
            Span::Any(nanos, shift) => Some(nanos >> (shift % 64)),
            Span::Beyond => None,
        }
    }
}

/// One call. A timer that does not exist is one modulo their number.
#[derive(Debug, Clone, Copy, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) enum Call {
    Arm {
        timer: u8,
        after: Span,
    },
    ArmInThePast {
        timer: u8,
        before: Span,
    },
    Reset {
        timer: u8,
        after: Span,
    },
    Cancel {
        timer: u8,
    },
    UpdateWaker {
        timer: u8,
    },
    MarkFired {
        timer: u8,
    },
    Drop {
        timer: u8,
    },
    Advance(Span),
    AdvanceToNext,
    /// The clock shows an earlier time than before.
    StepBack(Span),
    BeginSleep {
        is_backup: bool,
    },
    EndSleep {
        is_backup: bool,
    },
    /// Closes the wheel, in one case of 32: nothing much can follow.
    Close {
        chance: u8,
    },
}

/// A sequence of calls, which begins at a time.
#[derive(Debug, Clone, Arbitrary, proptest_derive::Arbitrary)]
pub(crate) struct Case {
    start: Span,
    calls: Vec<Call>,
}

type Log = Arc<Mutex<Vec<usize>>>;

/// Enters its timer into a log.
struct Entry {
    log: Log,
    timer: usize,
}

impl Wake for Entry {
    fn wake(self: Arc<Self>) {
        self.log.lock().unwrap().push(self.timer);
    }
}

/// What a timer should be.
struct Model {
    state: TimerState,
    deadline: u64,
    /// Set if the deadline had passed when the timer was armed.
    was_late: bool,
    waker: Arc<Entry>,
}

struct Wheel {
    wheel: TestWheel,
    timers: Vec<TestTimer>,
    models: Vec<Model>,
    log: Log,
    /// Wakers that have been replaced.
    replaced: Vec<Weak<Entry>>,
    now: u64,
    is_closed: bool,
    /// Set while no armed timer has been moved or cancelled. The next deadline is exact then.
    is_exact: bool,
    /// Until when the owner and the backup sleep, and how often they have been woken.
    until: [u64; 2],
    sleeper_wakes: [u64; 2],
}

/// Returns the end of the tick of a deadline, or `u64::MAX` if that never comes.
fn due(deadline: u64) -> u64 {
    deadline.div_ceil(TICK_NANOS).saturating_mul(TICK_NANOS)
}

impl Wheel {
    fn new() -> Wheel {
        let log = Log::default();
        let model = |timer| Model {
            state: TimerState::Idle,
            deadline: 0,
            was_late: false,
            waker: Arc::new(Entry { log: log.clone(), timer }),
        };
        Wheel {
            wheel: TestWheel::default(),
            timers: (0..TIMERS).map(|_| TestTimer::default()).collect(),
            models: (0..TIMERS).map(model).collect(),
            log: log.clone(),
            replaced: Vec::new(),
            now: 0,
            is_closed: false,
            is_exact: true,
            until: [0; 2],
            sleeper_wakes: [0; 2],
        }
    }

    /// Returns the deadline that the clock makes of a time, which may be beyond its end.
    fn after(&self, span: Span) -> Option<u64> {
        span.nanos().and_then(|nanos| self.now.checked_add(nanos))
    }

    fn is_armed(&self, timer: usize) -> bool {
        self.models[timer].state == TimerState::Armed
    }

    /// Notes that a timer is on the wheel, with this deadline.
    fn expect_armed(&mut self, timer: usize, deadline: Option<u64>) {
        let deadline = deadline.unwrap_or(u64::MAX - 1).min(u64::MAX - 1);
        let (model, now) = (&mut self.models[timer], self.now);
        (model.state, model.deadline, model.was_late) = (TimerState::Armed, deadline, due(deadline) <= now);
        for (until, wakes) in self.until.iter_mut().zip(&mut self.sleeper_wakes) {
            if due(deadline) < *until {
                (*until, *wakes) = (0, *wakes + 1);
            }
        }
    }

    fn arm(&mut self, timer: usize, deadline: Option<u64>) {
        if self.is_armed(timer) {
            return;
        }
        let waker = Waker::from(Arc::clone(&self.models[timer].waker));
        let state = self.timers[timer].arm(&self.wheel, deadline, &waker);
        if self.is_closed {
            self.models[timer].state = TimerState::Closed;
        } else {
            self.expect_armed(timer, deadline);
        }
        assert_eq!(state, self.models[timer].state);
    }

    fn reset(&mut self, timer: usize, deadline: Option<u64>) {
        self.timers[timer].reset(&self.wheel, deadline);
        if self.is_armed(timer) {
            self.is_exact = false;
            self.expect_armed(timer, deadline);
        } else {
            self.models[timer].state = TimerState::Idle;
        }
    }

    /// Ends a timer otherwise than by its deadline.
    fn end(&mut self, timer: usize, end: impl FnOnce(&mut TestTimer), state: TimerState) {
        end(&mut self.timers[timer]);
        self.is_exact &= !self.is_armed(timer);
        self.models[timer].state = state;
    }

    fn update_waker(&mut self, timer: usize) {
        if !self.is_armed(timer) {
            return;
        }
        let entry = Arc::new(Entry { log: self.log.clone(), timer });
        assert_eq!(self.timers[timer].update_waker(&Waker::from(Arc::clone(&entry))), TimerState::Armed);
        self.replaced.push(Arc::downgrade(&self.models[timer].waker));
        self.models[timer].waker = entry;
    }

    /// Turns the wheel, and checks that the timers that are due fire, in the order of their ticks.
    fn advance(&mut self, now: u64) {
        // A clock that steps back changes nothing. The end of time is never reached.
        self.now = self.now.max(now.min(u64::MAX - 1));
        let next = self.wheel.fire_due(now);
        let fired = std::mem::take(&mut *self.log.lock().unwrap());
        let mut expected = BTreeMap::new();
        for (timer, model) in self.models.iter_mut().enumerate() {
            if model.state == TimerState::Armed && due(model.deadline) <= self.now {
                model.state = TimerState::Fired;
                expected.insert(timer, due(model.deadline));
            }
        }
        // A timer that was due when it was armed comes before the others.
        let order = |timer: &usize| expected.get(timer).map(|due| if self.models[*timer].was_late { 0 } else { *due });
        assert!(fired.iter().map(order).is_sorted(), "fired {fired:?} at {now}, out of the order of {expected:?}");
        let mut sorted = fired.clone();
        sorted.sort_unstable();
        assert!(sorted.iter().eq(expected.keys()), "fired {fired:?} at {now}, and not {expected:?}");
        self.check_next(next);
    }

    /// Returns when the first armed timer is due, if one is ever due. A timer whose deadline had
    /// passed when it was armed is due at the present tick.
    fn first_due(&self) -> Option<u64> {
        let armed = self.models.iter().filter(|model| model.state == TimerState::Armed);
        let present = self.now / TICK_NANOS * TICK_NANOS;
        armed.map(|model| due(model.deadline).max(present)).min().filter(|due| *due < u64::MAX)
    }

    /// Checks the time of the next turn.
    fn check_next(&self, next: Option<u64>) {
        let first = self.first_due();
        match (next, first) {
            (Some(next), Some(first)) => assert!(next <= first, "the next turn is at {next}, after {first}"),
            (next, first) => assert!(first.is_none(), "the next turn is at {next:?}, and a timer due at {first:?}"),
        }
        assert!(!self.is_exact || next == first, "the next turn is at {next:?}, and not at {first:?}");
    }

    fn make_call(&mut self, call: Call) {
        let index = |timer: u8| usize::from(timer) % TIMERS;
        match call {
            Call::Arm { timer, after } => self.arm(index(timer), self.after(after)),
            Call::ArmInThePast { timer, before } => {
                self.arm(index(timer), Some(self.now.saturating_sub(before.nanos().unwrap_or(u64::MAX))));
            }
            Call::Reset { timer, after } => self.reset(index(timer), self.after(after)),
            Call::Cancel { timer } => {
                let timer = index(timer);
                let state = if self.is_armed(timer) { TimerState::Idle } else { self.models[timer].state };
                self.end(timer, TestTimer::cancel, state);
            }
            Call::UpdateWaker { timer } => self.update_waker(index(timer)),
            Call::MarkFired { timer } => self.end(index(timer), TestTimer::mark_fired, TimerState::Fired),
            Call::Drop { timer } => self.end(index(timer), |timer| *timer = TestTimer::default(), TimerState::Idle),
            Call::Advance(span) => self.advance(self.after(span).unwrap_or(u64::MAX)),
            Call::AdvanceToNext => {
                let next = self.wheel.next_due();
                if next < u64::MAX {
                    self.advance(next.max(self.now));
                }
            }
            Call::StepBack(span) => self.advance(self.now.saturating_sub(span.nanos().unwrap_or(u64::MAX))),
            Call::BeginSleep { is_backup } => {
                let next = self.wheel.begin_sleep(is_backup);
                self.check_next(next);
                self.until[usize::from(is_backup)] = next.unwrap_or(u64::MAX);
            }
            Call::EndSleep { is_backup } => {
                self.wheel.end_sleep(is_backup);
                self.until[usize::from(is_backup)] = 0;
            }
            Call::Close { chance } if chance % 32 > 0 => {}
            Call::Close { .. } => {
                self.wheel.close_wheel();
                let mut woken = std::mem::take(&mut *self.log.lock().unwrap());
                woken.sort_unstable();
                let armed: Vec<_> = (0..TIMERS).filter(|timer| self.is_armed(*timer)).collect();
                assert_eq!(woken, armed, "the close wakes each armed timer");
                armed.into_iter().for_each(|timer| self.models[timer].state = TimerState::Closed);
                self.is_closed = true;
            }
        }
    }

    /// Checks what holds after each call.
    fn check(&self) {
        for (timer, model) in self.models.iter().enumerate() {
            assert_eq!(self.timers[timer].state(), model.state, "timer {timer}");
            let stored = Arc::strong_count(&model.waker) - 1;
            assert_eq!(stored, usize::from(model.state == TimerState::Armed), "wakers stored for timer {timer}");
        }
        assert!(self.log.lock().unwrap().is_empty(), "a timer was woken by another call than a turn");
        assert_eq!(self.wheel.is_empty(), !(0..TIMERS).any(|timer| self.is_armed(timer)));
        let hint = self.wheel.next_due();
        let first = self.first_due().unwrap_or(u64::MAX);
        assert!(hint <= first, "the hint is {hint}, after {first}");
        assert_eq!(self.wheel.sleeper_wakes(), self.sleeper_wakes);
        assert!(self.replaced.iter().all(|waker| waker.upgrade().is_none()), "a replaced waker is still stored");
    }
}

/// Makes the calls, and compares each with the model.
pub(crate) fn run(case: &Case) {
    let mut wheel = Wheel::new();
    wheel.advance(case.start.nanos().unwrap_or(u64::MAX));
    for call in &case.calls {
        wheel.make_call(*call);
        wheel.check();
    }
    // The end of time: every timer that is ever due fires.
    wheel.advance(u64::MAX - 1);
    wheel.check();
}
