//! Polls of one kind of task, each of which wakes the next one.

use std::collections::HashSet;
use std::fmt;

use crate::history::{Cause, History, Trigger};
use crate::nanos::Nanos;

/// The fewest polls of a chain.
const FEWEST_POLLS: u32 = 8;

/// The most chains of a summary.
const MOST_CHAINS: usize = 5;

/// Polls of one kind of task, each of which wakes the task of the next one.
///
/// Such tasks run one after the other, however many workers there are. They may hand a lock to each
/// other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chain {
    /// The index of the kind in [`History::kinds`].
    pub kind: usize,
    /// The polls as indices of [`History::polls`], in the order of time.
    pub polls: Vec<usize>,
    /// The number of different tasks.
    pub tasks: u64,
    /// The time from the start of the first poll to the end of the last one.
    pub span: Nanos,
    /// The part of `span` in which a task of the chain was queued.
    pub queued: Nanos,
}

/// Returns the longest chain of each kind that has a long one, the longest first.
pub(crate) fn chains(history: &History<'_>) -> Vec<Chain> {
    let mut lengths: Vec<u32> = Vec::with_capacity(history.polls().len());
    let mut longest: Vec<Option<(u32, usize)>> = vec![None; history.kinds().len()];
    for (index, poll) in history.polls().iter().enumerate() {
        let length = predecessor(history, index).map_or(0, |before| lengths[before]).saturating_add(1);
        lengths.push(length);
        let best = &mut longest[history.tasks()[poll.task()].kind()];
        if best.is_none_or(|(other, _)| other < length) {
            *best = Some((length, index));
        }
    }
    let mut ends: Vec<(u32, usize)> = longest.into_iter().flatten().filter(|end| end.0 >= FEWEST_POLLS).collect();
    ends.sort_unstable_by(|a, b| b.cmp(a));
    ends.truncate(MOST_CHAINS);
    ends.into_iter().map(|(_, last)| chain(history, last)).collect()
}

/// Returns the poll of another task of the same kind that has woken the task of this poll.
fn predecessor(history: &History<'_>, index: usize) -> Option<usize> {
    let poll = &history.polls()[index];
    let wait = &history.waits()[poll.wait()?];
    let Cause::Poll(before) = wait.cause() else { return None };
    let before = before as usize;
    let kind_of = |poll: usize| history.tasks()[history.polls()[poll].task()].kind();
    let is_link = wait.trigger() == Trigger::Wake
        && before < index
        && kind_of(before) == kind_of(index)
        && history.polls()[before].task() != poll.task();
    is_link.then_some(before)
}

fn chain(history: &History<'_>, last: usize) -> Chain {
    let mut polls = vec![last];
    let mut queued = Nanos::ZERO;
    while let Some(before) = predecessor(history, polls[polls.len() - 1]) {
        let wait = history.polls()[polls[polls.len() - 1]].wait().map(|wait| history.waits()[wait].duration());
        queued += wait.unwrap_or_default();
        polls.push(before);
    }
    polls.reverse();
    let tasks: HashSet<usize> = polls.iter().map(|poll| history.polls()[*poll].task()).collect();
    let end = polls.iter().map(|poll| history.polls()[*poll].end()).max().unwrap_or_default();
    Chain {
        kind: history.tasks()[history.polls()[last].task()].kind(),
        tasks: tasks.len() as u64,
        span: end.since(history.polls()[polls[0]].start()),
        polls,
        queued,
    }
}

impl Chain {
    pub(crate) fn write(&self, history: &History<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = &history.kinds()[self.kind];
        write!(f, "  {} polls of `{kind}`, each woken by the one before, of {} tasks", self.polls.len(), self.tasks)?;
        let start = history.polls()[self.polls[0]].start();
        writeln!(f, ": {} from {start}, of which {} queued", self.span, self.queued)
    }
}
