//! The flight recorder, for programs.

use std::fmt;

use super::{Builder, Handle, Snapshot, SnapshotReason};
use crate::context;
use crate::pool::Pool;
use crate::primitive::Arc;

/// The least size of a track, in bytes.
const LEAST_BYTES: usize = 4 << 10;

/// The flight recorder of a runtime.
///
/// It keeps what the workers have done in the last seconds: spawns, wakes, polls, steals, sleeps,
/// timers, reactor polls, stalls, drains. Each worker writes to a ring of its own, in which a new
/// event overwrites the oldest one. [`Recorder::snapshot`] copies the rings into a trace file,
/// which the command `heist-trace` shows.
///
/// While the recorder is off, which is the default, it costs nothing that can be measured, and has
/// no memory.
///
/// # Examples
///
/// ```
/// use heist::runtime::Runtime;
///
/// let runtime = Runtime::new()?;
/// let recorder = runtime.handle().recorder();
/// recorder.start();
/// runtime.block_on(async { heist::spawn(async {}).await })?;
/// let snapshot = recorder.snapshot();
/// recorder.stop();
/// assert!(snapshot.as_bytes().starts_with(b"HEISTTRC"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Recorder {
    pool: Arc<Pool>,
}

impl Recorder {
    /// Starts to record. Does nothing if the recorder is on.
    ///
    /// A worker begins to record at the end of its current poll, or when it next wakes. The first
    /// start allocates the memory, which the runtime keeps until it ends.
    pub fn start(&self) {
        if !self.pool.recorder.is_on() {
            self.pool.recorder.start();
            self.pool.bump_tick();
        }
    }

    /// Stops recording. What was recorded stays, and is part of later snapshots.
    pub fn stop(&self) {
        self.pool.recorder.stop();
        self.pool.bump_tick();
    }

    /// Returns true if the recorder is on.
    pub fn is_recording(&self) -> bool {
        self.pool.recorder.is_on()
    }

    /// Returns the bytes of all rings.
    ///
    /// That is the size that was asked for, for each worker that has recorded something. One more
    /// ring is for all other threads.
    pub fn memory(&self) -> usize {
        self.pool.recorder.memory()
    }

    /// Copies the rings into a trace. The workers are not disturbed.
    ///
    /// This takes some milliseconds per million events, and as much memory again for a moment.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.pool.take_snapshot(SnapshotReason::Request))
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("is_recording", &self.is_recording()).finish_non_exhaustive()
    }
}

impl Handle {
    /// Returns the flight recorder of the runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread().flight_recorder(1 << 20).build()?;
    /// assert!(runtime.handle().recorder().is_recording());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn recorder(&self) -> Recorder {
        Recorder { pool: Arc::clone(self.pool()) }
    }
}

impl Builder {
    /// Records from the start, into a ring of `bytes_per_worker` bytes for each worker, and one for
    /// all other threads.
    ///
    /// An event takes 16 bytes, and a poll is three events or so. A mebibyte holds the last 65,536
    /// events of a worker. Without this, [`Recorder::start`] allocates rings of one mebibyte.
    ///
    /// # Panics
    ///
    /// If the size is less than 4 KiB.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::{Builder, SnapshotReason};
    ///
    /// let runtime = Builder::new_multi_thread()
    ///     .flight_recorder(256 << 10)
    ///     .snapshot_on(SnapshotReason::Stall, std::env::temp_dir())
    ///     .build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn flight_recorder(&mut self, bytes_per_worker: usize) -> &mut Builder {
        assert!(
            bytes_per_worker >= LEAST_BYTES,
            "flight_recorder({bytes_per_worker}): a ring for so few events tells nothing; use at least {LEAST_BYTES} bytes"
        );
        self.settings.recorder_bytes = bytes_per_worker;
        self.settings.records = true;
        self
    }
}

/// Puts a mark into the flight recorder of the runtime that this thread is inside of.
///
/// The mark appears in traces at this time, on the track of this worker or thread. A text of more
/// than 70 bytes is cut. Does nothing if the recorder is off, or outside of a runtime.
///
/// # Examples
///
/// ```
/// use heist::runtime::{self, Builder};
///
/// let runtime = Builder::new_multi_thread().flight_recorder(64 << 10).build()?;
/// runtime.block_on(async { runtime::mark("checkout begins") });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn mark(text: &str) {
    if let Some(pool) = context::pool() {
        pool.record_mark(text);
    }
}
