//! One poll of a task, or one run of a blocking job.

use crate::event::PollEnd;
use crate::nanos::Nanos;

/// An index that names nothing.
pub(crate) const NONE: u32 = u32::MAX;

/// One poll of a task, or one run of a blocking job.
///
/// Polls, waits, tasks and tracks name each other by their indices in a
/// [`History`](super::History).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poll {
    pub(crate) start: Nanos,
    pub(crate) end: Nanos,
    pub(crate) thread: u64,
    pub(crate) how: Option<PollEnd>,
    pub(crate) task: u32,
    pub(crate) track: u32,
    pub(crate) wait: u32,
    pub(crate) woken: u32,
    pub(crate) behind: u32,
    pub(crate) is_open: bool,
}

impl Poll {
    /// Returns the time at which the poll started.
    #[must_use]
    pub fn start(&self) -> Nanos {
        self.start
    }

    /// Returns the time at which the poll ended.
    ///
    /// It is the time of the snapshot if the poll was under way. If the end has been overwritten,
    /// it is the latest time at which the poll may have ended.
    #[must_use]
    pub fn end(&self) -> Nanos {
        self.end
    }

    /// Returns the time that the poll took.
    #[must_use]
    pub fn duration(&self) -> Nanos {
        self.end.since(self.start)
    }

    /// Returns how the poll ended, or nothing if the trace does not tell.
    #[must_use]
    pub fn how(&self) -> Option<PollEnd> {
        self.how
    }

    /// Returns true if the poll was under way at the snapshot.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.is_open
    }

    /// Returns the index of the task.
    #[must_use]
    pub fn task(&self) -> usize {
        self.task as usize
    }

    /// Returns the index of the track that polled.
    #[must_use]
    pub fn track(&self) -> usize {
        self.track as usize
    }

    /// Returns the operating system's id of the thread, for a blocking job.
    #[must_use]
    pub fn thread(&self) -> Option<u64> {
        Some(self.thread).filter(|thread| *thread != 0)
    }

    /// Returns the index of the wait that ended with this poll, if the trace has it.
    #[must_use]
    pub fn wait(&self) -> Option<usize> {
        (self.wait != NONE).then_some(self.wait as usize)
    }

    /// Returns the number of tasks that the poll has spawned or woken.
    #[must_use]
    pub fn woken(&self) -> u64 {
        u64::from(self.woken)
    }

    /// Returns the number of tasks that were queued behind the task at its worker.
    #[must_use]
    pub fn behind(&self) -> u64 {
        u64::from(self.behind)
    }
}
