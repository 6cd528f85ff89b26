//! When a runtime saves snapshots by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use heist::runtime::{Builder, SnapshotReason};
use heist_trace::{EventKind, Trace, TrackKind};

use super::events;

/// A directory that is removed at the end of a test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("heist-recorder-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    /// Waits for the first snapshot, and returns its bytes.
    fn first(&self, reason: &str) -> Vec<u8> {
        loop {
            let found =
                fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).find(|path| names(path, reason));
            // The file may be there before its content.
            if let Some(bytes) = found.and_then(|path| fs::read(path).ok()).filter(|bytes| Trace::parse(bytes).is_ok())
            {
                return bytes;
            }
            std::thread::yield_now();
        }
    }
}

fn names(path: &Path, reason: &str) -> bool {
    path.file_name().unwrap().to_str().unwrap().ends_with(&format!("-{reason}.trace"))
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn recording(reason: SnapshotReason, directory: &Directory) -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).flight_recorder(64 << 10).snapshot_on(reason, &directory.0);
    builder
}

#[test]
fn stall_saves_a_snapshot_with_the_poll_that_lasts() {
    let directory = Directory::new("stall");
    let runtime = recording(SnapshotReason::Stall, &directory).build().unwrap();
    let (end, ended) = mpsc::channel::<()>();
    let stuck = runtime.spawn(async move { ended.recv().unwrap() });
    let bytes = directory.first("stall");
    end.send(()).unwrap();
    runtime.block_on(stuck).unwrap();
    let trace = Trace::parse(&bytes).unwrap();
    assert_eq!(trace.runtime().reason, "stall");
    let starts = events(&trace, TrackKind::Worker(0), |kind| matches!(kind, EventKind::PollStart { .. }));
    let ends = events(&trace, TrackKind::Worker(0), |kind| matches!(kind, EventKind::PollEnd { .. }));
    assert_eq!(starts.len(), ends.len() + 1);
    let stalls = events(&trace, TrackKind::Threads, |kind| matches!(kind, EventKind::Stall { worker: 0, .. }));
    assert_eq!(stalls.len(), 1);
}

#[test]
fn drain_with_a_straggler_saves_a_snapshot() {
    let directory = Directory::new("drain");
    let runtime = recording(SnapshotReason::Drain, &directory).build().unwrap();
    let (began, begins) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let _stuck = runtime.spawn(async move {
        began.send(()).unwrap();
        ended.recv().unwrap();
    });
    begins.recv().unwrap();
    let report = runtime.block_on(runtime.drain(Duration::ZERO));
    assert_eq!(report.stragglers.len(), 1);
    let bytes = directory.first("drain");
    end.send(()).unwrap();
    let trace = Trace::parse(&bytes).unwrap();
    let drains = events(&trace, TrackKind::Threads, |kind| matches!(kind, EventKind::Drain { .. }));
    assert_eq!(drains.len(), 3);
}

#[test]
fn panic_of_a_task_saves_a_snapshot() {
    let directory = Directory::new("panic");
    let runtime = recording(SnapshotReason::Panic, &directory).build().unwrap();
    assert!(runtime.block_on(runtime.spawn(async { panic!("on purpose") })).is_err());
    let bytes = directory.first("panic");
    assert_eq!(Trace::parse(&bytes).unwrap().runtime().reason, "panic");
}

#[cfg(unix)]
#[test]
fn signal_saves_a_snapshot_while_the_worker_is_stuck() {
    let directory = Directory::new("signal");
    let runtime = recording(SnapshotReason::Signal, &directory).build().unwrap();
    let (began, begins) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let stuck = runtime.spawn(async move {
        began.send(()).unwrap();
        ended.recv().unwrap();
    });
    begins.recv().unwrap();
    // SAFETY: the process has a handler for the signal.
    assert_eq!(unsafe { libc::raise(libc::SIGUSR2) }, 0);
    let bytes = directory.first("signal");
    end.send(()).unwrap();
    runtime.block_on(stuck).unwrap();
    assert_eq!(Trace::parse(&bytes).unwrap().runtime().reason, "signal");
}

#[test]
fn directory_that_does_not_exist_stops_nothing() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .flight_recorder(64 << 10)
        .snapshot_on(SnapshotReason::Drain, "/nonexistent/for/heist")
        .build()
        .unwrap();
    let (began, begins) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let _stuck = runtime.spawn(async move {
        began.send(()).unwrap();
        ended.recv().unwrap();
    });
    begins.recv().unwrap();
    assert_eq!(runtime.block_on(runtime.drain(Duration::ZERO)).stragglers.len(), 1);
    end.send(()).unwrap();
}

#[test]
#[should_panic(expected = "call `Recorder::snapshot` then")]
fn snapshot_on_request_panics() {
    Builder::new_multi_thread().snapshot_on(SnapshotReason::Request, "here");
}
