//! Medians and quartiles.

/// The spread of a set of values, one per round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    /// The quartiles.
    pub low: f64,
    pub high: f64,
}

impl Spread {
    pub fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Spread {
            median: interpolate(&sorted, 0.5)?,
            low: interpolate(&sorted, 0.25)?,
            high: interpolate(&sorted, 0.75)?,
        })
    }
}

/// The median of a set of values, one per round, and the worst of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WithWorst {
    pub median: f64,
    pub worst: f64,
}

impl WithWorst {
    pub fn of(values: &[f64], more_is_better: bool) -> Option<WithWorst> {
        let worse = if more_is_better { f64::min } else { f64::max };
        Some(WithWorst { median: Spread::of(values)?.median, worst: values.iter().copied().reduce(worse)? })
    }

    /// Returns true if this ratio is that of a loser, by as much as is printed.
    pub fn is_loss(&self, more_is_better: bool) -> bool {
        let printed = (self.median * 100.0).round();
        if more_is_better { printed < 100.0 } else { printed > 100.0 }
    }
}

impl std::fmt::Display for WithWorst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2})", self.median, self.worst)
    }
}

/// Returns the value at `quantile`, interpolated between its neighbours.
fn interpolate(sorted: &[f64], quantile: f64) -> Option<f64> {
    let place = quantile * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

/// Returns the spread of `ours` divided by `theirs`, round by round.
pub fn ratios(ours: &[f64], theirs: &[f64]) -> Option<Spread> {
    Spread::of(&by_round(ours, theirs))
}

/// Returns `ours` divided by `theirs`, round by round.
pub fn by_round(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_of_an_even_number_has_its_median_between_the_middle_two() {
        let spread = Spread::of(&[4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!(spread, Spread { median: 2.5, low: 1.75, high: 3.25 });
    }

    #[test]
    fn spread_of_a_single_value_is_that_value() {
        assert_eq!(Spread::of(&[7.0]), Some(Spread { median: 7.0, low: 7.0, high: 7.0 }));
    }

    #[test]
    fn spread_of_no_value_is_none() {
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn worst_of_values_depends_on_the_better_direction() {
        let values = [3.0, 1.0, 2.0];
        assert_eq!(WithWorst::of(&values, true), Some(WithWorst { median: 2.0, worst: 1.0 }));
        assert_eq!(WithWorst::of(&values, false), Some(WithWorst { median: 2.0, worst: 3.0 }));
        assert_eq!(WithWorst::of(&[], false), None);
    }

    #[test]
    fn loss_begins_at_the_second_digit_after_the_point() {
        let ratio = |median| WithWorst { median, worst: 0.0 };
        assert!(ratio(0.994).is_loss(true) && !ratio(0.996).is_loss(true));
        assert!(ratio(1.006).is_loss(false) && !ratio(1.004).is_loss(false));
    }

    #[test]
    fn ratios_of_series_pair_the_rounds() {
        // The ratio of the medians is 1; the ratio of each round is 2 or one half.
        let spread = ratios(&[2.0, 8.0, 1.0], &[1.0, 4.0, 2.0]).unwrap();
        assert_eq!(spread.median, 2.0);
    }
}
