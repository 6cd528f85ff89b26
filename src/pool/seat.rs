//! A seat: a numbered place in the pool, which one worker at a time occupies.

use std::thread::ThreadId;

use super::local_slot::LocalSlot;
use super::{Pool, Settings};
use crate::metrics::counter::Stats;
use crate::metrics::histogram::PollHistograms;
use crate::metrics::run_delays::RunDelays;
use crate::park::Parker;
use crate::pool::current_task::CurrentTask;
use crate::pool::local::Local;
use crate::primitive::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use crate::primitive::{Arc, CachePadded, Mutex, wake_policy};
use crate::queue::{self, Chain, LifoSlot, Owner, Ring, Thief};
use crate::raw_task::{OwnedTasks, TaskInfo};
use crate::spin::Spin;
use crate::timer::TimerWheel;
use crate::util::cpu::Tid;

/// A seat. It outlives its workers. Its fields are for all threads: the thief's end of the ring,
/// LIFO slot, parker, timer wheel, owned tasks, counters. The local slot holds the thread-only
/// state.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) index: usize,
    pub(crate) lifo: CachePadded<LifoSlot>,
    pub(crate) thief: Thief,
    pub(crate) parker: CachePadded<Parker>,
    pub(crate) wheel: Arc<TimerWheel>,
    pub(crate) live: CachePadded<OwnedTasks>,
    pub(crate) stats: CachePadded<Stats>,
    /// What the watchdog has measured of the worker's thread.
    pub(crate) run_delays: RunDelays,
    /// The histograms that each poll updates, if they are enabled.
    pub(crate) histograms: Option<Box<PollHistograms>>,
    /// The task that the worker polls.
    pub(crate) polling: CachePadded<CurrentTask>,
    /// Searchers take a lone task of the ring, because there are many workers.
    lone_tasks: bool,
    /// The worker has observed that the runtime drains.
    pub(crate) drain_acked: AtomicBool,
    /// When the watchdog first saw the poll that it has now seen twice, on the pool's clock. Zero
    /// if the worker is not stalled. From a stalled seat every task may be taken, even the last.
    stalled: AtomicU64,
    /// The value of `progress` in that poll.
    stalled_poll: AtomicU64,
    /// The kernel's id of the worker's thread.
    thread: AtomicU32,
    /// The worker's thread, while there is a worker.
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
        if histograms.is_some() || settings.queue_times || settings.task_hooks.is_some() {
            local.enable_measuring();
        }
        if settings.queue_times {
            local.enable_queue_times();
        }
        Seat {
            index,
            lifo: CachePadded::new(LifoSlot::new()),
            thief,
            parker: CachePadded::new(Parker::new()),
            wheel,
            live: CachePadded::new(OwnedTasks::new()),
            stats: CachePadded::new(Stats::new()),
            run_delays: RunDelays::new(),
            histograms,
            polling: CachePadded::new(CurrentTask::new()),
            lone_tasks: settings.workers > wake_policy().lone_tasks_above,
            drain_acked: AtomicBool::new(false),
            stalled: AtomicU64::new(0),
            stalled_poll: AtomicU64::new(0),
            thread: AtomicU32::new(0),
            occupant: Mutex::new(None),
            local_slot: LocalSlot::new(local),
            pool: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    /// Sets the pool that the seat is part of.
    pub(super) fn set_pool(&self, pool: *const Pool) {
        // Ordering: Relaxed — the pool is shared afterwards.
        self.pool.store(pool.cast_mut(), Ordering::Relaxed);
    }

    /// Returns the pool that the seat is part of.
    #[inline]
    pub(crate) fn pool(&self) -> &Pool {
        // Ordering: Relaxed — set before the pool was shared.
        let pool = self.pool.load(Ordering::Relaxed);
        // SAFETY: by the field's invariant, the seat is part of `pool`. A seat is reached only
        // through a live pool, or by a task that has not ended. The shutdown ends every task before
        // the pool goes, or leaks the pool.
        unsafe { &*pool }
    }

    /// Returns the worker's thread, while there is a worker.
    pub(crate) fn occupant(&self) -> Option<ThreadId> {
        *self.occupant.lock()
    }

    /// Sets the worker's thread. Called by the worker when it enters and leaves the seat.
    pub(crate) fn set_occupant(&self, thread: Option<ThreadId>) {
        *self.occupant.lock() = thread;
    }

    /// Takes the seat's local state, if the seat is vacant.
    ///
    /// Polling tasks and emptying queues need this state. So the seat of a local pool can be taken
    /// only on the pool's own thread.
    pub(crate) fn take_local(&self) -> Option<Box<Local>> {
        if !self.pool().may_poll_here() {
            return None;
        }
        self.local_slot.try_take()
    }

    /// Gives the local state back: the seat is vacant.
    pub(crate) fn return_local(&self, local: Box<Local>) {
        self.local_slot.give_back(local);
        // The last task may have ended here, and the worker did not check that before it left.
        // Tasks that were left here after the deadline need the reaper. The collection of overdue
        // tasks takes the same lock: either it comes later, or this thread sees the phase.
        self.pool().recheck_quiescent_if_draining();
        self.pool().recheck_deadline(None);
    }

    /// Takes every task of the seat, the next to be polled first. The caller has taken `local`.
    pub(crate) fn take_all(&self, local: &Local) -> Chain {
        queue::take_all(&self.lifo, &local.ring)
    }

    /// Takes every task of the seat while its worker may push and pop. `hand` is empty before and
    /// after.
    pub(crate) fn steal_all(&self, hand: &Owner) -> Chain {
        queue::steal_all(&self.lifo, &self.thief, hand)
    }

    /// As [`Seat::steal_all`], but takes at most `most` tasks, which is at least one.
    pub(crate) fn steal_most(&self, hand: &Owner, most: usize) -> Chain {
        queue::steal_most(&self.lifo, &self.thief, hand, most)
    }

    /// Returns true if the seat has no worker.
    pub(crate) fn is_vacant(&self) -> bool {
        self.local_slot.is_vacant()
    }

    /// Begins a blocking section. Until [`Seat::end_blocking`] the worker does not use the seat,
    /// and other threads only steal from it.
    pub(crate) fn begin_blocking(&self) {
        self.local_slot.begin_blocking();
        // As in `return_local`: the drain may wait for this worker's acknowledgement, and the tasks
        // that it has handed off may need the reaper.
        self.pool().recheck_quiescent_if_draining();
        self.pool().recheck_deadline(None);
    }

    /// Ends a blocking section. A thread that has found the worker blocking has locked the local
    /// slot before. So the worker sees the phase that this thread had seen.
    pub(crate) fn end_blocking(&self) {
        self.stats.blocking_sections.add(1);
        self.local_slot.end_blocking();
    }

    /// Returns true if the seat's worker is in a blocking section.
    pub(crate) fn is_blocking(&self) -> bool {
        self.local_slot.is_blocking()
    }

    /// Returns true if the seat has a worker outside of a blocking section. Such a worker spawns
    /// without the gate, and after a shutdown it cancels the tasks that this seat owns.
    pub(crate) fn is_local_taken(&self) -> bool {
        self.local_slot.is_taken()
    }

    /// Returns true if the watchdog considers the seat's worker stalled.
    pub(crate) fn is_stalled(&self) -> bool {
        // Ordering: Relaxed — a hint that lets a searcher take more. The queues order what it
        // takes.
        self.stalled.load(Ordering::Relaxed) != 0
    }

    /// Returns a number that tells the watchdog whether the worker makes progress.
    ///
    /// It changes whenever the worker begins or ends a poll, ends a blocking section, drops a task,
    /// or goes to sleep. Each poll has a value of its own. A task that is dropped outside of a poll
    /// repeats the value of the poll before it. The number costs the worker nothing, because its
    /// parts are counted anyway.
    pub(crate) fn progress(&self) -> u64 {
        let stats = &self.stats;
        // No count decreases: the sum is unchanged only if every count is.
        let counts = [&stats.polls, &stats.parks, &stats.blocking_sections, &stats.ended];
        let counted = counts.into_iter().fold(0_u64, |sum, count| sum.wrapping_add(count.get()));
        counted.wrapping_mul(2) | u64::from(self.polling.is_polling())
    }

    /// Marks the worker as stalled in the poll with this [`Seat::progress`], which the watchdog has
    /// seen first at `since`. Called by the watchdog.
    pub(crate) fn set_stalled(&self, number: u64, since: u64) {
        // Ordering: Relaxed — a metric.
        self.stalled_poll.store(number, Ordering::Relaxed);
        // Ordering: Relaxed — see `Seat::is_stalled`.
        self.stalled.store(since.max(1), Ordering::Relaxed);
    }

    /// Marks the worker as not stalled. Called by the watchdog.
    pub(crate) fn clear_stalled(&self) {
        // Ordering: Relaxed — see `Seat::is_stalled`.
        self.stalled.store(0, Ordering::Relaxed);
    }

    /// Returns the task that is being polled here, and since when, if the watchdog has seen that
    /// poll. The poll may be over when this returns, but the two values belong to one poll.
    pub(crate) fn observed_task(&self) -> (Option<TaskInfo>, Option<u64>) {
        // Ordering: Relaxed — metrics. If the worker makes progress in between, `Seat::progress`
        // has changed afterwards, or there is no poll.
        let stalled = (self.stalled_poll.load(Ordering::Relaxed), self.stalled.load(Ordering::Relaxed));
        let polled = self.polling.get();
        let since = Some(stalled.1).filter(|&since| since != 0 && self.progress() == stalled.0);
        (polled, since)
    }

    /// Records the calling thread as the worker's.
    pub(crate) fn record_tid(&self) {
        // Ordering: Relaxed — a metric.
        self.thread.store(Tid::current().map_or(0, Tid::get), Ordering::Relaxed);
    }

    /// Returns the kernel's id of the worker's thread, or of the last worker's.
    pub(crate) fn tid(&self) -> Option<Tid> {
        // Ordering: Relaxed — a metric.
        Tid::from_raw(self.thread.load(Ordering::Relaxed))
    }

    /// The ring length from which on tasks are a reason to wake a helper, and with few workers the
    /// minimum for stealing. With few workers a lone task stays: its own worker is likely to poll
    /// it before a thief could.
    pub(crate) const MIN_STEALABLE: usize = 2;

    /// Returns the current minimum ring length for stealing. From a stalled seat, and with many
    /// workers, every task may be taken.
    pub(crate) fn min_stealable(&self) -> usize {
        if self.lone_tasks || self.is_stalled() { 1 } else { Self::MIN_STEALABLE }
    }

    /// Returns true if a task waits here, in the ring or in the LIFO slot.
    pub(crate) fn has_tasks(&self) -> bool {
        self.thief.len() > 0 || !self.lifo.is_empty()
    }

    /// Returns true if a searcher may take the task in the LIFO slot.
    pub(crate) fn is_lifo_stealable(&self) -> bool {
        self.is_stalled() || wake_policy().steals_lifo
    }

    /// Returns true if a task waits here that another worker may take.
    pub(crate) fn has_stealable_work(&self) -> bool {
        self.thief.len() >= self.min_stealable() || (self.is_lifo_stealable() && !self.lifo.is_empty())
    }
}
