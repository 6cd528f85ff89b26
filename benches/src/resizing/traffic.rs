//! Clients that connect, send messages and disconnect, while a thread resizes the service.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::Service;

/// One message per client and interval, by the plan.
const INTERVAL: Duration = Duration::from_millis(1);
const BYTES: usize = 64;

#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub clients: u32,
    /// Round trips of each client.
    pub messages: u32,
    /// After so many round trips a client disconnects and connects again.
    pub per_connection: u32,
    /// The time between two resizes.
    pub every: Duration,
    pub most: usize,
}

/// The results of one run.
pub struct Report {
    /// From the planned time of each message to its answer, in nanoseconds.
    pub latency: Histogram<u64>,
    pub resizes: usize,
    pub most_threads: usize,
}

/// Loads a service from outside while it is resized.
///
/// # Panics
///
/// If a message is not answered.
pub fn measure(service: &dyn Service, load: Load) -> Report {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("no listener");
    let addr = listener.local_addr().expect("no address");
    let stop = AtomicBool::new(false);
    let most_threads = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| accept(&listener, service, &stop));
        let resizer = scope.spawn(|| resize(service, load, &stop, &most_threads));
        let begin = Instant::now() + 20 * INTERVAL;
        let clients: Vec<_> = (0..load.clients)
            .map(|client| {
                // The clients do not send at the same moment.
                let begin = begin + INTERVAL * client / load.clients;
                scope.spawn(move || run_client(addr, load, begin))
            })
            .collect();
        let mut latency = histogram();
        for client in clients {
            latency.add(client.join().expect("a client failed")).expect("the bounds are the same");
        }
        stop.store(true, Ordering::Relaxed);
        // The acceptor reads the flag after each connection.
        drop(TcpStream::connect(addr));
        let resizes = resizer.join().expect("the resizer failed");
        Report { latency, resizes, most_threads: most_threads.load(Ordering::Relaxed) }
    })
}

fn accept(listener: &TcpListener, service: &dyn Service, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let (stream, _) = listener.accept().expect("accept failed");
        stream.set_nodelay(true).expect("no option");
        stream.set_nonblocking(true).expect("no option");
        service.serve(stream);
    }
}

fn resize(service: &dyn Service, load: Load, stop: &AtomicBool, most_threads: &AtomicUsize) -> usize {
    let mut size = 1;
    let mut times = 0;
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(load.every);
        // Each size has its turn, up and down in jumps.
        size = (size + 5) % load.most;
        service.resize(size + 1);
        most_threads.fetch_max(service.threads(), Ordering::Relaxed);
        times += 1;
    }
    times
}

fn run_client(addr: SocketAddr, load: Load, begin: Instant) -> Histogram<u64> {
    let mut latency = histogram();
    let mut stream = connect(addr);
    for n in 0..load.messages {
        if n > 0 && n % load.per_connection == 0 {
            stream = connect(addr);
        }
        let planned = begin + n * INTERVAL;
        thread::sleep(planned.saturating_duration_since(Instant::now()));
        let mut buf = [n as u8; BYTES];
        stream.write_all(&buf).expect("a message could not be sent");
        stream.read_exact(&mut buf).expect("an answer is missing");
        assert_eq!(buf, [n as u8; BYTES], "an answer is wrong");
        let nanos = planned.elapsed().as_nanos();
        latency.saturating_record(u64::try_from(nanos).unwrap_or(u64::MAX));
    }
    latency
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("no connection");
    stream.set_nodelay(true).expect("no option");
    stream
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are sound")
}
