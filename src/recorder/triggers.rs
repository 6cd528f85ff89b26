//! What makes the recorder save a snapshot by itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::primitive::statics::{AtomicU64, Ordering};

/// The least time between two snapshots for the same reason, in nanoseconds.
const MIN_INTERVAL: u64 = 10_000_000_000;

/// The time of a snapshot that has not been saved yet.
const NEVER: u64 = u64::MAX;

/// Why a snapshot is taken.
///
/// [`Builder::snapshot_on`](crate::runtime::Builder::snapshot_on) makes a runtime save one by
/// itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SnapshotReason {
    /// The program has asked for it.
    Request,
    /// The watchdog reports a stall: a worker has been in one poll for longer than
    /// [`Builder::stall_threshold`](crate::runtime::Builder::stall_threshold).
    Stall,
    /// A drain has ended, and tasks were alive at its deadline.
    Drain,
    /// A thread of the process panics.
    Panic,
    /// The process has received `SIGUSR2`. Unix only.
    Signal,
}

impl SnapshotReason {
    const ALL: [SnapshotReason; 5] = [
        SnapshotReason::Request,
        SnapshotReason::Stall,
        SnapshotReason::Drain,
        SnapshotReason::Panic,
        SnapshotReason::Signal,
    ];

    /// Returns the word that a trace file has for this.
    pub(crate) fn word(self) -> &'static str {
        match self {
            SnapshotReason::Request => "request",
            SnapshotReason::Stall => "stall",
            SnapshotReason::Drain => "drain",
            SnapshotReason::Panic => "panic",
            SnapshotReason::Signal => "signal",
        }
    }
}

/// The reasons for which a runtime saves snapshots, and where it saves them.
#[derive(Debug, Default)]
pub(crate) struct Triggers {
    wanted: Vec<(SnapshotReason, PathBuf)>,
    /// When a snapshot was last saved for each reason, on the runtime's clock.
    saved_at: [SavedAt; SnapshotReason::ALL.len()],
}

#[derive(Debug)]
struct SavedAt(AtomicU64);

impl Default for SavedAt {
    fn default() -> SavedAt {
        SavedAt(AtomicU64::new(NEVER))
    }
}

impl Clone for Triggers {
    fn clone(&self) -> Triggers {
        Triggers { wanted: self.wanted.clone(), ..Triggers::default() }
    }
}

impl Triggers {
    /// Adds a reason, with the directory for its snapshots.
    pub(crate) fn add(&mut self, reason: SnapshotReason, directory: PathBuf) {
        self.wanted.retain(|(wanted, _)| *wanted != reason);
        self.wanted.push((reason, directory));
    }

    /// Returns true if snapshots are saved for this reason.
    pub(crate) fn is_wanted(&self, reason: SnapshotReason) -> bool {
        self.wanted.iter().any(|(wanted, _)| *wanted == reason)
    }

    /// Returns the directory for a snapshot for this reason. Returns `None` if none is wanted, or
    /// if the last one is too recent.
    pub(crate) fn claim(&self, reason: SnapshotReason, now: u64) -> Option<&Path> {
        let (_, directory) = self.wanted.iter().find(|(wanted, _)| *wanted == reason)?;
        let SavedAt(saved_at) = &self.saved_at[SnapshotReason::ALL.iter().position(|of| *of == reason)?];
        // Ordering: Relaxed — only the exchange of the time matters.
        let last = saved_at.load(Ordering::Relaxed);
        if last != NEVER && now.saturating_sub(last) < MIN_INTERVAL {
            return None;
        }
        // Ordering: Relaxed — as above. Of two threads, one saves the snapshot.
        saved_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        Some(directory)
    }
}

/// Writes a snapshot into a new file in `directory`. Returns its path.
pub(crate) fn save_in(directory: &Path, reason: SnapshotReason, bytes: &[u8]) -> io::Result<PathBuf> {
    /// Tells the files of one process apart.
    static NUMBER: AtomicU64 = AtomicU64::new(1);

    // Ordering: Relaxed — a number that only has to be unique.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!("heist-{}-{number}-{}.trace", std::process::id(), reason.word()));
    // A reader of the directory sees whole files only.
    let partial = path.with_extension("partial");
    fs::write(&partial, bytes)?;
    fs::rename(&partial, &path)?;
    Ok(path)
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    fn claim_within_the_interval_is_refused() {
        let mut triggers = Triggers::default();
        triggers.add(SnapshotReason::Stall, "old".into());
        triggers.add(SnapshotReason::Stall, "here".into());
        assert_eq!(triggers.claim(SnapshotReason::Panic, 5), None);
        assert_eq!(triggers.claim(SnapshotReason::Stall, 5), Some(Path::new("here")));
        assert_eq!(triggers.claim(SnapshotReason::Stall, 5 + MIN_INTERVAL - 1), None);
        assert_eq!(triggers.claim(SnapshotReason::Stall, 5 + MIN_INTERVAL), Some(Path::new("here")));
        assert_eq!(triggers.clone().claim(SnapshotReason::Stall, 6 + MIN_INTERVAL), Some(Path::new("here")));
    }

    #[test]
    fn claim_for_one_reason_allows_those_for_others() {
        let mut triggers = Triggers::default();
        for reason in SnapshotReason::ALL {
            triggers.add(reason, format!("{reason:?}").into());
        }
        for reason in SnapshotReason::ALL {
            assert_eq!(triggers.claim(reason, 5), Some(Path::new(&format!("{reason:?}"))));
        }
    }
}
