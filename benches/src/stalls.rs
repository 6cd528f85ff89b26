//! Measures the delays of other tasks while a task blocks its worker.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::contender::{Contender, Sockets, Timers};

/// Delays, in nanoseconds.
pub type Delays = Histogram<u64>;

const STUCK_AT_LIFO: Duration = Duration::from_millis(300);
const STUCK_AT_TIMERS: Duration = Duration::from_millis(400);
const STUCK_AT_SOCKETS: Duration = Duration::from_millis(500);
const ALL_STUCK: Duration = Duration::from_millis(600);

/// Measures the time from a wake to the poll, if the waking task then blocks for 300 ms.
pub fn woken_by_the_stuck<C: Timers>(runtime: &C, times: u32) -> Delays {
    let (result_tx, result_rx) = sync_channel(1);
    C::detach(runtime.spawn_outside(async move {
        let mut delays = delays();
        for _ in 0..times {
            let (wake, woken) = futures::channel::oneshot::channel::<Instant>();
            let waiting = C::spawn(async move { woken.await.expect("the waker is gone").elapsed() });
            // Long enough for the task to wait.
            C::sleep(Duration::from_millis(5)).await;
            let stuck = C::spawn(async move {
                wake.send(Instant::now()).expect("the receiver is gone");
                thread::sleep(STUCK_AT_LIFO);
            });
            record(&mut delays, waiting.await);
            stuck.await;
        }
        result_tx.send(delays).expect("the receiver of the delays is gone");
    }));
    result_rx.recv().expect("the task is gone")
}

/// Measures how late the ticks of fifty tasks are. Each ticks every 20 ms, while one more task
/// wakes by a timer and blocks for 400 ms, over and over.
pub fn timers_beside_the_stuck<C: Timers>(runtime: &C, times: u32) -> Delays {
    const TICKERS: u32 = 50;
    const TICK: Duration = Duration::from_millis(20);
    let stop = Arc::new(AtomicBool::new(false));
    let (result_tx, result_rx) = sync_channel(TICKERS as usize);
    for n in 0..TICKERS {
        let (stop, result_tx) = (stop.clone(), result_tx.clone());
        C::detach(runtime.spawn_outside(async move {
            let mut delays = delays();
            C::sleep(TICK * n / TICKERS).await;
            while !stop.load(Ordering::Relaxed) {
                let due = Instant::now() + TICK;
                C::sleep(TICK).await;
                record(&mut delays, Instant::now().saturating_duration_since(due));
            }
            result_tx.send(delays).expect("the receiver of the delays is gone");
        }));
    }
    let stuck = runtime.spawn_outside(async move {
        for _ in 0..times {
            C::sleep(Duration::from_millis(50)).await;
            thread::sleep(STUCK_AT_TIMERS);
        }
        stop.store(true, Ordering::Relaxed);
    });
    C::detach(stuck);
    let mut all = delays();
    (0..TICKERS).for_each(|_| all.add(result_rx.recv().expect("a ticker is gone")).expect("the bounds are the same"));
    all
}

/// Measures the round trips of four clients from outside, which send a message each per millisecond
/// by a plan. The handler of a fifth connection blocks for 500 ms whenever it has read something.
pub fn echo_beside_the_stuck<C: Sockets>(runtime: &C, times: u32) -> Delays {
    let addr = serve(runtime);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(|| run_client(addr, &stop))).collect();
        let mut poison = connect(addr);
        for _ in 0..times {
            thread::sleep(Duration::from_millis(100));
            poison.write_all(b"!").expect("it could not be sent");
            poison.read_exact(&mut [0]).expect("it was not answered");
        }
        stop.store(true, Ordering::Relaxed);
        let mut all = delays();
        for client in clients {
            all.add(client.join().expect("a client failed")).expect("the bounds are the same");
        }
        all
    })
}

/// Measures how long a new task waits for its first poll, if every worker is stuck for 600 ms.
pub fn new_while_all_are_stuck<C: Contender>(runtime: &C, workers: usize, times: u32) -> Delays {
    let mut delays = delays();
    for _ in 0..times {
        let stuck = Arc::new(AtomicUsize::new(0));
        let (end_tx, end_rx) = sync_channel(workers);
        for _ in 0..workers {
            let (stuck, end_tx) = (stuck.clone(), end_tx.clone());
            C::detach(runtime.spawn_outside(async move {
                stuck.fetch_add(1, Ordering::Relaxed);
                thread::sleep(ALL_STUCK);
                end_tx.send(()).expect("the receiver is gone");
            }));
        }
        let begun = Instant::now();
        while stuck.load(Ordering::Relaxed) < workers && begun.elapsed() < ALL_STUCK / 2 {
            thread::yield_now();
        }
        let (result_tx, result_rx) = sync_channel(1);
        let spawned = Instant::now();
        C::detach(
            runtime.spawn_outside(async move { result_tx.send(spawned.elapsed()).expect("the receiver is gone") }),
        );
        record(&mut delays, result_rx.recv().expect("the task is gone"));
        (0..workers).for_each(|_| end_rx.recv().expect("a stuck task is gone"));
    }
    delays
}

fn serve<C: Sockets>(runtime: &C) -> SocketAddr {
    let (addr_tx, addr_rx) = sync_channel(1);
    C::detach(runtime.spawn_outside(async move {
        let (listener, addr) = C::listen().await.expect("no listener");
        addr_tx.send(addr).expect("the receiver of the address is gone");
        while let Ok(mut stream) = C::accept(&listener).await {
            C::detach(C::spawn(async move {
                let mut buf = [0; 256];
                while let Ok(n @ 1..) = C::read(&mut stream, &mut buf).await {
                    if buf[0] == b'!' {
                        thread::sleep(STUCK_AT_SOCKETS);
                    }
                    if C::write_all(&mut stream, &buf[..n]).await.is_err() {
                        return;
                    }
                }
            }));
        }
    }));
    addr_rx.recv().expect("the server is gone")
}

fn run_client(addr: SocketAddr, stop: &AtomicBool) -> Delays {
    let mut delays = delays();
    let mut stream = connect(addr);
    let mut planned = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        planned += Duration::from_millis(1);
        thread::sleep(planned.saturating_duration_since(Instant::now()));
        let mut buf = [7; 64];
        stream.write_all(&buf).expect("a message could not be sent");
        stream.read_exact(&mut buf).expect("an answer is missing");
        record(&mut delays, planned.elapsed());
    }
    delays
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("no connection");
    stream.set_nodelay(true).expect("no option");
    stream
}

fn delays() -> Delays {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are sound")
}

fn record(delays: &mut Delays, delay: Duration) {
    delays.saturating_record(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX));
}
