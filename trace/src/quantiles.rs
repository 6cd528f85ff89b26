//! Quantiles of a list of times, exact.

use crate::nanos::Nanos;

/// The median, the 99th percentile and the maximum of some times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quantiles {
    /// The number of times.
    pub count: u64,
    /// The median.
    pub p50: Nanos,
    /// The 99th percentile.
    pub p99: Nanos,
    /// The maximum.
    pub max: Nanos,
}

impl Quantiles {
    /// Returns the quantiles of times that are sorted.
    ///
    /// A quantile is a time of the list: the first one that at least this share of the times does
    /// not exceed. All are zero if the list is empty.
    #[must_use]
    pub fn of_sorted(times: &[Nanos]) -> Self {
        Self {
            count: times.len() as u64,
            p50: at_percent(times, 50),
            p99: at_percent(times, 99),
            max: times.last().copied().unwrap_or_default(),
        }
    }
}

fn at_percent(times: &[Nanos], percent: u64) -> Nanos {
    let rank = (times.len() as u64 * percent).div_ceil(100);
    times.get((rank as usize).saturating_sub(1)).copied().unwrap_or_default()
}

/// Sorts the times of each group, and returns the quantiles of the groups from 0 to `groups - 1`.
pub(crate) fn by_group(mut times: Vec<(u32, Nanos)>, groups: usize) -> Vec<Quantiles> {
    times.sort_unstable();
    let (groups_of, times): (Vec<u32>, Vec<Nanos>) = times.into_iter().unzip();
    let mut start = 0;
    let mut quantiles = Vec::with_capacity(groups);
    for group in 0..groups {
        let end = start + groups_of[start..].partition_point(|other| *other as usize <= group);
        quantiles.push(Quantiles::of_sorted(&times[start..end]));
        start = end;
    }
    quantiles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_hundred_times_are_times_of_the_list() {
        let times: Vec<Nanos> = (1..=100).map(Nanos).collect();
        let quantiles = Quantiles::of_sorted(&times);
        assert_eq!((quantiles.count, quantiles.p50, quantiles.p99), (100, Nanos(50), Nanos(99)));
        assert_eq!(quantiles.max, Nanos(100));
        assert_eq!(Quantiles::of_sorted(&times[..1]).p99, Nanos(1));
        assert_eq!(Quantiles::of_sorted(&[]), Quantiles::default());
    }

    #[test]
    fn quantiles_by_group_keep_the_groups_apart() {
        let times = vec![(2, Nanos(7)), (0, Nanos(3)), (2, Nanos(5)), (0, Nanos(1)), (2, Nanos(6))];
        let counts: Vec<(u64, Nanos)> = by_group(times, 4).iter().map(|group| (group.count, group.p50)).collect();
        assert_eq!(counts, [(2, Nanos(1)), (0, Nanos(0)), (3, Nanos(6)), (0, Nanos(0))]);
    }
}
