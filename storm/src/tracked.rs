//! Values that have to be dropped exactly once, and their counts.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::action::{Site, act_randomly, drop_runtime_if_due};
use crate::round_state::RoundState;

/// The owner of a tracked value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Task,
    Job,
    Output,
    Payload,
}

pub(crate) const KINDS: usize = 4;

/// How many tracked values of one kind were created, and how many were dropped.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    created: AtomicU64,
    dropped: AtomicU64,
}

impl Tally {
    pub(crate) fn created(&self) -> u64 {
        self.created.load(Ordering::SeqCst)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::SeqCst)
    }
}

/// A value that a task, a job, an output or a panic's payload owns for all of its life.
#[derive(Debug)]
pub(crate) struct Tracked {
    round: Arc<RoundState>,
    kind: Kind,
    /// The destructor acts.
    acts: bool,
    /// `ALIVE` while this memory holds a tracked value.
    mark: u64,
}

const ALIVE: u64 = 0x600d_600d_600d_600d;
const GONE: u64 = 0xdead_dead_dead_dead;

impl Tracked {
    pub(crate) fn new(round: &Arc<RoundState>, kind: Kind, acts: bool) -> Tracked {
        round.tally(kind).created.fetch_add(1, Ordering::SeqCst);
        Tracked { round: Arc::clone(round), kind, acts, mark: ALIVE }
    }

    /// Fails the storm if the value has been dropped, or overwritten.
    pub(crate) fn check_alive(&self) {
        if self.mark != ALIVE {
            crate::failure::fail(&format!("a {:?} was used whose mark is {:#x}", self.kind, self.mark));
        }
    }

    pub(crate) fn round(&self) -> &Arc<RoundState> {
        &self.round
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.check_alive();
        self.mark = GONE;
        let panicking = thread::panicking();
        let done = catch_unwind(AssertUnwindSafe(|| {
            drop_runtime_if_due(&self.round, Site::Destructor);
            if self.acts {
                act_randomly(&self.round, Site::Destructor, &mut self.round.dice());
            }
        }));
        // Last: what the action has created is counted before.
        self.round.tally(self.kind).dropped.fetch_add(1, Ordering::SeqCst);
        match done {
            Err(payload) if !panicking => resume_unwind(payload),
            _ => {}
        }
    }
}
