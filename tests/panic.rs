//! Panics in every kind of user code: each stays with the task that raised it.

#[path = "support/kit.rs"]
mod kit;

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::task::{Context, Poll, Wake};

use heist::runtime::Runtime;
use kit::{Count, Door, OnDrop, panic_text, yield_now};

/// Keeps the intended panics out of the tests' output: there are hundreds, each with a backtrace.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
            if text.is_some_and(|text| !text.contains("(planned)")) {
                loud(info);
            }
        }));
    });
}

fn each(test: impl Fn(&Runtime)) {
    hush();
    kit::each(test);
}

/// Checks that the runtime runs tasks, fires timers and has lost no worker.
fn works(runtime: &Runtime) {
    runtime.block_on(async {
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                heist::spawn(async move {
                    yield_now().await;
                    heist::time::sleep(std::time::Duration::from_micros(10)).await;
                    n
                })
            })
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), n);
        }
    });
}

#[test]
fn panic_in_poll_is_contained() {
    each(|runtime| {
        runtime.block_on(async {
            let first = heist::spawn(async { panic!("at once (planned)") }).await.unwrap_err();
            assert!(first.to_string().contains("at once"));
            let later = heist::spawn(async {
                yield_now().await;
                panic!("later (planned)")
            });
            assert!(later.await.unwrap_err().to_string().contains("later"));
        });
        works(runtime);
    });
}

#[test]
fn panics_of_many_tasks_leave_the_others() {
    each(|runtime| {
        let (panicked, completed) = runtime.block_on(async {
            let tasks: Vec<_> = (0..200)
                .map(|n| {
                    heist::spawn(async move {
                        yield_now().await;
                        assert!(n % 2 == 0, "odd (planned)");
                        yield_now().await;
                    })
                })
                .collect();
            let (mut panicked, mut completed) = (0, 0);
            for task in tasks {
                match task.await {
                    Ok(()) => completed += 1,
                    Err(error) if error.is_panic() => panicked += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            (panicked, completed)
        });
        assert_eq!((panicked, completed), (100, 100));
        works(runtime);
    });
}

#[test]
fn panic_in_destructor_of_ready_future_is_contained() {
    each(|runtime| {
        runtime.block_on(async {
            struct Ready(Count);

            impl Future for Ready {
                type Output = usize;
                fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<usize> {
                    Poll::Ready(5)
                }
            }

            impl Drop for Ready {
                fn drop(&mut self) {
                    self.0.add();
                    panic!("in the destructor (planned)");
                }
            }

            let drops = Count::new();
            assert_eq!(heist::spawn(Ready(drops.clone())).await.unwrap(), 5, "the output was there already");
            assert_eq!(drops.get(), 1);
        });
        works(runtime);
    });
}

#[test]
fn panic_in_destructor_of_aborted_future_is_contained() {
    each(|runtime| {
        runtime.block_on(async {
            let begun = Door::new();
            let opens = begun.clone();
            let task = heist::spawn(async move {
                let _guard = OnDrop::new(|| panic!("in the destructor (planned)"));
                opens.open();
                pending::<()>().await;
            });
            begun.opened().await;
            task.abort();
            let error = task.await.unwrap_err();
            assert!(error.is_panic() && error.to_string().contains("in the destructor"), "{error}");
        });
        works(runtime);
    });
}

#[test]
fn panic_in_destructor_of_detached_output_is_contained() {
    each(|runtime| {
        let drops = Count::new();
        let output = || {
            let drops = drops.clone();
            OnDrop::new(move || {
                drops.add();
                panic!("in the output's destructor (planned)");
            })
        };
        runtime.block_on(async {
            // Dropped by the worker.
            let (door, late) = (Door::new(), output());
            let opened = door.opened();
            let task = heist::spawn(async move {
                opened.await;
                late
            });
            let abort = task.abort_handle();
            drop(task);
            door.open();
            while !abort.is_finished() || drops.get() == 0 {
                yield_now().await;
            }
            // Dropped by the handle.
            let early = output();
            let task = heist::spawn(async move { early });
            while !task.is_finished() {
                yield_now().await;
            }
            drop(task);
        });
        assert_eq!(drops.get(), 2);
        works(runtime);
    });
}

#[test]
fn panic_in_waker_of_join_handle_is_contained() {
    struct Explodes(Count);

    impl Wake for Explodes {
        fn wake(self: Arc<Self>) {
            self.0.add();
            panic!("in the waker (planned)");
        }
    }

    each(|runtime| {
        let wakes = Count::new();
        runtime.block_on(async {
            let door = Door::new();
            let opened = door.opened();
            let mut task = heist::spawn(opened);
            let waker = Arc::new(Explodes(wakes.clone())).into();
            assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
            door.open();
            while wakes.get() == 0 {
                yield_now().await;
            }
            task.await.unwrap();
        });
        assert_eq!(wakes.get(), 1);
        works(runtime);
    });
}

#[test]
fn panic_in_first_of_three_timer_wakers_is_contained() {
    struct Explodes(Count);

    impl Wake for Explodes {
        fn wake(self: Arc<Self>) {
            self.0.add();
            panic!("in the waker (planned)");
        }
    }

    each(|runtime| {
        let wakes = Count::new();
        runtime.block_on(async {
            let waker = Arc::new(Explodes(wakes.clone())).into();
            let mut first = Box::pin(heist::time::sleep(std::time::Duration::from_secs(3600)));
            assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            let at = heist::time::Instant::now() + std::time::Duration::from_millis(2);
            first.as_mut().reset(at);
            futures::join!(heist::time::sleep_until(at), heist::time::sleep_until(at));
            first.await;
        });
        assert_eq!(wakes.get(), 1);
        works(runtime);
    });
}

#[test]
fn panic_in_root_future_reaches_caller() {
    each(|runtime| {
        for round in 0..50 {
            let text = panic_text(|| {
                runtime.block_on(async {
                    heist::spawn(yield_now());
                    for _ in 0..round % 5 {
                        yield_now().await;
                    }
                    panic!("in the root (planned)");
                });
            });
            assert_eq!(text, "in the root (planned)");
        }
        works(runtime);
    });
}

/// A root that panics when it has just been woken from outside, while its seat is about to search
/// or to sleep.
#[test]
fn panic_in_root_future_woken_from_outside_reaches_caller() {
    each(|runtime| {
        for _ in 0..200 {
            let (door, foreign) = (Door::new(), runtime.handle().clone());
            let opens = door.clone();
            let thread = std::thread::spawn(move || {
                opens.open();
                foreign.spawn(yield_now())
            });
            let ended = catch_unwind(AssertUnwindSafe(|| {
                runtime.block_on(async {
                    door.opened().await;
                    panic!("in the root (planned)");
                })
            }));
            assert!(ended.is_err());
            let task = thread.join().unwrap();
            runtime.block_on(task).unwrap();
            // One at a time: each has to wake a sleeping runtime.
            let handle = runtime.handle().clone();
            runtime.block_on(std::thread::spawn(move || handle.spawn(async {})).join().unwrap()).unwrap();
        }
        works(runtime);
    });
}

#[test]
fn panic_payload_with_panicking_destructor_is_contained() {
    struct Nasty(usize);

    impl Drop for Nasty {
        fn drop(&mut self) {
            if self.0 > 0 {
                panic_any(Nasty(self.0 - 1));
            }
        }
    }

    each(|runtime| {
        runtime.block_on(async {
            for depth in 0..4 {
                let detached = heist::spawn(async move { panic_any(Nasty(depth)) });
                let abort = detached.abort_handle();
                drop(detached);
                while !abort.is_finished() {
                    yield_now().await;
                }
                // Dropped by the handle of an ended task.
                let task = heist::spawn(async move { panic_any(Nasty(depth)) });
                while !task.is_finished() {
                    yield_now().await;
                }
                drop(task);
                let error = heist::spawn(async move { panic_any(Nasty(depth)) }).await.unwrap_err();
                std::mem::forget(error.into_panic());
            }
        });
        works(runtime);
    });
}

#[test]
fn panic_in_destructor_at_shutdown_is_contained() {
    hush();
    kit::each_owned(|runtime| {
        let drops = Count::new();
        let begun = Count::new();
        for _ in 0..10 {
            let (drops, begun) = (drops.clone(), begun.clone());
            runtime.spawn(async move {
                let _guard = OnDrop::new(move || {
                    drops.add();
                    panic!("at shutdown (planned)");
                });
                begun.add();
                pending::<()>().await;
            });
        }
        runtime.block_on(async {
            while begun.get() < 10 {
                yield_now().await;
            }
        });
        drop(runtime);
        assert_eq!(drops.get(), 10);
    });
}

/// Combines every place where a task panics with every time of its abort and of its handle's drop.
/// Each future and output is dropped exactly once.
#[test]
fn panics_in_every_combination_are_contained() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum In {
        Nothing,
        Poll,
        Drop,
        Output,
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum When {
        Never,
        AtOnce,
        Begun,
        Ended,
    }

    /// Its guard goes with the future, not in its last poll: a panic there makes the compiler
    /// forget the output.
    struct Guarded<G, F>(G, Pin<Box<F>>);

    impl<G: Unpin, F: Future> Future for Guarded<G, F> {
        type Output = F::Output;
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
            self.1.as_mut().poll(cx)
        }
    }

    async fn combination(panics: In, abort: When, leave: When, suspends: bool) {
        let (futures, outputs, made, begun, go) = (Count::new(), Count::new(), Count::new(), Door::new(), Door::new());
        let (opens, opened) = (begun.clone(), go.opened());
        let future_guard = {
            let futures = futures.clone();
            OnDrop::new(move || {
                futures.add();
                assert!(panics != In::Drop, "in the destructor (planned)");
            })
        };
        let (make, dropped) = (made.clone(), outputs.clone());
        let mut task = Some(heist::spawn(Guarded(
            future_guard,
            Box::pin(async move {
                opens.open();
                if suspends {
                    opened.await;
                }
                assert!(panics != In::Poll, "in the poll (planned)");
                make.add();
                OnDrop::new(move || {
                    dropped.add();
                    assert!(panics != In::Output, "in the output's destructor (planned)");
                })
            }),
        )));
        let handle = task.as_ref().unwrap().abort_handle();
        let mut act = |now: When| {
            if abort == now {
                handle.abort();
            }
            if leave == now {
                // What the destructor of the output does is contained in the handle's.
                drop(task.take());
            }
        };
        act(When::AtOnce);
        if abort != When::AtOnce {
            begun.opened().await;
        }
        act(When::Begun);
        go.open();
        while !handle.is_finished() {
            yield_now().await;
        }
        act(When::Ended);
        if let Some(task) = task.take() {
            match task.await {
                Ok(output) => drop(catch_unwind(AssertUnwindSafe(|| drop(output)))),
                Err(error) => assert!(error.is_panic() || abort != When::Never, "{error}"),
            }
        }
        let context = format!("{panics:?} {abort:?} {leave:?} {suspends}");
        assert_eq!(futures.get(), 1, "{context}");
        while outputs.get() < made.get() {
            yield_now().await;
        }
        assert_eq!(outputs.get(), made.get(), "{context}");
    }

    each(|runtime| {
        runtime.block_on(async {
            let times = [When::Never, When::AtOnce, When::Begun, When::Ended];
            for panics in [In::Nothing, In::Poll, In::Drop, In::Output] {
                for abort in times {
                    for leave in times {
                        for suspends in [false, true] {
                            combination(panics, abort, leave, suspends).await;
                        }
                    }
                }
            }
        });
        works(runtime);
    });
}

#[test]
fn panic_in_poll_poisons_shared_lock_only() {
    each(|runtime| {
        let lock = Arc::new(futures::lock::Mutex::new(()));
        runtime.block_on(async {
            let mut tasks = Vec::new();
            for n in 0..20 {
                let lock = Arc::clone(&lock);
                tasks.push(heist::spawn(async move {
                    let _held = lock.lock().await;
                    yield_now().await;
                    assert!(n != 10, "while it held the lock (planned)");
                }));
            }
            let mut failed = 0;
            for task in tasks {
                failed += usize::from(task.await.is_err());
            }
            assert_eq!(failed, 1);
        });
    });
}

#[test]
fn panic_in_poll_fn_polled_by_hand_reaches_caller() {
    each(|runtime| {
        let text = panic_text(|| {
            runtime.block_on(poll_fn(|_| -> Poll<()> { panic!("in the poll function (planned)") }));
        });
        assert_eq!(text, "in the poll function (planned)");
        works(runtime);
    });
}

#[test]
fn runtimes_and_handles_go_through_catch_unwind() {
    fn is<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    is::<Runtime>();
    is::<heist::runtime::Handle>();
    is::<heist::runtime::RuntimeMetrics>();
    is::<heist::task::JoinHandle<Count>>();
    each(|runtime| {
        assert!(catch_unwind(|| runtime.block_on(async { panic!("(planned)") })).is_err());
        works(runtime);
    });
}
