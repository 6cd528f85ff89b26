//! The pool on real threads: ledgers of what became of each job.

use std::sync::mpsc;

use super::*;
use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::SeqCst;
use crate::sync::statics;

const PATIENT: Duration = Duration::from_secs(3600);

/// How often jobs were run and cancelled, and dropped without either.
#[derive(Debug, Default)]
struct TaskLog {
    run: AtomicUsize,
    cancelled: AtomicUsize,
    dropped: AtomicUsize,
}

impl TaskLog {
    fn entries(&self) -> [usize; 3] {
        [self.run.load(SeqCst), self.cancelled.load(SeqCst), self.dropped.load(SeqCst)]
    }
}

struct Entry<F: FnOnce() + Send> {
    log: Arc<TaskLog>,
    work: Option<F>,
}

impl<F: FnOnce() + Send> Job for Entry<F> {
    fn run_job(mut self: Box<Self>) {
        let work = self.work.take().expect("a job runs once");
        self.log.run.fetch_add(1, SeqCst);
        work();
    }

    fn cancel(mut self: Box<Self>) {
        self.work = None;
        self.log.cancelled.fetch_add(1, SeqCst);
    }
}

impl<F: FnOnce() + Send> Drop for Entry<F> {
    fn drop(&mut self) {
        if self.work.is_some() {
            self.log.dropped.fetch_add(1, SeqCst);
        }
    }
}

fn job(log: &Arc<TaskLog>, work: impl FnOnce() + Send + 'static) -> Box<dyn Job> {
    Box::new(Entry { log: Arc::clone(log), work: Some(work) })
}

fn pool(max_threads: usize, keep_alive: Duration) -> Arc<BlockingPool> {
    BlockingPool::new(Settings { max_threads, keep_alive, ..Settings::default() })
}

/// No heir, no more jobs: every thread is gone, and the drain state can be read.
fn shut_down(pool: &BlockingPool) {
    pool.begin_shutdown().cancel();
    assert!(pool.wait_for_threads(None));
    assert_eq!(pool.counts(), Counts { threads: 0, idle: 0, queued: 0 });
}

/// Occupies a thread of the pool until the returned sender is used or dropped.
fn occupy(pool: &Arc<BlockingPool>, log: &Arc<TaskLog>) -> mpsc::Sender<()> {
    let (begun, has_begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let work = move || {
        begun.send(()).expect("the test waits");
        released.recv().ok();
    };
    pool.submit(job(log, work)).expect("an open pool");
    has_begun.recv().expect("the job begins");
    release
}

#[test]
fn no_job_is_lost_however_short_the_patience() {
    for keep_alive in [Duration::ZERO, Duration::from_millis(1)] {
        let (pool, log) = (pool(4, keep_alive), Arc::new(TaskLog::default()));
        for round in 0..100_000 {
            pool.submit(job(&log, || ())).expect("an open pool");
            if round % 64 == 0 {
                assert!(pool.wait_for_threads(None), "with patience that ends, all threads leave by themselves");
                assert_eq!(log.entries(), [round + 1, 0, 0]);
            }
        }
        assert!(pool.wait_for_threads(None));
        assert_eq!(log.entries(), [100_000, 0, 0]);
        shut_down(&pool);
    }
}

#[test]
fn jobs_that_wait_for_the_jobs_they_submit_get_threads() {
    fn nest(pool: Arc<BlockingPool>, log: Arc<TaskLog>, depth: usize) {
        if depth > 0 {
            let (done, is_done) = mpsc::channel();
            let inner = {
                let (pool, log) = (Arc::clone(&pool), Arc::clone(&log));
                move || {
                    nest(pool, log, depth - 1);
                    done.send(()).expect("the outer job waits");
                }
            };
            pool.submit(job(&log, inner)).expect("an open pool");
            is_done.recv().expect("the inner job runs");
        }
    }
    let (pool, log) = (pool(8, PATIENT), Arc::new(TaskLog::default()));
    nest(Arc::clone(&pool), Arc::clone(&log), 8);
    assert_eq!(log.entries(), [8, 0, 0]);
    shut_down(&pool);
}

#[test]
fn a_pool_of_one_runs_jobs_in_order_and_queues_the_rest() {
    let (pool, log) = (pool(1, PATIENT), Arc::new(TaskLog::default()));
    let release = occupy(&pool, &log);
    let (ran, order) = mpsc::channel();
    for name in 0..10 {
        let ran = ran.clone();
        pool.submit(job(&log, move || ran.send(name).expect("the test waits"))).expect("an open pool");
    }
    assert_eq!(pool.counts(), Counts { threads: 1, idle: 0, queued: 10 });
    drop(release);
    assert_eq!(order.iter().take(10).collect::<Vec<_>>(), Vec::from_iter(0..10));
    shut_down(&pool);
    assert_eq!(log.entries(), [11, 0, 0]);
}

#[test]
fn a_waiting_thread_is_used_again() {
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let hook: Hook = Arc::new(move || _ = count.fetch_add(1, SeqCst));
    let pool = BlockingPool::new(Settings { on_thread_start: Some(hook), keep_alive: PATIENT, ..Settings::default() });
    let log = Arc::new(TaskLog::default());
    for _ in 0..100 {
        drop(occupy(&pool, &log));
        while pool.counts().idle == 0 {
            thread::yield_now();
        }
    }
    shut_down(&pool);
    assert_eq!(started.load(SeqCst), 1);
}

#[test]
fn queued_jobs_are_cancelled_at_shutdown_and_running_ones_finish() {
    let (pool, log) = (pool(2, PATIENT), Arc::new(TaskLog::default()));
    let running = [occupy(&pool, &log), occupy(&pool, &log)];
    for _ in 0..5 {
        pool.submit(job(&log, || ())).expect("an open pool");
    }
    pool.begin_shutdown().cancel();
    assert_eq!(log.entries(), [2, 5, 0], "cancelled before the running ones are done");
    assert!(!pool.wait_for_threads(Some(Instant::now())), "two jobs still run");
    drop(running);
    shut_down(&pool);
    assert_eq!(log.entries(), [2, 5, 0]);
}

#[test]
fn a_closed_pool_gives_the_job_back() {
    let (pool, log) = (pool(2, PATIENT), Arc::new(TaskLog::default()));
    pool.begin_shutdown().cancel();
    let refused = pool.submit(job(&log, || ())).expect_err("the pool is closed");
    assert!(matches!(refused.why, Refusal::ShutDown));
    refused.job.cancel();
    shut_down(&pool);
    assert_eq!(log.entries(), [0, 1, 0]);
}

#[test]
fn an_unused_pool_is_gone_at_once() {
    assert!(pool(2, PATIENT).wait_for_threads(Some(Instant::now())));
}

#[test]
fn a_cancelled_job_may_use_the_pool() {
    struct Evil(Arc<BlockingPool>, Arc<TaskLog>);
    impl Job for Evil {
        fn run_job(self: Box<Self>) {
            unreachable!("it never gets a thread");
        }
        fn cancel(self: Box<Self>) {
            let refused = self.0.submit(job(&self.1, || ())).expect_err("the pool is closed");
            refused.job.cancel();
            self.0.begin_shutdown().cancel();
            panic!("and panic");
        }
    }
    let (pool, log) = (pool(1, PATIENT), Arc::new(TaskLog::default()));
    let release = occupy(&pool, &log);
    for _ in 0..2 {
        pool.submit(Box::new(Evil(Arc::clone(&pool), Arc::clone(&log)))).expect("an open pool");
    }
    pool.begin_shutdown().cancel();
    drop(release);
    shut_down(&pool);
    assert_eq!(log.entries(), [1, 2, 0], "both were cancelled, whatever the first did");
}

#[test]
fn panics_of_jobs_and_hooks_and_payloads_harm_nobody() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            panic!("in the payload's drop");
        }
    }
    let hook: Hook = Arc::new(|| panic!("in a hook"));
    let pool = BlockingPool::new(Settings {
        max_threads: 1,
        on_thread_start: Some(Arc::clone(&hook)),
        on_thread_stop: Some(hook),
        thread_name: Arc::new(|| panic!("in the naming function")),
        ..Settings::default()
    });
    let log = Arc::new(TaskLog::default());
    pool.submit(job(&log, || panic!("in a job"))).expect("an open pool");
    pool.submit(job(&log, || std::panic::panic_any(Payload))).expect("an open pool");
    drop(occupy(&pool, &log));
    shut_down(&pool);
    assert_eq!(log.entries(), [3, 0, 0]);
}

#[test]
fn a_zero_byte_in_a_name_is_no_reason_to_fail() {
    let settings = Settings { thread_name: Arc::new(|| "a\0b".to_owned()), ..Settings::default() };
    let (pool, log) = (BlockingPool::new(settings), Arc::new(TaskLog::default()));
    let (name, named) = mpsc::channel();
    let work = move || name.send(std::thread::current().name().map(str::to_owned)).expect("the test waits");
    pool.submit(job(&log, work)).expect("an open pool");
    assert_eq!(named.recv().expect("the job runs").as_deref(), Some("a?b"));
    shut_down(&pool);
}

#[test]
fn without_any_thread_the_job_comes_back_with_the_reason() {
    let pool = BlockingPool::new(Settings { stack_size: Some(usize::MAX / 4), ..Settings::default() });
    let log = Arc::new(TaskLog::default());
    let refused = pool.submit(job(&log, || ())).expect_err("no machine has such a stack");
    assert!(refused.why.to_string().contains("max_blocking_threads"), "{}", refused.why);
    refused.job.cancel();
    assert_eq!(log.entries(), [0, 1, 0]);
    shut_down(&pool);
}

#[test]
fn with_one_thread_and_no_second_the_jobs_queue_and_a_later_thread_serves_the_oldest() {
    static REFUSED: statics::AtomicUsize = statics::AtomicUsize::new(0);
    fn start(builder: thread::Builder, main: Box<dyn FnOnce() + Send>) -> io::Result<thread::JoinHandle<()>> {
        if REFUSED.load(SeqCst) == 1 { Err(io::ErrorKind::WouldBlock.into()) } else { start_thread(builder, main) }
    }
    let pool = BlockingPool::new(Settings { start, keep_alive: PATIENT, ..Settings::default() });
    let log = Arc::new(TaskLog::default());
    let (ran, order) = mpsc::channel();
    let note = |name| {
        let ran = ran.clone();
        job(&log, move || ran.send(name).expect("the test waits"))
    };
    let release = occupy(&pool, &log);
    REFUSED.store(1, SeqCst);
    for name in 0..3 {
        pool.submit(note(name)).expect("there is a thread, if a busy one");
    }
    assert_eq!(pool.counts(), Counts { threads: 1, idle: 0, queued: 3 });
    REFUSED.store(0, SeqCst);
    pool.submit(note(3)).expect("an open pool");
    assert_eq!(order.iter().take(4).collect::<Vec<_>>(), [0, 1, 2, 3], "while the first thread is busy");
    drop(release);
    shut_down(&pool);
    assert_eq!(log.entries(), [5, 0, 0]);
}

/// The closer is one of the pool's own threads, as when a runtime is dropped in a job: it waits for
/// the others, and not for itself.
#[test]
fn a_job_that_waits_for_its_own_pool_waits_for_the_others() {
    let (pool, log) = (pool(2, PATIENT), Arc::new(TaskLog::default()));
    let (answer, answered) = mpsc::channel();
    let (hold, held) = mpsc::channel::<()>();
    pool.submit(job(&log, move || assert!(held.recv().is_err()))).expect("an open pool");
    let own = Arc::clone(&pool);
    let waits = job(&log, move || {
        own.begin_shutdown().cancel();
        assert!(!own.wait_for_threads(Some(Instant::now())), "another job runs");
        answer.send(()).expect("the test waits");
        assert!(own.wait_for_threads(None));
        answer.send(()).expect("the test waits");
    });
    pool.submit(waits).expect("an open pool");
    answered.recv().expect("the first wait is over");
    drop(hold);
    answered.recv().expect("the second wait is over");
    assert!(pool.wait_for_threads(None));
    assert_eq!(log.entries(), [2, 0, 0]);
}
