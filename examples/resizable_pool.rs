//! A thread pool with an adjustable size, as storage engines build it around runtimes that cannot
//! be resized. It has a size and a version, a prefix for its thread names, and a hook to configure
//! the runtime builder. It has a hook after each adjustment, weak handles, and an end that waits
//! for tasks. With other runtimes that takes a second runtime, an owner for the old ones, and a
//! tracker for tasks. Here each is one call.
//!
//! `cargo run --release --example resizable_pool` runs four scenarios; so does
//! `cargo test --examples`.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use heist::runtime::{Builder, DrainReport, Handle, ResizeError, Resized, Runtime, SpawnError};
use heist::task::JoinHandle;

/// The pool. When it is dropped, tasks have `grace` to finish; then they are cancelled.
struct ResizablePool {
    runtime: Runtime,
    version: Arc<AtomicU64>,
    grace: Duration,
}

/// Submits tasks, and does not keep the pool alive.
#[derive(Clone)]
struct PoolHandle(Handle);

impl ResizablePool {
    /// Makes a pool of `size` threads, named by `prefix`, seat and version. `rule` configures the
    /// builder further, and `after_adjust` is called after each adjustment.
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

    /// Changes the number of threads. Tasks go on, and handles stay valid.
    fn adjust_with(&self, size: usize) -> Result<Resized, ResizeError> {
        self.runtime.resize(size).wait()
    }

    fn handle(&self) -> PoolHandle {
        PoolHandle(self.runtime.handle().clone())
    }

    /// Ends the pool, and returns what became of its tasks.
    fn finish(self) -> DrainReport {
        self.runtime.drain(self.grace).wait()
    }
}

impl Drop for ResizablePool {
    fn drop(&mut self) {
        // A second drain joins the first, so after `finish` this returns its report at once.
        let report = self.runtime.drain(self.grace).wait();
        for task in &report.stragglers {
            eprintln!("the pool ended before task {}, spawned at {}", task.id, task.location);
        }
    }
}

impl PoolHandle {
    /// Submits a task. After the end of the pool the task is returned, so it is not lost.
    fn spawn<F>(&self, task: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.try_spawn(task)
    }
}

/// Submits many tasks, which spawn tasks themselves, while the pool is adjusted. Each runs once.
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

/// Adjusts the pool up and down. The number of threads follows each time, with one version each,
/// and the hook is called for each.
fn adjusting_the_thread_count() {
    let hook_calls = Arc::new(AtomicUsize::new(0));
    let calls = hook_calls.clone();
    let after_adjust = move |_| {
        calls.fetch_add(1, Ordering::Relaxed);
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
    assert_eq!(hook_calls.load(Ordering::Relaxed), 4);
}

/// Runs a task that never ends. It keeps neither an adjustment nor the end of the pool from
/// happening, and the report names it.
fn endless_task() {
    let pool = ResizablePool::new(2, "endless", |_| {}, |_| {}).expect("a pool");
    let endless = pool.handle().spawn(pending::<()>()).expect("the pool is open");
    let resized = pool.adjust_with(4).expect("an adjustment");
    assert_eq!(resized.to, 4);
    let begun = Instant::now();
    let report = pool.finish();
    assert!(begun.elapsed() >= Duration::from_millis(200), "the task had its grace period");
    let named: Vec<_> = report.stragglers.iter().map(|task| task.id).collect();
    assert_eq!(named, [endless.id()]);
}

/// Drops the pool with tasks in flight. They finish first, and a task that is submitted later is
/// returned to its submitter.
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
        println!("{name}: passed, {:?}", begun.elapsed());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn pool_with_many_tasks_runs_each_once() {
        super::many_tasks();
    }

    #[test]
    fn pool_adjusted_has_the_new_thread_count() {
        super::adjusting_the_thread_count();
    }

    #[test]
    fn pool_with_an_endless_task_is_adjusted_and_ends() {
        super::endless_task();
    }

    #[test]
    fn pool_dropped_with_tasks_in_flight_finishes_them() {
        super::drop_with_tasks_in_flight();
    }
}
