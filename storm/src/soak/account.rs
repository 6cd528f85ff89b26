//! The account of tasks and blocking jobs: each one that is spawned ends once, and each output is
//! dropped once.
//!
//! Every future holds a [`Ticket`], which counts its spawn and its end. The tasks of one second
//! form an epoch, and each epoch has to balance exactly soon after its second.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use heist::task::JoinHandle;

use crate::failure::fail;

/// The number of epochs. An epoch is used again after so many seconds.
const EPOCHS: usize = 128;

/// The epoch of tasks that live as long as the soak.
const LASTING: usize = EPOCHS;

/// Counts of the tasks and jobs of one epoch.
#[repr(align(128))]
struct Epoch {
    spawned: AtomicU64,
    completed: AtomicU64,
    panicked: AtomicU64,
    cancelled: AtomicU64,
    outputs_dropped: AtomicU64,
}

/// A copy of the counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) spawned: u64,
    pub(crate) completed: u64,
    pub(crate) panicked: u64,
    pub(crate) cancelled: u64,
    pub(crate) outputs_dropped: u64,
}

static EPOCH_COUNTS: [Epoch; EPOCHS + 1] = [const {
    Epoch {
        spawned: AtomicU64::new(0),
        completed: AtomicU64::new(0),
        panicked: AtomicU64::new(0),
        cancelled: AtomicU64::new(0),
        outputs_dropped: AtomicU64::new(0),
    }
}; EPOCHS + 1];

static CURRENT: AtomicUsize = AtomicUsize::new(0);

impl Epoch {
    fn counts(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        // In the opposite order of the increments: what has ended was spawned before.
        let outputs_dropped = get(&self.outputs_dropped);
        let (completed, panicked, cancelled) = (get(&self.completed), get(&self.panicked), get(&self.cancelled));
        Counts { spawned: get(&self.spawned), completed, panicked, cancelled, outputs_dropped }
    }
}

impl Counts {
    pub(crate) fn ended(&self) -> u64 {
        self.completed + self.panicked + self.cancelled
    }

    /// Returns true if each task has ended and each output has been dropped.
    pub(crate) fn is_balanced(&self) -> bool {
        self.spawned == self.ended() && self.completed == self.outputs_dropped
    }

    /// Fails the soak if something has ended more often than it began.
    fn check(&self) {
        if self.ended() > self.spawned || self.outputs_dropped > self.completed {
            fail(&format!("more tasks have ended, or more outputs were dropped, than there were: {self:?}"));
        }
    }

    fn add(self, other: Counts) -> Counts {
        Counts {
            spawned: self.spawned + other.spawned,
            completed: self.completed + other.completed,
            panicked: self.panicked + other.panicked,
            cancelled: self.cancelled + other.cancelled,
            outputs_dropped: self.outputs_dropped + other.outputs_dropped,
        }
    }
}

/// How a task has ended, according to its own future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum End {
    None,
    Completed,
    Panicked,
    Cancelled,
}

/// The end of one task, for its joiner.
#[derive(Debug, Clone)]
pub(crate) struct EndCell(Arc<AtomicU8>);

impl EndCell {
    pub(crate) fn get(&self) -> End {
        match self.0.load(Ordering::SeqCst) {
            0 => End::None,
            1 => End::Completed,
            2 => End::Panicked,
            _ => End::Cancelled,
        }
    }
}

/// The value that a future owns for all of its life. Its drop is the end of the task.
#[derive(Debug)]
pub(crate) struct Ticket {
    epoch: usize,
    end: End,
    /// `ALIVE` while this memory holds a ticket.
    mark: u64,
    cell: Option<EndCell>,
}

/// The output of a task.
#[derive(Debug)]
pub(crate) struct Output {
    epoch: usize,
    mark: u64,
}

const ALIVE: u64 = 0x600d_600d_600d_600d;
const GONE: u64 = 0xdead_dead_dead_dead;

impl Ticket {
    /// Counts the spawn of a task that lives for some seconds at most.
    pub(crate) fn new() -> Ticket {
        Ticket::in_epoch(CURRENT.load(Ordering::SeqCst), None)
    }

    /// Counts the spawn of a task that may live as long as the soak.
    pub(crate) fn lasting() -> Ticket {
        Ticket::in_epoch(LASTING, None)
    }

    /// As [`Ticket::new`], for a task whose handle is joined.
    pub(crate) fn joined() -> (Ticket, EndCell) {
        let cell = EndCell(Arc::new(AtomicU8::new(End::None as u8)));
        (Ticket::in_epoch(CURRENT.load(Ordering::SeqCst), Some(cell.clone())), cell)
    }

    fn in_epoch(epoch: usize, cell: Option<EndCell>) -> Ticket {
        EPOCH_COUNTS[epoch].spawned.fetch_add(1, Ordering::SeqCst);
        Ticket { epoch, end: End::Cancelled, mark: ALIVE, cell }
    }

    /// Ends the task with an output.
    pub(crate) fn complete(mut self) -> Output {
        self.end = End::Completed;
        Output { epoch: self.epoch, mark: ALIVE }
    }

    /// Ends the task with a panic, which calls no hook.
    pub(crate) fn panic(self) -> ! {
        let _ticket = self;
        resume_unwind(Box::new("a planned panic"))
    }

    fn check_alive(&self) {
        if self.mark != ALIVE {
            fail(&format!("a future was used or dropped whose mark is {:#x}", self.mark));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.check_alive();
        self.mark = GONE;
        let end = match self.end {
            End::Cancelled if thread::panicking() => End::Panicked,
            end => end,
        };
        let epoch = &EPOCH_COUNTS[self.epoch];
        if let Some(cell) = &self.cell {
            cell.0.store(end as u8, Ordering::SeqCst);
        }
        let counter = match end {
            End::Completed => &epoch.completed,
            End::Panicked => &epoch.panicked,
            End::Cancelled | End::None => &epoch.cancelled,
        };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.mark != ALIVE {
            fail(&format!("an output was dropped whose mark is {:#x}", self.mark));
        }
        self.mark = GONE;
        EPOCH_COUNTS[self.epoch].outputs_dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// Counts one end of a task too many. Only for a planted fault.
pub(crate) fn count_end_twice() {
    let epoch = CURRENT.load(Ordering::SeqCst);
    EPOCH_COUNTS[epoch].cancelled.fetch_add(1, Ordering::SeqCst);
}

/// Fails the soak if `result` is not what the future of the task has recorded.
pub(crate) fn check_end(result: Result<Output, heist::task::JoinError>, cell: &EndCell) {
    let expected = match &result {
        Ok(_) => End::Completed,
        Err(error) if error.is_panic() => End::Panicked,
        Err(_) => End::Cancelled,
    };
    if cell.get() != expected {
        fail(&format!("a handle resolved as {expected:?}, and its future ended as {:?}", cell.get()));
    }
}

/// Joins a task, and checks its end.
pub(crate) async fn join(handle: JoinHandle<Output>, cell: EndCell) {
    check_end(handle.await, &cell);
}

/// Returns the counts of all epochs.
pub(crate) fn totals() -> Counts {
    EPOCH_COUNTS.iter().map(Epoch::counts).fold(Counts::default(), Counts::add)
}

/// Returns the counts of the tasks that live for some seconds at most.
pub(crate) fn short_lived() -> Counts {
    EPOCH_COUNTS[..EPOCHS].iter().map(Epoch::counts).fold(Counts::default(), Counts::add)
}

/// Checks the epochs, once per second.
#[derive(Debug, Default)]
pub(crate) struct Auditor {
    /// The closed epochs that were not balanced at the last check, with their ages.
    open: Vec<(usize, u64)>,
    balanced: u64,
}

impl Auditor {
    /// Closes the current epoch, and checks all closed ones. An epoch that is not balanced after
    /// `limit` seconds is a failure.
    pub(crate) fn check(&mut self, limit: u64) {
        let current = CURRENT.load(Ordering::SeqCst);
        self.open.push((current, 0));
        CURRENT.store((current + 1) % EPOCHS, Ordering::SeqCst);
        let before = self.open.len();
        self.open.retain_mut(|(epoch, age)| {
            let counts = EPOCH_COUNTS[*epoch].counts();
            counts.check();
            *age += 1;
            if *age > limit {
                fail(&format!("the tasks of an epoch are not all at their end after {limit} s: {counts:?}"));
            }
            // In its first second, a spawn may still be under way.
            *age == 1 || !counts.is_balanced()
        });
        self.balanced += (before - self.open.len()) as u64;
    }

    /// Returns how many epochs were balanced.
    pub(crate) fn balanced(&self) -> u64 {
        self.balanced
    }
}
