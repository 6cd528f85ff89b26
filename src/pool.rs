//! All that the workers of a runtime share.

mod attendance;
mod census;
mod custody;
mod drivers;
mod identity;
mod lease;
mod outings;
mod own_thread;
mod seat;
mod seat_word;
mod seats;
mod settings;
mod spares;
mod staff;
mod stall;
mod stamps;
mod task_hooks;
mod ticket;
mod wards;

use std::io;

use crate::blocking::BlockingPool;
use crate::cell::Runnable;
use crate::clock::Clock;
use crate::idle::Idle;
use crate::ledger::Ledger;
use crate::memory::Depot;
use crate::park::Unpark;
use crate::phase::{Phase, PhaseWord};
use crate::queue::GlobalQueue;
use crate::reactor::Reactor;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Arc, CachePadded};
use crate::timer::{Keeper, TimerWheel};
use crate::vigil::Vigil;
use crate::wakes::contained;

pub(crate) use attendance::{Attendance, Pass};
pub(crate) use census::Polling;
pub(crate) use custody::seize;
#[cfg(test)]
pub(crate) use custody::{Heirs, bequeath};
pub(crate) use drivers::Drivers;
pub use identity::Id;
#[cfg(test)]
pub(crate) use lease::Lease;
pub(crate) use outings::Outings;
pub(crate) use own_thread::OwnThread;
pub(crate) use seat::Seat;
#[cfg(test)]
pub(crate) use seat_word::{SeatWord, Want};
pub(crate) use seats::Seats;
pub(crate) use settings::{Follow, Gauge, Hook, Settings};
pub(crate) use spares::NoSpare;
pub(crate) use staff::{Crew, Leave, Staff};
pub(crate) use stall::StallCounts;
pub use stall::{StallCause, StallReport};
use stamps::Stamps;
pub(crate) use task_hooks::TaskHooks;
pub use task_hooks::{TaskMeta, UnhandledPanic};
pub(crate) use ticket::Ticket;
pub use ticket::{ResizeError, Resized, ThreadSeat};
pub(crate) use wards::Wards;

/// Events per look, at most, whatever the settings say: memory for them is taken at once.
const MOST_EVENTS: usize = 1 << 16;

/// The pool. Lives in an [`Arc`], and in no other place: [`Pool::keep`] counts on it.
///
/// It is kept by its runtime, by handles, by its worker threads, and by whoever is in the middle of a wake from outside. A task that
/// has not ended points into it without keeping it; so the shutdown ends all tasks, or leaks the pool.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) id: Id,
    pub(crate) seats: Seats,
    /// Which of the seats are wanted, and taken.
    pub(crate) staff: Staff,
    pub(crate) idle: Idle,
    pub(crate) global: GlobalQueue,
    pub(crate) reactor: Arc<Reactor>,
    /// The wheel of threads without a seat. Its keeper is whoever holds the reactor.
    pub(crate) street: Arc<TimerWheel>,
    /// The wheels of vacant seats. Their keeper is the street's.
    pub(crate) wards: Wards,
    pub(crate) clock: Clock,
    pub(crate) phase: CachePadded<PhaseWord>,
    /// Advanced by the sentinel while anything runs; a changed tick makes a worker look around.
    pub(crate) tick: CachePadded<AtomicU32>,
    /// When the sentinel sleeps, if there is one.
    pub(crate) vigil: Option<Vigil>,
    pub(crate) blocking: Arc<BlockingPool>,
    /// Memory for tasks, kept by the workers together.
    pub(crate) depot: Arc<Depot>,
    /// Worker threads that have not left.
    pub(crate) attendance: Attendance,
    /// Threads in `block_on` that would drive a current-thread runtime.
    pub(crate) drivers: Drivers,
    /// Who has come in and who has left, and the drain's report.
    pub(crate) ledger: Ledger,
    /// The task that the sweeper drops, if it does.
    pub(crate) sweeping: Polling,
    /// Workers that have stepped out of their seats.
    pub(crate) outings: Outings,
    /// What the sentinel has counted.
    pub(crate) stalls: StallCounts,
    /// A task has panicked that ends the runtime.
    panicked: AtomicBool,
    /// When tasks were queued, if somebody wants to know.
    stamps: Option<Stamps>,
    /// Polls of futures in `block_on` that were cut short, which no seat counts.
    roots_forced: AtomicU64,
    pub(crate) settings: Settings,
}

/// Wakes the worker of a seat when its wheel gets an earlier deadline than it sleeps to, and whoever guards the wards.
#[derive(Debug)]
struct SeatKeeper {
    pool: crate::sync::Weak<Pool>,
    seat: usize,
}

impl Keeper for SeatKeeper {
    fn wake(&self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.unpark(self.seat);
        }
    }

    fn wake_guardian(&self) {
        if let Some(pool) = self.pool.upgrade() {
            interrupt(&pool.reactor);
        }
    }
}

/// Wakes whoever holds the reactor, and with it the street wheel.
#[derive(Debug)]
struct StreetKeeper(Arc<Reactor>);

impl Keeper for StreetKeeper {
    fn wake(&self) {
        interrupt(&self.0);
    }
}

/// Ends the wait of whoever sleeps in the reactor.
fn interrupt(reactor: &Reactor) {
    if let Err(error) = reactor.interrupt() {
        contained("a tracing subscriber", || {
            tracing::error!(target: "heist::worker", %error, "the reactor could not be interrupted");
        });
    }
}

/// No code of users runs while a lock of ours is held, so no panic of theirs leaves anything here half done. Handles and runtimes inherit
/// this.
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
            seats: Seats::new(settings.max_workers + settings.all_spares()),
            staff: Staff::new(settings.workers, settings.max_workers, settings.all_spares()),
            idle: Idle::new(settings.max_workers + settings.all_spares()),
            global: GlobalQueue::new(settings.lanes()),
            street: Arc::new(TimerWheel::new(clock.clone(), Arc::new(StreetKeeper(Arc::clone(&reactor))))),
            wards: Wards::new(),
            reactor,
            clock,
            phase: CachePadded::new(PhaseWord::new()),
            tick: CachePadded::new(AtomicU32::new(0)),
            vigil: if settings.sentinel { Some(Vigil::new(settings.tick)?) } else { None },
            blocking,
            depot: Depot::new(settings.workers),
            attendance: Attendance::new(),
            drivers: Drivers::default(),
            ledger: Ledger::new(),
            sweeping: Polling::new(),
            outings: Outings::new(),
            stalls: StallCounts::new(),
            panicked: AtomicBool::new(false),
            stamps: settings.stamps.then(Stamps::new),
            roots_forced: AtomicU64::new(0),
            settings,
        });
        pool.furnish(pool.settings.workers);
        Ok(pool)
    }

    /// Furnishes the seats below `count`. Called by one thread at a time.
    pub(crate) fn furnish(self: &Arc<Pool>, count: usize) {
        self.seats.furnish(count, |index| {
            let keeper = Arc::new(SeatKeeper { pool: Arc::downgrade(self), seat: index });
            let seat = Seat::new(index, &self.settings, Arc::new(TimerWheel::new(self.clock.clone(), keeper)));
            seat.settle(Arc::as_ptr(self));
            seat
        });
    }

    /// Whether tasks of this pool may be polled, and their futures dropped, on this thread: everywhere, unless the pool is local.
    pub(crate) fn may_poll_here(&self) -> bool {
        self.settings.own_thread.is_none_or(OwnThread::is_here)
    }

    /// Whether the pool is local: its futures need not be `Send`.
    pub(crate) fn is_local(&self) -> bool {
        self.settings.own_thread.is_some()
    }

    /// A reference that keeps the pool, from one that does not.
    pub(crate) fn keep(&self) -> Arc<Pool> {
        // SAFETY: a pool lives in an `Arc`, and the caller's borrow keeps that from going away now.
        unsafe { Arc::increment_strong_count(self) };
        // SAFETY: the count has just been raised on behalf of this one.
        unsafe { Arc::from_raw(self) }
    }

    /// How many workers there are to share work among. Never zero.
    #[inline]
    pub(crate) fn workers(&self) -> usize {
        self.staff.taken()
    }

    /// How many of them are no spares. Never zero.
    pub(crate) fn regulars(&self) -> usize {
        self.workers().saturating_sub(self.staff.spares()).max(1)
    }

    /// How many of them are awake and in their seats, about, the caller among them.
    pub(crate) fn awake(&self) -> usize {
        let asleep = usize::try_from(self.idle.counts().sleepers()).unwrap_or(0);
        self.workers().saturating_sub(asleep + self.outings.count()).max(1)
    }

    /// Queues a woken task from a thread without a seat.
    ///
    /// Once the task is queued it may end, and the runtime with it: the pool is kept until the wake-up has been granted.
    #[cold]
    pub(crate) fn push_outside(&self, runnable: Runnable) {
        let pool = self.keep();
        let id = runnable.header().id();
        if pool.settings.stamps {
            pool.stamp(runnable.header());
        }
        pool.global.push_woken(runnable);
        pool.notify();
        pool.mind_deadline(Some(id));
    }

    /// Work has been published: wakes somebody for it, unless somebody searches. The full handshake.
    pub(crate) fn notify(&self) -> bool {
        let Some(seat) = self.idle.handshake() else { return false };
        self.unpark(seat);
        self.watch();
        true
    }

    /// Wakes the worker of `seat`, wherever it sleeps.
    pub(crate) fn unpark(&self, seat: usize) {
        if self.seats[seat].parker.unpark() == Unpark::Interrupt {
            interrupt(&self.reactor);
        }
    }

    /// Every worker hears of a new phase: at its next boundary, or by getting up.
    pub(crate) fn call_all(&self) {
        // Ordering: Release — the phase comes before it; a worker that sees the tick looks at the phase.
        self.tick.fetch_add(1, Ordering::Release);
        // A seat that is being furnished now may be missed; its worker sits down later, and sees phase and tick.
        self.staff.meet();
        for seat in self.seats.iter() {
            self.unpark(seat.index);
        }
        // Whether or not it watches: what it saw of the phase may be older.
        if let Some(vigil) = &self.vigil {
            vigil.end();
        }
    }

    /// Every worker that is busy looks around at its next boundary.
    pub(crate) fn look_around(&self) {
        // Ordering: Relaxed — see the load in `Worker::work`.
        self.tick.fetch_add(1, Ordering::Relaxed);
    }

    /// The caller has changed the idle word because a worker gets up, itself or another one: the sentinel has to watch it.
    #[inline]
    pub(crate) fn watch(&self) {
        if self.idle.counts().is_unwatched() {
            self.begin_watch();
        }
    }

    /// As [`Pool::watch`], for a worker that was never announced.
    #[cold]
    pub(crate) fn begin_watch(&self) {
        if let Some(vigil) = &self.vigil {
            vigil.call(&self.idle);
        }
    }

    /// Whether a worker may take new tasks to poll.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.phase.load() < Phase::Cancelling
    }

    /// Whether a searcher from seat `except` could take something out of another seat.
    pub(crate) fn has_spare_work(&self, except: usize) -> bool {
        self.seats.iter().any(|seat| seat.index != except && seat.has_spare_work())
    }
}
