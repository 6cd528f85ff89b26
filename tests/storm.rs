//! A storm: the worker set changes all the time, from two threads and from a task, while tasks are
//! spawned from everywhere, sleep, send each other bytes, panic, and are aborted. Every task ends
//! exactly once, no timer is early, no echo is lost, and nobody hangs.
//!
//! Half a second for each limit of seats, or twenty seconds if HEIST_STRESS is set. The watchdog,
//! which might hide a lost wake-up, is off.

#[path = "support/kit.rs"]
mod kit;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Handle, Runtime};
use heist::task::JoinHandle;
use heist::time::{Duration, Instant, sleep, timeout};

/// What became of the tasks, by count: of each kind as many as its handle says.
#[derive(Default)]
struct Ledger {
    spawned: AtomicU64,
    /// Drops of the token that every task owns.
    ended: AtomicU64,
    completed: AtomicU64,
    /// Panics that were on their way.
    panicking: AtomicU64,
    echoes: AtomicU64,
    early: AtomicU64,
    handles: Mutex<Vec<JoinHandle<()>>>,
    over: AtomicBool,
}

/// Owned by a task from its spawn to its end.
struct Token(Arc<Ledger>);

impl Token {
    fn new(ledger: &Arc<Ledger>) -> Token {
        ledger.spawned.fetch_add(1, Ordering::Relaxed);
        Token(Arc::clone(ledger))
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// A generator of its own for each thread and task.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A task of the storm; `depth` more generations may follow it.
fn launch(handle: &Handle, ledger: &Arc<Ledger>, seed: u64, depth: u32) {
    let token = Token::new(ledger);
    let (inner, book) = (handle.clone(), Arc::clone(ledger));
    let task = handle.spawn(async move {
        let (token, mut dice) = (token, Dice(seed));
        for _ in 0..dice.below(4) {
            match dice.below(5) {
                0 => heist::task::yield_now().await,
                1 => {
                    let (wait, begun) = (Duration::from_micros(dice.below(3_000)), Instant::now());
                    sleep(wait).await;
                    book.early.fetch_add(u64::from(begun.elapsed() < wait), Ordering::Relaxed);
                }
                2 => {
                    // Armed, and cancelled.
                    let _ = timeout(Duration::from_secs(3600), heist::task::yield_now()).await;
                }
                3 if depth > 0 => launch(&inner, &book, dice.below(u64::MAX >> 33), depth - 1),
                _ => {
                    let nested = heist::spawn(async { heist::task::yield_now().await });
                    nested.await.expect("nobody aborts it");
                }
            }
        }
        if dice.below(100) == 0 {
            book.panicking.fetch_add(1, Ordering::Relaxed);
            drop(token);
            std::panic::resume_unwind(Box::new("a task's panic"));
        }
        book.completed.fetch_add(1, Ordering::Relaxed);
    });
    if Dice(seed ^ 77).below(100) == 0 {
        task.abort();
    }
    ledger.handles.lock().unwrap().push(task);
}

/// One echo connection, client and server, until the storm is over.
async fn echo(listener: &TcpListener, ledger: &Arc<Ledger>, seed: u64) -> [JoinHandle<()>; 2] {
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let mut server = listener.accept().await.unwrap().0;
    let book = Arc::clone(ledger);
    let client = heist::spawn(async move {
        let mut dice = Dice(seed);
        while !book.over.load(Ordering::Relaxed) {
            let sent = dice.below(1 << 30).to_le_bytes();
            client.write_all(&sent).await.unwrap();
            let mut answer = [0; 8];
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, sent);
            book.echoes.fetch_add(1, Ordering::Relaxed);
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
    let ledger = Arc::new(Ledger::default());
    let echoes: Vec<_> = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut all = Vec::new();
        for seed in 0..8 {
            all.extend(echo(&listener, &ledger, seed).await);
        }
        all
    });
    // Two threads and a task change the size every three milliseconds or so.
    let size = move |dice: &mut Dice| 1 + dice.below(most as u64) as usize;
    let resizers: Vec<_> = [11, 12]
        .map(|seed| {
            let (handle, book) = (runtime.handle().clone(), Arc::clone(&ledger));
            thread::spawn(move || {
                let mut dice = Dice(seed);
                while !book.over.load(Ordering::Relaxed) {
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
    let book = Arc::clone(&ledger);
    let resizer = runtime.spawn(async move {
        let mut dice = Dice(13);
        while !book.over.load(Ordering::Relaxed) {
            Handle::current().resize(size(&mut dice)).await.expect("no resize is refused");
            sleep(Duration::from_millis(3)).await;
        }
    });
    let spawners: Vec<_> = [21, 22]
        .map(|seed| {
            let (handle, book) = (runtime.handle().clone(), Arc::clone(&ledger));
            thread::spawn(move || {
                let mut dice = Dice(seed);
                while !book.over.load(Ordering::Relaxed) {
                    for _ in 0..dice.below(50) {
                        launch(&handle, &book, dice.below(u64::MAX >> 33), 3);
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
        // Also bounds how far the spawners are ahead.
        join_all(&runtime, &ledger, &mut joined);
    }
    ledger.over.store(true, Ordering::Relaxed);
    spawners.into_iter().chain(resizers).for_each(|thread| thread.join().expect("a thread of the storm"));
    runtime.block_on(resizer).expect("the task that resizes");
    echoes.into_iter().for_each(|task| runtime.block_on(task).expect("an echo"));
    while !ledger.handles.lock().unwrap().is_empty() {
        join_all(&runtime, &ledger, &mut joined);
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let [completed, panicked, cancelled] = joined;
    let text = format!("{most} seats: {completed} completed, {panicked} panicked, {cancelled} cancelled");
    assert_eq!(completed, count(&ledger.completed), "{text}");
    assert_eq!(panicked, count(&ledger.panicking), "{text}");
    assert_eq!(completed + panicked + cancelled, count(&ledger.spawned), "{text}");
    assert_eq!(count(&ledger.ended), count(&ledger.spawned), "{text}");
    assert_eq!(count(&ledger.early), 0);
    assert!(completed > 100 && count(&ledger.echoes) > 10, "{text}");
    assert_eq!(runtime.resize(most).wait().unwrap().to, most);
    assert_eq!(runtime.worker_threads(), most);
    // A task is counted off right after whoever joins it has been woken.
    while runtime.metrics().num_alive_tasks() > 0 {
        thread::yield_now();
    }
}

/// Awaits all tasks that are known by now.
fn join_all(runtime: &Runtime, ledger: &Ledger, joined: &mut [u64; 3]) {
    let handles = std::mem::take(&mut *ledger.handles.lock().unwrap());
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
fn with_two_seats() {
    storm(2);
}

#[test]
fn with_four_seats() {
    storm(4);
}

#[test]
fn with_sixteen_seats() {
    storm(16);
}
