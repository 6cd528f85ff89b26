//! What a stalled worker cannot do is done for it: its queues, its timers, the reactor, its share
//! of the work.

use std::fmt;

use crate::pool::{Pool, Seat, WakeHelper};
use crate::queue::{Owner, Ring};
use crate::sync::Arc;
use crate::watchdog::stall::StallCause;
use crate::worker_set::spares::SpareError;

/// From this look on at the same poll a spare is worth its thread. Shorter ones happen wherever
/// there are more threads than processors, and one of them is kept waiting by a lock.
const SPARE_AFTER_SCANS: u32 = 10;

/// A spare that is not needed any more stays for so many looks, in case it is.
const SPARE_IDLE_SCANS: u32 = 50;

/// When the operating system has refused a thread, it is asked again after so many looks.
const SPAWN_RETRY_SCANS: u32 = 100;

/// What the watchdog needs in order to take things over.
pub(super) struct Rescue {
    /// For what comes out of a ring; empty between two uses.
    hand: Owner,
    /// Looks since the last in which all spares were needed.
    idle_looks: u32,
    /// Looks that have to pass before another spare is called.
    wait: u32,
    /// It has been said that there are no more spares.
    told: bool,
}

/// How the workers do, at one look.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScanSummary {
    /// Asleep, and staying.
    pub(super) asleep: usize,
    /// Getting on, and staying.
    pub(super) awake: usize,
    /// On the way to a seat, or away from it.
    pub(super) moving: usize,
    /// Out of their seats: somebody has to work in their place.
    pub(super) away: usize,
    pub(super) stalled: usize,
    /// Those of the stalled that have been so for long...
    pub(super) long: usize,
    /// ...and whose processor another thread could have.
    pub(super) blocked: usize,
}

impl ScanSummary {
    /// A worker that has been seen again in the same poll, so often and for this cause.
    pub(super) fn count_stalled(&mut self, looks: u32, cause: StallCause) {
        self.stalled += 1;
        if looks >= SPARE_AFTER_SCANS {
            self.long += 1;
            self.blocked += usize::from(cause.leaves_a_processor());
        }
    }

    /// Whether a further thread is wanted: nobody is left to poll anything; or fewer can than there
    /// should be, and something waits.
    ///
    /// A worker that computes has its processor. Another thread takes part of that away from it,
    /// which is worth it only if nothing else gets on, and for a while already.
    fn wants_spare(&self, spares: usize, waits: impl FnOnce() -> bool) -> bool {
        if self.away > spares {
            return true;
        }
        if self.long == 0 || self.asleep + self.moving > 0 {
            return false;
        }
        let nobody_is_left = self.awake == 0 && self.long == self.stalled;
        nobody_is_left || (self.blocked + self.away > spares && waits())
    }
}

impl Rescue {
    pub(super) fn new() -> Self {
        let (hand, _) = Ring::new_pair();
        Rescue { hand, idle_looks: 0, wait: 0, told: false }
    }

    /// The timers of a stalled seat get the keeper of those that nobody looks after. Its worker
    /// takes them back before it sleeps.
    pub(super) fn take_timers(&self, pool: &Pool, seat: &Seat, cause: StallCause) {
        if !seat.wheel.is_empty() && pool.adopt_timers(seat) {
            pool.stalls.count_rescue(cause);
        }
    }

    /// What waits behind a stalled poll becomes everybody's: whoever could have stolen it has not,
    /// or is too busy to search.
    pub(super) fn take_tasks(&self, pool: &Pool, seat: &Seat, cause: StallCause) {
        if pool.publish(seat.steal_all(&self.hand), WakeHelper::Now) {
            pool.stalls.count_rescue(cause);
        }
    }

    /// Calls a spare, if one is wanted, or dismisses one that has not been needed for a while.
    pub(super) fn adjust_spares(&mut self, pool: &Arc<Pool>, round: ScanSummary) {
        self.wait = self.wait.saturating_sub(1);
        let spares = pool.worker_set.active_spares();
        let waits = || pool.global.len() > 0 || pool.seats.iter().any(Seat::has_stealable_work);
        if round.wants_spare(spares, waits) {
            self.idle_looks = 0;
            if spares >= pool.settings.max_spares + round.away {
                self.tell_all_out(pool);
            } else if self.wait == 0 {
                self.start_spare(pool);
            }
            return;
        }
        self.told = false;
        self.idle_looks = if round.stalled + round.away < spares { self.idle_looks.saturating_add(1) } else { 0 };
        if self.idle_looks >= SPARE_IDLE_SCANS {
            pool.worker_set.stop_spare(pool, |seat| !pool.seats[seat].is_stalled() && !pool.seats[seat].is_blocking());
            // Somebody may have stepped out since the look, who counts on it.
            pool.start_spares();
        }
    }

    #[cold]
    fn start_spare(&mut self, pool: &Arc<Pool>) {
        match pool.start_spare() {
            Ok(_) | Err(SpareError::Enough | SpareError::NotNow | SpareError::Closed) => {}
            Err(SpareError::AllOut) => self.tell_all_out(pool),
            Err(SpareError::Refused(error)) => {
                self.wait = SPAWN_RETRY_SCANS;
                self.tell_once(|| {
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
    fn tell_all_out(&mut self, pool: &Pool) {
        let (spares, blocked_workers) = (pool.settings.max_spares, pool.settings.max_blocking_spares);
        self.tell_once(|| {
            tracing::warn!(
                target: "heist::stall",
                spares,
                blocked_workers,
                "every worker is stuck in a poll or in `block_in_place`, and there are as many spare workers as there may be: nothing runs \
                 until one comes back; find the tasks by `Handle::dump` or the reports before this one, or raise \
                 `Builder::max_spare_workers`, or for `block_in_place` `Builder::max_blocking_threads`"
            );
        });
    }

    /// A subscriber is user code: what it panics with stays here.
    fn tell_once(&mut self, tell: impl FnOnce()) {
        if !std::mem::replace(&mut self.told, true) {
            crate::util::wake_list::catch_user_panic("a tracing subscriber", tell);
        }
    }
}

impl fmt::Debug for Rescue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rescue").field("idle_looks", &self.idle_looks).field("told", &self.told).finish_non_exhaustive()
    }
}
