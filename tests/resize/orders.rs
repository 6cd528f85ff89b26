//! Resizes from tasks, wakers and several threads.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use heist::runtime::{Handle, Resize, Resized};

use super::kit::{Count, Door};
use super::{all_at_once, builder, one_each, parts, until, workers};

/// Every change follows the one before, whichever thread made it. Each caller gets its own change.
#[test]
fn resizes_from_two_threads_follow_each_other() {
    let reported: Arc<Mutex<Vec<Resized>>> = Arc::default();
    let hook = Arc::clone(&reported);
    let runtime = builder(4).after_resize(move |resized| hook.lock().unwrap().push(resized)).build().unwrap();
    let threads: Vec<_> = (0..2_usize)
        .map(|thread| {
            let handle = runtime.handle().clone();
            let resize = move |nth: usize| {
                let size = (nth * 7 + thread * 5) % 16 + 1;
                let resized = handle.resize(size).wait().unwrap();
                assert_eq!(resized.to, size);
                resized
            };
            thread::spawn(move || (0..300).map(resize).collect::<Vec<_>>())
        })
        .collect();
    let outcomes: Vec<Resized> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    // The last resize may have left its hook call to the other thread. All calls have been made
    // once both threads have returned.
    let reported = reported.lock().unwrap().clone();
    let mut size = 4;
    for (nth, resized) in reported.iter().enumerate() {
        assert_eq!((resized.from, resized.version), (size, nth as u64 + 1), "{reported:?}");
        assert_ne!(resized.to, size);
        size = resized.to;
    }
    let changes: Vec<_> =
        outcomes.iter().filter(|resized| resized.from != resized.to).map(|resized| resized.version).collect();
    assert_eq!(changes.len(), reported.len());
    for resized in outcomes {
        match resized.version {
            0 => assert_eq!((resized.from, resized.to), (4, 4)),
            version if resized.from == resized.to => assert_eq!(reported[version as usize - 1].to, resized.to),
            version => assert_eq!(reported[version as usize - 1], resized),
        }
    }
    assert_eq!(runtime.resize(size).wait().unwrap().version, reported.len() as u64);
    assert_eq!(runtime.worker_threads(), size);
    all_at_once(&runtime, size);
}

/// The task on each worker asks for one worker, and awaits that: on the worker that stays, and on
/// those that retire.
#[test]
fn resize_awaited_on_retiring_workers_completes() {
    for _ in 0..50 {
        let runtime = workers(4);
        let tasks = one_each(&runtime, 4, |_| async { Handle::current().resize(1).await.unwrap() });
        let mut resized: Vec<_> = tasks.into_iter().map(|task| parts(runtime.block_on(task).unwrap())).collect();
        resized.sort();
        assert_eq!(resized, [(1, 1, 1), (1, 1, 1), (1, 1, 1), (4, 1, 1)]);
        assert_eq!(runtime.worker_threads(), 1);
    }
}

#[test]
fn resize_dropped_takes_effect() {
    let runtime = workers(1);
    drop(runtime.resize(6));
    all_at_once(&runtime, 6);
    // Polled once, and dropped with a waker in it.
    let go = Door::new();
    let blocked = one_each(&runtime, 6, |_| {
        let go = go.clone();
        async move { go.wait() }
    });
    let count = Count::new();
    let waker = Waker::from(Arc::new(CountingWaker(count.clone())));
    let mut resize = Box::pin(runtime.resize(2));
    assert!(resize.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(resize);
    go.open();
    blocked.into_iter().for_each(|task| runtime.block_on(task).unwrap());
    until(|| runtime.worker_threads() == 2);
    assert_eq!(count.get(), 0, "a dropped `Resize` wakes no task");
    all_at_once(&runtime, 2);
}

struct CountingWaker(Count);

impl std::task::Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.add();
    }
}

/// Polls in its `wake`, which is called within the resize that claims the retiring workers back.
struct Eager {
    resize: Mutex<Pin<Box<Resize>>>,
    outcome: Mutex<Option<Resized>>,
}

impl Eager {
    fn poll(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let polled = self.resize.lock().unwrap().as_mut().poll(&mut Context::from_waker(&waker));
        if let Poll::Ready(outcome) = polled {
            *self.outcome.lock().unwrap() = Some(outcome.unwrap());
        }
    }
}

impl std::task::Wake for Eager {
    fn wake(self: Arc<Self>) {
        self.poll();
    }
}

#[test]
fn resize_polled_by_waker_within_another_resize_is_ready() {
    let runtime = workers(2);
    let go = Door::new();
    let blocked = one_each(&runtime, 2, |_| {
        let go = go.clone();
        async move { go.wait() }
    });
    let down = Mutex::new(Box::pin(runtime.resize(1)));
    let eager = Arc::new(Eager { resize: down, outcome: Mutex::default() });
    eager.poll();
    assert!(eager.outcome.lock().unwrap().is_none());
    assert_eq!(parts(runtime.resize(2).wait().unwrap()), (1, 2, 2));
    assert_eq!(eager.outcome.lock().unwrap().map(parts), Some((2, 1, 1)));
    go.open();
    blocked.into_iter().for_each(|task| runtime.block_on(task).unwrap());
}

/// Workers in a poll cannot retire. A later resize claims them back, and no resize waits for them
/// any more. Or they retire after their polls.
#[test]
fn workers_that_have_not_retired_are_claimed_back() {
    let runtime = builder(4).thread_name_with(|at| format!("v{}", at.version)).build().unwrap();
    for back in [2, 4] {
        runtime.resize(4).wait().unwrap();
        let go = Door::new();
        let begun = Count::new();
        let blocked = one_each(&runtime, 4, |_| {
            let (go, begun) = (go.clone(), begun.clone());
            async move {
                begun.add();
                go.wait();
            }
        });
        until(|| begun.get() == 4);
        let mut down = Box::pin(runtime.resize(1));
        let waker = Waker::noop();
        assert!(down.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        assert_eq!(runtime.worker_threads(), 4, "no worker has retired");
        let mut up = Box::pin(runtime.resize(back));
        let taken_back = back == 4;
        assert_eq!(down.as_mut().poll(&mut Context::from_waker(waker)).is_ready(), taken_back);
        assert_eq!(up.as_mut().poll(&mut Context::from_waker(waker)).is_ready(), taken_back);
        go.open();
        blocked.into_iter().for_each(|task| runtime.block_on(task).unwrap());
        if !taken_back {
            assert_eq!(parts(runtime.block_on(down).unwrap()), (4, 1, 1));
            assert_eq!(parts(runtime.block_on(up).unwrap()), (1, 2, 2));
        }
        assert_eq!(runtime.worker_threads(), back);
        all_at_once(&runtime, back);
    }
    // The threads of the seats that were never vacated started with the runtime, or in the third
    // version.
    let names = one_each(&runtime, 4, |_| async { thread::current().name().map(str::to_owned).unwrap() });
    let mut names: Vec<_> = names.into_iter().map(|task| runtime.block_on(task).unwrap()).collect();
    names.sort();
    assert_eq!(names, ["v0", "v0", "v3", "v3"]);
}
