//! The workloads of the simulations.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use heist::sim::compute;
use heist::time::{Instant, sleep, sleep_until};

use crate::scaling::measure::{Figures, Snapshot};

/// A workload.
#[derive(Clone, Copy)]
pub struct Load {
    pub id: &'static str,
    pub title: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    FanOut,
    PingPong,
    /// The part of the workers' time that the requests need.
    Requests(f64),
    Bursts,
}

pub const LOADS: [Load; 5] = [
    Load { id: "fan-out", title: "fan-out: one task spawns 2000 tasks of 10–30 µs", kind: Kind::FanOut },
    Load { id: "ping-pong", title: "ping-pong: two pairs per worker, 1 µs per message", kind: Kind::PingPong },
    Load { id: "requests-30", title: "requests, 30 % of the workers' time", kind: Kind::Requests(0.3) },
    Load { id: "requests-80", title: "requests, 80 % of the workers' time", kind: Kind::Requests(0.8) },
    Load { id: "bursts", title: "bursts of 8 tasks per worker from outside, 50 %", kind: Kind::Bursts },
];

/// The virtual time of a spawn, for the task that spawns.
const SPAWN: Duration = Duration::from_nanos(150);

/// About how many operations a simulation has. With more workers there are more, so that a run does
/// not become too short.
fn operations_for(workers: usize) -> usize {
    3_000 + 60 * workers
}

/// The mean time of a request, in nanoseconds.
const REQUEST: f64 = 40_000.0;

/// A future that returns the figures of a workload.
type Running = Pin<Box<dyn Future<Output = Figures> + Send>>;

impl Load {
    /// Returns the workload for so many workers, as a future for the simulation.
    pub fn run(self, workers: usize, seed: u64) -> Running {
        let shared = Arc::new(Tally { seed, ..Tally::default() });
        match self.kind {
            Kind::FanOut => Box::pin(fan_out(shared)),
            Kind::PingPong => Box::pin(ping_pong(shared, workers)),
            Kind::Requests(part) => Box::pin(requests(shared, workers, part)),
            Kind::Bursts => Box::pin(bursts(shared, workers)),
        }
    }
}

/// What the tasks of a workload share.
#[derive(Default)]
struct Tally {
    seed: u64,
    operations: AtomicU64,
    /// In nanoseconds.
    computed: AtomicU64,
}

impl Tally {
    /// Computes for a time between the bounds, in µs.
    fn compute(&self, random: &mut Random, bounds: (u64, u64)) {
        let nanos = random.between(bounds.0 * 1_000, bounds.1 * 1_000);
        self.computed.fetch_add(nanos, Ordering::Relaxed);
        compute(Duration::from_nanos(nanos));
    }

    fn complete(&self) -> u64 {
        self.operations.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn random(&self, task: u64) -> Random {
        Random(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ task.wrapping_mul(0xd1b5_4a32_d192_ed03) ^ 1)
    }

    fn computed(&self) -> Duration {
        Duration::from_nanos(self.computed.load(Ordering::Relaxed))
    }
}

/// A generator of random numbers, by splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    /// Returns a time of an exponential distribution.
    fn exponential(&mut self, mean_nanos: f64) -> Duration {
        let part = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        Duration::from_nanos((-(1.0 - part).ln() * mean_nanos) as u64)
    }
}

/// Calls the last of so many operations.
struct Latch {
    left: AtomicU64,
    done: std::sync::Mutex<Option<oneshot::Sender<()>>>,
}

impl Latch {
    fn new(count: u64) -> (Arc<Latch>, oneshot::Receiver<()>) {
        let (done, all_done) = oneshot::channel();
        (Arc::new(Latch { left: AtomicU64::new(count), done: std::sync::Mutex::new(Some(done)) }), all_done)
    }

    fn count_down(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let done = self.done.lock().expect("no holder panics").take();
            let _ = done.expect("this is the last operation").send(());
        }
    }
}

async fn fan_out(tally: Arc<Tally>) -> Figures {
    const TASKS: u64 = 2_000;
    const ROUNDS: u64 = 4;
    let begin = Snapshot::now();
    let shared = Arc::clone(&tally);
    let spawner = heist::spawn(async move {
        for round in 0..ROUNDS {
            let (latch, all_done) = Latch::new(TASKS);
            for task in 0..TASKS {
                compute(SPAWN);
                let (latch, tally) = (Arc::clone(&latch), Arc::clone(&shared));
                heist::spawn(async move {
                    tally.compute(&mut tally.random(round * TASKS + task), (10, 30));
                    tally.complete();
                    latch.count_down();
                });
            }
            all_done.await.expect("every task counts down");
            // All workers run dry between two rounds.
            sleep(Duration::from_micros(300)).await;
        }
    });
    spawner.await.expect("the spawner does not panic");
    begin.figures(tally.operations.load(Ordering::Relaxed), tally.computed())
}

async fn ping_pong(tally: Arc<Tally>, workers: usize) -> Figures {
    let pairs = 2 * workers;
    let messages = (4 * operations_for(workers) / pairs) as u64;
    let begin = Snapshot::now();
    let (latch, all_done) = Latch::new(pairs as u64);
    for pair in 0..pairs as u64 {
        compute(SPAWN);
        let (ping, mut pings) = mpsc::unbounded();
        let (pong, mut pongs) = mpsc::unbounded();
        let shared = Arc::clone(&tally);
        heist::spawn(async move {
            let mut random = shared.random(2 * pair);
            while pings.next().await.is_some() {
                shared.compute(&mut random, (1, 1));
                shared.complete();
                let _ = pong.unbounded_send(());
            }
        });
        let (shared, latch) = (Arc::clone(&tally), Arc::clone(&latch));
        heist::spawn(async move {
            let mut random = shared.random(2 * pair + 1);
            for _ in 0..messages / 2 {
                let _ = ping.unbounded_send(());
                pongs.next().await;
                shared.compute(&mut random, (1, 1));
                shared.complete();
            }
            latch.count_down();
        });
    }
    all_done.await.expect("every pair counts down");
    begin.figures(tally.operations.load(Ordering::Relaxed), tally.computed())
}

/// Sixteen connections per worker. Each thinks, and then makes a request. Half of a request is
/// computed by the connection's task, and the other half by a second task that it calls.
async fn requests(tally: Arc<Tally>, workers: usize, part: f64) -> Figures {
    const PER_WORKER: usize = 16;
    let think = PER_WORKER as f64 * REQUEST / part - REQUEST;
    for connection in 0..(PER_WORKER * workers) as u64 {
        compute(SPAWN);
        let (call, mut calls) = mpsc::unbounded::<oneshot::Sender<()>>();
        let shared = Arc::clone(&tally);
        heist::spawn(async move {
            let mut random = shared.random(2 * connection);
            while let Some(answer) = calls.next().await {
                shared.compute(&mut random, (10, 30));
                let _ = answer.send(());
            }
        });
        let shared = Arc::clone(&tally);
        heist::spawn(async move {
            let mut random = shared.random(2 * connection + 1);
            loop {
                sleep(random.exponential(think)).await;
                shared.compute(&mut random, (5, 15));
                let (answer, answered) = oneshot::channel();
                let _ = call.unbounded_send(answer);
                let _ = answered.await;
                shared.compute(&mut random, (5, 15));
                shared.complete();
            }
        });
    }
    sleep(Duration::from_nanos(3 * think as u64)).await;
    let begin = Snapshot::now();
    let (operations, computed) = (tally.operations.load(Ordering::Relaxed), tally.computed());
    let window = operations_for(workers) as f64 * REQUEST / (part * workers as f64);
    sleep(Duration::from_nanos(window as u64)).await;
    begin.figures(tally.operations.load(Ordering::Relaxed) - operations, tally.computed() - computed)
}

/// Threads outside of the runtime spawn a burst at the same times.
async fn bursts(tally: Arc<Tally>, workers: usize) -> Figures {
    const PER_WORKER: usize = 8;
    const WORKERS_PER_THREAD: usize = 16;
    let period = Duration::from_nanos((PER_WORKER as f64 * REQUEST / 0.5) as u64);
    let count = (operations_for(workers) / (PER_WORKER * workers)).max(6) as u64;
    let threads = workers.div_ceil(WORKERS_PER_THREAD);
    let each = (PER_WORKER * workers / threads) as u64;
    let (latch, all_done) = Latch::new(count * each * threads as u64);
    // The threads start one after the other, before the first burst.
    let first = Instant::now() + Duration::from_millis(5);
    let handle = heist::runtime::Handle::current();
    for thread in 0..threads as u64 {
        let (tally, latch, handle) = (Arc::clone(&tally), Arc::clone(&latch), handle.clone());
        heist::task::spawn_blocking(move || {
            for burst in 0..count {
                let at = first + period * burst as u32;
                compute(at.saturating_duration_since(Instant::now()));
                for task in 0..each {
                    compute(SPAWN);
                    let (tally, latch) = (Arc::clone(&tally), Arc::clone(&latch));
                    let number = (burst * threads as u64 + thread) * each + task;
                    handle.spawn(async move {
                        tally.compute(&mut tally.random(number), (20, 60));
                        tally.complete();
                        latch.count_down();
                    });
                }
            }
        });
    }
    sleep_until(first).await;
    let begin = Snapshot::now();
    all_done.await.expect("every task counts down");
    begin.figures(tally.operations.load(Ordering::Relaxed), tally.computed())
}
