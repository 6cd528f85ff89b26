//! Limits on workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use heist::runtime::{Builder, TaskGroup};
use heist::task::{self, JoinSet};

/// Counts how many of its polls run at once.
#[derive(Default)]
struct Concurrency {
    now: AtomicUsize,
    most: AtomicUsize,
    polls: AtomicUsize,
}

impl Concurrency {
    fn poll(&self, during: impl FnOnce()) {
        self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        self.polls.fetch_add(1, Ordering::SeqCst);
        during();
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Spawns tasks that poll so often, and that also spawn and wake each other.
fn spawn_polls(group: &TaskGroup, tasks: usize, polls: usize, seen: &Arc<Concurrency>) -> JoinSet<()> {
    let mut set = JoinSet::in_group(group);
    for n in 0..tasks {
        let seen = Arc::clone(seen);
        set.spawn(async move {
            for poll in 0..polls {
                seen.poll(|| {
                    if (n + poll) % 97 == 0 {
                        task::block_in_place(std::thread::yield_now);
                    }
                });
                task::yield_now().await;
            }
        });
    }
    set
}

#[test]
fn polls_never_exceed_max_workers_under_a_resize_storm() {
    for limit in [1, 2] {
        let runtime = Builder::new_multi_thread().worker_threads(4).max_worker_threads(4).enable_all().build().unwrap();
        let group = runtime.group("limited").max_workers(limit).build().unwrap();
        let other = runtime.group("other").build().unwrap();
        let (seen, others) = (Arc::new(Concurrency::default()), Arc::new(Concurrency::default()));
        let sets = [spawn_polls(&group, 20, 1_000, &seen), spawn_polls(&other, 5, 1_000, &others)];
        let storm = runtime.spawn({
            let handle = runtime.handle().clone();
            async move {
                for n in 0..200 {
                    let _ = handle.resize(1 + n % 4).await;
                    task::yield_now().await;
                }
            }
        });
        for set in sets {
            runtime.block_on(set.join_all());
        }
        runtime.block_on(storm).unwrap();
        assert_eq!(seen.polls.load(Ordering::SeqCst), 20_000);
        assert!(seen.most.load(Ordering::SeqCst) <= limit, "{} at once", seen.most.load(Ordering::SeqCst));
    }
}

#[test]
fn raised_limit_lets_more_workers_in() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let group = runtime.group("limited").max_workers(1).build().unwrap();
    let (first, second) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    // Each blocks its worker until the other one runs.
    let one = group.spawn(async move {
        first.0.send(()).unwrap();
        second.1.recv().unwrap();
    });
    let two = group.spawn(async move {
        second.0.send(()).unwrap();
        first.1.recv().unwrap();
    });
    assert!(group.metrics().active_workers <= 1);
    group.set_max_workers(2).unwrap();
    runtime.block_on(async { (one.await.unwrap(), two.await.unwrap()) });
}

#[test]
fn groups_by_the_thousand_run_their_tasks_and_go() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let groups: Vec<_> =
        (0..10_000).map(|n| runtime.group(&format!("tenant-{n}")).max_workers(1).build().unwrap()).collect();
    let sum = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = groups
        .iter()
        .map(|group| {
            let sum = Arc::clone(&sum);
            group.spawn(async move {
                task::yield_now().await;
                sum.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(sum.load(Ordering::SeqCst), 10_000);
    drop(groups);
    while !runtime.handle().groups().is_empty() {
        std::thread::yield_now();
    }
}
