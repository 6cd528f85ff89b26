//! The worker: the loop of a thread that occupies a seat.
//!
//! The worker is a step machine. [`Worker::step`] does one bounded action and returns what it was.
//! [`Worker::run`] calls `step` in a loop, with real parking. To announce a sleep, to make the
//! final check, and to sleep are separate steps, so that tests and models can interleave them.
#![doc = include_str!("../../docs/fairness.md")]

use std::cell::Cell;

use crate::context::{self, Seated, budget};
use crate::idle::Withdrawn;
use crate::pool::local::{Local, Maintenance};
use crate::pool::{Hook, Pool, Seat, WakeHelper};
use crate::primitive::atomic::Ordering;
use crate::primitive::{Arc, charge_inspection, charge_moved_tasks, pause_before_lifo, preemption_point, wake_policy};
use crate::queue::Chain;
use crate::raw_task::{RunResult, Runnable};
use crate::util::stripe::Stripe;
use crate::util::wake_list::catch_user_panic;

/// Most tasks that are taken from the global queue at once: half a ring.
pub(crate) const SHARE: usize = crate::queue::CAPACITY / 2;

/// A worker: a thread that has taken the local state of a seat.
#[derive(Debug)]
pub(crate) struct Worker<'a> {
    pub(crate) pool: &'a Arc<Pool>,
    pub(crate) seat: &'a Seat,
    pub(crate) local: &'a Local,
    pub(crate) mode: Cell<Mode>,
    /// When it made its last final check.
    pub(crate) checked_at: Cell<u64>,
    /// The seat's count of polls when the worker last woke from a sleep.
    pub(crate) polls_at_wake_up: Cell<Option<u64>>,
}

/// What a worker does between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It polls tasks.
    Working,
    /// It is about to search the other seats. It is counted as a searcher.
    Searching,
    /// It makes the final check, or sleeps. It is counted as a sleeper.
    Announced,
}

/// What a step has done.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Polled a task.
    Polled,
    /// Took tasks from another seat or from the global queue in a search, and polled one.
    Stole,
    /// Ran out of work, and began to search.
    Searched,
    /// Found no task, and announced a sleep.
    Announced,
    /// Found no work in the final check: the worker sleeps next.
    WouldPark,
    /// Withdrew the announcement or ended the search, because there is work.
    Resumed,
    /// The runtime shuts down, or the worker has to retire or to rest: it ends its work.
    Exited,
}

impl<'a> Worker<'a> {
    /// Returns the worker for the thread that has taken `local`, the local state of `seat`.
    pub(crate) fn new(pool: &'a Arc<Pool>, seat: &'a Seat, local: &'a Local) -> Self {
        let now = pool.clock.now();
        let worker = Worker {
            pool,
            seat,
            local,
            mode: Cell::new(Mode::Working),
            checked_at: Cell::new(now),
            polls_at_wake_up: Cell::new(None),
        };
        local.begin_default_interval(0);
        worker.start_busy(now);
        budget::refill();
        worker
    }

    pub(crate) fn seated(&self) -> Seated<'a> {
        Seated { pool: self.pool, seat: self.seat, local: self.local }
    }

    /// Runs steps until the runtime shuts down, or the worker has to retire or to rest.
    pub(crate) fn run(&self) {
        Stripe::of_seat(self.seat.index).pin_to_thread();
        context::run_in_seat(self.seated(), || {
            let _polling = context::polling();
            loop {
                preemption_point();
                match self.step() {
                    Step::WouldPark => self.park(),
                    Step::Exited => return,
                    _ => {}
                }
            }
        });
    }

    /// Does one bounded action. The caller occupies the seat (see [`context::run_in_seat`]).
    #[inline]
    pub(crate) fn step(&self) -> Step {
        match self.mode.get() {
            Mode::Working => self.work_step(),
            Mode::Searching => self.search_pass(),
            Mode::Announced => self.final_check(),
        }
    }

    /// Runs `f` with this thread occupying the seat.
    pub(crate) fn run_in_seat<R>(&self, f: impl FnOnce() -> R) -> R {
        context::run_in_seat(self.seated(), f)
    }

    #[inline]
    fn work_step(&self) -> Step {
        // Ordering: Relaxed — only the change of the tick matters. What it makes the worker check
        // has its own orderings.
        let tick = self.pool.tick.load(Ordering::Relaxed);
        let mut due =
            if tick == self.local.tick.get() { self.local.maintenance_due() } else { Maintenance::Checkpoint };
        if due != Maintenance::Nothing {
            // Ordering: Acquire — pairs with the Release in `ThreadHost::wake_seats` and
            // `Pool::wake_all_workers`: a worker that has seen their tick above sees the phase and
            // the worker set. The second load keeps the Acquire off the poll path.
            self.pool.tick.load(Ordering::Acquire);
            if !self.pool.phase.is_running() {
                if let Some(step) = self.on_phase_change(tick, due) {
                    return step;
                }
            }
            if self.must_exit() {
                return Step::Exited;
            }
            if self.local.tick.replace(tick) != tick {
                self.refresh_recording();
                if !self.pool.settings.pace.is_timed() {
                    due = self.local.maintenance_due();
                }
            }
            if let Some(step) = self.maintain(due) {
                return step;
            }
        }
        match self.next_task() {
            Some(runnable) => {
                self.poll_task(runnable);
                Step::Polled
            }
            None => self.out_of_work(),
        }
    }

    /// Returns true if the runtime shuts down, or the worker has to retire or to rest.
    pub(crate) fn must_exit(&self) -> bool {
        !self.pool.is_open() || !self.pool.worker_set.may_work(self.seat.index)
    }

    /// Takes the next task: from the LIFO slot, the ring, or the global queue.
    #[inline]
    pub(crate) fn next_task(&self) -> Option<Runnable> {
        if self.local.is_lifo_on() {
            if let Some(runnable) = self.seat.lifo.pop() {
                self.local.count_lifo();
                return Some(runnable);
            }
        }
        self.local.restart_lifo();
        self.local.ring_served();
        budget::refill();
        self.local.ring.pop().or_else(|| self.seat.lifo.pop()).or_else(|| self.refill_from_global())
    }

    /// Takes a share of the global queue. Returns its first task, and puts the rest into the ring.
    /// Wakes a helper if that pays.
    fn refill_from_global(&self) -> Option<Runnable> {
        let first = self.take_from_global()?;
        self.seated().wake_helper_for(self.local.ring.len());
        Some(first)
    }

    /// As [`Worker::refill_from_global`], without waking a helper. A searcher decides that once it
    /// is no searcher any more.
    fn take_from_global(&self) -> Option<Runnable> {
        let mut share = self.take_share(SHARE);
        self.record_global_take(share.len());
        let first = share.pop()?;
        self.push_pinned(share);
        Some(first)
    }

    fn take_share(&self, most: usize) -> Chain {
        let waiting = self.pool.global.len();
        if waiting == 0 {
            return Chain::new();
        }
        // After the drain's deadline one task at a time, because its destructor may not return.
        let most = if self.local.deadline_observed.get() { most.min(1) } else { most };
        let share = self.pool.global.take(&self.local.lane_cursor, (waiting / self.pool.workers() + 1).min(most));
        // The phase is read after the take: a worker that takes tasks which the drain's deadline
        // has queued sees the phase.
        if self.pool.phase.is_running() { share } else { self.keep_one_if_overdue(share) }
    }

    pub(crate) fn push_pinned(&self, share: Chain) {
        if !share.is_empty() {
            self.push_requeued(share);
            self.local.ring.pin_contents();
            self.recheck_deadline();
        }
    }

    /// Moves tasks from another queue to the ring's tail. The caller rechecks the deadline.
    pub(super) fn push_requeued(&self, mut tasks: Chain) {
        self.local.ring.count_requeued(tasks.len() as u32);
        while let Some(runnable) = tasks.pop() {
            self.seated().push_back(runnable);
        }
    }

    #[inline]
    pub(crate) fn poll_task(&self, runnable: Runnable) {
        self.local.count_poll();
        self.seat.stats.polls.add(1);
        context::set_task(Some(runnable.header().into()));
        self.seat.polling.begin_poll(runnable.header());
        let ran = if self.local.is_observed() { self.run_observed(runnable) } else { runnable.run(self.seat) };
        context::set_task(None);
        match ran {
            RunResult::Suspended => {}
            RunResult::Again(runnable) => self.requeue_yielded(runnable),
            RunResult::Ended => self.seat.stats.ended.add_release(1),
        }
        self.seat.polling.end_poll();
    }

    /// Queues a task that has yielded behind the others. Wakes a helper only if the ring overflows.
    #[inline(always)]
    fn requeue_yielded(&self, runnable: Runnable) {
        if budget::is_spent() {
            // A task in the LIFO slot would share the spent budget, so it comes after the ring's
            // next.
            self.local.pause_lifo();
            self.count_forced_yield(&runnable);
        }
        if self.pool.settings.current_thread {
            self.checkpoint_if_all_yielded();
        }
        self.seated().push_back(runnable);
    }

    /// Makes a checkpoint due before a yielded task is polled again, if no other task is ready. A
    /// program may rely on a yield to observe events and timers before it. Only on a current-thread
    /// runtime.
    #[cold]
    fn checkpoint_if_all_yielded(&self) {
        if self.local.all_have_yielded(self.queued_tasks()) {
            self.local.make_checkpoint_due();
        }
    }

    /// Records that the root future of a `block_on` has yielded. It is polled again after such a
    /// checkpoint, too.
    pub(crate) fn root_has_yielded(&self) {
        if self.local.all_have_yielded(self.queued_tasks()) {
            self.abandon_idle();
            self.local.make_checkpoint_due();
        }
    }

    /// Returns how many tasks are queued for this worker, the global queue included.
    fn queued_tasks(&self) -> usize {
        self.local.ring.len() + usize::from(!self.seat.lifo.is_empty()) + self.pool.global.len()
    }

    /// Does what is due, and polls a task if that is part of it. Returns the step in that case.
    #[cold]
    fn maintain(&self, due: Maintenance) -> Option<Step> {
        // A tick may ask for nothing but a choice between the groups.
        let may_check_global = due != Maintenance::Nothing && self.local.may_check_global(self.pool.settings.pace);
        self.checkpoint_if_due(due);
        if self.serve_group(|| self.has_default_work()) {
            return Some(Step::Polled);
        }
        let runnable = if may_check_global { self.check_global() } else { None }?;
        budget::refill();
        self.poll_task(runnable);
        Some(Step::Polled)
    }

    /// Makes the checkpoint or the global check that is due. Returns the first task of the global
    /// queue, which has waited longest.
    #[cold]
    pub(crate) fn do_maintenance(&self, due: Maintenance) -> Option<Runnable> {
        if due == Maintenance::Nothing {
            return None;
        }
        let may_check_global = self.local.may_check_global(self.pool.settings.pace);
        self.checkpoint_if_due(due);
        if may_check_global { self.check_global() } else { None }
    }

    fn checkpoint_if_due(&self, due: Maintenance) {
        if due == Maintenance::Checkpoint || self.is_checkpoint_late() {
            self.checkpoint();
        }
    }

    /// Makes a global check. Returns the first task of the global queue, which has waited longest.
    ///
    /// It does not return such a task twice without a task from the ring in between. Otherwise a
    /// full global queue would starve the ring where every poll is followed by a check.
    fn check_global(&self) -> Option<Runnable> {
        self.local.global_checked(self.pool.settings.pace.global);
        if self.pool.global.len() == 0 {
            return None;
        }
        let direct = self.local.may_serve_global_first();
        let mut share = self.take_share(self.pinned_room() + usize::from(direct));
        let first = if direct { share.pop() } else { None };
        self.make_room(share.len());
        self.push_pinned(share);
        self.seated().wake_helper_for(if first.is_some() { self.local.ring.len() } else { self.behind_the_next() });
        first
    }

    /// Returns how many tasks from other queues may still be pinned in the ring. A pinned task is
    /// not moved to the global queue before it is polled.
    fn pinned_room(&self) -> usize {
        SHARE.saturating_sub(self.local.ring.pinned_len())
    }

    /// Moves the ring's newest tasks to the end of the global queue, to make room for `coming`
    /// tasks that have waited there.
    pub(crate) fn make_room(&self, coming: usize) {
        if coming > 0 {
            self.pool.publish(self.local.ring.evict_newest(SHARE - coming), WakeHelper::Later);
        }
    }

    #[cold]
    pub(crate) fn out_of_work(&self) -> Step {
        if self.must_exit() {
            return Step::Exited;
        }
        if self.serve_group(|| self.others_are_awake() && self.pool.has_spare_work(self.seat.index)) {
            return Step::Polled;
        }
        if self.others_are_awake() && self.try_begin_search() {
            self.mode.set(Mode::Searching);
            return Step::Searched;
        }
        self.announce_sleep(false)
    }

    /// Returns true if another worker is awake, whose tasks could be stolen. The final check, which
    /// follows in any case, finds what this misses.
    fn others_are_awake(&self) -> bool {
        self.pool.workers() as isize > 1 + self.pool.idle.counts().sleepers()
    }

    /// Becomes a searcher, if fewer than half of the workers search, and fewer than a fixed number.
    fn try_begin_search(&self) -> bool {
        let workers = if wake_policy().few_searchers { self.pool.awake_workers() } else { self.pool.workers() };
        self.pool.idle.try_search(workers.min(self.pool.settings.searchers().saturating_mul(2)))
    }

    /// Searches the other seats once, from a random start, and then the global queue.
    fn search_pass(&self) -> Step {
        // Other threads may rely on this search. A worker that has to exit passes it on when it
        // leaves the seat.
        let urgent = self.has_urgent_group();
        if urgent || self.has_own_work() || self.must_exit() || self.has_unseen_deadline() {
            self.end_search();
            if urgent {
                self.local.make_group_check_due();
            }
            return Step::Resumed;
        }
        let Some(runnable) = self.steal_task().or_else(|| self.take_from_global()) else {
            return self.search_groups();
        };
        self.mode.set(Mode::Working);
        // Even if it was not the last searcher, it wakes a helper for the rest if that pays.
        let last = self.pool.idle.end_search();
        self.seated().wake_successor(last);
        self.poll_found(runnable);
        Step::Stole
    }

    /// Ends the search of a worker that has found work. Submitters may have relied on the last
    /// searcher. So it wakes a helper for their work if that pays; otherwise the watchdog bounds
    /// the wait.
    fn end_search(&self) {
        self.mode.set(Mode::Working);
        preemption_point();
        if self.pool.idle.end_search() {
            self.seated().wake_successor(true);
        }
    }

    /// Returns how many tasks stay in the ring when the next one has been taken.
    pub(super) fn behind_the_next(&self) -> usize {
        self.local.ring.len().saturating_sub(1)
    }

    fn has_own_work(&self) -> bool {
        self.local.ring.len() > 0 || !self.seat.lifo.is_empty()
    }

    /// Returns true if a task without a group is ready for this worker.
    pub(crate) fn has_default_work(&self) -> bool {
        self.has_own_work() || self.pool.global.len() > 0
    }

    fn steal_task(&self) -> Option<Runnable> {
        let requeued = self.local.ring.requeued();
        let found = self.search_seats(|victim| self.steal_from_seat(victim)).or_else(|| self.steal_lifo());
        if let Some((victim, _)) = &found {
            let stolen = 1 + u64::from(self.local.ring.requeued().wrapping_sub(requeued));
            self.record_steal(*victim, stolen as usize);
            self.seat.stats.steals.add(1);
            self.seat.stats.stolen.add(stolen);
            charge_moved_tasks(stolen);
        }
        found.map(|(_, runnable)| runnable)
    }

    /// Calls `take` with the other seats, from a random one on, until it returns a task. Returns
    /// the index of that seat, too.
    fn search_seats(&self, take: impl Fn(&Seat) -> Option<Runnable>) -> Option<(usize, Runnable)> {
        let mut victims = self.pool.seats.iter_from(|seats| self.local.rng.below(seats));
        victims.find_map(|victim| {
            if victim.index == self.seat.index { None } else { take(victim).map(|task| (victim.index, task)) }
        })
    }

    /// Takes a task from a LIFO slot, if the policy allows it.
    #[inline(always)]
    fn steal_lifo(&self) -> Option<(usize, Runnable)> {
        if !wake_policy().steals_lifo {
            return None;
        }
        pause_before_lifo();
        self.search_seats(|victim| victim.lifo.claim(victim.lifo.peek()?))
    }

    /// Steals half of a ring. With few workers it leaves a lone task. From a stalled seat it steals
    /// any task.
    fn steal_from_seat(&self, victim: &Seat) -> Option<Runnable> {
        charge_inspection(|| !self.pool.idle.is_announced(victim.index));
        victim.thief.steal(&self.local.ring, victim.min_stealable()).or_else(|| {
            let seen = victim.lifo.peek().filter(|_| victim.is_stalled())?;
            victim.lifo.claim(seen)
        })
    }

    /// Serves a group after a search that has found no other task. Announces a sleep if there is
    /// none.
    fn search_groups(&self) -> Step {
        if !self.has_ready_group() {
            return self.announce_sleep(true);
        }
        self.end_search();
        if self.serve_group(|| false) { Step::Stole } else { Step::Resumed }
    }

    fn announce_sleep(&self, searching: bool) -> Step {
        // Before the announcement: the final check sees what the hook spawns.
        run_hook(&self.pool.settings.on_thread_park);
        // A sleep is no time that tasks without a group have had.
        self.local.begin_default_interval(0);
        preemption_point();
        self.pool.idle.announce(self.seat.index, searching);
        self.mode.set(Mode::Announced);
        Step::Announced
    }

    /// Inspects the own queues and the global queue once more, after the announcement. It inspects
    /// the other seats, too, if no searcher does.
    fn final_check(&self) -> Step {
        // First: a drain report wakes its waiters, and these may be tasks of this worker.
        self.check_drain_before_park();
        let now = self.pool.clock.now();
        let due = self.seat.wheel.next_due() <= self.pool.clock.to_timer_time(now);
        let others = self.may_take_from_others();
        if due || others || self.has_own_work() || !self.pool.is_open() || self.has_unseen_deadline() {
            self.leave_idle(others);
            if due {
                self.checkpoint();
            }
            return Step::Resumed;
        }
        self.pass_on_groups();
        self.update_poll_time(now);
        self.checked_at.set(now);
        let _ = self.local.set_backlogged(false);
        Step::WouldPark
    }

    /// Returns true if there is work for which this worker should stay awake. Such work is in the
    /// global queue, or, if there is no searcher, in another seat.
    ///
    /// If there is a searcher, it finds the work, or the seat's worker wakes a helper. A worker
    /// that is not allowed to search would only announce its sleep again, and so spin.
    fn may_take_from_others(&self) -> bool {
        self.pool.global.len() > 0
            || self.has_ready_group()
            || (self.pool.idle.counts().searchers() <= 0 && self.pool.has_spare_work(self.seat.index))
    }

    /// Ends the announced sleep. A worker that does so for work of other seats continues as a
    /// searcher. Only a searcher passes the wake-up on if there is more work than it can take.
    pub(crate) fn leave_idle(&self, searching: bool) {
        self.withdraw_announcement(searching);
        run_hook(&self.pool.settings.on_thread_unpark);
    }

    /// Withdraws the announcement, and wakes the watchdog if it sleeps.
    fn withdraw_announcement(&self, searching: bool) {
        preemption_point();
        self.mode.set(match self.pool.idle.withdraw(self.seat.index, searching) {
            Withdrawn::Working => Mode::Working,
            Withdrawn::Searching => Mode::Searching,
        });
        self.pool.ensure_watched();
    }

    /// Counts a poll of the root like a poll of a task. So a root that is always ready does not
    /// keep the worker from its checkpoints.
    pub(crate) fn count_root(&self) {
        self.local.count_root();
    }

    /// Ends the search or withdraws the announcement, to leave the seat or to do something else.
    pub(crate) fn abandon_idle(&self) {
        if self.leave_idle_mode() {
            run_hook(&self.pool.settings.on_thread_unpark);
        }
    }

    /// As [`Worker::abandon_idle`], without the hook. Returns true if the caller has to call the
    /// hook. It does so last, because on a driver's thread a panic of the hook propagates.
    fn leave_idle_mode(&self) -> bool {
        let announced = self.mode.get() == Mode::Announced;
        if announced {
            self.withdraw_announcement(false);
        }
        if self.mode.get() == Mode::Searching {
            self.end_search();
        }
        announced
    }
}

impl Drop for Worker<'_> {
    /// Removes the worker from the idle counts, however it leaves the seat.
    fn drop(&mut self) {
        let announced = self.leave_idle_mode();
        self.stop_busy();
        if announced {
            // The thread may be unwinding already, because another hook has panicked.
            catch_user_panic("an on_thread_unpark hook", || run_hook(&self.pool.settings.on_thread_unpark));
        }
    }
}

#[inline]
fn run_hook(hook: &Option<Hook>) {
    if let Some(hook) = hook {
        hook();
    }
}
