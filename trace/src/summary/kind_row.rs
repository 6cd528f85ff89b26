//! The numbers of one kind of task.

use std::collections::HashMap;

use crate::history::{Cause, History, Trigger};
use crate::nanos::Nanos;
use crate::quantiles::{Quantiles, by_group};

/// The numbers of the tasks with one name, or from one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KindRow {
    /// The index of the kind in [`History::kinds`].
    pub kind: usize,
    /// The number of tasks.
    pub tasks: u64,
    /// The number of polls.
    pub polls: u64,
    /// The time inside of polls.
    pub cpu: Nanos,
    /// The longest poll.
    pub longest: Nanos,
    /// The time from a spawn, a wake-up or a yield to the start of the poll.
    pub waits: Quantiles,
    /// The number of wake-ups.
    pub wakes: u64,
    /// What has woken these tasks most.
    pub waker: Option<Waker>,
    /// How many wake-ups are due to `waker`.
    pub waker_wakes: u64,
}

/// What wakes tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Waker {
    /// Polls of the kind with this index.
    Kind(u32),
    /// The reactor.
    Reactor,
    /// Timers.
    Timers,
    /// The reactor or timers: the trace does not tell which.
    Driver,
    /// Threads that are no workers.
    Threads,
}

impl Waker {
    fn of(history: &History<'_>, cause: Cause) -> Option<Self> {
        match cause {
            Cause::Poll(poll) => Some(Self::Kind(history.tasks()[history.polls()[poll as usize].task()].kind() as u32)),
            Cause::Reactor => Some(Self::Reactor),
            Cause::Timers => Some(Self::Timers),
            Cause::Driver => Some(Self::Driver),
            Cause::Thread(_) => Some(Self::Threads),
            Cause::Itself => None,
        }
    }

    pub(crate) fn shown(self, history: &History<'_>) -> String {
        match self {
            Self::Kind(kind) => format!("`{}`", history.kinds()[kind as usize]),
            Self::Reactor => "reactor".to_owned(),
            Self::Timers => "timers".to_owned(),
            Self::Driver => "reactor or timers".to_owned(),
            Self::Threads => "other threads".to_owned(),
        }
    }
}

/// Returns a row per kind, those with the most CPU time first.
pub(crate) fn kind_rows(history: &History<'_>) -> Vec<KindRow> {
    let kind_of = |task: usize| history.tasks()[task].kind();
    let known = history.waits().iter().filter(|wait| wait.is_known());
    let waits = known.map(|wait| (kind_of(wait.task()) as u32, wait.duration())).collect();
    let quantiles = by_group(waits, history.kinds().len());
    let row = |(kind, waits)| KindRow {
        kind,
        tasks: 0,
        polls: 0,
        cpu: Nanos::ZERO,
        longest: Nanos::ZERO,
        waits,
        wakes: 0,
        waker: None,
        waker_wakes: 0,
    };
    let mut rows: Vec<KindRow> = quantiles.into_iter().enumerate().map(row).collect();
    for task in history.tasks() {
        rows[task.kind()].tasks += 1;
    }
    for poll in history.polls() {
        let row = &mut rows[kind_of(poll.task())];
        row.polls += 1;
        row.cpu += poll.duration();
        row.longest = row.longest.max(poll.duration());
    }
    let mut wakers: HashMap<(usize, Waker), u64> = HashMap::new();
    for wait in history.waits().iter().filter(|wait| wait.trigger() == Trigger::Wake) {
        if let Some(waker) = Waker::of(history, wait.cause()) {
            rows[kind_of(wait.task())].wakes += 1;
            *wakers.entry((kind_of(wait.task()), waker)).or_default() += 1;
        }
    }
    // The order of a map is random, and a report is not: equal counts are ordered by the waker.
    let mut wakers: Vec<_> = wakers.into_iter().collect();
    wakers.sort_unstable();
    for ((kind, waker), wakes) in wakers {
        if wakes > rows[kind].waker_wakes {
            rows[kind].waker = Some(waker);
            rows[kind].waker_wakes = wakes;
        }
    }
    rows.sort_by(|a, b| b.cpu.cmp(&a.cpu).then(a.kind.cmp(&b.kind)));
    rows
}
