//! Takes snapshots of the recorder, and saves those that a trigger asks for.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::pool::Pool;
use crate::raw_task::{Header, Id, TaskView};
use crate::recorder::snapshot::{AliveTask, Events};
use crate::recorder::trace_file::{self, RuntimeFacts};
use crate::recorder::triggers::{self, SnapshotReason};
use crate::util::named_thread::named_thread;
use crate::util::wake_list::catch_user_panic;

impl Pool {
    /// Returns a trace file of what the recorder holds. It is empty of events if the recorder has
    /// never been on.
    pub(crate) fn take_snapshot(&self, reason: SnapshotReason) -> Vec<u8> {
        // In this order: a task of an event is alive afterwards, or its end is an event.
        let copied = self.recorder.copy();
        let calibration = self.recorder.ticks.calibrate();
        let alive = self.alive_tasks();
        let thread_of = |seat: usize| self.seats[seat].tid().map_or(0, |thread| thread.get());
        let events = Events::decode(copied, &calibration, Id::newest(), alive, thread_of);
        let unix_nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let facts = RuntimeFacts {
            name: self.settings.name.as_deref().unwrap_or_default().to_owned(),
            reason: reason.word(),
            unix_nanos: u64::try_from(unix_nanos).unwrap_or(u64::MAX),
            taken_at: calibration.now(),
            workers: self.base_workers(),
        };
        trace_file::encode(&facts, &events)
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
        let (directory, bytes) = (directory.to_owned(), self.take_snapshot(reason));
        // The disk may be slow, and the caller may be the watchdog.
        let saver = named_thread("heist-snapshot").spawn(move || save(&directory, reason, &bytes));
        if let Err(error) = saver {
            log_failure(&error, None);
        }
    }

    /// Saves a snapshot as [`Pool::save_snapshot`] does, and returns when it is saved. For a thread
    /// that may be the last one.
    #[cold]
    pub(crate) fn save_snapshot_here(&self, reason: SnapshotReason) {
        if let Some(directory) = self.settings.triggers.claim(reason, self.clock.now()) {
            save(directory, reason, &self.take_snapshot(reason));
        }
    }
}

fn save(directory: &Path, reason: SnapshotReason, bytes: &[u8]) {
    match triggers::save_in(directory, reason, bytes) {
        Ok(path) => catch_user_panic("a tracing subscriber", || {
            tracing::info!(target: "heist::recorder", path = %path.display(), reason = reason.word(), "saved a snapshot");
        }),
        Err(error) => log_failure(&error, Some(directory.to_owned())),
    }
}

fn log_failure(error: &std::io::Error, directory: Option<PathBuf>) {
    catch_user_panic("a tracing subscriber", || {
        tracing::error!(
            target: "heist::recorder",
            %error,
            ?directory,
            "a snapshot could not be saved; pass a directory to `Builder::snapshot_on` that exists and is writable"
        );
    });
}
