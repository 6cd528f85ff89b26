//! What a drain knows: which tasks were counted in and out, which are exempt, and the report.
//!
//! The protocol is on [the drain's page](crate::drain).

use std::collections::BTreeSet;
use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::drain::deadline_thread::{DeadlineClaim, DeadlineThread};
use crate::drain::gate::{Gate, RejectedSpawnLog};
use crate::drain::outcome_counts::{BlockingJobs, OutcomeCounters, OutcomeCounts};
use crate::phase::{AtomicPhase, Phase};
use crate::primitive::{Arc, Condvar, Mutex, real_now, thread, wait_for};
use crate::raw_task::{AbortHandle, Id, TaskInfo};
use crate::util::once_event::OnceEvent;

/// How often a report with unnamed tasks is tried again. A model needs each of its outcomes once.
const REPORT_RETRIES: u32 = if cfg!(heist_loom) { 0 } else { 10 };

/// How long the report waits for a task that just ends, before it is tried again.
const REPORT_RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// The state of a pool's drain. [`TaskCounts`] adds what the seats have counted.
#[derive(Debug)]
pub(crate) struct DrainState {
    pub(crate) gate: Gate,
    /// Outcomes of tasks that a thread without a seat has ended.
    pub(crate) unseated: OutcomeCounters,
    pub(crate) jobs: BlockingJobs,
    pub(crate) refusals: RejectedSpawnLog,
    /// Fires when a drain, or the shutdown, begins.
    pub(crate) beginning: OnceEvent,
    /// Fires when the report is made.
    pub(crate) reported: OnceEvent,
    /// Fires when the runtime is closed. A `block_on` that does not keep the runtime waits for it.
    pub(crate) closing: OnceEvent,
    locked: Mutex<DrainLocked>,
    changed: Condvar,
}

#[derive(Debug)]
struct DrainLocked {
    /// Set once the runtime is being shut down.
    closing: bool,
    /// Set once the runtime has been shut down and no task lives.
    closed: bool,
    drain: Option<ActiveDrain>,
    deadline_thread: DeadlineThread,
    /// Set if a task was queued after the deadline that the reaper may not have seen.
    reaper_notified: bool,
}

/// A drain that has begun.
#[derive(Debug)]
struct ActiveDrain {
    at: Instant,
    deadline: Option<Instant>,
    /// The outcomes before the drain began.
    base: OutcomeCounts,
    /// When the deadline was passed, which may be later than `deadline`.
    passed_at: Option<Instant>,
    /// The exempt tasks, one entry for each `Drain` that a task has polled.
    exempt: Slab<AbortHandle>,
    /// The tasks that were exempt when the report was made, sorted. They go on.
    exempt_at_report: Vec<Id>,
    /// Tasks and jobs that were cancelled since the deadline, or for the shutdown.
    cancelled: Vec<Straggler>,
    /// Polls that were under way at the beginning or at the deadline.
    seen: Vec<PollSeen>,
    report: Option<DrainReport>,
}

impl ActiveDrain {
    fn is_exempt(&self, id: Id) -> bool {
        self.exempt.iter().any(|(_, task)| task.id() == id)
    }

    /// Returns the exempt tasks that live, sorted. A task that is found alive here was not counted
    /// out before.
    fn live_exempt_ids(&self) -> Vec<Id> {
        let live = self.exempt.iter().filter(|(_, task)| !task.is_finished());
        let mut ids: Vec<Id> = live.map(|(_, task)| task.id()).collect();
        ids.sort();
        ids.dedup();
        ids
    }
}

/// What the seats of a pool have counted.
pub(crate) trait TaskCounts {
    /// Returns true if every worker has acknowledged the drain: its next spawns pass the gate.
    fn all_workers_acked(&self) -> bool;

    /// Returns how many tasks the seats have counted out. Reads with Acquire, and is called before
    /// [`TaskCounts::tasks_started`].
    fn tasks_ended(&self) -> u64;

    /// Returns how many tasks the seats have counted in.
    fn tasks_started(&self) -> u64;

    /// Returns how all tasks and jobs have ended. Reads with Acquire, and is called before
    /// [`TaskCounts::stragglers`].
    fn outcomes(&self) -> OutcomeCounts;

    /// Returns all tasks and jobs that can be found alive. One may be there twice. `seen` has the
    /// times since when polls have been under way.
    fn stragglers(&self, seen: &[PollSeen]) -> Vec<Straggler>;

    /// Returns the polls that are under way at `now`.
    fn polls_under_way(&self, now: Instant) -> Vec<PollSeen>;

    /// Called once, when the report is made and before its waiters are woken.
    fn on_report(&self) {}
}

/// A poll that was under way at some moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PollSeen {
    pub(crate) seat: usize,
    /// The seat's progress counter, which changes when the poll ends.
    pub(crate) number: u64,
    pub(crate) at: Instant,
}

impl DrainState {
    pub(crate) fn new() -> Self {
        let locked = DrainLocked {
            closing: false,
            closed: false,
            drain: None,
            deadline_thread: DeadlineThread::new(),
            reaper_notified: false,
        };
        DrainState {
            gate: Gate::new(),
            unseated: OutcomeCounters::new(),
            jobs: BlockingJobs::new(),
            refusals: RejectedSpawnLog::new(),
            beginning: OnceEvent::new(),
            reported: OnceEvent::new(),
            closing: OnceEvent::new(),
            locked: Mutex::new(locked),
            changed: Condvar::new(),
        }
    }

    /// Begins a drain. Returns false if one has begun before.
    #[must_use]
    pub(crate) fn begin_drain(
        &self,
        phase: &AtomicPhase,
        task_counts: &impl TaskCounts,
        deadline: Option<Instant>,
    ) -> bool {
        let mut locked = self.locked.lock();
        if locked.drain.is_some() {
            return false;
        }
        let base = task_counts.outcomes();
        // The phase comes first: a spawn that the gate refuses sees it.
        phase.advance(Phase::Draining);
        self.gate.close_external();
        let at = real_now();
        let seen = task_counts.polls_under_way(at);
        locked.drain = Some(ActiveDrain {
            at,
            deadline,
            base,
            passed_at: None,
            exempt: Slab::new(),
            exempt_at_report: Vec::new(),
            cancelled: Vec::new(),
            seen,
            report: None,
        });
        let no_task_lives = locked.closed;
        drop(locked);
        if no_task_lives {
            self.finalize_report(task_counts);
        }
        true
    }

    pub(crate) fn report(&self) -> Option<DrainReport> {
        self.locked.lock().drain.as_ref()?.report.clone()
    }

    /// Makes the report if every task has ended that is not exempt.
    ///
    /// A thread that has ended a task calls this afterwards, a worker before it sleeps.
    pub(crate) fn check_quiescent(&self, phase: &AtomicPhase, task_counts: &impl TaskCounts) {
        let mut locked = self.locked.lock();
        let Some(drain) = locked.pending() else { return };
        if !task_counts.all_workers_acked() {
            return;
        }
        // The ended are read before the started, so each of the former is among the latter.
        let ended = task_counts.tasks_ended() + self.gate.exited();
        let exempt = drain.live_exempt_ids().len() as u64;
        let entered = self.gate.entered();
        if ended + exempt != task_counts.tasks_started() + entered.total() {
            return;
        }
        // Past the deadline the gate is sealed already.
        if drain.passed_at.is_none() && !self.gate.try_seal(entered) {
            return;
        }
        phase.advance(Phase::Drained);
        drain.report = Some(drain.report_now(task_counts, |_, _| (Vec::new(), 0)));
        drop(locked);
        self.publish_report(task_counts);
    }

    /// Makes the report, although tasks may live. Does nothing if the report is there.
    ///
    /// A task that just ends is for a moment neither in a list nor counted. While the report would
    /// have a task without a name, this waits and tries again, a few times.
    pub(crate) fn finalize_report(&self, task_counts: &impl TaskCounts) {
        let mut locked = self.locked.lock();
        for retries_left in (0..=REPORT_RETRIES).rev() {
            let Some(drain) = locked.pending() else { return };
            self.gate.seal_now();
            let report = drain.report_now(task_counts, |drain, ended| drain.remaining(task_counts, &self.gate, ended));
            if report.unnamed == 0 || retries_left == 0 {
                drain.report = Some(report);
                break;
            }
            let pause = real_now().checked_add(REPORT_RETRY_INTERVAL);
            wait_for(&self.changed, &mut locked, pause, |locked| locked.pending().is_none());
        }
        drop(locked);
        self.publish_report(task_counts);
    }

    fn publish_report(&self, task_counts: &impl TaskCounts) {
        task_counts.on_report();
        self.changed.notify_all();
        self.reported.fire();
    }

    /// Passes the deadline: seals the gate, and advances the phase. `count_live` counts the reaper
    /// and the thread that starts it as live threads.
    ///
    /// Returns false if the report is there, the deadline has been passed before, or the runtime is
    /// being shut down. In the last case the closer may have read the number of live threads
    /// already.
    #[must_use]
    pub(crate) fn pass_deadline(
        &self,
        phase: &AtomicPhase,
        task_counts: &impl TaskCounts,
        count_live: impl FnOnce(),
    ) -> bool {
        let mut locked = self.locked.lock();
        let closing = locked.closing;
        let Some(drain) = locked.pending().filter(|drain| !closing && drain.passed_at.is_none()) else { return false };
        let now = real_now();
        drain.passed_at = Some(now);
        drain.seen.extend(task_counts.polls_under_way(now));
        self.gate.seal_now();
        phase.advance(Phase::DeadlinePassed);
        count_live();
        true
    }

    /// Returns whether a drain is under way and no shutdown has begun. If so, `count_live` counts
    /// the caller as a live thread, under the same lock.
    #[must_use]
    pub(crate) fn enter_if_draining(&self, count_live: impl FnOnce()) -> bool {
        let mut locked = self.locked.lock();
        let open = !locked.closing && locked.pending().is_some();
        if open {
            count_live();
        }
        open
    }

    /// Notifies the reaper of a task that was queued after the deadline, and that it may have
    /// missed. `id` is the task's, if the task may be exempt. An exempt task needs no reaper.
    #[cold]
    pub(crate) fn notify_reaper(&self, id: Option<Id>) {
        let mut locked = self.locked.lock();
        let Some(drain) = locked.pending() else { return };
        if drain.passed_at.is_some() && !id.is_some_and(|id| drain.is_exempt(id)) {
            locked.reaper_notified = true;
            drop(locked);
            self.changed.notify_all();
        }
    }

    /// Returns whether the reaper has been notified and has not observed that.
    #[cfg(all(test, not(heist_loom)))]
    pub(crate) fn is_reaper_notified(&self) -> bool {
        self.locked.lock().reaper_notified
    }

    /// Waits until the reaper is notified. Returns false if it is not needed any more: the report
    /// is there, or the runtime is being shut down.
    #[must_use]
    pub(crate) fn wait_for_notify(&self) -> bool {
        let mut locked = self.locked.lock();
        let over = |locked: &mut DrainLocked| locked.closing || locked.pending().is_none();
        wait_for(&self.changed, &mut locked, None, |locked| locked.reaper_notified || over(locked));
        !over(&mut locked) && std::mem::take(&mut locked.reaper_notified)
    }

    /// Begins the shutdown: every spawn is refused from now on. A thread that sees the phase and
    /// drops a task for it sees `closing` as well, because the phase changes under the lock.
    pub(crate) fn begin_shutdown(&self, phase: &AtomicPhase) {
        let mut locked = self.locked.lock();
        locked.closing = true;
        phase.advance(Phase::ShuttingDown);
        drop(locked);
        self.gate.seal_now();
        self.changed.notify_all();
    }

    /// Ends a drain that has no report yet: the runtime has been shut down, and no task lives.
    pub(crate) fn finish_shutdown(&self, task_counts: &impl TaskCounts) {
        self.locked.lock().closed = true;
        self.finalize_report(task_counts);
    }

    /// Exempts a task until [`DrainState::revoke_exemption`] is called with the returned key.
    /// Returns `None` after the deadline or the report.
    pub(crate) fn exempt(&self, task: AbortHandle) -> Option<usize> {
        let mut locked = self.locked.lock();
        let drain = locked.pending().filter(|drain| drain.passed_at.is_none())?;
        Some(drain.exempt.insert(task))
    }

    /// Returns whether the task `id` has the exemption `key`.
    pub(crate) fn holds_exemption(&self, key: usize, id: Id) -> bool {
        let locked = self.locked.lock();
        locked.drain.as_ref().and_then(|drain| drain.exempt.get(key)).is_some_and(|task| task.id() == id)
    }

    /// Revokes an exemption. Returns the task if it is overdue now, and has to be cancelled.
    #[must_use]
    pub(crate) fn revoke_exemption(&self, key: usize) -> Option<AbortHandle> {
        let mut locked = self.locked.lock();
        let drain = locked.drain.as_mut()?;
        let task = drain.exempt.try_remove(key)?;
        let cancel = drain.passed_at.is_some() && drain.report.is_none() && !drain.is_exempt(task.id());
        drop(locked);
        cancel.then_some(task)
    }

    /// Returns whether a task may go on after the deadline.
    pub(crate) fn is_exempt(&self, id: Id) -> bool {
        let locked = self.locked.lock();
        let Some(drain) = &locked.drain else { return true };
        match drain.report {
            None => drain.is_exempt(id),
            Some(_) => drain.exempt_at_report.contains(&id),
        }
    }

    /// Returns the tasks that may go on after the deadline, sorted. The deadline has passed, so no
    /// task is added; one that loses its exemption is cancelled by the thread that revokes it.
    pub(crate) fn exempt_ids(&self) -> Vec<Id> {
        let locked = self.locked.lock();
        locked.drain.as_ref().map_or_else(Vec::new, |drain| match drain.report {
            None => drain.live_exempt_ids(),
            Some(_) => drain.exempt_at_report.clone(),
        })
    }

    /// Records that a task was dropped unfinished; `count` counts its outcome. Both are one hold of
    /// the lock, so the report has the task as a straggler and as ended, or as neither.
    pub(crate) fn record_cancelled(&self, straggler: Straggler, count: impl FnOnce()) {
        let mut locked = self.locked.lock();
        let closing = locked.closing;
        if let Some(drain) = locked.pending() {
            if drain.passed_at.is_some() || closing {
                drain.cancelled.push(straggler);
            }
        }
        count();
    }

    /// Claims the start of the deadline thread. While `retry_interval` has not passed since the
    /// system has refused the thread, no claim succeeds.
    pub(crate) fn claim_deadline_thread(&self, retry_interval: Duration) -> DeadlineClaim {
        let mut locked = self.locked.lock();
        if locked.pending().is_none() {
            return DeadlineClaim::Nothing;
        }
        locked.deadline_thread.claim(real_now(), retry_interval)
    }

    /// Stores the deadline thread's handle. `None` means that it could not be started: a later
    /// claim succeeds.
    pub(crate) fn deadline_thread_started(&self, deadline_thread: Option<thread::JoinHandle<()>>) {
        self.locked.lock().deadline_thread = DeadlineThread::of(deadline_thread, real_now());
        self.changed.notify_all();
    }

    /// Returns whether a drain waits for its report, and no deadline thread is known to run.
    pub(crate) fn lacks_deadline_thread(&self) -> bool {
        let mut locked = self.locked.lock();
        locked.deadline_thread.is_missing() && locked.pending().is_some()
    }

    /// Returns the deadline thread for the closer to join, when no thread starts one any more. If a
    /// thread is just starting it, waits for that, at most until `deadline`.
    pub(crate) fn take_deadline_thread(&self, deadline: Option<Instant>) -> Option<thread::JoinHandle<()>> {
        let mut locked = self.locked.lock();
        let known = wait_for(&self.changed, &mut locked, deadline, |locked| !locked.deadline_thread.is_being_started());
        if known { locked.deadline_thread.take() } else { None }
    }

    /// Waits for the report, the drain's deadline, or the shutdown. Returns true if the deadline
    /// came first.
    #[must_use]
    pub(crate) fn wait_for_deadline(&self) -> bool {
        !self.wait_until(self.deadline(), |locked| locked.closing || locked.pending().is_none())
    }

    /// Returns the drain's deadline, if it has one.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.locked.lock().drain.as_ref()?.deadline
    }

    /// Returns the drain's deadline, or when it was passed if that was later.
    pub(crate) fn passed_deadline(&self) -> Option<Instant> {
        let locked = self.locked.lock();
        let drain = locked.drain.as_ref()?;
        drain.passed_at.max(drain.deadline)
    }

    /// Waits for the report, at most until `deadline`.
    pub(crate) fn wait_for_report(&self, deadline: Option<Instant>) {
        self.wait_until(deadline, |locked| locked.pending().is_none());
    }

    /// Waits until `happened` returns true. Returns false if the deadline came first.
    fn wait_until(&self, deadline: Option<Instant>, happened: impl FnMut(&mut DrainLocked) -> bool) -> bool {
        wait_for(&self.changed, &mut self.locked.lock(), deadline, happened)
    }
}

impl DrainLocked {
    /// Returns the drain that has begun and has no report yet.
    fn pending(&mut self) -> Option<&mut ActiveDrain> {
        self.drain.as_mut().filter(|drain| drain.report.is_none())
    }
}

impl ActiveDrain {
    /// Returns the report as of now. `remaining` gets the number of ended tasks, and returns the
    /// tasks that are left and the number of unnamed ones.
    fn report_now(
        &mut self,
        task_counts: &impl TaskCounts,
        remaining: impl FnOnce(&ActiveDrain, u64) -> (Vec<Straggler>, u64),
    ) -> DrainReport {
        self.exempt_at_report = self.live_exempt_ids();
        let outcomes = task_counts.outcomes();
        let (left, unnamed) = remaining(self, outcomes.total());
        let stragglers = self.cancelled.iter().cloned().chain(left).collect();
        let OutcomeCounts { completed, panicked, cancelled } = outcomes - self.base;
        let elapsed = real_now().saturating_duration_since(self.at);
        DrainReport { completed, panicked, cancelled, stragglers, unnamed, elapsed }
    }

    /// Returns the tasks that are left and not exempt. Also returns how many tasks were counted in
    /// that are neither among them, nor exempt, nor ended.
    fn remaining(&self, task_counts: &impl TaskCounts, gate: &Gate, ended: u64) -> (Vec<Straggler>, u64) {
        let mut left = task_counts.stragglers(&self.seen);
        left.sort_by_key(|straggler| straggler.id);
        left.dedup_by_key(|straggler| straggler.id);
        // A task that was dropped and counted may still appear in a poll or a list.
        let cancelled: BTreeSet<Id> = self.cancelled.iter().map(|straggler| straggler.id).collect();
        left.retain(|straggler| {
            self.exempt_at_report.binary_search(&straggler.id).is_err() && !cancelled.contains(&straggler.id)
        });
        let known = ended + (self.exempt_at_report.len() + left.len()) as u64;
        let unnamed = (task_counts.tasks_started() + gate.entered().total()).saturating_sub(known);
        (left, unnamed)
    }
}

/// How the tasks of a drained runtime have ended. Returned by
/// [`Drain`](crate::runtime::Drain).
///
/// The three counts are of tasks and blocking jobs that have ended between the call of `drain` and
/// the report. Each task and job that had not ended by itself at the deadline is named in
/// `stragglers`.
///
/// The report does not wait for code that does not return. A task or job in such a poll, function
/// or destructor is named, and is in none of the counts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DrainReport {
    /// How many ended with an output.
    pub completed: u64,
    /// How many ended by a panic.
    pub panicked: u64,
    /// How many ended without an output: aborted, or cancelled at the deadline.
    pub cancelled: u64,
    /// The tasks and jobs that had not ended by themselves at the deadline.
    pub stragglers: Vec<Straggler>,
    /// How many more of them have no known name. Almost always zero.
    ///
    /// A thread stood still from before the deadline to the report, while it spawned such a task or
    /// moved it from one queue to another. The report waits up to ten milliseconds for such a
    /// thread.
    pub unnamed: u64,
    /// The time from the call of `drain` to the report.
    pub elapsed: Duration,
}

/// A task or blocking job that had not ended by itself at the deadline of a drain.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Straggler {
    /// The task's id.
    pub id: Id,
    /// The task's name, if it has one; see [`task::Builder`](crate::task::Builder).
    pub name: Option<Arc<str>>,
    /// The name of the task's group, if it has one; see
    /// [`TaskGroup`](crate::runtime::TaskGroup).
    pub group: Option<Arc<str>>,
    /// The place where it was spawned.
    pub location: &'static Location<'static>,
    /// For how long at least its poll, function or destructor was running when the report was made.
    ///
    /// `None` if it was not running: it was dropped, or waits in a queue to be dropped.
    pub running_for: Option<Duration>,
}

impl From<TaskInfo> for Straggler {
    fn from(task: TaskInfo) -> Self {
        let TaskInfo { id, name, group, location } = task;
        Straggler { id, name, group, location, running_for: None }
    }
}

impl fmt::Display for Straggler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "task {} \"{name}\" spawned at {}", self.id, self.location)?,
            None => write!(f, "task {} spawned at {}", self.id, self.location)?,
        }
        if let Some(group) = &self.group {
            write!(f, " in group \"{group}\"")?;
        }
        match self.running_for {
            Some(time) => write!(f, " (running for {time:?})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DrainReport { completed, panicked, cancelled, stragglers, unnamed, elapsed } = self;
        write!(f, "drained in {elapsed:?}: {completed} completed, {panicked} panicked, {cancelled} cancelled")?;
        for (index, straggler) in stragglers.iter().enumerate() {
            write!(f, "{}{straggler}", if index == 0 { "; late: " } else { ", " })?;
        }
        if *unnamed > 0 {
            write!(f, "; and {unnamed} whose names are not known")?;
        }
        Ok(())
    }
}
