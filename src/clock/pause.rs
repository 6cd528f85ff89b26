//! Timer time that a test can pause: the clock of a current-thread runtime under the feature
//! `test-util`.

use std::time::{Duration, Instant};

use super::{Clock, END, nanos};
use crate::primitive::{Arc, Mutex, real_now};

/// The timer time of a clock. Holds nothing if the clock cannot be paused.
#[derive(Clone, Debug)]
pub(crate) struct PausableTime(Option<Arc<Mutex<TimeState>>>);

#[derive(Debug)]
struct TimeState {
    motion: Motion,
    /// Blocking jobs that have not ended. While there are any, time does not advance by itself.
    inhibit_count: usize,
}

/// How the timer time moves, in nanoseconds since the clock's anchor.
#[derive(Clone, Copy, Debug)]
enum Motion {
    Running {
        /// The timer time when time began to run.
        from: u64,
        /// The real time at that moment.
        since: u64,
    },
    /// The timer time at which time stands still.
    Paused(u64),
}

impl Motion {
    fn to_timer_time(self, real: u64) -> u64 {
        match self {
            Motion::Running { from, since } => from.saturating_add(real.saturating_sub(since)).min(END),
            Motion::Paused(at) => at,
        }
    }
}

/// The right to advance paused time. It has no effect if time was resumed or inhibited meanwhile.
#[derive(Debug)]
#[must_use]
pub(crate) struct AdvancePermit {
    to: u64,
}

/// Why time could not be paused, resumed or advanced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The clock belongs to a multi-thread runtime.
    NotPausable,
    /// Pausing, but time is paused already.
    Paused,
    /// Resuming or advancing, but time is not paused.
    Going,
    /// Advancing to a time beyond the end of the clock.
    TooFar,
}

impl PausableTime {
    /// Makes the timer time of a clock that cannot be paused.
    pub(super) fn not_pausable() -> Self {
        PausableTime(None)
    }

    /// Makes the timer time of a clock that can be paused. It starts paused if `paused`.
    pub(super) fn pausable(paused: bool) -> Self {
        let motion = if paused { Motion::Paused(0) } else { Motion::Running { from: 0, since: 0 } };
        PausableTime(Some(Arc::new(Mutex::new(TimeState { motion, inhibit_count: 0 }))))
    }

    /// Returns the timer time at the real time `real`.
    pub(super) fn to_timer_time(&self, real: u64) -> u64 {
        self.0.as_ref().map_or(real, |time_state| time_state.lock().motion.to_timer_time(real))
    }

    /// Returns the timer time as an instant, for a clock with this anchor.
    pub(super) fn timer_now(&self, anchor: Instant) -> Instant {
        let now = real_now();
        match &self.0 {
            None => now,
            Some(time_state) => {
                let time = time_state.lock().motion.to_timer_time(nanos(now, anchor));
                anchor.checked_add(Duration::from_nanos(time)).unwrap_or(now)
            }
        }
    }

    /// Returns true if time is paused.
    pub(super) fn is_paused(&self) -> bool {
        self.0.as_ref().is_some_and(|time_state| matches!(time_state.lock().motion, Motion::Paused(_)))
    }

    /// Returns the right to advance to `until`, if time is paused and no blocking job inhibits it.
    pub(super) fn permit_advance(&self, until: Option<u64>) -> Option<AdvancePermit> {
        let time_state = self.0.as_ref()?.lock();
        let allowed = matches!(time_state.motion, Motion::Paused(_)) && time_state.inhibit_count == 0;
        until.filter(|_| allowed).map(|to| AdvancePermit { to })
    }

    /// Returns the real time at which the timer time is `until`, or `None` while time is paused.
    pub(super) fn real_deadline(&self, until: u64) -> Option<u64> {
        let Some(time_state) = &self.0 else { return Some(until) };
        match time_state.lock().motion {
            Motion::Running { from, since } => Some(since.saturating_add(until.saturating_sub(from))),
            Motion::Paused(_) => None,
        }
    }

    /// Advances to the time of `permit`, unless time has been resumed or inhibited since.
    pub(super) fn advance_by_permit(&self, permit: AdvancePermit) {
        let Some(time_state) = &self.0 else { return };
        let mut time_state = time_state.lock();
        if let (Motion::Paused(at), 0) = (time_state.motion, time_state.inhibit_count) {
            time_state.motion = Motion::Paused(at.max(permit.to));
        }
    }

    /// Stops automatic advances until a blocking job has ended.
    pub(super) fn inhibit_auto_advance(&self) {
        if let Some(time_state) = &self.0 {
            time_state.lock().inhibit_count += 1;
        }
    }

    /// Allows automatic advances again: a blocking job has ended, and its waiter has been woken.
    /// Returns true if time may advance by itself now.
    pub(super) fn allow_auto_advance(&self) -> bool {
        self.0.as_ref().is_some_and(|time_state| {
            let mut time_state = time_state.lock();
            time_state.inhibit_count -= 1;
            time_state.inhibit_count == 0 && matches!(time_state.motion, Motion::Paused(_))
        })
    }

    /// Pauses time at the real time `real`.
    fn pause(&self, real: u64) -> Result<(), Refusal> {
        let mut time_state = self.0.as_ref().ok_or(Refusal::NotPausable)?.lock();
        let Motion::Running { .. } = time_state.motion else { return Err(Refusal::Paused) };
        time_state.motion = Motion::Paused(time_state.motion.to_timer_time(real));
        Ok(())
    }

    /// Resumes time from where it stands, at the real time `real`.
    fn resume(&self, real: u64) -> Result<(), Refusal> {
        let mut time_state = self.0.as_ref().ok_or(Refusal::NotPausable)?.lock();
        let Motion::Paused(at) = time_state.motion else { return Err(Refusal::Going) };
        time_state.motion = Motion::Running { from: at, since: real };
        Ok(())
    }

    /// Advances paused time by `by`, on a clock with this anchor.
    fn advance(&self, by: Duration, anchor: Instant) -> Result<(), Refusal> {
        let mut time_state = self.0.as_ref().ok_or(Refusal::NotPausable)?.lock();
        let Motion::Paused(at) = time_state.motion else { return Err(Refusal::Going) };
        let by = u64::try_from(by.as_nanos()).map_err(|_| Refusal::TooFar)?;
        let to = at.checked_add(by).filter(|&to| to <= END).ok_or(Refusal::TooFar)?;
        anchor.checked_add(Duration::from_nanos(to)).ok_or(Refusal::TooFar)?;
        time_state.motion = Motion::Paused(to);
        Ok(())
    }
}

impl Clock {
    /// Pauses timer time.
    pub(crate) fn pause(&self) -> Result<(), Refusal> {
        self.time.pause(self.now())
    }

    /// Resumes timer time.
    pub(crate) fn resume(&self) -> Result<(), Refusal> {
        self.time.resume(self.now())
    }

    /// Advances paused timer time by `by`.
    pub(crate) fn advance(&self, by: Duration) -> Result<(), Refusal> {
        self.time.advance(by, self.anchor)
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    fn resumed_time_continues_from_where_it_stopped() {
        let time = PausableTime::pausable(false);
        assert_eq!((time.to_timer_time(7), time.is_paused()), (7, false));
        assert_eq!(time.pause(10), Ok(()));
        assert_eq!((time.to_timer_time(99), time.is_paused(), time.real_deadline(50)), (10, true, None));
        assert_eq!(time.advance(Duration::from_nanos(5), Instant::now()), Ok(()));
        assert_eq!(time.resume(100), Ok(()));
        assert_eq!((time.to_timer_time(100), time.to_timer_time(101), time.real_deadline(20)), (15, 16, Some(105)));
        // Time never goes back, whatever the reader's clock says.
        assert_eq!((time.to_timer_time(0), time.real_deadline(0)), (15, Some(100)));
        assert_eq!(time.pause(103), Ok(()));
        assert_eq!(time.to_timer_time(0), 18);
    }

    #[test]
    fn advance_that_does_not_fit_is_refused() {
        let (time, anchor) = (PausableTime::pausable(true), Instant::now());
        assert_eq!(time.pause(0), Err(Refusal::Paused));
        for by in [Duration::MAX, Duration::from_nanos(u64::MAX)] {
            assert_eq!(time.advance(by, anchor), Err(Refusal::TooFar));
        }
        assert_eq!((time.to_timer_time(5), time.resume(5)), (0, Ok(())));
        assert_eq!(time.resume(5), Err(Refusal::Going));
        assert_eq!(time.advance(Duration::ZERO, anchor), Err(Refusal::Going));
        let never = PausableTime::not_pausable();
        assert_eq!(never.pause(0), Err(Refusal::NotPausable));
        assert_eq!(never.resume(0), Err(Refusal::NotPausable));
        assert_eq!(never.advance(Duration::ZERO, anchor), Err(Refusal::NotPausable));
        assert_eq!(
            (never.to_timer_time(5), never.real_deadline(5), never.allow_auto_advance(), never.is_paused()),
            (5, Some(5), false, false)
        );
    }

    #[test]
    fn permit_advances_time_only_while_paused_and_not_inhibited() {
        let time = PausableTime::pausable(true);
        assert!(time.permit_advance(None).is_none());
        let permit = time.permit_advance(Some(30)).expect("time is paused and not inhibited");
        time.advance_by_permit(permit);
        assert_eq!(time.to_timer_time(0), 30);
        // An advance never goes back.
        let permit = time.permit_advance(Some(20)).expect("time is paused and not inhibited");
        time.advance_by_permit(permit);
        assert_eq!(time.to_timer_time(0), 30);

        let early = time.permit_advance(Some(40)).expect("time is paused and not inhibited");
        for _ in 0..2 {
            time.inhibit_auto_advance();
        }
        time.advance_by_permit(early);
        assert_eq!(time.to_timer_time(0), 30, "a blocking job began in between");
        assert!(!time.allow_auto_advance() && time.permit_advance(Some(40)).is_none());
        assert!(time.allow_auto_advance() && time.permit_advance(Some(40)).is_some());

        let early = time.permit_advance(Some(40)).expect("time is paused and not inhibited");
        assert_eq!(time.resume(0), Ok(()));
        time.advance_by_permit(early);
        assert_eq!(time.to_timer_time(0), 30, "time runs by itself");
        assert!(time.permit_advance(Some(40)).is_none());
    }
}
