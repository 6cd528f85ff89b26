//! Blocking in a task: everything else goes on.

#[path = "block_in_place/ends.rs"]
mod ends;
#[path = "block_in_place/inside.rs"]
mod inside;
#[path = "support/kit.rs"]
mod kit;
#[path = "block_in_place/spares.rs"]
mod spares;

use std::future::pending;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use heist::net::UdpSocket;
use heist::runtime::{Builder, Handle, Runtime, worker_index};
use heist::task::{block_in_place, try_id};
use kit::{Count, Door, current_thread, join, panic_text, workers, yield_now};

/// Runs `test` on one worker and on two, with the watchdog and without.
fn each(test: impl Fn(Runtime)) {
    for count in [1, 2] {
        for watchdog in [true, false] {
            let mut builder = Builder::new_multi_thread();
            test(builder.worker_threads(count).watchdog(watchdog).enable_all().build().unwrap());
        }
    }
}

#[test]
fn block_in_place_runs_on_the_thread_of_the_task() {
    each(|runtime| {
        let (before, inside, after) = join(runtime.spawn(async {
            let here = || (thread::current().id(), try_id());
            let before = (here(), worker_index());
            let inside = block_in_place(|| (here(), worker_index()));
            (before, inside, (here(), worker_index()))
        }))
        .unwrap();
        assert_eq!(before, after, "it has its seat again");
        assert_eq!(inside, (before.0, None), "it is no worker meanwhile");
    });
}

#[test]
fn tasks_behind_section_are_polled() {
    each(|runtime| {
        let done = join(runtime.spawn(async {
            let (sender, receiver) = mpsc::channel();
            // In the ring and in the LIFO slot.
            for number in 0..20 {
                let sender = sender.clone();
                heist::spawn(async move {
                    yield_now().await;
                    sender.send(number).unwrap();
                });
            }
            drop(sender);
            block_in_place(|| receiver.iter().count())
        }));
        assert_eq!(done.unwrap(), 20);
    });
}

#[test]
fn timers_and_sockets_of_blocked_worker_are_served() {
    each(|runtime| {
        join(runtime.spawn(async {
            let (sender, receiver) = mpsc::channel();
            let (fired, received) = (sender.clone(), sender);
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap();
            let sleeps = heist::spawn(async move {
                heist::time::sleep(Duration::from_millis(3)).await;
                fired.send("timer").unwrap();
            });
            let receives = heist::spawn(async move {
                socket.recv(&mut [0; 4]).await.unwrap();
                received.send("socket").unwrap();
            });
            // Both wait, on this worker's wheel and in the reactor.
            for _ in 0..10 {
                yield_now().await;
            }
            let mut came = block_in_place(|| {
                std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b".", address).unwrap();
                receiver.iter().collect::<Vec<_>>()
            });
            came.sort_unstable();
            assert_eq!(came, ["socket", "timer"]);
            sleeps.await.unwrap();
            receives.await.unwrap();
        }))
        .unwrap();
    });
}

#[test]
fn section_may_wake_spawn_and_block_on() {
    each(|runtime| {
        let sum = join(runtime.spawn(async {
            let door = Door::new();
            let opened = door.opened();
            let waits = heist::spawn(async move {
                opened.await;
                1
            });
            yield_now().await;
            block_in_place(|| {
                door.open();
                let handle = Handle::current();
                handle.block_on(async {
                    heist::time::sleep(Duration::from_micros(100)).await;
                    waits.await.unwrap() + heist::spawn(async { 2 }).await.unwrap()
                })
            })
        }));
        assert_eq!(sum.unwrap(), 3);
    });
}

#[test]
fn sections_on_all_workers_at_once_have_spares() {
    for count in [1, 2, 4] {
        let runtime = workers(count);
        for _ in 0..20 {
            let met = Arc::new(Barrier::new(count + 1));
            let out: Vec<_> = (0..=count)
                .map(|_| {
                    let met = Arc::clone(&met);
                    // One task more than there are workers, so some run on spares.
                    runtime.spawn(async move { block_in_place(|| met.wait().is_leader()) })
                })
                .collect();
            let leaders = out.into_iter().map(|task| join(task).unwrap()).filter(|leads| *leads).count();
            assert_eq!(leaders, 1);
        }
        assert_eq!(runtime.worker_threads(), count, "spares are not counted");
    }
}

#[test]
fn block_in_place_nested_runs() {
    each(|runtime| {
        let sum = join(runtime.spawn(async {
            let sum = block_in_place(|| {
                let inner = block_in_place(|| 1);
                // A root within the section, and another one within that.
                let root =
                    Handle::current().block_on(async { block_in_place(|| Handle::current().block_on(async { 2 })) });
                inner + root
            });
            // The thread is a worker again.
            sum + heist::spawn(async { 4 }).await.unwrap() + block_in_place(|| 8)
        }));
        assert_eq!(sum.unwrap(), 15);
    });
}

#[test]
fn block_in_place_outside_of_a_worker_just_runs() {
    let place = thread::current().id();
    assert_eq!(block_in_place(|| thread::current().id()), place);
    each(|runtime| {
        assert_eq!(runtime.block_on(async { block_in_place(|| thread::current().id()) }), place);
        // The root may block.
        assert_eq!(runtime.block_on(async { block_in_place(|| Handle::current().block_on(async { 5 })) }), 5);
        let job = runtime.spawn_blocking(|| block_in_place(|| Handle::current().block_on(async { 6 })));
        assert_eq!(join(job).unwrap(), 6);
        let _guard = runtime.enter();
        assert_eq!(block_in_place(|| 7), 7);
    });
    let runtime = current_thread();
    assert_eq!(join(runtime.spawn_blocking(|| block_in_place(|| 8))).unwrap(), 8);
}

#[test]
fn block_in_place_on_current_thread_runtime_panics() {
    let runtime = current_thread();
    let error = runtime.block_on(runtime.spawn(async { block_in_place(|| 1) })).unwrap_err();
    for text in [kit::text(error.into_panic()), panic_text(|| runtime.block_on(async { block_in_place(|| 1) }))] {
        for part in ["block_in_place", "current-thread", "spawn_blocking", "multi-threaded"] {
            assert!(text.contains(part), "{text}");
        }
    }
}

#[test]
fn panic_within_section_ends_only_the_task() {
    each(|runtime| {
        for _ in 0..3 {
            let error =
                join(runtime.spawn(async { block_in_place(|| panic!("planned")) })).map(|(): ()| ()).unwrap_err();
            assert_eq!(kit::text(error.into_panic()), "planned");
            let caught = runtime.spawn(async { panic_text(|| block_in_place(|| panic!("caught"))) });
            assert_eq!(join(caught).unwrap(), "caught");
        }
        assert_eq!(join(runtime.spawn(async { heist::spawn(async { 3 }).await.unwrap() })).unwrap(), 3);
        assert_eq!(runtime.metrics().num_alive_tasks(), 0);
    });
}

#[test]
fn task_aborted_within_section_ends_after_it() {
    each(|runtime| {
        let (begun, release, drops) = (Door::new(), Door::new(), Count::new());
        let (opens, waits, guard) = (begun.clone(), release.clone(), drops.on_drop());
        let task = runtime.spawn(async move {
            let _guard = guard;
            yield_now().await;
            block_in_place(|| {
                opens.open();
                waits.wait();
            });
            yield_now().await;
            pending::<()>().await;
        });
        begun.wait();
        task.abort();
        assert_eq!(drops.get(), 0, "it cannot be aborted while it blocks");
        release.open();
        assert!(join(task).unwrap_err().is_cancelled());
        assert_eq!(drops.get(), 1);
    });
}

#[test]
fn sections_during_resize_keep_the_size() {
    let runtime = Builder::new_multi_thread().worker_threads(2).max_worker_threads(8).enable_all().build().unwrap();
    for _ in 0..20 {
        let (begun, release) = (Barrier::new(3), Door::new());
        let (begun, waits) = (Arc::new(begun), release.clone());
        let out: Vec<_> = (0..2)
            .map(|_| {
                let (begun, waits) = (Arc::clone(&begun), waits.clone());
                runtime.spawn(async move {
                    block_in_place(|| {
                        begun.wait();
                        waits.wait();
                    });
                })
            })
            .collect();
        begun.wait();
        runtime.resize(4).wait().unwrap();
        assert_eq!(join(runtime.spawn(async { 1 })).unwrap(), 1);
        let shrinks = runtime.resize(2);
        release.open();
        shrinks.wait().unwrap();
        out.into_iter().for_each(|task| join(task).unwrap());
        assert_eq!(runtime.worker_threads(), 2);
    }
}

/// Tasks in a ring, of which every second one blocks for its turn: a hundred rounds.
#[test]
fn tasks_in_a_ring_of_sections_end() {
    const PLACES: usize = 6;
    const ROUNDS: usize = 100;
    each(|runtime| {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..PLACES).map(|_| async_channel::bounded::<usize>(1)).unzip();
        let tasks: Vec<_> = (receivers.into_iter().enumerate())
            .map(|(place, receiver)| {
                let next = senders[(place + 1) % PLACES].clone();
                runtime.spawn(async move {
                    let mut turns = 0;
                    loop {
                        let number = match place % 2 {
                            0 => receiver.recv().await.unwrap(),
                            _ => block_in_place(|| receiver.recv_blocking().unwrap()),
                        };
                        turns += 1;
                        let last = number == PLACES * ROUNDS;
                        if !last {
                            block_in_place(|| next.send_blocking(number + 1).unwrap());
                        }
                        if last || number + PLACES > PLACES * ROUNDS {
                            return turns;
                        }
                    }
                })
            })
            .collect();
        senders[0].send_blocking(1).unwrap();
        let turns: usize = tasks.into_iter().map(|task| join(task).unwrap()).sum();
        assert_eq!(turns, PLACES * ROUNDS);
    });
}
