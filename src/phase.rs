//! The phase of a runtime's life, which only advances.

use crate::primitive::atomic::{AtomicU8, Ordering};

/// The phases, in their order. A runtime may skip some of them, and never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Every thread and task may spawn.
    Running = 0,
    /// Live tasks may spawn; spawns from outside are refused.
    Draining = 1,
    /// All spawns are refused. Tasks that are still alive are exempt from the drain, and go on.
    Drained = 2,
    /// The drain's deadline has passed: all spawns are refused, and live tasks that are not exempt
    /// are dropped.
    DeadlinePassed = 3,
    /// The runtime is being shut down: all spawns are refused, and live tasks are dropped.
    ShuttingDown = 4,
    /// No task is alive, except in polls that do not return.
    Closed = 5,
}

/// A runtime's phase.
#[derive(Debug)]
pub(crate) struct AtomicPhase(AtomicU8);

impl AtomicPhase {
    pub(crate) fn new() -> Self {
        AtomicPhase(AtomicU8::new(Phase::Running as u8))
    }

    /// Returns true if the runtime accepts every spawn, as far as this thread knows.
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        // Ordering: Relaxed — a thread that must not miss the change is notified of it by other
        // means, and therefore sees it.
        self.0.load(Ordering::Relaxed) == Phase::Running as u8
    }

    #[inline]
    pub(crate) fn load(&self) -> Phase {
        // Ordering: Acquire — pairs with the Release in `AtomicPhase::advance`: a reader of a phase
        // sees what came before it.
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Draining,
            2 => Phase::Drained,
            3 => Phase::DeadlinePassed,
            4 => Phase::ShuttingDown,
            _ => Phase::Closed,
        }
    }

    /// Advances to `phase`. Returns false if the runtime was there already, or further.
    pub(crate) fn advance(&self, phase: Phase) -> bool {
        // Ordering: Release — pairs with the Acquire in `AtomicPhase::load`.
        self.0.fetch_max(phase as u8, Ordering::AcqRel) < phase as u8
    }
}
