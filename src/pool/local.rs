//! The thread-only state of a seat, which only its worker uses.

use std::cell::{Cell, OnceCell};
use std::fmt;

use crate::pool::peer_observer::PeerObserver;
use crate::pool::poll_time::PollTimeEstimate;
use crate::pool::recent_steals::RecentSteals;
use crate::primitive::wake_policy;
use crate::queue::{LaneCursor, Owner};
use crate::recorder::track::TrackWriter;
use crate::spin::Spin;
use crate::util::rng::Rng;
use crate::util::wake_list::WakeList;

/// Most tasks in a row from the LIFO slot: a request, its answer, and one more.
const LIFO_RUN: u8 = 3;

/// The check that a worker has to make before its next poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Maintenance {
    Nothing,
    /// A global check: take tasks from the global queue.
    GlobalQueue,
    /// Advance timers, poll the reactor if that is due, and make a global check.
    Checkpoint,
}

/// How often a busy worker makes global checks and checkpoints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CheckIntervals {
    /// Nanoseconds between two checkpoints, about. [`CheckIntervals::COUNTED`] if only the count of
    /// polls decides.
    pub(crate) nanos: u64,
    /// Most polls between two checkpoints.
    pub(crate) polls: u32,
    /// Most polls between two global checks.
    pub(crate) global: u32,
    /// `global` is exact. Otherwise each checkpoint makes a global check, too.
    pub(crate) global_is_exact: bool,
}

impl CheckIntervals {
    /// As `nanos`: no checkpoint is due by time.
    pub(crate) const COUNTED: u64 = u64::MAX;

    /// Returns true if checkpoints are due by time as well: after a long poll, or at the watchdog's
    /// tick.
    pub(crate) fn is_timed(&self) -> bool {
        self.nanos != Self::COUNTED
    }
}

/// The thread-only state of a seat. The thread that has taken it is the seat's worker.
///
/// While there is no worker, it is in the seat's local slot. It consists of plain cells, because
/// the worker and the code that its task calls (spawn, wake) use it in turn on one thread.
pub(crate) struct Local {
    /// The owner's end of the seat's ring.
    pub(crate) ring: Owner,
    pub(crate) rng: Rng,
    /// The position in the lanes of the global queue.
    pub(crate) lane_cursor: LaneCursor,
    /// The position in the lanes of the groups' queues.
    pub(crate) group_cursor: LaneCursor,
    /// The shard of the reactor that is polled next.
    pub(crate) shard: Cell<usize>,
    /// How long to poll for events before a sleep.
    pub(crate) spin: Spin,
    /// Tasks in a row that came from the LIFO slot.
    lifo_run: Cell<u8>,
    /// The LIFO slot is off until the worker next turns to the ring or the global queue.
    lifo_off: Cell<bool>,
    /// A batch of events is being dispatched: woken tasks go to the ring's tail, and one
    /// decision about a helper follows the batch.
    batching: Cell<bool>,
    /// The times at which tasks are queued are recorded.
    queue_times: bool,
    /// `batching`, `queue_times` or `recording` is set, so a push takes the slow path.
    slow_push: Cell<bool>,
    /// The pool's tick that this worker has acted on last.
    pub(crate) tick: Cell<u32>,
    /// Polls since the last checkpoint or reactor poll. A sleep without a reactor poll does not
    /// reset the count.
    polls: Cell<u32>,
    /// How many of these polls are in `poll_time`.
    timed_polls: Cell<u32>,
    /// When `poll_time` was last updated or the worker last woke, in the pool's nanoseconds.
    timed_at: Cell<u64>,
    /// When this worker last polled the reactor, in the pool's nanoseconds.
    reactor_polled_at: Cell<u64>,
    /// How many polls are left of the reactor round: of the tasks that were queued when the reactor
    /// was last polled.
    reactor_round: Cell<u32>,
    /// How many consecutive polls have ended with a yield, up to the latest yield.
    yields: Cell<usize>,
    /// The count of polls at the latest yield. Only a current-thread runtime updates this and
    /// `yields`.
    yielded_at: Cell<u32>,
    poll_time: PollTimeEstimate,
    recent_steals: RecentSteals,
    /// The seat's count of ended tasks at the last checkpoint.
    ended: Cell<u64>,
    /// Polls per ended task in the last interval.
    polls_per_task: Cell<u32>,
    /// The count of polls at which the next checkpoint is due.
    next_checkpoint: Cell<u32>,
    /// The count of polls at which the next global check is due.
    global_at: Cell<u32>,
    /// The count of polls at which either of them is due.
    next_check: Cell<u32>,
    /// The ring had a backlog at the last checkpoint.
    backlogged: Cell<bool>,
    /// The global queue has been served first since the ring was served.
    global_served: Cell<bool>,
    /// Polls are measured, or task hooks are called for them.
    pub(crate) is_measured: bool,
    /// `is_measured` is set, or events are recorded. So a poll takes the slow path.
    is_observed: Cell<bool>,
    /// Events are recorded, and `track` is set.
    recording: Cell<bool>,
    /// The recorder's track of this seat.
    track: OnceCell<TrackWriter>,
    /// There was no memory for the track.
    track_failed: Cell<bool>,
    /// When the last poll has ended, in ticks of the recorder. Zero if the worker has recorded
    /// anything else since.
    poll_ended_at: Cell<u64>,
    /// Tasks that this worker has put into an empty LIFO slot.
    lifo_pushes: Cell<u64>,
    /// Tasks that this worker has put into its ring, up to the last read of the ring's count.
    ring_pushes: Cell<u64>,
    /// The ring's count at that read. It wraps around.
    ring_count: Cell<u32>,
    /// When the worker turned to its tasks without a group, while a group was ready. Zero if it
    /// did not.
    default_since: Cell<u64>,
    /// The worker has observed that the drain's deadline has passed.
    pub(crate) deadline_observed: Cell<bool>,
    /// What this worker knows of another one.
    pub(crate) peer_observer: PeerObserver,
    /// A list for collecting wakers, whose memory is reused.
    wakes: Cell<WakeList>,
}

impl Local {
    /// Returns the state of the seat of this index.
    pub(crate) fn new(seat: usize, ring: Owner, seed: u64, spin: Spin) -> Self {
        let ring_count = Cell::new(ring.queued());
        Local {
            ring,
            rng: Rng::new(seed),
            lane_cursor: LaneCursor::new(seat),
            group_cursor: LaneCursor::new(seat),
            shard: Cell::new(seat),
            spin,
            lifo_run: Cell::new(0),
            lifo_off: Cell::new(false),
            batching: Cell::new(false),
            queue_times: false,
            slow_push: Cell::new(false),
            tick: Cell::new(0),
            polls: Cell::new(0),
            timed_polls: Cell::new(0),
            timed_at: Cell::new(0),
            reactor_polled_at: Cell::new(0),
            reactor_round: Cell::new(0),
            yields: Cell::new(0),
            yielded_at: Cell::new(0),
            poll_time: PollTimeEstimate::new(),
            recent_steals: RecentSteals::new(),
            ended: Cell::new(0),
            polls_per_task: Cell::new(1),
            next_checkpoint: Cell::new(1),
            global_at: Cell::new(0),
            next_check: Cell::new(1),
            backlogged: Cell::new(false),
            global_served: Cell::new(false),
            is_measured: false,
            is_observed: Cell::new(false),
            recording: Cell::new(false),
            track: OnceCell::new(),
            track_failed: Cell::new(false),
            poll_ended_at: Cell::new(0),
            lifo_pushes: Cell::new(0),
            ring_pushes: Cell::new(0),
            ring_count,
            default_since: Cell::new(0),
            deadline_observed: Cell::new(false),
            peer_observer: PeerObserver::new(seat),
            wakes: Cell::new(WakeList::new()),
        }
    }

    /// Enables the recording of queue times.
    pub(crate) fn enable_queue_times(&mut self) {
        self.queue_times = true;
        self.slow_push.set(true);
    }

    /// Makes each poll take the slow path, because polls are measured or hooks are called for them.
    pub(crate) fn enable_measuring(&mut self) {
        self.is_measured = true;
        self.is_observed.set(true);
    }

    /// Returns true if a poll has to take the slow path.
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        self.is_observed.get()
    }

    /// Returns true if events are recorded.
    #[inline]
    pub(crate) fn is_recording(&self) -> bool {
        self.recording.get()
    }

    /// Returns the recorder's track of this seat, if events are recorded.
    #[inline]
    pub(crate) fn track(&self) -> Option<&TrackWriter> {
        if self.recording.get() { self.track.get() } else { None }
    }

    /// Sets whether events are recorded. `new_track` is called if there is no track yet.
    #[cold]
    pub(crate) fn set_recording(&self, recording: bool, new_track: impl FnOnce() -> Option<TrackWriter>) {
        if recording && self.track.get().is_none() && !self.track_failed.get() {
            match new_track() {
                Some(track) => drop(self.track.set(track)),
                None => self.track_failed.set(true),
            }
        }
        self.recording.set(recording && self.track.get().is_some());
        self.is_observed.set(self.is_measured || self.recording.get());
        self.slow_push.set(self.batching.get() || self.queue_times || self.recording.get());
        self.poll_ended_at.set(0);
    }

    /// Records when a poll has ended, in ticks. Zero if the worker has recorded anything else.
    #[inline]
    pub(crate) fn set_poll_end(&self, at: u64) {
        self.poll_ended_at.set(at);
    }

    /// Returns when the last poll has ended, if nothing else was recorded since; or zero.
    #[inline]
    pub(crate) fn take_poll_end(&self) -> u64 {
        self.poll_ended_at.take()
    }

    /// Returns true if queue times are recorded.
    pub(crate) fn has_queue_times(&self) -> bool {
        self.queue_times
    }

    /// Sets whether a batch of events is being dispatched.
    pub(crate) fn set_batching(&self, batching: bool) {
        self.batching.set(batching);
        self.slow_push.set(batching || self.queue_times || self.recording.get());
    }

    /// Returns true while a batch of events is dispatched.
    pub(crate) fn is_batching(&self) -> bool {
        self.batching.get()
    }

    /// Returns true if a push has to take the slow path.
    #[inline]
    pub(crate) fn needs_slow_push(&self) -> bool {
        self.slow_push.get()
    }

    /// Returns true if the LIFO slot may be used now.
    #[inline]
    pub(crate) fn is_lifo_on(&self) -> bool {
        !self.lifo_off.get()
    }

    /// Counts a task that came from the LIFO slot.
    #[inline]
    pub(crate) fn count_lifo(&self) {
        let run = self.lifo_run.get() + 1;
        self.lifo_run.set(run);
        if run >= LIFO_RUN {
            self.lifo_off.set(true);
        }
    }

    /// Turns the LIFO slot off until the worker next turns to the ring or the global queue.
    pub(crate) fn pause_lifo(&self) {
        self.lifo_off.set(true);
    }

    /// Starts the count of tasks from the LIFO slot anew, and turns the slot on. The worker turns
    /// to the ring and the global queue.
    #[inline]
    pub(crate) fn restart_lifo(&self) {
        self.lifo_run.set(0);
        self.lifo_off.set(false);
    }

    /// Turns the LIFO slot off at a checkpoint if tasks in a row came from it, and on if none did.
    /// A run that reaches a checkpoint has lasted long enough, however few tasks it had.
    pub(crate) fn cut_lifo_run(&self) {
        self.lifo_off.set(self.lifo_run.get() > 0);
    }

    /// Returns true if it pays to wake a helper for `backlog` polls. It pays if the polls would end
    /// sooner by at least `price` nanoseconds, with the helper taking all of them.
    ///
    /// If tasks were stolen in the last 20 ms, require twice the gain. A helper that sleeps again
    /// so soon has run out of work.
    #[inline]
    pub(crate) fn wake_pays(&self, backlog: usize, price: u64) -> bool {
        let policy = wake_policy();
        let gain = (backlog as u64).saturating_mul(self.poll_time.mean().saturating_sub(policy.migration_nanos).into());
        let factor = if self.recent_steals.is_recent() { policy.repeated_price } else { 1 };
        gain >= price.saturating_mul(factor)
    }

    /// Returns true if a recent task is polled for longer in its life than it costs to move it.
    /// Each of `helpers` moves a task once, and polls it until it ends.
    pub(crate) fn worth_migrating(&self, helpers: usize) -> bool {
        let polled = self.mean_poll().saturating_mul(self.polls_per_task.get().into());
        polled.saturating_mul(helpers as u64) > u64::from(wake_policy().migration_nanos)
    }

    /// Updates the estimate of polls per task from the seat's count of `ended` tasks. Must be
    /// called before the count of polls is reset.
    pub(crate) fn update_polls_per_task(&self, ended: u64) {
        let ended = ended - self.ended.replace(ended);
        let polls_per_task = u64::from(self.polls.get()) / ended.max(1);
        self.polls_per_task.set(u32::try_from(polls_per_task).unwrap_or(u32::MAX));
    }

    /// Counts a task that is about to be polled. Since the last poll the caller has seen that no
    /// checkpoint is due, so the count does not overflow.
    #[inline]
    pub(crate) fn count_poll(&self) {
        self.polls.set(self.polls.get() + 1);
    }

    /// Counts a poll of a root future. Several such polls may occur before the caller asks what is
    /// due, so the count saturates.
    pub(crate) fn count_root(&self) {
        self.polls.set(self.polls.get().saturating_add(1));
    }

    /// Returns the check that is due before the next poll.
    #[inline]
    pub(crate) fn maintenance_due(&self) -> Maintenance {
        let polls = self.polls.get();
        match polls {
            _ if polls < self.next_check.get() => Maintenance::Nothing,
            _ if polls < self.next_checkpoint.get() => Maintenance::GlobalQueue,
            _ => Maintenance::Checkpoint,
        }
    }

    /// Returns true if a global check is allowed now.
    pub(crate) fn may_check_global(&self, pace: CheckIntervals) -> bool {
        !pace.global_is_exact || self.polls.get() >= self.global_at.get()
    }

    /// Records a global check. The next one is due after `polls`.
    pub(crate) fn global_checked(&self, polls: u32) {
        self.global_at.set(self.polls.get().saturating_add(polls));
        self.next_check.set(self.global_at.get().min(self.next_checkpoint.get()));
    }

    /// Updates the estimate of the poll time at `now`, from the polls since the last update. Must
    /// be called before a sleep, too, because a sleep is no poll. Returns the nanoseconds since the
    /// last update or sleep.
    pub(crate) fn update_poll_time(&self, now: u64) -> u64 {
        let polls = self.polls.get() - self.timed_polls.replace(self.polls.get());
        let passed = now.saturating_sub(self.timed_at.replace(now));
        if polls > 0 {
            self.poll_time.update(polls, passed);
        }
        self.recent_steals.record(now, self.ring.stolen());
        passed
    }

    /// Counts a task that was put into the LIFO slot without displacing another into the ring.
    #[inline]
    pub(crate) fn count_lifo_push(&self) {
        self.lifo_pushes.set(self.lifo_pushes.get() + 1);
    }

    /// Returns how many tasks this worker has queued so far. It is called more often than the
    /// ring's count wraps around.
    pub(crate) fn scheduled(&self) -> u64 {
        let queued = self.ring.queued();
        let new = queued.wrapping_sub(self.ring_count.replace(queued));
        self.ring_pushes.set(self.ring_pushes.get() + u64::from(new));
        self.ring_pushes.get() + self.lifo_pushes.get()
    }

    /// Returns the mean length of recent polls, in nanoseconds.
    pub(crate) fn mean_poll(&self) -> u64 {
        self.poll_time.mean().into()
    }

    /// Records a sleep until `now`, which is no poll time.
    pub(crate) fn slept_until(&self, now: u64) {
        self.timed_at.set(now);
    }

    /// Returns the nanoseconds since the last update of the poll time, or the last sleep.
    pub(crate) fn since_poll_time_update(&self, now: u64) -> u64 {
        now.saturating_sub(self.timed_at.get())
    }

    /// Begins a new interval at `now`, at a checkpoint or a reactor poll. The next checkpoint is
    /// due after about `pace.nanos`, but at most `pace.polls`. An exact count to the next global
    /// check goes on.
    pub(crate) fn begin_interval(&self, now: u64, pace: CheckIntervals) {
        self.update_poll_time(now);
        let left = self.global_at.get().saturating_sub(self.polls.get());
        self.polls.set(0);
        self.timed_polls.set(0);
        let polls = u32::try_from(pace.nanos / self.mean_poll()).unwrap_or(u32::MAX);
        self.next_checkpoint.set(polls.clamp(1, pace.polls));
        self.global_checked(if pace.global_is_exact { left } else { pace.global });
    }

    /// Records a reactor poll.
    pub(crate) fn record_reactor_poll(&self, now: u64) {
        self.reactor_polled_at.set(now);
    }

    /// Begins a reactor round. The tasks that the reactor poll has woken are queued.
    pub(crate) fn begin_reactor_round(&self) {
        self.reactor_round.set(self.ring.len() as u32);
    }

    /// Counts the polls of the interval that ends as a part of the reactor round. Returns true if
    /// the round is over, or would be before another interval of as many polls ends. So the ring
    /// does not run empty in between. Must be called before the count of polls is reset.
    pub(crate) fn advance_reactor_round(&self) -> bool {
        let polls = self.polls.get();
        let left = self.reactor_round.get().saturating_sub(polls);
        self.reactor_round.set(left);
        left <= polls
    }

    /// Returns the nanoseconds since the last reactor poll.
    pub(crate) fn since_reactor_poll(&self, now: u64) -> u64 {
        now.saturating_sub(self.reactor_polled_at.get())
    }

    /// Records that a task has yielded while `ready` tasks are queued. Returns true if more than
    /// `ready` polls in a row have yielded: then no other task is ready. A checkpoint restarts the
    /// count.
    pub(crate) fn all_have_yielded(&self, ready: usize) -> bool {
        let polls = self.polls.get();
        let in_a_row = polls == self.yielded_at.replace(polls).wrapping_add(1);
        let yields = if in_a_row { self.yields.get() + 1 } else { 1 };
        self.yields.set(yields);
        yields > ready
    }

    /// Makes the next step begin with a checkpoint, which polls the reactor.
    pub(crate) fn make_checkpoint_due(&self) {
        self.reactor_round.set(0);
        self.next_checkpoint.set(0);
        self.next_check.set(0);
    }

    /// Returns true if the global queue may be served before the ring now, and records that it is.
    pub(crate) fn may_serve_global_first(&self) -> bool {
        !self.global_served.replace(true)
    }

    /// Records that the ring is served: the global queue may be served first again.
    #[inline]
    pub(crate) fn ring_served(&self) {
        self.global_served.set(false);
    }

    /// Records whether the ring has a backlog. Returns true if it also had one at the last
    /// checkpoint, and the worker has not slept since.
    pub(crate) fn set_backlogged(&self, backlogged: bool) -> bool {
        self.backlogged.replace(backlogged) && backlogged
    }

    /// Makes the next step begin with a choice between the groups.
    pub(crate) fn make_group_check_due(&self) {
        self.next_check.set(0);
    }

    /// Returns true if a checkpoint is due by count.
    pub(crate) fn is_checkpoint_due(&self) -> bool {
        self.polls.get() >= self.next_checkpoint.get()
    }

    /// Records that the worker turns to its tasks without a group at `now`, while a group is ready.
    pub(crate) fn begin_default_interval(&self, now: u64) {
        self.default_since.set(now);
    }

    /// Returns how many nanoseconds the worker has spent on its tasks without a group, while a
    /// group was ready.
    pub(crate) fn end_default_interval(&self, now: u64) -> u64 {
        match self.default_since.take() {
            0 => 0,
            since => now.saturating_sub(since),
        }
    }

    /// Lends the list for collecting wakers.
    pub(crate) fn borrow_wakes(&self) -> WakeList {
        self.wakes.take()
    }

    /// Takes the list back, to reuse its memory.
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
        assert_eq!(local.maintenance_due(), Maintenance::Nothing);
        for _ in 0..3 {
            local.count_root();
            assert_eq!(local.maintenance_due(), Maintenance::Checkpoint);
        }
    }

    #[test]
    fn wake_prices_of_longest_polls_do_not_wrap() {
        let local = local();
        (0..100).for_each(|_| local.poll_time.update(1, u64::MAX));
        local.polls_per_task.set(u32::MAX);
        for helpers in [1, 2, 1 << 14, usize::MAX] {
            assert!(local.worth_migrating(helpers));
        }
        for backlog in [1, u32::MAX as usize, usize::MAX] {
            assert!(local.wake_pays(backlog, 50_000));
        }
        assert!(!local.wake_pays(1, u64::MAX));
    }
}
