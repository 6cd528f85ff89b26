//! How a task can end.

/// How a task has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With an output.
    Completed,
    /// By a panic.
    Panicked,
    /// Aborted, or dropped by the runtime.
    Cancelled,
}
