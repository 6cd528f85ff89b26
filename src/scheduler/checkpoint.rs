//! The checkpoint of a busy worker: timers, the reactor, a late worker, and helpers.

use crate::phase::Phase;
use crate::pool::Seat;
use crate::primitive::wake_policy;
use crate::queue::{CAPACITY, Chain};
use crate::scheduler::worker::{SHARE, Worker};
use crate::timer::TimerWheel;
use crate::util::wake_list::{WakeList, catch_user_panic};

/// A worker is late only if it makes no progress for longer than this many of its usual polls.
const LATE_POLLS: u64 = 4;

impl Worker<'_> {
    /// Returns true if a checkpoint is due by time, because polls have become longer. With a
    /// watchdog, its tick makes the checkpoint due instead.
    pub(super) fn is_checkpoint_late(&self) -> bool {
        let pool = self.pool;
        !pool.settings.watchdog && self.local.since_poll_time_update(pool.clock.now()) >= pool.settings.pace.nanos
    }

    /// Advances the timers, polls the reactor if that is due, takes over the tasks of a late
    /// worker, and wakes a helper if that pays.
    pub(crate) fn checkpoint(&self) {
        self.local.cut_lifo_run();
        let now = self.pool.clock.now();
        let polls_reactor = self.is_reactor_due(now);
        self.begin_interval(now);
        let mut wakes = self.local.borrow_wakes();
        self.turn_wheels(now, &mut wakes);
        if polls_reactor {
            let polled = self.pool.reactor.try_poll(&self.local.shard, || self.pool.awake_workers(), &mut wakes);
            if self.local.is_recording() {
                self.record_reactor_poll(now, &polled);
            }
            log_poll_error(polled);
            self.local.record_reactor_poll(now);
        }
        self.wake_batch(wakes);
        if !self.pool.settings.current_thread {
            if polls_reactor {
                self.local.begin_reactor_round();
            }
            self.check_peer(now);
        }
        // The price is computed again: polls may have become longer since the tasks were queued.
        self.seated().wake_helper_for(self.behind_the_next());
        self.wake_for_backlog();
    }

    /// Returns true if the reactor has to be polled at this checkpoint. It has to if the tasks that
    /// were queued at the last reactor poll have been polled, or some time has passed.
    ///
    /// An event that is taken earlier would only wait in this worker's ring instead of in the
    /// kernel, where each worker can take it. If the kernel then takes the processor from this
    /// worker, what is in the ring waits longest.
    fn is_reactor_due(&self, now: u64) -> bool {
        let settings = &self.pool.settings;
        // On a current-thread runtime no other worker could take the event.
        settings.current_thread
            || self.local.advance_reactor_round()
            || !settings.pace.is_timed()
            || self.local.since_reactor_poll(now) >= settings.reactor_nanos
    }

    /// Wakes a helper for a ring that keeps a backlog, however short its polls are. If its tasks
    /// end so soon that they are not worth moving, it does not.
    fn wake_for_backlog(&self) {
        let (policy, idle) = (wake_policy(), self.pool.idle.counts());
        let backlogged =
            self.local.ring.len() >= policy.deep_ring && self.local.worth_migrating(idle.sleepers().max(1) as usize);
        if self.local.set_backlogged(backlogged) && policy.priced && idle.could_wake() {
            self.seated().notify();
        }
    }

    pub(crate) fn begin_interval(&self, now: u64) {
        self.local.update_polls_per_task(self.seat.stats.ended.get());
        self.update_poll_time(now);
        self.local.begin_interval(now, self.pool.settings.pace);
    }

    pub(crate) fn turn_wheels(&self, now: u64, wakes: &mut WakeList) {
        let now = self.pool.clock.to_timer_time(now);
        for wheel in [&self.seat.wheel, &self.pool.shared_wheel] {
            if wheel.next_due() <= now {
                self.fire_due(wheel, now, wakes);
            }
        }
        // If the own wheel is an orphan wheel, it is none any more: this worker is not stalled.
        self.pool.orphan_wheels.fire_due(self.seat.index, now, wakes);
    }

    #[inline(never)]
    fn fire_due(&self, wheel: &TimerWheel, now: u64, wakes: &mut WakeList) {
        let (due, before) = (wheel.next_due(), wakes.len());
        wheel.fire_due(now, wakes);
        let fired = wakes.len() - before;
        if fired > 0 {
            self.record_timers(fired, now.saturating_sub(due));
        }
    }

    /// Wakes a batch of tasks: they go into the ring in order, and one decision about a helper
    /// covers all that fit.
    pub(crate) fn wake_batch(&self, mut wakes: WakeList) {
        if !wakes.is_empty() {
            self.local.set_batching(true);
            wakes.wake_all();
            self.local.set_batching(false);
            self.recheck_deadline();
            self.seated().wake_helper_for_batch(self.behind_the_next());
        }
        self.local.return_wakes(wakes);
    }

    /// Observes one other worker, and takes over its tasks if it is late. The protocol is on [the
    /// watchdog's page](crate::watchdog).
    pub(super) fn check_peer(&self, now: u64) {
        let (pool, observer) = (self.pool, &self.local.peer_observer);
        let age = observer.age(now);
        // After a drain's deadline a queued task may have a destructor that does not return.
        if !wake_policy().takes_over_late
            || pool.seats.len() == 1
            || age < pool.settings.late_nanos
            || pool.phase.load() >= Phase::DeadlinePassed
        {
            return;
        }
        let peer = &pool.seats[observer.seat()];
        if !self.is_suspect(peer) {
            self.observe_next_peer();
        } else if age >= peer.stats.mean_poll.get().saturating_mul(LATE_POLLS) {
            let room = CAPACITY - self.local.ring.len();
            let tasks = peer.steal_most(observer.scratch_ring(), room);
            if !tasks.is_empty() {
                self.seat.stats.steals.add(1);
                self.seat.stats.stolen.add(tasks.len() as u64);
                self.record_steal(peer.index, tasks.len());
                self.push_late(tasks);
            }
            self.observe_next_peer();
        }
    }

    /// Queues the tasks of a late worker in the own ring, which has room for them. They are pinned
    /// if the ring then holds no more than may be pinned.
    fn push_late(&self, tasks: Chain) {
        if self.local.ring.len() + tasks.len() <= SHARE {
            return self.push_pinned(tasks);
        }
        self.push_requeued(tasks);
        self.recheck_deadline();
    }

    /// Returns true if the observed seat has tasks, and its worker is awake and has made no
    /// progress.
    fn is_suspect(&self, peer: &Seat) -> bool {
        peer.index != self.seat.index
            && self.local.peer_observer.has_seen(peer.progress())
            && peer.has_tasks()
            && !self.pool.idle.is_announced(peer.index)
    }

    /// Begins to observe the next seat that has a worker.
    fn observe_next_peer(&self) {
        let (pool, observer) = (self.pool, &self.local.peer_observer);
        let (seats, observed) = (pool.seats.len(), observer.seat());
        let mut others = (1..=seats).map(|step| (observed + step) % seats).filter(|&seat| seat != self.seat.index);
        let has_worker = |seat: usize| pool.worker_set.is_occupied(seat) && !pool.worker_set.is_resting(seat);
        let Some(next) = others.find(|&seat| has_worker(seat)) else { return };
        // The clock comes after the number. In the other order, a worker that loses its processor
        // in between would take its peer for late.
        let progress = pool.seats[next].progress();
        observer.begin(next, progress, pool.clock.now());
    }
}

/// Logs an error of a reactor poll. The runtime gets no events from this poll, and polls again
/// later.
#[inline(always)]
pub(crate) fn log_poll_error(turned: std::io::Result<usize>) {
    if let Err(error) = turned {
        log_error(&error);
    }
}

#[cold]
#[inline(never)]
fn log_error(error: &std::io::Error) {
    catch_user_panic("a tracing subscriber", || {
        tracing::error!(target: "heist::worker", %error, "could not poll the operating system for I/O events");
    });
}
