//! What the function observes, and what the task observes afterwards.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use heist::runtime::{Builder, Handle, LocalRuntime};
use heist::task::coop::{has_budget_remaining, poll_proceed};
use heist::task::{block_in_place, try_id};

use super::each;
use super::kit::{Count, Door, OnDrop, current_thread, join, panic_text, says, text, workers, yield_now};

#[test]
fn budget_is_unlimited_within_section_and_unchanged_afterwards() {
    each(|runtime| {
        let polls = join(runtime.spawn(async {
            let mut polls = 0;
            poll_fn(|cx| {
                polls += 1;
                if polls == 2 {
                    return Poll::Ready(());
                }
                // The last call wakes the task again.
                while let Poll::Ready(unit) = poll_proceed(cx) {
                    unit.made_progress();
                }
                assert!(!has_budget_remaining());
                block_in_place(|| {
                    assert!(has_budget_remaining());
                    for _ in 0..1000 {
                        assert!(poll_proceed(&mut Context::from_waker(Waker::noop())).is_ready());
                    }
                    // A root has its own budget.
                    Handle::current().block_on(async {
                        for _ in 0..1000 {
                            heist::task::coop::consume_budget().await;
                        }
                    });
                });
                assert!(!has_budget_remaining());
                Poll::Pending
            })
            .await;
            polls
        }));
        assert_eq!(polls.unwrap(), 2);
    });
}

#[test]
fn task_locals_are_visible_within_section() {
    heist::task_local! { static NUMBER: u32; }
    each(|runtime| {
        let task = NUMBER.scope(7, async {
            let inside = block_in_place(|| {
                let root = Handle::current().block_on(NUMBER.scope(8, async { NUMBER.get() }));
                (NUMBER.get(), root)
            });
            yield_now().await;
            (inside, NUMBER.get())
        });
        assert_eq!(join(runtime.spawn(task)).unwrap(), ((7, 8), 7));
    });
}

#[test]
fn poll_hooks_with_section_run_once() {
    let counts = [(); 3].map(|()| Count::new());
    let [before, after, inside] = counts.clone();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .on_before_task_poll(move |_| {
            before.add();
        })
        .on_after_task_poll(move |_| {
            after.add();
        })
        .build()
        .unwrap();
    let seen = counts[..2].to_vec();
    join(runtime.spawn(async move {
        block_in_place(|| {
            if (seen[0].get(), seen[1].get()) == (1, 0) {
                inside.add();
            }
        });
    }))
    .unwrap();
    runtime.drain(Duration::MAX).wait();
    assert_eq!(counts.map(|count| count.get()), [1, 1, 1]);
}

/// A hook that is called in a poll blocks like the poll itself. Between two polls, the function
/// just runs.
#[test]
fn block_in_place_in_hooks_runs() {
    let count = Count::new();
    let calls = || {
        let count = count.clone();
        move || block_in_place(|| _ = count.add())
    };
    let (spawn, before, after, ends) = (calls(), calls(), calls(), calls());
    let (start, stop, park) = (calls(), calls(), Count::new());
    let parks = park.clone();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .on_task_spawn(move |_| spawn())
        .on_before_task_poll(move |_| before())
        .on_after_task_poll(move |_| after())
        .on_task_terminate(move |_| ends())
        .on_thread_start(start)
        .on_thread_stop(stop)
        .on_thread_park(move || {
            block_in_place(|| _ = parks.add());
        })
        .watchdog(false)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let sum = join(runtime.spawn(async { heist::spawn(async { 2 }).await.unwrap() + 1 })).unwrap();
    assert_eq!(sum, 3);
    while park.get() == 0 {
        thread::yield_now();
    }
    drop(runtime);
    // Two tasks were spawned and ended, with three or four polls. One worker, and spares one at a
    // time, started and stopped.
    assert!(count.get() >= 2 + 2 + 2 * 3 + 2, "{count:?}");
}

struct BlocksInPlace(Count, Door);

impl Wake for BlocksInPlace {
    fn wake(self: Arc<Self>) {
        block_in_place(|| {
            self.0.add();
            self.1.open();
        });
    }
}

/// In a poll, by a timer between two polls, and on a foreign thread.
#[test]
fn block_in_place_in_wakers_runs() {
    each(|runtime| {
        let (count, door) = (Count::new(), Door::new());
        let waker = Waker::from(Arc::new(BlocksInPlace(count.clone(), door.clone())));
        let wake = waker.clone();
        let inside = runtime.spawn(async move {
            let wakes = wake.clone();
            let sleep = heist::time::sleep(Duration::from_millis(1));
            let mut sleep = pin!(sleep);
            assert!(sleep.as_mut().poll(&mut Context::from_waker(&wake)).is_pending());
            door.opened().await;
            wakes.wake_by_ref();
            count.get()
        });
        assert_eq!(join(inside).unwrap(), 2);
        waker.wake();
    });
}

#[test]
fn task_woken_within_section_is_polled_once_more() {
    each(|runtime| {
        let polls = Count::new();
        let counts = polls.clone();
        join(runtime.spawn(poll_fn(move |cx| match counts.add() {
            1 => {
                block_in_place(|| {
                    let waker = cx.waker().clone();
                    thread::spawn(move || waker.wake()).join().unwrap();
                    cx.waker().wake_by_ref();
                });
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })))
        .unwrap();
        assert_eq!(polls.get(), 2);
    });
}

#[test]
fn resize_awaited_within_section_panics() {
    each(|runtime| {
        let texts = join(runtime.spawn(async {
            let handle = Handle::current();
            let (waits, awaits) = (handle.clone(), handle);
            block_in_place(|| {
                let waits = panic_text(|| waits.resize(1).wait());
                let inner = awaits.clone();
                [waits, panic_text(move || awaits.block_on(async { inner.resize(1).await }))]
            })
        }));
        for text in texts.unwrap() {
            says(&text, &["block_in_place", "drop it"]);
        }
    });
}

#[test]
fn resize_of_another_runtime_may_be_awaited_within_section() {
    each(|runtime| {
        let other = workers(2);
        let resized = join(runtime.spawn(async move { block_in_place(|| other.resize(1).wait()) }));
        let resized = resized.unwrap().unwrap();
        assert_eq!((resized.from, resized.to), (2, 1));
    });
}

#[test]
fn block_in_place_on_local_runtime_panics() {
    let runtime = LocalRuntime::new().unwrap();
    let root = panic_text(|| runtime.block_on(async { block_in_place(|| 1) }));
    let task = runtime.spawn_local(async { block_in_place(|| 1) });
    for text in [root, text(runtime.block_on(task).unwrap_err().into_panic())] {
        says(&text, &["block_in_place", "spawn_blocking"]);
    }
}

/// A thread that drives the runtime, or waits for its turn, is refused. A handle's `block_on`
/// drives nothing.
#[test]
fn block_in_place_on_current_thread_runtime_panics_in_block_on() {
    let runtime = current_thread();
    let (drives, release) = (Door::new(), Door::new());
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            runtime.block_on(async {
                drives.open();
                release.opened().await;
            });
        });
        drives.wait();
        let text = panic_text(|| runtime.block_on(async { block_in_place(|| 1) }));
        says(&text, &["block_in_place", "current-thread"]);
        assert_eq!(runtime.handle().block_on(async { block_in_place(|| 2) }), 2);
        release.open();
        first.join().unwrap();
    });
}

/// The section drives another runtime.
#[test]
fn current_thread_runtime_within_section_refuses_block_in_place() {
    each(|runtime| {
        let text = join(runtime.spawn(async {
            block_in_place(|| {
                let inner = current_thread();
                assert_eq!(inner.block_on(async { heist::spawn(async { 1 }).await.unwrap() }), 1);
                panic_text(|| inner.block_on(async { block_in_place(|| 1) }))
            })
        }));
        says(&text.unwrap(), &["block_in_place", "current-thread"]);
    });
}

/// A runtime that is dropped in a task of another one, and whose destructors block.
#[test]
fn block_in_place_in_destructors_of_another_runtime_runs() {
    each(|runtime| {
        let count = Count::new();
        let counts = count.clone();
        let inside = join(runtime.spawn(async move {
            for inner in [current_thread(), workers(1)] {
                let (counts, begun) = (counts.clone(), Door::new());
                let outer = try_id();
                let (guard, opens) = (
                    OnDrop::new(move || {
                        assert_ne!(try_id(), outer, "the task around is another runtime's");
                        block_in_place(|| _ = counts.add());
                    }),
                    begun.clone(),
                );
                drop(inner.spawn(async move {
                    let _guard = guard;
                    opens.open();
                    pending::<()>().await;
                }));
                drop(inner);
            }
            (worker_is_there(), try_id().is_some())
        }));
        assert_eq!(inside.unwrap(), (true, true));
        while count.get() < 2 {
            thread::yield_now();
        }
    });
}

fn worker_is_there() -> bool {
    heist::runtime::worker_index().is_some()
}
