//! How a track has spent its time, and what it has counted.

use crate::event::EventKind;
use crate::nanos::Nanos;

/// How a track has spent its time, and how often things have happened on it.
///
/// The time of a worker that is neither busy nor parked is that of searching for tasks: polls of
/// the reactor, steals, timers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackTimes {
    /// The time of the first event.
    pub first: Nanos,
    /// The time until which the track is known: that of the snapshot, or of the last event.
    pub last: Nanos,
    /// The time inside of polls.
    pub busy: Nanos,
    /// The time for which the worker was parked.
    pub parked: Nanos,
    /// The spans of `parked`, in the order of time.
    pub parks: Vec<(Nanos, Nanos)>,
    /// The number of polls that have started.
    pub polls: u64,
    /// The number of steals.
    pub steals: u64,
    /// The number of stolen tasks.
    pub stolen: u64,
    /// The number of tasks that were taken from the global queue.
    pub taken: u64,
    /// The number of polls of the reactor.
    pub reactor_polls: u64,
    /// The number of events of the reactor.
    pub reactor_events: u64,
    /// The number of timers that have fired.
    pub timers: u64,
    /// The longest lateness of a timer.
    pub timer_lateness: Nanos,
    parked_since: Option<Nanos>,
}

impl TrackTimes {
    /// Returns the time that the track covers.
    #[must_use]
    pub fn span(&self) -> Nanos {
        self.last.since(self.first)
    }

    /// Returns the time that was spent neither in polls nor parked.
    #[must_use]
    pub fn searching(&self) -> Nanos {
        self.span().since(self.busy + self.parked)
    }

    pub(crate) fn count(&mut self, at: Nanos, kind: &EventKind<'_>) {
        match kind {
            EventKind::PollStart { .. } | EventKind::BlockingStart { .. } => self.polls += 1,
            EventKind::Steal { tasks, .. } => {
                self.steals += 1;
                self.stolen = self.stolen.saturating_add(*tasks);
            }
            EventKind::TakeGlobal { tasks } => self.taken = self.taken.saturating_add(*tasks),
            EventKind::ReactorPoll { events, .. } => {
                self.reactor_polls += 1;
                self.reactor_events = self.reactor_events.saturating_add(*events);
            }
            EventKind::TimersFired { timers, lateness } => {
                self.timers = self.timers.saturating_add(*timers);
                self.timer_lateness = self.timer_lateness.max(*lateness);
            }
            EventKind::Park => self.parked_since = Some(at),
            EventKind::Unpark => self.end_park(at),
            _ => {}
        }
    }

    /// Ends the span of a park, if one is open.
    pub(crate) fn end_park(&mut self, at: Nanos) {
        if let Some(since) = self.parked_since.take() {
            self.parked += at.since(since);
            self.parks.push((since, at));
        }
    }
}
