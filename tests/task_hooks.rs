//! The hooks of tasks, and the end of a runtime by a panic, for every way in which tasks begin and
//! end.

#[path = "support/kit.rs"]
mod kit;

use std::collections::HashMap;
use std::future::{Future, pending};
use std::panic::Location;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heist::runtime::{Builder, Handle, Runtime, TaskGroup, UnhandledPanic};
use heist::task::Id;
use kit::{Count, OnDrop, panic_text, yield_now};

/// The calls of the hooks for one task: spawned, ended, polls begun, polls ended.
type Told = [usize; 4];

#[derive(Clone, Default)]
struct Book(Arc<Mutex<HashMap<Id, Told>>>);

impl Book {
    fn hook(&self, which: usize) -> impl Fn(&heist::runtime::TaskMeta<'_>) + Send + Sync + 'static {
        let book = self.clone();
        move |task| book.0.lock().unwrap().entry(task.id()).or_default()[which] += 1
    }

    fn attach(&self, builder: &mut Builder) -> Runtime {
        builder
            .enable_all()
            .on_task_spawn(self.hook(0))
            .on_task_terminate(self.hook(1))
            .on_before_task_poll(self.hook(2))
            .on_after_task_poll(self.hook(3))
            .build()
            .unwrap()
    }

    fn of(&self, id: Id) -> Told {
        self.0.lock().unwrap().get(&id).copied().unwrap_or_default()
    }
}

/// Runs the test on every flavor, with all hooks.
fn each(test: impl Fn(Runtime, &Book)) {
    let book = Book::default();
    test(book.attach(Builder::new_current_thread().drain_report_delay(Duration::MAX)), &book);
    for workers in [1, 2, 4] {
        let book = Book::default();
        let mut builder = Builder::new_multi_thread();
        test(book.attach(builder.worker_threads(workers).drain_report_delay(Duration::MAX)), &book);
    }
}

#[test]
fn hooks_are_called_once_per_spawn_end_and_poll() {
    each(|runtime, book| {
        let ids: Vec<_> = runtime.block_on(async {
            let outside = runtime.spawn(async { yield_now().await }).id();
            let tasks: Vec<_> = (0..50)
                .map(|polls| {
                    heist::spawn(async move {
                        for _ in 0..polls {
                            yield_now().await;
                        }
                        heist::spawn(async {}).id()
                    })
                })
                .collect();
            let mut ids = vec![(outside, 2)];
            for (polls, task) in tasks.into_iter().enumerate() {
                let id = task.id();
                ids.push((task.await.unwrap(), 1));
                ids.push((id, polls + 1));
            }
            ids
        });
        runtime.drain(Duration::MAX).wait();
        for (id, polls) in &ids {
            assert_eq!(book.of(*id), [1, 1, *polls, *polls]);
        }
        assert_eq!(book.0.lock().unwrap().len(), ids.len(), "roots and jobs are no tasks");
    });
}

#[test]
fn hooks_of_panicked_aborted_and_dropped_tasks_are_called() {
    each(|runtime, book| {
        let (panicked, aborted, dropped) = runtime.block_on(async {
            let panicked = heist::spawn(async { panic!("boom") });
            let panicked_id = panicked.id();
            assert!(panicked.await.unwrap_err().is_panic());
            let aborted = heist::spawn(pending::<()>());
            let aborted_id = aborted.id();
            yield_now().await;
            aborted.abort();
            assert!(aborted.await.unwrap_err().is_cancelled());
            (panicked_id, aborted_id, heist::spawn(pending::<()>()).id())
        });
        let handle = runtime.handle().clone();
        drop(runtime);
        let refused = handle.spawn(async {}).id();
        assert_eq!(book.of(panicked), [1, 1, 1, 1]);
        let [spawned, ended, begun, over] = book.of(aborted);
        assert_eq!((spawned, ended, begun == over), (1, 1, true));
        assert!((1..=2).contains(&begun));
        assert_eq!(book.of(dropped)[..2], [1, 1]);
        assert_eq!(book.of(refused), [0; 4]);
    });
}

#[test]
fn hooks_of_tasks_late_for_a_drain_are_called() {
    each(|runtime, book| {
        let ids = [(); 5].map(|()| runtime.spawn(pending::<()>()).id());
        let report = runtime.drain(Duration::ZERO).wait();
        assert_eq!(report.cancelled, 5);
        for id in ids {
            assert_eq!(book.of(id)[..2], [1, 1]);
        }
    });
}

#[test]
fn hooks_are_not_called_for_jobs_and_roots() {
    each(|runtime, book| {
        runtime.block_on(async { heist::task::spawn_blocking(|| ()).await.unwrap() });
        assert!(book.0.lock().unwrap().is_empty());
    });
}

#[test]
fn hooks_are_not_called_for_jobs_that_are_cancelled() {
    each(|runtime, book| {
        let group = runtime.group("jobs").max_blocking(1).build().unwrap();
        let door = kit::Door::new();
        let waits = door.clone();
        let running = group.spawn_blocking(move || waits.wait());
        let waiting = group.spawn_blocking(|| ());
        group.abort_all();
        assert!(kit::join(waiting).unwrap_err().is_cancelled());
        door.open();
        kit::join(running).unwrap();
        assert!(book.0.lock().unwrap().is_empty());
    });
}

#[test]
fn hooks_get_id_name_and_location() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let runtime = Builder::new_current_thread()
        .on_task_spawn(move |task| {
            let at: &Location<'static> = task.spawned_at();
            notes.lock().unwrap().push((task.id(), task.name().map(String::from), at.file(), at.line()));
        })
        .build()
        .unwrap();
    let unnamed = (runtime.spawn(async {}).id(), None, file!(), line!());
    let task = heist::task::Builder::new().name("x").spawn_on(async {}, runtime.handle());
    let named = (task.unwrap().id(), Some(String::from("x")), file!(), line!() - 1);
    assert_eq!(*seen.lock().unwrap(), [unnamed, named]);
}

#[test]
fn hooks_are_inside_of_their_runtime() {
    // A panic in a hook would be contained, so the hooks count what they observe.
    let (spawned, ends, known) = (Count::new(), Count::new(), Count::new());
    let (spawns, dies, knows, knows_not) = (spawned.clone(), ends.clone(), known.clone(), known.clone());
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .on_task_spawn(move |_| {
            // One more for the first two.
            if spawns.add() <= 2 {
                heist::spawn(async {});
            }
        })
        .on_before_task_poll(move |task| {
            if heist::task::try_id() == Some(task.id()) {
                knows.add();
            }
        })
        .on_after_task_poll(move |_| {
            if heist::task::try_id().is_none() {
                knows_not.add();
            }
        })
        .on_task_terminate(move |_| {
            if heist::runtime::Handle::try_current().is_ok() {
                dies.add();
            }
        })
        .build()
        .unwrap();
    runtime.spawn(async {});
    runtime.drain(Duration::MAX).wait();
    assert_eq!((spawned.get(), ends.get(), known.get()), (3, 3, 6));
}

#[test]
fn hook_that_panics_changes_nothing() {
    let called = Count::new();
    let panics = |called: &Count| {
        let called = called.clone();
        move |_: &heist::runtime::TaskMeta<'_>| {
            called.add();
            panic!("a hook");
        }
    };
    for builder in [&mut Builder::new_current_thread(), Builder::new_multi_thread().worker_threads(2)] {
        let called = called.clone();
        let runtime = builder
            .on_task_spawn(panics(&called))
            .on_task_terminate(panics(&called))
            .on_before_task_poll(panics(&called))
            .on_after_task_poll(panics(&called))
            .build()
            .unwrap();
        assert_eq!(runtime.block_on(async { heist::spawn(async { 7 }).await.unwrap() }), 7);
        runtime.drain(Duration::MAX).wait();
    }
    assert_eq!(called.get(), 8);
}

// ---- the unhandled panic

const SHUT_DOWN: &str = "a task has panicked, and the runtime was built to shut down then";

fn brittle() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().unhandled_panic(UnhandledPanic::ShutdownRuntime).drain_report_delay(Duration::MAX);
    builder.build().unwrap()
}

/// Is always pending, and panics when it is dropped.
fn evil(end: impl FnOnce() + Send + 'static) -> impl Future<Output = ()> + Send {
    let guard = kit::OnDrop::new(move || {
        end();
        panic!("on purpose");
    });
    async move {
        let _guard = guard;
        pending::<()>().await;
    }
}

/// No thread drives the runtime at the deadline, so the reaper drops the task.
#[test]
fn destructor_panic_at_drain_deadline_ends_runtime() {
    let runtime = brittle();
    let task = runtime.spawn(evil(|| ()));
    runtime.block_on(heist::task::yield_now());
    let report = futures::executor::block_on(runtime.drain(Duration::ZERO));
    assert_eq!((report.panicked, report.cancelled), (1, 0), "{report}");
    let said = panic_text(|| runtime.block_on(pending::<()>()));
    assert!(said.starts_with(SHUT_DOWN), "{said}");
    assert!(kit::join(task).unwrap_err().is_panic());
}

/// The thread of a local runtime drops the task.
#[test]
fn destructor_panic_late_on_own_thread_ends_runtime() {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().unhandled_panic(UnhandledPanic::ShutdownRuntime);
    let runtime = builder.build_local(heist::runtime::LocalOptions::default()).unwrap();
    let task = runtime.spawn_local(evil(|| ()));
    let said = panic_text(|| {
        runtime.block_on(async {
            drop(runtime.handle().drain(Duration::ZERO));
            pending::<()>().await;
        });
    });
    assert!(said.starts_with(SHUT_DOWN), "{said}");
    assert!(kit::join(task).unwrap_err().is_panic());
}

/// The reaper drops the task while the driver sleeps, which has already observed the deadline.
#[test]
fn destructor_panic_on_reaper_thread_wakes_driver() {
    let (mut swept, driver) = (0, std::thread::current().id());
    while swept < 3 {
        let parks = Count::new();
        let counts = parks.clone();
        let mut builder = Builder::new_current_thread();
        builder.enable_all().unhandled_panic(UnhandledPanic::ShutdownRuntime).on_thread_park(move || {
            counts.add();
        });
        let runtime = builder.build().unwrap();
        let sweeps = Count::new();
        let counts = sweeps.clone();
        drop(runtime.spawn(evil(move || {
            if std::thread::current().id() == driver {
                return;
            }
            counts.add();
            // The test passes without it.
            let then = parks.get();
            (0..1_000).take_while(|_| parks.get() == then).for_each(|_| std::thread::yield_now());
            (0..30).for_each(|_| std::thread::yield_now());
        })));
        let said = panic_text(|| {
            runtime.block_on(async {
                heist::task::yield_now().await;
                drop(Handle::current().drain(Duration::ZERO));
                pending::<()>().await;
            });
        });
        assert!(said.starts_with(SHUT_DOWN), "{said}");
        swept += sweeps.get();
    }
}

/// The task may have been freed when the hook of its end is called.
#[test]
fn reaper_thread_has_no_current_task() {
    let (tell, told) = std::sync::mpsc::channel();
    let mut builder = Builder::new_current_thread();
    builder.enable_all().on_task_terminate(move |task| {
        let thread = std::thread::current().name().map(str::to_owned);
        tell.send((task.id(), heist::task::try_id(), thread)).unwrap();
    });
    let runtime = builder.build().unwrap();
    let task = runtime.spawn(pending::<()>());
    let id = task.id();
    drop(task);
    // No thread drives the runtime.
    drop(runtime.drain(Duration::ZERO));
    assert_eq!(told.recv().unwrap(), (id, None, Some("heist-drain".to_owned())));
}

/// A blocking job is not a task.
#[test]
fn job_destructor_panic_at_drain_deadline_ends_nothing() {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().unhandled_panic(UnhandledPanic::ShutdownRuntime).max_blocking_threads(1);
    let runtime = builder.build().unwrap();
    let (begun, go) = (kit::Door::new(), kit::Door::new());
    let (opens, waits) = (begun.clone(), go.clone());
    drop(runtime.spawn_blocking(move || {
        opens.open();
        waits.wait();
    }));
    begun.wait();
    let guard = kit::OnDrop::new(|| panic!("on purpose"));
    let queued = runtime.spawn_blocking(move || drop(guard));
    drop(runtime.drain(Duration::ZERO));
    assert!(kit::join(queued).unwrap_err().is_panic());
    go.open();
    runtime.block_on(heist::task::yield_now());
}

#[test]
fn unhandled_panic_ends_runtime_and_all_tasks() {
    let runtime = brittle();
    let drops = Count::new();
    let others: Vec<_> = (0..5)
        .map(|_| {
            let guard = drops.on_drop();
            runtime.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            })
        })
        .collect();
    let panics = runtime.spawn(async { panic!("boom") });
    let said = panic_text(|| runtime.block_on(pending::<()>()));
    assert!(said.starts_with(SHUT_DOWN), "{said}");
    assert_eq!((drops.get(), others.iter().all(|task| task.is_finished())), (5, true));
    for task in others {
        assert!(kit::join(task).unwrap_err().is_cancelled());
    }
    assert!(kit::join(panics).unwrap_err().is_panic());
    // The runtime stays ended.
    assert!(kit::join(runtime.spawn(async {})).unwrap_err().is_cancelled());
    let said = panic_text(|| runtime.block_on(async {}));
    assert!(said.starts_with(SHUT_DOWN), "{said}");
}

#[test]
fn unhandled_panic_awaited_or_in_destructor_ends_runtime() {
    let runtime = brittle();
    let said = panic_text(|| runtime.block_on(async { heist::spawn(async { panic!("boom") }).await.is_err() }));
    assert!(said.starts_with(SHUT_DOWN), "{said}");

    let runtime = brittle();
    let said = panic_text(|| {
        runtime.block_on(async {
            let task = heist::spawn(async {
                let _panics = OnDrop::new(|| panic!("in a destructor"));
                pending::<()>().await;
            });
            yield_now().await;
            yield_now().await;
            task.abort();
            pending::<()>().await
        })
    });
    assert!(said.starts_with(SHUT_DOWN), "{said}");
}

#[test]
fn unhandled_panic_of_job_or_root_does_not_end_runtime() {
    let runtime = brittle();
    let failed = runtime.block_on(async { heist::task::spawn_blocking(|| panic!("boom")).await.is_err() });
    assert!(failed);
    assert_eq!(panic_text(|| runtime.block_on(async { panic!("the root") })), "the root");
    assert_eq!(runtime.block_on(async { heist::spawn(async { 7 }).await.unwrap() }), 7);
}

#[test]
fn unhandled_panic_panics_in_every_block_on() {
    let runtime = Arc::new(brittle());
    let waiting = Count::new();
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let (runtime, waiting) = (Arc::clone(&runtime), waiting.clone());
            std::thread::spawn(move || {
                panic_text(|| {
                    runtime.block_on(async {
                        waiting.add();
                        pending::<()>().await;
                    })
                })
            })
        })
        .collect();
    while waiting.get() < 3 {
        std::thread::yield_now();
    }
    runtime.spawn(async { panic!("boom") });
    for waiter in waiters {
        let said = waiter.join().unwrap();
        assert!(said.starts_with(SHUT_DOWN), "{said}");
    }
}

#[test]
fn unhandled_panic_ignored_changes_nothing() {
    for builder in [&mut Builder::new_current_thread(), Builder::new_multi_thread().worker_threads(2)] {
        let runtime = builder.unhandled_panic(UnhandledPanic::Ignore).build().unwrap();
        runtime.block_on(async {
            assert!(heist::spawn(async { panic!("boom") }).await.is_err());
            assert_eq!(heist::spawn(async { 7 }).await.unwrap(), 7);
        });
    }
}

#[test]
fn unhandled_panic_on_multi_thread_is_refused() {
    let said =
        panic_text(|| drop(Builder::new_multi_thread().unhandled_panic(UnhandledPanic::ShutdownRuntime).build()));
    assert!(said.contains("use `new_current_thread`"), "{said}");
}

/// The latencies that each hook got, in the order of the calls.
fn waits(builder: &mut Builder) -> Vec<Option<Duration>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hook = || {
        let told = Arc::clone(&told);
        move |task: &heist::runtime::TaskMeta<'_>| told.lock().unwrap().push(task.schedule_latency())
    };
    let runtime = builder
        .on_task_spawn(hook())
        .on_before_task_poll(hook())
        .on_after_task_poll(hook())
        .on_task_terminate(hook())
        .build()
        .unwrap();
    runtime.block_on(async {
        let long = heist::spawn(async {
            let begun = std::time::Instant::now();
            while begun.elapsed() < Duration::from_millis(1) {}
        });
        long.await.unwrap();
        heist::spawn(yield_now()).await.unwrap();
    });
    drop(runtime);
    std::mem::take(&mut *told.lock().unwrap())
}

#[test]
fn schedule_latency_is_known_before_and_after_poll() {
    assert_eq!(waits(&mut Builder::new_current_thread()), [None; 10]);
    for builder in [
        Builder::new_current_thread().track_task_schedule_latency(),
        Builder::new_current_thread().enable_metrics_schedule_latency_histogram(),
    ] {
        let told = waits(builder);
        let asked = [false, true, true, false, false, true, true, true, true, false];
        assert_eq!(told.iter().map(Option::is_some).collect::<Vec<_>>(), asked, "{told:?}");
        assert!(told[1] == told[2] && told[5] == told[6] && told[7] == told[8], "the poll is no part of it: {told:?}");
    }
}

#[test]
fn hook_of_a_spawn_sees_the_name_of_the_group() {
    let names = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&names);
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .on_task_spawn(move |task| hook.lock().unwrap().push(task.group().map(str::to_owned)))
        .build()
        .unwrap();
    let group = runtime.group("ingest").build().unwrap();
    runtime.block_on(group.spawn(async {})).unwrap();
    runtime.block_on(runtime.spawn(async {})).unwrap();
    assert_eq!(*names.lock().unwrap(), [Some("ingest".to_owned()), None]);
}

/// Spawns a task in a group, on a worker or not. Meanwhile the hook of the spawn makes the call,
/// which may end the runtime. The task ends as cancelled, and its future is dropped once.
fn spawn_in_group_during(call: impl Fn(Runtime, &TaskGroup) -> Option<Runtime> + Clone + Send + Sync + 'static) {
    for on_worker in [false, true] {
        let (drops, ended) = (Count::new(), Count::new());
        let (ends, call) = (ended.clone(), call.clone());
        let kept = Arc::new(Mutex::new(None::<(Runtime, TaskGroup)>));
        let of_hook = Arc::clone(&kept);
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .on_task_spawn(move |task| {
                if task.group().is_some() {
                    let (runtime, group) = of_hook.lock().unwrap().take().expect("one task is spawned in the group");
                    let runtime = call(runtime, &group);
                    *of_hook.lock().unwrap() = runtime.map(|runtime| (runtime, group));
                }
            })
            .on_task_terminate(move |task| _ = task.group().map(|_| ends.add()))
            .build()
            .unwrap();
        let (handle, group) = (runtime.handle().clone(), runtime.group("ingest").build().unwrap());
        *kept.lock().unwrap() = Some((runtime, group.clone()));
        let guard = drops.on_drop();
        let future = async move {
            let _guard = guard;
            pending::<()>().await;
        };
        let task = if on_worker {
            let (sender, receiver) = channel();
            handle.spawn(async move { sender.send(group.spawn(future)) });
            receiver.recv().unwrap()
        } else {
            group.spawn(future)
        };
        assert!(kit::join(task).unwrap_err().is_cancelled());
        drop(kept.lock().unwrap().take());
        // The hook may be called after the handle has resolved, and nothing waits for the end of a
        // runtime in the background.
        while ended.get() == 0 {
            std::thread::yield_now();
        }
        assert_eq!((drops.get(), ended.get()), (1, 1), "on a worker: {on_worker}");
    }
}

#[test]
fn spawn_in_a_group_that_is_drained_by_the_hook_is_cancelled() {
    spawn_in_group_during(|runtime, group| {
        drop(group.drain(Duration::ZERO));
        Some(runtime)
    });
}

#[test]
fn spawn_in_a_group_whose_runtime_is_shut_down_by_the_hook_is_cancelled() {
    spawn_in_group_during(|runtime, _| {
        runtime.shutdown_background();
        None
    });
}
