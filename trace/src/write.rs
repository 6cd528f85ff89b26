//! Builds trace files, for tests of tools that read them.
//!
//! A runtime writes its traces by itself. This module exists so that a test need not run one.

use std::collections::HashMap;

use crate::event::{Event, EventKind};
use crate::nanos::Nanos;
use crate::task::Task;
use crate::trace::{MAGIC, RUNTIME, Runtime, TASKS, TEXTS, TRACK, VERSION};
use crate::track::TrackKind;

/// Appends a number in LEB128.
pub fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a text: its length, and its bytes.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a section: its tag, its length, and its bytes.
///
/// # Panics
///
/// Panics if the body has 4 GiB or more. Split it into several sections.
pub fn put_section(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    let length = u32::try_from(body.len()).expect("a section of less than 4 GiB; split it into several sections");
    out.push(tag);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(body);
}

/// Appends the header: the magic bytes, the version, and two bytes of zero.
pub fn put_header(out: &mut Vec<u8>) {
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
}

/// Builds a trace file.
///
/// # Examples
///
/// ```
/// use heist_trace::write::TraceBuilder;
/// use heist_trace::{Runtime, Task, TaskId, Trace};
///
/// let mut builder = TraceBuilder::new(&Runtime::default());
/// let mut task = Task::new(TaskId(1));
/// task.name = Some("accept");
/// builder.task(&task);
/// let file = builder.finish();
/// assert_eq!(Trace::parse(&file)?.task(TaskId(1)), Some(&task));
/// # Ok::<(), heist_trace::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TraceBuilder {
    runtime: Vec<u8>,
    texts: HashMap<String, u64>,
    text_bytes: Vec<u8>,
    tasks: Vec<u8>,
    task_count: u64,
    tracks: Vec<Vec<u8>>,
}

impl TraceBuilder {
    /// Starts a file of this runtime.
    #[must_use]
    pub fn new(runtime: &Runtime<'_>) -> Self {
        let mut bytes = Vec::new();
        for text in [runtime.version, runtime.name, runtime.reason] {
            put_text(&mut bytes, text);
        }
        for number in [runtime.process, runtime.wall_clock, runtime.snapshot_at.0, runtime.workers] {
            put_number(&mut bytes, number);
        }
        Self {
            runtime: bytes,
            texts: HashMap::new(),
            text_bytes: Vec::new(),
            tasks: Vec::new(),
            task_count: 0,
            tracks: Vec::new(),
        }
    }

    /// Adds a task to the list.
    pub fn task(&mut self, task: &Task<'_>) {
        let flags = u64::from(task.is_alive) | u64::from(task.is_blocking) << 1;
        let (line, column) = task.place.map_or((0, 0), |place| (place.line, place.column));
        let texts = [task.name, task.group, task.place.map(|place| place.file)];
        let [name, group, file] = texts.map(|text| text.map_or(0, |text| self.text(text) + 1));
        for number in [task.id.0, flags, name, group, file, line, column] {
            put_number(&mut self.tasks, number);
        }
        self.task_count += 1;
    }

    /// Adds a track that has lost no events, and whose thread is unknown.
    ///
    /// # Panics
    ///
    /// Panics if an event is earlier than the one before it. Sort the events.
    #[track_caller]
    pub fn track(&mut self, kind: TrackKind, events: &[Event<'_>]) {
        self.track_of_thread(kind, 0, 0, events);
    }

    /// Adds a track of the thread with this id, or 0, that has lost so many events.
    ///
    /// # Panics
    ///
    /// Panics if an event is earlier than the one before it. Sort the events.
    #[track_caller]
    pub fn track_of_thread(&mut self, kind: TrackKind, thread: u64, lost: u64, events: &[Event<'_>]) {
        let mut bytes = Vec::new();
        let (kind, index) = kind.to_numbers();
        for number in [kind, index, thread, lost, events.len() as u64] {
            put_number(&mut bytes, number);
        }
        let mut before = Nanos::ZERO;
        for event in events {
            let passed = event.at.0.checked_sub(before.0).expect("events in the order of time; sort them");
            before = event.at;
            let (code, fields) = self.fields(&event.kind);
            // Zeros at the end are left out: a reader reads them as zero.
            let count = fields.iter().rposition(|field| *field != 0).map_or(0, |last| last + 1);
            put_number(&mut bytes, code << 3 | count as u64);
            put_number(&mut bytes, passed);
            for field in &fields[..count] {
                put_number(&mut bytes, *field);
            }
        }
        self.tracks.push(bytes);
    }

    /// Returns the file.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut file = Vec::new();
        put_header(&mut file);
        put_section(&mut file, RUNTIME, &self.runtime);
        let mut texts = Vec::new();
        put_number(&mut texts, self.texts.len() as u64);
        texts.extend_from_slice(&self.text_bytes);
        put_section(&mut file, TEXTS, &texts);
        let mut tasks = Vec::new();
        put_number(&mut tasks, self.task_count);
        tasks.extend_from_slice(&self.tasks);
        put_section(&mut file, TASKS, &tasks);
        for track in &self.tracks {
            put_section(&mut file, TRACK, track);
        }
        file
    }

    /// Returns the index of a text, which is added if it is new.
    fn text(&mut self, text: &str) -> u64 {
        if let Some(index) = self.texts.get(text) {
            return *index;
        }
        let index = self.texts.len() as u64;
        self.texts.insert(text.to_owned(), index);
        put_text(&mut self.text_bytes, text);
        index
    }

    /// Returns the code of an event, and its fields.
    fn fields(&mut self, kind: &EventKind<'_>) -> (u64, [u64; 3]) {
        match *kind {
            EventKind::Spawn { task, thread } => (1, [task.0, thread, 0]),
            EventKind::Wake { task, thread } => (2, [task.0, thread, 0]),
            EventKind::PollStart { task, queued } => (3, [task.0, queued, 0]),
            EventKind::PollEnd { task, how } => (4, [task.0, how.to_number(), 0]),
            EventKind::Steal { victim, tasks } => (5, [victim, tasks, 0]),
            EventKind::Park => (6, [0; 3]),
            EventKind::Unpark => (7, [0; 3]),
            EventKind::UnparkWorker { worker } => (8, [worker, 0, 0]),
            EventKind::ReactorPoll { events, duration } => (9, [events, duration.0, 0]),
            EventKind::TimersFired { timers, lateness } => (10, [timers, lateness.0, 0]),
            EventKind::BlockingQueue { task, thread } => (11, [task.0, thread, 0]),
            EventKind::BlockingStart { task, thread } => (12, [task.0, thread, 0]),
            EventKind::BlockingEnd { task, thread } => (13, [task.0, thread, 0]),
            EventKind::Stall { worker, task, so_far } => (14, [worker, task.0, so_far.0]),
            EventKind::Rescue { worker } => (15, [worker, 0, 0]),
            EventKind::Resize { before, after } => (16, [before, after, 0]),
            EventKind::Drain { phase, alive } => (17, [phase.to_number(), alive, 0]),
            EventKind::BudgetSpent { task } => (18, [task.0, 0, 0]),
            EventKind::Mark { text, thread } => (19, [self.text(text), thread, 0]),
            EventKind::TakeGlobal { tasks } => (20, [tasks, 0, 0]),
            EventKind::RecorderStart => (21, [0; 3]),
        }
    }
}
