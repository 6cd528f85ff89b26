//! Other workers take over what a stalled worker had.

use std::future::Future;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use heist::net::TcpListener;
use heist::runtime::{Activity, Runtime};
use heist::time::{Instant, sleep};

use super::kit::{Count, Door, yield_now};
use super::{block, builder, reports, until, without_spares};

/// Tasks in the LIFO slot, in the ring, and in both. The worker blocks in the same poll. The other
/// one sleeps or is busy.
#[test]
fn tasks_behind_stalled_poll_are_polled() {
    for busy in [false, true] {
        for behind in [1, 2, 10, 300] {
            let runtime = without_spares(2);
            let (run, stop) = (Count::new(), Arc::new(AtomicBool::new(false)));
            let others: Vec<_> = (0..if busy { 20 } else { 0 })
                .map(|_| {
                    let stop = Arc::clone(&stop);
                    runtime.spawn(async move {
                        while !stop.load(Ordering::SeqCst) {
                            yield_now().await;
                        }
                    })
                })
                .collect();
            let counted = run.clone();
            let stuck = runtime.spawn(async move {
                for _ in 0..behind {
                    let run = counted.clone();
                    heist::spawn(async move { run.add() });
                }
                until(|| counted.get() == behind);
            });
            runtime.block_on(stuck).unwrap();
            assert_eq!(run.get(), behind);
            stop.store(true, Ordering::SeqCst);
            others.into_iter().for_each(|other| runtime.block_on(other).unwrap());
        }
    }
}

/// The first poll after the whole runtime was idle. The watchdog sleeps, too, when it begins.
#[test]
fn poll_after_idle_runtime_is_watched() {
    let mut builder = builder(2);
    let received = reports(&mut builder);
    let runtime = builder.max_spare_workers(0).build().unwrap();
    for _ in 0..20 {
        at_rest(&runtime);
        let door = Door::new();
        let stuck = block(&runtime, &door);
        received.of(Some(stuck.id()));
        door.open();
        runtime.block_on(stuck).unwrap();
    }
}

/// Timers that the worker has armed before, and in the stalled poll.
#[test]
fn timers_of_stalled_worker_fire() {
    let runtime = without_spares(2);
    for _ in 0..20 {
        let (fired, all) = (Count::new(), 40);
        let counted = fired.clone();
        let stuck = runtime.spawn(async move {
            for n in 0..all {
                let fired = counted.clone();
                heist::spawn(async move {
                    sleep(Duration::from_micros(200 * n)).await;
                    fired.add();
                });
            }
            // They are armed on this worker, unless they were stolen.
            for _ in 0..50 {
                yield_now().await;
            }
            until(|| counted.get() == all as usize);
        });
        runtime.block_on(stuck).unwrap();
        assert_eq!(fired.get(), 40);
    }
}

/// A poll waits for one timer after the other by a foreign executor. The watchdog has seen the
/// stall before the poll arms them.
#[test]
fn timers_armed_late_in_a_stalled_poll_fire() {
    let runtime = without_spares(2);
    let stuck = runtime.spawn(async {
        let rescued = Door::new();
        let opens = rescued.clone();
        heist::spawn(async move { opens.open() });
        rescued.wait();
        for _ in 0..20 {
            futures::executor::block_on(sleep(Duration::from_millis(1)));
            // The wheel has been empty meanwhile, for some ticks of the watchdog.
            thread::sleep(Duration::from_millis(1));
        }
    });
    runtime.block_on(stuck).unwrap();
}

/// Another thread resets a timer to an earlier time. The timer's worker is stalled, and the backup
/// sleeps to the later time.
#[test]
fn timer_of_stalled_worker_reset_earlier_fires() {
    for _ in 0..20 {
        let runtime = without_spares(2);
        let (reset, again) = async_channel::bounded::<()>(1);
        let fired = Count::new();
        let (fires, door, armed) = (fired.clone(), Door::new(), Door::new());
        let (arms, opens) = (armed.clone(), door.clone());
        runtime.spawn(async move {
            let task = heist::spawn(async move {
                let mut sleep = std::pin::pin!(sleep(Duration::from_secs(3600)));
                let mut again = std::pin::pin!(again.recv());
                let mut later = true;
                std::future::poll_fn(|cx| {
                    if later && again.as_mut().poll(cx).is_ready() {
                        later = false;
                        sleep.as_mut().reset(Instant::now() + Duration::from_millis(3));
                    }
                    let fired = sleep.as_mut().poll(cx);
                    arms.open();
                    fired
                })
                .await;
                fires.add();
            });
            drop(task);
            // Its first poll is on this worker.
            yield_now().await;
            opens.wait();
        });
        armed.wait();
        reset.send_blocking(()).unwrap();
        until(|| fired.get() == 1);
        door.open();
    }
}

/// The worker that had the shard driver is stalled in the task that it has read an event for.
#[test]
fn sockets_are_served_while_a_worker_is_stalled() {
    let runtime = without_spares(2);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let door = Door::new();
    let opens = door.clone();
    runtime.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let door = opens.clone();
            heist::spawn(async move {
                let mut byte = [0];
                while stream.read(&mut byte).await.is_ok_and(|n| n == 1) {
                    if byte == *b"!" {
                        door.wait();
                    }
                    stream.write_all(&byte).await.unwrap();
                }
            });
        }
    });
    let mut poison = std::net::TcpStream::connect(address).unwrap();
    let mut client = std::net::TcpStream::connect(address).unwrap();
    for round in 0..200_u8 {
        if round == 20 {
            poison.write_all(b"!").unwrap();
        }
        client.write_all(b"?").unwrap();
        client.read_exact(&mut [0]).unwrap();
    }
    door.open();
    poison.read_exact(&mut [0]).unwrap();
}

/// Waits until the runtime is idle: the workers have announced their sleep, twice in a row.
fn at_rest(runtime: &Runtime) {
    let asleep = || runtime.handle().dump().workers.iter().all(|seat| seat.activity == Activity::Asleep);
    let parks = || (0..2).map(|worker| runtime.metrics().worker_park_count(worker)).sum::<u64>();
    loop {
        until(asleep);
        let before = parks();
        // Longer than the watchdog goes on scanning. No test relies on it: if the watchdog still
        // scans, the test is only weaker.
        thread::sleep(Duration::from_millis(5));
        if asleep() && parks() == before {
            return;
        }
    }
}
