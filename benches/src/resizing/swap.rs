//! Resizes a runtime that cannot be resized: a new one takes its place. The old one is kept until
//! its last task has ended.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use tokio::runtime::{Builder, Runtime};

/// The current runtime, and a thread that waits for the old ones.
pub struct Swap {
    current: Mutex<Generation>,
    old: mpsc::Sender<Generation>,
    threads: Arc<AtomicUsize>,
}

struct Generation {
    runtime: Runtime,
    workers: usize,
    /// The tasks hold clones, which tell whether one of them is alive.
    alive: Arc<()>,
}

impl Generation {
    fn new(workers: usize, threads: &AtomicUsize) -> Self {
        threads.fetch_add(workers, Ordering::Relaxed);
        let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build();
        Generation { runtime: runtime.expect("the runtime could not be built"), workers, alive: Arc::new(()) }
    }
}

impl Swap {
    pub fn new(workers: usize) -> Self {
        let (old, to_end) = mpsc::channel();
        let threads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&threads);
        thread::spawn(move || shut_down_old(&to_end, &counted));
        Swap { current: Mutex::new(Generation::new(workers, &threads)), old, threads }
    }

    /// Spawns under the lock, so that the thread that ends old runtimes misses no task.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let current = self.current.lock().expect("a sound lock");
        let alive = Arc::clone(&current.alive);
        current.runtime.spawn(async move {
            future.await;
            drop(alive);
        });
    }

    pub fn replace(&self, workers: usize) {
        let next = Generation::new(workers, &self.threads);
        let old = std::mem::replace(&mut *self.current.lock().expect("a sound lock"), next);
        self.old.send(old).expect("the thread of the old runtimes is gone");
    }

    pub fn threads(&self) -> usize {
        self.threads.load(Ordering::Relaxed)
    }
}

/// Shuts each old runtime down when its last task has ended.
fn shut_down_old(to_end: &mpsc::Receiver<Generation>, threads: &AtomicUsize) {
    let mut kept: Vec<Generation> = Vec::new();
    loop {
        let received = to_end.recv_timeout(std::time::Duration::from_millis(1));
        match received {
            Ok(old) => kept.push(old),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
        let (ended, alive) = kept.into_iter().partition(|old| Arc::strong_count(&old.alive) == 1);
        kept = alive;
        let ended: Vec<Generation> = ended;
        for old in ended {
            threads.fetch_sub(old.workers, Ordering::Relaxed);
            old.runtime.shutdown_background();
        }
    }
}
