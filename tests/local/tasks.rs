//! Spawning, waking, aborting and joining of local tasks.

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::kit::{Count, Door, OnDrop, each, panic_text, yield_now};
use heist::net::UdpSocket;
use heist::runtime::{Activity, Builder, Handle, LocalOptions, LocalRuntime, RuntimeFlavor, WorkerState};
use heist::task::{JoinHandle, JoinSet, spawn_local};

use crate::fixture::*;

#[test]
fn spawn_local_from_runtime_root_task_and_guard_works() {
    let runtime = local();
    let fate = Fate::default();
    let make = || {
        let here = fate.here();
        async move {
            yield_now().await;
            here.check_thread();
            // Not `Send` either.
            Rc::new(here)
        }
    };
    let first = runtime.spawn_local(make());
    let guard = runtime.enter();
    let second = spawn_local(make());
    drop(guard);
    let (third, fourth) = runtime.block_on(async {
        let third = spawn_local(make());
        let inner = make();
        let fourth = spawn_local(async move { spawn_local(inner).await.unwrap() });
        (third.await.unwrap(), fourth.await.unwrap())
    });
    runtime.block_on(async {
        first.await.unwrap();
        second.await.unwrap();
    });
    drop((third, fourth));
    fate.is(4, 4);
    assert_eq!(runtime.metrics().num_alive_tasks(), 0);
}

#[test]
fn spawn_of_send_future_works_from_every_thread() {
    let runtime = local();
    let tasks: Vec<JoinHandle<ThreadId>> = (0..4)
        .map(|_| {
            elsewhere_handle(&runtime, |handle| {
                let _guard = handle.enter();
                heist::spawn(async { thread::current().id() })
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(runtime.block_on(task).unwrap(), thread::current().id());
    }
}

#[test]
fn spawn_local_of_large_future_timer_and_socket_works() {
    let runtime = local();
    let fate = Fate::default();
    let sum = runtime.block_on(async {
        let here = fate.here();
        let large = spawn_local(async move {
            let bytes = [1_u8; 64 * 1024];
            yield_now().await;
            here.check_thread();
            bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>()
        });
        let here = fate.here();
        let socket = Rc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = socket.local_addr().unwrap();
        let receiver = spawn_local(async move {
            let mut bytes = [0; 8];
            let length = socket.recv(&mut bytes).await.unwrap();
            here.check_thread();
            length
        });
        heist::time::sleep(Duration::from_micros(200)).await;
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"abc", address).unwrap();
        large.await.unwrap() + receiver.await.unwrap()
    });
    assert_eq!(sum, 64 * 1024 + 3);
    fate.is(2, 2);
}

#[test]
fn spawn_local_uses_innermost_runtime() {
    let (a, b) = (local(), local());
    let id = || async { Handle::current().id() };
    let (inner, outer) = a.block_on(async {
        let guard = b.enter();
        let inner = spawn_local(id());
        drop(guard);
        (inner, spawn_local(id()).await.unwrap())
    });
    assert_eq!((outer, b.block_on(inner).unwrap()), (a.handle().id(), b.handle().id()));
    assert_ne!(a.handle().id(), b.handle().id());
}

#[test]
fn spawn_local_outside_of_local_runtime_names_remedy() {
    let outside = panic_text(|| spawn_local(async {}));
    assert!(outside.contains("no heist runtime"), "{outside}");
    let fate = Fate::default();
    each(|runtime| {
        let _guard = runtime.enter();
        let here = fate.here();
        let text = panic_text(|| spawn_local(async move { here.check_thread() }));
        for part in ["not a `LocalRuntime`", "LocalRuntime::new", "build_local", "`spawn`"] {
            assert!(text.contains(part), "{text}");
        }
    });
    let runtime = local();
    let handle = runtime.handle().clone();
    let texts = [
        elsewhere(|| {
            let _guard = handle.enter();
            let here = fate.here();
            panic_text(|| spawn_local(async move { here.check_thread() }))
        }),
        elsewhere(|| handle.block_on(async { panic_text(|| spawn_local(async {})) })),
        runtime.block_on(runtime.spawn_blocking(|| panic_text(|| spawn_local(async {})))).unwrap(),
    ];
    for text in texts {
        assert!(text.contains("not the thread of the `LocalRuntime`") && text.contains("`spawn`"), "{text}");
    }
    // A future that was not spawned has been dropped on its thread.
    fate.is(5, 5);
    let text = panic_text(|| Builder::new_multi_thread().build_local(LocalOptions::default()).map(drop));
    assert!(text.contains("build_local") && text.contains("new_current_thread"), "{text}");
}

#[test]
fn local_runtime_properties_are_those_of_current_thread() {
    let runtime = Builder::new_current_thread().name("local").build_local(LocalOptions::default()).unwrap();
    assert_eq!(runtime.handle().runtime_flavor(), RuntimeFlavor::CurrentThread);
    assert_eq!((runtime.name(), runtime.handle().name()), (Some("local"), Some("local")));
    assert_eq!(runtime.id(), runtime.handle().id());
    let dump = runtime.dump();
    assert_eq!((dump.flavor, dump.worker_count, dump.workers.len()), (RuntimeFlavor::CurrentThread, 1, 1));
    assert_eq!((dump.workers[0].state, dump.workers[0].activity), (WorkerState::Vacant, Activity::Vacant));
    assert_eq!(runtime.metrics().num_workers(), 1);
    assert_eq!(runtime.block_on(async { heist::runtime::worker_index() }), Some(0));
    assert_eq!(elsewhere_handle(&runtime, |handle| handle.block_on(async { heist::runtime::worker_index() })), None);
}

// ---- wakes from elsewhere

#[test]
fn local_task_woken_elsewhere_is_polled_here() {
    const WAKES: usize = 200;
    let runtime = local();
    let fate = Fate::default();
    let (future, wakers) = waits(&fate, WAKES);
    let task = runtime.spawn_local(future);
    thread::scope(|scope| {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..3 {
            let (wakers, stop) = (Arc::clone(&wakers), Arc::clone(&stop));
            scope.spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let woken = wakers.lock().unwrap().pop();
                    match woken {
                        Some(waker) => waker.wake(),
                        None => thread::yield_now(),
                    }
                }
            });
        }
        assert_eq!(runtime.block_on(task).unwrap(), WAKES + 1);
        stop.store(true, Ordering::SeqCst);
    });
    fate.is(1, 1);
}

#[test]
fn waker_and_abort_handle_dropped_elsewhere_after_runtime() {
    let runtime = local();
    let fate = Fate::default();
    let (future, wakers) = waits(&fate, 1);
    let task = runtime.spawn_local(future);
    let abort = task.abort_handle();
    turn(&runtime);
    drop((runtime, task));
    fate.is(1, 1);
    elsewhere(move || {
        let waker = wakers.lock().unwrap().pop().unwrap();
        waker.wake_by_ref();
        abort.abort();
        assert!(abort.is_finished());
        drop((waker, abort));
    });
    assert_eq!(fate.polled.get(), 1);
    fate.is(1, 1);
}

// ---- aborts from elsewhere

/// Aborts the task on another thread. Drops its handle there if `drops` is true, and returns it
/// otherwise.
fn abort_elsewhere(task: JoinHandle<usize>, drops: bool) -> Option<JoinHandle<usize>> {
    elsewhere(move || {
        task.abort();
        (!drops).then_some(task)
    })
}

fn aborted(bring: impl Fn(&LocalRuntime, JoinHandle<usize>) -> JoinHandle<usize>, polls: usize) {
    for drops in [false, true] {
        let runtime = local();
        let fate = Fate::default();
        let (future, _wakers) = waits(&fate, usize::MAX);
        let task = bring(&runtime, runtime.spawn_local(future));
        let task = abort_elsewhere(task, drops);
        fate.is(1, 0);
        match task {
            Some(task) => assert!(runtime.block_on(task).unwrap_err().is_cancelled()),
            None => turn(&runtime),
        }
        fate.is(1, 1);
        assert_eq!(fate.polled.get(), polls);
    }
}

#[test]
fn abort_elsewhere_of_queued_task_drops_it_here() {
    aborted(|_, task| task, 0);
}

#[test]
fn abort_elsewhere_of_idle_task_drops_it_here() {
    aborted(
        |runtime, task| {
            turn(runtime);
            task
        },
        1,
    );
}

#[test]
fn abort_elsewhere_of_running_task_drops_it_here() {
    let runtime = local();
    let fate = Fate::default();
    let here = fate.here();
    let place = Rc::new(RefCell::new(None::<heist::task::AbortHandle>));
    let finds = Rc::clone(&place);
    let task = runtime.spawn_local(async move {
        let abort = finds.borrow_mut().take().unwrap();
        elsewhere(move || abort.abort());
        here.check_thread();
        pending::<()>().await;
    });
    *place.borrow_mut() = Some(task.abort_handle());
    assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    fate.is(1, 1);
}

#[test]
fn abort_elsewhere_of_ended_task_keeps_output() {
    let runtime = local();
    let fate = Fate::default();
    let (future, _) = waits(&fate, 0);
    let task = runtime.spawn_local(future);
    turn(&runtime);
    fate.is(1, 1);
    let task = abort_elsewhere(task, false).unwrap();
    assert_eq!(runtime.block_on(task).unwrap(), 1);
}

#[test]
fn abort_elsewhere_without_drive_drops_task_with_runtime() {
    let runtime = local();
    let fate = Fate::default();
    let (future, _wakers) = waits(&fate, 1);
    let task = runtime.spawn_local(future);
    turn(&runtime);
    abort_elsewhere(task, true);
    fate.is(1, 0);
    drop(runtime);
    fate.is(1, 1);
}

// ---- handles and outputs

#[test]
fn join_handle_of_send_output_is_awaited_elsewhere() {
    let runtime = local();
    let fate = Fate::default();
    let (future, wakers) = waits(&fate, 1);
    let task = runtime.spawn_local(future);
    let joiner = thread::spawn(move || crate::kit::join(task));
    let ended = Door::new();
    let opens = ended.clone();
    let waker = thread::spawn(move || {
        let waker = loop {
            match wakers.lock().unwrap().pop() {
                Some(waker) => break waker,
                None => thread::yield_now(),
            }
        };
        waker.wake();
        assert_eq!(joiner.join().unwrap().unwrap(), 2);
        opens.open();
    });
    runtime.block_on(ended.opened());
    waker.join().unwrap();
    fate.is(1, 1);
}

#[test]
fn join_handle_dropped_elsewhere_in_every_state() {
    let runtime = local();
    let fate = Fate::default();
    let (queued, _) = waits(&fate, 0);
    let (idle, wakers) = waits(&fate, 1);
    let queued = runtime.spawn_local(queued);
    elsewhere(move || drop(queued));
    fate.is(2, 0);
    let idle = runtime.spawn_local(idle);
    turn(&runtime);
    elsewhere(move || drop(idle));
    fate.is(2, 1);
    elsewhere(|| wakers.lock().unwrap().pop().unwrap().wake());
    turn(&runtime);
    fate.is(2, 2);
    // The output of an ended task is dropped with the handle.
    let outputs = Count::new();
    let output = outputs.on_drop();
    let ended = runtime.spawn_local(async move { output });
    turn(&runtime);
    assert_eq!(outputs.get(), 0);
    elsewhere(move || drop(ended));
    assert_eq!(outputs.get(), 1);
}

#[test]
fn output_that_is_not_send_is_dropped_here() {
    let runtime = local();
    let fate = Fate::default();
    let make = || {
        let here = fate.here();
        async move { here }
    };
    drop(runtime.spawn_local(make()));
    turn(&runtime);
    fate.is(1, 1);
    let kept = runtime.spawn_local(make());
    turn(&runtime);
    fate.is(2, 1);
    drop(kept);
    fate.is(2, 2);
    let taken = runtime.block_on(runtime.spawn_local(make())).unwrap();
    fate.is(3, 2);
    drop(taken);
    // The handle outlives the runtime.
    let late = runtime.spawn_local(make());
    turn(&runtime);
    drop(runtime);
    fate.is(4, 3);
    let output = crate::kit::join(late).unwrap();
    drop(output);
    fate.is(4, 4);
}

#[test]
fn join_set_of_local_tasks_joins_outputs() {
    let runtime = local();
    let fate = Fate::default();
    let make = || {
        let here = fate.here();
        async move { here }
    };
    let mut set = JoinSet::new();
    set.spawn_local_on(make(), &runtime);
    runtime.block_on(async {
        set.spawn_local(make());
        while let Some(output) = set.join_next().await {
            output.unwrap().check_thread();
        }
        set.spawn_local(make());
    });
    // The set is dropped with an output in it, which is not `Send`.
    turn(&runtime);
    fate.is(3, 2);
    drop(set);
    fate.is(3, 3);
}

#[test]
fn join_set_of_local_tasks_is_dropped_elsewhere() {
    let runtime = local();
    let fate = Fate::default();
    let mut set = JoinSet::new();
    let (idle, _wakers) = waits(&fate, usize::MAX);
    set.spawn_local_on(idle, &runtime);
    turn(&runtime);
    let (queued, _) = waits(&fate, 0);
    set.spawn_local_on(queued, &runtime);
    elsewhere(move || drop(set));
    fate.is(2, 0);
    turn(&runtime);
    fate.is(2, 2);
    assert_eq!(fate.polled.get(), 1, "both have been aborted");
}

#[test]
fn panic_in_poll_or_destructor_stays_in_local_task() {
    let runtime = local();
    let fate = Fate::default();
    let here = fate.here();
    let polled = runtime.spawn_local(async move {
        yield_now().await;
        here.check_thread();
        panic!("planned");
    });
    let here = fate.here();
    let guard = OnDrop::new(move || {
        here.check_thread();
        panic!("planned, too");
    });
    let dropped = runtime.spawn_local(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    turn(&runtime);
    elsewhere(|| dropped.abort());
    runtime.block_on(async {
        assert!(polled.await.unwrap_err().is_panic());
        assert!(dropped.await.unwrap_err().is_panic());
    });
    fate.is(2, 2);
}
