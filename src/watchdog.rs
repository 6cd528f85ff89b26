#![doc = include_str!("../docs/watchdog.md")]

mod consolidation;
mod consolidation_policy;
mod processor_use;
mod seat_observer;
pub(crate) mod sleep;
pub(crate) mod stall;

use std::fmt;
use std::time::Duration;

use consolidation::Consolidation;
use seat_observer::{SeatObserver, SeatStatus};

use crate::group::priority::Priority;
use crate::phase::Phase;
use crate::pool::{Pool, Seat, WakeHelper};
use crate::primitive::Arc;
use crate::queue::{CAPACITY, Owner, Ring};
use crate::recorder::triggers::SnapshotReason;
use crate::util::rate_limit::RateLimit;
use crate::util::wake_list::catch_user_panic;
use crate::watchdog::stall::{StallCause, StallReport};
use crate::worker_set::spares::SpareError;

/// What the watchdog calls at each scan that finds a worker awake.
pub(crate) type PeriodicHook = Box<dyn FnMut(&Arc<Pool>) + Send>;

/// The state of the watchdog between two scans.
pub(crate) struct Watchdog {
    pool: Arc<Pool>,
    periodic_hook: PeriodicHook,
    observers: Vec<SeatObserver>,
    rescue: Rescue,
    reporter: Reporter,
    /// Unless the setting is off.
    consolidation: Option<Consolidation>,
    /// The sum of the progress numbers of all seats at the last scan.
    progress: u64,
    /// The last scan found all workers idle, and none has made progress since the scan before it.
    all_idle: bool,
    /// The number of scans in a row that have found all workers idle, though some had made
    /// progress.
    light_scans: u32,
    /// The number of scans in a row that have found all workers idle. A sleep in between does not
    /// end the row.
    idle_scans: u32,
    /// After so many such scans in a row, workers may put the watchdog to sleep. It doubles each
    /// time that they do so too often.
    idle_scans_for_grant: u32,
    /// How many times workers were allowed to put the watchdog to sleep at the last scan, and the
    /// time of it.
    granted: u32,
    granted_at: u64,
}

/// How many times workers may put the watchdog to sleep from one scan to the next.
const GRANTED_SLEEPS: u32 = 32;

/// The most idle scans before a grant.
const MAX_SCANS_FOR_GRANT: u32 = 1024;

/// If workers use the grant faster than once in so many nanoseconds, it costs more than the scans
/// that it saves.
const MIN_GRANT_INTERVAL: u64 = 3_000_000;

/// After so many scans that find all workers idle, the time between two scans doubles.
const LIGHT_SCANS: u32 = 8;

impl Watchdog {
    pub(crate) fn new(pool: Arc<Pool>, periodic_hook: PeriodicHook) -> Self {
        Watchdog {
            consolidation: pool.settings.consolidate.then(|| Consolidation::new(&pool)),
            pool,
            periodic_hook,
            observers: Vec::new(),
            rescue: Rescue::new(),
            reporter: Reporter::new(),
            progress: 0,
            all_idle: false,
            light_scans: 0,
            idle_scans: 0,
            idle_scans_for_grant: LIGHT_SCANS,
            granted: 0,
            granted_at: 0,
        }
    }

    /// Returns the number of ticks from one scan to the next. Under a light load, a scan finds all
    /// workers idle, and every fourth tick is enough.
    fn period(&self) -> u32 {
        1 << (self.light_scans / LIGHT_SCANS).min(2)
    }

    /// Scans until the pool closes.
    pub(crate) fn run(mut self) {
        let pool = Arc::clone(&self.pool);
        let watchdog_sleep = pool.watchdog_sleep.as_ref().expect("a pool with a watchdog has its sleep");
        watchdog_sleep.set_period(1);
        while pool.is_open() {
            watchdog_sleep.wait_for_tick();
            let period = self.period();
            self.scan();
            if self.period() != period {
                watchdog_sleep.set_period(self.period());
            }
            if self.all_idle && needs_no_scan(&pool) {
                self.light_scans = 0;
                watchdog_sleep.sleep_if(&pool.idle, || may_sleep(&pool));
            }
        }
    }

    /// Makes one scan.
    fn scan(&mut self) {
        let pool = Arc::clone(&self.pool);
        pool.bump_tick();
        let now = pool.clock.now();
        let summary = self.observe_all(&pool, now);
        let has_slept = self.end_grant(&pool, now);
        if let Some(consolidation) = &mut self.consolidation {
            if has_slept {
                consolidation.pause(&pool, now);
            }
            consolidation.scan(&pool, now, summary);
        }
        self.rescue.adjust_spares(&pool, summary);
        let progress = pool.seats.iter().fold(0, |sum: u64, seat| sum.wrapping_add(seat.progress()));
        let progressed = std::mem::replace(&mut self.progress, progress) != progress;
        let are_idle = summary.are_idle();
        self.all_idle = are_idle && !progressed;
        self.light_scans = if are_idle { self.light_scans.saturating_add(1) } else { 0 };
        self.idle_scans = if are_idle { self.idle_scans.saturating_add(1) } else { 0 };
        self.grant_sleeps(&pool, now);
        if let Some(consolidation) = self.consolidation.as_mut().filter(|_| self.all_idle) {
            consolidation.pause(&pool, now);
        }
        // User code comes last: if it takes long, it delays the next scan.
        self.reporter.run_stall_hook(&pool, now);
        self.consolidation.iter_mut().for_each(Consolidation::log_change);
        if !self.all_idle {
            (self.periodic_hook)(&pool);
        }
    }

    /// Takes back what is left of the last grant. Returns true if workers have used it, and so have
    /// put the watchdog to sleep since the last scan.
    fn end_grant(&mut self, pool: &Pool, now: u64) -> bool {
        let Some(watchdog_sleep) = &pool.watchdog_sleep else { return false };
        let used = self.granted.saturating_sub(watchdog_sleep.grant_sleeps(0));
        if used == 0 {
            return false;
        }
        // The thread that sets the alarm sets the shortest period.
        self.light_scans = 0;
        self.idle_scans_for_grant = if now.saturating_sub(self.granted_at) < u64::from(used) * MIN_GRANT_INTERVAL {
            self.idle_scans = 0;
            MAX_SCANS_FOR_GRANT.min(2 * self.idle_scans_for_grant)
        } else {
            LIGHT_SCANS
        };
        true
    }

    /// Under a light load, allows the last worker that goes to sleep to put the watchdog to sleep,
    /// too. That is a system call, where a scan is a wake-up of this thread.
    fn grant_sleeps(&mut self, pool: &Pool, now: u64) {
        self.granted = if self.idle_scans >= self.idle_scans_for_grant { GRANTED_SLEEPS } else { 0 };
        self.granted_at = now;
        if let Some(watchdog_sleep) = &pool.watchdog_sleep {
            let _ = watchdog_sleep.grant_sleeps(self.granted);
        }
    }

    fn observe_all(&mut self, pool: &Pool, now: u64) -> ScanSummary {
        let mut summary = ScanSummary::default();
        let mut unattended: Option<StallCause> = None;
        // A worker in a foreign waker or a hook may count as a searcher, on which all others rely.
        let mut stuck_between_polls: Option<StallCause> = None;
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
            summary.count_in_group(pool, seat, status);
            // A retiring worker counts neither as asleep nor as awake: it takes no new tasks.
            let may_stay = pool.worker_set.is_wanted(seat.index);
            match status {
                SeatStatus::Vacant => {}
                SeatStatus::Moving => summary.moving += 1,
                SeatStatus::Resting => summary.resting += 1,
                SeatStatus::Away => summary.away += 1,
                SeatStatus::Asleep => summary.asleep += usize::from(may_stay),
                SeatStatus::Awake => summary.awake += usize::from(may_stay),
                SeatStatus::Stalled { scans } => {
                    let cause = observer.cause(seat, now);
                    // Where it lacks a processor, another thread would lack one, too.
                    if cause != StallCause::Starved && !seat.polling.is_polling() {
                        stuck_between_polls = Some(cause);
                    }
                    self.rescue.take_timers(pool, seat, cause);
                    if scans > 1 && pool.phase.load() < Phase::DeadlinePassed {
                        self.rescue.take_tasks(pool, seat, cause);
                    }
                    summary.count_stalled(scans, cause);
                    let report = observer.take_report(seat, now, pool.settings.stall_threshold);
                    if let (Some((lasted, cause)), Some(progress)) = (report, observer.progress()) {
                        self.reporter.record_stall(pool, seat, progress, lasted, cause);
                    }
                    let has_ready_group = pool.groups.ready.is_ready(pool.lowest_to_wake_for());
                    if reactor_is_free || seat.has_stealable_work() || pool.global.len() > 0 || has_ready_group {
                        // A cause other than a missing processor takes precedence.
                        unattended = unattended.filter(|&cause| cause != StallCause::Starved).or(Some(cause));
                    }
                }
            }
        }
        if unattended.is_none() && stuck_between_polls.is_some() && pool.seats.iter().any(Seat::has_stealable_work) {
            unattended = stuck_between_polls;
        }
        if let Some(cause) = unattended {
            if pool.notify() || stuck_between_polls.is_some() && pool.notify_beside_searchers() {
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

/// Returns true if the watchdog may sleep: all workers are idle, and nothing else needs a scan.
///
/// The phase is checked last: a shutdown fires the alarm, which may just have been disarmed.
pub(crate) fn may_sleep(pool: &Pool) -> bool {
    pool.seats.iter().all(|seat| is_idle(pool, seat)) && needs_no_scan(pool) && pool.is_open()
}

/// Returns true if there are exactly as many spares as wanted, and no worker rests. A blocked
/// worker is counted before its seat shows that it is blocked.
fn needs_no_scan(pool: &Pool) -> bool {
    pool.worker_set.num_spares() == pool.wanted_spares() && pool.worker_set.num_resting() == 0
}

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
        pool.recorder.record_stall(seat.index, task.as_ref().map(|task| task.id), lasted);
        self.pending.push(StallReport {
            worker: seat.index,
            thread: seat.tid().map(|thread| thread.get()),
            task: task.as_ref().map(|task| task.id),
            location: task.as_ref().map(|task| task.location),
            group: task.as_ref().and_then(|task| task.group.clone()),
            name: task.and_then(|task| task.name),
            lasted,
            cause,
        });
    }

    /// Calls the hook and logs. Both are user code: no internal lock is held, and panics are
    /// caught.
    pub(super) fn run_stall_hook(&mut self, pool: &Pool, now: u64) {
        if !self.pending.is_empty() {
            pool.save_snapshot(SnapshotReason::Stall);
        }
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
                group = report.group.as_deref(),
                location = report.location.map(tracing::field::display),
                lasted = ?report.lasted,
                cause = %report.cause,
                more,
                "{report}"
            );
        });
    }
}

/// From this scan of the same poll on, a spare is worth its thread. Shorter stalls are common if
/// there are more threads than processors and a lock keeps one of them waiting.
const SPARE_AFTER_SCANS: u32 = 10;

/// From this count of scans on, a spare is in reserve; and the highest count.
const RESERVE_AFTER_SCANS: u32 = 6;
const MAX_GROUP_SCANS: u32 = 64;

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
    /// Rises at each scan that finds all workers in long polls of groups, and falls at all others.
    group_scans: u32,
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
    /// Starting, or exiting.
    pub(super) moving: usize,
    /// At rest, until the consolidation needs them.
    pub(super) resting: usize,
    /// Blocked in `block_in_place`: each needs a spare.
    pub(super) away: usize,
    pub(super) stalled: usize,
    /// The stalled workers that wait for a processor.
    pub(super) starved: usize,
    /// The stalled workers that have been so for long.
    pub(super) long_stalled: usize,
    /// Those of `long_stalled` whose processor another thread could have.
    pub(super) blocked: usize,
    /// The workers that are no spares, and neither rest nor block.
    pub(super) base: usize,
    /// Those of `base` that are stalled in a group that others go before.
    pub(super) in_group: usize,
}

impl ScanSummary {
    /// Counts the worker if it is no spare, and whether it is in a long poll of a group that others
    /// go before.
    fn count_in_group(&mut self, pool: &Pool, seat: &Seat, status: SeatStatus) {
        let works = !matches!(status, SeatStatus::Vacant | SeatStatus::Resting | SeatStatus::Away);
        if !works || seat.index >= pool.worker_set.target() {
            return;
        }
        self.base += 1;
        if matches!(status, SeatStatus::Stalled { .. }) {
            let group = seat.polling.group().filter(|group| group.settings.priority < Priority::Latency);
            self.in_group += usize::from(group.is_some());
        }
    }

    /// Returns true if all workers but spares are in long polls of groups that others go before.
    fn are_all_in_groups(&self) -> bool {
        self.base > 0 && self.in_group == self.base
    }

    /// Counts a stalled worker, seen so often in the same poll, with this cause.
    pub(super) fn count_stalled(&mut self, scans: u32, cause: StallCause) {
        self.stalled += 1;
        self.starved += usize::from(cause == StallCause::Starved);
        if scans >= SPARE_AFTER_SCANS {
            self.long_stalled += 1;
            self.blocked += usize::from(cause.leaves_a_processor());
        }
    }

    /// Returns true if no worker polls, or is about to.
    pub(super) fn are_idle(&self) -> bool {
        self.awake + self.moving + self.stalled == 0
    }

    /// Returns true if no worker should rest: another one does not come back.
    pub(super) fn needs_all_workers(&self) -> bool {
        self.stalled - self.starved + self.away > 0
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
        if self.long_stalled == 0 || self.asleep + self.moving + self.resting > 0 {
            return false;
        }
        // If all wait for a processor, a spare would wait for one, too.
        let none_progresses = self.awake == 0 && self.long_stalled == self.stalled && self.starved < self.stalled;
        none_progresses || (self.blocked + self.away > spares && has_waiting_tasks())
    }
}

impl Rescue {
    pub(super) fn new() -> Self {
        let (scratch_ring, _) = Ring::new_pair();
        Rescue { scratch_ring, idle_scans: 0, group_scans: 0, retry_scans: 0, has_warned: false }
    }

    /// Adds the wheel of a stalled seat to the orphan wheels. Its worker takes it back at a
    /// checkpoint, or before it sleeps.
    pub(super) fn take_timers(&self, pool: &Pool, seat: &Seat, cause: StallCause) {
        if !seat.wheel.is_empty() && pool.adopt_timers(seat) {
            pool.stalls.count_rescue(cause);
            pool.recorder.record_rescue(seat.index);
        }
    }

    /// Moves the tasks of a stalled seat to the global queue. No searcher has stolen them: all
    /// workers are too busy to search, or the woken one has not begun yet.
    pub(super) fn take_tasks(&self, pool: &Pool, seat: &Seat, cause: StallCause) {
        if pool.publish(seat.steal_most(&self.scratch_ring, 2 * CAPACITY), WakeHelper::Now) {
            pool.stalls.count_rescue(cause);
            pool.recorder.record_rescue(seat.index);
        }
    }

    /// Starts a spare if one is wanted, or stops one that has not been needed for a while.
    pub(super) fn adjust_spares(&mut self, pool: &Arc<Pool>, summary: ScanSummary) {
        self.retry_scans = self.retry_scans.saturating_sub(1);
        let spares = pool.worker_set.num_spares();
        if self.wants_reserve(pool, summary) && spares == 0 && pool.settings.max_spares > 0 {
            if self.retry_scans == 0 {
                self.start_spare(pool);
            }
            return;
        }
        let has_waiting_tasks = || {
            pool.global.len() > 0
                || pool.groups.ready.is_ready(Priority::Background)
                || pool.seats.iter().any(Seat::has_stealable_work)
        };
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
        self.idle_scans = if summary.stalled - summary.starved + summary.away < spares {
            self.idle_scans.saturating_add(1)
        } else {
            0
        };
        if self.idle_scans >= SPARE_IDLE_SCANS {
            pool.worker_set.stop_spare(pool, |seat| !pool.seats[seat].is_stalled() && !pool.seats[seat].is_blocking());
            // A worker that has blocked since the scan may rely on the spare.
            pool.adjust_spares();
        }
    }

    /// Returns true if a spare should be in reserve, because all workers are in long polls of
    /// groups that others go before.
    ///
    /// A task of higher priority then wakes the spare. The operating system gives it a processor,
    /// sooner than a poll ends.
    fn wants_reserve(&mut self, pool: &Pool, summary: ScanSummary) -> bool {
        self.group_scans = if summary.are_all_in_groups() {
            (self.group_scans + 1).min(MAX_GROUP_SCANS)
        } else {
            self.group_scans.saturating_sub(1)
        };
        let wanted = self.group_scans >= RESERVE_AFTER_SCANS;
        // If a worker is blocked, the spare works in its place. So it serves all groups.
        if pool.groups.set_reserving(self.group_scans > 0 && summary.blocked + summary.away == 0) {
            pool.notify();
        }
        wanted
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
            catch_user_panic("a tracing subscriber", log);
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

#[cfg(all(test, not(heist_loom)))]
mod tests;
