//! Reports of stalls.

use std::time::Duration;

use crate::pool::{Pool, Seat};
use crate::util::rate_limit::RateLimit;
use crate::util::wake_list::catch_user_panic;
use crate::watchdog::stall::{StallCause, StallReport};

/// Collects the reports of a scan, and passes them to the hook and the log.
#[derive(Debug)]
pub(super) struct Reporter {
    /// Reports of this scan, for which the hook has not been called yet.
    pending: Vec<StallReport>,
    warnings: RateLimit,
}

impl Reporter {
    pub(super) fn new() -> Self {
        Reporter { pending: Vec::new(), warnings: RateLimit::new() }
    }

    /// Records a report: the worker of `seat` has been in a poll with this progress number for so
    /// long. If the poll has ended meanwhile, no report is made.
    pub(super) fn record_stall(
        &mut self,
        pool: &Pool,
        seat: &Seat,
        progress: u64,
        lasted: Duration,
        cause: StallCause,
    ) {
        let task = seat.polling.get();
        if seat.progress() != progress {
            return;
        }
        pool.stalls.reported.add(1);
        self.pending.push(StallReport {
            worker: seat.index,
            thread: seat.tid().map(|thread| thread.get()),
            task: task.as_ref().map(|task| task.id),
            location: task.as_ref().map(|task| task.location),
            name: task.and_then(|task| task.name),
            lasted,
            cause,
        });
    }

    /// Calls the hook and logs. Both are user code: no internal lock is held, and panics are
    /// caught.
    pub(super) fn run_stall_hook(&mut self, pool: &Pool, now: u64) {
        for report in std::mem::take(&mut self.pending) {
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
