//! Polls and waits: what the events of a trace tell together.
//!
//! A poll has a start and an end on one track. A wait begins on the track that queues the task, and
//! ends with a poll, perhaps on another. [`History::new`] brings them together.
//!
//! Rings overwrite their oldest events, so that a start, an end or a wake-up may be missing. A poll
//! without a start is left out. A wait without its poll is marked as unknown.

mod builder;
mod merge;
mod poll;
mod track_times;
mod wait;

pub use poll::Poll;
pub use track_times::TrackTimes;
pub use wait::{Cause, Trigger, Wait};

pub(crate) use merge::Merge;

use crate::label::TaskKind;
use crate::nanos::Nanos;
use crate::task::TaskId;
use crate::trace::Trace;
use crate::track::TrackKind;

/// A task of a history: each that has an event, and each that the trace describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryTask {
    pub(crate) id: TaskId,
    pub(crate) kind: u32,
}

impl HistoryTask {
    /// Returns the id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Returns the index of the kind in [`History::kinds`].
    #[must_use]
    pub fn kind(&self) -> usize {
        self.kind as usize
    }
}

/// The polls and waits of a trace.
#[derive(Clone, Debug)]
pub struct History<'a> {
    trace: &'a Trace<'a>,
    end: Nanos,
    kinds: Vec<TaskKind<'a>>,
    tasks: Vec<HistoryTask>,
    polls: Vec<Poll>,
    waits: Vec<Wait>,
    tracks: Vec<TrackTimes>,
}

impl<'a> History<'a> {
    /// Brings the events of a trace together.
    #[must_use]
    pub fn new(trace: &'a Trace<'a>) -> Self {
        builder::Builder::new(trace).build()
    }

    /// Returns the trace.
    #[must_use]
    pub fn trace(&self) -> &'a Trace<'a> {
        self.trace
    }

    /// Returns the time of the snapshot, or that of the last event if it is later.
    #[must_use]
    pub fn end(&self) -> Nanos {
        self.end
    }

    /// Returns the kinds of tasks: those with the same name, or from the same place.
    #[must_use]
    pub fn kinds(&self) -> &[TaskKind<'a>] {
        &self.kinds
    }

    /// Returns the tasks.
    #[must_use]
    pub fn tasks(&self) -> &[HistoryTask] {
        &self.tasks
    }

    /// Returns the polls in the order of their starts.
    #[must_use]
    pub fn polls(&self) -> &[Poll] {
        &self.polls
    }

    /// Returns the waits in the order of their events.
    #[must_use]
    pub fn waits(&self) -> &[Wait] {
        &self.waits
    }

    /// Returns the times of each track, in the order of [`Trace::tracks`].
    #[must_use]
    pub fn tracks(&self) -> &[TrackTimes] {
        &self.tracks
    }

    /// Returns the kind of the task with this index.
    #[must_use]
    pub(crate) fn kind_of(&self, task: usize) -> &TaskKind<'a> {
        &self.kinds[self.tasks[task].kind()]
    }

    pub(crate) fn track_kinds(&self) -> Vec<TrackKind> {
        self.trace.tracks().map(|track| track.kind()).collect()
    }
}
