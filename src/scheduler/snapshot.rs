//! Takes snapshots of the recorder, and saves those that a trigger asks for.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::pool::Pool;
use crate::raw_task::{Header, Id, TaskView};
use crate::recorder::CopiedTracks;
use crate::recorder::snapshot::{AliveTask, Events};
use crate::recorder::ticks::Calibration;
use crate::recorder::trace_file::{self, RuntimeFacts};
use crate::recorder::triggers::{self, SnapshotReason};
use crate::util::named_thread::named_thread;
use crate::util::wake_list::catch_user_panic;

/// What a snapshot is made of. It refers to nothing of the runtime, so any thread may encode it.
struct Parts {
    copied: CopiedTracks,
    calibration: Calibration,
    newest: u64,
    alive: Vec<AliveTask>,
    /// The kernel's ids of the workers' threads, by seat.
    threads: Vec<u32>,
    facts: RuntimeFacts,
}

impl Parts {
    fn encode(self) -> Vec<u8> {
        let thread_of = |seat: usize| self.threads.get(seat).copied().unwrap_or(0);
        let events = Events::decode(self.copied, &self.calibration, self.newest, self.alive, thread_of);
        trace_file::encode(&self.facts, &events)
    }
}

impl Pool {
    /// Returns a trace file of what the recorder holds. It is empty of events if the recorder has
    /// never been on.
    pub(crate) fn take_snapshot(&self, reason: SnapshotReason) -> Vec<u8> {
        self.snapshot_parts(reason).encode()
    }

    fn snapshot_parts(&self, reason: SnapshotReason) -> Parts {
        // In this order: a task of an event is alive afterwards, or its end is an event.
        let copied = self.recorder.copy();
        let calibration = self.recorder.ticks.calibrate();
        let unix_nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let facts = RuntimeFacts {
            name: self.settings.name.as_deref().unwrap_or_default().to_owned(),
            reason: reason.word(),
            unix_nanos: u64::try_from(unix_nanos).unwrap_or(u64::MAX),
            taken_at: calibration.now(),
            workers: self.base_workers(),
        };
        let threads = self.seats.iter().map(|seat| seat.tid().map_or(0, |thread| thread.get())).collect();
        Parts { copied, calibration, newest: Id::newest(), alive: self.alive_tasks(), threads, facts }
    }

    /// Returns the tasks and the blocking jobs that are visible from outside.
    fn alive_tasks(&self) -> Vec<AliveTask> {
        let mut alive = Vec::new();
        let mut add = |header: &Header| alive.push(AliveTask { info: header.identity(), is_job: false });
        self.global.for_each(&mut add);
        self.groups.for_each_queued(&mut add);
        let polled = self.seats.iter().filter_map(|seat| seat.polling.get());
        let idle = self.seats.iter().flat_map(|seat| seat.live.task_views()).map(|TaskView { task, .. }| task);
        alive.extend(polled.chain(idle).map(|info| AliveTask { info, is_job: false }));
        alive.extend(self.drain_state.jobs.live.all().into_iter().map(|info| AliveTask { info, is_job: true }));
        alive
    }

    /// Saves a snapshot if a trigger asks for one, and the last one is not too recent.
    #[cold]
    pub(crate) fn save_snapshot(&self, reason: SnapshotReason) {
        let Some(directory) = self.settings.triggers.claim(reason, self.clock.now()) else { return };
        let (directory, parts) = (directory.to_owned(), self.snapshot_parts(reason));
        // The disk may be slow, and the caller may be the watchdog.
        let saver = named_thread("heist-snapshot")
            .spawn(move || log_saved(reason, &directory, save(&directory, reason, parts)));
        if let Err(error) = saver {
            log_failure(&error, None);
        }
    }

    /// As [`Pool::save_snapshot`], but returns when the snapshot is saved.
    #[cold]
    pub(crate) fn save_snapshot_here(&self, reason: SnapshotReason) {
        if let Some(directory) = self.settings.triggers.claim(reason, self.clock.now()) {
            log_saved(reason, directory, save(directory, reason, self.snapshot_parts(reason)));
        }
    }

    /// As [`Pool::save_snapshot_here`], without a word to the log. A subscriber must not be called
    /// in a panic hook.
    #[cold]
    pub(crate) fn save_snapshot_silently(&self, reason: SnapshotReason) {
        if let Some(directory) = self.settings.triggers.claim(reason, self.clock.now()) {
            drop(save(directory, reason, self.snapshot_parts(reason)));
        }
    }
}

fn save(directory: &Path, reason: SnapshotReason, parts: Parts) -> io::Result<PathBuf> {
    triggers::save_in(directory, reason, &parts.encode())
}

fn log_saved(reason: SnapshotReason, directory: &Path, saved: io::Result<PathBuf>) {
    match saved {
        Ok(path) => catch_user_panic("a tracing subscriber", || {
            tracing::info!(target: "heist::recorder", path = %path.display(), reason = reason.word(), "saved a snapshot");
        }),
        Err(error) => log_failure(&error, Some(directory.to_owned())),
    }
}

fn log_failure(error: &io::Error, directory: Option<PathBuf>) {
    catch_user_panic("a tracing subscriber", || {
        tracing::error!(
            target: "heist::recorder",
            %error,
            ?directory,
            "a snapshot could not be saved; pass a directory to `Builder::snapshot_on` that exists and is writable"
        );
    });
}
