//! The blocking pool: every job is run or cancelled, once, whatever its threads and its owner do
//! meanwhile.
//!
//! Time is driven by the pool's keep-alive: with zero a thread that finds no job waits exactly
//! once, lets go of the lock for it, and has timed out; with an hour it never times out.

use std::io;
use std::time::Duration;

use crate::blocking::{BlockingPool, Job, Settings};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Condvar, Mutex, model, thread};

const IMPATIENT: Duration = Duration::ZERO;
const PATIENT: Duration = Duration::from_secs(3600);

/// How many jobs were run and cancelled. Relaxed: it is read when the threads are gone, after the
/// pool's lock.
#[derive(Default)]
struct TaskLog {
    run: AtomicUsize,
    cancelled: AtomicUsize,
}

impl TaskLog {
    fn entries(&self) -> (usize, usize) {
        (self.run.load(Ordering::Relaxed), self.cancelled.load(Ordering::Relaxed))
    }
}

struct Entry(Arc<TaskLog>);

impl Job for Entry {
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

fn submit(pool: &Arc<BlockingPool>, log: &Arc<TaskLog>) {
    if let Err(refused) = pool.submit(Box::new(Entry(Arc::clone(log)))) {
        refused.job.cancel();
    }
}

/// submit × the only thread's patience ends.
#[test]
fn a_job_is_not_stranded_by_a_thread_that_gives_up_waiting() {
    model(|| {
        let (pool, log) = (pool(1, IMPATIENT), Arc::new(TaskLog::default()));
        submit(&pool, &log);
        submit(&pool, &log);
        assert!(pool.wait_for_threads(None));
        assert_eq!(log.entries(), (2, 0));
    });
}

/// The same with a thread in its stop hook, which must not count against the cap.
#[test]
fn a_job_is_not_stranded_by_a_thread_that_is_leaving() {
    model(|| {
        let hook = Arc::new(thread::yield_now);
        let settings =
            Settings { max_threads: 1, keep_alive: IMPATIENT, on_thread_stop: Some(hook), ..Settings::default() };
        let (pool, log) = (BlockingPool::new(settings), Arc::new(TaskLog::default()));
        submit(&pool, &log);
        submit(&pool, &log);
        assert!(pool.wait_for_threads(None));
        assert_eq!(log.entries(), (2, 0));
    });
}

/// submit × a thread waits: the call is heard, and two jobs do not wait for one thread.
#[test]
fn a_waiting_thread_hears_of_its_job() {
    struct Meeting {
        present: Mutex<usize>,
        complete: Condvar,
    }
    struct Guest(Arc<Meeting>);
    impl Job for Guest {
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
        let (pool, log) = (pool(2, PATIENT), Arc::new(TaskLog::default()));
        let meeting = Arc::new(Meeting { present: Mutex::new(0), complete: Condvar::new() });
        submit(&pool, &log);
        for _ in 0..2 {
            let guest = Guest(Arc::clone(&meeting));
            assert!(pool.submit(Box::new(guest)).is_ok());
        }
        let mut present = meeting.present.lock();
        while *present < 2 {
            meeting.complete.wait(&mut present);
        }
        drop(present);
        pool.begin_shutdown().cancel();
        assert!(pool.wait_for_threads(None));
        let (run, cancelled) = log.entries();
        assert_eq!(run + cancelled, 1);
    });
}

/// submit × shutdown, with a thread that is waiting or busy when both come.
#[test]
fn a_job_submitted_at_shutdown_is_run_or_cancelled_once() {
    for keep_alive in [IMPATIENT, PATIENT] {
        model(move || {
            let (pool, log) = (pool(1, keep_alive), Arc::new(TaskLog::default()));
            submit(&pool, &log);
            let submitter = {
                let (pool, log) = (Arc::clone(&pool), Arc::clone(&log));
                thread::Builder::new().spawn(move || submit(&pool, &log)).expect("a thread")
            };
            pool.begin_shutdown().cancel();
            submitter.join().expect("the submitter");
            assert!(pool.wait_for_threads(None));
            let (run, cancelled) = log.entries();
            assert_eq!(run + cancelled, 2);
            assert_eq!(pool.counts().queued, 0);
        });
    }
}

/// submit × submit, when the system gives a thread to one of them only.
#[test]
fn a_job_is_not_stranded_when_the_second_thread_is_refused() {
    fn refuse(_: thread::Builder, _: Box<dyn FnOnce() + Send>) -> io::Result<thread::JoinHandle<()>> {
        Err(io::ErrorKind::WouldBlock.into())
    }
    model(|| {
        let settings = Settings { max_threads: 2, keep_alive: IMPATIENT, start: refuse, ..Settings::default() };
        let (pool, log) = (BlockingPool::new(settings), Arc::new(TaskLog::default()));
        let submitter = {
            let (pool, log) = (Arc::clone(&pool), Arc::clone(&log));
            thread::Builder::new().spawn(move || submit(&pool, &log)).expect("a thread")
        };
        submit(&pool, &log);
        submitter.join().expect("the submitter");
        assert!(pool.wait_for_threads(None));
        assert_eq!(log.entries(), (0, 2), "with no thread at all each caller gets its own job back");
    });
}
