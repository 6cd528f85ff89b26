//! Models of the blocking jobs of a group: one slot, jobs that wait for it, and their cancellation.
//! See docs/groups.md.

use super::support::start;
use crate::blocking::Job;
use crate::group::blocking_slots::{BlockingSlots, SlotJob};
use crate::primitive::atomic::Ordering;
use crate::primitive::statics::AtomicUsize;
use crate::primitive::{Arc, Mutex, model};

/// What has happened to the jobs. loom does not see the counts: they order nothing.
#[derive(Default)]
struct JobCounts {
    run: AtomicUsize,
    cancelled: AtomicUsize,
    /// Jobs that run now.
    running: AtomicUsize,
}

struct ModelJob {
    counts: Arc<JobCounts>,
    slots: Arc<BlockingSlots>,
    /// Jobs that the blocking pool has accepted.
    pool: Arc<Mutex<Vec<Box<dyn Job>>>>,
}

impl SlotJob for ModelJob {
    fn with_slot(self: Box<Self>) -> Box<dyn Job> {
        self
    }

    fn cancel(self: Box<Self>) {
        self.counts.cancelled.fetch_add(1, Ordering::Relaxed);
    }
}

impl Job for ModelJob {
    /// Runs the job, and passes its slot on.
    fn run_job(self: Box<Self>) {
        assert_eq!(self.counts.running.fetch_add(1, Ordering::Relaxed), 0, "two jobs have the slot");
        self.counts.run.fetch_add(1, Ordering::Relaxed);
        self.counts.running.fetch_sub(1, Ordering::Relaxed);
        self.pool.lock().extend(self.slots.exit());
    }

    fn cancel(self: Box<Self>) {
        SlotJob::cancel(self);
    }
}

/// A group with one slot, and its jobs.
#[derive(Clone)]
struct Jobs {
    counts: Arc<JobCounts>,
    slots: Arc<BlockingSlots>,
    pool: Arc<Mutex<Vec<Box<dyn Job>>>>,
}

impl Jobs {
    fn new() -> Jobs {
        let (slots, pool) = (Arc::new(BlockingSlots::new(1)), Arc::new(Mutex::new(Vec::new())));
        Jobs { counts: Arc::default(), slots, pool }
    }

    /// Submits a job, as `blocking::task::spawn_in` does.
    fn submit(&self) {
        let Jobs { counts, slots, pool } = self.clone();
        let job = self.slots.enter(Box::new(ModelJob { counts, slots, pool }));
        self.pool.lock().extend(job);
    }

    /// Runs what the pool has accepted, as a blocking thread does.
    fn run_all(&self) {
        while let Some(job) = self.next() {
            job.run_job();
        }
    }

    fn next(&self) -> Option<Box<dyn Job>> {
        self.pool.lock().pop()
    }

    /// Cancels what waits, as `blocking::task::cancel_waiting` does.
    fn cancel_waiting(&self) {
        while let Some(job) = self.slots.take_waiting() {
            SlotJob::cancel(job);
        }
    }

    fn ended(&self) -> (usize, usize) {
        (self.counts.run.load(Ordering::Relaxed), self.counts.cancelled.load(Ordering::Relaxed))
    }
}

/// submit, run × submit, run: one job at a time has the slot, and none waits in the end.
#[test]
fn group_jobs_share_one_slot_and_none_is_left() {
    model(|| {
        let jobs = Jobs::new();
        let other = start({
            let jobs = jobs.clone();
            move || {
                jobs.submit();
                jobs.run_all();
            }
        });
        jobs.submit();
        jobs.run_all();
        other.join().expect("the other thread");
        // A job that was submitted while the other one ended is in the pool.
        jobs.run_all();
        assert_eq!((jobs.ended(), jobs.slots.counts()), ((2, 0), (0, 0)));
    });
}

/// The end of a job × the cancellation of what waits: the next job runs or is cancelled.
#[test]
fn waiting_group_job_is_run_or_cancelled_once() {
    model(|| {
        let jobs = Jobs::new();
        jobs.submit();
        jobs.submit();
        let blocking_thread = start({
            let jobs = jobs.clone();
            move || jobs.run_all()
        });
        jobs.cancel_waiting();
        blocking_thread.join().expect("the blocking thread");
        let (run, cancelled) = jobs.ended();
        assert_eq!((run + cancelled, jobs.slots.counts()), (2, (0, 0)));
        assert!(run >= 1, "the first job had the slot");
    });
}
