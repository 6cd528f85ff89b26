//! A service with a planted problem, whose flight recorder shows it.
//!
//! ```text
//! cargo run --release --example observing -- blocker trace.heist   # a poll that blocks
//! cargo run --release --example observing -- convoy trace.heist    # a lock that all need
//! cargo run --release --example observing -- herd trace.heist      # an event that wakes all
//! cargo run --release -p heist-trace -- summary trace.heist
//! cargo run --release -p heist-trace -- report trace.heist -o page.html
//! ```
//!
//! docs/observing.md walks from the symptom to the line, without looking at this file.

use std::collections::VecDeque;
use std::error::Error;
use std::future::poll_fn;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use async_lock::Mutex as AsyncMutex;
use heist::runtime::{Builder, Runtime};
use heist::task;
use heist::time::{interval, sleep};

/// How long a service runs, until the snapshot is taken.
const RUN: Duration = Duration::from_millis(500);

type AnyError = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let run = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["blocker", path] => observe(blocker, Path::new(path)),
        ["convoy", path] => observe(convoy, Path::new(path)),
        ["herd", path] => observe(herd, Path::new(path)),
        _ => {
            eprintln!("usage: observing blocker|convoy|herd FILE");
            return ExitCode::from(2);
        }
    };
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("observing: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a service, and saves what its recorder has seen.
fn observe(start: fn(&Runtime) -> Result<(), AnyError>, path: &Path) -> Result<(), AnyError> {
    let runtime = Builder::new_multi_thread()
        .name("observing")
        .worker_threads(2)
        .flight_recorder(4 << 20)
        .enable_all()
        .build()?;
    start(&runtime)?;
    runtime.block_on(async { sleep(RUN).await });
    runtime.handle().recorder().snapshot().save(path)?;
    println!("saved {}", path.display());
    Ok(())
}

/// Spawns a task with this name.
#[track_caller]
fn spawn(runtime: &Runtime, name: &str, future: impl Future<Output = ()> + Send + 'static) -> Result<(), AnyError> {
    drop(task::Builder::new().name(name).spawn_on(future, runtime.handle())?);
    Ok(())
}

/// Computes for so long.
fn compute(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// Handlers that answer each millisecond, and one that reads a file without `spawn_blocking`.
fn blocker(runtime: &Runtime) -> Result<(), AnyError> {
    for _ in 0..16 {
        spawn(runtime, "handler", async {
            let mut requests = interval(Duration::from_millis(1));
            loop {
                requests.tick().await;
                compute(Duration::from_micros(20));
            }
        })?;
    }
    spawn(runtime, "report", async {
        loop {
            sleep(Duration::from_millis(100)).await;
            // In place of a slow disk.
            std::thread::sleep(Duration::from_millis(30));
        }
    })
}

/// Sessions that hold one lock while they compute, so that only one of them makes progress.
fn convoy(runtime: &Runtime) -> Result<(), AnyError> {
    let table = Arc::new(AsyncMutex::new(0_u64));
    for _ in 0..32 {
        let table = Arc::clone(&table);
        spawn(runtime, "session", async move {
            loop {
                let mut entries = table.lock().await;
                *entries += 1;
                compute(Duration::from_micros(200));
                // The next holder is a task that waits already.
                task::yield_now().await;
                drop(entries);
                sleep(Duration::from_micros(500)).await;
            }
        })?;
    }
    Ok(())
}

/// A queue whose producer wakes all consumers for each item.
#[derive(Default)]
struct Herd {
    items: VecDeque<u64>,
    waiting: Vec<Waker>,
}

/// Consumers of one queue. Each item wakes all of them, and one of them gets it.
fn herd(runtime: &Runtime) -> Result<(), AnyError> {
    let herd = Arc::new(Mutex::new(Herd::default()));
    for _ in 0..400 {
        let herd = Arc::clone(&herd);
        spawn(runtime, "consumer", async move {
            loop {
                poll_fn(|cx| {
                    let mut herd = herd.lock().expect("no consumer panics");
                    if herd.items.pop_front().is_some() {
                        return Poll::Ready(());
                    }
                    herd.waiting.push(cx.waker().clone());
                    Poll::Pending
                })
                .await;
                compute(Duration::from_micros(10));
            }
        })?;
    }
    spawn(runtime, "producer", async move {
        let mut items = interval(Duration::from_millis(5));
        loop {
            items.tick().await;
            let waiting = {
                let mut herd = herd.lock().expect("no consumer panics");
                herd.items.push_back(1);
                std::mem::take(&mut herd.waiting)
            };
            waiting.into_iter().for_each(Waker::wake);
        }
    })
}
