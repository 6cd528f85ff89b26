//! The local runtime: its futures are polled and dropped on the thread that created it, whatever
//! other threads do.

#[path = "support/kit.rs"]
mod kit;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use heist::net::UdpSocket;
use heist::runtime::{Activity, Builder, Handle, LocalOptions, LocalRuntime, RuntimeFlavor, RuntimePhase, WorkerState};
use heist::task::{JoinHandle, JoinSet, spawn_local};
use kit::{Count, Door, OnDrop, each, panic_text, yield_now};

fn local() -> LocalRuntime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().drain_report_delay(Duration::MAX).build_local(LocalOptions::default()).unwrap()
}

/// The fate of the futures of a test.
#[derive(Clone, Default)]
struct Fate {
    made: Count,
    polled: Count,
    dropped: Count,
    /// Polled or dropped on another thread than the one that created it.
    astray: Count,
}

impl Fate {
    /// Returns a part of a future, or an output, that belongs to this thread.
    fn here(&self) -> Here {
        self.made.add();
        Here { home: thread::current().id(), fate: self.clone(), not_send: PhantomData }
    }

    #[track_caller]
    fn is(&self, made: usize, dropped: usize) {
        assert_eq!((self.made.get(), self.dropped.get(), self.astray.get()), (made, dropped, 0));
    }
}

struct Here {
    home: ThreadId,
    fate: Fate,
    not_send: PhantomData<*mut ()>,
}

impl Here {
    fn check_thread(&self) {
        if thread::current().id() != self.home {
            self.fate.astray.add();
        }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.check_thread();
        self.fate.dropped.add();
    }
}

/// Stores its waker for other threads in each poll, and is ready after `left` polls.
struct Waits {
    here: Here,
    wakers: Arc<Mutex<Vec<Waker>>>,
    left: usize,
}

impl Future for Waits {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        self.here.check_thread();
        let polls = self.here.fate.polled.add();
        if self.left == 0 {
            return Poll::Ready(polls);
        }
        self.left -= 1;
        self.wakers.lock().unwrap().push(cx.waker().clone());
        Poll::Pending
    }
}

// The fields may be moved between polls.
impl Unpin for Waits {}

/// Returns a future that is ready after `polls` polls, and the list of its wakers.
fn waits(fate: &Fate, polls: usize) -> (Waits, Arc<Mutex<Vec<Waker>>>) {
    let wakers = Arc::new(Mutex::new(Vec::new()));
    (Waits { here: fate.here(), wakers: Arc::clone(&wakers), left: polls }, wakers)
}

fn elsewhere<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(f).join().unwrap())
}

/// Gives the ready tasks some turns.
fn turn(runtime: &LocalRuntime) {
    runtime.block_on(async {
        for _ in 0..100 {
            yield_now().await;
        }
    });
}

// ---- spawning

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

/// Calls `f` with the handle on another thread. The runtime stays.
fn elsewhere_handle<R: Send>(runtime: &LocalRuntime, f: impl FnOnce(&Handle) -> R + Send) -> R {
    let handle = runtime.handle();
    elsewhere(|| f(handle))
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
    let joiner = thread::spawn(move || kit::join(task));
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
    let output = kit::join(late).unwrap();
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

// ---- shutting down

/// Returns a runtime with one task in every state.
fn populated(fate: &Fate) -> (LocalRuntime, Arc<Mutex<Vec<Waker>>>) {
    populated_in(local(), fate)
}

fn populated_in(runtime: LocalRuntime, fate: &Fate) -> (LocalRuntime, Arc<Mutex<Vec<Waker>>>) {
    let (idle, wakers) = waits(fate, usize::MAX);
    drop(runtime.spawn_local(idle));
    let here = fate.here();
    drop(runtime.spawn_local(async move {
        loop {
            here.check_thread();
            yield_now().await;
        }
    }));
    let here = fate.here();
    drop(runtime.spawn_local(async move {
        let _here = here;
        heist::time::sleep(Duration::from_secs(3600)).await;
    }));
    turn(&runtime);
    let (queued, _) = waits(fate, 0);
    drop(runtime.spawn_local(queued));
    fate.is(4, 0);
    (runtime, wakers)
}

#[test]
fn drop_with_tasks_in_every_state_drops_all_here() {
    let ends: [fn(LocalRuntime); 4] = [
        drop,
        LocalRuntime::shutdown_background,
        |runtime| runtime.shutdown_timeout(Duration::ZERO),
        |runtime| runtime.shutdown_timeout(Duration::MAX),
    ];
    for end in ends {
        let fate = Fate::default();
        let (runtime, _wakers) = populated(&fate);
        end(runtime);
        fate.is(4, 4);
    }
}

#[test]
fn drop_in_async_code_of_another_runtime_drops_all_here() {
    each(|outer| {
        let fate = Fate::default();
        let (runtime, _wakers) = populated(&fate);
        outer.block_on(async move { drop(runtime) });
        fate.is(4, 4);
    });
    let fate = Fate::default();
    let outer = local();
    let (inner, _wakers) = populated(&fate);
    outer.block_on(async {
        spawn_local(async move { drop(inner) }).await.unwrap();
    });
    fate.is(4, 4);
    // As part of a task that is dropped with its own runtime.
    let (inner, _wakers) = populated(&Fate::default());
    let inner_fate = fate.clone();
    let here = inner_fate.here();
    drop(outer.spawn_local(async move {
        let _inner = (inner, here);
        pending::<()>().await;
    }));
    turn(&outer);
    drop(outer);
    fate.is(5, 5);
}

#[test]
fn drop_while_other_threads_wake_and_abort_is_safe() {
    for round in 0..200 {
        let fate = Fate::default();
        let runtime = local();
        let mut wakers = Vec::new();
        let mut aborts = Vec::new();
        for _ in 0..8 {
            let (future, place) = waits(&fate, usize::MAX);
            wakers.push(place);
            aborts.push(runtime.spawn_local(future).abort_handle());
        }
        turn(&runtime);
        let wakers: Vec<Waker> = wakers.iter().map(|place| place.lock().unwrap().pop().unwrap()).collect();
        let start = Barrier::new(3);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                for _ in 0..round % 7 {
                    wakers.iter().for_each(Waker::wake_by_ref);
                }
            });
            scope.spawn(|| {
                start.wait();
                aborts.iter().rev().for_each(|abort| abort.abort());
            });
            start.wait();
            if round % 2 == 0 {
                turn(&runtime);
            }
            drop(runtime);
        });
        fate.is(8, 8);
        elsewhere(move || drop((wakers, aborts)));
        fate.is(8, 8);
    }
}

#[test]
fn destructors_at_shutdown_may_spawn_and_wake() {
    let runtime = local();
    let fate = Fate::default();
    let (waiting, wakers) = waits(&fate, usize::MAX);
    drop(runtime.spawn_local(waiting));
    let (here, spawns) = (fate.here(), fate.clone());
    let guard = OnDrop::new(move || {
        here.check_thread();
        wakers.lock().unwrap().iter().for_each(Waker::wake_by_ref);
        let (late, _) = waits(&spawns, 0);
        let late = spawn_local(late);
        // Every spawn is refused by now.
        assert!(late.is_finished());
    });
    let guarded = runtime.spawn_local(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    turn(&runtime);
    drop(runtime);
    fate.is(3, 3);
    assert!(kit::join(guarded).unwrap_err().is_cancelled(), "its destructor has not panicked");
}

#[test]
fn drop_in_destructor_of_thread_local_drops_all_here() {
    thread_local! {
        static KEPT: RefCell<Vec<Box<dyn std::any::Any>>> = const { RefCell::new(Vec::new()) };
    }

    let fate = Fate::default();
    let inner = fate.clone();
    thread::spawn(move || {
        // Created before the runtime's own thread-locals, and after.
        KEPT.with_borrow_mut(|kept| assert!(kept.is_empty()));
        let (runtime, _wakers) = populated(&inner);
        let here = inner.here();
        let ended = runtime.spawn_local(async move { here });
        turn(&runtime);
        assert!(ended.is_finished());
        KEPT.with_borrow_mut(|kept| {
            kept.push(Box::new(runtime));
            kept.push(Box::new(ended));
        });
        // The queued task has ended.
        inner.is(5, 1);
    })
    .join()
    .unwrap();
    fate.is(5, 5);
}

/// The runtime is leaked, and its thread has exited: no thread may touch its tasks any more.
#[test]
fn runtime_leaked_with_its_thread_is_left_alone() {
    let fate = Fate::default();
    let inner = fate.clone();
    let (handle, waker, abort) = thread::spawn(move || {
        let (runtime, wakers) = populated_in(brief(), &inner);
        let (future, _) = waits(&inner, usize::MAX);
        let abort = runtime.spawn_local(future).abort_handle();
        let handle = runtime.handle().clone();
        std::mem::forget(runtime);
        let waker = wakers.lock().unwrap().pop().unwrap();
        (handle, waker, abort)
    })
    .join()
    .unwrap();
    let polled = fate.polled.get();
    for _ in 0..4 {
        let (handle, waker, abort) = (handle.clone(), waker.clone(), abort.clone());
        // This thread may get the memory of the exited one.
        thread::spawn(move || {
            let _guard = handle.enter();
            waker.wake();
            abort.abort();
            let sent = handle.spawn(async {});
            handle.block_on(yield_now());
            assert!(!sent.is_finished());
            panic_text(|| spawn_local(async {}));
        })
        .join()
        .unwrap();
    }
    let report = handle.drain(Duration::ZERO).wait();
    assert_eq!(report.stragglers.len() + report.unnamed as usize, 9, "{report:?}");
    drop((handle, waker, abort));
    fate.is(5, 0);
    assert_eq!(fate.polled.get(), polled);
}

// ---- drains

fn brief() -> LocalRuntime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().shutdown_grace(Duration::from_millis(10)).build_local(LocalOptions::default()).unwrap()
}

#[test]
fn drain_from_elsewhere_while_driven_cancels_here() {
    let runtime = local();
    let fate = Fate::default();
    let (idle, _wakers) = waits(&fate, usize::MAX);
    let idle = runtime.spawn_local(idle);
    let handle = runtime.handle().clone();
    let drains = thread::spawn(move || handle.drain(Duration::ZERO).wait());
    assert!(runtime.block_on(idle).unwrap_err().is_cancelled());
    fate.is(1, 1);
    // The report is ready when the root, which drives here, yields.
    let reported = Door::new();
    let opens = reported.clone();
    let joins = thread::spawn(move || {
        let report = drains.join().unwrap();
        opens.open();
        report
    });
    runtime.block_on(reported.opened());
    let report = joins.join().unwrap();
    assert_eq!((report.cancelled, report.stragglers.len()), (1, 1));
}

#[test]
fn drain_from_elsewhere_without_driver_names_tasks() {
    let runtime = brief();
    let fate = Fate::default();
    let (idle, _wakers) = waits(&fate, usize::MAX);
    let (queued, _) = waits(&fate, 0);
    drop(runtime.spawn_local(idle));
    turn(&runtime);
    drop(runtime.spawn_local(queued));
    let report = elsewhere_handle(&runtime, |handle| handle.drain(Duration::ZERO).wait());
    assert_eq!(report.stragglers.len() + report.unnamed as usize, 2, "{report:?}");
    fate.is(2, 0);
    // The tasks are dropped when the runtime is driven, or with it.
    turn(&runtime);
    drop(runtime);
    fate.is(2, 2);
    assert_eq!(fate.polled.get(), 1);
}

#[test]
fn drain_wait_drives_local_runtime() {
    let runtime = local();
    let fate = Fate::default();
    let (future, wakers) = waits(&fate, 1);
    let task = runtime.spawn_local(future);
    turn(&runtime);
    let waker = thread::spawn(move || wakers.lock().unwrap().pop().unwrap().wake());
    let report = runtime.handle().drain(Duration::MAX).wait();
    waker.join().unwrap();
    assert_eq!((report.completed, report.cancelled), (1, 0));
    assert!(task.is_finished());
    fate.is(1, 1);
}

#[test]
fn drain_without_tasks_reports_zero() {
    let runtime = local();
    let report = runtime.drain(Duration::MAX).wait();
    assert_eq!((report.completed, report.cancelled, report.stragglers.len(), report.unnamed), (0, 0, 0, 0));
    assert_eq!(runtime.dump().phase, RuntimePhase::Drained);
    let (late, _) = waits(&Fate::default(), 0);
    assert!(runtime.block_on(runtime.spawn_local(late)).unwrap_err().is_cancelled());
}

#[test]
fn drain_of_ready_local_tasks_completes_them() {
    let runtime = local();
    let fate = Fate::default();
    let tasks: Vec<_> = (0..3).map(|_| runtime.spawn_local(waits(&fate, 0).0)).collect();
    let report = runtime.drain(Duration::MAX).wait();
    assert_eq!((report.completed, report.cancelled, report.stragglers.len()), (3, 0, 0));
    fate.is(3, 3);
    let outputs: Vec<_> = tasks.into_iter().map(|task| runtime.block_on(task).unwrap()).collect();
    assert_eq!(outputs, [1, 2, 3]);
}

#[test]
fn drain_with_pending_local_task_reports_straggler_at_deadline() {
    let runtime = local();
    let fate = Fate::default();
    let (future, _wakers) = waits(&fate, usize::MAX);
    let task = runtime.spawn_local(future);
    turn(&runtime);
    let report = runtime.drain(Duration::ZERO).wait();
    assert_eq!((report.completed, report.cancelled), (0, 1));
    assert_eq!(report.stragglers.iter().map(|straggler| straggler.id).collect::<Vec<_>>(), [task.id()]);
    fate.is(1, 1);
    assert_eq!(runtime.dump().phase, RuntimePhase::DeadlinePassed);
    assert!(runtime.block_on(task).unwrap_err().is_cancelled());
}

#[test]
fn draining_resolves_when_local_drain_begins() {
    let runtime = local();
    let mut draining = runtime.draining();
    assert!(!runtime.block_on(async { futures::poll!(&mut draining).is_ready() }));
    let task = runtime.spawn_local(runtime.draining());
    turn(&runtime);
    assert!(!task.is_finished());
    let report = runtime.drain(Duration::MAX).wait();
    assert_eq!((report.completed, report.stragglers.len()), (1, 0));
    runtime.block_on(draining);
    runtime.block_on(task).unwrap();
}

#[test]
fn drain_awaited_in_root_of_local_runtime_reports() {
    let runtime = local();
    let fate = Fate::default();
    let report = runtime.block_on(async {
        let _task = spawn_local(waits(&fate, 0).0);
        runtime.drain(Duration::MAX).await
    });
    assert_eq!((report.completed, report.cancelled), (1, 0));
    fate.is(1, 1);
}

/// Only `Drain::wait` drives the runtime without a borrow of it.
#[test]
fn drop_by_own_task_during_drain_wait_works() {
    let runtime = Rc::new(RefCell::new(None));
    let fate = Fate::default();
    let (made, _wakers) = populated(&fate);
    let (here, takes) = (fate.here(), Rc::clone(&runtime));
    let task = made.spawn_local(async move {
        yield_now().await;
        drop(takes.borrow_mut().take());
        here.check_thread();
        pending::<()>().await;
    });
    let handle = made.handle().clone();
    *runtime.borrow_mut() = Some(made);
    let _report = handle.drain(Duration::MAX).wait();
    assert!(runtime.borrow().is_none());
    assert!(task.is_finished());
    fate.is(5, 5);
    assert!(kit::join(handle.spawn(async {})).unwrap_err().is_cancelled());
}

// ---- the rest

#[test]
fn blocking_jobs_of_local_runtime_run_elsewhere() {
    let patient = Builder::new_current_thread().shutdown_grace(Duration::MAX).build_local(LocalOptions::default());
    let runtime = patient.unwrap();
    let place = runtime.block_on(runtime.spawn_blocking(|| thread::current().id())).unwrap();
    assert_ne!(place, thread::current().id());
    let ended = Count::new();
    let counts = ended.clone();
    let begun = Door::new();
    let opens = begun.clone();
    drop(runtime.spawn_blocking(move || {
        opens.open();
        (0..100).for_each(|_| thread::yield_now());
        counts.add();
    }));
    begun.wait();
    runtime.shutdown_timeout(Duration::MAX);
    assert_eq!(ended.get(), 1, "it is waited for");
}

#[test]
fn cell_shared_by_local_tasks_needs_no_lock() {
    let runtime = local();
    let sum = Rc::new(Cell::new(0_u64));
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let sum = Rc::clone(&sum);
            runtime.spawn_local(async move {
                for _ in 0..100 {
                    sum.set(sum.get() + n);
                    yield_now().await;
                }
            })
        })
        .collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
        // The root future borrows.
        let borrowed = &sum;
        poll_fn(|_| {
            borrowed.set(borrowed.get() + 1);
            Poll::Ready(())
        })
        .await;
    });
    assert_eq!((sum.get(), Rc::strong_count(&sum)), (100 * (0..100).sum::<u64>() + 1, 1));
}
