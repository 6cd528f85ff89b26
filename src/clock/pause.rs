//! Time that can stand still, for tests: what the timers of a current-thread runtime are shown
//! under the feature `test-util`.

use std::time::{Duration, Instant};

use super::{Clock, END, nanos};
use crate::sync::{Arc, Mutex};

/// The hands of a clock that can be paused; nothing for one that cannot.
#[derive(Clone, Debug)]
pub(crate) struct PausableTime(Option<Arc<Mutex<TimeState>>>);

#[derive(Debug)]
struct TimeState {
    motion: Motion,
    /// Blocking jobs that have not ended. While there are any, time does not pass by itself.
    inhibit_count: usize,
}

/// What is shown, in nanoseconds since the clock's anchor.
#[derive(Clone, Copy, Debug)]
enum Motion {
    Going {
        /// This was shown...
        from: u64,
        /// ...when so much had really passed.
        since: u64,
    },
    Still(u64),
}

impl Motion {
    fn to_timer_time(self, real: u64) -> u64 {
        match self {
            Motion::Going { from, since } => from.saturating_add(real.saturating_sub(since)).min(END),
            Motion::Still(at) => at,
        }
    }
}

/// The right to let paused time pass, unless something happens first.
#[derive(Debug)]
#[must_use]
pub(crate) struct AdvancePermit {
    to: u64,
}

/// Why time could not be paused, resumed or advanced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The clock is that of a runtime with worker threads.
    NotPausable,
    /// It is to be paused, and is.
    Paused,
    /// It is to be resumed or advanced, and is not paused.
    Going,
    /// It cannot show so late a time.
    TooFar,
}

impl PausableTime {
    /// For a clock that always goes.
    pub(super) fn not_pausable() -> Self {
        PausableTime(None)
    }

    /// For a clock that can be paused, and is if `paused`.
    pub(super) fn pausable(paused: bool) -> Self {
        let motion = if paused { Motion::Still(0) } else { Motion::Going { from: 0, since: 0 } };
        PausableTime(Some(Arc::new(Mutex::new(TimeState { motion, inhibit_count: 0 }))))
    }

    /// What is shown when so much has really passed.
    pub(super) fn to_timer_time(&self, real: u64) -> u64 {
        self.0.as_ref().map_or(real, |time_state| time_state.lock().motion.to_timer_time(real))
    }

    /// The instant that is shown by a clock with this anchor.
    pub(super) fn timer_now(&self, anchor: Instant) -> Instant {
        let now = Instant::now();
        match &self.0 {
            None => now,
            Some(time_state) => {
                let shown = time_state.lock().motion.to_timer_time(nanos(now, anchor));
                anchor.checked_add(Duration::from_nanos(shown)).unwrap_or(now)
            }
        }
    }

    /// Whether time stands still.
    pub(super) fn is_paused(&self) -> bool {
        self.0.as_ref().is_some_and(|time_state| matches!(time_state.lock().motion, Motion::Still(_)))
    }

    /// The right to leap to `until`, if time stands still and no job holds it.
    pub(super) fn permit_advance(&self, until: Option<u64>) -> Option<AdvancePermit> {
        let time_state = self.0.as_ref()?.lock();
        let free = matches!(time_state.motion, Motion::Still(_)) && time_state.inhibit_count == 0;
        until.filter(|_| free).map(|to| AdvancePermit { to })
    }

    /// How much will really have passed when `until` is shown; `None` if there is no telling.
    pub(super) fn real_deadline(&self, until: u64) -> Option<u64> {
        let Some(time_state) = &self.0 else { return Some(until) };
        match time_state.lock().motion {
            Motion::Going { from, since } => Some(since.saturating_add(until.saturating_sub(from))),
            Motion::Still(_) => None,
        }
    }

    /// Uses the right, unless time has been resumed since, or is held.
    pub(super) fn advance_by_permit(&self, permit: AdvancePermit) {
        let Some(time_state) = &self.0 else { return };
        let mut time_state = time_state.lock();
        if let (Motion::Still(at), 0) = (time_state.motion, time_state.inhibit_count) {
            time_state.motion = Motion::Still(at.max(permit.to));
        }
    }

    /// A blocking job has come: time does not pass by itself until it has ended.
    pub(super) fn inhibit_auto_advance(&self) {
        if let Some(time_state) = &self.0 {
            time_state.lock().inhibit_count += 1;
        }
    }

    /// A blocking job has ended, and whoever waited for it has been woken. True if time may pass by
    /// itself now.
    pub(super) fn allow_auto_advance(&self) -> bool {
        self.0.as_ref().is_some_and(|time_state| {
            let mut time_state = time_state.lock();
            time_state.inhibit_count -= 1;
            time_state.inhibit_count == 0 && matches!(time_state.motion, Motion::Still(_))
        })
    }

    /// Stops time when so much has really passed.
    fn pause(&self, real: u64) -> Result<(), Refusal> {
        let mut time_state = self.0.as_ref().ok_or(Refusal::NotPausable)?.lock();
        let Motion::Going { .. } = time_state.motion else { return Err(Refusal::Paused) };
        time_state.motion = Motion::Still(time_state.motion.to_timer_time(real));
        Ok(())
    }

    /// Lets time go on from where it stands.
    fn resume(&self, real: u64) -> Result<(), Refusal> {
        let mut time_state = self.0.as_ref().ok_or(Refusal::NotPausable)?.lock();
        let Motion::Still(at) = time_state.motion else { return Err(Refusal::Going) };
        time_state.motion = Motion::Going { from: at, since: real };
        Ok(())
    }

    /// Moves time that stands still, on a clock with this anchor.
    fn advance(&self, by: Duration, anchor: Instant) -> Result<(), Refusal> {
        let mut time_state = self.0.as_ref().ok_or(Refusal::NotPausable)?.lock();
        let Motion::Still(at) = time_state.motion else { return Err(Refusal::Going) };
        let by = u64::try_from(by.as_nanos()).map_err(|_| Refusal::TooFar)?;
        let to = at.checked_add(by).filter(|&to| to <= END).ok_or(Refusal::TooFar)?;
        anchor.checked_add(Duration::from_nanos(to)).ok_or(Refusal::TooFar)?;
        time_state.motion = Motion::Still(to);
        Ok(())
    }
}

impl Clock {
    /// Stops the time that timers are shown.
    pub(crate) fn pause(&self) -> Result<(), Refusal> {
        self.pause.pause(self.now())
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) -> Result<(), Refusal> {
        self.pause.resume(self.now())
    }

    /// Moves it while it stands still.
    pub(crate) fn advance(&self, by: Duration) -> Result<(), Refusal> {
        self.pause.advance(by, self.anchor)
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    fn time_that_goes_on_does_so_from_where_it_stood() {
        let pause = PausableTime::pausable(false);
        assert_eq!((pause.to_timer_time(7), pause.is_paused()), (7, false));
        assert_eq!(pause.pause(10), Ok(()));
        assert_eq!((pause.to_timer_time(99), pause.is_paused(), pause.real_deadline(50)), (10, true, None));
        assert_eq!(pause.advance(Duration::from_nanos(5), Instant::now()), Ok(()));
        assert_eq!(pause.resume(100), Ok(()));
        assert_eq!((pause.to_timer_time(100), pause.to_timer_time(101), pause.real_deadline(20)), (15, 16, Some(105)));
        // It never goes back, whatever the reader's clock says.
        assert_eq!((pause.to_timer_time(0), pause.real_deadline(0)), (15, Some(100)));
        assert_eq!(pause.pause(103), Ok(()));
        assert_eq!(pause.to_timer_time(0), 18);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (pause, anchor) = (PausableTime::pausable(true), Instant::now());
        assert_eq!(pause.pause(0), Err(Refusal::Paused));
        for by in [Duration::MAX, Duration::from_nanos(u64::MAX)] {
            assert_eq!(pause.advance(by, anchor), Err(Refusal::TooFar));
        }
        assert_eq!((pause.to_timer_time(5), pause.resume(5)), (0, Ok(())));
        assert_eq!(pause.resume(5), Err(Refusal::Going));
        assert_eq!(pause.advance(Duration::ZERO, anchor), Err(Refusal::Going));
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
    fn time_leaps_only_while_it_stands_still_and_nobody_holds_it() {
        let pause = PausableTime::pausable(true);
        assert!(pause.permit_advance(None).is_none());
        let permit = pause.permit_advance(Some(30)).expect("nobody holds it");
        pause.advance_by_permit(permit);
        assert_eq!(pause.to_timer_time(0), 30);
        // Not back.
        let permit = pause.permit_advance(Some(20)).expect("nobody holds it");
        pause.advance_by_permit(permit);
        assert_eq!(pause.to_timer_time(0), 30);

        let begun = pause.permit_advance(Some(40)).expect("nobody holds it");
        for _ in 0..2 {
            pause.inhibit_auto_advance();
        }
        pause.advance_by_permit(begun);
        assert_eq!(pause.to_timer_time(0), 30, "a job has come in between");
        assert!(!pause.allow_auto_advance() && pause.permit_advance(Some(40)).is_none());
        assert!(pause.allow_auto_advance() && pause.permit_advance(Some(40)).is_some());

        let begun = pause.permit_advance(Some(40)).expect("nobody holds it");
        assert_eq!(pause.resume(0), Ok(()));
        pause.advance_by_permit(begun);
        assert_eq!(pause.to_timer_time(0), 30, "it goes on by itself");
        assert!(pause.permit_advance(Some(40)).is_none());
    }
}
