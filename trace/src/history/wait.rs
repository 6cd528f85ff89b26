//! The time from the queueing of a task to its poll.

use super::poll::NONE;
use crate::nanos::Nanos;

/// The time from the queueing of a task to its poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    pub(crate) since: Nanos,
    pub(crate) until: Nanos,
    pub(crate) cause: Cause,
    pub(crate) task: u32,
    pub(crate) track: u32,
    pub(crate) poll: u32,
    pub(crate) trigger: Trigger,
    pub(crate) is_open: bool,
}

/// What has queued a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trigger {
    /// The task was spawned. A blocking job was queued.
    Spawn,
    /// The task was woken.
    Wake,
    /// The task has yielded.
    Yield,
}

/// What has caused a spawn or a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The poll with this index, or the run of a blocking job.
    Poll(u32),
    /// The reactor.
    Reactor,
    /// A timer.
    Timers,
    /// The reactor or a timer: the trace does not tell which.
    Driver,
    /// Another thread, with this id of the operating system.
    Thread(u64),
    /// The task itself: it has yielded.
    Itself,
}

impl Wait {
    /// Returns the time at which the task was queued.
    #[must_use]
    pub fn since(&self) -> Nanos {
        self.since
    }

    /// Returns the time at which the poll started, or the time of the snapshot if the task was
    /// still queued.
    #[must_use]
    pub fn until(&self) -> Nanos {
        self.until
    }

    /// Returns the time that the task was queued.
    #[must_use]
    pub fn duration(&self) -> Nanos {
        self.until.since(self.since)
    }

    /// Returns what has queued the task.
    #[must_use]
    pub fn trigger(&self) -> Trigger {
        self.trigger
    }

    /// Returns what has caused it.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// Returns the index of the task.
    #[must_use]
    pub fn task(&self) -> usize {
        self.task as usize
    }

    /// Returns the index of the track on which the task was queued.
    #[must_use]
    pub fn track(&self) -> usize {
        self.track as usize
    }

    /// Returns the index of the poll that has ended the wait, if there is one.
    #[must_use]
    pub fn poll(&self) -> Option<usize> {
        (self.poll != NONE).then_some(self.poll as usize)
    }

    /// Returns true if the task was still queued at the snapshot.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.is_open
    }

    /// Returns true if the trace tells how long the task was queued. It does not if the poll has
    /// been overwritten.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.is_open || self.poll != NONE
    }
}
