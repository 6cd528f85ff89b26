//! Saying who is stuck.

use std::time::Duration;

use crate::pool::{Pool, Seat};
use crate::util::rate_limit::RateLimit;
use crate::util::wake_list::catch_user_panic;
use crate::watchdog::stall::{StallCause, StallReport};

/// Says what there is to say, and when it was last said.
#[derive(Debug)]
pub(super) struct Reporter {
    /// Found in this look, and not told yet.
    found: Vec<StallReport>,
    warnings: RateLimit,
}

impl Reporter {
    pub(super) fn new() -> Self {
        Reporter { found: Vec::new(), warnings: RateLimit::new() }
    }

    /// The worker of `seat` has been in poll `number` for so long. If it has just come back nobody
    /// is blamed.
    pub(super) fn record_stall(&mut self, pool: &Pool, seat: &Seat, number: u64, lasted: Duration, cause: StallCause) {
        let task = seat.polling.get();
        if seat.progress() != number {
            return;
        }
        pool.stalls.reported.add(1);
        self.found.push(StallReport {
            worker: seat.index,
            thread: seat.tid().map(|thread| thread.get()),
            task: task.as_ref().map(|task| task.id),
            location: task.as_ref().map(|task| task.location),
            name: task.and_then(|task| task.name),
            lasted,
            cause,
        });
    }

    /// Tells the hook and the log. User code: nothing of ours is locked, and what it panics with
    /// stays here.
    pub(super) fn run_stall_hook(&mut self, pool: &Pool, now: u64) {
        for report in std::mem::take(&mut self.found) {
            if let Some(hook) = &pool.settings.on_stall {
                catch_user_panic("an on_stall hook", || hook(&report));
            }
            self.warn(now, &report);
        }
    }

    fn warn(&mut self, now: u64, report: &StallReport) {
        let Some(more) = self.warnings.try_pass(now) else { return };
        catch_user_panic("a tracing subscriber", || {
            tracing::warn!(
                target: "heist::stall",
                worker = report.worker,
                task = report.task.map(tracing::field::display),
                name = report.name.as_deref(),
                location = report.location.map(tracing::field::display),
                lasted = ?report.lasted,
                cause = %report.cause,
                more,
                "{report}"
            );
        });
    }
}
