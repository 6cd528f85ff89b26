#![doc = include_str!("../docs/sentinel.md")]

use std::fmt;
use std::time::Instant;

use crate::pool::{Pool, Seat};
use crate::sync::Arc;
use crate::sync::atomic::Ordering;

/// Looks that must find everybody asleep before the sentinel sleeps, too.
const QUIET_LOOKS: u32 = 2;

/// What the sentinel does besides, at each look that finds a worker awake.
pub(crate) type Chore = Box<dyn FnMut(&Arc<Pool>) + Send>;

/// The sentinel's memory between two looks.
pub(crate) struct Sentinel {
    pool: Arc<Pool>,
    chore: Chore,
    /// Each seat's poll number at the last look.
    polls: Vec<u64>,
    quiet: u32,
}

impl Sentinel {
    pub(crate) fn new(pool: Arc<Pool>, chore: Chore) -> Self {
        let polls = vec![u64::MAX; pool.staff.most()];
        Sentinel { pool, chore, polls, quiet: 0 }
    }

    /// Looks until the pool closes.
    pub(crate) fn run(mut self) {
        while self.pool.is_open() {
            self.look();
            if self.quiet < QUIET_LOOKS {
                self.pool.sentinel.park(Some(Instant::now() + self.pool.settings.tick));
            } else {
                self.rest();
            }
        }
    }

    /// One look.
    fn look(&mut self) {
        self.pool.look_around();
        let mut awake = false;
        let mut stranded = false;
        let deserted = !self.pool.reactor.is_turned();
        for (seat, polls) in self.pool.seats.iter().zip(&mut self.polls) {
            let asleep = sleeps(&self.pool, seat);
            let now = seat.stats.polls.get();
            let stalled = !asleep && now == std::mem::replace(polls, now);
            seat.set_stalled(stalled);
            awake |= !asleep;
            // Nobody turns the reactor: the stalled one was the last to do so, and a sleeper could.
            stranded |= stalled && (deserted || seat.has_spare_work() || self.pool.global.len() > 0);
        }
        if stranded {
            self.pool.notify();
        }
        self.quiet = if awake { 0 } else { self.quiet + 1 };
        if awake {
            (self.chore)(&self.pool);
        }
    }

    /// Sleeps until a worker is busy.
    fn rest(&mut self) {
        // Ordering: Release — pairs with the swap in `Pool::sentinel_wake`.
        self.pool.sentinel_rests.store(true, Ordering::Release);
        if self.pool.is_open() && self.pool.seats.iter().all(|seat| sleeps(&self.pool, seat)) {
            self.pool.sentinel.park(None);
        }
        // Ordering: Relaxed — ours; a waker that comes now unparks for nothing.
        self.pool.sentinel_rests.store(false, Ordering::Relaxed);
        self.quiet = 0;
    }
}

impl fmt::Debug for Sentinel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentinel").field("quiet", &self.quiet).finish_non_exhaustive()
    }
}

/// Whether the seat's worker sleeps, or there is none.
fn sleeps(pool: &Pool, seat: &Seat) -> bool {
    pool.idle.is_announced(seat.index) || !pool.staff.is_taken(seat.index)
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::Sentinel;
    use crate::blocking::{self, BlockingPool};
    use crate::pool::{Pool, Settings};
    use crate::sync::Arc;

    /// Seat 0 is stalled from the second look on, the worker of seat 1 sleeps on its parker. It is woken only if the reactor is free.
    #[test]
    fn a_stalled_worker_has_the_reactor_turned_by_another() {
        let blocking = BlockingPool::new(blocking::Settings::default());
        let pool = Pool::new(Settings::new(2), blocking).expect("a reactor");
        pool.idle.announce(1, false);
        let mut sentinel = Sentinel::new(Arc::clone(&pool), Box::new(|_| {}));
        sentinel.look();
        let turn = pool.reactor.try_turn().expect("nobody else turns it");
        sentinel.look();
        sentinel.look();
        assert!(pool.idle.is_announced(1));
        drop(turn);
        sentinel.look();
        assert!(!pool.idle.is_announced(1));
        let _ = (pool.idle.retract(1, false), pool.idle.found());
    }
}
