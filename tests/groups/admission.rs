//! Limits on live tasks, and spawns that wait.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use heist::runtime::{Refusal, Runtime};
use heist::task;

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn waiters_are_admitted_in_order_and_cancelled_ones_lose_nothing() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("one").max_tasks(1).build().unwrap();
    let held = group.try_admit().unwrap();
    let mut first = Box::pin(group.admit());
    let mut second = Box::pin(group.admit());
    let mut third = Box::pin(group.admit());
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());
    assert!(poll_once(third.as_mut()).is_pending());
    assert_eq!(group.metrics().waiting_spawns, 3);
    drop(second);
    drop(held);
    // The place is granted to the first, which does not take it.
    assert!(poll_once(third.as_mut()).is_pending());
    assert_eq!(group.try_admit().unwrap_err(), Refusal::Full);
    drop(first);
    let Poll::Ready(Ok(admission)) = poll_once(third.as_mut()) else { panic!("the place was lost") };
    assert_eq!(group.metrics().live_tasks, 1);
    drop(admission);
    assert_eq!(group.metrics().live_tasks, 0);
}

#[test]
fn spawn_beyond_the_limit_is_refused_with_its_future() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("two").max_tasks(2).build().unwrap();
    let tasks: Vec<_> = (0..2).map(|_| group.spawn(std::future::pending::<()>())).collect();
    let error = group.try_spawn(async { 7 }).unwrap_err();
    assert_eq!(error.refusal(), Refusal::Full);
    assert!(error.to_string().contains("max_tasks"), "{error}");
    assert_eq!(runtime.block_on(error.into_inner()), 7);
    let refused = runtime.block_on(group.spawn(async {})).unwrap_err();
    assert_eq!((refused.is_cancelled(), refused.refusal()), (true, Some(Refusal::Full)));
    assert_eq!(group.metrics().refused, 2);
    tasks[0].abort();
    runtime.block_on(group.spawn_when_admitted(async {})).unwrap();
}

#[test]
fn joiner_finds_the_place_of_the_joined_task_free() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("one").max_tasks(1).build().unwrap();
    runtime.block_on(async {
        for _ in 0..10_000 {
            group.try_spawn(async {}).unwrap().await.unwrap();
        }
    });
    assert_eq!(group.metrics().completed, 10_000);
}

#[test]
fn offered_tasks_never_exceed_the_limit_and_none_is_lost() {
    const THREADS: usize = 8;
    const OFFERED: usize = 20_000;
    const LIMIT: usize = 100;
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("limited").max_tasks(LIMIT).build().unwrap();
    let (live, most, ended) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let spawned = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (group, live, most, ended) = (&group, &live, &most, &ended);
            let (runtime, spawned) = (&runtime, &spawned);
            scope.spawn(move || {
                for n in 0..OFFERED / THREADS {
                    let (live, most, ended) = (Arc::clone(live), Arc::clone(most), Arc::clone(ended));
                    let task = async move {
                        most.fetch_max(live.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        task::yield_now().await;
                        live.fetch_sub(1, Ordering::SeqCst);
                        ended.fetch_add(1, Ordering::SeqCst);
                    };
                    let mut admitted = pin!(group.spawn_when_admitted(task));
                    if n % 100 == thread {
                        // Cancelled while it waits, unless it is admitted at once.
                        spawned.fetch_add(usize::from(poll_once(admitted.as_mut()).is_ready()), Ordering::SeqCst);
                        continue;
                    }
                    runtime.block_on(admitted).unwrap();
                    spawned.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    let report = group.drain(Duration::from_secs(60)).wait();
    assert!(report.stragglers.is_empty(), "{report}");
    let metrics = group.metrics();
    assert_eq!(ended.load(Ordering::SeqCst), spawned.load(Ordering::SeqCst));
    assert_eq!(metrics.spawned as usize, spawned.load(Ordering::SeqCst));
    assert!(most.load(Ordering::SeqCst) <= LIMIT, "{most:?} lived at once");
    assert_eq!((metrics.live_tasks, metrics.waiting_spawns), (0, 0));
}

#[test]
fn waiting_spawn_is_refused_when_its_runtime_shuts_down() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("one").max_tasks(1).build().unwrap();
    let _held = group.try_admit().unwrap();
    let waiter = std::thread::spawn({
        let group = group.clone();
        let other = Runtime::new().unwrap();
        move || other.block_on(group.admit()).unwrap_err()
    });
    while group.metrics().waiting_spawns == 0 {
        std::thread::yield_now();
    }
    drop(runtime);
    assert_eq!(waiter.join().unwrap(), Refusal::Closed);
}

#[test]
fn raised_limit_admits_waiters_in_order() {
    let runtime = Runtime::new().unwrap();
    let group = runtime.group("one").max_tasks(1).build().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let held = group.try_admit().unwrap();
    let mut waiters: Vec<_> = (0..5).map(|_| Box::pin(group.admit())).collect();
    for waiter in &mut waiters {
        assert!(poll_once(waiter.as_mut()).is_pending());
    }
    group.set_max_tasks(4).unwrap();
    let mut admitted = Vec::new();
    for (n, waiter) in waiters.iter_mut().enumerate() {
        if let Poll::Ready(admission) = poll_once(waiter.as_mut()) {
            order.lock().unwrap().push(n);
            admitted.push(admission);
        }
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
    drop((held, admitted));
}

#[test]
fn numbers_out_of_range_are_refused_with_a_remedy() {
    let runtime = Runtime::new().unwrap();
    let build = |builder: heist::runtime::GroupBuilder| builder.build().unwrap_err().to_string();
    assert!(build(runtime.group("g").weight(0)).contains("1 to 10000"));
    assert!(build(runtime.group("g").weight(10_001)).contains("10001"));
    assert!(build(runtime.group("g").max_workers(0)).contains("use 1"));
    assert!(build(runtime.group("g").max_tasks(0)).contains("use 1"));
    assert!(build(runtime.group("g").max_blocking(0)).contains("use 1"));
    let _group = runtime.group("g").build().unwrap();
    assert!(build(runtime.group("g")).contains("named \"g\""));
}
