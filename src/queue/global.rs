//! The queue that all workers share.

use std::cell::Cell;

use super::{Chain, Lane};
use crate::raw_task::{Header, Runnable};
use crate::util::stripe::Stripe;

/// A queue of lanes, each of them first-in-first-out, which can be closed. See [the page](super).
#[derive(Debug)]
pub(crate) struct GlobalQueue {
    /// Apart from the others, because mostly there are none.
    first: Lane,
    others: Box<[Lane]>,
}

impl GlobalQueue {
    /// # Panics
    ///
    /// If `lanes` is zero.
    pub(crate) fn new(lanes: usize) -> Self {
        assert!(lanes > 0, "a queue needs at least one lane");
        GlobalQueue { first: Lane::new(), others: (1..lanes).map(|_| Lane::new()).collect() }
    }

    /// Returns the number of Runnables in all lanes. Exact only for a thread that has just pushed,
    /// or has made its last read-modify-write of the idle word. No lane is hidden from any thread.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.others.iter().map(Lane::len).sum::<usize>()
    }

    /// Returns how many tasks threads without a seat have queued.
    pub(crate) fn remote_pushes(&self) -> u64 {
        self.first.remote_pushes() + self.others.iter().map(Lane::remote_pushes).sum::<u64>()
    }

    /// Returns the number of lanes.
    pub(super) fn lanes(&self) -> usize {
        1 + self.others.len()
    }

    /// Returns the lane into which a thread of this stripe pushes.
    pub(crate) fn lane(&self, stripe: Stripe) -> &Lane {
        self.nth(stripe.index_in(self.lanes()))
    }

    /// Returns the lane of this number.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub(super) fn nth(&self, lane: usize) -> &Lane {
        if lane == 0 { &self.first } else { &self.others[lane - 1] }
    }

    /// Returns the lane into which this thread pushes.
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

    /// Queues a woken task. It is never refused: a worker polls or drops it.
    pub(crate) fn push_woken(&self, runnable: Runnable) {
        self.local_lane().push_woken(runnable);
    }

    /// Queues a chain of tasks that were queued elsewhere.
    pub(crate) fn push_chain(&self, chain: Chain) {
        self.local_lane().push_chain(chain);
    }

    /// Takes `count`, or all if there are fewer. `lane_cursor` determines the lanes.
    pub(crate) fn take(&self, lane_cursor: &LaneCursor, count: usize) -> Chain {
        if self.others.is_empty() { self.first.take(count) } else { lane_cursor.take(self, count) }
    }

    /// Takes all tasks of each lane.
    pub(crate) fn take_all(&self) -> Chain {
        let mut all = self.first.take(usize::MAX);
        self.others.iter().for_each(|lane| all.append(lane.take(usize::MAX)));
        all
    }

    /// Calls `visit` with each queued task. No user code may run in it.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&Header)) {
        self.first.for_each(&mut visit);
        self.others.iter().for_each(|lane| lane.for_each(&mut visit));
    }

    /// Closes every lane: refuses new tasks from now on.
    pub(crate) fn close_queue(&self) {
        self.first.close_lane();
        self.others.iter().for_each(Lane::close_lane);
    }
}

/// A worker's position in the lanes. The worker visits one lane after the other. In each, it takes
/// as many tasks as are there at its arrival. Tasks that are queued meanwhile wait for its next
/// visit.
#[derive(Debug)]
pub(crate) struct LaneCursor {
    /// The lane, modulo their number.
    at: Cell<usize>,
    /// How many are still to be taken there. Zero before the lane's length has been read.
    left: Cell<usize>,
}

impl LaneCursor {
    /// Begins at this lane, modulo their number. Workers begin at different lanes.
    pub(crate) fn new(lane: usize) -> Self {
        LaneCursor { at: Cell::new(lane), left: Cell::new(0) }
    }

    /// Begins the next take at the next lane, as if the visit of the present one was over.
    pub(crate) fn begin_at_next_lane(&self) {
        self.at.set(self.at.get().wrapping_add(1));
        self.left.set(0);
    }

    /// Takes `count`, or all if there are fewer.
    pub(super) fn take(&self, queue: &GlobalQueue, count: usize) -> Chain {
        let lanes = queue.lanes();
        let mut taken = Chain::new();
        // One visit more than there are lanes. The first visit may be the rest of an earlier one,
        // and that lane's newcomers come last.
        for _ in 0..=lanes {
            let wanted = count - taken.len();
            if wanted == 0 {
                break;
            }
            taken.append(self.take_from_current(queue.nth(self.at.get() % lanes), wanted));
        }
        taken
    }

    /// Returns the lane that is visited next.
    #[cfg(test)]
    pub(super) fn next(&self, lanes: usize) -> usize {
        self.at.get() % lanes
    }

    /// Takes at most `wanted` from the current lane. Moves to the next lane if this visit has taken
    /// all that it may.
    fn take_from_current(&self, lane: &Lane, wanted: usize) -> Chain {
        let left = if self.left.get() == 0 { lane.len() } else { self.left.get() };
        let wanted = wanted.min(left);
        let part = lane.take(wanted);
        // Other workers took tasks here, if it is less than expected.
        self.left.set(if part.len() < wanted { 0 } else { left - wanted });
        if self.left.get() == 0 {
            self.at.set(self.at.get().wrapping_add(1));
        }
        part
    }
}
