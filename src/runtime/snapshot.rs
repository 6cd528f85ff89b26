//! Snapshots of the flight recorder, and what makes a runtime save them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::{Builder, SnapshotReason};
use crate::pool::Pool;
use crate::primitive::statics::Mutex;
use crate::primitive::{Arc, Weak, is_simulated};

/// A trace of the last seconds of a runtime.
///
/// The command `heist-trace` reads it, and so does the crate of that name. The format is stable,
/// and documented in `docs/trace-format.md`.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    bytes: Vec<u8>,
}

impl Snapshot {
    pub(super) fn new(bytes: Vec<u8>) -> Snapshot {
        Snapshot { bytes }
    }

    /// Returns the trace as the bytes of a file.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes the trace into a file, which is created or replaced.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new()?;
    /// # let path = std::env::temp_dir().join(format!("doc-{}.trace", std::process::id()));
    /// runtime.handle().recorder().snapshot().save(&path)?;
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> io::Result<()> {
        std::fs::write(path, &self.bytes)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("bytes", &self.bytes.len()).finish()
    }
}

impl Builder {
    /// Saves a snapshot of the flight recorder into `directory` whenever there is this reason, at
    /// most once in ten seconds for each reason.
    ///
    /// The file is called `heist-<process>-<number>-<reason>.trace`. If it cannot be written, an
    /// error is logged. The recorder has to be on: see [`Builder::flight_recorder`].
    ///
    /// - [`SnapshotReason::Panic`] adds a panic hook to the process, which calls the hook before it
    ///   first. The hook stays. If the program sets another one later, no snapshot is saved.
    /// - [`SnapshotReason::Signal`] adds a handler for `SIGUSR2`, and a thread.
    ///
    /// # Panics
    ///
    /// If the reason is [`SnapshotReason::Request`], which is [`Recorder::snapshot`].
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::{Builder, SnapshotReason};
    ///
    /// let directory = std::env::temp_dir();
    /// let runtime = Builder::new_multi_thread()
    ///     .flight_recorder(1 << 20)
    ///     .snapshot_on(SnapshotReason::Stall, &directory)
    ///     .snapshot_on(SnapshotReason::Drain, &directory)
    ///     .build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// [`Recorder::snapshot`]: super::Recorder::snapshot
    #[track_caller]
    pub fn snapshot_on(&mut self, reason: SnapshotReason, directory: impl Into<PathBuf>) -> &mut Builder {
        assert!(
            reason != SnapshotReason::Request,
            "snapshot_on(Request): a runtime cannot know when; call `Recorder::snapshot` then"
        );
        self.settings.triggers.add(reason, directory.into());
        self
    }
}

/// Starts what a new runtime needs to record, and to save snapshots.
pub(super) fn install(pool: &Arc<Pool>) -> io::Result<()> {
    if pool.settings.records {
        pool.recorder.start();
    }
    let triggers = &pool.settings.triggers;
    let of_the_process = [SnapshotReason::Panic, SnapshotReason::Signal];
    if is_simulated() && of_the_process.into_iter().any(|reason| triggers.is_wanted(reason)) {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "snapshot_on: a panic and a signal concern the whole process, and not one simulation; call `Recorder::snapshot`",
        ));
    }
    if triggers.is_wanted(SnapshotReason::Panic) {
        add_to_panic_hook(pool)?;
    }
    if triggers.is_wanted(SnapshotReason::Signal) {
        super::snapshot_signal::listen(Arc::downgrade(pool))?;
    }
    Ok(())
}

/// The runtimes that save a snapshot when a thread panics. The hook is added with the first.
static PANIC_HOOK: Mutex<PanicHook> = Mutex::new(PanicHook { is_added: false, pools: Vec::new() });

struct PanicHook {
    is_added: bool,
    pools: Vec<Weak<Pool>>,
}

/// Makes the panic hook save snapshots of this runtime, as long as it exists.
fn add_to_panic_hook(pool: &Arc<Pool>) -> io::Result<()> {
    if std::thread::panicking() {
        return Err(io::Error::other(
            "snapshot_on(Panic): a thread that panics cannot change the panic hook; build the runtime elsewhere",
        ));
    }
    let mut hook = PANIC_HOOK.lock();
    hook.pools.retain(|pool| pool.strong_count() > 0);
    hook.pools.push(Arc::downgrade(pool));
    if !std::mem::replace(&mut hook.is_added, true) {
        let next = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // The message first: the process may end while the snapshot is saved.
            next(info);
            let pools = PANIC_HOOK.lock().pools.clone();
            for pool in pools.iter().filter_map(Weak::upgrade) {
                pool.save_snapshot_silently(SnapshotReason::Panic);
            }
        }));
    }
    Ok(())
}
