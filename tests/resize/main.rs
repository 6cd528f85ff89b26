//! Workers start and retire while the runtime works. A lost task or wake-up is a hang: no test has
//! a time limit. The watchdog might hide a hang, and is off.

#[path = "../support/kit.rs"]
mod kit;

mod end;
mod grow;
mod hooks;
mod orders;
mod refusals;
mod shrink;
mod steps;
mod stuck;
mod timers;

use std::future::Future;
use std::sync::{Arc, Barrier};
use std::thread;

use heist::runtime::{Builder, Resized, Runtime};
use kit::Count;

pub(crate) fn builder(count: usize) -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(count).max_worker_threads(16).watchdog(false).enable_all();
    builder
}

pub(crate) fn workers(count: usize) -> Runtime {
    builder(count).build().unwrap()
}

/// Spawns one task on each of `count` workers. Each runs `task` once all of them have begun. They
/// are spawned one after the other: a blocked worker might have taken two of them, and the second
/// would wait for the watchdog.
pub(crate) fn one_each<F: Future<Output: Send> + Send + 'static>(
    runtime: &Runtime,
    count: usize,
    task: impl Fn(usize) -> F,
) -> Vec<heist::task::JoinHandle<F::Output>> {
    let (barrier, begun) = (Arc::new(Barrier::new(count)), Count::new());
    let spawn = |nth| {
        let (barrier, begins, task) = (Arc::clone(&barrier), begun.clone(), task(nth));
        let handle = runtime.spawn(async move {
            begins.add();
            barrier.wait();
            task.await
        });
        until(|| begun.get() > nth);
        handle
    };
    (0..count).map(spawn).collect()
}

/// So many polls that last until all of them have begun: they need as many workers.
pub(crate) fn all_at_once(runtime: &Runtime, count: usize) {
    one_each(runtime, count, |_| async {}).into_iter().for_each(|task| runtime.block_on(task).unwrap());
}

/// Waits until `is` holds.
pub(crate) fn until(is: impl Fn() -> bool) {
    while !is() {
        thread::yield_now();
    }
}

pub(crate) fn parts(resized: Resized) -> (usize, usize, u64) {
    (resized.from, resized.to, resized.version)
}
