//! Threads that offer tasks to a group with a limit on live tasks.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use crate::contender::Contender;
use crate::contenders::heist::Heist;

pub const LIMIT: usize = 1_000;
const THREADS: u64 = 8;

/// What came of the offered tasks.
pub struct Admitted {
    pub offered: u64,
    pub spawned: u64,
    pub ended: u64,
    /// The most tasks that lived at once.
    pub most_live: u64,
    /// Resident memory after a tenth of the tasks, and the most after that, in KiB.
    pub memory: [u64; 2],
    pub took: Duration,
}

/// Offers so many tasks. One in a hundred is cancelled while it waits.
pub fn measure(workers: usize, offered: u64) -> Admitted {
    let runtime = Heist::build(workers);
    let group = runtime.runtime().group("limited").max_tasks(LIMIT).build().expect("the name is free");
    let [live, most_live, ended, spawned, done] = std::array::from_fn(|_| Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let mut memory = [0; 2];
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (group, runtime) = (&group, runtime.runtime());
            let [live, most_live, ended, spawned, done] = [&live, &most_live, &ended, &spawned, &done].map(Arc::clone);
            scope.spawn(move || {
                for n in 0..offered / THREADS {
                    let [live, most_live, ended] = [&live, &most_live, &ended].map(Arc::clone);
                    let mut spawn = pin!(group.spawn_when_admitted(async move {
                        most_live.fetch_max(live.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        heist::task::yield_now().await;
                        live.fetch_sub(1, Ordering::SeqCst);
                        ended.fetch_add(1, Ordering::SeqCst);
                    }));
                    let is_spawned = if n % 100 == thread {
                        spawn.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
                    } else {
                        runtime.block_on(spawn).is_ok()
                    };
                    spawned.fetch_add(u64::from(is_spawned), Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        while done.load(Ordering::SeqCst) < offered / THREADS * THREADS {
            let resident = resident_kib();
            if done.load(Ordering::SeqCst) < offered / 10 {
                memory = [memory[0].max(resident), 0];
            } else {
                memory[1] = memory[1].max(resident);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let report = group.drain(Duration::from_secs(60)).wait();
    assert!(report.stragglers.is_empty(), "{report}");
    Admitted {
        offered,
        spawned: spawned.load(Ordering::SeqCst),
        ended: ended.load(Ordering::SeqCst),
        most_live: most_live.load(Ordering::SeqCst),
        memory,
        took: begun.elapsed(),
    }
}

/// Returns the resident memory of this process, in KiB, or zero where it cannot be read.
fn resident_kib() -> u64 {
    const PAGE_KIB: u64 = 4;
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    pages.and_then(|text| text.split(' ').nth(1)?.parse().ok()).map_or(0, |pages: u64| pages * PAGE_KIB)
}
