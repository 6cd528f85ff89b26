//! A replicated register over a simulated network, and a bug that needs a partition and two
//! workers.
//!
//! Three replicas keep the newest version that they have seen. A client writes versions in turn, to
//! all replicas, and goes on when two have answered. A replica of the broken kind compares the
//! version first, then appends it to its log, then stores it. Two writes must meet at one replica
//! to show that, on two workers. Without a partition they come one after the other. With one
//! worker, one is done before the other begins.
//!
//! ```sh
//! cargo run --release --features sim --example sim_register
//! ```

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use heist::net::{TcpListener, TcpStream};
use heist::sim::{self, Link, Sim, compute};
use heist::time::{Duration, sleep};

const REPLICAS: [&str; 3] = ["ada", "bea", "cleo"];
const WRITES: u64 = 6;
/// How long a replica takes to append to its log.
const APPEND: Duration = Duration::from_millis(2);

/// What differs between two runs of the same seed.
#[derive(Clone, Copy)]
struct Setting {
    compares_too_early: bool,
    is_partitioned: bool,
    workers: usize,
}

/// Stores a version that is newer than the present one.
fn store(newest: &AtomicU64, version: u64, compares_too_early: bool) {
    if compares_too_early {
        if version > newest.load(Ordering::Acquire) {
            compute(APPEND);
            newest.store(version, Ordering::Release);
        }
    } else {
        compute(APPEND);
        newest.fetch_max(version, Ordering::AcqRel);
    }
}

/// Accepts connections. Each carries versions, and gets each back when it is stored.
async fn replica(newest: Arc<AtomicU64>, compares_too_early: bool) {
    let listener = TcpListener::bind("0.0.0.0:80").await.expect("the port is free");
    while let Ok((mut stream, _)) = listener.accept().await {
        let newest = Arc::clone(&newest);
        drop(heist::spawn(async move {
            let mut version = [0; 8];
            while stream.read_exact(&mut version).await.is_ok() {
                store(&newest, u64::from_le_bytes(version), compares_too_early);
                if stream.write_all(&version).await.is_err() {
                    break;
                }
            }
        }));
    }
}

async fn connect(host: &str) -> TcpStream {
    loop {
        if let Ok(stream) = TcpStream::connect((host, 80)).await {
            return stream;
        }
    }
}

/// Sends a version, and waits until it is stored.
async fn write(mut stream: TcpStream, version: u64) -> std::io::Result<()> {
    stream.write_all(&version.to_le_bytes()).await?;
    stream.read_exact(&mut [0; 8]).await?;
    Ok(())
}

/// Writes all versions, each over connections of its own. Returns when all replicas have all.
async fn write_all(is_partitioned: bool) {
    let mut connections = Vec::new();
    for _ in 0..WRITES * REPLICAS.len() as u64 {
        connections.push(connect(REPLICAS[connections.len() % REPLICAS.len()]).await);
    }
    if is_partitioned {
        sim::partition("main", "cleo");
    }
    let mut late = Vec::new();
    for version in 1..=WRITES {
        let rest = connections.split_off(REPLICAS.len());
        let mut writes: FuturesUnordered<_> =
            connections.into_iter().map(|stream| heist::spawn(write(stream, version))).collect();
        connections = rest;
        for _ in 0..2 {
            writes.next().await.expect("three writes").expect("no task panics").expect("no connection fails");
        }
        late.push(writes);
        sleep(Duration::from_millis(20)).await;
    }
    sim::heal("main", "cleo");
    for mut writes in late {
        while let Some(written) = writes.next().await {
            written.expect("no task panics").expect("no connection fails");
        }
    }
}

/// Runs one seed. Returns whether each replica has the newest version.
fn keeps_the_newest(seed: u64, setting: Setting) -> bool {
    let newest: [Arc<AtomicU64>; 3] = Default::default();
    let link = Link::new().latency(Duration::from_micros(200)..=Duration::from_millis(2));
    let mut sim = Sim::new(seed).workers(setting.workers).link(link);
    for (name, newest) in REPLICAS.into_iter().zip(&newest) {
        let newest = Arc::clone(newest);
        sim = sim.host(name, move || replica(Arc::clone(&newest), setting.compares_too_early));
    }
    sim.run(write_all(setting.is_partitioned));
    newest.iter().all(|newest| newest.load(Ordering::Acquire) == WRITES)
}

/// Counts the failing seeds of a setting, and prints them in a line. Returns their number.
fn count_failures(seeds: u64, name: &str, setting: Setting) -> usize {
    let begun = std::time::Instant::now();
    let fails = |seed: &u64| !catch_unwind(AssertUnwindSafe(|| keeps_the_newest(*seed, setting))).unwrap_or(false);
    let failing: Vec<u64> = (0..seeds).filter(fails).collect();
    let first = failing.first().map_or(String::from("none"), |seed| format!("the first is {seed}"));
    println!("{name}: {} of {seeds} seeds fail, {first} ({:.1} s)", failing.len(), begun.elapsed().as_secs_f64());
    failing.len()
}

fn main() -> ExitCode {
    let seeds = match env::args().nth(1).map(|text| text.parse()) {
        None => 1000,
        Some(Ok(seeds)) => seeds,
        Some(Err(_)) => {
            eprintln!("usage: sim_register [SEEDS]");
            return ExitCode::from(2);
        }
    };
    let broken = Setting { compares_too_early: true, is_partitioned: true, workers: 2 };
    let found = count_failures(seeds, "broken, partition, two workers", broken);
    let elsewhere = [
        count_failures(seeds, "broken, partition, one worker", Setting { workers: 1, ..broken }),
        count_failures(seeds, "broken, no partition, two workers", Setting { is_partitioned: false, ..broken }),
        count_failures(seeds, "mended, partition, two workers", Setting { compares_too_early: false, ..broken }),
    ];
    if found > 0 && elsewhere == [0, 0, 0] { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
