//! What only the worker of a seat touches.

use std::cell::Cell;
use std::fmt;

use crate::pool::poll_time::PollTimeEstimate;
use crate::pool::recent_steals::RecentSteals;
use crate::queue::{LaneCursor, Owner};
use crate::spin::Spin;
use crate::util::rng::Rng;
use crate::util::wake_list::WakeList;

/// At most so many tasks in a row come from the LIFO slot: a request, its answer, and one more.
const LIFO_RUN: u8 = 3;

/// What it costs to move a task to another core, in nanoseconds: its header, its data and its
/// memory are two or three cache lines. Moving shorter polls than this gains nothing.
const MIGRATION_NS: u32 = 200;

/// What a worker has to do before its next poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Maintenance {
    Nothing,
    /// Look at the global queue.
    GlobalQueue,
    /// Look at timers, reactor and global queue.
    Checkpoint,
}

/// How often a busy worker looks around.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CheckIntervals {
    /// A checkpoint after about so many nanoseconds; [`CheckIntervals::COUNTED`] if it comes by the
    /// count of polls alone...
    pub(crate) nanos: u64,
    /// ...and at most so many polls.
    pub(crate) polls: u32,
    /// A look at the global queue after so many polls...
    pub(crate) global: u32,
    /// ...and never sooner. Else also at each checkpoint.
    pub(crate) global_is_exact: bool,
}

impl CheckIntervals {
    /// No time is so long that a checkpoint comes by it.
    pub(crate) const COUNTED: u64 = u64::MAX;

    /// Whether checkpoints come by time as well: when a poll was long, or the watchdog ticks.
    pub(crate) fn is_timed(&self) -> bool {
        self.nanos != Self::COUNTED
    }
}

/// The local slot of a seat: whoever holds it is the seat's worker.
///
/// It lies in the seat while nobody does, and is taken out as a whole. All of it is plain cells:
/// the worker and the code that its task calls (spawn, wake) use it in turn, on one thread.
pub(crate) struct Local {
    /// The end of the seat's ring at which to push and pop.
    pub(crate) ring: Owner,
    pub(crate) rng: Rng,
    /// Which lane of the global queue has its turn next.
    pub(crate) lane_cursor: LaneCursor,
    /// Which shard of the reactor is looked at next.
    pub(crate) shard: Cell<usize>,
    /// How long to look for events before a rest.
    pub(crate) spin: Spin,
    /// Tasks in a row that came from the LIFO slot.
    lifo_run: Cell<u8>,
    /// The slot is off until a task has come from elsewhere.
    lifo_off: Cell<bool>,
    /// Wakes go to the ring's tail, and wake nobody: a batch of events is being handed out.
    batching: Cell<bool>,
    /// It is noted when tasks are queued.
    queue_times: bool,
    /// One of these two is so: tasks are not queued by the short way.
    aside: Cell<bool>,
    /// The watchdog's tick at the last checkpoint.
    pub(crate) tick: Cell<u32>,
    /// Polls since the reactor was last looked at. A rest that does not look there does not end the
    /// count.
    polls: Cell<u32>,
    /// How many of them have been learnt from.
    learnt: Cell<u32>,
    /// When that was, in the pool's nanoseconds.
    checked: Cell<u64>,
    /// When the reactor was last looked at here, in the pool's nanoseconds.
    reactor_seen: Cell<u64>,
    /// How many of the last polls, one after the other, have ended with a yield.
    yields: Cell<usize>,
    /// The count of polls at the latest yield. Only a current-thread runtime keeps this and
    /// `yields`.
    yielded_at: Cell<u32>,
    poll_time: PollTimeEstimate,
    recent_steals: RecentSteals,
    /// The seat's count of ended tasks at the last checkpoint.
    ended: Cell<u64>,
    /// Polls per ended task in the last interval.
    life: Cell<u32>,
    /// At which count of polls the next checkpoint is due.
    next_checkpoint: Cell<u32>,
    /// At which count of polls the next look at the global queue is due...
    global_at: Cell<u32>,
    /// ...and at which one either of them is.
    next_look: Cell<u32>,
    /// The ring was deep at the last checkpoint.
    deep: Cell<bool>,
    /// The global queue has had its turn since a task came from the ring.
    turned: Cell<bool>,
    /// Polls are measured, or hooks are told of them.
    pub(crate) is_observed: bool,
    /// Tasks that this worker has put into an empty LIFO slot.
    slotted: Cell<u64>,
    /// Tasks that it has put into its ring, as of the ring's count...
    ringed: Cell<u64>,
    /// ...when that was this.
    seen: Cell<u32>,
    /// The worker has seen that the drain's deadline has come.
    pub(crate) overdue: Cell<bool>,
    /// Memory for collecting wakers, kept between uses.
    wakes: Cell<WakeList>,
}

impl Local {
    /// Of the seat with this number.
    pub(crate) fn new(seat: usize, ring: Owner, seed: u64, spin: Spin) -> Self {
        let seen = Cell::new(ring.queued());
        Local {
            ring,
            rng: Rng::new(seed),
            lane_cursor: LaneCursor::new(seat),
            shard: Cell::new(seat),
            spin,
            lifo_run: Cell::new(0),
            lifo_off: Cell::new(false),
            batching: Cell::new(false),
            queue_times: false,
            aside: Cell::new(false),
            tick: Cell::new(0),
            polls: Cell::new(0),
            learnt: Cell::new(0),
            checked: Cell::new(0),
            reactor_seen: Cell::new(0),
            yields: Cell::new(0),
            yielded_at: Cell::new(0),
            poll_time: PollTimeEstimate::new(),
            recent_steals: RecentSteals::new(),
            ended: Cell::new(0),
            life: Cell::new(1),
            next_checkpoint: Cell::new(1),
            global_at: Cell::new(0),
            next_look: Cell::new(1),
            deep: Cell::new(false),
            turned: Cell::new(false),
            is_observed: false,
            slotted: Cell::new(0),
            ringed: Cell::new(0),
            seen,
            overdue: Cell::new(false),
            wakes: Cell::new(WakeList::new()),
        }
    }

    /// From now on it is noted when tasks are queued.
    pub(crate) fn note_stamps(&mut self) {
        self.queue_times = true;
        self.aside.set(true);
    }

    /// Whether it is.
    pub(crate) fn has_stamps(&self) -> bool {
        self.queue_times
    }

    /// A batch of events is handed out from now on, or is no longer.
    pub(crate) fn set_batching(&self, batching: bool) {
        self.batching.set(batching);
        self.aside.set(batching || self.queue_times);
    }

    /// Whether it is.
    pub(crate) fn is_batching(&self) -> bool {
        self.batching.get()
    }

    /// Whether a task that is queued has to be asked for that.
    #[inline]
    pub(crate) fn needs_slow_push(&self) -> bool {
        self.aside.get()
    }

    /// Whether the LIFO slot may be used now.
    #[inline]
    pub(crate) fn lifo_is_on(&self) -> bool {
        !self.lifo_off.get()
    }

    /// A task came from the LIFO slot.
    #[inline]
    pub(crate) fn count_lifo(&self) {
        let run = self.lifo_run.get() + 1;
        self.lifo_run.set(run);
        if run >= LIFO_RUN {
            self.lifo_off.set(true);
        }
    }

    /// The slot is off until a task has come from elsewhere.
    pub(crate) fn pause_lifo(&self) {
        self.lifo_off.set(true);
    }

    /// A task came from elsewhere.
    #[inline]
    pub(crate) fn end_lifo(&self) {
        self.lifo_run.set(0);
        self.lifo_off.set(false);
    }

    /// A run from the LIFO slot that has come to a checkpoint has lasted for long enough, however
    /// few tasks it was.
    pub(crate) fn end_lifo_run(&self) {
        self.lifo_off.set(self.lifo_run.get() > 0);
    }

    /// Whether it pays to wake another worker for `backlog` polls: they would be done sooner by
    /// more than `price`, in nanoseconds, if it took over all of them. Whoever has shared of late,
    /// and could wake somebody again, has called for help that soon ran dry; so the price is twice
    /// as high.
    #[inline]
    pub(crate) fn wake_pays(&self, backlog: usize, price: u64) -> bool {
        let gain = (backlog as u64).saturating_mul(self.poll_time.mean().saturating_sub(MIGRATION_NS).into());
        gain >= price.saturating_mul(1 + u64::from(self.recent_steals.is_recent()))
    }

    /// Whether tasks like those of late are polled for longer, until they end, than it costs to
    /// move them, if `helpers` take them over: each is moved once, and polled until it ends.
    pub(crate) fn worth_migrating(&self, helpers: usize) -> bool {
        let polled = self.mean_poll().saturating_mul(self.life.get().into());
        polled.saturating_mul(helpers as u64) > u64::from(MIGRATION_NS)
    }

    /// Learns how many polls a task takes until it ends, from the seat's count of `ended` tasks.
    /// Done before the polls are counted anew.
    pub(crate) fn update_polls_per_task(&self, ended: u64) {
        let ended = ended - self.ended.replace(ended);
        let life = u64::from(self.polls.get()) / ended.max(1);
        self.life.set(u32::try_from(life).unwrap_or(u32::MAX));
    }

    /// Counts a task that is about to be polled. The caller has seen since the last poll that no
    /// checkpoint is due, so the count is below its limit.
    #[inline]
    pub(crate) fn count_poll(&self) {
        self.polls.set(self.polls.get() + 1);
    }

    /// Counts a poll of a root future. Several such polls may follow each other before the caller
    /// asks what is due.
    pub(crate) fn count_root(&self) {
        self.polls.set(self.polls.get().saturating_add(1));
    }

    /// What is due before the next poll.
    #[inline]
    pub(crate) fn due(&self) -> Maintenance {
        let polls = self.polls.get();
        match polls {
            _ if polls < self.next_look.get() => Maintenance::Nothing,
            _ if polls < self.next_checkpoint.get() => Maintenance::GlobalQueue,
            _ => Maintenance::Checkpoint,
        }
    }

    /// Whether the global queue may be looked at now.
    pub(crate) fn may_look(&self, pace: CheckIntervals) -> bool {
        !pace.global_is_exact || self.polls.get() >= self.global_at.get()
    }

    /// The global queue has been looked at; it is looked at again after so many polls.
    pub(crate) fn global_checked(&self, polls: u32) {
        self.global_at.set(self.polls.get().saturating_add(polls));
        self.next_look.set(self.global_at.get().min(self.next_checkpoint.get()));
    }

    /// Learns at `now` from the polls since the last time how long a poll takes. Done before a
    /// rest, too, which is no poll. Answers how long ago it was that it last learnt, or rested.
    pub(crate) fn update_poll_time(&self, now: u64) -> u64 {
        let polls = self.polls.get() - self.learnt.replace(self.polls.get());
        let passed = now.saturating_sub(self.checked.replace(now));
        if polls > 0 {
            self.poll_time.update(polls, passed);
        }
        self.recent_steals.record(now, self.ring.stolen());
        passed
    }

    /// The worker has queued a task in the LIFO slot, from which none went on into the ring.
    #[inline]
    pub(crate) fn count_slotted(&self) {
        self.slotted.set(self.slotted.get() + 1);
    }

    /// How many tasks it has queued here so far. Asked more often than the ring's count comes
    /// round.
    pub(crate) fn scheduled(&self) -> u64 {
        let queued = self.ring.queued();
        let new = queued.wrapping_sub(self.seen.replace(queued));
        self.ringed.set(self.ringed.get() + u64::from(new));
        self.ringed.get() + self.slotted.get()
    }

    /// The mean poll of late, in nanoseconds.
    pub(crate) fn mean_poll(&self) -> u64 {
        self.poll_time.mean().into()
    }

    /// The worker has rested until `now`, which tells nothing about polls.
    pub(crate) fn slept_until(&self, now: u64) {
        self.checked.set(now);
    }

    /// How long ago it last learnt, or rested.
    pub(crate) fn since_learnt(&self, now: u64) -> u64 {
        now.saturating_sub(self.checked.get())
    }

    /// Begins a new interval at `now`, when the reactor is looked at: puts the next checkpoint
    /// after about `pace.nanos`, but at most `pace.polls`. A look at the global queue that has its
    /// own count keeps it.
    pub(crate) fn begin_interval(&self, now: u64, pace: CheckIntervals) {
        self.update_poll_time(now);
        let left = self.global_at.get().saturating_sub(self.polls.get());
        self.polls.set(0);
        self.learnt.set(0);
        let polls = u32::try_from(pace.nanos / self.mean_poll()).unwrap_or(u32::MAX);
        self.next_checkpoint.set(polls.clamp(1, pace.polls));
        self.global_checked(if pace.global_is_exact { left } else { pace.global });
    }

    /// Notes a look at the reactor.
    pub(crate) fn saw_reactor(&self, now: u64) {
        self.reactor_seen.set(now);
    }

    /// Returns how long ago the last look at the reactor was.
    pub(crate) fn since_reactor(&self, now: u64) -> u64 {
        now.saturating_sub(self.reactor_seen.get())
    }

    /// Notes that a task has yielded while `ready` tasks are queued. Returns true if more than
    /// `ready` polls in a row have yielded: then nothing else is ready. A checkpoint restarts the
    /// count.
    pub(crate) fn all_have_yielded(&self, ready: usize) -> bool {
        let polls = self.polls.get();
        let in_a_row = polls == self.yielded_at.replace(polls).wrapping_add(1);
        let yields = if in_a_row { self.yields.get() + 1 } else { 1 };
        self.yields.set(yields);
        yields > ready
    }

    /// Makes the next step begin with a checkpoint.
    pub(crate) fn make_checkpoint_due(&self) {
        self.next_checkpoint.set(0);
        self.next_look.set(0);
    }

    /// Whether the global queue may be served before the ring now; if so, it has had its turn.
    pub(crate) fn may_serve_global_first(&self) -> bool {
        !self.turned.replace(true)
    }

    /// A task comes from the ring: the global queue may be served first again.
    #[inline]
    pub(crate) fn ring_served(&self) {
        self.turned.set(false);
    }

    /// Notes whether the ring is deep; true if it was at the last checkpoint already, and the
    /// worker has not rested since.
    pub(crate) fn set_backlogged(&self, deep: bool) -> bool {
        self.deep.replace(deep) && deep
    }

    /// Lends the memory for collecting wakers.
    pub(crate) fn borrow_wakes(&self) -> WakeList {
        self.wakes.take()
    }

    /// Takes it back.
    pub(crate) fn return_wakes(&self, wakes: WakeList) {
        self.wakes.set(wakes);
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("ring", &self.ring).field("poll_time", &self.poll_time).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::time::Duration;

    use super::{CheckIntervals, Local, Maintenance};
    use crate::queue::Ring;
    use crate::spin::Spin;

    fn local() -> Local {
        Local::new(0, Ring::new_pair().0, 0, Spin::new(Duration::ZERO))
    }

    #[test]
    fn count_root_at_the_most_polls_stays_due() {
        let local = local();
        local.begin_interval(
            0,
            CheckIntervals {
                nanos: CheckIntervals::COUNTED,
                polls: u32::MAX,
                global: u32::MAX,
                global_is_exact: false,
            },
        );
        local.polls.set(u32::MAX - 1);
        assert_eq!(local.due(), Maintenance::Nothing);
        for _ in 0..3 {
            local.count_root();
            assert_eq!(local.due(), Maintenance::Checkpoint);
        }
    }

    #[test]
    fn prices_of_the_longest_polls_do_not_wrap_around() {
        let local = local();
        (0..100).for_each(|_| local.poll_time.update(1, u64::MAX));
        local.life.set(u32::MAX);
        for helpers in [1, 2, 1 << 14, usize::MAX] {
            assert!(local.worth_migrating(helpers));
        }
        for backlog in [1, u32::MAX as usize, usize::MAX] {
            assert!(local.wake_pays(backlog, 50_000));
        }
        assert!(!local.wake_pays(1, u64::MAX));
    }
}
