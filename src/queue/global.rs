//! The queue that all workers share.

use std::cell::Cell;

use super::{Chain, Lane};
use crate::raw_task::{Header, Runnable};
use crate::util::stripe::Stripe;

/// A closable queue in lanes, each of them first-in-first-out. See [the queues' page](super).
#[derive(Debug)]
pub(crate) struct GlobalQueue {
    /// Apart from the others, because mostly there are none.
    first: Lane,
    others: Box<[Lane]>,
}

impl GlobalQueue {
    /// # Panics
    ///
    /// If there are no lanes.
    pub(crate) fn new(lanes: usize) -> Self {
        assert!(lanes > 0, "a queue needs at least one lane");
        GlobalQueue { first: Lane::new(), others: (1..lanes).map(|_| Lane::new()).collect() }
    }

    /// How many runnables wait, in all lanes. Exact only for whoever has just pushed, or has made
    /// the last handshake of the idle protocol: no lane is hidden from anybody.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.others.iter().map(Lane::len).sum::<usize>()
    }

    /// How many tasks have been queued one by one: by threads without a seat.
    pub(crate) fn outsiders(&self) -> u64 {
        self.first.remote_pushes() + self.others.iter().map(Lane::remote_pushes).sum::<u64>()
    }

    /// How many lanes there are.
    pub(super) fn lanes(&self) -> usize {
        1 + self.others.len()
    }

    /// The lane into which a thread of this number pushes.
    pub(crate) fn lane(&self, stripe: Stripe) -> &Lane {
        self.nth(stripe.index_in(self.lanes()))
    }

    /// The lane of this number.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub(super) fn nth(&self, lane: usize) -> &Lane {
        if lane == 0 { &self.first } else { &self.others[lane - 1] }
    }

    /// The lane into which this thread pushes.
    #[inline]
    fn local_lane(&self) -> &Lane {
        if self.others.is_empty() { &self.first } else { self.lane(Stripe::current()) }
    }

    /// Queues a new task.
    ///
    /// # Errors
    ///
    /// The task, if the queue is closed.
    pub(crate) fn push_new(&self, runnable: Runnable) -> Result<(), Runnable> {
        self.local_lane().push_new(runnable)
    }

    /// Queues a task that was woken. Never refused: a woken task is polled, or dropped by a worker.
    pub(crate) fn push_woken(&self, runnable: Runnable) {
        self.local_lane().push_woken(runnable);
    }

    /// Queues a chain of tasks that were queued elsewhere.
    pub(crate) fn push_chain(&self, chain: Chain) {
        self.local_lane().push_chain(chain);
    }

    /// Takes `count`, or all if there are fewer; from the lanes whose turn it is by `rota`.
    pub(crate) fn take(&self, lane_cursor: &LaneCursor, count: usize) -> Chain {
        if self.others.is_empty() { self.first.take(count) } else { lane_cursor.take(self, count) }
    }

    /// Shows every task that waits here. No user code runs in `see`.
    pub(crate) fn each(&self, mut see: impl FnMut(&Header)) {
        self.first.each(&mut see);
        self.others.iter().for_each(|lane| lane.each(&mut see));
    }

    /// Refuses new tasks from now on, in every lane.
    pub(crate) fn close_queue(&self) {
        self.first.close_lane();
        self.others.iter().for_each(Lane::close_lane);
    }
}

/// Whose turn it is. The worker comes to one lane after the other; in each it takes as many tasks
/// as wait there when it comes, and goes on. What is queued meanwhile has its turn the next time.
#[derive(Debug)]
pub(crate) struct LaneCursor {
    /// The lane, modulo their number.
    at: Cell<usize>,
    /// How many are still to be taken there; zero before it has been looked at.
    left: Cell<usize>,
}

impl LaneCursor {
    /// Begins at this lane, modulo their number: workers begin at different ones.
    pub(crate) fn new(lane: usize) -> Self {
        LaneCursor { at: Cell::new(lane), left: Cell::new(0) }
    }

    /// Takes `count`, or all if there are fewer.
    pub(super) fn take(&self, queue: &GlobalQueue, count: usize) -> Chain {
        let lanes = queue.lanes();
        let mut taken = Chain::new();
        // One visit more than there are lanes: the first may be the end of one whose newcomers come
        // last.
        for _ in 0..=lanes {
            let wanted = count - taken.len();
            if wanted == 0 {
                break;
            }
            taken.append(self.take_from_current(queue.nth(self.at.get() % lanes), wanted));
        }
        taken
    }

    /// The lane that is visited next.
    #[cfg(test)]
    pub(super) fn next(&self, lanes: usize) -> usize {
        self.at.get() % lanes
    }

    /// Takes at most `wanted` from the lane whose turn it is, and goes on to the next one if that
    /// was all that it has to give.
    fn take_from_current(&self, lane: &Lane, wanted: usize) -> Chain {
        let left = if self.left.get() == 0 { lane.len() } else { self.left.get() };
        let wanted = wanted.min(left);
        let part = lane.take(wanted);
        // Less than it should have been: others were here.
        self.left.set(if part.len() < wanted { 0 } else { left - wanted });
        if self.left.get() == 0 {
            self.at.set(self.at.get().wrapping_add(1));
        }
        part
    }
}
