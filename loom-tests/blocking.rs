//! Models of the blocking pool: each job is run or cancelled, once. See `docs/blocking.md`.
//!
//! The pool's keep-alive drives the time. With zero, a thread without a job releases the lock for
//! one wait, and has timed out. With an hour it never times out.

use std::io;
use std::time::Duration;

use crate::blocking::{BlockingPool, Job, Settings};
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Arc, Condvar, Mutex, model, thread};

const EXPIRES_AT_ONCE: Duration = Duration::ZERO;
const NEVER_EXPIRES: Duration = Duration::from_secs(3600);

/// Counts the jobs that were run and cancelled. Relaxed is enough: the counts are read after all
/// threads have exited under the pool's lock.
#[derive(Default)]
struct JobCounts {
    run: AtomicUsize,
    cancelled: AtomicUsize,
}

impl JobCounts {
    fn run_and_cancelled(&self) -> (usize, usize) {
        (self.run.load(Ordering::Relaxed), self.cancelled.load(Ordering::Relaxed))
    }
}

/// A job that counts how it is consumed.
struct CountedJob(Arc<JobCounts>);

impl Job for CountedJob {
    fn run_job(self: Box<Self>) {
        self.0.run.fetch_add(1, Ordering::Relaxed);
    }

    fn cancel(self: Box<Self>) {
        self.0.cancelled.fetch_add(1, Ordering::Relaxed);
    }
}

fn pool(max_threads: usize, keep_alive: Duration) -> Arc<BlockingPool> {
    BlockingPool::new(Settings { max_threads, keep_alive, ..Settings::default() })
}

fn submit(pool: &Arc<BlockingPool>, counts: &Arc<JobCounts>) {
    if let Err(refused) = pool.submit(Box::new(CountedJob(Arc::clone(counts)))) {
        refused.job.cancel();
    }
}

/// submit × the keep-alive of the only thread ends.
#[test]
fn pool_whose_thread_times_out_runs_submitted_job() {
    model(|| {
        let (pool, counts) = (pool(1, EXPIRES_AT_ONCE), Arc::new(JobCounts::default()));
        submit(&pool, &counts);
        submit(&pool, &counts);
        assert!(pool.wait_for_threads(None));
        assert_eq!(counts.run_and_cancelled(), (2, 0));
    });
}

/// submit × a thread in its stop hook, which does not count against the cap.
#[test]
fn pool_whose_thread_runs_stop_hook_runs_submitted_job() {
    model(|| {
        let hook = Arc::new(thread::yield_now);
        let settings =
            Settings { max_threads: 1, keep_alive: EXPIRES_AT_ONCE, on_thread_stop: Some(hook), ..Settings::default() };
        let (pool, counts) = (BlockingPool::new(settings), Arc::new(JobCounts::default()));
        submit(&pool, &counts);
        submit(&pool, &counts);
        assert!(pool.wait_for_threads(None));
        assert_eq!(counts.run_and_cancelled(), (2, 0));
    });
}

/// submit × a thread waits: the thread is notified, and two jobs do not wait for one thread.
#[test]
fn jobs_submitted_together_run_on_two_threads() {
    /// Two jobs wait here for each other, and the test for both.
    struct Meeting {
        present: Mutex<usize>,
        complete: Condvar,
    }
    struct MeetingJob(Arc<Meeting>);
    impl Job for MeetingJob {
        fn run_job(self: Box<Self>) {
            let mut present = self.0.present.lock();
            *present += 1;
            self.0.complete.notify_all();
            while *present < 2 {
                self.0.complete.wait(&mut present);
            }
        }
        fn cancel(self: Box<Self>) {
            unreachable!("the pool closes after the meeting");
        }
    }
    model(|| {
        let (pool, counts) = (pool(2, NEVER_EXPIRES), Arc::new(JobCounts::default()));
        let meeting = Arc::new(Meeting { present: Mutex::new(0), complete: Condvar::new() });
        submit(&pool, &counts);
        for _ in 0..2 {
            let job = MeetingJob(Arc::clone(&meeting));
            assert!(pool.submit(Box::new(job)).is_ok());
        }
        let mut present = meeting.present.lock();
        while *present < 2 {
            meeting.complete.wait(&mut present);
        }
        drop(present);
        pool.begin_shutdown().cancel();
        assert!(pool.wait_for_threads(None));
        let (run, cancelled) = counts.run_and_cancelled();
        assert_eq!(run + cancelled, 1);
    });
}

/// submit × shutdown, while the thread waits or is busy.
#[test]
fn job_submitted_at_shutdown_is_run_or_cancelled_once() {
    for keep_alive in [EXPIRES_AT_ONCE, NEVER_EXPIRES] {
        model(move || {
            let (pool, counts) = (pool(1, keep_alive), Arc::new(JobCounts::default()));
            submit(&pool, &counts);
            let submitter = {
                let (pool, counts) = (Arc::clone(&pool), Arc::clone(&counts));
                thread::Builder::new().spawn(move || submit(&pool, &counts)).expect("a thread")
            };
            pool.begin_shutdown().cancel();
            submitter.join().expect("the submitter");
            assert!(pool.wait_for_threads(None));
            let (run, cancelled) = counts.run_and_cancelled();
            assert_eq!(run + cancelled, 2);
            assert_eq!(pool.counts().queued, 0);
        });
    }
}

/// submit × submit, while the system refuses every thread.
#[test]
fn job_without_second_thread_is_returned() {
    fn refuse(_: thread::Builder, _: Box<dyn FnOnce() + Send>) -> io::Result<thread::JoinHandle<()>> {
        Err(io::ErrorKind::WouldBlock.into())
    }
    model(|| {
        let settings = Settings { max_threads: 2, keep_alive: EXPIRES_AT_ONCE, start: refuse, ..Settings::default() };
        let (pool, counts) = (BlockingPool::new(settings), Arc::new(JobCounts::default()));
        let submitter = {
            let (pool, counts) = (Arc::clone(&pool), Arc::clone(&counts));
            thread::Builder::new().spawn(move || submit(&pool, &counts)).expect("a thread")
        };
        submit(&pool, &counts);
        submitter.join().expect("the submitter");
        assert!(pool.wait_for_threads(None));
        assert_eq!(counts.run_and_cancelled(), (0, 2), "without a thread each caller gets its own job back");
    });
}
