//! A time of a trace, or the length of a span of it.

use std::fmt;
use std::ops::{Add, AddAssign};
use std::time::Duration;

/// Nanoseconds: a trace time, or the length of a span.
///
/// A trace time counts since the runtime was built. Sums and differences saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// No time at all.
    pub const ZERO: Nanos = Nanos(0);

    /// Returns the nanoseconds from `earlier` to this time, or zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns the same length as a `Duration`.
    #[must_use]
    pub fn to_duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// Returns this length as a share of `whole` in percent, or zero if `whole` is zero.
    #[must_use]
    pub fn percent_of(self, whole: Nanos) -> f64 {
        if whole.0 == 0 { 0.0 } else { self.0 as f64 * 100.0 / whole.0 as f64 }
    }
}

impl Add for Nanos {
    type Output = Nanos;

    fn add(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, other: Nanos) {
        *self = *self + other;
    }
}

/// Writes the time in the unit that suits its size, with three decimals: `1.250 ms`.
impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            0..1_000 => return f.pad(&format!("{} ns", self.0)),
            1_000..1_000_000 => (1_000, "µs"),
            1_000_000..1_000_000_000 => (1_000_000, "ms"),
            _ => (1_000_000_000, "s"),
        };
        f.pad(&format!("{}.{:03} {name}", self.0 / unit, self.0 % unit / (unit / 1_000)))
    }
}

/// Microseconds with three decimals, as the formats of other tools have them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Micros(pub(crate) Nanos);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0.0 / 1_000, self.0.0 % 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanos_display_picks_the_unit() {
        let shown: Vec<String> =
            [0, 999, 1_000, 1_250_000, 61_000_000_000].iter().map(|nanos| Nanos(*nanos).to_string()).collect();
        assert_eq!(shown, ["0 ns", "999 ns", "1.000 µs", "1.250 ms", "61.000 s"]);
        assert_eq!(format!("{:>9}|", Nanos(5)), "     5 ns|");
    }

    #[test]
    fn nanos_arithmetic_saturates() {
        assert_eq!(Nanos(3).since(Nanos(5)), Nanos::ZERO);
        assert_eq!(Nanos(u64::MAX) + Nanos(1), Nanos(u64::MAX));
        assert_eq!(Nanos(1).percent_of(Nanos::ZERO), 0.0);
        assert_eq!(Nanos(1).percent_of(Nanos(4)), 25.0);
        assert_eq!(Micros(Nanos(1_234_005)).to_string(), "1234.005");
    }
}
