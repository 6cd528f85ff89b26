//! How many blocking jobs of a group run at once, and which of them wait.

use std::collections::VecDeque;
use std::fmt;

use crate::blocking::Job;
use crate::primitive::Mutex;

/// A blocking job of a group, before it has a slot.
pub(crate) trait SlotJob: Send {
    /// Gives the job a slot. When it has ended, it calls [`BlockingSlots::exit`].
    fn with_slot(self: Box<Self>) -> Box<dyn Job>;

    /// Drops the job undone, without a slot.
    fn cancel(self: Box<Self>);
}

/// Counts the blocking jobs of a group against its limit. Further jobs wait, first-in-first-out.
///
/// No job is run or dropped under the lock.
pub(crate) struct BlockingSlots(Mutex<SlotState>);

struct SlotState {
    /// Jobs that the blocking pool has.
    submitted: usize,
    limit: usize,
    waiting: VecDeque<Box<dyn SlotJob>>,
}

impl BlockingSlots {
    pub(crate) fn new(limit: usize) -> BlockingSlots {
        BlockingSlots(Mutex::new(SlotState { submitted: 0, limit, waiting: VecDeque::new() }))
    }

    /// Returns the job with a slot, and the caller submits it. If there is none, the job waits for
    /// the end of another one.
    pub(crate) fn enter(&self, job: Box<dyn SlotJob>) -> Option<Box<dyn Job>> {
        let mut state = self.0.lock();
        if state.submitted >= state.limit {
            state.waiting.push_back(job);
            return None;
        }
        state.submitted += 1;
        drop(state);
        Some(job.with_slot())
    }

    /// Takes the slot of a job that has ended. Returns the job that gets it, and the caller submits
    /// that.
    pub(crate) fn exit(&self) -> Option<Box<dyn Job>> {
        let mut state = self.0.lock();
        let next = state.waiting.pop_front();
        if next.is_none() {
            state.submitted -= 1;
        }
        drop(state);
        next.map(SlotJob::with_slot)
    }

    /// Takes the first job that waits, to cancel it.
    pub(crate) fn take_waiting(&self) -> Option<Box<dyn SlotJob>> {
        self.0.lock().waiting.pop_front()
    }

    /// Returns how many jobs have a slot, and how many wait.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.0.lock();
        (state.submitted, state.waiting.len())
    }
}

impl fmt::Debug for BlockingSlots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (submitted, waiting) = self.counts();
        f.debug_struct("BlockingSlots").field("submitted", &submitted).field("waiting", &waiting).finish()
    }
}
