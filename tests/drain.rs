//! Draining: everybody is told, nobody comes in from outside, and each task is accounted for.

#[path = "support/kit.rs"]
mod kit;

use std::future::{Future, pending, poll_fn};
use std::panic::Location;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use heist::runtime::{Builder, Drain, DrainReport, Handle, Runtime, RuntimeFlavor};
use heist::task::{JoinHandle, spawn_blocking};
use kit::{Count, Door, OnDrop, current_thread, each, each_owned, join, panic_text, poll_once, workers, yield_now};

const LONG: Duration = Duration::from_secs(3600);

fn counts(report: &DrainReport) -> [u64; 4] {
    [report.completed, report.panicked, report.cancelled, report.stragglers.len() as u64]
}

/// Polls every task that has been spawned at least once.
fn settle(runtime: &Runtime) {
    for _ in 0..8 {
        runtime.block_on(async { heist::spawn(yield_now()).await.unwrap() });
    }
}

/// With a grace that is over soon: for what does not return.
fn hasty(count: usize) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(count)
        .enable_all()
        .shutdown_grace(Duration::from_millis(20))
        .build()
        .unwrap()
}

// ------------------------------------------------------------------------------------------------------ what is counted

#[test]
fn nothing_to_do() {
    each(|runtime| {
        for _ in 0..10 {
            join_in(runtime, runtime.spawn(async {}));
        }
        let report = runtime.drain(LONG).wait();
        assert_eq!(counts(&report), [0, 0, 0, 0]);
    });
}

fn join_in<T>(runtime: &Runtime, task: JoinHandle<T>) -> T {
    runtime.block_on(task).unwrap()
}

/// A task whose handle has resolved is not in the report, however soon after it the drain begins.
#[test]
fn what_has_been_joined_before_does_not_count() {
    for round in 0..200 {
        let runtime = workers(1 + round % 3);
        join_in(&runtime, runtime.spawn(async {}));
        join_in(&runtime, runtime.spawn_blocking(|| ()));
        assert_eq!(runtime.metrics().num_alive_tasks(), 0);
        let living = runtime.spawn(yield_now());
        let report = runtime.drain(LONG).wait();
        assert!(living.is_finished());
        assert!(counts(&report)[0] <= 1 && counts(&report)[1..] == [0, 0, 0], "{report}");
    }
}

#[test]
fn nested_spawns_are_counted() {
    each(|runtime| {
        let ended = Count::new();
        for _ in 0..10 {
            let ended = ended.clone();
            let draining = runtime.draining();
            drop(runtime.spawn(async move {
                let _counts = ended.on_drop();
                draining.await;
                let child = heist::spawn(async move {
                    let _counts = ended.on_drop();
                    yield_now().await;
                    // Detached: nobody but the drain waits for it.
                    drop(heist::spawn(async move {
                        let _counts = ended.on_drop();
                        heist::time::sleep(Duration::from_millis(1)).await;
                    }));
                });
                child.await.unwrap();
            }));
        }
        settle(runtime);
        let report = runtime.drain(LONG).wait();
        assert_eq!((counts(&report), ended.get()), ([30, 0, 0, 0], 30));
    });
}

#[test]
fn blocking_jobs_are_counted_and_what_they_spawn() {
    each(|runtime| {
        let (ended, begun, go) = (Count::new(), Door::new(), Door::new());
        let (counter, opens, waits) = (ended.clone(), begun.clone(), go.clone());
        let job = runtime.spawn_blocking(move || {
            opens.open();
            waits.wait();
            let (a, b, c) = (counter.on_drop(), counter.on_drop(), counter.on_drop());
            drop(Handle::current().try_spawn(async move { drop(a) }).unwrap());
            drop(spawn_blocking(move || drop(b)));
            Handle::current().spawn(async move {
                let _c = c;
                spawn_blocking(|| ()).await.unwrap();
            });
            counter.on_drop()
        });
        begun.wait();
        let drain = runtime.drain(LONG);
        go.open();
        let report = drain.wait();
        assert_eq!((counts(&report), ended.get()), ([5, 0, 0, 0], 3));
        drop(join(job).unwrap());
    });
}

#[test]
fn panics_and_aborts_are_counted() {
    each(|runtime| {
        let draining = || runtime.draining();
        let mut tasks = Vec::new();
        for index in 0..9 {
            let draining = draining();
            tasks.push(runtime.spawn(async move {
                draining.await;
                assert!(index % 3 != 0, "on purpose");
                if index % 3 == 1 {
                    pending::<()>().await;
                }
            }));
        }
        let aborts: Vec<_> = tasks.iter().skip(1).step_by(3).map(|task| task.abort_handle()).collect();
        let draining = draining();
        drop(runtime.spawn(async move {
            draining.await;
            aborts.iter().for_each(|task| task.abort());
        }));
        // One whose destructor panics when it is aborted has panicked.
        let evil = OnDrop::new(|| panic!("on purpose"));
        let evil = runtime.spawn(async move {
            let _evil = evil;
            pending::<()>().await;
        });
        settle(runtime);
        let drain = runtime.drain(LONG);
        evil.abort();
        let report = drain.wait();
        assert_eq!(counts(&report), [4, 4, 3, 0]);
        assert!(tasks.iter().all(JoinHandle::is_finished));
    });
}

#[test]
fn outputs_stay_readable() {
    each(|runtime| {
        let tasks: Vec<_> = (0..20)
            .map(|index| {
                let draining = runtime.draining();
                runtime.spawn(async move {
                    draining.await;
                    yield_now().await;
                    vec![index; index]
                })
            })
            .collect();
        let report = runtime.drain(LONG).wait();
        assert_eq!(counts(&report), [20, 0, 0, 0]);
        for (index, task) in tasks.into_iter().enumerate() {
            assert_eq!(join(task).unwrap(), vec![index; index]);
        }
    });
}

// ------------------------------------------------------------------------------------------------------- who is refused

#[test]
fn outsiders_are_refused() {
    each(|runtime| {
        let go = Door::new();
        let waits = go.opened();
        let living = runtime.spawn(waits);
        let drain = runtime.drain(LONG);
        let drops = Count::new();
        let refuse = |handle: &Handle| {
            let guard = drops.on_drop();
            assert!(join(handle.spawn(async move { drop(guard) })).unwrap_err().is_cancelled());
            let guard = drops.on_drop();
            assert!(join(handle.spawn_blocking(move || drop(guard))).unwrap_err().is_cancelled());
            let error = handle.try_spawn(async { 7 }).unwrap_err();
            assert!(error.to_string().contains("into_inner"), "{error}");
            assert_eq!(futures::executor::block_on(error.into_inner()), 7);
        };
        refuse(runtime.handle());
        let handle = runtime.handle().clone();
        thread::scope(|scope| scope.spawn(|| refuse(&handle)).join().unwrap());
        runtime.block_on(async { refuse(&handle) });
        handle.block_on(async { refuse(&handle) });
        // A task of another runtime is an outsider here.
        let other = workers(1);
        let (inner, guard) = (handle.clone(), drops.on_drop());
        let refused = other.spawn(async move { inner.spawn(async move { drop(guard) }).await });
        assert!(join_in(&other, refused).unwrap_err().is_cancelled());
        assert_eq!(drops.get(), 9);
        go.open();
        let report = drain.wait();
        assert_eq!(counts(&report), [1, 0, 0, 0]);
        assert!(living.is_finished());
        // And everybody after the report.
        refuse(&handle);
    });
}

#[test]
fn a_root_that_begins_the_drain_is_an_outsider_at_once() {
    each(|runtime| {
        runtime.block_on(async {
            let handle = Handle::current();
            let before = handle.try_spawn(yield_now()).unwrap();
            let drain = handle.drain(LONG);
            assert!(handle.try_spawn(async {}).is_err());
            assert!(heist::spawn(async {}).await.unwrap_err().is_cancelled());
            before.await.unwrap();
            let report = drain.await;
            assert!(counts(&report)[1..] == [0, 0, 0] && report.completed <= 1, "{report}");
        });
    });
}

#[test]
fn nobody_may_spawn_after_the_deadline() {
    each(|runtime| {
        let refused = Count::new();
        for _ in 0..10 {
            let (handle, counter) = (runtime.handle().clone(), refused.clone());
            let guard = OnDrop::new(move || {
                let guard = counter.on_drop();
                assert!(handle.try_spawn(async move { drop(guard) }).is_err());
                drop(handle.spawn(async { unreachable!("it was spawned after the deadline") }));
                drop(handle.spawn_blocking(|| unreachable!("it was spawned after the deadline")));
            });
            drop(runtime.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            }));
        }
        settle(runtime);
        let report = runtime.drain(Duration::ZERO).wait();
        assert_eq!((counts(&report), refused.get()), ([0, 0, 10, 10], 10), "{report}");
    });
}

#[test]
fn destructors_and_wakers_of_the_living_may_spawn_before_it() {
    each(|runtime| {
        let ended = Count::new();
        let (handle, counter) = (runtime.handle().clone(), ended.clone());
        let guard = OnDrop::new(move || {
            let (guard, inner, handle) = (counter.on_drop(), counter.clone(), handle.clone());
            drop(handle.clone().try_spawn(async move {
                drop(guard);
                let last = OnDrop::new(move || {
                    let guard = inner.on_drop();
                    drop(handle.try_spawn(async move { drop(guard) }).unwrap());
                });
                yield_now().await;
                drop(last);
            }));
        });
        let draining = runtime.draining();
        drop(runtime.spawn(async move {
            let _guard = guard;
            draining.await;
        }));
        // A waker that spawns when the timer, that is a worker, calls it.
        struct Spawns(Handle, Count, Mutex<Option<Waker>>);
        impl std::task::Wake for Spawns {
            fn wake(self: Arc<Self>) {
                let guard = self.1.on_drop();
                drop(self.0.try_spawn(async move { drop(guard) }).unwrap());
                self.2.lock().unwrap().take().unwrap().wake();
            }
        }
        let (handle, counter, draining) = (runtime.handle().clone(), ended.clone(), runtime.draining());
        drop(runtime.spawn(async move {
            draining.await;
            let mut sleep = pin!(heist::time::sleep(Duration::from_millis(1)));
            poll_fn(|cx| {
                let waker = Waker::from(Arc::new(Spawns(
                    handle.clone(),
                    counter.clone(),
                    Mutex::new(Some(cx.waker().clone())),
                )));
                sleep.as_mut().poll(&mut Context::from_waker(&waker))
            })
            .await;
        }));
        settle(runtime);
        let report = runtime.drain(LONG).wait();
        assert_eq!((counts(&report), ended.get()), ([5, 0, 0, 0], 3), "{report}");
    });
}

// ------------------------------------------------------------------------------------------------------ at the deadline

#[test]
fn stragglers_are_cancelled_and_named() {
    each(|runtime| {
        let dropped = Count::new();
        let mut tasks = Vec::new();
        for _ in 0..5 {
            let guard = dropped.on_drop();
            tasks.push(runtime.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            }));
        }
        let idle = (Location::caller().file(), line!() - 5);
        for _ in 0..5 {
            let guard = dropped.on_drop();
            tasks.push(runtime.spawn(async move {
                let _guard = guard;
                loop {
                    yield_now().await;
                }
            }));
        }
        let busy = (Location::caller().file(), line!() - 7);
        settle(runtime);
        let report = runtime.drain(Duration::ZERO).wait();
        assert_eq!(dropped.get(), 10, "destructors run before the report");
        assert!(tasks.iter().all(JoinHandle::is_finished));
        assert_eq!(counts(&report), [0, 0, 10, 10]);
        let mut named: Vec<_> = report.stragglers.iter().map(|late| late.id).collect();
        let mut ids: Vec<_> = tasks.iter().map(JoinHandle::id).collect();
        named.sort();
        ids.sort();
        assert_eq!(named, ids);
        for place in [idle, busy] {
            let here = report.stragglers.iter().filter(|late| (late.location.file(), late.location.line()) == place);
            assert_eq!(here.count(), 5, "{report}");
        }
        assert!(report.to_string().contains("tests/drain.rs"), "{report}");
        assert!(tasks.into_iter().all(|task| join(task).unwrap_err().is_cancelled()));
    });
}

#[test]
fn queued_jobs_are_cancelled_and_running_ones_named() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .shutdown_grace(Duration::from_millis(20))
        .build()
        .unwrap();
    let (begun, go, dropped) = (Door::new(), Door::new(), Count::new());
    let (opens, waits) = (begun.clone(), go.clone());
    let running = runtime.spawn_blocking(move || {
        opens.open();
        waits.wait();
        5
    });
    begun.wait();
    let queued: Vec<_> = (0..3)
        .map(|_| {
            let guard = dropped.on_drop();
            runtime.spawn_blocking(move || drop(guard))
        })
        .collect();
    let report = runtime.drain(Duration::ZERO).wait();
    assert_eq!((counts(&report), dropped.get()), ([0, 0, 3, 4], 3), "{report}");
    assert!(report.stragglers.iter().any(|late| late.id == running.id()));
    assert!(!running.is_finished() && queued.iter().all(JoinHandle::is_finished));
    go.open();
    assert_eq!(join(running).unwrap(), 5, "nobody can stop it");
}

/// One worker, stuck in the first poll of a task or in a later one; behind it in the ring, in the list, and in the global queue others.
#[test]
fn a_poll_that_does_not_return_keeps_nobody() {
    for first_poll in [true, false] {
        for count in [1, 2] {
            let runtime = hasty(count);
            let (begun, go, dropped) = (Door::new(), Door::new(), Count::new());
            let idle: Vec<_> = (0..5).map(|_| guarded(&runtime, &dropped, pending())).collect();
            settle(&runtime);
            let (opens, waits, handle, counter) =
                (begun.clone(), go.clone(), runtime.handle().clone(), dropped.clone());
            let (ring, behind) = std::sync::mpsc::channel();
            let guard = dropped.on_drop();
            let line = line!() + 1;
            let stuck = runtime.spawn(async move {
                let _guard = guard;
                if !first_poll {
                    heist::time::sleep(Duration::from_millis(1)).await;
                }
                for _ in 0..5 {
                    let guard = counter.on_drop();
                    // In the worker's ring, or taken over by another worker.
                    ring.send(handle.spawn(async move {
                        let _guard = guard;
                        pending::<()>().await;
                    }))
                    .unwrap();
                }
                opens.open();
                waits.wait();
                pending::<()>().await;
            });
            begun.wait();
            let late = guarded(&runtime, &dropped, pending());
            let report = runtime.drain(Duration::ZERO).wait();
            assert_eq!((counts(&report), dropped.get()), ([0, 0, 11, 12], 11), "{report}");
            let named = report.stragglers.iter().find(|late| late.id == stuck.id()).expect("the stuck one is named");
            assert_eq!(named.location.line(), line);
            assert!(!stuck.is_finished());
            assert!(idle.iter().chain([&late]).all(JoinHandle::is_finished));
            assert!(behind.iter().take(5).all(|task| task.is_finished()));
            go.open();
            // When it does return it is dropped, also if it was in its first poll and nobody had known it.
            assert!(join(stuck).unwrap_err().is_cancelled());
            assert_eq!(dropped.get(), 12);
        }
    }
}

fn guarded(runtime: &Runtime, dropped: &Count, future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let guard = dropped.on_drop();
    runtime.spawn(async move {
        let _guard = guard;
        future.await;
    })
}

#[test]
fn a_destructor_that_does_not_return_keeps_only_its_own() {
    let runtime = hasty(2);
    let (go, dropped) = (Door::new(), Count::new());
    let waits = go.clone();
    let evil = OnDrop::new(move || waits.wait());
    let evil = runtime.spawn(async move {
        let _evil = evil;
        pending::<()>().await;
    });
    let others: Vec<_> = (0..20).map(|_| guarded(&runtime, &dropped, pending())).collect();
    settle(&runtime);
    let report = runtime.drain(Duration::ZERO).wait();
    assert_eq!(report.stragglers.len(), 21, "{report}");
    assert!(report.stragglers.iter().any(|late| late.id == evil.id()));
    assert!(!evil.is_finished());
    go.open();
    assert!(join(evil).unwrap_err().is_cancelled());
    others.into_iter().for_each(|task| assert!(join(task).unwrap_err().is_cancelled()));
    assert_eq!(dropped.get(), 20);
}

#[test]
fn any_deadline_will_do() {
    for deadline in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(1 << 40), Duration::MAX] {
        each(|runtime| {
            let draining = runtime.draining();
            drop(runtime.spawn(async move {
                draining.await;
                yield_now().await;
            }));
            settle(runtime);
            let report = runtime.drain(deadline).wait();
            assert_eq!(report.completed + report.cancelled, 1, "{report}");
            assert_eq!(report.cancelled, report.stragglers.len() as u64);
            if deadline > Duration::from_secs(1) {
                assert_eq!(counts(&report), [1, 0, 0, 0]);
            }
        });
    }
}

#[test]
fn it_acts_without_being_polled() {
    each(|runtime| {
        let (ended, told) = (Count::new(), Count::new());
        let gone = Door::new();
        let opens = gone.clone();
        let guard = OnDrop::new(move || opens.open());
        let (draining, tells) = (runtime.draining(), told.clone());
        drop(guarded(runtime, &ended, async move {
            let _guard = guard;
            draining.await;
            tells.add();
            pending::<()>().await;
        }));
        settle(runtime);
        drop(runtime.drain(Duration::from_millis(5)));
        gone.wait();
        // On a current-thread runtime that nobody drives it is dropped nevertheless, but it cannot be told before.
        assert!(told.get() == 0 || runtime.handle().runtime_flavor() == RuntimeFlavor::MultiThread);
        assert_eq!(counts(&runtime.drain(LONG).wait()), [0, 0, 1, 1]);
        assert_eq!(ended.get(), 1);
    });
}

// ---------------------------------------------------------------------------------------------------- who waits for it

#[test]
fn a_task_may_wait_for_it() {
    each(|runtime| {
        let other = runtime.spawn(yield_now());
        let report = join_in(
            runtime,
            runtime.spawn(async move {
                let report = Handle::current().drain(LONG).await;
                assert!(other.is_finished());
                // It goes on: timers work.
                heist::time::sleep(Duration::from_millis(1)).await;
                assert!(Handle::current().try_spawn(async {}).is_err());
                report
            }),
        );
        assert!(report.completed <= 1 && counts(&report)[1..] == [0, 0, 0], "{report}");
    });
}

#[test]
fn many_tasks_may_wait_for_it() {
    for deadline in [LONG, Duration::ZERO] {
        each(|runtime| {
            let go = Door::new();
            let waits: Vec<_> = (0..10)
                .map(|_| {
                    let opened = go.opened();
                    runtime.spawn(async move {
                        opened.await;
                        // Joined from the same task twice: it is excused once.
                        let (a, b) = (Handle::current().drain(deadline), Handle::current().drain(deadline));
                        let (a, b) = futures::future::join(a, b).await;
                        assert_eq!(counts(&a), counts(&b));
                        yield_now().await;
                        counts(&a)
                    })
                })
                .collect();
            let stays = deadline.is_zero().then(|| runtime.spawn(pending::<()>()));
            settle(runtime);
            go.open();
            let reports: Vec<_> = waits.into_iter().map(|task| runtime.block_on(task)).collect();
            let first = reports.iter().flatten().next().copied();
            for report in &reports {
                match report {
                    Ok(report) => assert_eq!(Some(*report), first),
                    // At a deadline of zero one may not have polled its drain yet.
                    Err(error) => assert!(error.is_cancelled() && deadline.is_zero()),
                }
            }
            if let (None, Some(counts)) = (&stays, first) {
                assert_eq!(counts, [0, 0, 0, 0]);
            }
        });
    }
}

#[test]
fn a_job_may_wait_for_it() {
    each(|runtime| {
        let living = runtime.draining();
        let living = runtime.spawn(living);
        settle(runtime);
        let handle = runtime.handle().clone();
        let job = runtime.spawn_blocking(move || handle.drain(LONG).wait());
        let report = join_in(runtime, job);
        assert_eq!(counts(&report), [1, 0, 0, 0], "{report}");
        assert!(living.is_finished());
    });
}

/// Who drops it is waited for again; who is given it is not.
#[test]
fn an_excuse_is_given_away() {
    each(|runtime| {
        let (there, gone) = (Door::new(), Door::new());
        let (opens, waits) = (there.clone(), gone.opened());
        let (give, taken) = async_channel::bounded::<Drain>(1);
        let takes = runtime.spawn(async move { taken.recv().await.unwrap().await });
        let gives = runtime.spawn(async move {
            let mut drain = Handle::current().drain(LONG);
            assert!(poll_once(&mut drain).is_pending());
            give.send(drain).await.unwrap();
            opens.open();
            waits.await;
        });
        runtime.block_on(there.opened());
        gone.open();
        let report = join_in(runtime, takes);
        assert_eq!(counts(&report), [1, 0, 0, 0], "{report}");
        assert!(gives.is_finished());
    });
}

/// A task of another runtime that awaits the drain is not excused in the place of one of ours.
#[test]
fn a_task_of_another_runtime_may_wait_for_it() {
    each(|runtime| {
        let (go, polled) = (Door::new(), Door::new());
        let living = runtime.spawn(go.opened());
        let drain = runtime.drain(LONG);
        let (foreign, opens) = (runtime.drain(LONG), polled.clone());
        let other = thread::spawn(move || {
            let other = current_thread();
            other.block_on(other.spawn(async move {
                let mut foreign = foreign;
                assert!(poll_once(&mut foreign).is_pending());
                opens.open();
                counts(&foreign.await)
            }))
        });
        polled.wait();
        assert!(!living.is_finished());
        go.open();
        let report = drain.wait();
        assert_eq!((counts(&report), other.join().unwrap().unwrap()), ([1, 0, 0, 0], [1, 0, 0, 0]));
    });
}

/// The root that is given it waits for the task that gave it away.
#[test]
fn an_excuse_ends_when_a_root_polls() {
    each(|runtime| {
        let (first, second) = (Door::new(), Door::new());
        let living = runtime.spawn(first.opened());
        let waits = second.opened();
        let (give, taken) = async_channel::bounded::<Drain>(1);
        let gives = runtime.spawn(async move {
            let mut drain = Handle::current().drain(LONG);
            assert!(poll_once(&mut drain).is_pending());
            give.send(drain).await.unwrap();
            waits.await;
        });
        let report = runtime.block_on(async {
            let mut drain = taken.recv().await.unwrap();
            assert!(poll_once(&mut drain).is_pending());
            first.open();
            living.await.unwrap();
            for _ in 0..100 {
                yield_now().await;
            }
            assert!(poll_once(&mut drain).is_pending(), "the task that gave it away lives");
            second.open();
            drain.await
        });
        assert_eq!(counts(&report), [2, 0, 0, 0], "{report}");
        join_in(runtime, gives);
    });
}

#[test]
fn an_excuse_that_is_dropped_in_time() {
    each(|runtime| {
        let (go, opens) = (Door::new(), Door::new());
        let other = runtime.spawn(go.opened());
        let waits = opens.opened();
        let gives_up = runtime.spawn(async move {
            let mut drain = Handle::current().drain(LONG);
            assert!(poll_once(&mut drain).is_pending());
            drop(drain);
            go.open();
            waits.await;
        });
        opens.open();
        runtime.block_on(runtime.draining());
        let report = runtime.drain(Duration::ZERO).wait();
        assert_eq!(counts(&report), [2, 0, 0, 0], "{report}");
        assert!(gives_up.is_finished() && other.is_finished());
    });
}

#[test]
fn a_second_drain_joins_the_first() {
    each(|runtime| {
        let go = Door::new();
        let living = runtime.spawn(go.opened());
        let (first, second) = (runtime.drain(LONG), runtime.drain(Duration::ZERO));
        let reports = Mutex::new(Vec::new());
        thread::scope(|scope| {
            scope.spawn(|| reports.lock().unwrap().push(second.wait()));
            scope.spawn(|| reports.lock().unwrap().push(futures::executor::block_on(runtime.drain(LONG))));
            go.open();
            let report = first.wait();
            reports.lock().unwrap().push(report);
        });
        let third = runtime.drain(LONG).wait();
        for report in reports.into_inner().unwrap() {
            assert_eq!((counts(&report), report.elapsed), ([1, 0, 0, 0], third.elapsed), "{report}");
        }
        assert!(living.is_finished());
    });
}

#[test]
fn waiting_inside_of_async_code_is_an_error() {
    each(|runtime| {
        let drain = runtime.drain(LONG);
        let text = runtime.block_on(async { panic_text(|| drain.wait()) });
        assert!(text.contains("await"), "{text}");
    });
}

#[test]
fn everybody_is_told() {
    each_owned(|runtime| {
        let told = Count::new();
        let mut tasks = Vec::new();
        for _ in 0..5 {
            let (draining, told) = (runtime.draining(), told.clone());
            tasks.push(runtime.spawn(async move {
                draining.await;
                told.add();
            }));
        }
        let mut forgotten = runtime.draining();
        assert!(poll_once(&mut forgotten).is_pending());
        assert!(poll_once(&mut forgotten).is_pending());
        drop(forgotten);
        let mut kept = runtime.draining();
        assert!(poll_once(&mut kept).is_pending());
        let (handle, begun) = (runtime.handle().clone(), Door::new());
        let opens = begun.clone();
        let thread = thread::spawn(move || {
            opens.open();
            handle.block_on(handle.draining());
            futures::executor::block_on(handle.draining());
        });
        begun.wait();
        let report = runtime.drain(LONG).wait();
        assert_eq!((counts(&report), told.get()), ([5, 0, 0, 0], 5));
        thread.join().unwrap();
        assert!(poll_once(&mut kept).is_ready());
        assert!(poll_once(&mut runtime.draining()).is_ready());
    });
}

#[test]
fn the_shutdown_tells_them_too() {
    each_owned(|runtime| {
        let handle = runtime.handle().clone();
        let mut early = handle.draining();
        assert!(poll_once(&mut early).is_pending());
        drop(runtime);
        assert!(poll_once(&mut early).is_ready());
        assert!(poll_once(&mut handle.draining()).is_ready());
    });
}

// -------------------------------------------------------------------------------------------------------- and the shutdown

#[test]
fn dropping_the_runtime_ends_it() {
    each_owned(|runtime| {
        let dropped = Count::new();
        for _ in 0..5 {
            drop(guarded(&runtime, &dropped, pending()));
        }
        settle(&runtime);
        let drain = runtime.drain(LONG);
        drop(runtime);
        let report = drain.wait();
        assert_eq!((counts(&report), dropped.get()), ([0, 0, 5, 5], 5), "{report}");
    });
}

#[test]
fn a_shutdown_that_does_not_wait_ends_it() {
    each_owned(|runtime| {
        let dropped = Count::new();
        for _ in 0..5 {
            drop(guarded(&runtime, &dropped, pending()));
        }
        settle(&runtime);
        let drain = runtime.drain(LONG);
        runtime.shutdown_background();
        let report = futures::executor::block_on(drain);
        assert_eq!((counts(&report), dropped.get()), ([0, 0, 5, 5], 5), "{report}");
    });
}

#[test]
fn a_shutdown_beside_a_poll_that_does_not_return_ends_it() {
    let runtime = hasty(1);
    let (begun, go) = (Door::new(), Door::new());
    let (opens, waits) = (begun.clone(), go.clone());
    let stuck = runtime.spawn(async move {
        opens.open();
        waits.wait();
    });
    begun.wait();
    let drain = runtime.drain(LONG);
    runtime.shutdown_background();
    let report = drain.wait();
    assert_eq!(counts(&report), [0, 0, 0, 1], "{report}");
    go.open();
    join(stuck).unwrap();
}

#[test]
fn draining_a_runtime_that_has_been_shut_down() {
    each_owned(|runtime| {
        let handle = runtime.handle().clone();
        drop(runtime.spawn(pending::<()>()));
        drop(runtime);
        let report = handle.drain(LONG).wait();
        assert_eq!(counts(&report), [0, 0, 0, 0]);
    });
}

#[test]
fn the_runtime_is_dropped_by_who_has_drained_it() {
    each_owned(|runtime| {
        let handle = runtime.handle().clone();
        let (gone, living) = (Door::new(), runtime.draining());
        let opens = gone.clone();
        drop(handle.spawn(living));
        let task = handle.spawn(async move {
            let report = runtime.drain(LONG).await;
            let opens = OnDrop::new(move || opens.open());
            let _last = opens;
            drop(runtime);
            report
        });
        if handle.runtime_flavor() == RuntimeFlavor::MultiThread {
            gone.wait();
            assert_eq!(counts(&join(task).unwrap()), [1, 0, 0, 0]);
        }
    });
}

// ----------------------------------------------------------------------------------------------------- current-thread only

#[test]
fn a_current_thread_runtime_is_driven_by_who_waits() {
    let runtime = current_thread();
    let slow = runtime.spawn(async {
        for _ in 0..100 {
            yield_now().await;
        }
        heist::time::sleep(Duration::from_millis(1)).await;
    });
    let report = runtime.drain(LONG).wait();
    assert_eq!(counts(&report), [1, 0, 0, 0]);
    assert!(slow.is_finished());
}

#[test]
fn a_current_thread_runtime_is_driven_by_another_thread() {
    let runtime = current_thread();
    let (go, over) = (Door::new(), Door::new());
    let task = runtime.spawn(go.opened());
    thread::scope(|scope| {
        let drives = scope.spawn(|| runtime.block_on(over.opened()));
        let drain = runtime.drain(LONG);
        go.open();
        let report = futures::executor::block_on(drain);
        assert_eq!(counts(&report), [1, 0, 0, 0]);
        over.open();
        drives.join().unwrap();
    });
    assert!(task.is_finished());
}

/// The last task ends, and its driver leaves at once.
#[test]
fn a_driver_that_leaves_looks() {
    for _ in 0..100 {
        let runtime = current_thread();
        let draining = runtime.draining();
        let task = runtime.spawn(draining);
        let drain = runtime.drain(LONG);
        runtime.block_on(task).unwrap();
        let report = futures::executor::block_on(drain);
        assert_eq!(counts(&report), [1, 0, 0, 0]);
    }
}

// --------------------------------------------------------------------------------------------------------------- storms

/// Outsiders spawn while the drain begins; tasks spawn in turn, and block, and wait. Whoever was let in has ended when the report is there,
/// and nobody runs after it.
#[test]
fn a_storm() {
    for round in 0..60 {
        let runtime =
            Builder::new_multi_thread().worker_threads(1 + round % 4).enable_all().sentinel(false).build().unwrap();
        let (accepted, ended, refused) = (Count::new(), Count::new(), Count::new());
        let start = Door::new();
        let storms: Vec<_> = (0..2)
            .map(|_| {
                let (handle, start) = (runtime.handle().clone(), start.clone());
                let (accepted, ended, refused) = (accepted.clone(), ended.clone(), refused.clone());
                thread::spawn(move || {
                    start.wait();
                    let mut tasks = Vec::new();
                    while refused.get() < 20 {
                        if tasks.len() > 300 {
                            thread::yield_now();
                        }
                        let (all, over) = (accepted.clone(), ended.clone());
                        let task = async move {
                            yield_now().await;
                            let last = over.clone();
                            all.add();
                            drop(heist::spawn(async move {
                                yield_now().await;
                                last.add();
                            }));
                            if over.get() % 16 == 0 {
                                let last = over.clone();
                                all.add();
                                drop(spawn_blocking(move || last.add()));
                            }
                            over.add();
                        };
                        match handle.try_spawn(task) {
                            Ok(task) => {
                                accepted.add();
                                tasks.push(task);
                            }
                            Err(_) => {
                                refused.add();
                            }
                        }
                    }
                    tasks
                })
            })
            .collect();
        start.open();
        while ended.get() < round {
            thread::yield_now();
        }
        let report = runtime.drain(LONG).wait();
        let then = ended.get();
        assert_eq!(counts(&report)[1..], [0, 0, 0], "{report}");
        assert_eq!(runtime.metrics().num_alive_tasks(), 0);
        let tasks: Vec<_> = storms.into_iter().flat_map(|storm| storm.join().unwrap()).collect();
        assert!(tasks.iter().all(JoinHandle::is_finished));
        assert_eq!((accepted.get(), ended.get()), (then, then));
        assert!(report.completed <= then as u64);
    }
}

/// The deadline comes in the middle of it.
#[test]
fn a_storm_that_is_cut_off() {
    for round in 0..100 {
        let runtime =
            Builder::new_multi_thread().worker_threads(1 + round % 4).enable_all().sentinel(false).build().unwrap();
        let (made, dropped) = (Count::new(), Count::new());
        fn breed(made: Count, dropped: Count) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
            made.add();
            let guard = dropped.on_drop();
            Box::pin(async move {
                let _guard = guard;
                loop {
                    yield_now().await;
                    if made.get() < 500 {
                        drop(heist::spawn(breed(made.clone(), dropped.clone())));
                    } else {
                        heist::time::sleep(LONG).await;
                    }
                }
            })
        }
        for _ in 0..4 {
            drop(runtime.spawn(breed(made.clone(), dropped.clone())));
        }
        let report = runtime.drain(Duration::from_micros(round as u64 * 20)).wait();
        assert_eq!(made.get(), dropped.get());
        assert_eq!(report.stragglers.len() as u64, report.cancelled, "{report}");
        assert_eq!((report.completed, report.panicked), (0, 0));
    }
}

/// Polls once with a waker that does nothing, so that a report that comes later has to be found by asking.
#[test]
fn a_drain_that_is_polled_again_later() {
    each(|runtime| {
        let go = Door::new();
        drop(runtime.spawn(go.opened()));
        let mut drain = runtime.drain(LONG);
        assert!(poll_once(&mut drain).is_pending());
        go.open();
        let report = runtime.drain(LONG).wait();
        let Poll::Ready(again) = poll_once(&mut drain) else { panic!("the report is there") };
        assert_eq!((counts(&again), again.elapsed), (counts(&report), report.elapsed));
    });
}

// ------------------------------------------------------------------------------------------------ the promises of the shutdown

/// What is logged while `f` runs on this thread, and, for as long as it lasts, elsewhere: lines of level, target, and fields.
fn logged(f: impl FnOnce()) -> Vec<String> {
    use std::fmt::Write;

    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    struct Lines(Arc<Mutex<Vec<String>>>);
    struct Fields(String);

    impl tracing::field::Visit for Fields {
        fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
            write!(self.0, " {field}={value:?}").unwrap();
        }
    }

    impl<S: tracing::Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let mut fields = Fields(format!("{} {}", event.metadata().level(), event.metadata().target()));
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields.0);
        }
    }

    let lines = Arc::new(Mutex::new(Vec::new()));
    let subscriber = tracing_subscriber::registry().with(Lines(Arc::clone(&lines)));
    tracing::subscriber::with_default(subscriber, f);
    std::mem::take(&mut *lines.lock().unwrap())
}

#[test]
fn a_refusal_is_said_once_in_a_while_with_its_place() {
    each(|runtime| {
        let drain = runtime.drain(LONG);
        let place = format!("location=tests/drain.rs:{}", line!() + 3);
        let lines = logged(|| {
            for _ in 0..1000 {
                drop(runtime.spawn(async {}));
            }
        });
        // Once a second, and this takes less; on a machine that is very slow it is more than one line.
        assert!(!lines.is_empty() && lines.len() < 100, "{lines:?}");
        assert!(lines.iter().all(|line| line.starts_with("ERROR heist::drain") && line.contains(&place)), "{lines:?}");
        drop(drain);
    });
}

#[test]
fn dropping_a_runtime_in_its_own_job_detaches_nothing() {
    each_owned(|runtime| {
        let dropped = Count::new();
        drop(guarded(&runtime, &dropped, pending()));
        settle(&runtime);
        let handle = runtime.handle().clone();
        let lines = join(handle.spawn_blocking(move || logged(|| drop(runtime)))).unwrap();
        assert_eq!((lines, dropped.get()), (Vec::<String>::new(), 1));
    });
}

#[test]
fn block_on_by_a_handle_returns_when_its_runtime_is_gone() {
    each_owned(|runtime| {
        let handle = runtime.handle().clone();
        drop(runtime);
        // What does not need the runtime works.
        assert_eq!(handle.block_on(async { 5 }), 5);
        handle.block_on(yield_now());
    });
    for flavor in [RuntimeFlavor::CurrentThread, RuntimeFlavor::MultiThread] {
        let mut builder = match flavor {
            RuntimeFlavor::MultiThread => Builder::new_multi_thread(),
            _ => Builder::new_current_thread(),
        };
        let runtime = builder.worker_threads(1).enable_all().shutdown_grace(Duration::from_millis(20)).build().unwrap();
        let (handle, begun) = (runtime.handle().clone(), Door::new());
        let opens = begun.clone();
        let in_flight = thread::spawn(move || {
            let text = panic_text(|| {
                handle.block_on(async move {
                    opens.open();
                    pending::<()>().await;
                });
            });
            (handle, text)
        });
        let joins = {
            let (handle, task) = (runtime.handle().clone(), runtime.spawn(pending::<()>()));
            thread::spawn(move || handle.block_on(task))
        };
        begun.wait();
        drop(runtime);
        let (handle, text) = in_flight.join().unwrap();
        assert!(text.contains("shut down") && text.contains("draining"), "{text}");
        assert!(joins.join().unwrap().unwrap_err().is_cancelled());
        let text = panic_text(|| handle.block_on(pending::<()>()));
        assert!(text.contains("shut down"), "{text}");
    }
}

/// A thread-local whose destructor does not return keeps its thread, not the closer.
#[test]
fn a_thread_that_does_not_end_is_not_waited_for() {
    struct Stays(Door);
    impl Drop for Stays {
        fn drop(&mut self) {
            self.0.wait();
        }
    }
    thread_local! {
        static STAYS: std::cell::RefCell<Option<Stays>> = const { std::cell::RefCell::new(None) };
    }
    let (runtime, go) = (hasty(1), Door::new());
    let door = go.clone();
    join_in(&runtime, runtime.spawn(async move { STAYS.set(Some(Stays(door))) }));
    drop(runtime);
    go.open();
}

// ---------------------------------------------------------------------------------------------------------- and the resize

/// Tasks that are at home in seats that nobody sits in any more are told, counted, and cancelled like the others.
#[test]
fn after_a_resize() {
    for deadline in [LONG, Duration::ZERO] {
        let runtime = Builder::new_multi_thread().worker_threads(4).max_worker_threads(4).enable_all().build().unwrap();
        let dropped = Count::new();
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let draining = runtime.draining();
                let ends = !deadline.is_zero();
                guarded(&runtime, &dropped, async move {
                    yield_now().await;
                    if ends { draining.await } else { pending().await }
                })
            })
            .collect();
        settle(&runtime);
        runtime.resize(1).wait().unwrap();
        let report = runtime.drain(deadline).wait();
        let expected = if deadline.is_zero() { [0, 0, 100, 100] } else { [100, 0, 0, 0] };
        assert_eq!((counts(&report), dropped.get()), (expected, 100));
        assert!(tasks.iter().all(JoinHandle::is_finished));
        let error = runtime.resize(2).wait().unwrap_err();
        assert!(matches!(error, heist::runtime::ResizeError::Draining), "{error}");
    }
}

/// Whoever waits for a resize is told that it does not come, and the leaver, who is in a poll, is not waited for but by the drain.
#[test]
fn during_a_resize() {
    let runtime = Builder::new_multi_thread().worker_threads(2).max_worker_threads(4).enable_all().build().unwrap();
    let (begun, go) = (Count::new(), Door::new());
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let (begun, go) = (begun.clone(), go.clone());
            runtime.spawn(async move {
                begun.add();
                go.wait();
                yield_now().await;
            })
        })
        .collect();
    while begun.get() < 2 {
        thread::yield_now();
    }
    let resize = runtime.resize(1);
    let drain = runtime.drain(LONG);
    assert!(matches!(resize.wait().unwrap_err(), heist::runtime::ResizeError::Draining));
    go.open();
    let report = drain.wait();
    assert_eq!(counts(&report), [2, 0, 0, 0]);
    assert!(tasks.iter().all(JoinHandle::is_finished));
}
