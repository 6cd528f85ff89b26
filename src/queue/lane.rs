//! One of the parts of the global queue.

use super::Chain;
use crate::metrics::counter::Counter;
use crate::raw_task::{Header, Runnable};
use crate::sync::{CachePadded, Mutex};

/// A locked FIFO of runnables. See [the queues' page](super).
///
/// Who pushes and who takes have a lock each, on cache lines of their own.
#[derive(Debug)]
pub(crate) struct Lane {
    tail: CachePadded<Tail>,
    head: CachePadded<Head>,
}

/// Where runnables are pushed.
#[derive(Debug)]
struct Tail {
    line: Mutex<Arrivals>,
    /// How many have been pushed so far, written under the lock.
    pushed: Counter,
}

/// Where they are taken.
#[derive(Debug)]
struct Head {
    /// Those that have been pushed before all that are at the tail. Locked before the tail.
    line: Mutex<Chain>,
    /// How many have been taken so far, written under the lock.
    taken: Counter,
}

#[derive(Debug)]
struct Arrivals {
    chain: Chain,
    closed: bool,
    /// How many tasks have come from threads without a seat. Counted here, where the lock is held
    /// anyway.
    outsiders: u64,
}

impl Lane {
    pub(crate) fn new() -> Self {
        let arrivals = Arrivals { chain: Chain::new(), closed: false, outsiders: 0 };
        Lane {
            tail: CachePadded::new(Tail { line: Mutex::new(arrivals), pushed: Counter::new() }),
            head: CachePadded::new(Head { line: Mutex::new(Chain::new()), taken: Counter::new() }),
        }
    }

    /// How many runnables wait. Exact only for whoever has just pushed, or has made the last
    /// handshake of the idle protocol.
    pub(crate) fn len(&self) -> usize {
        // The counters are Relaxed: whoever must not miss a push reads them after a
        // read-modify-write of the idle word, which the pusher does after its store; else this is a
        // hint. The runnables themselves are published by the locks. Read in either order: who
        // takes later ones has taken all those first that we know of.
        self.tail.pushed.get().saturating_sub(self.head.taken.get()) as usize
    }

    /// Queues a new task.
    ///
    /// # Errors
    ///
    /// The task, if the queue is closed.
    pub(crate) fn push_new(&self, runnable: Runnable) -> Result<(), Runnable> {
        runnable.set_queue_next(None);
        let mut line = self.tail.line.lock();
        if line.closed {
            return Err(runnable);
        }
        line.outsiders += 1;
        line.chain.push(runnable);
        self.tail.pushed.add(1);
        Ok(())
    }

    /// Queues a task that was woken. Never refused: a woken task is polled, or dropped by a worker.
    pub(crate) fn push_woken(&self, runnable: Runnable) {
        let mut line = self.tail.line.lock();
        line.outsiders += 1;
        line.chain.push(runnable);
        self.tail.pushed.add(1);
    }

    /// How many tasks have been queued by the two above.
    pub(crate) fn remote_pushes(&self) -> u64 {
        self.tail.line.lock().outsiders
    }

    /// Queues a chain of tasks that were queued elsewhere.
    pub(crate) fn push_chain(&self, chain: Chain) {
        let count = chain.len() as u64;
        let mut line = self.tail.line.lock();
        line.chain.append(chain);
        self.tail.pushed.add(count);
    }

    /// Takes the first `count`, or all if there are fewer.
    pub(crate) fn take(&self, count: usize) -> Chain {
        if self.len() == 0 {
            return Chain::new();
        }
        let mut line = self.head.line.lock();
        if line.len() < count {
            let arrivals = std::mem::take(&mut self.tail.line.lock().chain);
            line.append(arrivals);
        }
        let front = line.split(count);
        self.head.taken.add(front.len() as u64);
        front
    }

    /// Shows every task that waits here, under the locks: no user code runs in `see`.
    pub(super) fn each(&self, mut see: impl FnMut(&Header)) {
        let line = self.head.line.lock();
        line.each(&mut see);
        self.tail.line.lock().chain.each(&mut see);
    }

    /// Refuses new tasks from now on.
    pub(crate) fn close_lane(&self) {
        self.tail.line.lock().closed = true;
    }
}
