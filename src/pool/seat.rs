//! A numbered place in the pool, in which a worker sits.

use std::thread::ThreadId;

use super::local_slot::LocalSlot;
use super::{Pool, Settings};
use crate::metrics::counter::Stats;
use crate::metrics::histogram::PollHistograms;
use crate::park::Parker;
use crate::pool::current_task::CurrentTask;
use crate::pool::local::Local;
use crate::queue::{self, Chain, LifoSlot, Owner, Ring, Thief};
use crate::raw_task::{OwnedTasks, TaskInfo};
use crate::spin::Spin;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Arc, CachePadded, Mutex};
use crate::timer::TimerWheel;
use crate::util::cpu::Tid;

/// What outlives the worker: the thief's end of the ring, LIFO slot, parker, wheel, live list,
/// counters, and the local slot.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) index: usize,
    pub(crate) lifo: CachePadded<LifoSlot>,
    pub(crate) thief: Thief,
    pub(crate) parker: CachePadded<Parker>,
    pub(crate) wheel: Arc<TimerWheel>,
    pub(crate) live: CachePadded<OwnedTasks>,
    pub(crate) stats: CachePadded<Stats>,
    /// What is measured at each poll, if anything.
    pub(crate) histograms: Option<Box<PollHistograms>>,
    /// The task that is being polled here.
    pub(crate) polling: CachePadded<CurrentTask>,
    /// The worker knows that the runtime drains.
    pub(crate) drain_acked: AtomicBool,
    /// The watchdog has seen the same poll twice: what waits here may be taken, down to the last
    /// task. When it saw it first, on the pool's clock; zero if it has not.
    stalled: AtomicU64,
    /// The number of that poll; see `progress`.
    stalled_poll: AtomicU64,
    /// The kernel's number of the worker's thread.
    thread: AtomicU32,
    /// The worker, while there is one, as the program knows it.
    occupant: Mutex<Option<ThreadId>>,
    local_slot: LocalSlot<Local>,
    /// The pool that the seat is part of.
    ///
    /// Invariant: set once, before any task is polled here; points to the pool that owns this seat.
    pool: AtomicPtr<Pool>,
}

impl Seat {
    pub(super) fn new(index: usize, settings: &Settings, wheel: Arc<TimerWheel>) -> Self {
        let (ring, thief): (Owner, Thief) = Ring::new_pair();
        let seed = settings.seed.wrapping_add(index as u64 + 1);
        let histograms = settings.histograms();
        let mut local = Local::new(index, ring, seed, Spin::new(settings.spin));
        local.is_observed = histograms.is_some() || settings.queue_times || settings.task_hooks.is_some();
        if settings.queue_times {
            local.note_stamps();
        }
        Seat {
            index,
            lifo: CachePadded::new(LifoSlot::new()),
            thief,
            parker: CachePadded::new(Parker::new()),
            wheel,
            live: CachePadded::new(OwnedTasks::new()),
            stats: CachePadded::new(Stats::new()),
            histograms,
            polling: CachePadded::new(CurrentTask::new()),
            drain_acked: AtomicBool::new(false),
            stalled: AtomicU64::new(0),
            stalled_poll: AtomicU64::new(0),
            thread: AtomicU32::new(0),
            occupant: Mutex::new(None),
            local_slot: LocalSlot::new(local),
            pool: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    /// Tells the seat where it stands.
    pub(super) fn set_pool(&self, pool: *const Pool) {
        // Ordering: Relaxed — the pool is shared afterwards.
        self.pool.store(pool.cast_mut(), Ordering::Relaxed);
    }

    /// The pool that the seat is part of.
    #[inline]
    pub(crate) fn pool(&self) -> &Pool {
        // Ordering: Relaxed — set before the pool was shared.
        let pool = self.pool.load(Ordering::Relaxed);
        // SAFETY: by the field's invariant; a seat is reached only through its pool, or by a task
        // that keeps the pool alive.
        unsafe { &*pool }
    }

    /// Which thread the worker is.
    pub(crate) fn occupant(&self) -> Option<ThreadId> {
        *self.occupant.lock()
    }

    /// Said by the worker when it comes, and when it goes.
    pub(crate) fn set_occupant(&self, thread: Option<ThreadId>) {
        *self.occupant.lock() = thread;
    }

    /// Takes the seat, if nobody sits in it. That of a local pool can be taken on its own thread
    /// only: whoever polls tasks, or empties queues, does it with the local slot in his hands.
    pub(crate) fn take_local(&self) -> Option<Box<Local>> {
        if !self.pool().may_poll_here() {
            return None;
        }
        self.local_slot.try_take()
    }

    /// Gives the seat back.
    pub(crate) fn return_local(&self, local: Box<Local>) {
        self.local_slot.give_back(local);
        // The last to end here need not have been polled to the worker's next rest. What has been
        // left here after the deadline may have nobody to take it; whoever gathers looks first
        // whether the seat is vacant, under the same lock: he sees it, or we see the phase.
        self.pool().recheck_quiescent_if_draining();
        self.pool().recheck_deadline(None);
    }

    /// Takes every task of the seat, the next to be polled first. The caller has the local slot.
    pub(crate) fn take_all(&self, local: &Local) -> Chain {
        queue::take_all(&self.lifo, &local.ring)
    }

    /// Takes every task of the seat while its worker may push and pop. `hand` is empty before and
    /// after.
    pub(crate) fn steal_all(&self, hand: &Owner) -> Chain {
        queue::steal_all(&self.lifo, &self.thief, hand)
    }

    /// Whether nobody sits here.
    pub(crate) fn is_vacant(&self) -> bool {
        self.local_slot.is_vacant()
    }

    /// The worker steps out: until [`Seat::come_back`] it touches nothing here, and neither does
    /// anybody else who is not a thief.
    pub(crate) fn step_out(&self) {
        self.local_slot.begin_blocking();
        // As in `return_lease`: somebody may have waited for this worker to hear of the drain, and
        // what it has left to the others may have nobody to take it.
        self.pool().recheck_quiescent_if_draining();
        self.pool().recheck_deadline(None);
    }

    /// The worker comes back. Whoever has counted it as absent since has locked the local slot
    /// before us: we see the phase that he had seen.
    pub(crate) fn come_back(&self) {
        self.stats.blocked_workers.add(1);
        self.local_slot.end_blocking();
    }

    /// Whether the seat's worker has stepped out.
    pub(crate) fn is_away(&self) -> bool {
        self.local_slot.is_blocking()
    }

    /// Whether somebody sits here, and works: who may spawn without the gate, and ends himself what
    /// is at home here.
    pub(crate) fn is_used(&self) -> bool {
        self.local_slot.is_active()
    }

    /// Whether the watchdog thinks that the seat's worker is stuck.
    pub(crate) fn is_stalled(&self) -> bool {
        // Ordering: Relaxed — a hint that lets a searcher take more; what it takes is ordered by
        // the queues.
        self.stalled.load(Ordering::Relaxed) != 0
    }

    /// A number that changes whenever the worker begins a poll, ends one, comes back in the midst
    /// of one, drops a task, or goes to sleep, and is never the same again. It tells the watchdog
    /// whether the worker gets on, and costs the worker nothing: the parts of it are kept anyway.
    pub(crate) fn progress(&self) -> u64 {
        let stats = &self.stats;
        // None goes back: the sum is the same only if all are.
        let counts = [&stats.polls, &stats.parks, &stats.blocked_workers, &stats.ended];
        let counted = counts.into_iter().fold(0_u64, |sum, count| sum.wrapping_add(count.get()));
        counted.wrapping_mul(2) | u64::from(self.polling.is_polling())
    }

    /// Said by the watchdog: in poll `number`, which it has seen since then. See
    /// [`Seat::progress`].
    pub(crate) fn set_stalled(&self, number: u64, since: u64) {
        // Ordering: Relaxed — a figure.
        self.stalled_poll.store(number, Ordering::Relaxed);
        // Ordering: Relaxed — see `is_stalled`.
        self.stalled.store(since.max(1), Ordering::Relaxed);
    }

    /// Said by the watchdog: the worker gets on.
    pub(crate) fn set_recovered(&self) {
        // Ordering: Relaxed — see `is_stalled`.
        self.stalled.store(0, Ordering::Relaxed);
    }

    /// What is being polled here, and since when it has been, if the watchdog has seen that. It may
    /// be over when this returns, but none is mistaken for another.
    pub(crate) fn observed_task(&self) -> (Option<TaskInfo>, Option<u64>) {
        // Ordering: Relaxed — figures. A worker that gets on in between shows another number
        // afterwards, or shows no poll.
        let stalled = (self.stalled_poll.load(Ordering::Relaxed), self.stalled.load(Ordering::Relaxed));
        let polled = self.polling.get();
        let since = Some(stalled.1).filter(|&since| since != 0 && self.progress() == stalled.0);
        (polled, since)
    }

    /// The calling thread sits here.
    pub(crate) fn record_tid(&self) {
        // Ordering: Relaxed — a figure.
        self.thread.store(Tid::current().map_or(0, Tid::get), Ordering::Relaxed);
    }

    /// The thread that sits here, or was the last to.
    pub(crate) fn tid(&self) -> Option<Tid> {
        // Ordering: Relaxed — a figure.
        Tid::from_raw(self.thread.load(Ordering::Relaxed))
    }

    /// Nobody's only task is taken: it is likely to be polled by its own worker before another
    /// could. From here on some are.
    pub(crate) const MIN_STEALABLE: usize = 2;

    /// How many tasks have to wait in the ring for others to take some. From a stalled seat
    /// everything may be taken.
    pub(crate) fn min_stealable(&self) -> usize {
        if self.is_stalled() { 1 } else { Self::MIN_STEALABLE }
    }

    /// Whether a task waits here that others may take.
    pub(crate) fn has_stealable_work(&self) -> bool {
        self.thief.len() >= self.min_stealable() || (self.is_stalled() && !self.lifo.is_empty())
    }
}
