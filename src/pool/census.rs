//! What the seats of a pool have counted, for the ledger.

use std::collections::BTreeMap;
use std::panic::Location;

use super::{Pool, Seat};
use crate::cell::{End, Header, Id, Runnable};
use crate::ledger::{Census, Ends, Straggler};
use crate::phase::Phase;
use crate::stats::{Counter, Stats};
use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Which task a worker polls, as others see it.
#[derive(Debug)]
pub(crate) struct Polling {
    /// Zero between two polls.
    id: AtomicU64,
    location: AtomicPtr<Location<'static>>,
}

impl Polling {
    pub(crate) fn new() -> Self {
        Polling { id: AtomicU64::new(0), location: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// A poll begins.
    #[inline]
    pub(crate) fn begin(&self, task: &Header) {
        // Ordering: Release — pairs with the Acquire in `get`: the end of the poll before is seen by whoever sees this.
        self.location.store(std::ptr::from_ref(task.location()).cast_mut(), Ordering::Release);
        // Ordering: Release — pairs with the Acquire in `get`: the location is that of this task.
        self.id.store(task.id().get(), Ordering::Release);
    }

    /// It is over.
    #[inline]
    pub(crate) fn end(&self) {
        // Ordering: Relaxed — published by the next `begin`.
        self.id.store(0, Ordering::Relaxed);
    }

    /// That task, and where it was spawned.
    pub(crate) fn get(&self) -> Option<(Id, &'static Location<'static>)> {
        // Ordering: Acquire — pairs with the Release in `begin`.
        let id = self.id.load(Ordering::Acquire);
        // Ordering: Acquire — as above.
        let location = self.location.load(Ordering::Acquire);
        // Ordering: Relaxed — a later poll's location comes with the end of this one.
        let same = self.id.load(Ordering::Relaxed) == id;
        // SAFETY: null, or what `begin` has stored: a reference to something static.
        let location = unsafe { location.as_ref() }?;
        Id::from_number(id).filter(|_| same).map(|id| (id, location))
    }
}

impl Stats {
    /// Counts how a task has ended.
    #[inline]
    pub(crate) fn count(&self, end: End) {
        let counter = match end {
            End::Completed => &self.completed,
            End::Panicked => &self.panicked,
            End::Cancelled => &self.cancelled,
        };
        counter.add(1);
    }

    fn ends(&self) -> Ends {
        Ends { completed: self.completed.get(), panicked: self.panicked.get(), cancelled: self.cancelled.get() }
    }
}

impl Census for Pool {
    fn have_heard(&self) -> bool {
        self.seats.iter().all(|seat| seat.has_heard() || seat.is_vacant())
    }

    fn ended(&self) -> u64 {
        self.seats.iter().map(|seat| seat.stats.ended.read()).sum()
    }

    fn started(&self) -> u64 {
        self.sum(|stats| &stats.spawned)
    }

    fn ends(&self) -> Ends {
        self.tasks_ended() + self.ledger.jobs.tally.get()
    }
}

impl Pool {
    fn sum(&self, counter: fn(&Stats) -> &Counter) -> u64 {
        self.seats.iter().map(|seat| counter(&seat.stats).get()).sum()
    }

    fn tasks_ended(&self) -> Ends {
        self.seats.iter().fold(self.ledger.strays.get(), |sum, seat| sum + seat.stats.ends())
    }

    /// Tasks that have been spawned and have not ended. The ended are read first, so that none is counted as ended before it
    /// has been counted as spawned.
    pub(crate) fn alive(&self) -> u64 {
        let ended = self.tasks_ended().sum();
        // Ordering: Acquire — before the gate is read, through which every job has come.
        let jobs = self.ledger.jobs.entered.load(Ordering::Acquire);
        let entered = self.ledger.gate.entered().count();
        (self.started() + entered.saturating_sub(jobs)).saturating_sub(ended)
    }

    /// While the runtime drains, whoever has ended a task calls this before it goes to sleep.
    #[cold]
    pub(crate) fn look(&self) {
        self.ledger.look(&self.phase, self);
    }

    /// As [`Pool::look`], if the runtime drains.
    #[inline]
    pub(crate) fn look_if_draining(&self) {
        if self.phase.load() != Phase::Running {
            self.look();
        }
    }

    /// A task that was counted in by the gate has been ended by a thread without a seat.
    pub(crate) fn end_stray(&self, end: End) {
        self.ledger.strays.count(end);
        if self.ledger.gate.leave() {
            self.look();
        }
    }

    /// Cancels a task because the drain's deadline, or the shutdown, has come. The caller, who sits in no seat, counts it.
    pub(crate) fn cancel_late(&self, runnable: Runnable) -> End {
        let header = runnable.header();
        self.ledger.note_late(Straggler::new(header.id(), header.location()));
        runnable.cancel()
    }

    /// All tasks and jobs that still can be seen and are not excused.
    pub(crate) fn stragglers(&self) -> Vec<Straggler> {
        let filed = self.seats.iter().map(|seat| &*seat.live).chain([&self.ledger.jobs.live]);
        let polled = self.seats.iter().filter_map(|seat| seat.polling.get());
        // What is polled for the first time is in no list, everything else in both.
        let all: BTreeMap<Id, _> = filed.flat_map(|live| live.all()).chain(polled).collect();
        all.into_iter().map(|(id, location)| Straggler::new(id, location)).collect()
    }
}

impl Seat {
    /// Cancels a task because the drain's deadline, or the shutdown, has come. The caller sits here.
    pub(crate) fn end_late(&self, runnable: Runnable) {
        self.polling.begin(runnable.header());
        let end = self.pool().cancel_late(runnable);
        self.stats.count(end);
        self.stats.ended.publish(1);
        self.polling.end();
    }

    /// A task has been cancelled where it would have been polled: after the deadline it is late. It was asked to end while it was in a queue,
    /// or in a poll, and its worker has not looked at it as one that is overdue.
    #[cold]
    pub(crate) fn note_cancelled(&self, task: &Header) {
        let pool = self.pool();
        if pool.phase.load() >= Phase::Overdue {
            pool.ledger.note_late(Straggler::new(task.id(), task.location()));
        }
    }

    /// Whether the seat's worker knows that the runtime drains.
    fn has_heard(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `hear`.
        self.heard.load(Ordering::Acquire)
    }

    /// The worker has seen that the runtime drains: what is spawned here from now on passes the gate. True if that is news.
    pub(crate) fn hear(&self) -> bool {
        // Ordering: Release — what has been spawned here before has been counted; pairs with the Acquire in `has_heard`.
        !self.heard.swap(true, Ordering::AcqRel)
    }
}
