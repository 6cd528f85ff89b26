//! A trace file, checked.

use crate::cursor::Cursor;
use crate::error::Error;
use crate::nanos::Nanos;
use crate::task::{Place, Task, TaskId};
use crate::track::{RawTrack, Track};

pub(crate) const MAGIC: &[u8; 8] = b"HEISTTRC";
pub(crate) const VERSION: u16 = 1;

/// The tags of the sections.
pub(crate) const RUNTIME: u8 = 1;
pub(crate) const TEXTS: u8 = 2;
pub(crate) const TASKS: u8 = 3;
pub(crate) const TRACK: u8 = 4;

/// The runtime, and the snapshot of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Runtime<'a> {
    /// The version of heist.
    pub version: &'a str,
    /// The name of the runtime.
    pub name: &'a str,
    /// The reason of the snapshot: `request`, `stall`, `drain`, `panic` or `signal`.
    pub reason: &'a str,
    /// The process id.
    pub process: u64,
    /// The wall clock at the snapshot, in nanoseconds since 1970.
    pub wall_clock: u64,
    /// The trace time of the snapshot.
    pub snapshot_at: Nanos,
    /// The number of workers.
    pub workers: u64,
}

impl<'a> Runtime<'a> {
    fn parse(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(Self {
            version: cursor.text()?,
            name: cursor.text()?,
            reason: cursor.text()?,
            process: cursor.number()?,
            wall_clock: cursor.number()?,
            snapshot_at: Nanos(cursor.number()?),
            workers: cursor.number()?,
        })
    }
}

/// A trace: what a runtime has done in its last seconds.
///
/// Texts and events stay in the bytes of the file. So a trace needs little memory besides them.
///
/// # Examples
///
/// ```
/// use heist_trace::write::TraceBuilder;
/// use heist_trace::{Event, EventKind, Nanos, Runtime, Trace, TrackKind};
///
/// let mut builder = TraceBuilder::new(&Runtime::default());
/// builder.track(TrackKind::Worker(0), &[Event::new(Nanos(5), EventKind::Park)]);
/// let file = builder.finish();
///
/// let trace = Trace::parse(&file)?;
/// for track in trace.tracks() {
///     for event in track.events() {
///         println!("{} {}: {:?}", track.kind(), event.at, event.kind);
///     }
/// }
/// # Ok::<(), heist_trace::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Trace<'a> {
    runtime: Runtime<'a>,
    texts: Vec<&'a str>,
    tasks: Vec<Task<'a>>,
    /// Indices into `tasks`, in the order of the ids.
    by_id: Vec<u32>,
    tracks: Vec<RawTrack<'a>>,
}

impl<'a> Trace<'a> {
    /// Parses a file. Every event is checked, so that reading them later cannot fail.
    ///
    /// # Errors
    ///
    /// Returns the first fault of the file. Files of 4 GiB and more are refused.
    pub fn parse(file: &'a [u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(file, 0, "the header");
        if u32::try_from(file.len()).is_err() {
            return Err(cursor.fault("a file of less than 4 GiB"));
        }
        parse_header(&mut cursor)?;
        let mut trace = Self {
            runtime: Runtime::default(),
            texts: Vec::new(),
            tasks: Vec::new(),
            by_id: Vec::new(),
            tracks: Vec::new(),
        };
        let (mut has_runtime, mut has_texts) = (false, false);
        let mut cursor = Cursor::new(cursor.rest(), cursor.offset(), "the sections");
        while !cursor.is_empty() || !has_runtime {
            let start = cursor.clone();
            let tag = cursor.bytes(1, "the tag of a section: the runtime (1) comes first")?[0];
            let length = cursor.bytes(4, "the length of a section in four bytes")?;
            let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
            let offset = cursor.offset();
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let body = cursor.bytes(length, "the rest of a section: the file has been cut")?;
            if has_runtime != (tag != RUNTIME) {
                return Err(start.fault("the section of the runtime (1) once, before all others"));
            }
            match tag {
                RUNTIME => {
                    trace.runtime = Runtime::parse(&mut Cursor::new(body, offset, "the runtime"))?;
                    has_runtime = true;
                }
                TEXTS if has_texts || !trace.tasks.is_empty() || !trace.tracks.is_empty() => {
                    return Err(start.fault("the texts (2) once, before the tasks and the tracks"));
                }
                TEXTS => {
                    trace.texts = parse_texts(&mut Cursor::new(body, offset, "the texts"))?;
                    has_texts = true;
                }
                TASKS => trace.parse_tasks(&mut Cursor::new(body, offset, "the tasks"))?,
                TRACK => {
                    let track = RawTrack::parse(&mut Cursor::new(body, offset, "a track"), &trace.texts)?;
                    trace.tracks.push(track);
                }
                _ => {}
            }
        }
        trace.by_id = (0..trace.tasks.len() as u32).collect();
        trace.by_id.sort_by_key(|index| trace.tasks[*index as usize].id);
        Ok(trace)
    }

    fn parse_tasks(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Error> {
        for _ in 0..cursor.number()? {
            let id = TaskId(cursor.number()?);
            let flags = cursor.number()?;
            let (name, group) = (self.optional_text(cursor)?, self.optional_text(cursor)?);
            let file = self.optional_text(cursor)?;
            let (line, column) = (cursor.number()?, cursor.number()?);
            self.tasks.push(Task {
                id,
                is_alive: flags & 1 != 0,
                is_blocking: flags & 2 != 0,
                name,
                group,
                place: file.map(|file| Place { file, line, column }),
            });
        }
        Ok(())
    }

    /// Takes the index of a text plus one, or zero for no text.
    fn optional_text(&self, cursor: &mut Cursor<'a>) -> Result<Option<&'a str>, Error> {
        let start = cursor.clone();
        let Some(index) = cursor.number()?.checked_sub(1) else { return Ok(None) };
        match self.texts.get(usize::try_from(index).unwrap_or(usize::MAX)) {
            Some(text) => Ok(Some(text)),
            None => Err(start.fault("the index of a text that is in the list of texts")),
        }
    }

    /// Returns the runtime, and what is known of the snapshot.
    #[must_use]
    pub fn runtime(&self) -> &Runtime<'a> {
        &self.runtime
    }

    /// Returns the tasks in the order of the file.
    #[must_use]
    pub fn tasks(&self) -> &[Task<'a>] {
        &self.tasks
    }

    /// Returns the task with this id, if the trace describes it.
    ///
    /// If a file has several tasks with the id, the result is the first one.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&Task<'a>> {
        let at = self.by_id.partition_point(|index| self.tasks[*index as usize].id < id);
        self.by_id.get(at).map(|index| &self.tasks[*index as usize]).filter(|task| task.id == id)
    }

    /// Returns the tracks in the order of the file.
    pub fn tracks(&self) -> impl ExactSizeIterator<Item = Track<'_>> + Clone {
        self.tracks.iter().map(|raw| Track::new(raw, &self.texts))
    }
}

fn parse_header(cursor: &mut Cursor<'_>) -> Result<(), Error> {
    let start = cursor.clone();
    if cursor.bytes(8, "`HEISTTRC`: the file is no trace of heist, or has been cut")? != MAGIC {
        return Err(start.fault("`HEISTTRC`: the file is no trace of heist"));
    }
    let start = cursor.clone();
    if cursor.bytes(2, "the version in two bytes")? != VERSION.to_le_bytes() {
        return Err(start.fault("version 1: a newer `heist-trace` may read this file"));
    }
    let start = cursor.clone();
    if cursor.bytes(2, "two bytes of zero")? != [0, 0] {
        return Err(start.fault("two bytes of zero"));
    }
    Ok(())
}

fn parse_texts<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<&'a str>, Error> {
    // The number is not trusted: a text has one byte at least, so that the vector grows with the
    // file.
    let mut texts = Vec::new();
    for _ in 0..cursor.number()? {
        texts.push(cursor.text()?);
    }
    Ok(texts)
}
