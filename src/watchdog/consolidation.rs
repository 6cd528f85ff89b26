//! Lets fewer workers work while the processors are shared: measures, decides, and carries out.

use std::time::Duration;

use super::ScanSummary;
use super::consolidation_policy::ConsolidationPolicy;
use super::processor_use::{ProcessorUse, Window};
use crate::pool::Pool;
use crate::primitive::Arc;
use crate::util::wake_list::catch_user_panic;
use crate::worker_set::ThreadHost;

/// The watchdog's part in consolidation. See [the page](crate::worker_set::effective_workers).
#[derive(Debug)]
pub(super) struct Consolidation {
    policy: ConsolidationPolicy,
    processor_use: ProcessorUse,
    /// A change that has not been logged.
    unlogged: Option<Change>,
}

/// A change of the number of effective workers.
#[derive(Debug)]
struct Change {
    effective: usize,
    workers: usize,
    window: Option<Window>,
}

impl Consolidation {
    pub(super) fn new(pool: &Pool) -> Consolidation {
        Consolidation {
            policy: ConsolidationPolicy::new(pool.worker_set.target()),
            processor_use: ProcessorUse::default(),
            unlogged: None,
        }
    }

    /// Ends the window that has begun, and lets all workers work, because all are idle.
    pub(super) fn pause(&mut self, pool: &Arc<Pool>, now: u64) {
        self.processor_use.reset();
        self.policy.reset(pool.worker_set.target(), Duration::from_nanos(now));
        self.apply(pool, None);
    }

    /// Considers a scan.
    pub(super) fn scan(&mut self, pool: &Arc<Pool>, now: u64, summary: ScanSummary) {
        let workers = pool.worker_set.target();
        // A light load is not worth the system calls.
        let window = if summary.are_idle() { None } else { self.processor_use.end_window(pool, now) };
        let now = Duration::from_nanos(now);
        let are_all_needed = summary.needs_all_workers() || !pool.phase.is_running();
        if are_all_needed || workers != self.policy.workers() {
            self.policy.reset(workers, now);
        } else if let Some(window) = window.as_ref().filter(|_| self.is_comparable(pool)) {
            self.policy.observe(window, now);
        }
        self.apply(pool, window);
    }

    /// Returns true if as many workers work as the policy wants, and no others.
    fn is_comparable(&self, pool: &Pool) -> bool {
        let worker_set = &pool.worker_set;
        worker_set.num_effective() == self.policy.effective() && worker_set.num_spares() == 0
    }

    fn apply(&mut self, pool: &Arc<Pool>, window: Option<Window>) {
        let (effective, workers) = (self.policy.effective(), self.policy.workers());
        if pool.worker_set.num_effective() == effective {
            return;
        }
        let woken = pool.worker_set.limit_workers(effective, || pool.phase.is_running());
        if !woken.is_empty() {
            pool.wake_seats(&woken);
            self.unlogged = Some(Change { effective, workers, window });
        }
    }

    /// Logs the last change. A subscriber is user code: its panics are caught.
    pub(super) fn log_change(&mut self) {
        let Some(Change { effective, workers, window }) = self.unlogged.take() else { return };
        let (processors, shortage) = window.map(|window| (window.processors(), window.shortage())).unzip();
        catch_user_panic("a tracing subscriber", || {
            tracing::debug!(
                target: "heist::workers",
                effective,
                workers,
                processors,
                shortage,
                "{effective} of {workers} workers poll tasks from now on"
            );
        });
    }
}
