//! One of the lists that form the global queue.

use super::Chain;
use crate::metrics::counter::Counter;
use crate::primitive::{CachePadded, Mutex, occupy_global_queue};
use crate::raw_task::{Header, Runnable};

/// A locked FIFO of Runnables. See [the page](super).
///
/// Pushing and taking have a lock each, on separate cache lines.
#[derive(Debug)]
pub(crate) struct Lane {
    tail: CachePadded<Tail>,
    head: CachePadded<Head>,
}

/// The end at which Runnables are pushed.
#[derive(Debug)]
struct Tail {
    queue: Mutex<TailState>,
    /// How many have been pushed so far, written under the lock.
    pushed: Counter,
}

/// The end at which Runnables are taken.
#[derive(Debug)]
struct Head {
    /// Runnables that were pushed before all those at the tail. Locked before the tail.
    queue: Mutex<Chain>,
    /// How many have been taken so far, written under the lock.
    taken: Counter,
}

#[derive(Debug)]
struct TailState {
    chain: Chain,
    closed: bool,
    /// How many tasks have come from threads without a seat. Counted here because the lock is held
    /// anyway.
    remote_pushes: u64,
}

impl Lane {
    pub(crate) fn new() -> Self {
        let state = TailState { chain: Chain::new(), closed: false, remote_pushes: 0 };
        Lane {
            tail: CachePadded::new(Tail { queue: Mutex::new(state), pushed: Counter::new() }),
            head: CachePadded::new(Head { queue: Mutex::new(Chain::new()), taken: Counter::new() }),
        }
    }

    /// Returns the number of Runnables in the lane. Exact only for a thread that has just pushed,
    /// or has made its last read-modify-write of the idle word.
    pub(crate) fn len(&self) -> usize {
        // The counters are Relaxed. A reader that must not miss a push reads them after a
        // read-modify-write of the idle word, which the pusher makes after its store. For other
        // readers this is a hint. The locks publish the Runnables themselves. The counters may be
        // read in either order: a take of later Runnables comes after the takes of all those
        // counted here.
        self.tail.pushed.get().saturating_sub(self.head.taken.get()) as usize
    }

    /// Queues a new task.
    ///
    /// # Errors
    ///
    /// The task, if the lane is closed.
    pub(crate) fn push_new(&self, runnable: Runnable) -> Result<(), Runnable> {
        runnable.set_queue_next(None);
        occupy_global_queue(&self.tail);
        let mut queue = self.tail.queue.lock();
        if queue.closed {
            return Err(runnable);
        }
        queue.remote_pushes += 1;
        queue.chain.push(runnable);
        self.tail.pushed.add(1);
        Ok(())
    }

    /// Queues a woken task. It is never refused: a worker polls or drops it.
    pub(crate) fn push_woken(&self, runnable: Runnable) {
        occupy_global_queue(&self.tail);
        let mut queue = self.tail.queue.lock();
        queue.remote_pushes += 1;
        queue.chain.push(runnable);
        self.tail.pushed.add(1);
    }

    /// Returns how many tasks `push_new` and `push_woken` have queued.
    pub(crate) fn remote_pushes(&self) -> u64 {
        self.tail.queue.lock().remote_pushes
    }

    /// Queues a chain of tasks that were queued elsewhere.
    pub(crate) fn push_chain(&self, chain: Chain) {
        let count = chain.len() as u64;
        occupy_global_queue(&self.tail);
        let mut queue = self.tail.queue.lock();
        queue.chain.append(chain);
        self.tail.pushed.add(count);
    }

    /// Takes the first `count`, or all if there are fewer.
    pub(crate) fn take(&self, count: usize) -> Chain {
        if self.len() == 0 {
            return Chain::new();
        }
        occupy_global_queue(&self.head);
        let mut queue = self.head.queue.lock();
        if queue.len() < count {
            occupy_global_queue(&self.tail);
            let pushed = std::mem::take(&mut self.tail.queue.lock().chain);
            queue.append(pushed);
        }
        let front = queue.split(count);
        self.head.taken.add(front.len() as u64);
        front
    }

    /// Calls `visit` with each queued task, under the locks. No user code may run in it.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&Header)) {
        let queue = self.head.queue.lock();
        queue.for_each(&mut visit);
        self.tail.queue.lock().chain.for_each(&mut visit);
    }

    /// Closes the lane: refuses new tasks from now on.
    pub(crate) fn close_lane(&self) {
        self.tail.queue.lock().closed = true;
    }
}
