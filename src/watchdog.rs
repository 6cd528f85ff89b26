#![doc = include_str!("../docs/watchdog.md")]

mod report;
mod rescue;
mod seat_observer;
pub(crate) mod sleep;
pub(crate) mod stall;

use std::fmt;

use report::Reporter;
use rescue::{Rescue, ScanSummary};
use seat_observer::{SeatObserver, SeatStatus};

use crate::phase::Phase;
use crate::pool::{Pool, Seat};
use crate::sync::Arc;
use crate::watchdog::stall::StallCause;

/// What the watchdog does besides, at each look that finds a worker awake.
pub(crate) type PeriodicHook = Box<dyn FnMut(&Arc<Pool>) + Send>;

/// The watchdog's memory between two looks.
pub(crate) struct Watchdog {
    pool: Arc<Pool>,
    periodic_hook: PeriodicHook,
    watched: Vec<SeatObserver>,
    rescue: Rescue,
    reporter: Reporter,
    /// The progress of all seats at the last look.
    progress: u64,
    /// That look found everybody asleep, and that nobody has been up since the one before it.
    quiet: bool,
}

impl Watchdog {
    pub(crate) fn new(pool: Arc<Pool>, chore: PeriodicHook) -> Self {
        Watchdog {
            pool,
            periodic_hook: chore,
            watched: Vec::new(),
            rescue: Rescue::new(),
            reporter: Reporter::new(),
            progress: 0,
            quiet: false,
        }
    }

    /// Looks until the pool closes.
    pub(crate) fn run(mut self) {
        let pool = Arc::clone(&self.pool);
        let watchdog_sleep = pool.watchdog_sleep.as_ref().expect("a pool with a watchdog has one");
        watchdog_sleep.start_ticks();
        while pool.is_open() {
            watchdog_sleep.wait_for_tick();
            self.scan();
            if self.quiet && has_its_spares(&pool) {
                // The end is looked for last: the alarm that says so may be the one that has just
                // been switched off.
                watchdog_sleep.sleep_if(&pool.idle, || {
                    pool.seats.iter().all(|seat| sleeps(&pool, seat)) && has_its_spares(&pool) && pool.is_open()
                });
            }
        }
    }

    /// One look.
    fn scan(&mut self) {
        let pool = Arc::clone(&self.pool);
        pool.bump_tick();
        let now = pool.clock.now();
        let round = self.look_at_all(&pool, now);
        self.rescue.adjust_spares(&pool, round);
        let progress = pool.seats.iter().fold(0, |sum: u64, seat| sum.wrapping_add(seat.progress()));
        let got_on = std::mem::replace(&mut self.progress, progress) != progress;
        self.quiet = !got_on && round.awake + round.moving + round.stalled == 0;
        // User code comes last: what it holds up is the next look.
        self.reporter.run_stall_hook(&pool, now);
        if !self.quiet {
            (self.periodic_hook)(&pool);
        }
    }

    fn look_at_all(&mut self, pool: &Pool, now: u64) -> ScanSummary {
        let mut round = ScanSummary::default();
        let mut stranded: Option<StallCause> = None;
        // Nobody turns the reactor: if somebody is stalled it was the last to do so, and a sleeper
        // could.
        let deserted = !pool.reactor.is_driven();
        // Seats that come later are looked at the next time.
        self.watched.resize_with(pool.seats.len(), SeatObserver::default);
        for (seat, watched) in pool.seats.iter().zip(&mut self.watched) {
            let (sight, ended) = watched.observe(pool, seat, now);
            if let Some(ended) = ended.filter(|ended| ended.reported) {
                pool.stalls.record_end(ended.lasted);
            }
            // Who is to leave counts on nobody's side: it takes nothing new.
            let stays = pool.worker_set.is_wanted(seat.index);
            match sight {
                SeatStatus::Vacant => {}
                SeatStatus::Moving => round.moving += 1,
                SeatStatus::Away => round.away += 1,
                SeatStatus::Asleep => round.asleep += usize::from(stays),
                SeatStatus::Awake => round.awake += usize::from(stays),
                SeatStatus::Stalled { looks } => {
                    let cause = watched.cause(seat, now);
                    self.rescue.take_timers(pool, seat, cause);
                    if looks > 1 && pool.phase.load() < Phase::DeadlinePassed {
                        self.rescue.take_tasks(pool, seat, cause);
                    }
                    round.count_stalled(looks, cause);
                    let report = watched.take_report(seat, now, pool.settings.stall_threshold);
                    if let (Some((lasted, cause)), Some(number)) = (report, watched.number()) {
                        self.reporter.record_stall(pool, seat, number, lasted, cause);
                    }
                    if deserted || seat.has_stealable_work() || pool.global.len() > 0 {
                        // Another cause than a missing processor takes precedence.
                        stranded = stranded.filter(|&cause| cause != StallCause::Starved).or(Some(cause));
                    }
                }
            }
        }
        if let Some(cause) = stranded {
            if pool.notify() {
                pool.stalls.count_rescue(cause);
            }
        }
        round
    }
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog").field("quiet", &self.quiet).field("rescue", &self.rescue).finish_non_exhaustive()
    }
}

/// Whether the seat's worker sleeps, or has stepped out, or there is none.
fn sleeps(pool: &Pool, seat: &Seat) -> bool {
    pool.idle.is_announced(seat.index) || !pool.worker_set.is_occupied(seat.index) || seat.is_blocking()
}

/// Whether there are as many spares as there have to be, and no more. They have been counted before
/// the workers that are out can be seen to be.
fn has_its_spares(pool: &Pool) -> bool {
    pool.worker_set.active_spares() == pool.wanted_spares()
}

#[cfg(all(test, not(heist_loom)))]
mod tests;
