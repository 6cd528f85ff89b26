//! What happens rarely: stalls, rescues, resizes, drains and marks.

use std::fmt;

use super::Counted;
use crate::event::{DrainPhase, Event, EventKind};
use crate::history::{History, Merge};
use crate::label::{Label, Short};
use crate::track::TrackKind;

/// The most incidents of a summary.
const MOST_INCIDENTS: usize = 50;

/// A stall, a rescue, a resize, a step of a drain, or a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incident<'a> {
    /// The track of the event.
    pub track: TrackKind,
    /// The event.
    pub event: Event<'a>,
}

/// Returns the first incidents, and the number of all.
pub(crate) fn incidents<'a>(history: &History<'a>) -> (Vec<Incident<'a>>, u64) {
    let tracks = history.track_kinds();
    let (mut incidents, mut count) = (Vec::new(), 0);
    for (track, event) in Merge::new(history.trace()) {
        let is_incident = matches!(
            event.kind,
            EventKind::Stall { .. }
                | EventKind::Rescue { .. }
                | EventKind::Resize { .. }
                | EventKind::Drain { .. }
                | EventKind::Mark { .. }
        );
        if is_incident {
            count += 1;
            if incidents.len() < MOST_INCIDENTS {
                incidents.push(Incident { track: tracks[track as usize], event });
            }
        }
    }
    (incidents, count)
}

impl Incident<'_> {
    pub(crate) fn write(&self, history: &History<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  at {}: ", self.event.at)?;
        match self.event.kind {
            EventKind::Stall { worker, task, so_far } => {
                let label = Label::of(task, history.trace().task(task));
                writeln!(f, "worker {worker} is stalled by `{label}` (task {task}), for {so_far} so far")
            }
            EventKind::Rescue { worker } => {
                writeln!(f, "the watchdog takes what waits behind worker {worker}, which is stalled")
            }
            EventKind::Resize { before, after } => writeln!(f, "the workers change from {before} to {after}"),
            EventKind::Drain { phase: DrainPhase::Begin, alive } => {
                writeln!(f, "a drain begins, {} alive", Counted(alive, "task"))
            }
            EventKind::Drain { phase: DrainPhase::Deadline, alive } => {
                writeln!(f, "the drain reaches its deadline, {} alive", Counted(alive, "task"))
            }
            EventKind::Drain { phase: DrainPhase::End, alive } => {
                writeln!(f, "the drain ends, {} alive", Counted(alive, "task"))
            }
            EventKind::Mark { text, .. } => writeln!(f, "mark `{}` on {}", Short(text), self.track),
            other => writeln!(f, "{other:?}"),
        }
    }
}
