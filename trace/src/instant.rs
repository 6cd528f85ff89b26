//! Events that a timeline shows as points.

use std::fmt;

use crate::event::{DrainPhase, EventKind};
use crate::history::History;
use crate::label::{Label, Short};

/// An event that a timeline shows as a point: a steal, a stall, a mark and so on.
///
/// Polls and parks are spans there, and wake-ups are arrows.
pub(crate) struct Instant<'h, 'a> {
    history: &'h History<'a>,
    kind: EventKind<'a>,
}

impl<'h, 'a> Instant<'h, 'a> {
    /// Returns the point of an event, if it is shown as one.
    pub(crate) fn of(history: &'h History<'a>, kind: EventKind<'a>) -> Option<Self> {
        match kind {
            EventKind::Steal { .. }
            | EventKind::UnparkWorker { .. }
            | EventKind::TimersFired { .. }
            | EventKind::Stall { .. }
            | EventKind::Rescue { .. }
            | EventKind::Resize { .. }
            | EventKind::Drain { .. }
            | EventKind::BudgetSpent { .. }
            | EventKind::Mark { .. }
            | EventKind::TakeGlobal { .. }
            | EventKind::RecorderStart => Some(Self { history, kind }),
            EventKind::ReactorPoll { events, .. } if events > 0 => Some(Self { history, kind }),
            _ => None,
        }
    }

    /// Returns true if the event concerns the whole runtime, and not one thread.
    pub(crate) fn is_global(&self) -> bool {
        matches!(self.kind, EventKind::Resize { .. } | EventKind::Drain { .. })
    }

    /// Returns the numbers of the event, with their names.
    pub(crate) fn numbers(&self) -> Vec<(&'static str, u64)> {
        match self.kind {
            EventKind::Steal { victim, tasks } => vec![("victim", victim), ("tasks", tasks)],
            EventKind::UnparkWorker { worker } | EventKind::Rescue { worker } => vec![("worker", worker)],
            EventKind::ReactorPoll { events, duration } => vec![("events", events), ("duration_ns", duration.0)],
            EventKind::TimersFired { timers, lateness } => vec![("timers", timers), ("lateness_ns", lateness.0)],
            EventKind::Stall { worker, task, so_far } => {
                vec![("worker", worker), ("task", task.0), ("so_far_ns", so_far.0)]
            }
            EventKind::Resize { before, after } => vec![("before", before), ("after", after)],
            EventKind::Drain { alive, .. } => vec![("alive", alive)],
            EventKind::BudgetSpent { task } => vec![("task", task.0)],
            EventKind::TakeGlobal { tasks } => vec![("tasks", tasks)],
            _ => Vec::new(),
        }
    }
}

/// Writes the name of the point.
impl fmt::Display for Instant<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            EventKind::Steal { victim, .. } => write!(f, "steal from worker {victim}"),
            EventKind::UnparkWorker { worker } => write!(f, "unpark worker {worker}"),
            EventKind::ReactorPoll { .. } => f.write_str("reactor"),
            EventKind::TimersFired { .. } => f.write_str("timers"),
            EventKind::Stall { task, .. } => {
                write!(f, "stall: {}", Label::of(task, self.history.trace().task(task)))
            }
            EventKind::Rescue { .. } => f.write_str("rescue"),
            EventKind::Resize { .. } => f.write_str("resize"),
            EventKind::Drain { phase: DrainPhase::Begin, .. } => f.write_str("drain begins"),
            EventKind::Drain { phase: DrainPhase::Deadline, .. } => f.write_str("drain reaches its deadline"),
            EventKind::Drain { phase: DrainPhase::End, .. } => f.write_str("drain ends"),
            EventKind::BudgetSpent { .. } => f.write_str("budget spent"),
            EventKind::Mark { text, .. } => Short(text).fmt(f),
            EventKind::TakeGlobal { .. } => f.write_str("take from the global queue"),
            EventKind::RecorderStart => f.write_str("recorder starts"),
            _ => f.write_str("event"),
        }
    }
}
