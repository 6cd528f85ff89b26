//! The gate through which tasks come in that no seat has counted, and by which they leave.

use crate::sync::atomic::{AtomicU64, Ordering};

/// Outsiders are refused.
const CLOSED: u64 = 1 << 0;
/// Everybody is refused.
const SEALED: u64 = 1 << 1;
/// One that has come in.
const ONE: u64 = 1 << 2;

/// Somebody counts those who leave, to see when nobody is left.
const WATCHED: u64 = 1 << 0;
/// One that has left.
const GONE: u64 = 1 << 1;

/// Counts tasks in and out, and refuses them. See [the drain's page](crate::drain::reaper).
///
/// Whether somebody may come in, and that he has come in, is one read-modify-write of one word: so
/// whoever closes the gate knows how many are inside, and nobody is inside whom he does not know.
#[derive(Debug)]
pub(crate) struct Gate {
    entered: AtomicU64,
    left: AtomicU64,
}

/// Who wants a task to come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpawnSource {
    /// A task or a job that lives, or a worker on its behalf.
    Internal,
    /// A thread of somebody else's, or the root of a `block_on`.
    External,
}

/// The gate's state at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entered(u64);

impl Entered {
    /// How many have come in so far.
    pub(crate) fn total(self) -> u64 {
        self.0 / ONE
    }
}

impl Gate {
    pub(crate) fn new() -> Self {
        Gate { entered: AtomicU64::new(0), left: AtomicU64::new(0) }
    }

    /// Counts one in, if it may come in.
    #[must_use]
    pub(crate) fn try_enter(&self, who: SpawnSource) -> bool {
        let bars = match who {
            SpawnSource::Internal => SEALED,
            SpawnSource::External => SEALED | CLOSED,
        };
        let next = |now: u64| (now & bars == 0).then_some(now + ONE);
        // Ordering: Acquire — pairs with the Release in `close` and `seal`: who is refused sees the
        // phase; Release — pairs with the Acquire in `entered`.
        self.entered.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_ok()
    }

    /// Refuses outsiders from now on, and has those who leave say so.
    pub(crate) fn close_external(&self) {
        // Ordering: AcqRel — with `enter`.
        self.entered.fetch_or(CLOSED, Ordering::AcqRel);
        // Ordering: AcqRel — with `leave`: whoever leaves later sees the bit, and whoever has left
        // before is seen.
        self.left.fetch_or(WATCHED, Ordering::AcqRel);
    }

    /// Refuses everybody from now on, if nobody has come in since `seen`.
    #[must_use]
    pub(crate) fn try_seal(&self, seen: Entered) -> bool {
        // Ordering: AcqRel — with `enter`.
        self.entered.compare_exchange(seen.0, seen.0 | SEALED | CLOSED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Refuses everybody from now on.
    pub(crate) fn seal_now(&self) {
        // Ordering: AcqRel — with `enter`.
        self.entered.fetch_or(SEALED | CLOSED, Ordering::AcqRel);
    }

    /// Whether nobody may come in any more. Asked by whoever has been let in and has queued his
    /// task: if he does not see the seal, then who seals the gate sees the task.
    #[must_use]
    pub(crate) fn is_sealed(&self) -> bool {
        // A read-modify-write of the same value: it takes its place in the order of all changes to
        // the word. Ordering: Release — the task has been queued; Acquire — pairs with the Release
        // in `shut`.
        self.entered.fetch_or(0, Ordering::AcqRel) & SEALED != 0
    }

    /// Who has come in.
    pub(crate) fn entered(&self) -> Entered {
        // Ordering: Acquire — pairs with the Release in `enter`.
        Entered(self.entered.load(Ordering::Acquire))
    }

    /// Counts one out. True if somebody has to look whether it was the last.
    #[must_use]
    pub(crate) fn exit(&self) -> bool {
        // Ordering: Release — the end comes before it, and what the ended has spawned; Acquire —
        // pairs with `close`.
        self.left.fetch_add(GONE, Ordering::AcqRel) & WATCHED != 0
    }

    /// How many have left.
    pub(crate) fn exited(&self) -> u64 {
        // Ordering: Acquire — pairs with the Release in `leave`: what the ended has spawned has
        // been counted.
        self.left.load(Ordering::Acquire) / GONE
    }
}
