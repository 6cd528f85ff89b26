//! A worker that is stalled in a poll: others take over what it had, and the task is reported. The
//! tests wait for events without a time limit; if one does not happen, the test hangs.

#[path = "../support/kit.rs"]
mod kit;

mod dumps;
mod random;
mod reports;
mod rescue;
mod spares;
mod warnings;

use std::sync::mpsc;
use std::thread;

use heist::runtime::{Builder, Runtime, StallReport};
use heist::task::{Id, JoinHandle};
use kit::Door;

pub(crate) fn builder(workers: usize) -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).enable_all();
    builder
}

/// Without spares, a worker has to do each rescue.
pub(crate) fn without_spares(workers: usize) -> Runtime {
    builder(workers).max_spare_workers(0).build().unwrap()
}

/// Waits until `is` holds.
pub(crate) fn until(is: impl Fn() -> bool) {
    while !is() {
        thread::yield_now();
    }
}

/// A task that blocks its worker until the door is opened. Returns once it does.
pub(crate) fn block(runtime: &Runtime, door: &Door) -> JoinHandle<()> {
    let (begun, door) = (Door::new(), door.clone());
    let begins = begun.clone();
    let handle = runtime.spawn(async move {
        begins.open();
        door.wait();
    });
    begun.wait();
    handle
}

/// Blocks every worker in a poll.
pub(crate) fn block_all(runtime: &Runtime, workers: usize, door: &Door) -> Vec<JoinHandle<()>> {
    (0..workers).map(|_| block(runtime, door)).collect()
}

/// The reports of a runtime.
pub(crate) struct Reports(mpsc::Receiver<StallReport>);

pub(crate) fn reports(builder: &mut Builder) -> Reports {
    let (sender, received) = mpsc::channel();
    builder.on_stall(move |report| drop(sender.send(report.clone())));
    Reports(received)
}

impl Reports {
    /// Returns the next report of `task`, or of no task. With other tests on the same processors,
    /// any worker may lose its processor for a while. Reports of other tasks are skipped.
    pub(crate) fn of(&self, task: Option<Id>) -> StallReport {
        self.0.iter().find(|report| report.task == task).expect("the runtime is there")
    }

    /// Returns the number of unread reports of `task`.
    pub(crate) fn rest(&self, task: Option<Id>) -> usize {
        self.0.try_iter().filter(|report| report.task == task).count()
    }
}
