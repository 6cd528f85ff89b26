//! Saying who is stuck.

use std::time::Duration;

use crate::pool::{Pool, Seat};
use crate::util::wake_list::catch_user_panic;
use crate::watchdog::stall::{StallCause, StallReport};

/// At most one warning in so many nanoseconds.
const QUIET: u64 = 1_000_000_000;

/// Says what there is to say, and when it was last said.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    /// Found in this look, and not told yet.
    found: Vec<StallReport>,
    /// When there was a warning, in the pool's nanoseconds.
    warned: Option<u64>,
    unsaid: u64,
}

impl Reporter {
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
        if self.warned.is_some_and(|last| now < last.saturating_add(QUIET)) {
            self.unsaid += 1;
            return;
        }
        self.warned = Some(now);
        let more = std::mem::take(&mut self.unsaid);
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
