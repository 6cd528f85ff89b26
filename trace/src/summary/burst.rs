//! A poll that has woken, or spawned, many tasks at once.

use std::collections::HashMap;
use std::fmt;

use super::{Subject, trigger_name};
use crate::history::{Cause, History, Trigger};
use crate::nanos::Nanos;

/// The fewest tasks of a burst.
const FEWEST_TASKS: u64 = 16;

/// The most bursts of a summary.
const MOST_BURSTS: usize = 5;

/// A poll that has woken, or spawned, many tasks at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Burst {
    /// The index of the poll in [`History::polls`].
    pub poll: usize,
    /// What has queued the tasks: a spawn or a wake-up.
    pub trigger: Trigger,
    /// The number of these tasks.
    pub tasks: u64,
    /// The time from the first of them to the start of the last poll of them.
    pub served: Nanos,
    /// The longest of their waits.
    pub longest_wait: Nanos,
}

/// Returns the largest bursts, the largest first.
pub(crate) fn bursts(history: &History<'_>) -> Vec<Burst> {
    let mut counts: HashMap<(u32, bool), u64> = HashMap::new();
    for wait in history.waits() {
        if let Cause::Poll(poll) = wait.cause() {
            // A poll without many is not counted any further, which keeps the map small.
            if history.polls()[poll as usize].woken() >= FEWEST_TASKS {
                *counts.entry((poll, wait.trigger() == Trigger::Wake)).or_default() += 1;
            }
        }
    }
    let mut counts: Vec<((u32, bool), u64)> = counts.into_iter().filter(|(_, tasks)| *tasks >= FEWEST_TASKS).collect();
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    counts.truncate(MOST_BURSTS);
    let burst = |((poll, is_wake), tasks)| Burst {
        poll: poll as usize,
        trigger: if is_wake { Trigger::Wake } else { Trigger::Spawn },
        tasks,
        served: Nanos::ZERO,
        longest_wait: Nanos::ZERO,
    };
    let mut bursts: Vec<Burst> = counts.into_iter().map(burst).collect();
    let mut first = vec![None; bursts.len()];
    for wait in history.waits().iter().filter(|wait| wait.is_known()) {
        let Cause::Poll(poll) = wait.cause() else { continue };
        let of_wait = |burst: &Burst| burst.poll == poll as usize && burst.trigger == wait.trigger();
        if let Some(place) = bursts.iter().position(of_wait) {
            let since = *first[place].get_or_insert(wait.since());
            let burst = &mut bursts[place];
            burst.served = burst.served.max(wait.until().since(since));
            burst.longest_wait = burst.longest_wait.max(wait.duration());
        }
    }
    bursts
}

impl Burst {
    pub(crate) fn write(&self, history: &History<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let poll = &history.polls()[self.poll];
        let verb = if self.trigger == Trigger::Wake { "woke" } else { trigger_name(self.trigger) };
        write!(f, "  one poll of {} {verb} {} tasks at {}", Subject(history, poll), self.tasks, poll.start())?;
        writeln!(
            f,
            "; the last of their polls started {} later; the longest wait was {}",
            self.served, self.longest_wait
        )
    }
}
