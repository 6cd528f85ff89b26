//! A thread in a seat: the loop of next, poll, search, rest, leave.
//!
//! The worker is a step machine. [`Worker::step`] does one bounded thing and says what it was;
//! [`Worker::run`] is `step` in a loop, with real parking. Announcing a sleep, the last look, and
//! sleeping are separate steps.
#![doc = include_str!("../../docs/fairness.md")]

use std::cell::Cell;

use crate::context::{self, Seated, budget};
use crate::idle::Retract;
use crate::pool::local::{Local, Maintenance};
use crate::pool::{Hook, Pool, Seat};
use crate::queue::Chain;
use crate::raw_task::{RunResult, Runnable};
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::util::stripe::Stripe;
use crate::util::wake_list::{WakeList, catch_user_panic};

/// Tasks taken from the global queue at once, at most: half a ring.
pub(crate) const SHARE: usize = crate::queue::CAPACITY / 2;

/// A ring that holds so many at two checkpoints in a row is shared, however short its polls are.
const DEEP: usize = crate::queue::CAPACITY / 4;

/// A worker: a thread that holds the local slot of a seat.
#[derive(Debug)]
pub(crate) struct Worker<'a> {
    pub(crate) pool: &'a Arc<Pool>,
    pub(crate) seat: &'a Seat,
    pub(crate) local: &'a Local,
    pub(crate) mode: Cell<Mode>,
    /// When it took its last look.
    pub(crate) looked: Cell<u64>,
    /// The seat's count of polls when it got up from its last rest.
    pub(crate) rose_at: Cell<Option<u64>>,
}

/// What a worker is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Take what is there.
    Working,
    /// Look into the other seats; counted as a searcher.
    Searching,
    /// Take a last look; counted as a sleeper.
    Announced,
}

/// What a step did.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Polled a task.
    Polled,
    /// Took tasks from another seat, or from the global queue, after a search.
    Stole,
    /// Ran out of work, and began to search.
    Searched,
    /// Found nothing, and announced a sleep.
    Announced,
    /// Took the last look: sleeps next, until this deadline of the pool's clock.
    WouldRest,
    /// Found something in the last look, or was woken.
    Rose,
    /// The pool takes no more work, or has fewer workers now: the worker gets up.
    Left,
}

impl<'a> Worker<'a> {
    /// A worker for whoever holds `local`, the local slot of `seat`.
    pub(crate) fn new(pool: &'a Arc<Pool>, seat: &'a Seat, local: &'a Local) -> Self {
        let now = pool.clock.now();
        let worker = Worker {
            pool,
            seat,
            local,
            mode: Cell::new(Mode::Working),
            looked: Cell::new(now),
            rose_at: Cell::new(None),
        };
        worker.start_busy(now);
        budget::refill();
        worker
    }

    pub(crate) fn seated(&self) -> Seated<'a> {
        Seated { pool: self.pool, seat: self.seat, local: self.local }
    }

    /// Works until the pool closes, or the seat is not wanted any more.
    pub(crate) fn run(&self) {
        Stripe::of_seat(self.seat.index).pin_to_thread();
        context::run_in_seat(self.seated(), || {
            let _polling = context::polling();
            loop {
                match self.step() {
                    Step::WouldRest => self.rest(),
                    Step::Left => return,
                    _ => {}
                }
            }
        });
    }

    /// Does one bounded thing. The caller sits in the seat (see [`context::run_in_seat`]).
    #[inline]
    pub(crate) fn step(&self) -> Step {
        match self.mode.get() {
            Mode::Working => self.run_steps(),
            Mode::Searching => self.search(),
            Mode::Announced => self.final_check(),
        }
    }

    /// Sits down for the length of `f`.
    pub(crate) fn run_in_seat<R>(&self, f: impl FnOnce() -> R) -> R {
        context::run_in_seat(self.seated(), f)
    }

    #[inline]
    fn run_steps(&self) -> Step {
        // Ordering: Relaxed — a tick carries nothing but its change; what it makes us look at has
        // its own orderings.
        let tick = self.pool.tick.load(Ordering::Relaxed);
        let mut due = if tick == self.local.tick.get() { self.local.due() } else { Maintenance::Checkpoint };
        if due != Maintenance::Nothing {
            // Ordering: Acquire — pairs with the Release in `ThreadHost::rouse` and
            // `Pool::call_all`: whoever has seen their tick above sees why it came. It is asked for
            // here only, so that the poll path has no Acquire.
            self.pool.tick.load(Ordering::Acquire);
            if !self.pool.phase.is_running() {
                if let Some(step) = self.on_phase_change(tick, due) {
                    return step;
                }
            }
            if self.has_to_leave() {
                return Step::Left;
            }
            if self.local.tick.replace(tick) != tick && !self.pool.settings.pace.is_timed() {
                due = self.local.due();
            }
            if let Some(runnable) = self.look_around(due) {
                budget::refill();
                self.poll(runnable);
                return Step::Polled;
            }
        }
        match self.next() {
            Some(runnable) => {
                self.poll(runnable);
                Step::Polled
            }
            None => self.out_of_work(),
        }
    }

    /// The pool takes no more work, or has fewer workers now.
    pub(crate) fn has_to_leave(&self) -> bool {
        !self.pool.is_open() || !self.pool.worker_set.is_wanted(self.seat.index)
    }

    /// The next task: LIFO slot, ring, global queue.
    #[inline]
    pub(crate) fn next(&self) -> Option<Runnable> {
        if self.local.lifo_is_on() {
            if let Some(runnable) = self.seat.lifo.pop() {
                self.local.count_lifo();
                return Some(runnable);
            }
        }
        self.local.end_lifo();
        self.local.ring_served();
        budget::refill();
        self.local.ring.pop().or_else(|| self.seat.lifo.pop()).or_else(|| self.refill())
    }

    /// Takes a share of the global queue: answers the first, the rest goes into the ring.
    fn refill(&self) -> Option<Runnable> {
        let first = self.take_in()?;
        self.seated().wake_helper_for(self.local.ring.len());
        Some(first)
    }

    /// The same, by one who looks after what is left when it is no searcher any more.
    fn take_in(&self) -> Option<Runnable> {
        let mut share = self.take_share(SHARE);
        let first = share.pop()?;
        self.push_all(share);
        Some(first)
    }

    fn take_share(&self, most: usize) -> Chain {
        let waiting = self.pool.global.len();
        if waiting == 0 {
            return Chain::new();
        }
        // After the drain's deadline one at a time: each may be the one whose destructor does not
        // return.
        let most = if self.local.overdue.get() { most.min(1) } else { most };
        let share = self.pool.global.take(&self.local.lane_cursor, (waiting / self.pool.workers() + 1).min(most));
        // Afterwards: who sees what the drain's deadline has brought there sees the phase.
        if self.pool.phase.is_running() { share } else { self.keep_one(share) }
    }

    pub(crate) fn push_all(&self, mut share: Chain) {
        if !share.is_empty() {
            self.local.ring.count_requeued(share.len() as u32);
            while let Some(runnable) = share.pop() {
                self.seated().push_back(runnable);
            }
            self.local.ring.pin_contents();
            self.mind_deadline();
        }
    }

    #[inline]
    pub(crate) fn poll(&self, runnable: Runnable) {
        self.local.count_poll();
        self.seat.stats.polls.add(1);
        context::set_task(Some(runnable.header().into()));
        self.seat.polling.begin_poll(runnable.header());
        let ran = if self.local.is_observed { self.run_observed(runnable) } else { runnable.run(self.seat) };
        context::set_task(None);
        match ran {
            RunResult::Suspended => {}
            RunResult::Again(runnable) => self.put_behind(runnable),
            RunResult::Ended => self.seat.stats.ended.add_release(1),
        }
        self.seat.polling.end_poll();
    }

    /// A yield: behind the others, and nobody is woken for it.
    #[inline(always)]
    fn put_behind(&self, runnable: Runnable) {
        if budget::is_spent() {
            // What the LIFO slot holds has a share in that budget, and comes after the ring's next.
            self.local.pause_lifo();
            self.count_forced_yield();
        }
        if self.pool.settings.current_thread {
            self.look_before_yielded();
        }
        self.seated().push_back(runnable);
    }

    /// Makes a look at reactor and timers due before a yielded task is polled again, if nothing
    /// else is ready. A program may rely on it that a yield sees what has happened before it. Only
    /// on a current-thread runtime.
    #[cold]
    fn look_before_yielded(&self) {
        if self.local.all_have_yielded(self.ready()) {
            self.local.make_checkpoint_due();
        }
    }

    /// Notes that the root future of a `block_on` has yielded. It is polled again after such a
    /// look, too.
    pub(crate) fn root_has_yielded(&self) {
        if self.local.all_have_yielded(self.ready()) {
            self.abandon_idle();
            self.local.make_checkpoint_due();
        }
    }

    /// Returns how many tasks are queued where this worker takes them from.
    fn ready(&self) -> usize {
        self.local.ring.len() + usize::from(!self.seat.lifo.is_empty()) + self.pool.global.len()
    }

    /// Looks at what the busy path does not. Answers the first task of the global queue, which has
    /// waited longest; but not twice in a row, else a full global queue would keep the ring from
    /// being polled where every poll is followed by a look.
    #[cold]
    pub(crate) fn look_around(&self, due: Maintenance) -> Option<Runnable> {
        if due == Maintenance::Nothing {
            return None;
        }
        let pace = self.pool.settings.pace;
        let looks = self.local.may_look(pace);
        if due == Maintenance::Checkpoint || self.is_late() {
            self.checkpoint();
        }
        if !looks {
            return None;
        }
        self.local.global_checked(pace.global);
        if self.pool.global.len() == 0 {
            return None;
        }
        let direct = self.local.may_serve_global_first();
        let mut share = self.take_share(self.room() + usize::from(direct));
        let first = if direct { share.pop() } else { None };
        self.make_room(share.len());
        self.push_all(share);
        self.seated().wake_helper_for(if first.is_some() { self.local.ring.len() } else { self.behind_the_next() });
        first
    }

    /// Whether a checkpoint is due by time, because polls have become longer than they were. Where
    /// there are ticks, they say so.
    fn is_late(&self) -> bool {
        let pool = self.pool;
        !pool.settings.watchdog && self.local.since_learnt(pool.clock.now()) >= pool.settings.pace.nanos
    }

    /// How many tasks of others may be put into the ring so that none of them can be sent away
    /// again before it was polled.
    fn room(&self) -> usize {
        SHARE.saturating_sub(self.local.ring.pinned_len())
    }

    /// Sends the newest of our own tasks to the end of the global queue, behind those that have
    /// waited there.
    pub(crate) fn make_room(&self, coming: usize) {
        if coming > 0 {
            let chain = self.local.ring.evict_newest(SHARE - coming);
            if !chain.is_empty() {
                self.pool.global.push_chain(chain);
                self.pool.recheck_deadline(None);
            }
        }
    }

    /// Looks at timers and reactor, and whether help is wanted.
    pub(crate) fn checkpoint(&self) {
        self.local.end_lifo_run();
        let now = self.pool.clock.now();
        self.begin_interval(now);
        let mut wakes = self.local.borrow_wakes();
        self.turn_wheels(now, &mut wakes);
        log_poll_error(self.pool.reactor.try_poll(&self.local.shard, || self.pool.awake_workers(), &mut wakes));
        self.local.saw_reactor(now);
        self.wake_batch(wakes);
        // Priced anew: polls may have become longer since it was queued.
        self.seated().wake_helper_for(self.behind_the_next());
        self.wake_for_backlog();
    }

    /// A ring that stays deep is shared, however short its polls are, unless its tasks end so soon
    /// that they are not worth moving.
    fn wake_for_backlog(&self) {
        let idle = self.pool.idle.counts();
        let deep = self.local.ring.len() >= DEEP && self.local.worth_migrating(idle.sleepers().max(1) as usize);
        if self.local.set_backlogged(deep) && idle.could_wake() {
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
                wheel.fire_due(now, wakes);
            }
        }
        // If the own one had to be taken over: whoever comes here is not stuck.
        self.pool.orphan_wheels.fire_due(self.seat.index, now, wakes);
    }

    /// Wakes a batch: into the ring, in order, and with one decision for all of it.
    pub(crate) fn wake_batch(&self, mut wakes: WakeList) {
        if !wakes.is_empty() {
            self.local.set_batching(true);
            wakes.wake_all();
            self.local.set_batching(false);
            self.mind_deadline();
            self.seated().wake_helper_for(self.behind_the_next());
        }
        self.local.return_wakes(wakes);
    }

    #[cold]
    pub(crate) fn out_of_work(&self) -> Step {
        if self.has_to_leave() {
            return Step::Left;
        }
        if self.pool.workers() > 1 && self.may_search() {
            self.mode.set(Mode::Searching);
            return Step::Searched;
        }
        self.announce(false)
    }

    /// Half of the workers may search at a time, up to a fixed number of them.
    fn may_search(&self) -> bool {
        self.pool.idle.try_search(self.pool.workers().min(2 * self.pool.settings.searchers))
    }

    /// One pass over the other seats from a random start, and the global queue.
    fn search(&self) -> Step {
        // A search that was left to a worker who is to leave ends with the handshake that it makes
        // on its way out.
        if self.has_own_work() || self.has_to_leave() || self.has_to_hear() {
            self.end_search();
            return Step::Rose;
        }
        let Some(runnable) = self.steal().or_else(|| self.take_in()) else {
            return self.announce(true);
        };
        self.mode.set(Mode::Working);
        // Whether or not it was the last one: it minds what it has left in any case.
        let _ = self.pool.idle.end_search();
        self.seated().wake_helper_for(self.local.ring.len());
        self.poll_found(runnable);
        Step::Stole
    }

    /// A searcher has found work. Who counted on the last one has left his work to us: it may be
    /// worth a second worker, and if not the watchdog has to see that it does not wait for long.
    fn end_search(&self) {
        self.mode.set(Mode::Working);
        if self.pool.idle.end_search() {
            self.seated().wake_helper_for(self.local.ring.len());
        }
    }

    /// How many tasks of the ring stay there when the next one has been taken.
    fn behind_the_next(&self) -> usize {
        self.local.ring.len().saturating_sub(1)
    }

    fn has_own_work(&self) -> bool {
        self.local.ring.len() > 0 || !self.seat.lifo.is_empty()
    }

    fn steal(&self) -> Option<Runnable> {
        let moved = self.local.ring.requeued();
        let mut victims = self.pool.seats.iter_from(|seats| self.local.rng.below(seats));
        let found =
            victims.find_map(|victim| if victim.index == self.seat.index { None } else { self.steal_from(victim) });
        if found.is_some() {
            self.seat.stats.steals.add(1);
            self.seat.stats.stolen.add(1 + u64::from(self.local.ring.requeued().wrapping_sub(moved)));
        }
        found
    }

    /// Half of a ring, but not somebody's only task; from a stalled seat whatever waits there.
    fn steal_from(&self, victim: &Seat) -> Option<Runnable> {
        victim.thief.steal(&self.local.ring, victim.min_stealable()).or_else(|| {
            let seen = victim.lifo.peek().filter(|_| victim.is_stalled())?;
            victim.lifo.claim(seen)
        })
    }

    fn announce(&self, searching: bool) -> Step {
        // What the hook spawns is seen by the last look.
        run_hook(&self.pool.settings.on_thread_park);
        self.pool.idle.announce(self.seat.index, searching);
        self.mode.set(Mode::Announced);
        Step::Announced
    }

    /// Looks at every kind of queue once more, after the announcement.
    fn final_check(&self) -> Step {
        // First: a report wakes whoever waits for it, perhaps here.
        self.check_drain_before_park();
        let now = self.pool.clock.now();
        let due = self.seat.wheel.next_due() <= self.pool.clock.to_timer_time(now);
        let others = self.may_take_from_others();
        if due || others || self.has_own_work() || !self.pool.is_open() || self.has_to_hear() {
            self.leave_idle(others);
            if due {
                self.checkpoint();
            }
            return Step::Rose;
        }
        self.update_poll_time(now);
        self.looked.set(now);
        let _ = self.local.set_backlogged(false);
        Step::WouldRest
    }

    /// Whether others have work that a worker should get up for: in the global queue, which is
    /// everybody's; or in a seat, unless somebody searches. Then it is for the searcher to find, or
    /// for the seat's worker to call for help; whoever got up without the right to search would
    /// only announce himself again, and so spin.
    fn may_take_from_others(&self) -> bool {
        self.pool.global.len() > 0
            || (self.pool.idle.counts().searchers() <= 0 && self.pool.has_spare_work(self.seat.index))
    }

    /// Gets up from the announced sleep. Who does so for what others have goes on as a searcher:
    /// only so is the wake-up passed on if there is more than one can take.
    pub(crate) fn leave_idle(&self, searching: bool) {
        self.take_back(searching);
        run_hook(&self.pool.settings.on_thread_unpark);
    }

    /// Takes the announcement back.
    fn take_back(&self, searching: bool) {
        self.mode.set(match self.pool.idle.withdraw(self.seat.index, searching) {
            Retract::Working => Mode::Working,
            Retract::Searching => Mode::Searching,
        });
        self.pool.ensure_watched();
    }

    /// Something that is no task has been polled in this seat, and counts like one: however often
    /// it is, it does not keep the worker from looking around.
    pub(crate) fn count_root(&self) {
        self.local.count_root();
    }

    /// Gives up the search or the announcement, to leave the seat or to do something else.
    pub(crate) fn abandon_idle(&self) {
        if self.give_up() {
            run_hook(&self.pool.settings.on_thread_unpark);
        }
    }

    /// The same without the hook. True if that is to be called, last: on a driver's thread its
    /// panic goes on.
    fn give_up(&self) -> bool {
        let announced = self.mode.get() == Mode::Announced;
        if announced {
            self.take_back(false);
        }
        if self.mode.get() == Mode::Searching {
            self.end_search();
        }
        announced
    }
}

impl Drop for Worker<'_> {
    /// However the worker leaves the seat, also unwinding, it is not counted any more.
    fn drop(&mut self) {
        let announced = self.give_up();
        self.stop_busy();
        if announced {
            // The frame may be unwinding because of another hook.
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

/// An error of the operating system's wait leaves the runtime without events: it is said, and tried
/// again.
pub(crate) fn log_poll_error(turned: std::io::Result<usize>) {
    if let Err(error) = turned {
        catch_user_panic("a tracing subscriber", || {
            tracing::error!(target: "heist::worker", %error, "the reactor could not be polled");
        });
    }
}
