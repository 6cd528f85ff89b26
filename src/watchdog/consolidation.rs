//! Lets fewer workers work while the processors are shared: measures, decides, and carries out.

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
}

impl Consolidation {
    pub(super) fn new(pool: &Pool) -> Consolidation {
        Consolidation { policy: ConsolidationPolicy::new(pool.base_workers()), processor_use: ProcessorUse::default() }
    }

    /// Ends the window that has begun, because all workers are idle.
    pub(super) fn pause(&mut self) {
        self.processor_use.reset();
    }

    /// Considers a scan.
    pub(super) fn scan(&mut self, pool: &Arc<Pool>, now: u64, summary: ScanSummary) {
        let workers = pool.base_workers();
        let window = self.processor_use.end_window(pool, now);
        if !pool.phase.is_running() || summary.needs_all_workers() {
            self.policy.reset(workers);
        } else if let Some(window) = &window {
            self.policy.observe(window, workers);
        }
        if pool.worker_set.num_effective() != self.policy.effective() {
            self.apply(pool, window);
        }
    }

    #[cold]
    fn apply(&self, pool: &Arc<Pool>, window: Option<Window>) {
        let effective = self.policy.effective();
        let woken = pool.worker_set.limit_workers(effective, || pool.phase.is_running());
        if woken.is_empty() {
            return;
        }
        pool.wake_seats(&woken);
        let (processors, shortage) =
            window.map_or((None, None), |window| (Some(window.processors()), Some(window.shortage())));
        catch_user_panic("a tracing subscriber", || {
            tracing::debug!(
                target: "heist::workers",
                effective,
                workers = pool.base_workers(),
                processors,
                shortage,
                "{effective} of the workers poll tasks from now on"
            );
        });
    }
}
