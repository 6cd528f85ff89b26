//! What is said about a worker that does not come back from a poll.
#![doc = include_str!("../../docs/stalls.md")]

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::metrics::counter::Counter;
use crate::raw_task::Id;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Is told of stalls.
pub(crate) type StallHook = Arc<dyn Fn(&StallReport) + Send + Sync>;

/// A worker has been in one poll for longer than
/// [`Builder::stall_threshold`](crate::runtime::Builder::stall_threshold).
///
/// The report comes while the stall lasts, once. Its `Display` is one line that also says what can
/// be done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StallReport {
    /// The number of the worker's seat.
    pub worker: usize,
    /// The kernel's number of its thread, with which a debugger or `/proc` can be asked what it
    /// does. Linux only.
    pub thread: Option<u32>,
    /// The task that is being polled. None if it is no task that keeps the worker: a waker of
    /// somebody else's, a hook, a destructor; or the lack of a processor, which may come between
    /// two polls as well.
    pub task: Option<Id>,
    /// What the task is called, if it has a name.
    pub name: Option<Arc<str>>,
    /// Where the task was spawned.
    pub location: Option<&'static Location<'static>>,
    /// How long the poll has lasted so far, at least.
    pub lasted: Duration,
    /// What the worker's thread does meanwhile.
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
    /// It would compute, but more threads are ready than there are processors, and it has not had
    /// one.
    Starved,
    /// The platform does not tell.
    Unknown,
}

impl StallCause {
    /// Another thread in its place would find a processor, as far as we know.
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
            // It need not be anywhere but on its way.
            (None, StallCause::Starved) => f.write_str("in no task")?,
            (None, _) => f.write_str("in no task, but in a waker, a hook or a destructor")?,
        }
        if let Some(name) = &self.name {
            write!(f, " \"{name}\"")?;
        }
        if let Some(location) = self.location {
            write!(f, ", spawned at {location}")?;
        }
        write!(f, "; {}", self.cause.remedy())
    }
}

/// How many stalls there were, by duration. Written by the watchdog alone.
#[derive(Debug)]
pub(crate) struct StallCounts {
    /// Those that have been reported.
    pub(crate) reported: Counter,
    /// Times that something was taken over from a stalled seat, or another worker woken because of
    /// it.
    pub(crate) rescues: Counter,
    /// Rescues from workers that were ready to run and had no processor.
    pub(crate) preempted_rescues: Counter,
    /// Spare threads that were started, or taken back, by whoever called them.
    spares: AtomicU64,
    /// Those of the reported ones that are over, by duration.
    over: [Counter; StallCounts::BUCKETS],
}

impl StallCounts {
    /// The bucket `n` is for durations from 2ⁿ ms, the first also for shorter and the last also for
    /// longer ones.
    pub(crate) const BUCKETS: usize = 16;

    pub(crate) fn new() -> Self {
        StallCounts {
            reported: Counter::new(),
            rescues: Counter::new(),
            preempted_rescues: Counter::new(),
            spares: AtomicU64::new(0),
            over: std::array::from_fn(|_| Counter::new()),
        }
    }

    /// Counts a rescue: what waited behind a worker has been taken over. Only the watchdog calls
    /// this.
    pub(crate) fn count_rescue(&self, cause: StallCause) {
        let rescues = if cause == StallCause::Starved { &self.preempted_rescues } else { &self.rescues };
        rescues.add(1);
    }

    /// A spare has come.
    pub(crate) fn count_spare(&self) {
        // Ordering: Relaxed — a figure.
        self.spares.fetch_add(1, Ordering::Relaxed);
    }

    /// How many have.
    pub(crate) fn spares(&self) -> u64 {
        // Ordering: Relaxed — a figure.
        self.spares.load(Ordering::Relaxed)
    }

    /// A stall is over, which was reported.
    pub(crate) fn record_end(&self, lasted: Duration) {
        let bucket = lasted.as_millis().max(1).ilog2() as usize;
        self.over[bucket.min(Self::BUCKETS - 1)].add(1);
    }

    /// How many of them there were, by bucket.
    pub(crate) fn ended_by_bucket(&self) -> [u64; Self::BUCKETS] {
        std::array::from_fn(|bucket| self.over[bucket].get())
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    fn message(task: Option<Id>, cause: StallCause) -> String {
        let location = task.map(|_| Location::caller());
        let lasted = Duration::from_millis(12);
        StallReport { worker: 3, thread: None, task, name: None, location, lasted, cause }.to_string()
    }

    /// A worker that has no processor may be anywhere. Nobody is accused of having kept it.
    #[test]
    fn a_worker_that_is_starved_between_two_polls_is_in_nobodys_hands() {
        assert_eq!(
            message(None, StallCause::Starved),
            "worker 3 has been between two polls for 12ms and is ready to run, but without a processor; in no task; run fewer threads, or \
             allow the process more processors"
        );
    }

    #[test]
    fn what_keeps_a_worker_besides_tasks_is_named() {
        assert_eq!(
            message(None, StallCause::Blocked),
            "worker 3 has been between two polls for 12ms and is blocked: its thread waits in the operating system; in no task, but in a \
             waker, a hook or a destructor; await what it waits for, or move that to `spawn_blocking`"
        );
    }
}
