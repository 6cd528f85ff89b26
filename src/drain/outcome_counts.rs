//! Numbers of ended tasks and jobs by outcome, and the list of blocking jobs.

use std::collections::BTreeMap;
use std::ops::{Add, Sub};
use std::time::Instant;

use crate::drain::state::Straggler;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::{Mutex, real_now};
use crate::raw_task::{Header, Id, Outcome, OwnedTasks, Runnable, Schedule, TaskInfo};

/// How many tasks or jobs have ended with each outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OutcomeCounts {
    pub(crate) completed: u64,
    pub(crate) panicked: u64,
    pub(crate) cancelled: u64,
}

impl OutcomeCounts {
    /// Returns the sum of all outcomes.
    pub(crate) fn total(self) -> u64 {
        self.completed + self.panicked + self.cancelled
    }
}

impl Add for OutcomeCounts {
    type Output = OutcomeCounts;

    fn add(self, other: OutcomeCounts) -> OutcomeCounts {
        OutcomeCounts {
            completed: self.completed + other.completed,
            panicked: self.panicked + other.panicked,
            cancelled: self.cancelled + other.cancelled,
        }
    }
}

impl Sub for OutcomeCounts {
    type Output = OutcomeCounts;

    fn sub(self, other: OutcomeCounts) -> OutcomeCounts {
        OutcomeCounts {
            completed: self.completed.saturating_sub(other.completed),
            panicked: self.panicked.saturating_sub(other.panicked),
            cancelled: self.cancelled.saturating_sub(other.cancelled),
        }
    }
}

/// Counts outcomes on any thread.
#[derive(Debug)]
pub(crate) struct OutcomeCounters {
    completed: AtomicU64,
    panicked: AtomicU64,
    cancelled: AtomicU64,
}

impl OutcomeCounters {
    pub(crate) fn new() -> Self {
        OutcomeCounters { completed: AtomicU64::new(0), panicked: AtomicU64::new(0), cancelled: AtomicU64::new(0) }
    }

    pub(crate) fn record(&self, end: Outcome) {
        let counter = match end {
            Outcome::Completed => &self.completed,
            Outcome::Panicked => &self.panicked,
            Outcome::Cancelled => &self.cancelled,
        };
        // Ordering: Relaxed — the end of the task, or `Gate::exit`, publishes it afterwards.
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> OutcomeCounts {
        // Ordering: Relaxed — see `OutcomeCounters::record`.
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        OutcomeCounts {
            completed: get(&self.completed),
            panicked: get(&self.panicked),
            cancelled: get(&self.cancelled),
        }
    }
}

/// The scheduler of blocking jobs: the list of those that live, queued and running.
#[derive(Debug)]
pub(crate) struct BlockingJobs {
    pub(crate) live: OwnedTasks,
    pub(crate) outcomes: OutcomeCounters,
    /// The number of jobs that have entered the gate.
    pub(crate) entered: AtomicU64,
    /// The running jobs, with the times at which they began. A job is removed after its outcome has
    /// been counted, so a report finds it here while the destructor of its output runs.
    running: Mutex<BTreeMap<Id, (TaskInfo, Instant)>>,
}

impl BlockingJobs {
    pub(crate) fn new() -> Self {
        let running = Mutex::new(BTreeMap::new());
        BlockingJobs { live: OwnedTasks::new(), outcomes: OutcomeCounters::new(), entered: AtomicU64::new(0), running }
    }

    /// Records that a thread begins to run a job.
    pub(crate) fn mark_running(&self, job: TaskInfo) {
        self.running.lock().insert(job.id, (job, real_now()));
    }

    /// Records that the job has ended.
    pub(crate) fn mark_ended(&self, job: Id) {
        self.running.lock().remove(&job);
    }

    /// Returns all jobs that live, queued and running.
    pub(crate) fn stragglers(&self) -> Vec<Straggler> {
        // A running job comes later than the same job as a live one, and replaces it.
        let mut jobs: BTreeMap<Id, Straggler> = self.live.all().into_iter().map(|job| (job.id, job.into())).collect();
        for (job, since) in self.running.lock().values() {
            jobs.insert(
                job.id,
                Straggler { running_for: Some(real_now().saturating_duration_since(*since)), ..job.clone().into() },
            );
        }
        jobs.into_values().collect()
    }
}

// SAFETY: `self` is part of a pool, and every job keeps its pool until it has ended.
unsafe impl Schedule for BlockingJobs {
    fn schedule(&self, _: Runnable) {
        unreachable!("a blocking job is never idle, so it is never queued by a wake");
    }

    fn owned_tasks(&self) -> &OwnedTasks {
        &self.live
    }

    fn record_outcome(&self, _: &Header, end: Outcome, _: bool) {
        self.outcomes.record(end);
    }
}
