//! Nobody starves: the bounds that `docs/fairness.md` derives, held against adversaries. Polls are counted, not seconds.

#[path = "support/kit.rs"]
mod kit;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Runtime};
use kit::{Count, each, yield_now};

/// Always ready: counts its polls until it is told to stop.
async fn busy(polls: Count, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        polls.add();
        yield_now().await;
    }
}

/// Counts the polls of each of `tasks` that are always ready until all together have had `polls`; answers the longest time, in
/// polls of all, for which one of them has waited.
async fn longest_wait(tasks: usize, polls: usize) -> usize {
    let all = Arc::new(AtomicUsize::new(0));
    let handles: Vec<_> = (0..tasks)
        .map(|_| {
            let all = Arc::clone(&all);
            heist::spawn(async move {
                let (mut last, mut longest) = (all.load(Ordering::SeqCst), 0);
                while last < polls {
                    let now = all.fetch_add(1, Ordering::SeqCst) + 1;
                    longest = longest.max(now - last);
                    last = now;
                    yield_now().await;
                }
                longest
            })
        })
        .collect();
    let mut longest = 0;
    for handle in handles {
        longest = longest.max(handle.await.unwrap());
    }
    longest
}

/// More tasks are always ready than the ring holds, so that the others wait in the global queue.
#[test]
fn always_ready_tasks_take_turns() {
    for interval in [1, 2, 7, 61] {
        for tasks in [200, 257, 300, 1000] {
            let runtime =
                Builder::new_current_thread().event_interval(interval).global_queue_interval(interval).build().unwrap();
            let longest = runtime.block_on(longest_wait(tasks, 40 * tasks));
            // A turn, and what the page allows for on top of it.
            assert!(
                longest <= 2 * tasks + 512,
                "{tasks} tasks, interval {interval}: one has waited for {longest} polls"
            );
        }
    }
}

/// A root future that is always ready keeps neither sockets nor timers nor tasks waiting for ever.
#[test]
fn a_root_that_yields_lets_a_socket_through() {
    each(|runtime| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = std::thread::spawn(move || std::net::TcpStream::connect(address).unwrap());
        listener.set_nonblocking(true).unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            let task = heist::spawn(async move { listener.accept().await.unwrap() });
            while !task.is_finished() {
                yield_now().await;
            }
        });
        client.join().unwrap();
    });
}
#[test]
fn a_root_that_yields_lets_timers_through() {
    each(|runtime| {
        let handle = runtime.handle().clone();
        // Armed on a thread without a seat.
        let armed = kit::Door::new();
        let arm = armed.clone();
        let fired = std::thread::spawn(move || {
            let _guard = handle.enter();
            let mut sleep = Box::pin(heist::time::sleep(Duration::from_millis(2)));
            let flag = kit::Flag::new();
            assert!(sleep.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&flag)))).is_pending());
            arm.open();
            (flag, sleep)
        });
        armed.wait();
        let (flag, sleep) = fired.join().unwrap();
        runtime.block_on(async {
            let task = heist::spawn(heist::time::sleep(Duration::from_millis(1)));
            while !flag.is_set() || !task.is_finished() {
                yield_now().await;
            }
        });
        drop(sleep);
    });
}
