//! A snapshot: the events of all tracks, in nanoseconds, with what is known of the tasks.

use std::collections::BTreeMap;
use std::panic::Location;

use super::record::{Kind, PollResult, Record, complete_id};
use super::ticks::Calibration;
use super::track::CopiedRecords;
use super::{CopiedTracks, site_table};
use crate::raw_task::TaskInfo;

/// One event, as the trace format has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimedEvent {
    pub(crate) kind: Kind,
    /// In nanoseconds of the runtime's clock.
    pub(crate) at: u64,
    /// The fields that are not texts.
    pub(crate) fields: Fields,
    /// The text of a mark, which is its first field.
    pub(crate) text: Option<String>,
}

/// The fields of an event: few, so that millions of events need no allocation each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    numbers: [u64; 3],
    count: u8,
}

impl Fields {
    fn push(&mut self, number: u64) {
        if let Some(field) = self.numbers.get_mut(usize::from(self.count)) {
            *field = number;
            self.count += 1;
        }
    }

    fn extend<const N: usize>(&mut self, numbers: [u64; N]) {
        numbers.into_iter().for_each(|number| self.push(number));
    }

    pub(crate) fn as_slice(&self) -> &[u64] {
        &self.numbers[..usize::from(self.count)]
    }
}

/// The events of one track.
#[derive(Debug)]
pub(crate) struct TimedTrack {
    /// The seat, or `None` for the threads that are no workers.
    pub(crate) seat: Option<usize>,
    /// The kernel's id of the worker's thread.
    pub(crate) thread: u32,
    pub(crate) lost: u64,
    pub(crate) events: Vec<TimedEvent>,
}

/// What a snapshot tells of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KnownTask {
    pub(crate) is_alive: bool,
    pub(crate) is_job: bool,
    /// When its last event was, and whether the task is queued since.
    last: (u64, bool),
    pub(crate) name: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) location: Option<&'static Location<'static>>,
}

/// The events of all tracks, and the tasks that they name, by id.
#[derive(Debug)]
pub(crate) struct Events {
    pub(crate) tracks: Vec<TimedTrack>,
    pub(crate) tasks: BTreeMap<u64, KnownTask>,
}

/// A task that was alive when the snapshot was taken.
#[derive(Debug)]
pub(crate) struct AliveTask {
    pub(crate) info: TaskInfo,
    pub(crate) is_job: bool,
}

impl Events {
    /// Decodes what the tracks hold. `newest` is not below any task's id. `thread_of` returns the
    /// kernel's id of a seat's thread.
    pub(crate) fn decode(
        copied: CopiedTracks,
        calibration: &Calibration,
        newest: u64,
        alive: Vec<AliveTask>,
        thread_of: impl Fn(usize) -> u32,
    ) -> Events {
        let mut events = Events { tracks: Vec::new(), tasks: BTreeMap::new() };
        for (seat, records) in copied.workers {
            events.decode_track(Some(seat), thread_of(seat), records, calibration, newest);
        }
        if let Some(records) = copied.others {
            events.decode_track(None, 0, records, calibration, newest);
        }
        // A task that has never been idle is in no list while it waits in a worker's queue.
        events.tasks.values_mut().for_each(|task| task.is_alive = task.last.1);
        for AliveTask { info, is_job } in alive {
            if let Some(task) = events.tasks.get_mut(&info.id.get()) {
                *task = KnownTask {
                    is_alive: true,
                    is_job,
                    name: info.name.map(|name| name.to_string()),
                    group: info.group.map(|group| group.to_string()),
                    location: Some(info.location),
                    last: task.last,
                };
            }
        }
        events
    }

    fn decode_track(
        &mut self,
        seat: Option<usize>,
        thread: u32,
        copied: CopiedRecords,
        calibration: &Calibration,
        newest: u64,
    ) {
        let mut track = TimedTrack { seat, thread, lost: copied.lost, events: Vec::new() };
        let mut records = copied.records.into_iter().peekable();
        let mut before = 0;
        while let Some(record) = records.next() {
            let Some(kind) = record.kind().filter(|kind| (*kind as u8) < Kind::Thread as u8) else {
                // What it belongs to has been overwritten.
                continue;
            };
            // Two readings of the counter on two cores may differ by some nanoseconds.
            let at = calibration.nanos_at(record.at()).max(before);
            before = at;
            let mut event = TimedEvent { kind, at, fields: Fields::default(), text: None };
            let task = self.decode_fields(record, &mut event, newest);
            let mut texts: [Vec<u8>; 3] = Default::default();
            while let Some(detail) =
                records.next_if(|next| next.kind().is_some_and(|kind| kind as u8 >= Kind::Thread as u8))
            {
                match detail.kind() {
                    Some(Kind::Name) => detail.append_text(&mut texts[0]),
                    Some(Kind::Group) => detail.append_text(&mut texts[1]),
                    Some(Kind::Text) => detail.append_text(&mut texts[2]),
                    Some(Kind::Duration) => event.fields.push(detail.payload()),
                    // Only events that name a thread have a field for it.
                    Some(Kind::Thread) if names_thread(kind) => event.fields.push(detail.payload()),
                    _ => {}
                }
            }
            let [name, group, text] = texts.map(|bytes| (!bytes.is_empty()).then(|| readable(&bytes)));
            if let Some(task) = task.and_then(|task| self.tasks.get_mut(&task)) {
                task.name = name.or(task.name.take());
                task.group = group.or(task.group.take());
            }
            // The records of its text may be missing, but a mark has one.
            event.text = text.or((kind == Kind::Mark).then(String::new));
            track.events.push(event);
        }
        self.tracks.push(track);
    }

    /// Sets the fields of an event, and notes its task. Returns the task.
    fn decode_fields(&mut self, record: Record, event: &mut TimedEvent, newest: u64) -> Option<u64> {
        let id = complete_id(record.task().task(), newest);
        let (first, second) = record.numbers();
        let mut site = None;
        match event.kind {
            Kind::Spawn | Kind::JobQueued => {
                event.fields.push(id);
                site = Some(record.task().site());
            }
            Kind::PollEnd => {
                event.fields.extend([id, record.task().result()]);
                site = Some(record.task().site()).filter(|site| *site != 0);
            }
            Kind::PollStart => event.fields.extend([id, record.task().count()]),
            Kind::Wake | Kind::JobStart | Kind::JobEnd | Kind::BudgetSpent => event.fields.push(id),
            Kind::Stall => event.fields.extend([record.task().count(), id]),
            Kind::Steal | Kind::Resize | Kind::Drain => event.fields.extend([first, second]),
            Kind::Notify | Kind::Rescue | Kind::GlobalTake => event.fields.push(first),
            Kind::Reactor | Kind::Timers => {
                let (count, nanos) = record.count_and_time();
                event.fields.extend([count, nanos]);
            }
            _ => {}
        }
        if !names_task(event.kind) || id == 0 {
            return None;
        }
        let task = self.tasks.entry(id).or_default();
        let is_queued = matches!(event.kind, Kind::Spawn | Kind::Wake | Kind::JobQueued)
            || event.kind == Kind::PollEnd && event.fields.as_slice().get(1) == Some(&(PollResult::Yielded as u64));
        if event.at >= task.last.0 && event.kind != Kind::Stall {
            task.last = (event.at, is_queued);
        }
        task.is_job |= matches!(event.kind, Kind::JobQueued | Kind::JobStart | Kind::JobEnd);
        task.location = site.and_then(site_table::place_of).or(task.location);
        Some(id)
    }
}

/// Returns true if an event of this kind names a task.
fn names_task(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Spawn
            | Kind::Wake
            | Kind::PollStart
            | Kind::PollEnd
            | Kind::JobQueued
            | Kind::JobStart
            | Kind::JobEnd
            | Kind::Stall
            | Kind::BudgetSpent
    )
}

/// Returns true if an event of this kind has the thread as its last field.
fn names_thread(kind: Kind) -> bool {
    matches!(kind, Kind::Spawn | Kind::Wake | Kind::JobQueued | Kind::JobStart | Kind::JobEnd | Kind::Mark)
}

/// Returns the text. A text that was cut may end within a character.
fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\u{fffd}').to_owned()
}
