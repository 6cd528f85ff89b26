//! The books of a runtime: who has come in, who has left, who is excused, and the report of a
//! drain.
//!
//! The protocol is on [the drain's page](crate::drain::reaper).

use std::collections::BTreeSet;
use std::time::Instant;

use slab::Slab;

use crate::drain::gate::Gate;
use crate::drain::once_event::OnceEvent;
use crate::drain::outcome_counts::{BlockingJobs, OutcomeCounters, OutcomeCounts};
use crate::drain::rejected_spawns::RejectedSpawnLog;
use crate::drain::report::{DrainReport, Straggler};
use crate::phase::{AtomicPhase, Phase};
use crate::raw_task::{AbortHandle, Id};
use crate::sync::{Condvar, Mutex, thread, wait_for};

/// The books. The counts of the seats are added by whoever looks: see [`TaskCounts`].
#[derive(Debug)]
pub(crate) struct DrainState {
    pub(crate) gate: Gate,
    /// Tasks that have been ended by a thread without a seat.
    pub(crate) unseated: OutcomeCounters,
    pub(crate) jobs: BlockingJobs,
    pub(crate) refusals: RejectedSpawnLog,
    /// Those who wait for a drain, or the shutdown, to begin.
    pub(crate) beginning: OnceEvent,
    /// Those who wait for the report.
    pub(crate) reported: OnceEvent,
    /// Those who wait in a `block_on` that does not keep the runtime, for its end.
    pub(crate) closing: OnceEvent,
    locked: Mutex<DrainLocked>,
    changed: Condvar,
}

#[derive(Debug)]
struct DrainLocked {
    /// The runtime is being shut down.
    closing: bool,
    /// The runtime has been shut down, and no task lives.
    closed: bool,
    drain: Option<ActiveDrain>,
    deadline_thread: DeadlineThread,
    /// Something has been queued since the deadline that the reaper may not have seen.
    reaper_notified: bool,
}

/// The thread that keeps the deadline.
#[derive(Debug)]
enum DeadlineThread {
    Wanted,
    /// Somebody is starting it.
    Called,
    /// To be joined by the closer.
    Started(thread::JoinHandle<()>),
    /// It has been joined.
    Gone,
}

/// A drain that has begun.
#[derive(Debug)]
struct ActiveDrain {
    at: Instant,
    deadline: Option<Instant>,
    /// What had ended before.
    base: OutcomeCounts,
    /// The deadline has come.
    deadline_passed: bool,
    /// One for each `Drain` that a task has polled.
    exempt: Slab<AbortHandle>,
    /// Who was excused when the report was made: they go on.
    exempt_at_report: Vec<Id>,
    /// What has been cancelled since the deadline.
    cancelled: Vec<Straggler>,
    /// Polls that were seen under way, at the beginning or at the deadline.
    seen: Vec<PollSeen>,
    report: Option<DrainReport>,
}

impl ActiveDrain {
    fn is_exempt(&self, id: Id) -> bool {
        self.exempt.iter().any(|(_, task)| task.id() == id)
    }

    /// The excused that live. A task that was seen alive here had not been counted out before.
    fn live_exempt_ids(&self) -> Vec<Id> {
        let alive = self.exempt.iter().filter(|(_, task)| !task.is_finished());
        let mut ids: Vec<Id> = alive.map(|(_, task)| task.id()).collect();
        ids.sort();
        ids.dedup();
        ids
    }
}

/// What the seats have counted.
pub(crate) trait TaskCounts {
    /// Every worker knows that the runtime drains: what it spawns from now on passes the gate.
    fn all_workers_acked(&self) -> bool;

    /// Tasks that seats have counted out; read with Acquire, and before `started`.
    fn tasks_ended(&self) -> u64;

    /// Tasks that seats have counted in.
    fn tasks_started(&self) -> u64;

    /// How all tasks and jobs have ended; read with Acquire, and before `left`.
    fn outcomes(&self) -> OutcomeCounts;

    /// All tasks and jobs that can be seen to live. One may be there twice. `seen` says since when
    /// polls have been under way.
    fn stragglers(&self, seen: &[PollSeen]) -> Vec<Straggler>;

    /// The polls that are under way now.
    fn polls_under_way(&self, now: Instant) -> Vec<PollSeen>;
}

/// A poll that was under way at some moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PollSeen {
    pub(crate) seat: usize,
    /// Identifies the poll: the seat's number changes when the poll ends.
    pub(crate) number: u64,
    pub(crate) at: Instant,
}

impl DrainState {
    pub(crate) fn new() -> Self {
        let locked = DrainLocked {
            closing: false,
            closed: false,
            drain: None,
            deadline_thread: DeadlineThread::Wanted,
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

    /// Begins a drain. False if one has begun before.
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
        // The phase first: whoever is refused sees it.
        phase.advance(Phase::Draining);
        self.gate.close_external();
        let (excused, spared, late) = (Slab::new(), Vec::new(), Vec::new());
        let at = Instant::now();
        let seen = task_counts.polls_under_way(at);
        locked.drain = Some(ActiveDrain {
            at,
            deadline,
            base,
            deadline_passed: false,
            exempt: excused,
            exempt_at_report: spared,
            cancelled: late,
            seen,
            report: None,
        });
        let nobody_lives = locked.closed;
        drop(locked);
        if nobody_lives {
            self.finalize_report(task_counts);
        }
        true
    }

    pub(crate) fn report(&self) -> Option<DrainReport> {
        self.locked.lock().drain.as_ref()?.report.clone()
    }

    /// Whoever has ended a task calls this before it goes to sleep: was it the last one?
    pub(crate) fn check_quiescent(&self, phase: &AtomicPhase, task_counts: &impl TaskCounts) {
        let mut locked = self.locked.lock();
        let Some(drain) = locked.pending() else { return };
        if !task_counts.all_workers_acked() {
            return;
        }
        // Who has ended, before who has started: each of the former is among the latter.
        let ended = task_counts.tasks_ended() + self.gate.exited();
        let excused = drain.live_exempt_ids().len() as u64;
        let entered = self.gate.entered();
        if ended + excused != task_counts.tasks_started() + entered.total() {
            return;
        }
        // Past the deadline nobody can come in any more.
        if !drain.deadline_passed && !self.gate.try_seal(entered) {
            return;
        }
        phase.advance(Phase::Drained);
        drain.make_report(task_counts, |_, _| (Vec::new(), 0));
        drop(locked);
        self.publish_report();
    }

    /// Makes the report, whoever still lives.
    pub(crate) fn finalize_report(&self, task_counts: &impl TaskCounts) {
        let mut locked = self.locked.lock();
        let Some(drain) = locked.pending() else { return };
        self.gate.seal_now();
        drain.make_report(task_counts, |drain, ended| drain.remaining(task_counts, &self.gate, ended));
        drop(locked);
        self.publish_report();
    }

    fn publish_report(&self) {
        self.changed.notify_all();
        self.reported.fire();
    }

    /// The deadline has come: nobody may come in any more, and the reaper and whoever starts it are
    /// `present`. False if the report is there, or the runtime is being shut down: whoever closes
    /// up may have looked already who is present.
    #[must_use]
    pub(crate) fn pass_deadline(
        &self,
        phase: &AtomicPhase,
        task_counts: &impl TaskCounts,
        present: impl FnOnce(),
    ) -> bool {
        let mut locked = self.locked.lock();
        let closing = locked.closing;
        let Some(drain) = locked.pending().filter(|_| !closing) else { return false };
        drain.deadline_passed = true;
        drain.seen.extend(task_counts.polls_under_way(Instant::now()));
        self.gate.seal_now();
        phase.advance(Phase::DeadlinePassed);
        present();
        true
    }

    /// Whether a drain is under way, and no shutdown has begun; then the caller is `present`.
    #[must_use]
    pub(crate) fn is_open_drain(&self, present: impl FnOnce()) -> bool {
        let mut locked = self.locked.lock();
        let open = !locked.closing && locked.pending().is_some();
        if open {
            present();
        }
        open
    }

    /// Something has been queued where the reaper may have looked already; the task of this id, if
    /// it is one that may be excused.
    #[cold]
    pub(crate) fn notify_reaper(&self, id: Option<Id>) {
        let mut locked = self.locked.lock();
        let Some(drain) = locked.pending() else { return };
        if drain.deadline_passed && !id.is_some_and(|id| drain.is_exempt(id)) {
            locked.reaper_notified = true;
            drop(locked);
            self.changed.notify_all();
        }
    }

    /// Whether the reaper has been called and has not come.
    #[cfg(all(test, not(heist_loom)))]
    pub(crate) fn is_reaper_notified(&self) -> bool {
        self.locked.lock().reaper_notified
    }

    /// The reaper waits until it is called. False if it is not needed any more: the report is
    /// there, or the runtime is being shut down.
    #[must_use]
    pub(crate) fn wait_for_notify(&self) -> bool {
        let mut locked = self.locked.lock();
        let over = |locked: &mut DrainLocked| locked.closing || locked.pending().is_none();
        wait_for(&self.changed, &mut locked, None, |locked| locked.reaper_notified || over(locked));
        !over(&mut locked) && std::mem::take(&mut locked.reaper_notified)
    }

    /// The runtime is being shut down: nobody may come in any more. Who sees the phase and drops a
    /// task for it finds that in the book.
    pub(crate) fn begin_shutdown(&self, phase: &AtomicPhase) {
        let mut locked = self.locked.lock();
        locked.closing = true;
        phase.advance(Phase::ShuttingDown);
        drop(locked);
        self.gate.seal_now();
        self.changed.notify_all();
    }

    /// The runtime has been shut down, and no task lives: a drain that has not ended ends now.
    pub(crate) fn finish_shutdown(&self, task_counts: &impl TaskCounts) {
        self.locked.lock().closed = true;
        self.finalize_report(task_counts);
    }

    /// Excuses a task for as long as it holds the answered place. Nobody is excused after the
    /// deadline, or the report.
    pub(crate) fn exempt(&self, task: AbortHandle) -> Option<usize> {
        let mut locked = self.locked.lock();
        let drain = locked.pending().filter(|drain| !drain.deadline_passed)?;
        Some(drain.exempt.insert(task))
    }

    /// Who holds the place `key`.
    pub(crate) fn holds_exemption(&self, key: usize, id: Id) -> bool {
        let locked = self.locked.lock();
        locked.drain.as_ref().and_then(|drain| drain.exempt.get(key)).is_some_and(|task| task.id() == id)
    }

    /// Gives the place back. Answers the task if it has to be cancelled like the others now.
    #[must_use]
    pub(crate) fn revoke_exemption(&self, key: usize) -> Option<AbortHandle> {
        let mut locked = self.locked.lock();
        let drain = locked.drain.as_mut()?;
        let task = drain.exempt.try_remove(key)?;
        let cancel = drain.deadline_passed && drain.report.is_none() && !drain.is_exempt(task.id());
        drop(locked);
        cancel.then_some(task)
    }

    /// Whether a task may go on after the deadline.
    pub(crate) fn is_exempt(&self, id: Id) -> bool {
        let locked = self.locked.lock();
        let Some(drain) = &locked.drain else { return true };
        match drain.report {
            None => drain.is_exempt(id),
            Some(_) => drain.exempt_at_report.contains(&id),
        }
    }

    /// Those who may go on after the deadline, which has come. Nobody is excused any more; who is
    /// accused is told.
    pub(crate) fn exempt_ids(&self) -> Vec<Id> {
        let locked = self.locked.lock();
        locked.drain.as_ref().map_or_else(Vec::new, |drain| match drain.report {
            None => drain.live_exempt_ids(),
            Some(_) => drain.exempt_at_report.clone(),
        })
    }

    /// A task has been dropped unfinished, and `count` counts its end: by what the report says it
    /// is a straggler and has ended, or neither.
    pub(crate) fn record_cancelled(&self, straggler: Straggler, count: impl FnOnce()) {
        let mut locked = self.locked.lock();
        let closing = locked.closing;
        if let Some(drain) = locked.pending() {
            if drain.deadline_passed || closing {
                drain.cancelled.push(straggler);
            }
        }
        count();
    }

    /// The caller is to call a deadline thread, and to say by [`DrainState::deadline_thread_started`] what
    /// has become of that.
    #[must_use]
    pub(crate) fn claim_deadline_thread(&self) -> bool {
        let mut locked = self.locked.lock();
        let wanted = matches!(locked.deadline_thread, DeadlineThread::Wanted) && locked.pending().is_some();
        if wanted {
            locked.deadline_thread = DeadlineThread::Called;
        }
        wanted
    }

    /// What has become of the call: the thread that keeps the deadline, if there is one.
    pub(crate) fn deadline_thread_started(&self, deadline_thread: Option<thread::JoinHandle<()>>) {
        self.locked.lock().deadline_thread = deadline_thread.map_or(DeadlineThread::Wanted, DeadlineThread::Started);
        self.changed.notify_all();
    }

    /// Hands out the deadline thread to be joined, by whoever has closed up: nobody calls one any
    /// more. Whoever is starting it is waited for, at most until `deadline`.
    pub(crate) fn take_deadline_thread(&self, deadline: Option<Instant>) -> Option<thread::JoinHandle<()>> {
        let mut locked = self.locked.lock();
        let known = wait_for(&self.changed, &mut locked, deadline, |locked| {
            !matches!(locked.deadline_thread, DeadlineThread::Called)
        });
        if !known {
            return None;
        }
        match std::mem::replace(&mut locked.deadline_thread, DeadlineThread::Gone) {
            DeadlineThread::Started(thread) => Some(thread),
            _ => None,
        }
    }

    /// Waits for the report, for the drain's deadline, or for the shutdown. True if the deadline
    /// came.
    #[must_use]
    pub(crate) fn wait_for_deadline(&self) -> bool {
        !self.wait_until(self.deadline(), |locked| locked.closing || locked.pending().is_none())
    }

    /// Returns the drain's deadline, if it has one.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.locked.lock().drain.as_ref()?.deadline
    }

    /// Waits for the report, at most until `deadline`.
    pub(crate) fn wait_for_report(&self, deadline: Option<Instant>) {
        self.wait_until(deadline, |locked| locked.pending().is_none());
    }

    /// True if it has happened, false if the deadline came first.
    fn wait_until(&self, deadline: Option<Instant>, happened: impl FnMut(&mut DrainLocked) -> bool) -> bool {
        wait_for(&self.changed, &mut self.locked.lock(), deadline, happened)
    }
}

impl DrainLocked {
    /// The drain that has begun and has not been reported.
    fn pending(&mut self) -> Option<&mut ActiveDrain> {
        self.drain.as_mut().filter(|drain| drain.report.is_none())
    }
}

impl ActiveDrain {
    /// `left` answers who is left, and how many have no name, when so many have ended.
    fn make_report(
        &mut self,
        task_counts: &impl TaskCounts,
        left: impl FnOnce(&ActiveDrain, u64) -> (Vec<Straggler>, u64),
    ) {
        self.exempt_at_report = self.live_exempt_ids();
        let ends = task_counts.outcomes();
        let (left, unnamed) = left(self, ends.total());
        let mut stragglers = std::mem::take(&mut self.cancelled);
        stragglers.extend(left);
        let OutcomeCounts { completed, panicked, cancelled } = ends - self.base;
        let elapsed = self.at.elapsed();
        self.report = Some(DrainReport { completed, panicked, cancelled, stragglers, unnamed, elapsed });
    }

    /// Those who are left and not spared; and how many of those who have come in are neither among
    /// them nor among the ended.
    fn remaining(&self, task_counts: &impl TaskCounts, gate: &Gate, ended: u64) -> (Vec<Straggler>, u64) {
        let mut left = task_counts.stragglers(&self.seen);
        left.sort_by_key(|straggler| straggler.id);
        left.dedup_by_key(|straggler| straggler.id);
        // What has been dropped, and counted, may still look as if it were being dropped.
        let late: BTreeSet<Id> = self.cancelled.iter().map(|straggler| straggler.id).collect();
        left.retain(|straggler| {
            self.exempt_at_report.binary_search(&straggler.id).is_err() && !late.contains(&straggler.id)
        });
        let known = ended + (self.exempt_at_report.len() + left.len()) as u64;
        let unnamed = (task_counts.tasks_started() + gate.entered().total()).saturating_sub(known);
        (left, unnamed)
    }
}
