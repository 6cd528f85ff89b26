//! The events of one worker, or of all threads that are no workers.

use std::fmt;

use crate::cursor::Cursor;
use crate::error::Error;
use crate::event::{Event, take_event};
use crate::nanos::Nanos;

/// The threads that a track belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrackKind {
    /// The worker with this index.
    Worker(u64),
    /// All threads that are no workers.
    Threads,
    /// A value that this version does not know. The analyses leave such a track out.
    Unknown(u64),
}

impl TrackKind {
    fn from_numbers(kind: u64, index: u64) -> Self {
        match kind {
            0 => Self::Worker(index),
            1 => Self::Threads,
            other => Self::Unknown(other),
        }
    }

    pub(crate) fn to_numbers(self) -> (u64, u64) {
        match self {
            Self::Worker(index) => (0, index),
            Self::Threads => (1, 0),
            Self::Unknown(kind) => (kind, 0),
        }
    }
}

/// Writes `worker 3`, or `other threads`.
impl fmt::Display for TrackKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker(index) => write!(f, "worker {index}"),
            Self::Threads => f.write_str("other threads"),
            Self::Unknown(kind) => write!(f, "track of kind {kind}"),
        }
    }
}

/// The fields of a track, and its events as bytes.
#[derive(Clone, Debug)]
pub(crate) struct RawTrack<'a> {
    kind: TrackKind,
    thread: u64,
    lost: u64,
    count: u64,
    events: Cursor<'a>,
}

impl<'a> RawTrack<'a> {
    /// Takes a track. Each of its events is checked.
    pub(crate) fn parse(cursor: &mut Cursor<'a>, texts: &[&'a str]) -> Result<Self, Error> {
        let kind = TrackKind::from_numbers(cursor.number()?, cursor.number()?);
        let (thread, lost, count) = (cursor.number()?, cursor.number()?, cursor.number()?);
        let track = Self { kind, thread, lost, count, events: cursor.clone() };
        // The smallest event has two bytes, so that a false count ends the loop at the end of the
        // section.
        let mut at = Nanos::ZERO;
        for _ in 0..count {
            at = take_event(cursor, at, texts)?.0;
        }
        Ok(track)
    }
}

/// The events of one worker, or of all threads that are no workers.
#[derive(Clone, Copy, Debug)]
pub struct Track<'a> {
    raw: &'a RawTrack<'a>,
    texts: &'a [&'a str],
}

impl<'a> Track<'a> {
    pub(crate) fn new(raw: &'a RawTrack<'a>, texts: &'a [&'a str]) -> Self {
        Self { raw, texts }
    }

    /// Returns the threads that the track belongs to.
    #[must_use]
    pub fn kind(&self) -> TrackKind {
        self.raw.kind
    }

    /// Returns the operating system's id of the thread that was the worker last, if it is known.
    #[must_use]
    pub fn thread(&self) -> Option<u64> {
        Some(self.raw.thread).filter(|thread| *thread != 0)
    }

    /// Returns the number of events that later ones have overwritten.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.raw.lost
    }

    /// Returns the number of events in the file, those of unknown kinds included.
    #[must_use]
    pub fn event_count(&self) -> u64 {
        self.raw.count
    }

    /// Returns the events in the order of time, without those of unknown kinds.
    #[must_use]
    pub fn events(&self) -> Events<'a> {
        Events { cursor: self.raw.events.clone(), texts: self.texts, left: self.raw.count, at: Nanos::ZERO }
    }
}

/// The events of a track, in the order of time.
#[derive(Clone, Debug)]
pub struct Events<'a> {
    cursor: Cursor<'a>,
    texts: &'a [&'a str],
    left: u64,
    at: Nanos,
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        while self.left > 0 {
            self.left -= 1;
            // `RawTrack::parse` has taken the same events without a fault.
            let (at, kind) = take_event(&mut self.cursor, self.at, self.texts).ok()?;
            self.at = at;
            if let Some(kind) = kind {
                return Some(Event { at, kind });
            }
        }
        None
    }
}
