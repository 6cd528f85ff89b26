//! Faults that a simulation injects.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::panic::resume_unwind;
use std::time::Duration;

use super::Arc;
use super::baton::{Threads, with_current};
use super::turn_log::millis;
use crate::network::HostId;
use crate::util::rng::Rng;

/// The most virtual time of a delay, in nanoseconds.
const DELAY: u64 = 1_000_000;
/// The least and the most virtual time of a stall, in nanoseconds.
const STALL: (u64, u64) = (10_000_000, 50_000_000);
/// The most workers after an injected resize.
const MOST_WORKERS: u64 = 8;
/// The most virtual time until the deadline of an injected drain, in nanoseconds.
const DRAIN: u64 = 20_000_000;

/// Faults that a simulation injects at random points. See [`Sim::faults`](crate::sim::Sim::faults).
///
/// The default is none. Each method takes odds: one of so many opportunities is used. Faults of
/// polls concern spawned tasks and blocking jobs. The futures of [`Sim::run`](crate::sim::Sim::run)
/// and [`Sim::host`](crate::sim::Sim::host) have none.
///
/// # Examples
///
/// ```
/// use heist::sim::{Faults, Sim};
///
/// let faults = Faults::none().delays(50).panics(1);
/// let mut sim = Sim::new(3).faults(faults);
/// let error = sim.run(async { heist::spawn(async {}).await.unwrap_err() });
/// assert!(error.to_string().contains("injected"));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    delays: Option<u32>,
    spurious: Option<u32>,
    stalls: Option<u32>,
    panics: Option<u32>,
    aborts: Option<u32>,
    resizes: Option<u32>,
    drains: Option<u32>,
}

#[track_caller]
fn checked(odds: u32) -> Option<u32> {
    assert!(odds > 0, "the odds of a fault are zero: pass 1 or more, or leave the fault out");
    Some(odds)
}

impl Faults {
    /// Returns no faults.
    pub fn none() -> Faults {
        Faults::default()
    }

    /// Delays one in `odds` wake-ups of threads, and one in `odds` steps, by up to 1 ms.
    ///
    /// # Panics
    ///
    /// Panics if `odds` is zero.
    #[must_use]
    #[track_caller]
    pub fn delays(self, odds: u32) -> Faults {
        Faults { delays: checked(odds), ..self }
    }

    /// Lets one in `odds` polls take 10 to 50 ms longer.
    ///
    /// # Panics
    ///
    /// Panics if `odds` is zero.
    #[must_use]
    #[track_caller]
    pub fn stalls(self, odds: u32) -> Faults {
        Faults { stalls: checked(odds), ..self }
    }

    /// Lets one in `odds` polls panic instead of polling the future. The panic hook is not called.
    ///
    /// # Panics
    ///
    /// Panics if `odds` is zero.
    #[must_use]
    #[track_caller]
    pub fn panics(self, odds: u32) -> Faults {
        Faults { panics: checked(odds), ..self }
    }

    /// Aborts a task before one in `odds` polls.
    ///
    /// # Panics
    ///
    /// Panics if `odds` is zero.
    #[must_use]
    #[track_caller]
    pub fn aborts(self, odds: u32) -> Faults {
        Faults { aborts: checked(odds), ..self }
    }

    /// Resizes the runtime of the poll's host to 1 to 8 workers at one in `odds` polls.
    ///
    /// # Panics
    ///
    /// Panics if `odds` is zero.
    #[must_use]
    #[track_caller]
    pub fn resizes(self, odds: u32) -> Faults {
        Faults { resizes: checked(odds), ..self }
    }

    /// Ends one in `odds` waits of the runtime's threads without a wake-up, as an operating system
    /// may.
    ///
    /// # Panics
    ///
    /// Panics if `odds` is zero.
    #[must_use]
    #[track_caller]
    pub fn spurious_wake_ups(self, odds: u32) -> Faults {
        Faults { spurious: checked(odds), ..self }
    }

    /// Drains the runtime of the poll's host at one in `odds` polls, with a deadline after up to 20
    /// ms. A runtime is drained once: tasks that live at the deadline are cancelled.
    ///
    /// # Panics
    ///
    /// Panics if `odds` is zero.
    #[must_use]
    #[track_caller]
    pub fn drains(self, odds: u32) -> Faults {
        Faults { drains: checked(odds), ..self }
    }
}

/// The runtime on which faults act.
pub(crate) trait RuntimeFaults: Debug + Send + Sync {
    fn resize(&self, workers: usize);
    fn drain(&self, deadline: Duration);
}

/// Draws the faults of a simulation.
#[derive(Debug)]
pub(super) struct FaultSource {
    faults: Faults,
    /// The costs of steps have a generator of their own. So a seed without faults is not changed.
    rng: Rng,
    /// The runtimes of the hosts.
    runtimes: BTreeMap<HostId, Arc<dyn RuntimeFaults>>,
}

impl FaultSource {
    pub(super) fn new(faults: Faults, seed: u64) -> FaultSource {
        FaultSource { faults, rng: Rng::new(seed ^ 0x6661_756c_7473), runtimes: BTreeMap::new() }
    }

    pub(super) fn set_runtime(&mut self, host: HostId, runtime: Arc<dyn RuntimeFaults>) {
        self.runtimes.insert(host, runtime);
    }

    /// Returns a number up to `most`, with these odds.
    fn draw(&self, odds: Option<u32>, most: u64) -> Option<u64> {
        let odds = odds?;
        (self.rng.next() % u64::from(odds) == 0).then(|| self.rng.next() % (most + 1))
    }
}

/// The faults of one poll.
#[derive(Debug, Default)]
struct PollFaults {
    stall: Option<u64>,
    panics: bool,
    aborts: bool,
    workers: Option<usize>,
    drain: Option<Duration>,
    runtime: Option<Arc<dyn RuntimeFaults>>,
}

impl Threads {
    /// Returns how much longer a wake-up or a step takes.
    pub(super) fn draw_delay(&mut self, here: usize, what: &str) -> u64 {
        let Some(delay) = self.faults.draw(self.faults.faults.delays, DELAY) else { return 0 };
        if self.decide(here, || format!("{what} is delayed by {}", millis(delay))) { delay } else { 0 }
    }

    /// Returns true if a wait ends at once, without a wake-up.
    pub(super) fn draw_spurious_wake_up(&mut self, here: usize) -> bool {
        self.faults.draw(self.faults.faults.spurious, 0).is_some()
            && self.decide(here, || "a wait ends without a wake-up".to_owned())
    }

    fn draw_poll_faults(&mut self, here: usize) -> PollFaults {
        let odds = self.faults.faults;
        let mut drawn = PollFaults::default();
        if let Some(more) = self.faults.draw(odds.stalls, STALL.1 - STALL.0) {
            let stall = STALL.0 + more;
            drawn.stall = self.decide(here, || format!("the poll stalls for {}", millis(stall))).then_some(stall);
        }
        if self.faults.draw(odds.panics, 0).is_some() {
            drawn.panics = self.decide(here, || "the poll panics".to_owned());
        }
        if self.faults.draw(odds.aborts, 0).is_some() {
            drawn.aborts = self.decide(here, || "the task is aborted".to_owned());
        }
        if let Some(more) = self.faults.draw(odds.resizes, MOST_WORKERS - 1) {
            let workers = 1 + more as usize;
            drawn.workers =
                self.decide(here, || format!("the runtime is resized to {workers} workers")).then_some(workers);
        }
        if let Some(deadline) = self.faults.draw(odds.drains, DRAIN) {
            let what = || format!("the runtime is drained, with a deadline after {}", millis(deadline));
            drawn.drain = self.decide(here, what).then(|| Duration::from_nanos(deadline));
        }
        if drawn.workers.is_some() || drawn.drain.is_some() {
            drawn.runtime = self.faults.runtimes.get(&self.all[here].host).cloned();
        }
        drawn
    }
}

/// What a simulation does to a poll.
#[derive(Debug)]
pub(crate) struct PollFault {
    panics: bool,
}

impl PollFault {
    /// Panics in place of the poll, if a fault says so.
    pub(crate) fn raise(&self) {
        if self.panics {
            resume_unwind(Box::new("a panic that the simulation has injected (`Faults::panics`)"));
        }
    }
}

/// Injects the faults of a poll that is about to begin. `task` describes the task, and `abort`
/// aborts it.
pub(crate) fn before_poll(task: impl FnOnce() -> String, abort: impl FnOnce()) -> PollFault {
    let drawn = with_current(|_, here, mut threads| {
        threads.record_event(here, || format!("polls {}", task()));
        threads.draw_poll_faults(here)
    });
    let drawn = drawn.unwrap_or_default();
    if let Some(stall) = drawn.stall {
        with_current(|baton, here, mut threads| {
            threads.charge(here, stall);
            baton.pass(here, &mut threads);
        });
    }
    if drawn.aborts {
        abort();
    }
    if let Some(runtime) = &drawn.runtime {
        drawn.workers.into_iter().for_each(|workers| runtime.resize(workers));
        drawn.drain.into_iter().for_each(|deadline| runtime.drain(deadline));
    }
    PollFault { panics: drawn.panics }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_source_without_faults_draws_no_number() {
        let source = FaultSource::new(Faults::none(), 1);
        let before = source.rng.next();
        assert_eq!(source.draw(source.faults.panics, 9), None);
        let other = FaultSource::new(Faults::none(), 1);
        assert_eq!((other.rng.next(), other.rng.next()), (before, source.rng.next()));
    }

    #[test]
    fn fault_source_draws_about_one_in_the_odds() {
        let source = FaultSource::new(Faults::none().stalls(10), 1);
        let drawn: Vec<u64> = (0..10_000).filter_map(|_| source.draw(source.faults.stalls, 3)).collect();
        assert!((800..1_200).contains(&drawn.len()), "{}", drawn.len());
        assert!((0..=3).all(|number| drawn.contains(&number)) && drawn.iter().all(|&number| number <= 3));
    }

    #[test]
    #[should_panic(expected = "the odds of a fault are zero")]
    fn odds_of_zero_are_refused() {
        let _ = Faults::none().aborts(0);
    }
}
