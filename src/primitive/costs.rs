//! What the steps of a simulation cost in virtual time.

use std::collections::HashMap;
use std::time::Duration;

use super::baton::{Threads, with_baton, with_current};
use super::wake_policy::WakePolicy;
use crate::util::rng::Rng;

/// The costs of a simulation, in nanoseconds. A pair holds the least and the most.
///
/// The default is for tests: wide ranges, so that many orders of steps occur, and nothing for
/// shared cache lines. [`Costs::MEASURED`] is for figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// A step between two preemption points.
    pub step: (u64, u64),
    /// One step in so many lets its thread lose the processor. Zero: none does.
    pub preemption_odds: u64,
    /// The longest loss of the processor.
    pub preemption: u64,
    /// From a wake-up until the woken thread runs.
    pub wake_up: (u64, u64),
    /// One wake-up in so many takes as long as `slow_wake_up`. Zero: none does.
    pub slow_odds: u64,
    /// From a slow wake-up until the woken thread runs.
    pub slow_wake_up: (u64, u64),
    /// A wake-up, for the thread that wakes.
    pub waker: (u64, u64),
    /// From a deadline until the thread runs that waits for it.
    pub timer: u64,
    /// A yield of the processor.
    pub yielded: u64,
    /// A poll of the reactor for events that are there.
    pub reactor_poll: u64,
    /// An interrupt of the reactor, beside the wake-up.
    pub interrupt: u64,
    /// An access to a cache line that another core has written.
    pub shared_line: u64,
    /// A read-modify-write, or a short section under a lock, of a line that this core has written
    /// last.
    pub own_line: u64,
    /// A look at the queues of a worker that is awake, during a search. The loads of several seats
    /// overlap.
    pub inspection: u64,
    /// The cache lines of a task that moves to another core.
    pub moved_task: u64,
}

impl Costs {
    /// The costs of a virtual machine with two cores. `docs/scaling.md` tells which are measured.
    pub const MEASURED: Costs = Costs {
        step: (60, 140),
        preemption_odds: 0,
        preemption: 0,
        wake_up: (11_000, 14_000),
        slow_odds: 50,
        slow_wake_up: (24_000, 46_000),
        waker: (3_000, 3_300),
        timer: 4_600,
        yielded: 390,
        reactor_poll: 190,
        interrupt: 330,
        shared_line: 110,
        own_line: 15,
        inspection: 40,
        moved_task: 200,
    };

    /// Returns the cost of one step.
    pub(super) fn draw_step(&self, rng: &Rng) -> u64 {
        draw(rng, self.step)
    }

    /// Returns how long a thread loses its processor at this step, if it does.
    pub(super) fn draw_preemption(&self, rng: &Rng) -> Option<u64> {
        let is_preempted = self.preemption_odds > 0 && draw(rng, (1, self.preemption_odds)) == 1;
        is_preempted.then(|| draw(rng, (0, self.preemption)))
    }

    /// Returns the time from a wake-up until the woken thread runs.
    pub(super) fn draw_wake_up(&self, rng: &Rng) -> u64 {
        let slow = self.slow_odds > 0 && draw(rng, (1, self.slow_odds)) == 1;
        draw(rng, if slow { self.slow_wake_up } else { self.wake_up })
    }

    /// Returns the cost of a wake-up for the thread that wakes.
    pub(super) fn draw_waker(&self, rng: &Rng) -> u64 {
        if self.waker.1 == 0 { 0 } else { draw(rng, self.waker) }
    }
}

impl Default for Costs {
    fn default() -> Self {
        Costs {
            step: (100, 4_000),
            preemption_odds: 256,
            preemption: 3_000_000,
            wake_up: (500, 20_000),
            slow_odds: 0,
            slow_wake_up: (0, 0),
            waker: (0, 0),
            timer: 0,
            yielded: 1_000,
            reactor_poll: 0,
            interrupt: 0,
            shared_line: 0,
            own_line: 0,
            inspection: 0,
            moved_task: 0,
        }
    }
}

fn draw(rng: &Rng, bounds: (u64, u64)) -> u64 {
    bounds.0 + rng.next() % (bounds.1 - bounds.0 + 1)
}

/// What a simulation takes for the machine, and the policy of its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) costs: Costs,
    pub(crate) policy: WakePolicy,
}

impl Default for Model {
    fn default() -> Self {
        Model { costs: Costs::default(), policy: WakePolicy::HEIST }
    }
}

/// What the cores contend for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContendedLine {
    /// The idle word, by a read-modify-write.
    IdleWord,
    /// One of the two locks of a lane of the global queue.
    GlobalQueue,
}

/// How often the cores of a simulation have accessed one kind of shared line, and how long they
/// have waited for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contention {
    /// The accesses.
    pub accesses: u64,
    /// How many of them found another core there.
    pub waits: u64,
    /// How long these have waited, together.
    pub waited: Duration,
}

/// The shared cache lines. A line serves one core at a time.
#[derive(Debug, Default)]
pub(super) struct Lines {
    all: HashMap<usize, Line>,
    idle_word: Contention,
    global_queue: Contention,
}

#[derive(Debug)]
struct Line {
    /// The thread that has it in its cache.
    owner: usize,
    /// When the last access to it ends.
    free_at: u64,
}

impl Lines {
    /// Returns when an access to the line at `address` ends that `thread` begins at `now`.
    pub(super) fn occupy(
        &mut self,
        what: ContendedLine,
        address: usize,
        thread: usize,
        now: u64,
        costs: &Costs,
    ) -> u64 {
        let line = self.all.entry(address).or_insert(Line { owner: thread, free_at: now });
        let begin = now.max(line.free_at);
        let cost = if line.owner == thread { costs.own_line } else { costs.shared_line };
        *line = Line { owner: thread, free_at: begin + cost };
        let counts = self.counts(what);
        counts.accesses += 1;
        counts.waits += u64::from(begin > now);
        counts.waited += Duration::from_nanos(begin - now);
        begin + cost
    }

    /// Returns the counts of a kind of line.
    pub(super) fn counts(&mut self, what: ContendedLine) -> &mut Contention {
        match what {
            ContendedLine::IdleWord => &mut self.idle_word,
            ContendedLine::GlobalQueue => &mut self.global_queue,
        }
    }
}

/// Returns the model of this thread's simulation, or the default.
pub(super) fn current_model() -> Model {
    with_baton(|baton| baton.model).unwrap_or_default()
}

/// Charges this thread for a part of a step. It keeps the baton.
pub(super) fn charge_part(cost: u64) {
    if cost > 0 {
        with_current(|_, here, mut threads| threads.charge(here, cost));
    }
}

/// Returns the contention for a kind of line in this thread's simulation so far.
pub(crate) fn contention(what: ContendedLine) -> Option<Contention> {
    with_current(|_, _, mut threads| *threads.lines.counts(what))
}

/// Charges this thread for an access to a shared line, and for the wait until the line is free. It
/// keeps the baton.
pub(super) fn occupy(what: ContendedLine, address: usize) {
    if current_model().costs.shared_line == 0 {
        return;
    }
    with_current(|_, here, mut threads| {
        let Threads { all, lines, model, .. } = &mut *threads;
        all[here].time = lines.occupy(what, address, here, all[here].time, &model.costs);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_serves_one_thread_at_a_time() {
        let (mut lines, costs) = (Lines::default(), Costs::MEASURED);
        let own = costs.own_line;
        assert_eq!(lines.occupy(ContendedLine::IdleWord, 1, 0, 1_000, &costs), 1_000 + own);
        // Another thread comes in the middle of the first access, and has to fetch the line.
        let end = lines.occupy(ContendedLine::IdleWord, 1, 1, 1_005, &costs);
        assert_eq!(end, 1_000 + own + costs.shared_line);
        // Another line is free.
        assert_eq!(lines.occupy(ContendedLine::GlobalQueue, 2, 1, 1_005, &costs), 1_005 + own);
        let waited = Contention { accesses: 2, waits: 1, waited: Duration::from_nanos(own - 5) };
        assert_eq!(lines.idle_word, waited);
        assert_eq!(lines.global_queue, Contention { accesses: 1, ..Contention::default() });
    }

    #[test]
    fn measured_costs_stay_within_their_bounds() {
        let (rng, costs) = (Rng::new(7), Costs::MEASURED);
        let steps: Vec<u64> = (0..1_000).map(|_| costs.draw_step(&rng)).collect();
        assert!(steps.iter().all(|step| (60..=140).contains(step)));
        let slow = (0..10_000).filter(|_| costs.draw_wake_up(&rng) >= 24_000).count();
        assert!((100..400).contains(&slow), "{slow}");
    }
}
