//! Runs work that blocks, or computes for long, beside tasks that must not wait for it.
//!
//! ```text
//! cargo run --release --example blocking               # checksums its own file, 8 times
//! cargo run --release --example blocking -- FILE...    # or these files
//! ```
//!
//! Reading a file blocks, and a checksum computes: on a worker, either would keep sockets and
//! timers waiting. `spawn_blocking` moves both to the blocking pool. That pool is wide (512
//! threads), because most jobs that block only wait. Jobs that compute should be limited to the
//! number of cores, and the semaphore does that. Meanwhile a task ticks on the runtime's one
//! worker.
//!
//! Printing blocks too, if the reader of the output is slow. It borrows local data, so it runs in
//! place, in `block_in_place`. The ticking task goes on with another worker.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use heist::runtime::Builder;
use heist::task::{JoinHandle, block_in_place, spawn_blocking};
use tokio::sync::Semaphore;

fn main() -> ExitCode {
    let mut paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if paths.iter().any(|path| path.to_string_lossy().starts_with('-')) {
        eprintln!("usage: blocking [FILE...]");
        return ExitCode::from(2);
    }
    if paths.is_empty() {
        paths = vec![std::env::current_exe().expect("a program that runs has a file"); 8];
    }
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    // In a task: `block_in_place` hands off a worker's tasks only if it runs on a worker.
    match runtime.and_then(|runtime| runtime.block_on(async { heist::spawn(run(paths)).await? })) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("blocking: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(paths: Vec<PathBuf>) -> io::Result<()> {
    let ticks = Arc::new(AtomicU64::new(0));
    let ticking = heist::spawn(tick(Arc::clone(&ticks)));
    let began = Instant::now();

    let files = paths.len();
    let permits = Arc::new(Semaphore::new(std::thread::available_parallelism()?.get()));
    let mut jobs: Vec<JoinHandle<io::Result<(PathBuf, u64)>>> = Vec::new();
    for path in paths {
        // A task without a permit waits here, as a future. It takes no thread, and no job queues up
        // in the blocking pool.
        let permit = Arc::clone(&permits).acquire_owned().await.expect("the semaphore is never closed");
        jobs.push(spawn_blocking(move || {
            let _permit = permit; // held until the job is done, even if the waiting task is cancelled
            let sum = sum(&path)?;
            Ok((path, sum))
        }));
    }
    let mut failed = 0;
    for job in jobs {
        // The outer `Err` is a job that panicked or was cancelled; the inner one is the job's own.
        let outcome = job.await?;
        block_in_place(|| match &outcome {
            Ok((path, sum)) => println!("{sum:016x}  {}", path.display()),
            Err(error) => {
                eprintln!("{error}");
                failed += 1;
            }
        });
    }
    ticking.abort();
    println!("{files} files in {:.1?}, and {} ticks meanwhile", began.elapsed(), ticks.load(Relaxed));
    if failed > 0 { Err(io::Error::other(format!("{failed} files could not be read"))) } else { Ok(()) }
}

/// Stands for the tasks that must not be kept waiting.
async fn tick(ticks: Arc<AtomicU64>) {
    let mut interval = heist::time::interval(Duration::from_millis(1));
    loop {
        interval.tick().await;
        ticks.fetch_add(1, Relaxed);
    }
}

/// Returns the FNV-1a hash of the whole file, read 64 KiB at a time. It blocks, and computes.
fn sum(path: &Path) -> io::Result<u64> {
    let name = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut file = File::open(path).map_err(name)?;
    let (mut buf, mut sum) = (vec![0; 64 * 1024], 0xcbf2_9ce4_8422_2325_u64);
    loop {
        match file.read(&mut buf).map_err(name)? {
            0 => return Ok(sum),
            count => {
                sum = buf[..count].iter().fold(sum, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
            }
        }
    }
}
