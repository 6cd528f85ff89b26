//! `JoinSet`, for every way in which its members end, and in every state of the set.

#[path = "support/kit.rs"]
mod kit;

use std::collections::HashSet;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use heist::runtime::Runtime;
use heist::task::{AbortHandle, Id, JoinSet};
use kit::{Count, Door, current_thread, each, each_owned, panic_text, workers, yield_now};

/// A waker that counts.
#[derive(Default)]
struct Rings(AtomicUsize);

impl Rings {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Rings {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Runs a current-thread runtime until all of these tasks have ended.
fn run_to_the_end(runtime: &Runtime, tasks: &[AbortHandle]) {
    runtime.block_on(async {
        while !tasks.iter().all(AbortHandle::is_finished) {
            yield_now().await;
        }
    });
}

/// Returns a set with `count` tasks that wait at the door, and then return their number.
fn waiting(runtime: &Runtime, count: usize, door: &Door) -> (JoinSet<usize>, Vec<AbortHandle>) {
    let mut set = JoinSet::new();
    let spawn = |number| {
        let opened = door.opened();
        let task = async move {
            opened.await;
            number
        };
        set.spawn_on(task, runtime.handle())
    };
    let tasks = (0..count).map(spawn).collect();
    (set, tasks)
}

#[test]
fn join_next_returns_every_output_once() {
    each(|runtime| {
        let numbers: HashSet<usize> = runtime.block_on(async {
            let mut set: JoinSet<_> = (0..300).map(|number| async move { number }).collect();
            assert_eq!((set.len(), set.is_empty()), (300, false));
            let mut numbers = HashSet::new();
            while let Some(number) = set.join_next().await {
                assert!(numbers.insert(number.unwrap()));
            }
            assert!(set.join_next().await.is_none() && set.try_join_next().is_none());
            numbers
        });
        assert_eq!(numbers, (0..300).collect());
    });
}

#[test]
fn join_next_returns_outputs_in_order_of_ends() {
    current_thread().block_on(async {
        let doors = [(); 4].map(|()| Door::new());
        let mut set = JoinSet::new();
        let spawn = |number: usize| {
            let opened = doors[number].opened();
            set.spawn(async move {
                opened.await;
                number
            })
        };
        let tasks = [0, 1, 2, 3].map(spawn);
        for number in [2, 0, 3, 1] {
            doors[number].open();
            while !tasks[number].is_finished() {
                yield_now().await;
            }
        }
        assert_eq!(set.join_all().await, [2, 0, 3, 1]);
    });
}

#[test]
fn member_ends_wake_joiner_once_between_polls() {
    let runtime = current_thread();
    let door = Door::new();
    let (mut set, tasks) = waiting(&runtime, 50, &door);
    let rings = Arc::new(Rings::default());
    let waker = Waker::from(Arc::clone(&rings));
    let mut cx = Context::from_waker(&waker);
    assert!(set.poll_join_next(&mut cx).is_pending());
    assert!(set.poll_join_next(&mut cx).is_pending());
    door.open();
    run_to_the_end(&runtime, &tasks);
    assert_eq!(rings.get(), 1, "fifty ends, and one look that found nothing");
    for _ in 0..50 {
        assert!(matches!(set.poll_join_next(&mut cx), Poll::Ready(Some(Ok(_)))));
    }
    assert!(matches!(set.poll_join_next(&mut cx), Poll::Ready(None)));
    assert_eq!((rings.get(), Arc::strong_count(&rings)), (1, 2), "no waker is kept");
}

#[test]
fn member_end_wakes_joiner_that_polls_after_each() {
    let runtime = current_thread();
    let rings = Arc::new(Rings::default());
    let waker = Waker::from(Arc::clone(&rings));
    let mut set = JoinSet::new();
    for ends in 1..=20 {
        let door = Door::new();
        let task = set.spawn_on(door.opened(), runtime.handle());
        assert!(set.poll_join_next(&mut Context::from_waker(&waker)).is_pending());
        door.open();
        run_to_the_end(&runtime, &[task]);
        assert_eq!(rings.get(), ends);
        assert!(set.try_join_next().unwrap().is_ok());
    }
}

#[test]
fn joiner_that_polled_last_is_woken() {
    let runtime = current_thread();
    let door = Door::new();
    let (mut set, tasks) = waiting(&runtime, 1, &door);
    let all = [(); 2].map(|()| Arc::new(Rings::default()));
    for rings in &all {
        assert!(set.poll_join_next(&mut Context::from_waker(&Arc::clone(rings).into())).is_pending());
    }
    assert_eq!(Arc::strong_count(&all[0]), 1, "the first one's waker is gone");
    door.open();
    run_to_the_end(&runtime, &tasks);
    assert_eq!(all.map(|rings| rings.get()), [0, 1]);
}

#[test]
fn join_next_dropped_loses_no_output() {
    each(|runtime| {
        runtime.block_on(async {
            let door = Door::new();
            let (mut set, _) = waiting(runtime, 3, &door);
            for _ in 0..10 {
                let mut join = pin!(set.join_next());
                assert!(join.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            door.open();
            let mut outputs = set.join_all().await;
            outputs.sort();
            assert_eq!(outputs, [0, 1, 2]);
        });
    });
}

#[test]
fn join_next_with_id_returns_ids_of_failed_tasks_too() {
    each(|runtime| {
        runtime.block_on(async {
            let mut set = JoinSet::new();
            let fine = set.spawn(async { 7 }).id();
            let panics = set.spawn(async { panic!("boom") }).id();
            let aborted = set.spawn(pending());
            aborted.abort();
            let mut ends: Vec<(Id, &str)> = Vec::new();
            while let Some(joined) = set.join_next_with_id().await {
                ends.push(match joined {
                    Ok((id, output)) => {
                        assert_eq!(output, 7);
                        (id, "fine")
                    }
                    Err(error) if error.is_panic() => (error.id(), "panicked"),
                    Err(error) => (error.id(), "aborted"),
                });
            }
            ends.sort();
            let mut expected = vec![(fine, "fine"), (panics, "panicked"), (aborted.id(), "aborted")];
            expected.sort();
            assert_eq!(ends, expected);
            assert!(set.try_join_next_with_id().is_none());
        });
    });
}

#[test]
fn set_dropped_aborts_its_tasks() {
    each_owned(|runtime| {
        let drops = Count::new();
        let mut set = JoinSet::new();
        for _ in 0..20 {
            let guard = drops.on_drop();
            set.spawn_on(
                async move {
                    let _guard = guard;
                    pending::<()>().await;
                },
                runtime.handle(),
            );
        }
        runtime.block_on(yield_now());
        assert_eq!(drops.get(), 0);
        drop(set);
        let report = runtime.drain(std::time::Duration::MAX).wait();
        assert_eq!((drops.get(), report.stragglers.len()), (20, 0));
    });
}

#[test]
fn outputs_not_taken_are_dropped_with_the_set() {
    each(|runtime| {
        let outputs = Count::new();
        let mut set = JoinSet::new();
        for _ in 0..5 {
            let output = outputs.on_drop();
            set.spawn_on(async move { output }, runtime.handle());
        }
        runtime.block_on(async {
            let first = set.join_next().await.unwrap().unwrap();
            assert_eq!(outputs.get(), 0);
            drop(first);
        });
        assert_eq!((outputs.get(), set.len()), (1, 4));
        drop(set);
        while outputs.get() < 5 {
            runtime.block_on(yield_now());
            std::thread::yield_now();
        }
        assert_eq!(outputs.get(), 5);
    });
}

#[test]
fn detach_all_lets_tasks_run_and_empties_set() {
    each(|runtime| {
        let (door, ends) = (Door::new(), Count::new());
        runtime.block_on(async {
            let mut set = JoinSet::new();
            for _ in 0..10 {
                let (opened, ends) = (door.opened(), ends.clone());
                set.spawn(async move {
                    opened.await;
                    ends.add();
                });
            }
            yield_now().await;
            set.detach_all();
            assert!(set.is_empty() && set.join_next().await.is_none());
            set.spawn(async {});
            door.open();
            assert!(set.join_next().await.unwrap().is_ok());
            assert!(set.join_next().await.is_none());
            while ends.get() < 10 {
                yield_now().await;
            }
        });
    });
}

#[test]
fn detach_all_of_ended_tasks_drops_outputs() {
    let runtime = current_thread();
    let outputs = Count::new();
    let mut set = JoinSet::new();
    let tasks = [(); 3].map(|()| {
        let output = outputs.on_drop();
        set.spawn_on(async move { output }, runtime.handle())
    });
    run_to_the_end(&runtime, &tasks);
    assert_eq!(outputs.get(), 0);
    set.detach_all();
    assert_eq!((outputs.get(), set.try_join_next().is_none()), (3, true));
}

#[test]
fn abort_all_makes_tasks_join_as_cancelled() {
    each(|runtime| {
        runtime.block_on(async {
            let mut set = JoinSet::new();
            for _ in 0..10 {
                set.spawn(pending::<()>());
            }
            set.abort_all();
            assert_eq!(set.len(), 10);
            let mut cancelled = 0;
            while let Some(joined) = set.join_next().await {
                cancelled += usize::from(joined.unwrap_err().is_cancelled());
            }
            assert_eq!(cancelled, 10);
        });
    });
}

#[test]
fn shutdown_of_set_waits_for_destructors() {
    each(|runtime| {
        runtime.block_on(async {
            let (drops, mut set) = (Count::new(), JoinSet::new());
            for _ in 0..10 {
                let guard = drops.on_drop();
                set.spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
            }
            set.shutdown().await;
            assert_eq!((drops.get(), set.len()), (10, 0));
        });
    });
}

#[test]
fn join_all_panics_with_the_task_and_aborts_the_others() {
    each(|runtime| {
        let drops = Count::new();
        let said = panic_text(|| {
            runtime.block_on(async {
                let mut set = JoinSet::new();
                let guard = drops.on_drop();
                set.spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
                set.spawn(async { panic!("the task's own words") });
                set.join_all().await
            })
        });
        assert_eq!(said, "the task's own words");
        while drops.get() == 0 {
            runtime.block_on(yield_now());
            std::thread::yield_now();
        }
    });
}

#[test]
fn join_all_panics_if_a_task_was_aborted() {
    each(|runtime| {
        let said = panic_text(|| {
            runtime.block_on(async {
                let mut set = JoinSet::new();
                set.spawn(pending::<()>()).abort();
                set.join_all().await
            })
        });
        assert!(said.ends_with("was cancelled"), "{said}");
    });
}

#[test]
fn spawn_blocking_adds_member() {
    each(|runtime| {
        runtime.block_on(async {
            let mut set = JoinSet::new();
            set.spawn_blocking(|| 1);
            set.spawn_blocking_on(|| 2, runtime.handle());
            set.spawn(async { 3 });
            let mut outputs = set.join_all().await;
            outputs.sort();
            assert_eq!(outputs, [1, 2, 3]);
        });
    });
}

#[test]
fn set_outlives_its_runtime() {
    each_owned(|runtime| {
        let handle = runtime.handle().clone();
        let (mut set, _) = waiting(&runtime, 5, &Door::new());
        runtime.block_on(yield_now());
        drop(runtime);
        set.spawn_on(async { 9 }, &handle);
        let mut cancelled = 0;
        while let Some(joined) = futures::executor::block_on(set.join_next()) {
            cancelled += usize::from(joined.unwrap_err().is_cancelled());
        }
        assert_eq!(cancelled, 6);
    });
}

#[test]
fn set_moves_between_runtimes_and_threads() {
    let (one, two) = (workers(1), current_thread());
    let mut set = JoinSet::new();
    set.spawn_on(async { 1 }, one.handle());
    set.spawn_on(async { 2 }, two.handle());
    let mut outputs = std::thread::scope(|scope| scope.spawn(|| two.block_on(set.join_all())).join().unwrap());
    outputs.sort();
    assert_eq!(outputs, [1, 2]);
}

#[test]
fn member_key_reused_is_not_mistaken() {
    each(|runtime| {
        runtime.block_on(async {
            let mut set = JoinSet::new();
            let mut sum = 0;
            for number in 0..1_000u64 {
                set.spawn(async move {
                    if number % 3 == 0 {
                        yield_now().await;
                    }
                    number
                });
                while set.len() > 5 {
                    sum += set.join_next().await.unwrap().unwrap();
                }
            }
            sum += set.join_all().await.into_iter().sum::<u64>();
            assert_eq!(sum, 999 * 1_000 / 2);
        });
    });
}

#[test]
fn spawn_outside_of_runtime_panics_and_leaves_set() {
    let mut set: JoinSet<()> = JoinSet::default();
    let said = panic_text(|| set.spawn(async {}));
    assert!(said.contains("no heist runtime is running on this thread"), "{said}");
    assert!(set.is_empty());
    assert_eq!(format!("{set:?}"), "JoinSet { len: 0 }");
}
