//! What the workers get of the processors, in windows of some milliseconds.

use std::time::Duration;

use crate::pool::{Pool, Seat};
use crate::util::cpu::{SchedTimes, Tid, idle_time};

/// The length of a window.
pub(super) const WINDOW: Duration = Duration::from_millis(20);
/// A window that is longer than this is discarded: the process, or the watchdog, was stopped.
const LONGEST_WINDOW: Duration = Duration::from_millis(200);

/// Measures windows.
#[derive(Debug, Default)]
pub(super) struct ProcessorUse {
    last: Option<Reading>,
    /// The last reading of each seat's thread.
    threads: Vec<Option<(Tid, SchedTimes)>>,
}

/// The counts at the beginning of a window.
#[derive(Debug)]
struct Reading {
    at: u64,
    polls: u64,
    parks: u64,
    idle: Option<Duration>,
}

/// What has happened in one window, all workers together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    pub(super) length: Duration,
    /// The number of polls that have begun.
    pub(super) polls: u64,
    /// The number of sleeps that have ended.
    pub(super) parks: u64,
    /// The time on processors.
    pub(super) run: Duration,
    /// The run delay.
    pub(super) delay: Duration,
    /// The time for which processors were idle that the workers may use. `None` if the operating
    /// system does not tell.
    pub(super) idle: Option<Duration>,
}

impl ProcessorUse {
    /// Forgets the window that has begun.
    pub(super) fn reset(&mut self) {
        self.last = None;
    }

    /// Returns the window that ends now, if one has begun and is long enough. The next one begins
    /// then.
    pub(super) fn end_window(&mut self, pool: &Pool, now: u64) -> Option<Window> {
        let begun = self.last.as_ref().map(|last| last.at);
        if begun.is_some_and(|begun| now.saturating_sub(begun) < WINDOW.as_nanos() as u64) {
            return None;
        }
        let times = self.read_threads(pool);
        let count = |count: fn(&Seat) -> u64| pool.seats.iter().fold(0, |sum: u64, seat| sum.wrapping_add(count(seat)));
        let reading = Reading {
            at: now,
            polls: count(|seat| seat.stats.polls.get()),
            // A sleep counts twice: when it begins, and when it ends.
            parks: count(|seat| seat.stats.parks.get() / 2),
            idle: idle_time(),
        };
        let last = self.last.replace(reading)?;
        let reading = self.last.as_ref()?;
        let idle = reading.idle.zip(last.idle).map(|(now, before)| now.saturating_sub(before));
        let (run, delay) = times?;
        let length = Duration::from_nanos(now.saturating_sub(last.at));
        (length <= LONGEST_WINDOW).then(|| Window {
            length,
            polls: reading.polls.wrapping_sub(last.polls),
            parks: reading.parks.wrapping_sub(last.parks),
            run,
            delay,
            idle,
        })
    }

    /// Returns the time on processors and the run delay of all workers since the last call, and
    /// adds them to the metrics of the seats. Returns `None` if the kernel does not record them.
    fn read_threads(&mut self, pool: &Pool) -> Option<(Duration, Duration)> {
        self.threads.resize(pool.seats.len(), None);
        let (mut run, mut delay, mut is_recorded) = (Duration::ZERO, Duration::ZERO, false);
        for (seat, last) in pool.seats.iter().zip(&mut self.threads) {
            if !pool.worker_set.is_occupied(seat.index) {
                *last = None;
                continue;
            }
            let now = seat.tid().and_then(|thread| Some((thread, thread.sched_times()?)));
            let before = std::mem::replace(last, now);
            let (Some((thread, now)), Some((same_thread, before))) = (now, before) else { continue };
            if thread == same_thread {
                let waited = now.delay.saturating_sub(before.delay);
                seat.run_delays.record(waited);
                (run, delay) = (run + now.run.saturating_sub(before.run), delay + waited);
                is_recorded = true;
            }
        }
        is_recorded.then_some((run, delay))
    }
}

impl Window {
    /// Returns polls per second.
    pub(super) fn rate(&self) -> f64 {
        self.polls as f64 / self.length.as_secs_f64()
    }

    /// Returns how many processors the workers had, on average.
    pub(super) fn processors(&self) -> f64 {
        self.run.as_secs_f64() / self.length.as_secs_f64()
    }

    /// Returns how many more processors the workers would have used.
    pub(super) fn shortage(&self) -> f64 {
        self.delay.as_secs_f64() / self.length.as_secs_f64()
    }

    /// Returns how many processors were idle.
    pub(super) fn idle_processors(&self) -> Option<f64> {
        self.idle.map(|idle| idle.as_secs_f64() / self.length.as_secs_f64())
    }

    /// Returns the mean time on a processor per poll.
    pub(super) fn poll_time(&self) -> Duration {
        self.run / u32::try_from(self.polls.max(1)).unwrap_or(u32::MAX)
    }
}
