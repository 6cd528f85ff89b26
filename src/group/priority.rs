//! The priority of a group.

use std::fmt;

/// The priority of a [`TaskGroup`](crate::runtime::TaskGroup).
///
/// A worker takes a task of the highest priority that is ready. Lower priorities get a minimum
/// share of the time nevertheless; see
/// [`Builder::group_minimum_share`](crate::runtime::Builder::group_minimum_share).
///
/// # Examples
///
/// ```
/// use heist::runtime::Priority;
///
/// assert!(Priority::Latency > Priority::Normal);
/// assert_eq!(Priority::default(), Priority::Normal);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Work that goes last: compaction, indexing, batch jobs.
    Background,
    /// The priority of tasks without a group.
    #[default]
    Normal,
    /// Work that goes first, at the next task boundary of any worker. Examples are health checks,
    /// control messages and small requests.
    Latency,
}

impl Priority {
    /// All priorities, the lowest first.
    pub(crate) const ALL: [Priority; 3] = [Priority::Background, Priority::Normal, Priority::Latency];

    /// Returns the position in [`Priority::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Priority::Background => "background",
            Priority::Normal => "normal",
            Priority::Latency => "latency",
        })
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::Priority;

    #[test]
    fn priority_index_is_its_position() {
        for (index, priority) in Priority::ALL.into_iter().enumerate() {
            assert_eq!(priority.index(), index);
        }
        assert_eq!(Priority::ALL.map(|priority| priority.to_string()), ["background", "normal", "latency"]);
    }
}
