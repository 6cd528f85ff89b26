//! How many workers poll tasks while the processors are shared: the decision.
//!
//! The rules, and why they cannot oscillate, are on [the
//! page](crate::worker_set::effective_workers).

use std::time::Duration;

use super::processor_use::Window;

/// Windows that a measurement takes.
const MEASURED: usize = 5;
/// Windows in a row that show a shortage.
const SHORT_WINDOWS: usize = 3;
/// Windows after a change that are not measured.
const SETTLING: u32 = 1;
/// The workers are short of processors if they wait for this much of one. They are, too, if they
/// use this much less than one for each, and other threads use the rest.
const SHORTAGE: f64 = 0.25;
/// Processors are free if this much of one is idle, and in use if less than this is.
const FREE: f64 = 0.5;
const IN_USE: f64 = 0.1;
/// Fewer polls per second are too few to compare.
const LEAST_RATE: f64 = 5_000.0;
/// Fewer workers stay if they poll at least this share of what more workers have polled. They have
/// to poll as much if they leave processors to other threads: more than this share of what they
/// had.
const KEEP_FEWER: f64 = 0.95;
const KEEP_FEWER_THAT_LEAVE: f64 = 1.0;
const LEAVE: f64 = 0.15;
/// More workers stay if they poll at least this multiple of what fewer workers have polled.
const KEEP_MORE: f64 = 1.10;
/// A trial ends at once if a window has less than this share of the polls before.
const HOPELESS: f64 = 0.6;
/// Tasks with longer polls are not consolidated: one would delay many.
const LONGEST_POLL: Duration = Duration::from_micros(50);
/// The effective workers are saturated if each sleeps at most this often per window, and they use
/// or want this share of the window.
const SATURATED_PARKS: u64 = 2;
const SATURATED_SHARE: f64 = 0.9;
/// The wait after the first trial that has failed. It doubles with each further one, up to the
/// longest wait, and begins anew if none was due for some time.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(32);
const FORGET_AFTER: Duration = Duration::from_secs(10);
/// The wait after a condition that excludes consolidation, and after the start.
const SHORT_WAIT: Duration = Duration::from_millis(100);
/// All workers work again if processors were free for so many windows, saturated or not.
const FREE_WINDOWS: usize = 25;

/// The decision about the number of effective workers. It has no effects: the watchdog passes
/// windows in, and carries out the number that it returns.
#[derive(Debug)]
pub(super) struct ConsolidationPolicy {
    /// The number of base workers.
    workers: usize,
    /// The number of workers that may work.
    effective: usize,
    /// The last windows with this number.
    windows: Vec<Window>,
    /// Windows in a row in which the workers were short of processors, or in which processors were
    /// free.
    short_windows: usize,
    free_windows: usize,
    /// Windows that are not measured, because the number has just changed.
    settling: u32,
    /// The processors that were idle when the workers were short. They may belong to programs that
    /// have a quota, or this process may have one: they were not free for the workers.
    idle_when_short: f64,
    trial: Option<Trial>,
    fewer: Attempts,
    more: Attempts,
    changes: ChangeBudget,
    /// The present time, on the pool's clock.
    now: Duration,
}

/// A trial of another number of workers.
#[derive(Debug)]
struct Trial {
    /// The number before.
    from: usize,
    /// Polls per second with that number, and the processors that the workers had.
    rate: f64,
    processors: f64,
}

/// When the next trial in one direction may begin.
#[derive(Debug)]
struct Attempts {
    next: Duration,
    /// The wait after the next failure.
    wait: Duration,
    failed_at: Duration,
}

impl Attempts {
    fn new() -> Attempts {
        Attempts { next: SHORT_WAIT, wait: FIRST_WAIT, failed_at: Duration::ZERO }
    }

    fn fail(&mut self, now: Duration) {
        if now > self.failed_at + self.wait + FORGET_AFTER {
            self.wait = FIRST_WAIT;
        }
        self.failed_at = now;
        self.next = now + self.wait;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
    }

    fn postpone(&mut self, until: Duration) {
        self.next = self.next.max(until);
    }
}

/// Limits how often the number changes: by a burst, and then by one change per interval.
#[derive(Debug)]
struct ChangeBudget {
    /// The number of changes that are allowed now. Below zero after changes that could not wait.
    left: f64,
}

impl ChangeBudget {
    const BURST: f64 = 4.0;
    const INTERVAL: Duration = Duration::from_millis(1_500);

    fn refill(&mut self, passed: Duration) {
        self.left = (self.left + passed.as_secs_f64() / Self::INTERVAL.as_secs_f64()).min(Self::BURST);
    }

    fn spend(&mut self) {
        self.left = (self.left - 1.0).max(-Self::BURST);
    }

    fn has(&self, changes: u32) -> bool {
        self.left >= f64::from(changes)
    }
}

impl ConsolidationPolicy {
    pub(super) fn new(workers: usize) -> ConsolidationPolicy {
        ConsolidationPolicy {
            workers,
            effective: workers,
            windows: Vec::new(),
            short_windows: 0,
            free_windows: 0,
            settling: SETTLING,
            idle_when_short: 0.0,
            trial: None,
            fewer: Attempts::new(),
            more: Attempts::new(),
            changes: ChangeBudget { left: ChangeBudget::BURST },
            now: Duration::ZERO,
        }
    }

    /// Returns the number of workers that may work.
    pub(super) fn effective(&self) -> usize {
        self.effective
    }

    /// Returns the number of base workers that the policy knows of.
    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    /// Lets all of `workers` base workers work. Their number has changed, a worker does not come
    /// back, or all are idle.
    pub(super) fn reset(&mut self, workers: usize, now: Duration) {
        self.advance(now);
        self.workers = workers;
        if self.effective != workers {
            self.change(workers);
        }
        self.begin_measurement();
        self.trial = None;
        self.fewer.postpone(now + SHORT_WAIT);
    }

    /// Considers the window that has just ended. Returns the number of workers that may work.
    pub(super) fn observe(&mut self, window: &Window, now: Duration) -> usize {
        self.advance(now);
        if self.settling > 0 {
            self.settling -= 1;
        } else {
            self.measure(window);
        }
        self.effective
    }

    fn advance(&mut self, now: Duration) {
        self.changes.refill(now.saturating_sub(self.now));
        self.now = now;
    }

    fn measure(&mut self, window: &Window) {
        self.windows.push(*window);
        if self.windows.len() > MEASURED {
            self.windows.remove(0);
        }
        self.short_windows = if self.is_short(window) { self.short_windows + 1 } else { 0 };
        let is_free = window.idle_processors().is_some_and(|idle| idle >= self.idle_when_short + FREE);
        self.free_windows = if is_free { self.free_windows + 1 } else { 0 };
        if self.trial.is_some() {
            self.judge_trial();
        } else if self.windows.len() == MEASURED && !self.try_fewer(window) {
            self.try_more(window);
        }
    }

    /// Returns true if the effective workers are more than the processors that they can get.
    fn is_short(&self, window: &Window) -> bool {
        let idle = window.idle_processors();
        // A thread that wakes up on an idle processor waits for it, too, for some microseconds.
        let waits = window.shortage() >= SHORTAGE && idle.is_none_or(|idle| idle < FREE);
        let leaves_some = window.processors() + SHORTAGE <= self.effective as f64;
        waits || (leaves_some && idle.is_some_and(|idle| idle < IN_USE))
    }

    /// Returns true if the effective workers had hardly a moment without tasks.
    fn is_saturated(&self, window: &Window) -> bool {
        window.parks <= SATURATED_PARKS * self.effective as u64
            && window.processors() + window.shortage() >= SATURATED_SHARE * self.effective as f64
    }

    /// Begins a trial of fewer workers, if the workers are short of processors. Returns true if it
    /// has begun.
    fn try_fewer(&mut self, window: &Window) -> bool {
        let may_begin = self.effective > 1
            && self.short_windows >= SHORT_WINDOWS
            && window.poll_time() <= LONGEST_POLL
            && self.mean(Window::rate) >= LEAST_RATE
            && self.now >= self.fewer.next
            && self.changes.has(2);
        if may_begin {
            self.idle_when_short = window.idle_processors().unwrap_or(0.0);
            // As many workers as they had processors.
            self.begin_trial((window.processors() as usize).clamp(1, self.effective - 1));
        }
        may_begin
    }

    /// Lets more workers work if processors are free, or begins a trial of one more.
    fn try_more(&mut self, window: &Window) {
        if self.effective == self.workers {
            return;
        }
        let is_saturated = self.is_saturated(window);
        let are_free = self.free_windows >= if is_saturated { 2 } else { FREE_WINDOWS };
        if are_free && self.changes.has(1) {
            let free = window.idle_processors().map_or(1, |idle| (idle as usize).max(1));
            self.change((self.effective + free).min(self.workers));
            // If the processors are not free for long, this is a trial that has failed.
            self.fewer.fail(self.now);
        } else if is_saturated && self.now >= self.more.next && self.changes.has(2) {
            self.begin_trial(self.effective + 1);
        }
    }

    fn begin_trial(&mut self, effective: usize) {
        let (rate, processors) = (self.mean(Window::rate), self.mean(Window::processors));
        let trial = Trial { from: self.effective, rate, processors };
        self.change(effective);
        self.trial = Some(trial);
    }

    fn judge_trial(&mut self) {
        let Some(trial) = &self.trial else { return };
        let rate = self.mean(Window::rate);
        if self.windows.len() < MEASURED && rate >= HOPELESS * trial.rate {
            return;
        }
        let is_fewer = self.effective < trial.from;
        let goal = if !is_fewer {
            KEEP_MORE
        } else if self.mean(Window::processors) < (1.0 - LEAVE) * trial.processors {
            KEEP_FEWER_THAT_LEAVE
        } else {
            KEEP_FEWER
        };
        let (from, goal) = (trial.from, goal * trial.rate);
        self.trial = None;
        if rate < goal {
            self.change(from);
            let attempts = if is_fewer { &mut self.fewer } else { &mut self.more };
            return attempts.fail(self.now);
        }
        // The way back has to wait as long as after a trial that has failed.
        let (same, other) =
            if is_fewer { (&mut self.fewer, &mut self.more) } else { (&mut self.more, &mut self.fewer) };
        same.postpone(self.now + SHORT_WAIT);
        other.fail(self.now);
    }

    /// Returns the mean of a value over the last windows, of which there is one at least.
    fn mean(&self, value: fn(&Window) -> f64) -> f64 {
        self.windows.iter().map(value).sum::<f64>() / self.windows.len() as f64
    }

    fn change(&mut self, effective: usize) {
        self.effective = effective;
        self.changes.spend();
        self.begin_measurement();
    }

    fn begin_measurement(&mut self) {
        self.windows.clear();
        (self.short_windows, self.free_windows) = (0, 0);
        self.settling = SETTLING;
    }
}

#[cfg(all(test, not(heist_loom)))]
#[path = "consolidation_policy_tests.rs"]
mod tests;
