//! Hands over what a stalled worker holds up: its queues, its timers, the reactor, its share of the
//! work.

use std::fmt;

use crate::pool::{Pool, Seat, WakeHelper};
use crate::queue::{Owner, Ring};
use crate::sync::Arc;
use crate::watchdog::stall::StallCause;
use crate::worker_set::spares::SpareError;

/// From this scan of the same poll on, a spare is worth its thread. Shorter stalls are common if
/// there are more threads than processors and a lock keeps one of them waiting.
const SPARE_AFTER_SCANS: u32 = 10;

/// A spare that is not needed any more stays for so many scans.
const SPARE_IDLE_SCANS: u32 = 50;

/// After a refused thread, the watchdog tries again after so many scans.
const SPAWN_RETRY_SCANS: u32 = 100;

/// The state of the watchdog's rescues.
pub(super) struct Rescue {
    /// Receives the tasks that are stolen from a ring. Empty between two uses.
    scratch_ring: Owner,
    /// The number of scans since all spares were needed.
    idle_scans: u32,
    /// The number of scans before another spare may start.
    retry_scans: u32,
    /// The watchdog has logged that no spare can start.
    has_warned: bool,
}

/// The numbers of workers by their state, at one scan.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScanSummary {
    /// Asleep, and not retiring.
    pub(super) asleep: usize,
    /// Awake and making progress, and not retiring.
    pub(super) awake: usize,
    /// Starting, or retiring.
    pub(super) moving: usize,
    /// Blocked in `block_in_place`: each needs a spare.
    pub(super) away: usize,
    pub(super) stalled: usize,
    /// The stalled workers that have been so for long.
    pub(super) long_stalled: usize,
    /// Those of `long_stalled` whose processor another thread could have.
    pub(super) blocked: usize,
}

impl ScanSummary {
    /// Counts a stalled worker, seen so often in the same poll, with this cause.
    pub(super) fn count_stalled(&mut self, scans: u32, cause: StallCause) {
        self.stalled += 1;
        if scans >= SPARE_AFTER_SCANS {
            self.long_stalled += 1;
            self.blocked += usize::from(cause.leaves_a_processor());
        }
    }

    /// Returns true if another spare is wanted: no worker can poll tasks, or fewer can than should
    /// and tasks wait.
    ///
    /// A worker that computes has its processor. Another thread would take a part of it. That is
    /// worth it only if no other worker makes progress, and has not for a while.
    fn wants_spare(&self, spares: usize, has_waiting_tasks: impl FnOnce() -> bool) -> bool {
        if self.away > spares {
            return true;
        }
        if self.long_stalled == 0 || self.asleep + self.moving > 0 {
            return false;
        }
        let none_progresses = self.awake == 0 && self.long_stalled == self.stalled;
        none_progresses || (self.blocked + self.away > spares && has_waiting_tasks())
    }
}

impl Rescue {
    pub(super) fn new() -> Self {
        let (scratch_ring, _) = Ring::new_pair();
        Rescue { scratch_ring, idle_scans: 0, retry_scans: 0, has_warned: false }
    }

    /// Adds the wheel of a stalled seat to the orphan wheels. Its worker takes it back at a
    /// checkpoint, or before it sleeps.
    pub(super) fn take_timers(&self, pool: &Pool, seat: &Seat, cause: StallCause) {
        if !seat.wheel.is_empty() && pool.adopt_timers(seat) {
            pool.stalls.count_rescue(cause);
        }
    }

    /// Moves the tasks of a stalled seat to the global queue. No searcher has stolen them, because
    /// all workers are too busy to search.
    pub(super) fn take_tasks(&self, pool: &Pool, seat: &Seat, cause: StallCause) {
        if pool.publish(seat.steal_all(&self.scratch_ring), WakeHelper::Now) {
            pool.stalls.count_rescue(cause);
        }
    }

    /// Starts a spare if one is wanted, or stops one that has not been needed for a while.
    pub(super) fn adjust_spares(&mut self, pool: &Arc<Pool>, summary: ScanSummary) {
        self.retry_scans = self.retry_scans.saturating_sub(1);
        let spares = pool.worker_set.active_spares();
        let has_waiting_tasks = || pool.global.len() > 0 || pool.seats.iter().any(Seat::has_stealable_work);
        if summary.wants_spare(spares, has_waiting_tasks) {
            self.idle_scans = 0;
            if spares >= pool.settings.max_spares + summary.away {
                self.warn_at_limit(pool);
            } else if self.retry_scans == 0 {
                self.start_spare(pool);
            }
            return;
        }
        self.has_warned = false;
        self.idle_scans = if summary.stalled + summary.away < spares { self.idle_scans.saturating_add(1) } else { 0 };
        if self.idle_scans >= SPARE_IDLE_SCANS {
            pool.worker_set.stop_spare(pool, |seat| !pool.seats[seat].is_stalled() && !pool.seats[seat].is_blocking());
            // A worker that has blocked since the scan may rely on the spare.
            pool.adjust_spares();
        }
    }

    #[cold]
    fn start_spare(&mut self, pool: &Arc<Pool>) {
        match pool.start_spare() {
            Ok(_) | Err(SpareError::Enough | SpareError::Busy | SpareError::Closed) => {}
            Err(SpareError::AtLimit) => self.warn_at_limit(pool),
            Err(SpareError::Refused(error)) => {
                self.retry_scans = SPAWN_RETRY_SCANS;
                self.warn_once(|| {
                    tracing::warn!(
                        target: "heist::stall",
                        %error,
                        "a worker is stuck in a poll, and the operating system refuses a thread in its place: raise the limit on \
                         threads (`ulimit -u`, the container's pids limit); it is tried again"
                    );
                });
            }
        }
    }

    #[cold]
    fn warn_at_limit(&mut self, pool: &Pool) {
        let (max_spares, max_blocking_spares) = (pool.settings.max_spares, pool.settings.max_blocking_spares);
        self.warn_once(|| {
            tracing::warn!(
                target: "heist::stall",
                max_spares,
                max_blocking_spares,
                "workers are stuck in polls or in `block_in_place`, and the limit on spare workers is reached: tasks wait until a worker \
                 comes back; find the tasks by `Handle::dump` or the reports before this one, or raise \
                 `Builder::max_spare_workers`, or for `block_in_place` `Builder::max_blocking_threads`"
            );
        });
    }

    /// A subscriber is user code: its panics are caught.
    fn warn_once(&mut self, log: impl FnOnce()) {
        if !std::mem::replace(&mut self.has_warned, true) {
            crate::util::wake_list::catch_user_panic("a tracing subscriber", log);
        }
    }
}

impl fmt::Debug for Rescue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rescue")
            .field("idle_scans", &self.idle_scans)
            .field("has_warned", &self.has_warned)
            .finish_non_exhaustive()
    }
}
