//! Tests of the blocking pool on real threads. They count what happens to each job.

use std::sync::mpsc;

use super::*;
use crate::primitive::atomic::AtomicUsize;
use crate::primitive::atomic::Ordering::SeqCst;
use crate::primitive::statics;

const KEEP_ALIVE: Duration = Duration::from_secs(3600);

/// Counts jobs that were run, cancelled, and dropped without either.
#[derive(Debug, Default)]
struct JobCounts {
    run: AtomicUsize,
    cancelled: AtomicUsize,
    dropped: AtomicUsize,
}

impl JobCounts {
    fn totals(&self) -> [usize; 3] {
        [self.run.load(SeqCst), self.cancelled.load(SeqCst), self.dropped.load(SeqCst)]
    }
}

/// A job that counts how it ends.
struct CountedJob<F: FnOnce() + Send> {
    counts: Arc<JobCounts>,
    work: Option<F>,
}

impl<F: FnOnce() + Send> Job for CountedJob<F> {
    fn run_job(mut self: Box<Self>) {
        let work = self.work.take().expect("a job runs once");
        self.counts.run.fetch_add(1, SeqCst);
        work();
    }

    fn cancel(mut self: Box<Self>) {
        self.work = None;
        self.counts.cancelled.fetch_add(1, SeqCst);
    }
}

impl<F: FnOnce() + Send> Drop for CountedJob<F> {
    fn drop(&mut self) {
        if self.work.is_some() {
            self.counts.dropped.fetch_add(1, SeqCst);
        }
    }
}

fn job(counts: &Arc<JobCounts>, work: impl FnOnce() + Send + 'static) -> Box<dyn Job> {
    Box::new(CountedJob { counts: Arc::clone(counts), work: Some(work) })
}

fn pool(max_threads: usize, keep_alive: Duration) -> Arc<BlockingPool> {
    BlockingPool::new(Settings { max_threads, keep_alive, ..Settings::default() })
}

/// Closes the pool, waits until every thread has exited, and asserts that nothing is left.
fn shut_down(pool: &BlockingPool) {
    pool.begin_shutdown().cancel();
    assert!(pool.wait_for_threads(None));
    assert_eq!(pool.counts(), Counts { threads: 0, idle: 0, queued: 0 });
}

/// Occupies a thread of the pool until the returned sender is used or dropped.
fn occupy(pool: &Arc<BlockingPool>, counts: &Arc<JobCounts>) -> mpsc::Sender<()> {
    let (begun, has_begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let work = move || {
        begun.send(()).expect("the test waits");
        released.recv().ok();
    };
    pool.submit(job(counts, work)).expect("an open pool");
    has_begun.recv().expect("the job begins");
    release
}

#[test]
fn pool_with_shortest_keep_alive_loses_no_job() {
    for keep_alive in [Duration::ZERO, Duration::from_millis(1)] {
        let (pool, counts) = (pool(4, keep_alive), Arc::new(JobCounts::default()));
        for round in 0..100_000 {
            pool.submit(job(&counts, || ())).expect("an open pool");
            if round % 64 == 0 {
                assert!(pool.wait_for_threads(None), "all threads exit when their keep-alive ends");
                assert_eq!(counts.totals(), [round + 1, 0, 0]);
            }
        }
        assert!(pool.wait_for_threads(None));
        assert_eq!(counts.totals(), [100_000, 0, 0]);
        shut_down(&pool);
    }
}

#[test]
fn jobs_that_wait_for_the_jobs_they_submit_get_threads() {
    fn nest(pool: Arc<BlockingPool>, counts: Arc<JobCounts>, depth: usize) {
        if depth > 0 {
            let (done, is_done) = mpsc::channel();
            let inner = {
                let (pool, counts) = (Arc::clone(&pool), Arc::clone(&counts));
                move || {
                    nest(pool, counts, depth - 1);
                    done.send(()).expect("the outer job waits");
                }
            };
            pool.submit(job(&counts, inner)).expect("an open pool");
            is_done.recv().expect("the inner job runs");
        }
    }
    let (pool, counts) = (pool(8, KEEP_ALIVE), Arc::new(JobCounts::default()));
    nest(Arc::clone(&pool), Arc::clone(&counts), 8);
    assert_eq!(counts.totals(), [8, 0, 0]);
    shut_down(&pool);
}

#[test]
fn pool_of_one_thread_runs_jobs_in_order() {
    let (pool, counts) = (pool(1, KEEP_ALIVE), Arc::new(JobCounts::default()));
    let release = occupy(&pool, &counts);
    let (ran, order) = mpsc::channel();
    for name in 0..10 {
        let ran = ran.clone();
        pool.submit(job(&counts, move || ran.send(name).expect("the test waits"))).expect("an open pool");
    }
    assert_eq!(pool.counts(), Counts { threads: 1, idle: 0, queued: 10 });
    drop(release);
    assert_eq!(order.iter().take(10).collect::<Vec<_>>(), Vec::from_iter(0..10));
    shut_down(&pool);
    assert_eq!(counts.totals(), [11, 0, 0]);
}

#[test]
fn waiting_thread_is_used_again() {
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let hook: Hook = Arc::new(move || _ = count.fetch_add(1, SeqCst));
    let pool =
        BlockingPool::new(Settings { on_thread_start: Some(hook), keep_alive: KEEP_ALIVE, ..Settings::default() });
    let counts = Arc::new(JobCounts::default());
    for _ in 0..100 {
        drop(occupy(&pool, &counts));
        while pool.counts().idle == 0 {
            thread::yield_now();
        }
    }
    shut_down(&pool);
    assert_eq!(started.load(SeqCst), 1);
}

#[test]
fn queued_jobs_are_cancelled_at_shutdown_and_running_ones_finish() {
    let (pool, counts) = (pool(2, KEEP_ALIVE), Arc::new(JobCounts::default()));
    let running = [occupy(&pool, &counts), occupy(&pool, &counts)];
    for _ in 0..5 {
        pool.submit(job(&counts, || ())).expect("an open pool");
    }
    pool.begin_shutdown().cancel();
    assert_eq!(counts.totals(), [2, 5, 0], "cancelled before the running ones are done");
    assert!(!pool.wait_for_threads(Some(Instant::now())), "two jobs still run");
    drop(running);
    shut_down(&pool);
    assert_eq!(counts.totals(), [2, 5, 0]);
}

#[test]
fn closed_pool_returns_the_job() {
    let (pool, counts) = (pool(2, KEEP_ALIVE), Arc::new(JobCounts::default()));
    pool.begin_shutdown().cancel();
    let refused = pool.submit(job(&counts, || ())).expect_err("the pool is closed");
    assert!(matches!(refused.why, Refusal::ShutDown));
    refused.job.cancel();
    shut_down(&pool);
    assert_eq!(counts.totals(), [0, 1, 0]);
}

#[test]
fn unused_pool_shuts_down_at_once() {
    assert!(pool(2, KEEP_ALIVE).wait_for_threads(Some(Instant::now())));
}

#[test]
fn cancelled_job_may_use_the_pool() {
    struct Reentrant(Arc<BlockingPool>, Arc<JobCounts>);
    impl Job for Reentrant {
        fn run_job(self: Box<Self>) {
            unreachable!("the job never gets a thread");
        }
        fn cancel(self: Box<Self>) {
            let refused = self.0.submit(job(&self.1, || ())).expect_err("the pool is closed");
            refused.job.cancel();
            self.0.begin_shutdown().cancel();
            panic!("in a cancellation (planned)");
        }
    }
    let (pool, counts) = (pool(1, KEEP_ALIVE), Arc::new(JobCounts::default()));
    let release = occupy(&pool, &counts);
    for _ in 0..2 {
        pool.submit(Box::new(Reentrant(Arc::clone(&pool), Arc::clone(&counts)))).expect("an open pool");
    }
    pool.begin_shutdown().cancel();
    drop(release);
    shut_down(&pool);
    assert_eq!(counts.totals(), [1, 2, 0], "the panic of the first does not keep the second from being cancelled");
}

#[test]
fn panics_of_jobs_hooks_and_payloads_are_caught() {
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
    let counts = Arc::new(JobCounts::default());
    pool.submit(job(&counts, || panic!("in a job"))).expect("an open pool");
    pool.submit(job(&counts, || std::panic::panic_any(Payload))).expect("an open pool");
    drop(occupy(&pool, &counts));
    shut_down(&pool);
    assert_eq!(counts.totals(), [3, 0, 0]);
}

/// The last hook may use what the runtime has, so the pool is not over before it.
#[test]
fn thread_in_its_stop_hook_is_waited_for() {
    let (begun, has_begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let hook: Hook = Arc::new(move || {
        begun.send(()).expect("the test waits");
        released.lock().recv().ok();
    });
    let pool = BlockingPool::new(Settings { on_thread_stop: Some(hook), ..Settings::default() });
    pool.submit(job(&Arc::default(), || ())).expect("an open pool");
    pool.begin_shutdown().cancel();
    has_begun.recv().expect("the thread stops");
    assert_eq!(pool.counts(), Counts { threads: 0, idle: 0, queued: 0 });
    assert!(!pool.wait_for_threads(Some(real_now())), "its hook has not returned");
    drop(release);
    assert!(pool.wait_for_threads(None));
}

#[test]
fn thread_name_with_zero_byte_is_replaced() {
    let settings = Settings { thread_name: Arc::new(|| "a\0b".to_owned()), ..Settings::default() };
    let (pool, counts) = (BlockingPool::new(settings), Arc::new(JobCounts::default()));
    let (name, named) = mpsc::channel();
    let work = move || name.send(std::thread::current().name().map(str::to_owned)).expect("the test waits");
    pool.submit(job(&counts, work)).expect("an open pool");
    assert_eq!(named.recv().expect("the job runs").as_deref(), Some("a?b"));
    shut_down(&pool);
}

#[test]
fn pool_without_any_thread_returns_job_with_reason() {
    let pool = BlockingPool::new(Settings { stack_size: Some(usize::MAX - 0xffff), ..Settings::default() });
    let counts = Arc::new(JobCounts::default());
    let refused = pool.submit(job(&counts, || ())).expect_err("no machine has memory for such a stack");
    assert!(refused.why.to_string().contains("max_blocking_threads"), "{}", refused.why);
    refused.job.cancel();
    assert_eq!(counts.totals(), [0, 1, 0]);
    shut_down(&pool);
}

#[test]
fn jobs_after_refused_thread_queue_and_later_thread_runs_oldest() {
    static REFUSED: statics::AtomicUsize = statics::AtomicUsize::new(0);
    fn start(builder: thread::Builder, main: Box<dyn FnOnce() + Send>) -> io::Result<thread::JoinHandle<()>> {
        if REFUSED.load(SeqCst) == 1 { Err(io::ErrorKind::WouldBlock.into()) } else { start_thread(builder, main) }
    }
    let pool = BlockingPool::new(Settings { start, keep_alive: KEEP_ALIVE, ..Settings::default() });
    let counts = Arc::new(JobCounts::default());
    let (ran, order) = mpsc::channel();
    let numbered_job = |name| {
        let ran = ran.clone();
        job(&counts, move || ran.send(name).expect("the test waits"))
    };
    let release = occupy(&pool, &counts);
    REFUSED.store(1, SeqCst);
    for name in 0..3 {
        pool.submit(numbered_job(name)).expect("there is a busy thread");
    }
    assert_eq!(pool.counts(), Counts { threads: 1, idle: 0, queued: 3 });
    REFUSED.store(0, SeqCst);
    pool.submit(numbered_job(3)).expect("an open pool");
    assert_eq!(order.iter().take(4).collect::<Vec<_>>(), [0, 1, 2, 3], "while the first thread is busy");
    drop(release);
    shut_down(&pool);
    assert_eq!(counts.totals(), [5, 0, 0]);
}

/// A thread of the pool shuts it down, as when a job drops the runtime. It waits for the other
/// threads, but not for itself.
#[test]
fn job_that_shuts_down_its_pool_waits_for_other_threads() {
    let (pool, counts) = (pool(2, KEEP_ALIVE), Arc::new(JobCounts::default()));
    let (answer, answered) = mpsc::channel();
    let (hold, held) = mpsc::channel::<()>();
    pool.submit(job(&counts, move || assert!(held.recv().is_err()))).expect("an open pool");
    let own = Arc::clone(&pool);
    let waits = job(&counts, move || {
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
    assert_eq!(counts.totals(), [2, 0, 0]);
}
