//! Tests of sleeps, timeouts, intervals and `JoinHandle`s on executors of other crates, inside of
//! an `enter` guard. The tests of sockets are in `foreign_io.rs`.

#[path = "support/kit.rs"]
mod kit;

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use futures::executor::{LocalPool, ThreadPool, block_on};
use futures::future::join_all;
use futures::task::{LocalSpawnExt, SpawnExt};
use heist::runtime::{Handle, Runtime};
use heist::task::JoinHandle;
use heist::time::{Instant, interval, sleep, sleep_until, timeout};
use kit::{Count, current_thread, workers, yield_now};

const SHORT: Duration = Duration::from_micros(300);

/// A future that enters the runtime for each poll.
struct Inside<F> {
    handle: Handle,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Inside<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let handle = self.handle.clone();
        let _guard = handle.enter();
        self.future.as_mut().poll(cx)
    }
}

fn inside<F: Future>(handle: &Handle, future: F) -> Inside<F> {
    Inside { handle: handle.clone(), future: Box::pin(future) }
}

/// Awaits one of everything that waits for the runtime's clock, and drops a timer before it fires.
/// Returns the number of waits.
async fn timers() -> usize {
    let begun = Instant::now();
    sleep(SHORT).await;
    assert!(begun.elapsed() >= SHORT, "the sleep was too short");
    sleep_until(begun + 2 * SHORT).await;
    assert!(begun.elapsed() >= 2 * SHORT);
    assert_eq!(timeout(Duration::from_secs(3600), async { 5 }).await, Ok(5));
    assert!(timeout(SHORT, pending::<()>()).await.is_err());
    let mut ticks = interval(SHORT);
    for _ in 0..3 {
        ticks.tick().await;
    }
    let mut moved = Box::pin(sleep(Duration::from_secs(3600)));
    assert!(poll_fn(|cx| Poll::Ready(moved.as_mut().poll(cx))).await.is_pending());
    moved.as_mut().reset(Instant::now() + SHORT);
    moved.await;
    6
}

/// Awaits tasks that end in every possible way, and one that another task of the runtime awaits.
/// Returns the sum of their outputs.
async fn tasks() -> usize {
    let done = heist::spawn(async {
        sleep(SHORT).await;
        1
    });
    let panics = heist::spawn(async {
        yield_now().await;
        if true {
            panic!("planned");
        }
    });
    let aborted = heist::spawn(pending::<()>());
    let waits = heist::spawn(async { heist::spawn(async { 1 }).await.unwrap() });
    let job = heist::task::spawn_blocking(|| 1);
    let sum = done.await.unwrap() + waits.await.unwrap() + job.await.unwrap();
    assert!(panics.await.unwrap_err().is_panic());
    aborted.abort();
    assert!(aborted.await.unwrap_err().is_cancelled());
    sum
}

/// Runs the test on every flavour. A thread of its own drives the current-thread runtime.
fn each(test: impl Fn(&Runtime)) {
    for count in [1, 2] {
        test(&workers(count));
    }
    let (runtime, done) = (current_thread(), kit::Door::new());
    thread::scope(|scope| {
        let (driven, ends) = (&runtime, done.clone());
        let driver = scope.spawn(move || driven.block_on(ends.opened()));
        // The door is opened also if the test fails.
        let _opener = kit::OnDrop::new(|| done.open());
        test(&runtime);
        drop(_opener);
        driver.join().unwrap();
    });
}

#[test]
fn timers_and_tasks_on_foreign_block_on_complete() {
    each(|runtime| {
        let _guard = runtime.enter();
        assert_eq!(block_on(timers()), 6);
        assert_eq!(block_on(tasks()), 3);
        // Many at once on one thread, with a combinator that polls only the woken futures.
        let all = block_on(join_all((0..50).map(|_| timers())));
        assert_eq!(all.into_iter().sum::<usize>(), 300);
    });
}

#[test]
fn timers_and_tasks_on_foreign_local_pool_complete() {
    each(|runtime| {
        let _guard = runtime.enter();
        let (mut pool, completed) = (LocalPool::new(), Count::new());
        for _ in 0..10 {
            let completed = completed.clone();
            let both = async move {
                assert_eq!(timers().await + tasks().await, 9);
                completed.add();
            };
            pool.spawner().spawn_local(both).unwrap();
        }
        pool.run();
        assert_eq!(completed.get(), 10);
    });
}

#[test]
fn timers_and_tasks_on_foreign_thread_pool_complete() {
    each(|runtime| {
        // The pool's threads move the futures, and with them the timers, between each other.
        let pool = ThreadPool::builder().pool_size(3).create().unwrap();
        let all: Vec<_> = (0..30)
            .map(|_| {
                let both = inside(runtime.handle(), async { timers().await + tasks().await });
                pool.spawn_with_handle(both).unwrap()
            })
            .collect();
        let sum: usize = block_on(join_all(all)).into_iter().sum();
        assert_eq!(sum, 30 * 9);
    });
}

#[test]
fn join_handle_moved_between_executors_wakes_last_one() {
    each(|runtime| {
        let pool = ThreadPool::builder().pool_size(2).create().unwrap();
        let door = kit::Door::new();
        let opened = door.opened();
        let mut task = runtime.spawn(async move {
            opened.await;
            7
        });
        // One executor registers its waker, then another: the last one is woken.
        assert!(block_on(poll_fn(|cx| Poll::Ready(Pin::new(&mut task).poll(cx)))).is_pending());
        let elsewhere = pool.spawn_with_handle(task).unwrap();
        door.open();
        assert_eq!(block_on(elsewhere).unwrap(), 7);
    });
}

#[test]
fn pending_futures_dropped_on_foreign_threads_are_released() {
    each(|runtime| {
        let pool = ThreadPool::builder().pool_size(2).create().unwrap();
        let (drops, polled) = (Count::new(), Count::new());
        let all: Vec<_> = (0..20)
            .map(|_| {
                let (guard, counts) = (drops.on_drop(), polled.clone());
                let waits = inside(runtime.handle(), async move {
                    let _guard = guard;
                    let long = sleep(Duration::from_secs(3600));
                    let task: JoinHandle<()> = heist::spawn(pending());
                    let abort = task.abort_handle();
                    counts.add();
                    futures::pin_mut!(long, task);
                    futures::future::select(long, task).await;
                    abort.abort();
                });
                pool.spawn_with_handle(waits).unwrap()
            })
            .collect();
        while polled.get() < 20 {
            thread::yield_now();
        }
        drop(all);
        // A dropped handle drops its future on a thread of the pool, at the future's next poll.
        while drops.get() < 20 {
            thread::yield_now();
        }
    });
}

#[test]
fn wake_by_worker_during_foreign_poll_is_not_lost() {
    each(|runtime| {
        let pool = ThreadPool::builder().pool_size(3).create().unwrap();
        // The task ends while it is awaited: a wake races with a poll.
        let all: Vec<_> = (0..500)
            .map(|number| {
                let waits = inside(runtime.handle(), async move {
                    let task = heist::spawn(async move {
                        if number % 2 == 0 {
                            yield_now().await;
                        }
                        number
                    });
                    timeout(Duration::from_secs(3600), task).await.unwrap().unwrap()
                });
                pool.spawn_with_handle(waits).unwrap()
            })
            .collect();
        assert_eq!(block_on(join_all(all)).into_iter().sum::<usize>(), (0..500).sum());
    });
}

#[test]
fn runtime_drop_resolves_handles_on_foreign_executors() {
    for count in [1, 2] {
        let runtime = workers(count);
        let pool = ThreadPool::builder().pool_size(2).create().unwrap();
        let waits = Count::new();
        let all: Vec<_> = (0..10)
            .map(|_| {
                let counts = waits.clone();
                let joins = inside(runtime.handle(), async move {
                    let task = heist::spawn(pending::<()>());
                    counts.add();
                    task.await
                });
                pool.spawn_with_handle(joins).unwrap()
            })
            .collect();
        while waits.get() < 10 {
            thread::yield_now();
        }
        drop(runtime);
        for joined in block_on(join_all(all)) {
            assert!(joined.unwrap_err().is_cancelled());
        }
    }
}
