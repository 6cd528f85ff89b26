//! The goals of heist, row by row.

use crate::rows::ROWS;
use crate::sample::Unit;

/// The runtime that the goals are about, and the one that they compare it with.
pub const SUBJECT: &str = "heist";
pub const REFERENCE: &str = "tokio";

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// heist / tokio is at most this: a time.
    RatioAtMost(f64),
    /// heist / tokio is at least this: a rate.
    RatioAtLeast(f64),
    /// The value itself is at most this.
    ValueAtMost(f64),
}

impl Goal {
    pub fn is_met(self, value: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Goal::RatioAtMost(bound) => ratio.map(|ratio| ratio <= bound),
            Goal::RatioAtLeast(bound) => ratio.map(|ratio| ratio >= bound),
            // In whole bytes: the fraction is what the runtime allocates once, spread over a
            // million tasks.
            Goal::ValueAtMost(bound) => Some(value.round() <= bound),
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Goal::RatioAtMost(bound) => write!(f, "≤ {bound:.2}"),
            Goal::RatioAtLeast(bound) => write!(f, "≥ {bound:.2}"),
            Goal::ValueAtMost(bound) => write!(f, "≤ {bound} B"),
        }
    }
}

/// A set of goals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Set {
    /// No row slower than Tokio.
    Level,
    /// Far ahead of Tokio, and ahead of the best peer.
    Ahead,
}

impl Set {
    /// Returns the goal of a row.
    pub fn goal_for(self, row: &str) -> Option<Goal> {
        match self {
            Set::Level => level(row),
            Set::Ahead => AHEAD.iter().find(|(id, _)| *id == row).map(|(_, goal)| *goal),
        }
    }

    /// Returns true if a row that is behind any other runtime misses its goal.
    pub fn includes_peers(self) -> bool {
        self == Set::Ahead
    }
}

fn level(row: &str) -> Option<Goal> {
    match ROWS.iter().find(|known| known.id == row)?.unit {
        Unit::Bytes => Some(Goal::ValueAtMost(128.0)),
        Unit::Rate => Some(Goal::RatioAtLeast(1.0)),
        Unit::Micros | Unit::Latency(_) => Some(Goal::RatioAtMost(1.0)),
    }
}

const AHEAD: &[(&str, Goal)] = &[
    ("spawn-worker", Goal::RatioAtMost(0.12)),
    ("spawn-outside", Goal::RatioAtMost(0.30)),
    ("yield", Goal::RatioAtMost(0.35)),
    ("ping-pong", Goal::RatioAtMost(0.40)),
    ("chained", Goal::RatioAtMost(0.20)),
    ("spawn-await", Goal::RatioAtMost(0.20)),
    ("fan-out", Goal::RatioAtMost(0.22)),
    ("channel", Goal::RatioAtMost(0.40)),
    ("many-to-one", Goal::RatioAtMost(0.70)),
    ("timeout", Goal::RatioAtMost(0.25)),
    ("sleeps", Goal::RatioAtMost(0.40)),
    ("echo-1", Goal::RatioAtMost(1.0)),
    ("echo-64", Goal::RatioAtMost(1.0)),
    ("hyper-1", Goal::RatioAtLeast(1.20)),
    ("hyper-64", Goal::RatioAtLeast(1.15)),
    ("hyper-512", Goal::RatioAtLeast(1.25)),
    ("wake-busy", Goal::RatioAtMost(0.5)),
    ("wake-idle", Goal::RatioAtMost(0.7)),
    ("memory", Goal::ValueAtMost(96.0)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goal_sets_have_a_goal_for_each_row() {
        for row in ROWS {
            assert!(Set::Level.goal_for(row.id).is_some(), "{}", row.id);
            assert!(Set::Ahead.goal_for(row.id).is_some(), "{}", row.id);
        }
    }

    #[test]
    fn goal_names_are_names_of_rows() {
        for (id, _) in AHEAD {
            assert!(crate::rows::find(id).is_some(), "{id}");
        }
    }

    #[test]
    fn goal_on_the_bound_is_met_and_beyond_it_is_missed() {
        assert_eq!(Goal::RatioAtMost(0.5).is_met(1.0, Some(0.5)), Some(true));
        assert_eq!(Goal::RatioAtMost(0.5).is_met(1.0, Some(0.51)), Some(false));
        assert_eq!(Goal::RatioAtLeast(1.2).is_met(1.0, Some(1.2)), Some(true));
        assert_eq!(Goal::RatioAtLeast(1.2).is_met(1.0, Some(1.19)), Some(false));
        assert_eq!(Goal::ValueAtMost(96.0).is_met(97.0, None), Some(false));
        assert_eq!(Goal::RatioAtMost(0.5).is_met(1.0, None), None);
    }
}
