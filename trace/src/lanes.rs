//! The lanes of a timeline: one per worker, and one per other thread.

use std::collections::HashMap;
use std::fmt;

use crate::history::{Cause, History, Poll, Wait};
use crate::trace::Trace;
use crate::track::TrackKind;

/// A lane of a timeline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    kind: TrackKind,
    /// The operating system's id of the thread, or 0.
    pub(crate) thread: u64,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.thread) {
            (TrackKind::Threads, 0) => f.write_str("other threads"),
            (TrackKind::Threads, thread) => write!(f, "thread {thread}"),
            (kind, _) => kind.fmt(f),
        }
    }
}

/// The lanes, which are added as they are used.
pub(crate) struct Lanes {
    tracks: Vec<Lane>,
    by_thread: HashMap<(u32, u64), usize>,
    lanes: Vec<Lane>,
}

impl Lanes {
    pub(crate) fn new(trace: &Trace<'_>) -> Self {
        let lane = |track: crate::track::Track<'_>| Lane { kind: track.kind(), thread: track.thread().unwrap_or(0) };
        Self { tracks: trace.tracks().map(lane).collect(), by_thread: HashMap::new(), lanes: Vec::new() }
    }

    /// Returns the index of a lane, and the lane itself if it is new.
    pub(crate) fn lane(&mut self, track: usize, thread: u64) -> (usize, Option<Lane>) {
        let of_track = self.tracks[track];
        // A worker has one lane, and the other threads have one each.
        let thread = if of_track.kind == TrackKind::Threads { thread } else { 0 };
        let next = self.lanes.len();
        let index = *self.by_thread.entry((track as u32, thread)).or_insert(next);
        if index < next {
            return (index, None);
        }
        let lane = if of_track.kind == TrackKind::Threads { Lane { thread, ..of_track } } else { of_track };
        self.lanes.push(lane);
        (index, Some(lane))
    }

    /// Returns the index of the lane of a poll, and the lane itself if it is new.
    pub(crate) fn of_poll(&mut self, poll: &Poll) -> (usize, Option<Lane>) {
        self.lane(poll.track(), poll.thread().unwrap_or(0))
    }

    /// Returns the index of the lane on which a task was queued, and the lane itself if it is new.
    pub(crate) fn of_wait(&mut self, history: &History<'_>, wait: &Wait) -> (usize, Option<Lane>) {
        match wait.cause() {
            Cause::Thread(thread) => self.lane(wait.track(), thread),
            Cause::Poll(poll) => self.of_poll(&history.polls()[poll as usize]),
            _ => self.lane(wait.track(), 0),
        }
    }

    /// Returns all lanes that have been used.
    pub(crate) fn used(&self) -> &[Lane] {
        &self.lanes
    }
}
