//! One of the parts of the global queue.

use super::Chain;
use crate::cell::{Header, Runnable};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{CachePadded, Mutex};

/// A locked FIFO of runnables. See [the queues' page](super).
///
/// The length keeps to a cache line of its own, and so does what is under the lock: lanes lie side by side.
#[derive(Debug)]
pub(crate) struct Lane {
    line: Mutex<Line>,
    /// The chain's length, written under the lock. A worker that reads zero need not take it.
    len: CachePadded<AtomicUsize>,
}

#[derive(Debug)]
struct Line {
    chain: Chain,
    closed: bool,
    /// How many tasks have come from threads without a seat. Counted here, where the lock is held anyway.
    outsiders: u64,
}

impl Lane {
    pub(crate) fn new() -> Self {
        let line = Line { chain: Chain::new(), closed: false, outsiders: 0 };
        Lane { line: Mutex::new(line), len: CachePadded::new(AtomicUsize::new(0)) }
    }

    /// How many runnables wait. Exact only for whoever has just pushed, or has made the last handshake of the idle protocol.
    pub(crate) fn len(&self) -> usize {
        // Ordering: Relaxed — whoever must not miss a push reads this after a read-modify-write of the idle word, which the
        // pusher does after its store; else it is a hint.
        self.len.load(Ordering::Relaxed)
    }

    /// Queues a new task.
    ///
    /// # Errors
    ///
    /// The task, if the queue is closed.
    pub(crate) fn push_new(&self, runnable: Runnable) -> Result<(), Runnable> {
        runnable.set_queue_next(None);
        let mut line = self.line.lock();
        if line.closed {
            return Err(runnable);
        }
        line.outsiders += 1;
        line.chain.push(runnable);
        self.publish(&line);
        Ok(())
    }

    /// Queues a task that was woken. Never refused: a woken task is polled, or dropped by a worker.
    pub(crate) fn push_woken(&self, runnable: Runnable) {
        let mut line = self.line.lock();
        line.outsiders += 1;
        line.chain.push(runnable);
        self.publish(&line);
    }

    /// How many tasks have been queued by the two above.
    pub(crate) fn outsiders(&self) -> u64 {
        self.line.lock().outsiders
    }

    /// Queues a chain of tasks that were queued elsewhere.
    pub(crate) fn push_chain(&self, chain: Chain) {
        let mut line = self.line.lock();
        line.chain.append(chain);
        self.publish(&line);
    }

    /// Takes the first `count`, or all if there are fewer.
    pub(crate) fn take(&self, count: usize) -> Chain {
        if self.len() == 0 {
            return Chain::new();
        }
        let mut line = self.line.lock();
        let front = line.chain.split(count);
        self.publish(&line);
        front
    }

    /// Shows every task that waits here, under the lock: no user code runs in `see`.
    pub(super) fn each(&self, see: impl FnMut(&Header)) {
        self.line.lock().chain.each(see);
    }

    /// Refuses new tasks from now on.
    pub(crate) fn close(&self) {
        self.line.lock().closed = true;
    }

    fn publish(&self, line: &Line) {
        // Ordering: Relaxed — see `len`; the runnables themselves are published by the lock.
        self.len.store(line.chain.len(), Ordering::Relaxed);
    }
}
