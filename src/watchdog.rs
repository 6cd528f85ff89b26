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

/// What the watchdog calls at each scan that finds a worker awake.
pub(crate) type PeriodicHook = Box<dyn FnMut(&Arc<Pool>) + Send>;

/// The state of the watchdog between two scans.
pub(crate) struct Watchdog {
    pool: Arc<Pool>,
    periodic_hook: PeriodicHook,
    observers: Vec<SeatObserver>,
    rescue: Rescue,
    reporter: Reporter,
    /// The sum of the progress numbers of all seats at the last scan.
    progress: u64,
    /// The last scan found all workers idle, and none has made progress since the scan before it.
    all_idle: bool,
}

impl Watchdog {
    pub(crate) fn new(pool: Arc<Pool>, periodic_hook: PeriodicHook) -> Self {
        Watchdog {
            pool,
            periodic_hook,
            observers: Vec::new(),
            rescue: Rescue::new(),
            reporter: Reporter::new(),
            progress: 0,
            all_idle: false,
        }
    }

    /// Scans until the pool closes.
    pub(crate) fn run(mut self) {
        let pool = Arc::clone(&self.pool);
        let watchdog_sleep = pool.watchdog_sleep.as_ref().expect("a pool with a watchdog has its sleep");
        watchdog_sleep.start_ticks();
        while pool.is_open() {
            watchdog_sleep.wait_for_tick();
            self.scan();
            if self.all_idle && has_wanted_spares(&pool) {
                // The phase is checked last: the shutdown fires the alarm, which may just have been
                // disarmed.
                watchdog_sleep.sleep_if(&pool.idle, || {
                    pool.seats.iter().all(|seat| is_idle(&pool, seat)) && has_wanted_spares(&pool) && pool.is_open()
                });
            }
        }
    }

    /// Makes one scan.
    fn scan(&mut self) {
        let pool = Arc::clone(&self.pool);
        pool.bump_tick();
        let now = pool.clock.now();
        let summary = self.observe_all(&pool, now);
        self.rescue.adjust_spares(&pool, summary);
        let progress = pool.seats.iter().fold(0, |sum: u64, seat| sum.wrapping_add(seat.progress()));
        let progressed = std::mem::replace(&mut self.progress, progress) != progress;
        self.all_idle = !progressed && summary.awake + summary.moving + summary.stalled == 0;
        // User code comes last: if it takes long, it delays the next scan.
        self.reporter.run_stall_hook(&pool, now);
        if !self.all_idle {
            (self.periodic_hook)(&pool);
        }
    }

    fn observe_all(&mut self, pool: &Pool, now: u64) -> ScanSummary {
        let mut summary = ScanSummary::default();
        let mut unattended: Option<StallCause> = None;
        // No thread polls the reactor. A stalled worker may have been the last to do so, and a
        // sleeper could.
        let reactor_is_free = !pool.reactor.is_driven();
        // Seats that are built meanwhile are observed at the next scan.
        self.observers.resize_with(pool.seats.len(), SeatObserver::default);
        for (seat, observer) in pool.seats.iter().zip(&mut self.observers) {
            let (status, ended) = observer.observe(pool, seat, now);
            if let Some(ended) = ended.filter(|ended| ended.reported) {
                pool.stalls.record_end(ended.lasted);
            }
            // A retiring worker counts neither as asleep nor as awake: it takes no new tasks.
            let may_stay = pool.worker_set.is_wanted(seat.index);
            match status {
                SeatStatus::Vacant => {}
                SeatStatus::Moving => summary.moving += 1,
                SeatStatus::Away => summary.away += 1,
                SeatStatus::Asleep => summary.asleep += usize::from(may_stay),
                SeatStatus::Awake => summary.awake += usize::from(may_stay),
                SeatStatus::Stalled { scans } => {
                    let cause = observer.cause(seat, now);
                    self.rescue.take_timers(pool, seat, cause);
                    if scans > 1 && pool.phase.load() < Phase::DeadlinePassed {
                        self.rescue.take_tasks(pool, seat, cause);
                    }
                    summary.count_stalled(scans, cause);
                    let report = observer.take_report(seat, now, pool.settings.stall_threshold);
                    if let (Some((lasted, cause)), Some(progress)) = (report, observer.progress()) {
                        self.reporter.record_stall(pool, seat, progress, lasted, cause);
                    }
                    if reactor_is_free || seat.has_stealable_work() || pool.global.len() > 0 {
                        // A cause other than a missing processor takes precedence.
                        unattended = unattended.filter(|&cause| cause != StallCause::Starved).or(Some(cause));
                    }
                }
            }
        }
        if let Some(cause) = unattended {
            if pool.notify() {
                pool.stalls.count_rescue(cause);
            }
        }
        summary
    }
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog")
            .field("all_idle", &self.all_idle)
            .field("rescue", &self.rescue)
            .finish_non_exhaustive()
    }
}

/// Returns true if the seat's worker sleeps or is blocked, or if the seat is vacant.
fn is_idle(pool: &Pool, seat: &Seat) -> bool {
    pool.idle.is_announced(seat.index) || !pool.worker_set.is_occupied(seat.index) || seat.is_blocking()
}

/// Returns true if there are exactly as many spares as wanted. A blocked worker is counted before
/// its seat shows that it is blocked.
fn has_wanted_spares(pool: &Pool) -> bool {
    pool.worker_set.active_spares() == pool.wanted_spares()
}

#[cfg(all(test, not(heist_loom)))]
mod tests;
