//! The pool: everything that the workers of one runtime share.

mod block_on_queue;
pub(crate) mod current_task;
pub(crate) mod hooks;
mod identity;
pub(crate) mod local;
mod local_slot;
pub(crate) mod peer_observer;
pub(crate) mod poll_time;
mod queue_times;
pub(crate) mod recent_steals;
mod seat;
mod seat_table;
mod settings;

use std::io;

pub(crate) use block_on_queue::BlockOnQueue;
pub(crate) use identity::HomeThread;
pub use identity::Id;
#[cfg(test)]
pub(crate) use local_slot::LocalSlot;
use queue_times::QueueTimes;
pub(crate) use seat::Seat;
pub(crate) use seat_table::SeatTable;
pub(crate) use settings::{Follow, HistogramSettings, Hook, Settings};

use crate::block_in_place::blocked_workers::BlockedWorkers;
use crate::blocking::BlockingPool;
use crate::clock::Clock;
use crate::drain::state::DrainState;
use crate::group::priority::Priority;
use crate::group::table::GroupTable;
use crate::idle::Idle;
use crate::park::Unpark;
use crate::phase::{AtomicPhase, Phase};
use crate::pool::current_task::CurrentTask;
use crate::primitive::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::primitive::{Arc, CachePadded, Simulation, charge_inspection};
use crate::queue::{Chain, GlobalQueue};
use crate::raw_task::{self, Runnable};
use crate::reactor::Reactor;
use crate::recorder::Recorder;
use crate::recorder::record::{Kind, Record};
use crate::shutdown::live_threads::LiveThreads;
use crate::task_alloc::Depot;
use crate::timer::orphan_wheels::OrphanWheels;
use crate::timer::{SleeperWaker, TimerWheel};
use crate::util::wake_list::catch_user_panic;
use crate::watchdog::sleep::WatchdogSleep;
use crate::watchdog::stall::StallCounts;
use crate::worker_set::WorkerSet;

/// Selects when a push to the global queue wakes a helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WakeHelper {
    /// By the full handshake of [the idle page](crate::idle).
    Now,
    /// The caller decides after the push.
    Later,
}

/// The upper limit of events per reactor poll, whatever the settings. Memory for them is allocated
/// at once.
const MOST_EVENTS: usize = 1 << 16;

/// The pool. It always lives in an [`Arc`]: [`Pool::to_arc`] relies on that.
///
/// The runtime, handles and worker threads keep it alive, and so does a thread during a wake from
/// outside. A task that has not ended points into the pool without keeping it alive. So the
/// shutdown ends all tasks, or leaks the pool.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) id: Id,
    pub(crate) seats: SeatTable,
    /// Which seats should have workers, and which have.
    pub(crate) worker_set: WorkerSet,
    pub(crate) idle: Idle,
    pub(crate) global: GlobalQueue,
    pub(crate) reactor: Arc<Reactor>,
    /// The wheel of threads without a seat. The worker that sleeps in the reactor wakes for it.
    pub(crate) shared_wheel: Arc<TimerWheel>,
    /// The wheels of seats that are vacant, stalled or in a blocking section. The worker that
    /// sleeps in the reactor wakes for them, too.
    pub(crate) orphan_wheels: OrphanWheels,
    pub(crate) clock: Clock,
    /// The simulation whose threads run the tasks.
    pub(crate) simulation: Simulation,
    pub(crate) phase: CachePadded<AtomicPhase>,
    /// The watchdog advances it while any worker is awake. So do a drain, a shutdown and a resize.
    /// A changed tick makes a worker check the phase, its seat state, the reactor, the timers and
    /// the queues.
    pub(crate) tick: CachePadded<AtomicU32>,
    /// The watchdog's sleep, if there is a watchdog.
    pub(crate) watchdog_sleep: Option<WatchdogSleep>,
    pub(crate) blocking: Arc<BlockingPool>,
    /// The depot of free task allocations that the workers exchange.
    pub(crate) depot: Arc<Depot>,
    /// Worker threads that have not exited.
    pub(crate) live_threads: LiveThreads,
    /// Threads in `block_on` that wait to drive a current-thread runtime.
    pub(crate) block_on_queue: BlockOnQueue,
    /// The gate, the counts of a drain, and its report.
    pub(crate) drain_state: DrainState,
    /// The task that the reaper drops at the moment.
    pub(crate) reaper_task: CurrentTask,
    /// The workers in blocking sections.
    pub(crate) blocked_workers: BlockedWorkers,
    /// The watchdog's counts of stalls.
    pub(crate) stalls: StallCounts,
    /// The flight recorder.
    pub(crate) recorder: Recorder,
    /// The groups of tasks, and those of them that are ready.
    pub(crate) groups: GroupTable,
    /// A task has panicked, and the runtime is to shut down for that.
    panicked: AtomicBool,
    /// When tasks were queued, if hooks or histograms need it.
    queue_times: Option<QueueTimes>,
    /// Forced yields of futures in `block_on`, which no seat counts.
    pub(crate) forced_root_yields: AtomicU64,
    pub(crate) settings: Settings,
}

/// The sleeper waker of a seat's wheel. It wakes the seat's worker if a new deadline is before the
/// end of the worker's sleep. For an orphan wheel it wakes the worker that sleeps in the reactor.
#[derive(Debug)]
struct SeatWaker {
    pool: crate::primitive::Weak<Pool>,
    seat: usize,
}

impl SleeperWaker for SeatWaker {
    fn wake(&self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.unpark(self.seat);
        }
    }

    fn wake_backup(&self) {
        if let Some(pool) = self.pool.upgrade() {
            interrupt(&pool.reactor);
        }
    }
}

/// The sleeper waker of the shared wheel. It wakes the worker that sleeps in the reactor.
#[derive(Debug)]
struct SharedWheelWaker(Arc<Reactor>);

impl SleeperWaker for SharedWheelWaker {
    fn wake(&self) {
        interrupt(&self.0);
    }
}

/// Wakes the worker that sleeps in the reactor.
pub(crate) fn interrupt(reactor: &Reactor) {
    if let Err(error) = reactor.interrupt() {
        catch_user_panic("a tracing subscriber", || {
            tracing::error!(target: "heist::worker", %error, "could not wake the thread that sleeps in the reactor");
        });
    }
}

/// No user code runs under a lock of the pool, so a panic of user code leaves nothing inconsistent.
/// Handles and runtimes inherit this.
impl std::panic::RefUnwindSafe for Pool {}

impl Pool {
    /// Returns a pool without workers.
    pub(crate) fn new(settings: Settings, blocking: Arc<BlockingPool>) -> io::Result<Arc<Pool>> {
        let reactor = Arc::new(Reactor::new(
            settings.shards(),
            settings.events_busy.min(MOST_EVENTS),
            settings.events_parked.min(MOST_EVENTS),
        )?);
        let clock = if settings.current_thread { Clock::pausable(settings.start_paused) } else { Clock::new() };
        let recorder = Recorder::new(clock.clone(), settings.recorder_bytes);
        let pool = Arc::new(Pool {
            id: Id::next(),
            seats: SeatTable::new(settings.max_workers + settings.all_spares()),
            worker_set: WorkerSet::new(settings.workers, settings.max_workers, settings.all_spares()),
            idle: Idle::new(settings.max_workers + settings.all_spares()),
            global: GlobalQueue::new(settings.lanes()),
            shared_wheel: Arc::new(TimerWheel::new(clock.clone(), Arc::new(SharedWheelWaker(Arc::clone(&reactor))))),
            orphan_wheels: OrphanWheels::new(),
            reactor,
            clock,
            simulation: Simulation::of_this_thread(),
            phase: CachePadded::new(AtomicPhase::new()),
            tick: CachePadded::new(AtomicU32::new(0)),
            watchdog_sleep: if settings.watchdog { Some(WatchdogSleep::new(settings.tick)?) } else { None },
            blocking,
            depot: Depot::new(settings.workers),
            live_threads: LiveThreads::new(),
            block_on_queue: BlockOnQueue::default(),
            drain_state: DrainState::new(),
            reaper_task: CurrentTask::new(),
            blocked_workers: BlockedWorkers::new(),
            stalls: StallCounts::new(),
            recorder,
            groups: GroupTable::new(settings.group_min_share),
            panicked: AtomicBool::new(false),
            queue_times: settings.queue_times.then(QueueTimes::new),
            forced_root_yields: AtomicU64::new(0),
            settings,
        });
        pool.init_seats(pool.settings.workers);
        Ok(pool)
    }

    /// Creates the seats below `count`. Must be called by one thread at a time.
    pub(crate) fn init_seats(self: &Arc<Pool>, count: usize) {
        self.seats.init_up_to(count, |index| {
            let sleeper_waker = Arc::new(SeatWaker { pool: Arc::downgrade(self), seat: index });
            let seat = Seat::new(index, &self.settings, Arc::new(TimerWheel::new(self.clock.clone(), sleeper_waker)));
            seat.set_pool(Arc::as_ptr(self));
            seat
        });
    }

    /// Returns true if tasks of this pool may be polled, and their futures dropped, on this thread.
    /// A local pool allows that only on its own thread.
    pub(crate) fn may_poll_here(&self) -> bool {
        self.settings.own_thread.is_none_or(HomeThread::is_here)
    }

    /// Returns true if the pool is local: its futures need not be `Send`.
    pub(crate) fn is_local(&self) -> bool {
        self.settings.own_thread.is_some()
    }

    /// Returns a reference that keeps the pool alive, from one that does not.
    pub(crate) fn to_arc(&self) -> Arc<Pool> {
        // SAFETY: a pool lives in an `Arc`, which the caller's borrow keeps alive during this call.
        unsafe { Arc::increment_strong_count(self) };
        // SAFETY: the count has just been raised for this reference.
        unsafe { Arc::from_raw(self) }
    }

    /// Returns the number of workers that share the work. Never zero.
    #[inline]
    pub(crate) fn workers(&self) -> usize {
        self.worker_set.num_occupied().saturating_sub(self.worker_set.num_resting()).max(1)
    }

    /// Returns the number of workers that are no spares. Never zero.
    pub(crate) fn base_workers(&self) -> usize {
        self.worker_set.num_base_workers()
    }

    /// Returns about how many workers are awake and not blocking, the caller included.
    pub(crate) fn awake_workers(&self) -> usize {
        let asleep = usize::try_from(self.idle.counts().sleepers()).unwrap_or(0);
        self.workers().saturating_sub(asleep + self.blocked_workers.count()).max(1)
    }

    /// Queues a woken task from a thread without a seat.
    ///
    /// Once the task is queued, it may end, and the runtime with it. So the pool is kept alive
    /// until a helper has been woken.
    #[cold]
    pub(crate) fn push_remote(&self, runnable: Runnable) {
        let pool = self.to_arc();
        pool.simulation.check_thread(|| format!("wakes {}", runnable.header().description()));
        let id = runnable.header().id();
        pool.recorder.record_outside(|at| Record::of_id(Kind::Wake, at, id));
        if pool.settings.queue_times {
            pool.record_queue_time(runnable.header());
        }
        pool.global.push_woken(runnable);
        pool.announce_published(WakeHelper::Now, Some(id));
    }

    /// Queues a chain of tasks that waited in one place. Returns false if the chain is empty.
    ///
    /// While the caller had the tasks in hand, neither a searcher nor the reaper could find them.
    /// So this rechecks the deadline and, with [`WakeHelper::Now`], wakes a helper. With
    /// [`WakeHelper::Later`], the caller wakes one afterwards.
    pub(crate) fn publish(&self, tasks: Chain, wake: WakeHelper) -> bool {
        let some = !tasks.is_empty();
        if some {
            self.global.push_chain(tasks);
            self.announce_published(wake, None);
        }
        some
    }

    /// Follows each push to the global queue. `id` is the task's, if it may be exempt from a drain.
    #[inline]
    pub(crate) fn announce_published(&self, wake: WakeHelper, id: Option<raw_task::Id>) {
        if wake == WakeHelper::Now {
            self.notify();
        }
        self.recheck_deadline(id);
    }

    /// Queues tasks that the reaper or a worker took out after the deadline. As [`Pool::publish`],
    /// but the reaper is not notified: exempt tasks that yield would keep it busy.
    pub(crate) fn requeue(&self, tasks: Chain) {
        if !tasks.is_empty() {
            self.global.push_chain(tasks);
            self.notify();
        }
    }

    /// Wakes a sleeper for published work, unless a searcher will find it. This is the full
    /// handshake of [the idle page](crate::idle). Returns true if a sleeper was woken.
    pub(crate) fn notify(&self) -> bool {
        let woken = self.wake_sleeper();
        if let Some(woken) = woken {
            self.recorder.record_outside(|at| Record::pair(Kind::Notify, at, woken, 0));
        }
        woken.is_some()
    }

    /// Wakes a sleeper although there are searchers, because one of them may be stuck. Returns true
    /// if a sleeper was woken.
    #[cold]
    pub(crate) fn notify_beside_searchers(&self) -> bool {
        let Some(seat) = self.idle.claim_beside_searchers() else { return false };
        self.unpark(seat);
        self.recorder.record_outside(|at| Record::pair(Kind::Notify, at, seat, 0));
        true
    }

    /// As [`Pool::notify`], for a caller that records the event itself. Returns the seat of the
    /// sleeper that was woken.
    pub(crate) fn wake_sleeper(&self) -> Option<usize> {
        let seat = self.idle.claim_sleeper()?;
        self.unpark(seat);
        self.ensure_watched();
        Some(seat)
    }

    /// Wakes the worker of `seat`, on its parker or in the reactor.
    pub(crate) fn unpark(&self, seat: usize) {
        if self.seats[seat].parker.unpark() == Unpark::Interrupt {
            interrupt(&self.reactor);
        }
    }

    /// Adds the wheel of a seat to the orphan wheels, because its worker cannot turn it. Returns
    /// false if it is empty, or an orphan wheel already.
    pub(crate) fn adopt_timers(&self, seat: &Seat) -> bool {
        let added = self.orphan_wheels.add(seat.index, &seat.wheel);
        if added {
            interrupt(&self.reactor);
        }
        added
    }

    /// Makes every worker observe a new phase: at its next task boundary, or by waking it.
    pub(crate) fn wake_all_workers(&self) {
        // Ordering: Release — pairs with the Acquire in `Worker::work_step`: a worker that sees the
        // tick sees the phase.
        self.tick.fetch_add(1, Ordering::Release);
        // The loop may miss a seat that is being created. Its worker starts later, and sees phase
        // and tick.
        self.worker_set.lift_limit();
        for seat in self.seats.iter() {
            self.unpark(seat.index);
        }
        // Even if the watchdog is awake: it may have seen an older phase.
        if let Some(watchdog_sleep) = &self.watchdog_sleep {
            watchdog_sleep.ring_now();
        }
    }

    /// Makes every busy worker pass a checkpoint at its next task boundary.
    pub(crate) fn bump_tick(&self) {
        // Ordering: Release — pairs with the Acquire in `Worker::work_step`: a worker that sees the
        // tick sees the recorder's switch.
        self.tick.fetch_add(1, Ordering::Release);
    }

    /// Wakes the watchdog if it sleeps. Called after a change of the idle word by which a worker,
    /// the caller or another one, stops sleeping.
    #[inline]
    pub(crate) fn ensure_watched(&self) {
        if self.idle.counts().is_watchdog_asleep() {
            self.begin_watch();
        }
    }

    /// Wakes the watchdog. As [`Pool::ensure_watched`], for a worker that has not announced a
    /// sleep.
    #[cold]
    pub(crate) fn begin_watch(&self) {
        if let Some(watchdog_sleep) = &self.watchdog_sleep {
            watchdog_sleep.wake(&self.idle);
        }
    }

    /// Returns the lowest priority of the groups that the worker of `seat` serves. A spare is in
    /// reserve for higher ones, while all other workers compute for the lowest.
    #[inline]
    pub(crate) fn lowest_priority_of(&self, seat: &Seat) -> Priority {
        let is_spare = || seat.index >= self.worker_set.target();
        if self.groups.is_reserving() && is_spare() { Priority::Normal } else { Priority::Background }
    }

    /// Returns the lowest priority of the groups that are a reason to wake a sleeper. If only a
    /// spare in reserve sleeps, it would not serve lower ones.
    pub(crate) fn lowest_to_wake_for(&self) -> Priority {
        let base_sleeps = || (0..self.worker_set.target()).any(|seat| self.idle.is_announced(seat));
        if self.groups.is_reserving() && !base_sleeps() { Priority::Normal } else { Priority::Background }
    }

    /// Returns true if workers may poll tasks: the runtime is not shutting down.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.phase.load() < Phase::ShuttingDown
    }

    /// Returns true if the searcher of seat `except` could take a task from another seat.
    pub(crate) fn has_spare_work(&self, except: usize) -> bool {
        self.seats.iter().filter(|seat| seat.index != except).any(|seat| {
            charge_inspection(|| !self.idle.is_announced(seat.index));
            seat.has_stealable_work()
        })
    }
}
