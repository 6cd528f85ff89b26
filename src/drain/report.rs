//! What a drain has to report.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::raw_task::{Id, TaskInfo};
use crate::sync::Arc;

/// What became of the tasks of a runtime that was drained. Answered by
/// [`Drain`](crate::runtime::Drain).
///
/// The three counts are of tasks and blocking jobs that have ended between the call of `drain` and
/// the report. Each task and job that had not ended by itself at the deadline is named in
/// `stragglers`. The report does not wait for what cannot be cancelled in time: a poll, a job or a
/// destructor that does not return is named, and is counted nowhere.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DrainReport {
    /// Ended with an output.
    pub completed: u64,
    /// Ended by a panic.
    pub panicked: u64,
    /// Ended without an output: aborted, or cancelled at the deadline.
    pub cancelled: u64,
    /// What had not ended by itself at the deadline.
    pub stragglers: Vec<Straggler>,
    /// How many more there are of these whose names nobody knows: a thread that had begun to spawn
    /// them, or had them in its hands on their way from one queue to another, has stood still from
    /// before the deadline to the report; or they ended in that very moment. Zero but for that.
    pub unnamed: u64,
    /// From the call of `drain` to the report.
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
    /// Where it was spawned.
    pub location: &'static Location<'static>,
    /// For how long, at least, its poll, its function or its destructor has been running when the
    /// report is made. `None` if it is not running: it has been dropped, or waits in a queue to be
    /// dropped.
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
