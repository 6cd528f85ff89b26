//! A worker's way round the lanes of the global queue.

use std::cell::Cell;

use super::{Chain, GlobalQueue, Lane};

/// Whose turn it is. The worker comes to one lane after the other; in each it takes as many tasks as wait there when it comes, and
/// goes on. What is queued meanwhile has its turn the next time.
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
        // One visit more than there are lanes: the first may be the end of one whose newcomers come last.
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

    /// Takes at most `wanted` from the lane whose turn it is, and goes on to the next one if that was all that it has to give.
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
