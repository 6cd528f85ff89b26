//! The time of records, in ticks.
//!
//! Where the processor has a counter that runs at one rate on all cores, a tick is one of its
//! steps. It is read in a few nanoseconds, without a call of the system's clock. Elsewhere, and in
//! a simulation, a tick is a nanosecond of the runtime's clock.

use crate::clock::Clock;
use crate::primitive::is_simulated;

#[cfg(all(target_arch = "x86_64", not(heist_loom)))]
#[path = "counter_x86.rs"]
mod counter;
#[cfg(not(all(target_arch = "x86_64", not(heist_loom))))]
#[path = "counter_none.rs"]
mod counter;

/// How often both clocks are read for one moment, of which the quickest counts.
const MOMENT_READS: usize = 5;

/// Reads the time of records.
#[derive(Debug)]
pub(crate) struct Ticks {
    clock: Clock,
    has_counter: bool,
    /// When the runtime was built.
    anchor: Moment,
}

/// One moment, in ticks and in nanoseconds of the runtime's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    ticks: u64,
    nanos: u64,
}

/// Converts ticks into nanoseconds of the runtime's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calibration {
    from: Moment,
    to: Moment,
}

impl Ticks {
    pub(crate) fn new(clock: Clock) -> Ticks {
        let has_counter = !is_simulated() && counter::is_invariant();
        let mut ticks = Ticks { clock, has_counter, anchor: Moment { ticks: 0, nanos: 0 } };
        ticks.anchor = ticks.moment();
        ticks
    }

    /// Returns the present time. It is never zero.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        if self.has_counter { counter::read() } else { self.clock.now().max(1) }
    }

    /// Reads both clocks at one moment. A thread that loses its processor in between tries again.
    fn moment(&self) -> Moment {
        let read = || {
            let (before, nanos, after) = (self.now(), self.clock.now(), self.now());
            (after.saturating_sub(before), Moment { ticks: before.midpoint(after), nanos })
        };
        let best = (0..MOMENT_READS).map(|_| read()).min_by_key(|(width, _)| *width);
        best.map_or(Moment { ticks: self.now(), nanos: self.clock.now() }, |(_, moment)| moment)
    }

    /// Returns the conversion of the ticks so far, and the present time in nanoseconds. It is exact
    /// at the time when the runtime was built, and now.
    pub(crate) fn calibrate(&self) -> Calibration {
        Calibration { from: self.anchor, to: self.moment() }
    }
}

impl Calibration {
    /// Returns the time of the calibration, in nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        self.to.nanos
    }

    /// Returns a time in nanoseconds.
    pub(crate) fn nanos_at(&self, ticks: u64) -> u64 {
        self.from.nanos.saturating_add(self.nanos_of(ticks.saturating_sub(self.from.ticks)))
    }

    /// Returns a duration in nanoseconds.
    pub(crate) fn nanos_of(&self, ticks: u64) -> u64 {
        let passed = u128::from(self.to.ticks.saturating_sub(self.from.ticks).max(1));
        let nanos = u128::from(self.to.nanos.saturating_sub(self.from.nanos).max(1));
        u64::try_from(u128::from(ticks) * nanos / passed).unwrap_or(u64::MAX)
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_ordered_and_calibrate_to_the_clock() {
        let ticks = Ticks::new(Clock::new());
        let times: Vec<u64> = (0..1000).map(|_| ticks.now()).collect();
        assert!(times.is_sorted() && times[0] > 0);
        let calibration = ticks.calibrate();
        let nanos: Vec<u64> = times.iter().map(|&at| calibration.nanos_at(at)).collect();
        assert!(nanos.is_sorted() && nanos[999] <= calibration.now());
    }

    #[test]
    fn calibration_between_two_moments_is_linear() {
        let calibration =
            Calibration { from: Moment { ticks: 1000, nanos: 50 }, to: Moment { ticks: 4000, nanos: 1050 } };
        assert_eq!([1000, 2500, 4000, 7000, 0].map(|at| calibration.nanos_at(at)), [50, 550, 1050, 2050, 50]);
        let at_once = Calibration { from: calibration.from, to: calibration.from };
        assert_eq!((at_once.nanos_at(1000), at_once.nanos_of(u64::MAX)), (50, u64::MAX));
    }
}
