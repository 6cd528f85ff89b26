//! Measures the time of a resize, and the latencies of clients that are served meanwhile.

mod service;
mod swap;
mod traffic;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use service::{Fixed, Resized, Service, Swapped};
pub use traffic::{Load, Report, measure};

use crate::stats::Spread;

/// The sizes between which the benchmark alternates.
pub const SIZES: [usize; 2] = [2, 8];

/// Returns the times of a resize of an idle runtime, in µs, up and down in turn.
pub fn resize_idle(times: usize) -> Spread {
    let runtime = runtime(SIZES[0]);
    // Warms up: the seats exist, and the allocator has the memory that threads need.
    resizes(&runtime, 20);
    Spread::of(&resizes(&runtime, times)).expect("at least one")
}

/// Returns the same while 64 tasks are always ready, each polled for 20 µs at a time.
pub fn resize_saturated(times: usize) -> Spread {
    let runtime = runtime(SIZES[0]);
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..64 {
        let stop = stop.clone();
        runtime.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_micros(20) {
                    black_box(());
                }
                heist::task::yield_now().await;
            }
        });
    }
    resizes(&runtime, 20);
    let spread = Spread::of(&resizes(&runtime, times)).expect("at least one");
    stop.store(true, Ordering::Relaxed);
    spread
}

fn resizes(runtime: &heist::runtime::Runtime, times: usize) -> Vec<f64> {
    (0..times)
        .map(|n| {
            let begun = Instant::now();
            let size = SIZES[(n + 1) % 2];
            runtime.resize(size).wait().expect("the resize failed");
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect()
}

fn runtime(workers: usize) -> heist::runtime::Runtime {
    let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build();
    runtime.expect("the runtime could not be built")
}
