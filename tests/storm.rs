//! A stress test of resizes under load.
//!
//! Two threads and a task change the number of workers all the time. Meanwhile tasks are spawned
//! from everywhere, sleep, send each other bytes, panic, and are aborted. Every task ends exactly
//! once, no timer fires early, no echo is lost, and nothing hangs.
//!
//! It runs half a second for each limit of seats, or twenty seconds if HEIST_STRESS is set. The
//! watchdog is off, because it might hide a lost wake-up.

#[path = "support/kit.rs"]
mod kit;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Handle, Runtime};
use heist::task::JoinHandle;
use heist::time::{Duration, Instant, sleep, timeout};

/// Counts of what the tasks themselves have seen. They have to match the outcomes of the handles.
#[derive(Default)]
struct TaskCounts {
    spawned: AtomicU64,
    /// Drops of the tokens, of which every task owns one.
    ended: AtomicU64,
    completed: AtomicU64,
    /// Tasks that were about to panic.
    panicking: AtomicU64,
    echoes: AtomicU64,
    early: AtomicU64,
    handles: Mutex<Vec<JoinHandle<()>>>,
    over: AtomicBool,
}

impl TaskCounts {
    fn live(&self) -> u64 {
        // In this order, the difference cannot be negative.
        let ended = self.ended.load(Ordering::Acquire);
        self.spawned.load(Ordering::Relaxed) - ended
    }
}

/// Spawners pause at so many live tasks. Else they may outrun the workers without a bound, if these
/// are slow.
const MOST_LIVE: u64 = 10_000;

/// Owned by a task from its spawn to its end.
struct Token(Arc<TaskCounts>);

impl Token {
    fn new(counts: &Arc<TaskCounts>) -> Token {
        counts.spawned.fetch_add(1, Ordering::Relaxed);
        Token(Arc::clone(counts))
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Release);
    }
}

/// A random number generator. Each thread and task has its own.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Spawns a task of the storm, which may spawn `depth` more generations.
fn spawn_random(handle: &Handle, counts: &Arc<TaskCounts>, seed: u64, depth: u32) {
    let token = Token::new(counts);
    let (inner, task_counts) = (handle.clone(), Arc::clone(counts));
    let task = handle.spawn(async move {
        let (token, mut dice) = (token, Dice(seed));
        for _ in 0..dice.below(4) {
            match dice.below(5) {
                0 => heist::task::yield_now().await,
                1 => {
                    let (wait, begun) = (Duration::from_micros(dice.below(3_000)), Instant::now());
                    sleep(wait).await;
                    task_counts.early.fetch_add(u64::from(begun.elapsed() < wait), Ordering::Relaxed);
                }
                2 => {
                    // Arms a timer and cancels it.
                    let _ = timeout(Duration::from_secs(3600), heist::task::yield_now()).await;
                }
                3 if depth > 0 => spawn_random(&inner, &task_counts, dice.below(u64::MAX >> 33), depth - 1),
                _ => {
                    let nested = heist::spawn(async { heist::task::yield_now().await });
                    nested.await.expect("it is not aborted");
                }
            }
        }
        if dice.below(100) == 0 {
            task_counts.panicking.fetch_add(1, Ordering::Relaxed);
            drop(token);
            std::panic::resume_unwind(Box::new("a task's panic"));
        }
        task_counts.completed.fetch_add(1, Ordering::Relaxed);
    });
    if Dice(seed ^ 77).below(100) == 0 {
        task.abort();
    }
    counts.handles.lock().unwrap().push(task);
}

/// Spawns client and server of one echo connection, which lasts until the storm is over.
async fn spawn_echo(listener: &TcpListener, counts: &Arc<TaskCounts>, seed: u64) -> [JoinHandle<()>; 2] {
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let mut server = listener.accept().await.unwrap().0;
    let task_counts = Arc::clone(counts);
    let client = heist::spawn(async move {
        let mut dice = Dice(seed);
        while !task_counts.over.load(Ordering::Relaxed) {
            let sent = dice.below(1 << 30).to_le_bytes();
            client.write_all(&sent).await.unwrap();
            let mut answer = [0; 8];
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, sent);
            task_counts.echoes.fetch_add(1, Ordering::Relaxed);
        }
    });
    let server = heist::spawn(async move {
        let mut buffer = [0; 64];
        loop {
            match server.read(&mut buffer).await.unwrap() {
                0 => return,
                n => server.write_all(&buffer[..n]).await.unwrap(),
            }
        }
    });
    [client, server]
}

fn storm(most: usize) {
    let time =
        if std::env::var_os("HEIST_STRESS").is_some() { Duration::from_secs(20) } else { Duration::from_millis(500) };
    let runtime: Runtime = Builder::new_multi_thread()
        .worker_threads(most.div_ceil(2))
        .max_worker_threads(most)
        .watchdog(false)
        .enable_all()
        .build()
        .unwrap();
    let counts = Arc::new(TaskCounts::default());
    let echoes: Vec<_> = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut all = Vec::new();
        for seed in 0..8 {
            all.extend(spawn_echo(&listener, &counts, seed).await);
        }
        all
    });
    // Two threads and a task change the size every three milliseconds or so.
    let size = move |dice: &mut Dice| 1 + dice.below(most as u64) as usize;
    let resizers: Vec<_> = [11, 12]
        .map(|seed| {
            let (handle, task_counts) = (runtime.handle().clone(), Arc::clone(&counts));
            thread::spawn(move || {
                let mut dice = Dice(seed);
                while !task_counts.over.load(Ordering::Relaxed) {
                    let resize = handle.resize(size(&mut dice));
                    match dice.below(3) {
                        0 => drop(resize),
                        _ => drop(resize.wait().expect("no resize is refused")),
                    }
                    thread::sleep(Duration::from_millis(3));
                }
            })
        })
        .into();
    let task_counts = Arc::clone(&counts);
    let resizer = runtime.spawn(async move {
        let mut dice = Dice(13);
        while !task_counts.over.load(Ordering::Relaxed) {
            Handle::current().resize(size(&mut dice)).await.expect("no resize is refused");
            sleep(Duration::from_millis(3)).await;
        }
    });
    let spawners: Vec<_> = [21, 22]
        .map(|seed| {
            let (handle, task_counts) = (runtime.handle().clone(), Arc::clone(&counts));
            thread::spawn(move || {
                let mut dice = Dice(seed);
                while !task_counts.over.load(Ordering::Relaxed) {
                    let batch = if task_counts.live() < MOST_LIVE { dice.below(50) } else { 0 };
                    for _ in 0..batch {
                        spawn_random(&handle, &task_counts, dice.below(u64::MAX >> 33), 3);
                    }
                    thread::sleep(Duration::from_micros(dice.below(500)));
                }
            })
        })
        .into();
    let begun = Instant::now();
    let mut joined = [0_u64; 3];
    while begun.elapsed() < time {
        thread::sleep(Duration::from_millis(5));
        join_all(&runtime, &counts, &mut joined);
    }
    counts.over.store(true, Ordering::Relaxed);
    spawners.into_iter().chain(resizers).for_each(|thread| thread.join().expect("a thread of the storm"));
    runtime.block_on(resizer).expect("the task that resizes");
    echoes.into_iter().for_each(|task| runtime.block_on(task).expect("an echo"));
    while !counts.handles.lock().unwrap().is_empty() {
        join_all(&runtime, &counts, &mut joined);
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let [completed, panicked, cancelled] = joined;
    let text = format!("{most} seats: {completed} completed, {panicked} panicked, {cancelled} cancelled");
    assert_eq!(completed, count(&counts.completed), "{text}");
    assert_eq!(panicked, count(&counts.panicking), "{text}");
    assert_eq!(completed + panicked + cancelled, count(&counts.spawned), "{text}");
    assert_eq!(count(&counts.ended), count(&counts.spawned), "{text}");
    assert_eq!(count(&counts.early), 0);
    assert!(completed > 100 && count(&counts.echoes) > 10, "{text}");
    assert_eq!(runtime.resize(most).wait().unwrap().to, most);
    assert_eq!(runtime.worker_threads(), most);
    // The count of live tasks is lowered right after the joiner has been woken.
    while runtime.metrics().num_alive_tasks() > 0 {
        thread::yield_now();
    }
}

/// Awaits all tasks that have been spawned so far, and counts their outcomes.
fn join_all(runtime: &Runtime, counts: &TaskCounts, joined: &mut [u64; 3]) {
    let handles = std::mem::take(&mut *counts.handles.lock().unwrap());
    for handle in handles {
        let place = match runtime.block_on(handle) {
            Ok(()) => 0,
            Err(error) if error.is_panic() => 1,
            Err(_) => 2,
        };
        joined[place] += 1;
    }
}

#[test]
fn storm_with_two_seats_loses_nothing() {
    storm(2);
}

#[test]
fn storm_with_four_seats_loses_nothing() {
    storm(4);
}

#[test]
fn storm_with_sixteen_seats_loses_nothing() {
    storm(16);
}
