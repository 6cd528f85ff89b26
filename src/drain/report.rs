//! The report of a drain.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::raw_task::{Id, TaskInfo};
use crate::sync::Arc;

/// How the tasks of a drained runtime have ended. Returned by
/// [`Drain`](crate::runtime::Drain).
///
/// The three counts are of tasks and blocking jobs that have ended between the call of `drain` and
/// the report. Each task and job that had not ended by itself at the deadline is named in
/// `stragglers`.
///
/// The report does not wait for code that does not return. A task or job in such a poll, function
/// or destructor is named, and is in none of the counts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DrainReport {
    /// How many ended with an output.
    pub completed: u64,
    /// How many ended by a panic.
    pub panicked: u64,
    /// How many ended without an output: aborted, or cancelled at the deadline.
    pub cancelled: u64,
    /// The tasks and jobs that had not ended by themselves at the deadline.
    pub stragglers: Vec<Straggler>,
    /// How many more of them have no known name. Almost always zero.
    ///
    /// A thread stood still from before the deadline to the report, while it spawned such a task or
    /// moved it from one queue to another. Or the task ended at the very moment of the report.
    pub unnamed: u64,
    /// The time from the call of `drain` to the report.
    pub elapsed: Duration,
}

/// A task or blocking job that had not ended by itself at the deadline of a drain.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Straggler {
    /// The task's id.
    pub id: Id,
    /// The task's name, if it has one; see [`task::Builder`](crate::task::Builder).
    pub name: Option<Arc<str>>,
    /// The place where it was spawned.
    pub location: &'static Location<'static>,
    /// For how long at least its poll, function or destructor was running when the report was made.
    ///
    /// `None` if it was not running: it was dropped, or waits in a queue to be dropped.
    pub running_for: Option<Duration>,
}

impl From<TaskInfo> for Straggler {
    fn from(task: TaskInfo) -> Self {
        let TaskInfo { id, name, location } = task;
        Straggler { id, name, location, running_for: None }
    }
}

impl fmt::Display for Straggler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "task {} \"{name}\" spawned at {}", self.id, self.location)?,
            None => write!(f, "task {} spawned at {}", self.id, self.location)?,
        }
        match self.running_for {
            Some(time) => write!(f, " (running for {time:?})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DrainReport { completed, panicked, cancelled, stragglers, unnamed, elapsed } = self;
        write!(f, "drained in {elapsed:?}: {completed} completed, {panicked} panicked, {cancelled} cancelled")?;
        for (index, straggler) in stragglers.iter().enumerate() {
            write!(f, "{}{straggler}", if index == 0 { "; late: " } else { ", " })?;
        }
        if *unnamed > 0 {
            write!(f, "; and {unnamed} whose names are not known")?;
        }
        Ok(())
    }
}
