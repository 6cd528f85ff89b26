//! All that the workers of a runtime share.

mod block_on_queue;
pub(crate) mod current_task;
pub(crate) mod hooks;
mod identity;
pub(crate) mod local;
mod local_slot;
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
use crate::idle::Idle;
use crate::park::Unpark;
use crate::phase::{AtomicPhase, Phase};
use crate::pool::current_task::CurrentTask;
use crate::queue::{Chain, GlobalQueue};
use crate::raw_task::{self, Runnable};
use crate::reactor::Reactor;
use crate::shutdown::live_threads::LiveThreads;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Arc, CachePadded};
use crate::task_alloc::Depot;
use crate::timer::orphan_wheels::OrphanWheels;
use crate::timer::{SleeperWaker, TimerWheel};
use crate::util::wake_list::catch_user_panic;
use crate::watchdog::sleep::WatchdogSleep;
use crate::watchdog::stall::StallCounts;
use crate::worker_set::WorkerSet;

/// Whether a push to the global queue wakes a helper at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WakeHelper {
    /// By the full handshake of [the idle page](crate::idle).
    Now,
    /// The caller decides afterwards.
    Later,
}

/// Events per look, at most, whatever the settings say: memory for them is taken at once.
const MOST_EVENTS: usize = 1 << 16;

/// The pool. Lives in an [`Arc`], and in no other place: [`Pool::to_arc`] counts on it.
///
/// It is kept by its runtime, by handles, by its worker threads, and by whoever is in the middle of
/// a wake from outside. A task that has not ended points into it without keeping it; so the
/// shutdown ends all tasks, or leaks the pool.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) id: Id,
    pub(crate) seats: SeatTable,
    /// Which of the seats are wanted, and taken.
    pub(crate) worker_set: WorkerSet,
    pub(crate) idle: Idle,
    pub(crate) global: GlobalQueue,
    pub(crate) reactor: Arc<Reactor>,
    /// The wheel of threads without a seat. Its keeper is whoever holds the reactor.
    pub(crate) shared_wheel: Arc<TimerWheel>,
    /// The wheels of vacant seats. Their keeper is the shared wheel's.
    pub(crate) orphan_wheels: OrphanWheels,
    pub(crate) clock: Clock,
    pub(crate) phase: CachePadded<AtomicPhase>,
    /// Advanced by the watchdog while anything runs; a changed tick makes a worker look around.
    pub(crate) tick: CachePadded<AtomicU32>,
    /// When the watchdog sleeps, if there is one.
    pub(crate) watchdog_sleep: Option<WatchdogSleep>,
    pub(crate) blocking: Arc<BlockingPool>,
    /// Memory for tasks, kept by the workers together.
    pub(crate) depot: Arc<Depot>,
    /// Worker threads that have not left.
    pub(crate) live_threads: LiveThreads,
    /// Threads in `block_on` that would drive a current-thread runtime.
    pub(crate) block_on_queue: BlockOnQueue,
    /// Who has come in and who has left, and the drain's report.
    pub(crate) drain_state: DrainState,
    /// The task that the reaper drops, if it does.
    pub(crate) reaper_task: CurrentTask,
    /// Workers that have stepped out of their seats.
    pub(crate) blocked_workers: BlockedWorkers,
    /// What the watchdog has counted.
    pub(crate) stalls: StallCounts,
    /// A task has panicked that ends the runtime.
    panicked: AtomicBool,
    /// When tasks were queued, if somebody wants to know.
    queue_times: Option<QueueTimes>,
    /// Polls of futures in `block_on` that were cut short, which no seat counts.
    pub(crate) roots_forced: AtomicU64,
    pub(crate) settings: Settings,
}

/// Wakes the worker of a seat when its wheel gets an earlier deadline than it sleeps to, and
/// whoever guards the orphan wheels.
#[derive(Debug)]
struct SeatWaker {
    pool: crate::sync::Weak<Pool>,
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

/// Wakes whoever holds the reactor, and with it the shared wheel.
#[derive(Debug)]
struct SharedWheelWaker(Arc<Reactor>);

impl SleeperWaker for SharedWheelWaker {
    fn wake(&self) {
        interrupt(&self.0);
    }
}

/// Ends the wait of whoever sleeps in the reactor.
pub(crate) fn interrupt(reactor: &Reactor) {
    if let Err(error) = reactor.interrupt() {
        catch_user_panic("a tracing subscriber", || {
            tracing::error!(target: "heist::worker", %error, "the reactor could not be interrupted");
        });
    }
}

/// No code of users runs while a lock of ours is held, so no panic of theirs leaves anything here
/// half done. Handles and runtimes inherit this.
impl std::panic::RefUnwindSafe for Pool {}

impl Pool {
    /// A pool whose seats are empty.
    pub(crate) fn new(settings: Settings, blocking: Arc<BlockingPool>) -> io::Result<Arc<Pool>> {
        let reactor = Arc::new(Reactor::new(
            settings.shards(),
            settings.events_busy.min(MOST_EVENTS),
            settings.events_rest.min(MOST_EVENTS),
        )?);
        let clock = if settings.current_thread { Clock::pausable(settings.start_paused) } else { Clock::new() };
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
            panicked: AtomicBool::new(false),
            queue_times: settings.queue_times.then(QueueTimes::new),
            roots_forced: AtomicU64::new(0),
            settings,
        });
        pool.furnish(pool.settings.workers);
        Ok(pool)
    }

    /// Furnishes the seats below `count`. Called by one thread at a time.
    pub(crate) fn furnish(self: &Arc<Pool>, count: usize) {
        self.seats.init_up_to(count, |index| {
            let sleeper_waker = Arc::new(SeatWaker { pool: Arc::downgrade(self), seat: index });
            let seat = Seat::new(index, &self.settings, Arc::new(TimerWheel::new(self.clock.clone(), sleeper_waker)));
            seat.set_pool(Arc::as_ptr(self));
            seat
        });
    }

    /// Whether tasks of this pool may be polled, and their futures dropped, on this thread:
    /// everywhere, unless the pool is local.
    pub(crate) fn may_poll_here(&self) -> bool {
        self.settings.own_thread.is_none_or(HomeThread::is_here)
    }

    /// Whether the pool is local: its futures need not be `Send`.
    pub(crate) fn is_local(&self) -> bool {
        self.settings.own_thread.is_some()
    }

    /// A reference that keeps the pool, from one that does not.
    pub(crate) fn to_arc(&self) -> Arc<Pool> {
        // SAFETY: a pool lives in an `Arc`, and the caller's borrow keeps that from going away now.
        unsafe { Arc::increment_strong_count(self) };
        // SAFETY: the count has just been raised on behalf of this one.
        unsafe { Arc::from_raw(self) }
    }

    /// How many workers there are to share work among. Never zero.
    #[inline]
    pub(crate) fn workers(&self) -> usize {
        self.worker_set.active()
    }

    /// How many of them are no spares. Never zero.
    pub(crate) fn base_workers(&self) -> usize {
        self.workers().saturating_sub(self.worker_set.active_spares()).max(1)
    }

    /// How many of them are awake and in their seats, about, the caller among them.
    pub(crate) fn awake_workers(&self) -> usize {
        let asleep = usize::try_from(self.idle.counts().sleepers()).unwrap_or(0);
        self.workers().saturating_sub(asleep + self.blocked_workers.count()).max(1)
    }

    /// Queues a woken task from a thread without a seat.
    ///
    /// Once the task is queued it may end, and the runtime with it: the pool is kept until the
    /// wake-up has been granted.
    #[cold]
    pub(crate) fn push_remote(&self, runnable: Runnable) {
        let pool = self.to_arc();
        let id = runnable.header().id();
        if pool.settings.queue_times {
            pool.record_queue_time(runnable.header());
        }
        pool.global.push_woken(runnable);
        pool.announce_published(WakeHelper::Now, Some(id));
    }

    /// Queues a chain of tasks that waited in one place. Returns false if the chain is empty.
    ///
    /// While the caller had the tasks in hand, neither a searcher nor the reaper could find them.
    /// So the caller wakes a helper, unless it does so itself later, and rechecks the deadline.
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

    /// Work has been published: wakes somebody for it, unless somebody searches. The full
    /// handshake.
    pub(crate) fn notify(&self) -> bool {
        let Some(seat) = self.idle.claim_sleeper() else { return false };
        self.unpark(seat);
        self.ensure_watched();
        true
    }

    /// Wakes the worker of `seat`, wherever it sleeps.
    pub(crate) fn unpark(&self, seat: usize) {
        if self.seats[seat].parker.unpark() == Unpark::Interrupt {
            interrupt(&self.reactor);
        }
    }

    /// Every worker hears of a new phase: at its next boundary, or by getting up.
    pub(crate) fn wake_all_workers(&self) {
        // Ordering: Release — the phase comes before it; a worker that sees the tick looks at the
        // phase.
        self.tick.fetch_add(1, Ordering::Release);
        // A seat that is being furnished now may be missed; its worker sits down later, and sees
        // phase and tick.
        self.worker_set.barrier();
        for seat in self.seats.iter() {
            self.unpark(seat.index);
        }
        // Whether or not it watches: what it saw of the phase may be older.
        if let Some(watchdog_sleep) = &self.watchdog_sleep {
            watchdog_sleep.ring_now();
        }
    }

    /// Every worker that is busy looks around at its next boundary.
    pub(crate) fn bump_tick(&self) {
        // Ordering: Relaxed — see the load in `Worker::work`.
        self.tick.fetch_add(1, Ordering::Relaxed);
    }

    /// The caller has changed the idle word because a worker gets up, itself or another one: the
    /// watchdog has to watch it.
    #[inline]
    pub(crate) fn ensure_watched(&self) {
        if self.idle.counts().is_unwatched() {
            self.begin_watch();
        }
    }

    /// As [`Pool::ensure_watched`], for a worker that was never announced.
    #[cold]
    pub(crate) fn begin_watch(&self) {
        if let Some(watchdog_sleep) = &self.watchdog_sleep {
            watchdog_sleep.wake(&self.idle);
        }
    }

    /// Whether a worker may take new tasks to poll.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.phase.load() < Phase::ShuttingDown
    }

    /// Whether a searcher from seat `except` could take something out of another seat.
    pub(crate) fn has_spare_work(&self, except: usize) -> bool {
        self.seats.iter().any(|seat| seat.index != except && seat.has_stealable_work())
    }
}
