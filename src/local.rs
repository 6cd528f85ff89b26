//! What only the worker of a seat touches.

use std::cell::Cell;
use std::fmt;

use crate::queue::Owner;
use crate::rng::Rng;
use crate::wakes::Wakes;

/// At most so many tasks in a row come from the LIFO slot: a request, its answer, and one more.
const LIFO_RUN: u8 = 3;

/// A worker starts with this guess of its mean poll, in nanoseconds.
const FIRST_GUESS: u32 = 1_000;

/// The lease of a seat: whoever holds it is the seat's worker.
///
/// It lies in the seat while nobody does, and is taken out as a whole. All of it is plain cells: the worker and the code that its
/// task calls (spawn, wake) use it in turn, on one thread.
pub(crate) struct Local {
    /// The end of the seat's ring at which to push and pop.
    pub(crate) ring: Owner,
    pub(crate) rng: Rng,
    /// Tasks in a row that came from the LIFO slot.
    lifo_run: Cell<u8>,
    /// The slot is off until a task has come from elsewhere.
    lifo_off: Cell<bool>,
    /// Wakes go to the ring's tail, and wake nobody: a batch of events is being handed out.
    pub(crate) batching: Cell<bool>,
    /// The sentinel's tick at the last checkpoint.
    pub(crate) tick: Cell<u32>,
    /// Polls since the last checkpoint.
    polls: Cell<u32>,
    /// When that was, in the pool's nanoseconds.
    checked: Cell<u64>,
    /// The mean poll of late, in nanoseconds.
    mean_poll: Cell<u32>,
    /// After how many polls the next checkpoint is due.
    due: Cell<u32>,
    /// Memory for collecting wakers, kept between uses.
    wakes: Cell<Wakes>,
}

impl Local {
    pub(crate) fn new(ring: Owner, seed: u64) -> Self {
        Local {
            ring,
            rng: Rng::new(seed),
            lifo_run: Cell::new(0),
            lifo_off: Cell::new(false),
            batching: Cell::new(false),
            tick: Cell::new(0),
            polls: Cell::new(0),
            checked: Cell::new(0),
            mean_poll: Cell::new(FIRST_GUESS),
            due: Cell::new(1),
            wakes: Cell::new(Wakes::new()),
        }
    }

    /// Whether the LIFO slot may be used now.
    #[inline]
    pub(crate) fn lifo_is_on(&self) -> bool {
        !self.lifo_off.get()
    }

    /// A task came from the LIFO slot.
    #[inline]
    pub(crate) fn count_lifo(&self) {
        let run = self.lifo_run.get() + 1;
        self.lifo_run.set(run);
        if run >= LIFO_RUN {
            self.lifo_off.set(true);
        }
    }

    /// A task came from elsewhere.
    #[inline]
    pub(crate) fn end_lifo(&self) {
        self.lifo_run.set(0);
        self.lifo_off.set(false);
    }

    /// How long `backlog` polls are likely to take, in nanoseconds.
    #[inline]
    pub(crate) fn expect(&self, backlog: usize) -> u64 {
        backlog as u64 * u64::from(self.mean_poll.get())
    }

    /// A task is about to be polled.
    #[inline]
    pub(crate) fn count_poll(&self) {
        self.polls.set(self.polls.get() + 1);
    }

    /// Whether enough polls have passed since the last checkpoint.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        self.polls.get() >= self.due.get()
    }

    /// Begins a new interval at `now`: learns from the polls of the last one how long a poll takes, and puts the next checkpoint
    /// after about `nanos`, but at most `most` polls.
    pub(crate) fn begin_interval(&self, now: u64, nanos: u64, most: u32) {
        let (polls, passed) = (self.polls.replace(0), now.saturating_sub(self.checked.replace(now)));
        if polls > 0 {
            let sample = (passed / u64::from(polls)).min(u64::from(u32::MAX));
            // A quarter of the new to three of the old: a change of load shows after a few intervals, an outlier fades.
            let mean = ((u64::from(self.mean_poll.get()) * 3 + sample) / 4).max(1);
            self.mean_poll.set(mean as u32);
        }
        let polls = nanos / u64::from(self.mean_poll.get());
        self.due.set(u32::try_from(polls).unwrap_or(u32::MAX).clamp(1, most));
    }

    /// Lends the memory for collecting wakers.
    pub(crate) fn borrow_wakes(&self) -> Wakes {
        self.wakes.take()
    }

    /// Takes it back.
    pub(crate) fn return_wakes(&self, wakes: Wakes) {
        self.wakes.set(wakes);
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("ring", &self.ring).field("mean_poll", &self.mean_poll).finish_non_exhaustive()
    }
}
