//! A pool in the shape that storage engines have built around runtimes that cannot be resized: a
//! size and a version, a prefix for the names of its threads, a rule by which its runtime is built,
//! a hook after each adjustment, weak handles, and an end that waits for tasks. There it takes a
//! second runtime, a keeper for the old ones, and a tracker for tasks; here each is a call of
//! heist's.
//!
//! `cargo run --release --example resizable_pool` runs four scenarios; so does
//! `cargo test --examples`.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use heist::runtime::{Builder, DrainReport, Handle, ResizeError, Resized, Runtime, SpawnError};
use heist::task::JoinHandle;

/// The pool. Dropping it ends it: tasks have `grace` to finish, then they are cancelled.
struct ResizablePool {
    runtime: Runtime,
    version: Arc<AtomicU64>,
    grace: Duration,
}

/// Submits tasks, and keeps nothing alive.
#[derive(Clone)]
struct PoolHandle(Handle);

impl ResizablePool {
    /// A pool of `size` threads, named by `prefix`, seat and version. `rule` sets what else is to
    /// be set, and `after_adjust` hears of each change.
    fn new(
        size: usize,
        prefix: &'static str,
        rule: impl FnOnce(&mut Builder),
        after_adjust: impl Fn(Resized) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let version = Arc::new(AtomicU64::new(0));
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(size).enable_all();
        builder.thread_name_with(move |thread| format!("{prefix}-{}-v{}", thread.index, thread.version));
        let seen = version.clone();
        builder.after_resize(move |resized| {
            seen.store(resized.version, Ordering::Release);
            after_adjust(resized);
        });
        rule(&mut builder);
        Ok(ResizablePool { runtime: builder.build()?, version, grace: Duration::from_millis(200) })
    }

    fn size(&self) -> usize {
        self.runtime.worker_threads()
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The same pool with another number of threads: whatever runs in it stays where it is.
    fn adjust_with(&self, size: usize) -> Result<Resized, ResizeError> {
        self.runtime.resize(size).wait()
    }

    fn handle(&self) -> PoolHandle {
        PoolHandle(self.runtime.handle().clone())
    }

    /// Ends the pool, and tells what became of its tasks.
    fn finish(self) -> DrainReport {
        self.runtime.drain(self.grace).wait()
    }
}

impl Drop for ResizablePool {
    fn drop(&mut self) {
        // A second drain joins the first, so after `finish` this has its report at once.
        let report = self.runtime.drain(self.grace).wait();
        for task in &report.stragglers {
            eprintln!("the pool ended before task {}, spawned at {}", task.id, task.location);
        }
    }
}

impl PoolHandle {
    /// Submits a task. After the pool's end the task comes back, and so is not lost.
    fn spawn<F>(&self, task: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.try_spawn(task)
    }
}

/// Many tasks, which spawn tasks themselves, while the pool is adjusted: each runs once.
fn many_tasks() {
    let pool = ResizablePool::new(2, "many", |_| {}, |_| {}).expect("a pool");
    let handle = pool.handle();
    let done = Arc::new(AtomicUsize::new(0));
    for n in 0..10_000 {
        let (nested, done) = (handle.clone(), done.clone());
        let task = async move {
            let counted = done.clone();
            let child = async move {
                counted.fetch_add(1, Ordering::Relaxed);
            };
            drop(nested.spawn(child).expect("tasks may spawn"));
            done.fetch_add(1, Ordering::Relaxed);
        };
        drop(handle.spawn(task).expect("the pool is open"));
        if n % 1_000 == 0 {
            pool.adjust_with(1 + n / 1_000 % 4).expect("an adjustment");
        }
    }
    let report = pool.finish();
    assert!(report.stragglers.is_empty(), "{report}");
    assert_eq!(done.load(Ordering::Relaxed), 20_000);
}

/// The number of threads follows each adjustment, up and down, with one version each; and the hook
/// hears of all.
fn adjusting_the_thread_count() {
    let heard = Arc::new(AtomicUsize::new(0));
    let hears = heard.clone();
    let after_adjust = move |_| {
        hears.fetch_add(1, Ordering::Relaxed);
    };
    let rule = |builder: &mut Builder| {
        builder.max_worker_threads(8);
    };
    let pool = ResizablePool::new(4, "adjusted", rule, after_adjust).expect("a pool");
    for (n, size) in [8, 1, 6, 2].into_iter().enumerate() {
        let resized = pool.adjust_with(size).expect("an adjustment");
        assert_eq!((resized.to, pool.size()), (size, size));
        assert_eq!((resized.version, pool.version()), (n as u64 + 1, n as u64 + 1));
    }
    assert!(matches!(pool.adjust_with(0), Err(ResizeError::Zero)));
    assert!(matches!(pool.adjust_with(9), Err(ResizeError::AboveMaximum { .. })));
    assert_eq!(heard.load(Ordering::Relaxed), 4);
}

/// A task that never ends neither keeps an adjustment from happening nor the pool from ending, and
/// is named.
fn endless_task() {
    let pool = ResizablePool::new(2, "endless", |_| {}, |_| {}).expect("a pool");
    let endless = pool.handle().spawn(pending::<()>()).expect("the pool is open");
    let resized = pool.adjust_with(4).expect("an adjustment");
    assert_eq!(resized.to, 4);
    let begun = Instant::now();
    let report = pool.finish();
    assert!(begun.elapsed() >= Duration::from_millis(200), "it had its grace");
    let named: Vec<_> = report.stragglers.iter().map(|task| task.id).collect();
    assert_eq!(named, [endless.id()]);
}

/// Tasks in flight when the pool goes finish first; and what is submitted later comes back to its
/// submitter.
fn drop_with_tasks_in_flight() {
    let pool = ResizablePool::new(2, "dropped", |_| {}, |_| {}).expect("a pool");
    let handle = pool.handle();
    let sleeping = |n: u64| async move {
        heist::time::sleep(Duration::from_millis(n)).await;
        n
    };
    let in_flight: Vec<_> = (0..50).map(|n| handle.spawn(sleeping(n)).expect("the pool is open")).collect();
    drop(pool);
    let outputs: Vec<u64> =
        in_flight.into_iter().map(|task| futures::executor::block_on(task).expect("it finished")).collect();
    assert_eq!(outputs, (0..50).collect::<Vec<_>>());
    let late = handle.spawn(async { 7 }).expect_err("the pool is gone");
    assert_eq!(futures::executor::block_on(late.into_inner()), 7);
}

fn main() {
    let scenarios: [(&str, fn()); 4] = [
        ("many tasks", many_tasks),
        ("adjusting the thread count", adjusting_the_thread_count),
        ("an endless task", endless_task),
        ("drop with tasks in flight", drop_with_tasks_in_flight),
    ];
    for (name, run) in scenarios {
        let begun = Instant::now();
        run();
        println!("{name}: held, {:?}", begun.elapsed());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn many_tasks() {
        super::many_tasks();
    }

    #[test]
    fn adjusting_the_thread_count() {
        super::adjusting_the_thread_count();
    }

    #[test]
    fn endless_task() {
        super::endless_task();
    }

    #[test]
    fn drop_with_tasks_in_flight() {
        super::drop_with_tasks_in_flight();
    }
}
