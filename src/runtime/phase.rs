//! The phase of a runtime's life, for users.

use std::fmt;

use crate::phase::Phase;

/// The phase of a runtime's life, in a [`Dump`](super::Dump).
///
/// The phases follow each other in this order. A runtime may skip some, and never goes back.
///
/// ```
/// use heist::runtime::{Runtime, RuntimePhase};
///
/// let runtime = Runtime::new()?;
/// assert_eq!(runtime.dump().phase, RuntimePhase::Running);
/// runtime.drain(std::time::Duration::from_secs(10)).wait();
/// assert_eq!(runtime.dump().phase.to_string(), "drained");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RuntimePhase {
    /// The runtime accepts tasks from every thread.
    Running,
    /// A drain has begun. Live tasks and blocking jobs may spawn, other spawns are refused.
    Draining,
    /// A drain has completed before its deadline. Only tasks that are exempt from the drain may be
    /// left, and every spawn is refused.
    Drained,
    /// A drain's deadline has passed. Every spawn is refused, and the runtime drops the tasks that
    /// are left, except exempt ones. Its `Display` is `overdue`.
    DeadlinePassed,
    /// The runtime is being shut down. Every spawn is refused, and the runtime drops all tasks. Its
    /// `Display` is `cancelling`.
    ShuttingDown,
    /// The shutdown has dropped all tasks, except those whose polls have not returned.
    Closed,
}

impl From<Phase> for RuntimePhase {
    fn from(phase: Phase) -> RuntimePhase {
        match phase {
            Phase::Running => RuntimePhase::Running,
            Phase::Draining => RuntimePhase::Draining,
            Phase::Drained => RuntimePhase::Drained,
            Phase::DeadlinePassed => RuntimePhase::DeadlinePassed,
            Phase::ShuttingDown => RuntimePhase::ShuttingDown,
            Phase::Closed => RuntimePhase::Closed,
        }
    }
}

impl fmt::Display for RuntimePhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RuntimePhase::Running => "running",
            RuntimePhase::Draining => "draining",
            RuntimePhase::Drained => "drained",
            RuntimePhase::DeadlinePassed => "overdue",
            RuntimePhase::ShuttingDown => "cancelling",
            RuntimePhase::Closed => "closed",
        })
    }
}
