//! The flight recorder: what the workers have done in the last seconds, in memory.
#![doc = include_str!("../docs/recorder.md")]

pub(crate) mod record;
pub(crate) mod site_table;
pub(crate) mod snapshot;
pub(crate) mod ticks;
pub(crate) mod trace_file;
pub(crate) mod track;
pub(crate) mod triggers;

use std::cell::Cell;
use std::time::Duration;

use crate::clock::Clock;
use crate::primitive::statics::{AtomicBool, Ordering};
use crate::primitive::{Arc, Mutex};
use crate::raw_task::{Header, Id};
use crate::recorder::record::{Kind, PollResult, Record, TaskWord};
use crate::recorder::ticks::Ticks;
use crate::recorder::track::{CopiedRecords, Track, TrackWriter};
use crate::util::cpu::Tid;
use crate::util::wake_list::catch_user_panic;

/// The bytes of a track, unless the program sets another number.
pub(crate) const DEFAULT_BYTES: usize = 1 << 20;

std::thread_local! {
    /// The kernel's id of this thread, or zero if it is not known yet.
    static THREAD: Cell<u32> = const { Cell::new(0) };
}

/// The recorder of one runtime.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// No model and no simulation switches threads at a load of it.
    is_on: AtomicBool,
    /// The bytes of each track.
    bytes: usize,
    pub(crate) ticks: Ticks,
    /// The tracks of the workers that have recorded something, with their seats.
    workers: Mutex<Vec<(usize, Arc<Track>)>>,
    /// The track of all threads that are no workers.
    others: Mutex<Option<TrackWriter>>,
}

/// What the tracks held at one moment.
#[derive(Debug)]
pub(crate) struct CopiedTracks {
    /// By seat.
    pub(crate) workers: Vec<(usize, CopiedRecords)>,
    pub(crate) others: Option<CopiedRecords>,
}

/// A step of a drain, as the trace format numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DrainStep {
    Begin = 0,
    Deadline = 1,
    End = 2,
}

impl Recorder {
    /// Returns a recorder that is off, and has no memory yet. `bytes` is the size of each track.
    pub(crate) fn new(clock: Clock, bytes: usize) -> Recorder {
        Recorder {
            is_on: AtomicBool::new(false),
            bytes,
            ticks: Ticks::new(clock),
            workers: Mutex::new(Vec::new()),
            others: Mutex::new(None),
        }
    }

    /// Returns true if events are recorded.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        // Ordering: Relaxed — `Pool::bump_tick` orders it for the workers. Another thread may
        // record a little longer, or begin a little later.
        self.is_on.load(Ordering::Relaxed)
    }

    /// Makes all threads record. A worker begins at its next checkpoint, which the caller makes
    /// due.
    pub(crate) fn start(&self) {
        if self.others.lock().is_none() {
            // Not under the lock: a failure is logged.
            let track = self.new_track();
            let mut others = self.others.lock();
            if others.is_none() {
                *others = track;
            }
        }
        // Ordering: Relaxed — see `Recorder::is_on`.
        self.is_on.store(true, Ordering::Relaxed);
        self.record_outside(|at| Record::new(Kind::Started, at, 0));
    }

    /// Makes all threads stop recording. What they have recorded stays.
    pub(crate) fn stop(&self) {
        // Ordering: Relaxed — see `Recorder::is_on`.
        self.is_on.store(false, Ordering::Relaxed);
    }

    fn new_track(&self) -> Option<TrackWriter> {
        let track = TrackWriter::new(self.bytes);
        if let Err(error) = &track {
            let bytes = self.bytes;
            catch_user_panic("a tracing subscriber", || {
                tracing::error!(
                    target: "heist::recorder",
                    %error,
                    bytes,
                    "there is no memory for the flight recorder, so a thread records nothing; lower `Builder::flight_recorder`"
                );
            });
        }
        track.ok()
    }

    /// Creates the track of a seat. Returns `None` if there is no memory for it.
    #[cold]
    pub(crate) fn new_worker_track(&self, seat: usize) -> Option<TrackWriter> {
        let writer = self.new_track()?;
        self.workers.lock().push((seat, Arc::clone(writer.track())));
        Some(writer)
    }

    /// Records an event of a thread that is no worker, if the recorder is on. `record` gets the
    /// time.
    #[cold]
    pub(crate) fn record_outside(&self, record: impl FnOnce(u64) -> Record) {
        self.record_outside_with(record, |_| ());
    }

    /// As [`Recorder::record_outside`]. `details` writes records that follow.
    #[cold]
    pub(crate) fn record_outside_with(&self, record: impl FnOnce(u64) -> Record, details: impl FnOnce(&TrackWriter)) {
        if !self.is_on() {
            return;
        }
        let thread = this_thread();
        let others = self.others.lock();
        if let Some(track) = &*others {
            // Under the lock, so that the track is in the order of time.
            let at = self.ticks.now();
            track.write(record(at));
            track.write(Record::new(Kind::Thread, at, thread.into()));
            details(track);
        }
    }

    /// Records that the watchdog reports a stall: the worker has been in one poll for so long.
    pub(crate) fn record_stall(&self, worker: usize, task: Option<Id>, lasted: Duration) {
        let word = TaskWord::with_count(task.map_or(0, Id::get), worker);
        let lasted = u64::try_from(lasted.as_nanos()).unwrap_or(u64::MAX);
        self.record_outside_with(
            |at| Record::of_task(Kind::Stall, at, word),
            |track| track.write(Record::new(Kind::Duration, 0, lasted)),
        );
    }

    /// Records that the watchdog has taken the tasks or the timers of a stalled worker.
    pub(crate) fn record_rescue(&self, worker: usize) {
        self.record_outside(|at| Record::pair(Kind::Rescue, at, worker, 0));
    }

    /// Records a step of a drain, while so many tasks are alive.
    pub(crate) fn record_drain(&self, step: DrainStep, alive: u64) {
        self.record_outside(|at| {
            Record::pair(Kind::Drain, at, step as usize, usize::try_from(alive).unwrap_or(usize::MAX))
        });
    }

    /// Copies the tracks, without disturbing the workers.
    pub(crate) fn copy(&self) -> CopiedTracks {
        let workers: Vec<(usize, Arc<Track>)> = self.workers.lock().clone();
        let others = self.others.lock().as_ref().map(|others| Arc::clone(others.track()));
        CopiedTracks {
            workers: workers.into_iter().map(|(seat, track)| (seat, track.copy())).collect(),
            others: others.map(|track| track.copy()),
        }
    }

    /// Returns the bytes of all tracks.
    pub(crate) fn memory(&self) -> usize {
        let workers: usize = self.workers.lock().iter().map(|(_, track)| track.bytes()).sum();
        workers + self.others.lock().as_ref().map_or(0, |others| others.track().bytes())
    }
}

/// Returns the record of a new task or blocking job. Its names follow: see [`write_names_of`].
pub(crate) fn spawn_record(kind: Kind, at: u64, task: &Header) -> Record {
    let site = site_table::number_of(task.location());
    Record::of_task(kind, at, TaskWord::new(task.id().get(), site, PollResult::Pending))
}

/// Writes the names of the task in the record before.
pub(crate) fn write_names_of(track: &TrackWriter, task: &Header) {
    write_names(track, task.name().map(|name| name.as_bytes()), task.group().map(|group| group.name().as_bytes()));
}

/// As [`write_names_of`], for a task that may have been freed.
pub(crate) fn write_names(track: &TrackWriter, name: Option<&[u8]>, group: Option<&[u8]>) {
    for (kind, text) in [(Kind::Name, name), (Kind::Group, group)] {
        text.into_iter().flat_map(|text| Record::of_text(kind, text)).for_each(|record| track.write(record));
    }
}

/// Returns the kernel's id of the calling thread, or zero if it has none.
fn this_thread() -> u32 {
    let known = THREAD.try_with(Cell::get).unwrap_or(0);
    if known != 0 {
        return known;
    }
    let thread = Tid::current().map_or(0, Tid::get);
    let _ = THREAD.try_with(|known| known.set(thread));
    thread
}
