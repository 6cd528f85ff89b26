//! One of the parts of the global queue.

use super::Chain;
use crate::cell::{Header, Runnable};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{CachePadded, Mutex};

/// Where the two counts start: they wrap soon after, in every run.
const START: usize = usize::MAX - 2;

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
    /// How many have been pushed so far, written under the lock; it wraps around.
    pushed: AtomicUsize,
}

/// Where they are taken.
#[derive(Debug)]
struct Head {
    /// Those that have been pushed before all that are at the tail. Locked before the tail.
    line: Mutex<Chain>,
    /// How many have been taken so far, written under the lock; it wraps around.
    taken: AtomicUsize,
}

#[derive(Debug)]
struct Arrivals {
    chain: Chain,
    closed: bool,
    /// How many tasks have come from threads without a seat. Counted here, where the lock is held anyway.
    outsiders: u64,
}

impl Lane {
    pub(crate) fn new() -> Self {
        let arrivals = Arrivals { chain: Chain::new(), closed: false, outsiders: 0 };
        Lane {
            tail: CachePadded::new(Tail { line: Mutex::new(arrivals), pushed: AtomicUsize::new(START) }),
            head: CachePadded::new(Head { line: Mutex::new(Chain::new()), taken: AtomicUsize::new(START) }),
        }
    }

    /// How many runnables wait. Exact only for whoever has just pushed, or has made the last handshake of the idle protocol.
    pub(crate) fn len(&self) -> usize {
        // Ordering: Relaxed — whoever must not miss a push reads this after a read-modify-write of the idle word, which the
        // pusher does after its store; else it is a hint.
        let pushed = self.tail.pushed.load(Ordering::Relaxed);
        let taken = self.head.taken.load(Ordering::Relaxed);
        // Read in either order: who takes later ones has taken all those first that we know of.
        usize::try_from(pushed.wrapping_sub(taken) as isize).unwrap_or(0)
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
        self.publish(1);
        Ok(())
    }

    /// Queues a task that was woken. Never refused: a woken task is polled, or dropped by a worker.
    pub(crate) fn push_woken(&self, runnable: Runnable) {
        let mut line = self.tail.line.lock();
        line.outsiders += 1;
        line.chain.push(runnable);
        self.publish(1);
    }

    /// How many tasks have been queued by the two above.
    pub(crate) fn outsiders(&self) -> u64 {
        self.tail.line.lock().outsiders
    }

    /// Queues a chain of tasks that were queued elsewhere.
    pub(crate) fn push_chain(&self, chain: Chain) {
        let count = chain.len();
        let mut line = self.tail.line.lock();
        line.chain.append(chain);
        self.publish(count);
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
        // Ordering: Relaxed — see `len`; the lock is held.
        let taken = self.head.taken.load(Ordering::Relaxed);
        self.head.taken.store(taken.wrapping_add(front.len()), Ordering::Relaxed);
        front
    }

    /// Shows every task that waits here, under the locks: no user code runs in `see`.
    pub(super) fn each(&self, mut see: impl FnMut(&Header)) {
        let line = self.head.line.lock();
        line.each(&mut see);
        self.tail.line.lock().chain.each(&mut see);
    }

    /// Refuses new tasks from now on.
    pub(crate) fn close(&self) {
        self.tail.line.lock().closed = true;
    }

    fn publish(&self, count: usize) {
        // Ordering: Relaxed — see `len`; the runnables themselves are published by the lock, which is held.
        let pushed = self.tail.pushed.load(Ordering::Relaxed);
        self.tail.pushed.store(pushed.wrapping_add(count), Ordering::Relaxed);
    }
}
