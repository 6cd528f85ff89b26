//! The counts of each worker, and how they are distributed.

use heist::runtime::RuntimeMetrics;

/// The counts of one worker: so far, or in an interval. Durations are in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WorkerCounts {
    pub(crate) parks: u64,
    pub(crate) busy: u64,
    pub(crate) noops: u64,
    pub(crate) stolen: u64,
    pub(crate) steals: u64,
    pub(crate) scheduled: u64,
    pub(crate) overflows: u64,
    pub(crate) polls: u64,
    pub(crate) run_delay: u64,
}

impl WorkerCounts {
    /// Returns the counts of each worker so far. Indices of workers that have exited are included.
    pub(crate) fn read_all(runtime: &RuntimeMetrics) -> Vec<WorkerCounts> {
        (0..runtime.num_worker_slots()).map(|worker| WorkerCounts::read(runtime, worker)).collect()
    }

    fn read(runtime: &RuntimeMetrics, worker: usize) -> WorkerCounts {
        WorkerCounts {
            parks: runtime.worker_park_count(worker),
            busy: nanos(runtime.worker_total_busy_duration(worker)),
            noops: runtime.worker_noop_count(worker),
            stolen: runtime.worker_steal_count(worker),
            steals: runtime.worker_steal_operations(worker),
            scheduled: runtime.worker_local_schedule_count(worker),
            overflows: runtime.worker_overflow_count(worker),
            polls: runtime.worker_poll_count(worker),
            run_delay: nanos(runtime.worker_run_delay(worker)),
        }
    }

    /// Returns the counts since the earlier ones.
    pub(crate) fn since(self, earlier: WorkerCounts) -> WorkerCounts {
        WorkerCounts {
            parks: self.parks.saturating_sub(earlier.parks),
            busy: self.busy.saturating_sub(earlier.busy),
            noops: self.noops.saturating_sub(earlier.noops),
            stolen: self.stolen.saturating_sub(earlier.stolen),
            steals: self.steals.saturating_sub(earlier.steals),
            scheduled: self.scheduled.saturating_sub(earlier.scheduled),
            overflows: self.overflows.saturating_sub(earlier.overflows),
            polls: self.polls.saturating_sub(earlier.polls),
            run_delay: self.run_delay.saturating_sub(earlier.run_delay),
        }
    }
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The sum of a value over the workers, the greatest and the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spread {
    pub(crate) total: u64,
    pub(crate) max: u64,
    pub(crate) min: u64,
}

impl Spread {
    /// Returns the spread of these values, one for each worker index. Only the first `present`
    /// belong to workers of the present number. The others have exited, or are spare workers. These
    /// often do nothing, and would make each smallest value zero.
    pub(crate) fn of(values: impl Iterator<Item = u64> + Clone, present: usize) -> Spread {
        Spread {
            total: values.clone().sum(),
            max: values.clone().max().unwrap_or(0),
            min: values.take(present).min().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn spread_of_exited_workers_leaves_them_out_of_the_minimum() {
        let values = [3, 5, 0, 9];
        assert_eq!(Spread::of(values.into_iter(), 2), Spread { total: 17, max: 9, min: 3 });
        assert_eq!(Spread::of(values.into_iter(), 4), Spread { total: 17, max: 9, min: 0 });
    }

    #[test]
    fn spread_of_no_worker_is_zero() {
        assert_eq!(Spread::of([].into_iter(), 0), Spread { total: 0, max: 0, min: 0 });
    }
}
