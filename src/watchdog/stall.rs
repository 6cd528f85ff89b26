//! Stall reports and counters.
#![doc = include_str!("../../docs/stalls.md")]

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::metrics::counter::Counter;
use crate::primitive::Arc;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::raw_task::Id;

/// Called for each report.
pub(crate) type StallHook = Arc<dyn Fn(&StallReport) + Send + Sync>;

/// A worker has been in one poll for longer than
/// [`Builder::stall_threshold`](crate::runtime::Builder::stall_threshold).
///
/// The report is made once, while the stall lasts. Its `Display` is one line, with a remedy.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StallReport {
    /// The number of the worker's seat.
    pub worker: usize,
    /// The kernel's id of its thread, for a debugger or `/proc`. Linux only.
    pub thread: Option<u32>,
    /// The task that is being polled. `None` if no task keeps the worker. It may be in a foreign
    /// waker, a hook or a destructor. Or it lacks a processor, perhaps between two polls.
    pub task: Option<Id>,
    /// The name of the task, if it has one.
    pub name: Option<Arc<str>>,
    /// The name of the task's group, if it has one.
    pub group: Option<Arc<str>>,
    /// Where the task was spawned.
    pub location: Option<&'static Location<'static>>,
    /// How long the poll has lasted so far, at least.
    pub lasted: Duration,
    /// What the worker's thread does.
    pub cause: StallCause,
}

/// What the thread of a stalled worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StallCause {
    /// It waits in the operating system: for a lock, a file, a connection, a sleep.
    Blocked,
    /// It computes.
    Busy,
    /// It is ready to run, but has no processor: more threads are ready than there are processors.
    Starved,
    /// The platform does not tell.
    Unknown,
}

impl StallCause {
    /// Returns true if another thread would find a processor, as far as is known.
    pub(crate) fn leaves_a_processor(self) -> bool {
        matches!(self, StallCause::Blocked | StallCause::Unknown)
    }

    fn describe(self) -> &'static str {
        match self {
            StallCause::Blocked => "blocked: its thread waits in the operating system",
            StallCause::Busy => "busy: its thread computes",
            StallCause::Starved => "ready to run, but without a processor",
            StallCause::Unknown => "whether blocked or busy is not known on this platform",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            StallCause::Blocked => "await what it waits for, or move that to `spawn_blocking`",
            StallCause::Busy => "divide the computation by `yield_now`, or move it to `spawn_blocking`",
            StallCause::Starved => "run fewer threads, or allow the process more processors",
            StallCause::Unknown => "await, `yield_now` or `spawn_blocking` in good time",
        }
    }
}

impl fmt::Display for StallCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StallCause::Blocked => "blocked",
            StallCause::Busy => "busy",
            StallCause::Starved => "starved",
            StallCause::Unknown => "unknown",
        })
    }
}

impl fmt::Display for StallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.task.is_some() { "in one poll" } else { "between two polls" };
        write!(f, "worker {} has been {place} for {:?} and is {}; ", self.worker, self.lasted, self.cause.describe())?;
        match (self.task, self.cause) {
            (Some(task), _) => write!(f, "task {task}")?,
            // The worker need not be in any user code.
            (None, StallCause::Starved) => f.write_str("in no task")?,
            (None, _) => f.write_str("in no task, but in a waker, a hook or a destructor")?,
        }
        if let Some(name) = &self.name {
            write!(f, " \"{name}\"")?;
        }
        if let Some(group) = &self.group {
            write!(f, " in group \"{group}\"")?;
        }
        if let Some(location) = self.location {
            write!(f, ", spawned at {location}")?;
        }
        write!(f, "; {}", self.cause.remedy())
    }
}

/// The numbers of stalls, by duration. Only the watchdog writes most of them.
#[derive(Debug)]
pub(crate) struct StallCounts {
    /// The reported stalls.
    pub(crate) reported: Counter,
    /// The rescues: tasks or timers taken from a stalled seat, or another worker woken because of
    /// it.
    pub(crate) rescues: Counter,
    /// The rescues from workers that were ready to run and had no processor.
    pub(crate) preempted_rescues: Counter,
    /// The spares that were started or claimed back, by any thread.
    spares: AtomicU64,
    /// The reported stalls that have ended, by duration.
    ended: [Counter; StallCounts::BUCKETS],
}

impl StallCounts {
    /// The number of buckets. Bucket `n` is for durations from 2ⁿ ms. The first one is also for
    /// shorter ones, the last one also for longer ones.
    pub(crate) const BUCKETS: usize = 16;

    pub(crate) fn new() -> Self {
        StallCounts {
            reported: Counter::new(),
            rescues: Counter::new(),
            preempted_rescues: Counter::new(),
            spares: AtomicU64::new(0),
            ended: std::array::from_fn(|_| Counter::new()),
        }
    }

    /// Counts a rescue with this cause. Only the watchdog calls this.
    pub(crate) fn count_rescue(&self, cause: StallCause) {
        let rescues = if cause == StallCause::Starved { &self.preempted_rescues } else { &self.rescues };
        rescues.add(1);
    }

    /// Counts a spare.
    pub(crate) fn count_spare(&self) {
        // Ordering: Relaxed — a statistic.
        self.spares.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of spares that were started or claimed back.
    pub(crate) fn spares(&self) -> u64 {
        // Ordering: Relaxed — a statistic.
        self.spares.load(Ordering::Relaxed)
    }

    /// Records the end of a reported stall.
    pub(crate) fn record_end(&self, lasted: Duration) {
        let bucket = lasted.as_millis().max(1).ilog2() as usize;
        self.ended[bucket.min(Self::BUCKETS - 1)].add(1);
    }

    /// Returns the numbers of ended stalls, by bucket.
    pub(crate) fn ended_by_bucket(&self) -> [u64; Self::BUCKETS] {
        std::array::from_fn(|bucket| self.ended[bucket].get())
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    fn message(task: Option<Id>, cause: StallCause) -> String {
        let location = task.map(|_| Location::caller());
        let lasted = Duration::from_millis(12);
        StallReport { worker: 3, thread: None, task, name: None, group: None, location, lasted, cause }.to_string()
    }

    /// A worker without a processor may be anywhere. The message blames no user code.
    #[test]
    fn report_of_starved_worker_between_polls_blames_no_user_code() {
        assert_eq!(
            message(None, StallCause::Starved),
            "worker 3 has been between two polls for 12ms and is ready to run, but without a processor; in no task; run fewer threads, or \
             allow the process more processors"
        );
    }

    #[test]
    fn report_of_blocked_worker_between_polls_names_what_it_may_run() {
        assert_eq!(
            message(None, StallCause::Blocked),
            "worker 3 has been between two polls for 12ms and is blocked: its thread waits in the operating system; in no task, but in a \
             waker, a hook or a destructor; await what it waits for, or move that to `spawn_blocking`"
        );
    }
}
