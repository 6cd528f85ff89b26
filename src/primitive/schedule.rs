//! Chooses which thread of a simulation runs next.

use super::baton::Threads;
use crate::util::rng::Rng;

/// Tells which thread of a simulation runs next. See [`Sim::schedule`](crate::sim::Sim::schedule).
///
/// Each schedule depends on the seed, and repeats with it.
///
/// # Examples
///
/// ```
/// use heist::sim::{Schedule, Sim};
///
/// let mut sim = Sim::new(7).workers(3).schedule(Schedule::Pct { depth: 3, steps: 1_000 });
/// assert_eq!(sim.run(async { heist::spawn(async { 1 }).await.unwrap() }), 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Schedule {
    /// Each thread has a processor of its own, and each step takes a random time. The thread with
    /// the least virtual time runs.
    ///
    /// One step in 256 lets its thread lose the processor for up to 3 ms.
    #[default]
    Uniform,
    /// Probabilistic concurrency testing: random priorities, and `depth - 1` random points at which
    /// the running thread gets a priority below all initial ones.
    ///
    /// The threads share one processor. The thread with the highest priority runs until it blocks.
    /// A worker that spins before a sleep yields its processor, and gets the lowest priority.
    /// `task::yield_now` does not change a priority. A task that waits in a loop with it may keep
    /// other threads from running until `steps`.
    ///
    /// Let a run have `n` threads, at most `steps` preemption points, and no yield. If a bug needs
    /// `depth` orderings between steps, a seed finds it with a probability of at least
    /// 1/(`n` · `steps`^(`depth` − 1)). Source: Burckhardt, Kothari, Musuvathi, Nagarakatte, "A
    /// Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010.
    Pct {
        /// How many orderings the bug needs, at least 1. Most bugs need 3 or fewer.
        depth: u32,
        /// From how many of the first steps the points are drawn, at least 1. After so many steps,
        /// the schedule becomes [`Schedule::Uniform`], so that every run ends.
        steps: u64,
    },
    /// The threads share one processor. Each runs for one step, then the next thread that can run.
    RoundRobin,
}

/// The state of a [`Schedule`].
#[derive(Debug)]
pub(super) struct ThreadOrder {
    schedule: Schedule,
    /// Draws priorities and points. The costs of steps have a generator of their own.
    rng: Rng,
    /// The priority of each thread. Those from [`FIRST_PRIORITY`] up are the initial ones.
    priorities: Vec<i64>,
    /// The steps at which the running thread gets a low priority. The place is that priority.
    change_points: Vec<u64>,
    /// The lowest priority of all threads that have yielded.
    lowest: i64,
    /// The time of the shared processor.
    clock: u64,
}

/// The least priority of a thread that has met no change point and has not yielded.
const FIRST_PRIORITY: i64 = 1 << 32;

impl ThreadOrder {
    pub(super) fn new(schedule: Schedule, seed: u64) -> ThreadOrder {
        // Other numbers than those of the costs.
        let rng = Rng::new(!seed);
        let change_points = match schedule {
            Schedule::Pct { depth, steps } => (1..depth).map(|_| 1 + rng.next() % steps).collect(),
            Schedule::Uniform | Schedule::RoundRobin => Vec::new(),
        };
        ThreadOrder { schedule, rng, priorities: Vec::new(), change_points, lowest: 0, clock: 0 }
    }

    /// Returns true if all threads share one processor, and so one clock.
    fn shares_clock(&self) -> bool {
        self.schedule != Schedule::Uniform
    }

    /// Draws the priority of the next thread.
    pub(super) fn add_thread(&mut self) {
        let priority = FIRST_PRIORITY.saturating_add_unsigned(self.rng.next() >> 2);
        self.priorities.push(priority);
    }

    /// Returns how much later a thread is ready that another one wakes or starts. With one
    /// processor, it is ready at once.
    pub(super) fn latency(&self, latency: u64) -> u64 {
        if self.shares_clock() { 0 } else { latency }
    }

    /// Gives the running thread the lowest priority.
    fn thread_yielded(&mut self, here: usize) {
        self.lowest -= 1;
        self.priorities[here] = self.lowest;
    }

    /// Chooses between the next actions of all threads: pairs of a virtual time and a thread.
    /// Returns the time at which the thread runs.
    pub(super) fn choose(
        &self,
        running: usize,
        actions: impl Iterator<Item = (u64, usize)> + Clone,
    ) -> Option<(u64, usize)> {
        let earliest = actions.clone().min()?;
        if !self.shares_clock() {
            return Some(earliest);
        }
        // If no thread is enabled, time passes until the first one is.
        let now = self.clock.max(earliest.0);
        let enabled = actions.filter(|&(at, _)| at <= now).map(|(_, thread)| thread);
        let next = match self.schedule {
            Schedule::Pct { .. } => enabled.max_by_key(|&thread| self.priorities[thread]),
            Schedule::Uniform | Schedule::RoundRobin => enabled.min_by_key(|&thread| (thread <= running, thread)),
        };
        next.map(|next| (now, next))
    }

    /// Sets the clock of the shared processor.
    pub(super) fn set_clock(&mut self, now: u64) {
        self.clock = now;
    }
}

impl Threads {
    /// Charges the running thread for time that its processor takes. Threads that share one
    /// processor wait meanwhile.
    pub(super) fn charge_processor(&mut self, here: usize, cost: u64) {
        self.charge(here, cost);
        self.order.clock = self.all[here].time;
    }

    /// As [`Threads::charge_processor`], for a yield.
    pub(super) fn charge_yield(&mut self, here: usize, cost: u64) {
        self.charge_processor(here, cost);
        self.order.thread_yielded(here);
    }

    /// Lowers the priority of the running thread at a change point, and ends the schedule after its
    /// last step.
    pub(super) fn change_priority(&mut self, here: usize) {
        let Schedule::Pct { steps, .. } = self.order.schedule else { return };
        if self.steps > steps {
            self.order.schedule = Schedule::Uniform;
            let clock = self.order.clock;
            self.all.iter_mut().for_each(|thread| thread.time = thread.time.max(clock));
            return;
        }
        for point in 0..self.order.change_points.len() {
            let is_here = self.order.change_points[point] == self.steps;
            if is_here && self.decide(here, || "gets a low priority".to_owned()) {
                // One that comes later in the list has a higher priority, but none reaches the
                // initial ones.
                self.order.priorities[here] = i64::try_from(point).unwrap_or(i64::MAX).min(FIRST_PRIORITY - 1);
            }
        }
    }

    /// Returns whether a step of this schedule may lose its processor for long.
    pub(super) fn has_long_preemptions(&self) -> bool {
        self.order.schedule == Schedule::Uniform
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(schedule: Schedule, threads: usize) -> ThreadOrder {
        let mut order = ThreadOrder::new(schedule, 3);
        (0..threads).for_each(|_| order.add_thread());
        order
    }

    #[test]
    fn uniform_schedule_chooses_the_earliest_action() {
        let order = order(Schedule::Uniform, 3);
        assert_eq!(order.choose(0, [(9, 0), (4, 1), (4, 2)].into_iter()), Some((4, 1)));
        assert_eq!(order.choose(0, [].into_iter()), None);
    }

    #[test]
    fn round_robin_chooses_the_next_enabled_thread() {
        let mut order = order(Schedule::RoundRobin, 4);
        order.set_clock(5);
        let actions = || [(5, 0), (3, 1), (9, 2), (5, 3)].into_iter();
        assert_eq!([0, 1, 2, 3].map(|running| order.choose(running, actions())), [1, 3, 3, 0].map(|n| Some((5, n))));
    }

    #[test]
    fn shared_clock_jumps_if_no_thread_is_enabled() {
        let mut order = order(Schedule::RoundRobin, 2);
        order.set_clock(5);
        assert_eq!(order.choose(0, [(20, 0), (8, 1)].into_iter()), Some((8, 1)));
    }

    #[test]
    fn pct_chooses_the_highest_priority_and_a_yield_lowers_it() {
        let mut order = order(Schedule::Pct { depth: 1, steps: 1 }, 5);
        let actions = || (0..5).map(|thread| (0, thread));
        let mut chosen: Vec<usize> = Vec::new();
        for _ in 0..10 {
            let (_, next) = order.choose(0, actions()).expect("all are enabled");
            chosen.push(next);
            order.thread_yielded(next);
        }
        let first: std::collections::BTreeSet<usize> = chosen[..5].iter().copied().collect();
        assert_eq!(first.len(), 5, "{chosen:?}");
        assert_eq!(chosen[..5], chosen[5..]);
    }

    #[test]
    fn pct_change_points_lie_in_the_first_steps() {
        let order = order(Schedule::Pct { depth: 40, steps: 7 }, 0);
        assert_eq!(order.change_points.len(), 39);
        assert!(order.change_points.iter().all(|point| (1..=7).contains(point)), "{:?}", order.change_points);
    }
}
