//! Where a runtime stands in its life.

use crate::sync::atomic::{AtomicU8, Ordering};

/// The phases, in the order in which they follow each other; some may be left out, and none is left
/// backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Everybody may spawn.
    Running = 0,
    /// What lives may spawn; outsiders are refused.
    Draining = 1,
    /// Nobody may spawn; what lives is excused from the drain, and goes on.
    Drained = 2,
    /// The drain's deadline has come: nobody may spawn; what lives and is not excused is dropped.
    DeadlinePassed = 3,
    /// The runtime is being shut down: nobody may spawn; what lives is dropped.
    ShuttingDown = 4,
    /// Nothing lives, except polls that do not return.
    Closed = 5,
}

/// A runtime's phase.
#[derive(Debug)]
pub(crate) struct AtomicPhase(AtomicU8);

impl AtomicPhase {
    pub(crate) fn new() -> Self {
        AtomicPhase(AtomicU8::new(Phase::Running as u8))
    }

    /// Whether everybody may spawn, as far as is known here.
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        // Ordering: Relaxed — who must not miss the change has been told of it by other means, and
        // sees it therefore.
        self.0.load(Ordering::Relaxed) == Phase::Running as u8
    }

    #[inline]
    pub(crate) fn load(&self) -> Phase {
        // Ordering: Acquire — pairs with the Release in `advance`: who sees a phase sees what came
        // before it.
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            2 => Phase::Drained,
            3 => Phase::DeadlinePassed,
            4 => Phase::ShuttingDown,
            _ => Phase::Closed,
        }
    }

    /// Goes on to `phase`. False if the runtime was there already, or further.
    pub(crate) fn advance(&self, phase: Phase) -> bool {
        // Ordering: Release — pairs with the Acquire in `load`.
        self.0.fetch_max(phase as u8, Ordering::AcqRel) < phase as u8
    }
}
