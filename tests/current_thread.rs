//! The current-thread runtime: its tasks run in `block_on`, in turn, and nowhere else.

#[path = "support/kit.rs"]
mod kit;

use std::collections::HashSet;
use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use heist::net::{UdpSocket, UnixStream};
use heist::runtime::{Builder, Runtime};
use kit::{Count, Door, OnDrop, current_thread, panic_text, poll_once, yield_now};

/// The threads on which something was done, and how often.
#[derive(Clone, Default)]
struct Places(Arc<Mutex<Vec<ThreadId>>>);

impl Places {
    fn record_thread(&self) {
        self.0.lock().unwrap().push(thread::current().id());
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn all_here(&self) -> bool {
        self.0.lock().unwrap().iter().all(|place| *place == thread::current().id())
    }
}

// ---- order

/// A task wakes another one while a third is ready, and all record their polls.
fn order_of_a_wake(runtime: &Runtime) -> Vec<&'static str> {
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |who: &'static str| {
        let order = Arc::clone(&order);
        move || order.lock().unwrap().push(who)
    };
    let door = Door::new();
    let (woken, ready, wakes) = (note("woken"), note("ready"), note("wakes"));
    let task = runtime.spawn(async move {
        let opened = door.opened();
        let woken = heist::spawn(async move {
            opened.await;
            woken();
        });
        // It waits now.
        yield_now().await;
        yield_now().await;
        let ready = heist::spawn(async move { ready() });
        wakes();
        door.open();
        let _ = (woken.await, ready.await);
    });
    runtime.block_on(task).unwrap();
    order.lock().unwrap().clone()
}

#[test]
fn woken_task_goes_behind_ready_tasks() {
    assert_eq!(order_of_a_wake(&current_thread()), ["wakes", "ready", "woken"]);
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).disable_lifo_slot();
    assert_eq!(order_of_a_wake(&builder.build().unwrap()), ["wakes", "ready", "woken"]);
    // This would be the order with a LIFO slot.
    assert_eq!(order_of_a_wake(&kit::workers(1)), ["wakes", "woken", "ready"]);
}

#[test]
fn tasks_are_polled_in_the_order_in_which_they_were_spawned() {
    let runtime = current_thread();
    let order = Arc::new(Mutex::new(Vec::new()));
    // From outside, and then from inside.
    let spawn = |n: usize| {
        let order = Arc::clone(&order);
        async move { order.lock().unwrap().push(n) }
    };
    for n in 0..5 {
        runtime.spawn(spawn(n));
    }
    runtime.block_on(async {
        yield_now().await;
        let mut spawned: Vec<_> = (5..10).map(|n| heist::spawn(spawn(n))).collect();
        spawned.pop().unwrap().await.unwrap();
    });
    assert_eq!(*order.lock().unwrap(), Vec::from_iter(0..10));
}

// ---- when event sources are checked

/// A task that yields finds a descriptor ready that had become ready before.
async fn yield_sees_readiness() {
    for _ in 0..10 {
        let (reader, writer) = UnixStream::pair().unwrap();
        heist::task::yield_now().await;
        let mut readable = Box::pin(reader.readable());
        assert!(poll_once(&mut readable).is_pending());
        assert_eq!(writer.try_write(b"x").unwrap(), 1);
        heist::task::yield_now().await;
        assert!(poll_once(&mut readable).is_ready());
    }
}

#[test]
fn yield_of_root_checks_reactor_first() {
    current_thread().block_on(yield_sees_readiness());
}

#[test]
fn yield_of_lone_task_checks_reactor_first() {
    let runtime = current_thread();
    runtime.block_on(runtime.spawn(yield_sees_readiness())).unwrap();
}

#[test]
fn yields_of_several_tasks_check_reactor_first() {
    let runtime = current_thread();
    let over = Arc::new(AtomicBool::new(false));
    for _ in 0..3 {
        let over = Arc::clone(&over);
        runtime.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                heist::task::yield_now().await;
            }
        });
    }
    runtime.block_on(async {
        let (reader, writer) = UnixStream::pair().unwrap();
        let readable = heist::spawn(async move { reader.readable().await.unwrap() });
        heist::task::yield_now().await;
        assert_eq!(writer.try_write(b"x").unwrap(), 1);
        let mut yields = 0;
        while !readable.is_finished() {
            heist::task::yield_now().await;
            yields += 1;
        }
        assert!(yields <= 10, "{yields}");
        over.store(true, Ordering::Relaxed);
    });
}

/// Drives the runtime as another event loop would, a moment at a time. Whenever the runtime would
/// sleep, `block_on` returns.
fn bursts_until(ended: impl Fn() -> bool, spawn: impl FnOnce(&Runtime)) {
    let waker = Arc::new(Mutex::new(None::<Waker>));
    let wakes = Arc::clone(&waker);
    let hook = move || {
        let waker = wakes.lock().unwrap().take();
        waker.into_iter().for_each(Waker::wake);
    };
    let runtime = Builder::new_current_thread().enable_all().on_thread_park(hook).build().unwrap();
    spawn(&runtime);
    let begun = Instant::now();
    while !ended() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never ends");
        let mut polled = false;
        runtime.block_on(poll_fn(|cx| {
            if std::mem::replace(&mut polled, true) {
                return Poll::Ready(());
            }
            *waker.lock().unwrap() = Some(cx.waker().clone());
            Poll::Pending
        }));
    }
}

#[test]
fn timer_fires_in_bursts_without_sleep() {
    let fired = Count::new();
    let counts = fired.clone();
    bursts_until(
        || fired.get() == 1,
        |runtime| {
            runtime.spawn(async move {
                heist::time::sleep(Duration::from_millis(1)).await;
                counts.add();
            });
        },
    );
}

#[test]
fn socket_becomes_ready_in_bursts_without_sleep() {
    let (read, written) = (Count::new(), Count::new());
    let (counts, writes) = (read.clone(), written.clone());
    bursts_until(
        || read.get() == 1,
        |runtime| {
            let _inside = runtime.enter();
            let (mut reader, mut writer) = UnixStream::pair().unwrap();
            runtime.spawn(async move {
                assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 1);
                counts.add();
            });
            runtime.spawn(async move {
                yield_now().await;
                writer.write_all(b"x").await.unwrap();
                writes.add();
                pending::<()>().await;
            });
        },
    );
    assert_eq!(written.get(), 1);
}

// ---- between two block_ons

/// Calls `f` on another thread, and waits for it.
fn elsewhere<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(f).join().unwrap())
}

#[test]
fn tasks_are_not_polled_between_block_ons() {
    let runtime = current_thread();
    let (polls, spawned) = (Places::default(), Places::default());
    let counts = polls.clone();
    let waker = Arc::new(Mutex::new(None::<Waker>));
    let keeps = Arc::clone(&waker);
    // Always ready.
    runtime.spawn(async move {
        loop {
            counts.record_thread();
            yield_now().await;
        }
    });
    // Woken from outside.
    let counts = spawned.clone();
    runtime.spawn(poll_fn(move |cx| {
        counts.record_thread();
        *keeps.lock().unwrap() = Some(cx.waker().clone());
        Poll::<()>::Pending
    }));
    assert_eq!((polls.count(), spawned.count()), (0, 0), "spawning polls nothing");
    for round in 1..=10 {
        runtime.block_on(async {
            // Long enough for a check of the global queue.
            for _ in 0..100 {
                yield_now().await;
            }
        });
        let seen = (polls.count(), spawned.count());
        assert!(seen.0 >= round);
        elsewhere(|| {
            waker.lock().unwrap().as_ref().unwrap().wake_by_ref();
            runtime.spawn(async {});
            runtime.handle().block_on(yield_now());
            let _guard = runtime.enter();
            heist::spawn(async {});
        });
        runtime.handle().block_on(yield_now());
        assert_eq!((polls.count(), spawned.count()), seen, "round {round}");
    }
    assert!(polls.all_here() && spawned.all_here());
    assert_eq!(spawned.count(), 10, "one poll for each wake");
}

#[test]
fn events_between_block_ons_are_handled_in_the_next() {
    let runtime = current_thread();
    let (dropped, received) = (Places::default(), Count::new());
    // A timer, a datagram, and an abort.
    let note = dropped.clone();
    let guard = OnDrop::new(move || note.record_thread());
    let aborted = runtime.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    let (socket, sleep) = runtime.block_on(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        (socket, heist::time::sleep(Duration::from_millis(1)))
    });
    let (address, counts) = (socket.local_addr().unwrap(), received.clone());
    let receiver = runtime.spawn(async move {
        socket.recv(&mut [0; 8]).await.unwrap();
        counts.add();
    });
    let sleeper = runtime.spawn(sleep);
    runtime.block_on(async {
        yield_now().await;
        yield_now().await;
    });
    elsewhere(|| {
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b".", address).unwrap();
        aborted.abort();
        // The timer is due when a later one has completed.
        kit::workers(1).block_on(async { heist::time::sleep(Duration::from_millis(2)).await });
    });
    assert_eq!((received.get(), dropped.count()), (0, 0));
    assert!(!sleeper.is_finished() && !aborted.is_finished());
    runtime.block_on(async {
        receiver.await.unwrap();
        sleeper.await.unwrap();
        assert!(aborted.await.unwrap_err().is_cancelled());
    });
    assert_eq!((received.get(), dropped.count()), (1, 1));
    assert!(dropped.all_here());
}

#[test]
fn aborted_task_without_driver_is_dropped_with_runtime() {
    let runtime = current_thread();
    let drops = Count::new();
    let guard = drops.on_drop();
    let task = runtime.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    runtime.block_on(yield_now());
    task.abort();
    assert_eq!(drops.get(), 0);
    drop(runtime);
    assert_eq!(drops.get(), 1);
    assert!(kit::join(task).unwrap_err().is_cancelled());
}

// ---- Handle::block_on

#[test]
fn handle_block_on_drives_no_task() {
    let runtime = current_thread();
    let polls = Places::default();
    let counts = polls.clone();
    let task = runtime.spawn(async move {
        counts.record_thread();
        yield_now().await;
        counts.record_thread();
        thread::current().id()
    });
    let driven = Door::new();
    thread::scope(|scope| {
        let (handle, polls, door) = (runtime.handle().clone(), &polls, driven.clone());
        let waiter = scope.spawn(move || {
            handle.block_on(async move {
                // Often enough.
                for _ in 0..1_000 {
                    yield_now().await;
                }
                assert_eq!(polls.count(), 0, "no thread drives");
                door.open();
                task.await.unwrap()
            })
        });
        driven.wait();
        // Now a thread drives, and wakes the waiting task.
        let done = Door::new();
        let (opens, driver) = (done.clone(), &runtime);
        let drives = scope.spawn(move || {
            driver.block_on(done.opened());
            thread::current().id()
        });
        let place = waiter.join().unwrap();
        opens.open();
        assert_eq!(place, drives.join().unwrap(), "its task ran where it was driven");
    });
    assert_eq!(polls.count(), 2);
}

// ---- several block_ons

/// Returns the thread on which the tasks of `runtime` are polled now.
async fn driver() -> ThreadId {
    heist::spawn(async { thread::current().id() }).await.unwrap()
}

#[test]
fn tasks_are_polled_by_one_of_the_threads_and_each_gets_its_output() {
    let runtime = current_thread();
    let met = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                met.wait();
                for n in 0..100 {
                    let output = runtime.block_on(async move {
                        let task = heist::spawn(async move {
                            yield_now().await;
                            n
                        });
                        task.await.unwrap()
                    });
                    assert_eq!(output, n);
                }
            });
        }
    });
    assert_eq!(runtime.metrics().num_alive_tasks(), 0);
}

/// One thread drives, and `followers` wait for their turn. One after the other ends when its door
/// opens, in the way that `leave` says. It may be the driver or another thread.
fn handed_on(followers: usize, leave: impl Fn(&Runtime, &Door) + Sync) {
    let runtime = current_thread();
    let doors: Vec<Door> = (0..=followers).map(|_| Door::new()).collect();
    let (in_line, gone) = (Count::new(), Count::new());
    thread::scope(|scope| {
        for door in &doors {
            let (runtime, leave, in_line, gone) = (&runtime, &leave, &in_line, &gone);
            scope.spawn(move || {
                in_line.add();
                leave(runtime, door);
                gone.add();
            });
        }
        while in_line.get() <= followers {
            thread::yield_now();
        }
        // One of them drives.
        kit::join(runtime.spawn(async {})).unwrap();
        for (n, door) in doors.iter().enumerate() {
            door.open();
            while gone.get() <= n {
                thread::yield_now();
            }
            if n < followers {
                // One of the threads drives: it runs a remote task, although every root that is
                // left waits for something else.
                assert!(kit::join(runtime.spawn(async { 5 })).is_ok());
            }
        }
    });
    assert_eq!(gone.get(), followers + 1);
}

#[test]
fn driver_that_ends_is_replaced() {
    for followers in [1, 3] {
        handed_on(followers, |runtime, door| runtime.block_on(door.opened()));
    }
}

#[test]
fn driver_that_panics_is_replaced() {
    for followers in [1, 3] {
        handed_on(followers, |runtime, door| {
            let text = panic_text(|| {
                runtime.block_on(async {
                    door.opened().await;
                    panic!("planned");
                })
            });
            assert_eq!(text, "planned");
        });
    }
}

#[test]
fn driver_that_slept_in_reactor_is_replaced() {
    // Each waits for a timer and a socket as well, so that all of them have something to wait for
    // in the reactor.
    handed_on(3, |runtime, door| {
        runtime.block_on(async {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let mut byte = [0];
            let never = socket.recv(&mut byte);
            let long = heist::time::sleep(Duration::from_secs(3600));
            futures::pin_mut!(never, long);
            let opened = door.opened();
            futures::future::select(opened, futures::future::select(never, long)).await;
        });
    });
}

#[test]
fn timer_of_ended_driver_fires_under_the_next() {
    for _ in 0..20 {
        let runtime = current_thread();
        let (filed, follows) = (Door::new(), Door::new());
        let fired = Count::new();
        thread::scope(|scope| {
            let (runtime, filed, follows, counts) = (&runtime, &filed, &follows, fired.clone());
            scope.spawn(move || {
                runtime.block_on(async {
                    heist::spawn(async move {
                        heist::time::sleep(Duration::from_millis(3)).await;
                        counts.add();
                    });
                    yield_now().await;
                    filed.open();
                    follows.opened().await;
                })
            });
            let counts = fired.clone();
            scope.spawn(move || {
                filed.wait();
                runtime.block_on(async {
                    follows.open();
                    // Only the timer of the other thread ends it.
                    while counts.get() == 0 {
                        heist::time::sleep(Duration::from_millis(1)).await;
                    }
                });
            });
        });
        assert_eq!(fired.get(), 1);
    }
}

/// Threads start and end, and wake each other's roots. The driver may end at any moment.
#[test]
fn block_on_storm_completes_every_root() {
    const THREADS: usize = 4;
    let runtime = current_thread();
    let places = Mutex::new(HashSet::new());
    let served = Count::new();
    thread::scope(|scope| {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| async_channel::unbounded::<usize>()).unzip();
        for (n, receiver) in receivers.into_iter().enumerate() {
            let next = senders[(n + 1) % THREADS].clone();
            let (runtime, places, served) = (&runtime, &places, served.clone());
            scope.spawn(move || {
                for round in 0..200 {
                    let place = runtime.block_on(async {
                        // The token passes every thread once per round; a spawned task passes it
                        // on.
                        if n > 0 {
                            assert_eq!(receiver.recv().await.unwrap(), round);
                        }
                        let next = next.clone();
                        let task = heist::spawn(async move {
                            next.send(round).await.unwrap();
                            thread::current().id()
                        });
                        let place = task.await.unwrap();
                        if n == 0 {
                            assert_eq!(receiver.recv().await.unwrap(), round);
                        }
                        place
                    });
                    places.lock().unwrap().insert(place);
                    served.add();
                }
            });
        }
        drop(senders);
    });
    assert_eq!(served.get(), THREADS * 200);
    assert!(!places.lock().unwrap().contains(&thread::current().id()));
}

#[test]
fn block_in_place_in_driven_task_is_refused() {
    let runtime = current_thread();
    assert_eq!(runtime.block_on(driver()), thread::current().id());
    let other = elsewhere(|| (runtime.block_on(driver()), thread::current().id()));
    assert_eq!(other.0, other.1);
}

/// A blocking thread of the runtime itself may drive the runtime.
#[test]
fn blocking_job_may_drive_its_own_runtime() {
    let runtime = Arc::new(current_thread());
    let inner = Arc::clone(&runtime);
    // No other thread drives, so the job does.
    let job = runtime.spawn_blocking(move || inner.block_on(async { heist::spawn(async { 3 }).await.unwrap() }));
    assert_eq!(kit::join(job).unwrap(), 3);
    // Another thread drives, so the job waits for its turn.
    let inner = Arc::clone(&runtime);
    let sum = runtime.block_on(async move {
        let job =
            heist::task::spawn_blocking(move || inner.block_on(async { heist::spawn(async { 4 }).await.unwrap() }));
        job.await.unwrap()
    });
    assert_eq!(sum, 4);
}
