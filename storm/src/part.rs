//! What has to be dropped exactly once.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::deed::{Site, deed, visit};
use crate::scene::Scene;

/// What a part belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Task,
    Job,
    Output,
    Payload,
}

pub(crate) const KINDS: usize = 4;

/// How many parts there were, and how many are gone.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    made: AtomicU64,
    gone: AtomicU64,
}

impl Tally {
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }

    pub(crate) fn gone(&self) -> u64 {
        self.gone.load(Ordering::SeqCst)
    }
}

/// Owned by a task, a job, an output or the payload of a panic, from the beginning to the end.
#[derive(Debug)]
pub(crate) struct Part {
    scene: Arc<Scene>,
    kind: Kind,
    /// The destructor does something.
    acts: bool,
    /// Says whether this memory holds a part.
    mark: u64,
}

const ALIVE: u64 = 0x600d_600d_600d_600d;
const GONE: u64 = 0xdead_dead_dead_dead;

impl Part {
    pub(crate) fn new(scene: &Arc<Scene>, kind: Kind, acts: bool) -> Part {
        scene.tally(kind).made.fetch_add(1, Ordering::SeqCst);
        Part { scene: Arc::clone(scene), kind, acts, mark: ALIVE }
    }

    /// Whether it is one.
    pub(crate) fn check(&self) {
        if self.mark != ALIVE {
            crate::verdict::fail(&format!("a {:?} was used that has the mark {:#x}", self.kind, self.mark));
        }
    }

    pub(crate) fn scene(&self) -> &Arc<Scene> {
        &self.scene
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.check();
        self.mark = GONE;
        let panicking = thread::panicking();
        let done = catch_unwind(AssertUnwindSafe(|| {
            visit(&self.scene, Site::Destructor);
            if self.acts {
                deed(&self.scene, Site::Destructor, &mut self.scene.dice());
            }
        }));
        // Last: what the deed has made is counted before.
        self.scene.tally(self.kind).gone.fetch_add(1, Ordering::SeqCst);
        match done {
            Err(payload) if !panicking => resume_unwind(payload),
            _ => {}
        }
    }
}
