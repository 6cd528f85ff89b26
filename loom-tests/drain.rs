//! Models of a drain: the gate, the exemptions, and the check that finds no live task. See
//! `docs/drain.md`.

use std::future::ready;
use std::time::{Duration, Instant};

use super::support::{Bell, Home, start};
use crate::drain::deadline_thread::DeadlineClaim;
use crate::drain::gate::SpawnSource;
use crate::drain::outcome_counts::OutcomeCounts;
use crate::drain::state::Straggler;
use crate::drain::state::{DrainState, PollSeen, TaskCounts};
use crate::idle::Idle;
use crate::metrics::counter::Counter;
use crate::park::Parker;
use crate::phase::{AtomicPhase, Phase};
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::primitive::{Arc, model, thread};
use crate::queue::{GlobalQueue, LaneCursor, LifoSlot};
use crate::raw_task::{self, Outcome, Runnable};
use crate::util::once_event::OnceEvent;

/// The drain state of a pool, with seats that only count.
struct PoolModel {
    drain_state: DrainState,
    phase: AtomicPhase,
    seats: Vec<ModelSeat>,
    /// Where tasks are linked.
    home: Arc<Home>,
}

struct ModelSeat {
    acked: AtomicBool,
    spawned: Counter,
    completed: Counter,
    ended: Counter,
    parker: Parker,
}

impl TaskCounts for PoolModel {
    fn all_workers_acked(&self) -> bool {
        self.seats.iter().all(|seat| seat.acked.load(Ordering::Acquire))
    }

    fn tasks_ended(&self) -> u64 {
        self.seats.iter().map(|seat| seat.ended.load_acquire()).sum()
    }

    fn tasks_started(&self) -> u64 {
        self.seats.iter().map(|seat| seat.spawned.get()).sum()
    }

    fn outcomes(&self) -> OutcomeCounts {
        let completed = self.seats.iter().map(|seat| seat.completed.get()).sum();
        self.drain_state.unseated.get() + OutcomeCounts { completed, panicked: 0, cancelled: 0 }
    }

    fn polls_under_way(&self, _: Instant) -> Vec<PollSeen> {
        Vec::new()
    }

    fn stragglers(&self, _: &[PollSeen]) -> Vec<Straggler> {
        self.home.linked_tasks().into_iter().map(Straggler::from).collect()
    }
}

impl PoolModel {
    fn new(seats: usize) -> Arc<PoolModel> {
        let seat = || ModelSeat {
            acked: AtomicBool::new(false),
            spawned: Counter::new(),
            completed: Counter::new(),
            ended: Counter::new(),
            parker: Parker::new(),
        };
        let seats = std::iter::repeat_with(seat).take(seats).collect();
        Arc::new(PoolModel { drain_state: DrainState::new(), phase: AtomicPhase::new(), seats, home: Home::new() })
    }

    /// Does what `drain` does, but starts no deadline thread.
    fn begin_drain(&self) -> bool {
        let first = self.drain_state.begin_drain(&self.phase, self, None);
        for seat in &self.seats {
            let _ = seat.parker.unpark();
        }
        self.check();
        first
    }

    fn check(&self) {
        self.drain_state.check_quiescent(&self.phase, self);
    }

    /// Counts a task in, as the worker of `seat` does. Returns false if the gate refuses it.
    #[must_use]
    fn spawn(&self, seat: usize) -> bool {
        if self.phase.is_running() {
            self.seats[seat].spawned.add(1);
            return true;
        }
        self.drain_state.gate.try_enter(SpawnSource::Internal)
    }

    /// Asserts that no report is made while a task lives that is not exempt. Reads the phase,
    /// because the lock of the drain state would order what a server does not order.
    #[track_caller]
    fn assert_not_reported(&self) {
        assert!(
            self.phase.load() < Phase::Drained || self.phase.load() == Phase::DeadlinePassed,
            "the report was made while a task lived"
        );
    }

    /// Counts a task out that has lived until now, as the worker of `seat` does.
    fn end_task(&self, seat: usize) {
        self.assert_not_reported();
        self.seats[seat].completed.add(1);
        self.seats[seat].ended.add_release(1);
    }

    /// Does what a worker does before it sleeps.
    fn check_before_park(&self, seat: usize) {
        if self.phase.load() != Phase::Running {
            self.seats[seat].acked.store(true, Ordering::Release);
            self.check();
        }
    }

    #[track_caller]
    fn completed(&self) -> u64 {
        self.drain_state.report().expect("every task has ended, and no check has noticed").completed
    }
}

/// drain × spawn × complete: a child is counted though its parent ends meanwhile, and the unpark
/// makes a sleeping worker check.
#[test]
fn report_parent_ends_first_waits_for_children() {
    model(|| {
        let pool = PoolModel::new(1);
        pool.seats[0].spawned.add(1);
        let worker = {
            let pool = Arc::clone(&pool);
            start(move || {
                assert!(pool.spawn(0), "a live task may spawn");
                pool.end_task(0);
                pool.check_before_park(0);
                pool.end_task(0);
                pool.check_before_park(0);
                pool.seats[0].parker.park(None);
                pool.check_before_park(0);
            })
        };
        assert!(pool.begin_drain());
        worker.join().expect("a worker");
        assert!(pool.completed() <= 2);
    });
}

/// complete × complete: the later of the two checks sees both ends.
#[test]
fn last_tasks_end_at_once_report_is_made() {
    model(|| {
        let pool = PoolModel::new(2);
        pool.seats.iter().for_each(|seat| seat.spawned.add(1));
        assert!(pool.begin_drain());
        let worker = |seat| {
            let pool = Arc::clone(&pool);
            start(move || {
                pool.end_task(seat);
                pool.check_before_park(seat);
            })
        };
        let workers = [worker(0), worker(1)];
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
        assert_eq!(pool.completed(), 2);
    });
}

/// spawn × complete × check: a child ends on another worker than its parent. A check that counts
/// the child's end also counts its start.
#[test]
fn check_child_ends_elsewhere_finds_no_false_zero() {
    model(|| {
        let pool = PoolModel::new(2);
        pool.seats[0].spawned.add(1);
        pool.seats.iter().for_each(|seat| seat.acked.store(true, Ordering::Release));
        assert!(pool.begin_drain());
        let worker = {
            let pool = Arc::clone(&pool);
            start(move || {
                assert!(pool.spawn(0), "a live task may spawn");
                pool.end_task(0);
                pool.end_task(0);
                pool.check_before_park(0);
            })
        };
        pool.check();
        pool.check();
        worker.join().expect("a worker");
        assert_eq!(pool.completed(), 2);
    });
}

/// drain × enter × exit: an external spawn is refused, or the report waits for its task, and comes.
#[test]
fn external_spawn_meets_drain_is_refused_or_waited_for() {
    model(|| {
        let pool = PoolModel::new(0);
        let external = {
            let pool = Arc::clone(&pool);
            start(move || {
                if !pool.drain_state.gate.try_enter(SpawnSource::External) {
                    assert_ne!(pool.phase.load(), Phase::Running, "a spawn was refused in Running");
                    return false;
                }
                pool.assert_not_reported();
                pool.drain_state.unseated.record(crate::raw_task::Outcome::Completed);
                if pool.drain_state.gate.exit() {
                    pool.check();
                }
                true
            })
        };
        assert!(pool.begin_drain());
        let accepted = external.join().expect("the external thread");
        assert!(pool.completed() <= u64::from(accepted));
        assert!(!pool.drain_state.gate.try_enter(SpawnSource::Internal), "a spawn entered after the report");
    });
}

/// drain × drain: one begins the drain, both find the gate closed, both get the same report.
#[test]
fn drains_begun_at_once_share_one_report() {
    model(|| {
        let pool = PoolModel::new(0);
        let drain = |pool: &PoolModel| {
            let first = pool.begin_drain();
            assert!(!pool.drain_state.gate.try_enter(SpawnSource::External), "the drain has begun");
            (first, pool.drain_state.report().expect("no task lives").elapsed)
        };
        let other = {
            let pool = Arc::clone(&pool);
            start(move || drain(&pool))
        };
        let (mine, other) = (drain(&pool), other.join().expect("a drain"));
        assert!(mine.0 != other.0 && mine.1 == other.1);
    });
}

/// exempt × complete × check: an exempt task that ends is not counted as exempt and as ended.
#[test]
fn exempt_task_ends_hides_no_live_task() {
    model(|| {
        let pool = PoolModel::new(2);
        pool.seats.iter().for_each(|seat| seat.spawned.add(1));
        assert!(pool.begin_drain());
        pool.seats.iter().for_each(|seat| seat.acked.store(true, Ordering::Release));
        let home = Home::new();
        let task = home.spawn(ready(()));
        let exemption = pool.drain_state.exempt(task.abort_handle());
        let worker = {
            let (pool, home) = (Arc::clone(&pool), Arc::clone(&home));
            start(move || {
                home.run_all();
                pool.end_task(0);
                pool.check_before_park(0);
            })
        };
        pool.check();
        assert!(pool.drain_state.report().is_none(), "the other task lives");
        worker.join().expect("a worker");
        assert!(pool.drain_state.report().is_none(), "the other task lives");
        pool.end_task(1);
        pool.check_before_park(1);
        assert_eq!(pool.completed(), 2);
        let _ = pool.drain_state.revoke_exemption(exemption.expect("a place"));
        drop(task);
    });
}

/// Starts a worker that spawns a task, ends it, and goes to sleep. The thread returns the number of
/// tasks that were admitted.
fn start_worker_that_spawns(pool: &Arc<PoolModel>) -> thread::JoinHandle<u64> {
    let pool = Arc::clone(pool);
    start(move || {
        let spawned = pool.spawn(0);
        if spawned {
            pool.end_task(0);
        }
        pool.check_before_park(0);
        u64::from(spawned)
    })
}

/// exempt × spawn × check: a child of an exempt task is refused, or the report waits for it.
#[test]
fn child_of_exempt_task_is_refused_or_waited_for() {
    model(|| {
        let pool = PoolModel::new(1);
        pool.seats[0].spawned.add(1);
        assert!(pool.begin_drain());
        pool.seats[0].acked.store(true, Ordering::Release);
        let home = Home::new();
        let task = home.spawn(ready(()));
        let exemption = pool.drain_state.exempt(task.abort_handle());
        let worker = start_worker_that_spawns(&pool);
        pool.check();
        let spawned = worker.join().expect("a worker");
        assert_eq!(pool.completed(), spawned);
        let _ = pool.drain_state.revoke_exemption(exemption.expect("a place"));
        home.run_all();
        drop(task);
    });
}

/// drain × a spawn by a worker that runs no task: the worker may still see the old phase.
#[test]
fn worker_without_acknowledgement_delays_report() {
    model(|| {
        let pool = PoolModel::new(1);
        let worker = {
            let pool = Arc::clone(&pool);
            start(move || {
                let spawned = pool.spawn(0);
                pool.check_before_park(0);
                if spawned {
                    pool.end_task(0);
                }
                pool.check_before_park(0);
                pool.seats[0].parker.park(None);
                pool.check_before_park(0);
                spawned
            })
        };
        assert!(pool.begin_drain());
        let spawned = worker.join().expect("a worker");
        assert!(pool.completed() <= u64::from(spawned));
    });
}

/// seal × enter: a spawn after the count is refused, or the gate is not sealed.
#[test]
fn gate_sealed_after_count_loses_no_spawn() {
    model(|| {
        let pool = PoolModel::new(1);
        pool.seats[0].acked.store(true, Ordering::Release);
        assert!(pool.drain_state.begin_drain(&pool.phase, &*pool, None));
        let worker = start_worker_that_spawns(&pool);
        pool.check();
        let spawned = worker.join().expect("a worker");
        assert_eq!(pool.completed(), spawned);
    });
}

/// register × fire: the waiter is woken, or `register` returns that the event has happened.
#[test]
fn once_event_fires_during_register_wakes_or_refuses() {
    model(|| {
        let event = Arc::new(OnceEvent::new());
        let bell = Bell::new();
        let caller = {
            let event = Arc::clone(&event);
            start(move || event.fire())
        };
        let mut key = None;
        let waits = event.register(&mut key, &bell.waker()) && event.register(&mut key, &bell.waker());
        caller.join().expect("a caller");
        assert!(!waits || bell.rings() == 1);
        event.deregister(&mut key);
        assert!(bell.is_alone());
    });
}

/// deadline × enter × complete: a spawn that entered before the seal is waited for.
#[test]
fn deadline_seals_gate_loses_no_spawn() {
    model(|| {
        let pool = PoolModel::new(1);
        pool.seats[0].spawned.add(1);
        assert!(pool.begin_drain());
        let worker = {
            let pool = Arc::clone(&pool);
            start(move || {
                let spawned = pool.spawn(0);
                pool.end_task(0);
                pool.check_before_park(0);
                if spawned {
                    pool.end_task(0);
                    pool.check_before_park(0);
                }
                1 + u64::from(spawned)
            })
        };
        if pool.drain_state.pass_deadline(&pool.phase, &*pool, || ()) {
            assert!(!pool.drain_state.gate.try_enter(SpawnSource::Internal));
        }
        let ended = worker.join().expect("a worker");
        assert_eq!(pool.completed(), ended);
    });
}

/// Returns a task that is never polled.
fn unpolled_task() -> Runnable {
    raw_task::spawn::<_, Home>(ready(()), std::panic::Location::caller().into()).0
}

/// deadline × a spawn onto a worker that polls for ever: the collection finds the child, or the
/// reaper is notified.
#[test]
fn admitted_spawn_at_deadline_is_collected_or_reaper_is_notified() {
    model(|| {
        let (pool, slot) = (PoolModel::new(0), Arc::new(LifoSlot::new()));
        assert!(pool.drain_state.begin_drain(&pool.phase, &*pool, None));
        assert!(pool.drain_state.gate.try_enter(SpawnSource::Internal), "the deadline has not come");
        let worker = {
            let (pool, slot) = (Arc::clone(&pool), Arc::clone(&slot));
            start(move || {
                assert!(slot.push(unpolled_task()).is_none());
                if pool.drain_state.gate.is_sealed() {
                    pool.drain_state.notify_reaper(None);
                }
            })
        };
        assert!(pool.drain_state.pass_deadline(&pool.phase, &*pool, || ()));
        let collected = slot.peek().and_then(|seen| slot.claim(seen));
        worker.join().expect("a worker");
        assert!(collected.is_some() || pool.drain_state.wait_for_notify());
    });
}

/// deadline × a push from outside, while no worker is free: the collection finds the task, or the
/// reaper is notified.
#[test]
fn external_push_at_deadline_is_collected_or_reaper_is_notified() {
    model(|| {
        let (pool, queue, idle) = (PoolModel::new(0), Arc::new(GlobalQueue::new(1)), Arc::new(Idle::new(1)));
        assert!(pool.drain_state.begin_drain(&pool.phase, &*pool, None));
        let external = {
            let (pool, queue, idle) = (Arc::clone(&pool), Arc::clone(&queue), Arc::clone(&idle));
            start(move || {
                assert!(queue.push_new(unpolled_task()).is_ok());
                assert!(idle.claim_sleeper().is_none());
                if pool.phase.load() == Phase::DeadlinePassed {
                    pool.drain_state.notify_reaper(None);
                }
            })
        };
        assert!(pool.drain_state.pass_deadline(&pool.phase, &*pool, || ()));
        assert!(idle.claim_sleeper().is_none());
        let collected = queue.take(&LaneCursor::new(0), 1).pop();
        external.join().expect("the external thread");
        assert!(collected.is_some() || pool.drain_state.wait_for_notify());
    });
}

/// wait × notify × shutdown: the reaper does not wait for good, and a notification that comes first
/// gives it a pass.
#[test]
fn reaper_waiting_at_shutdown_stops() {
    model(|| {
        let pool = PoolModel::new(1);
        pool.seats[0].spawned.add(1);
        assert!(pool.begin_drain());
        assert!(pool.drain_state.pass_deadline(&pool.phase, &*pool, || ()));
        let reaper = {
            let pool = Arc::clone(&pool);
            start(move || {
                let mut passes = 0;
                while pool.drain_state.wait_for_notify() {
                    passes += 1;
                }
                passes
            })
        };
        pool.drain_state.notify_reaper(None);
        pool.drain_state.begin_shutdown(&pool.phase);
        assert!(reaper.join().expect("a reaper") <= 1);
    });
}

/// deadline × shutdown: the closer counts the reaper as live, or there is no reaper.
#[test]
fn closer_at_deadline_counts_the_reaper() {
    model(|| {
        let (pool, present) = (PoolModel::new(1), Arc::new(AtomicBool::new(false)));
        pool.seats[0].spawned.add(1);
        assert!(pool.drain_state.begin_drain(&pool.phase, &*pool, None));
        let deadline_thread = {
            let (pool, present) = (Arc::clone(&pool), Arc::clone(&present));
            start(move || {
                pool.drain_state.pass_deadline(&pool.phase, &*pool, || present.store(true, Ordering::Relaxed))
            })
        };
        pool.drain_state.begin_shutdown(&pool.phase);
        let seen = present.load(Ordering::Relaxed);
        assert_eq!(deadline_thread.join().expect("a deadline thread"), seen);
    });
}

/// The report after the deadline × complete: a task is counted, or named, or is one of the unnamed.
#[test]
fn task_ends_during_report_is_counted_or_named() {
    model(|| {
        let pool = PoolModel::new(1);
        pool.seats[0].acked.store(true, Ordering::Release);
        pool.seats[0].spawned.add(1);
        let (task, runnable) = pool.home.spawn_linked(ready(()));
        assert!(pool.drain_state.begin_drain(&pool.phase, &*pool, None));
        let worker = {
            let pool = Arc::clone(&pool);
            start(move || {
                let _ = runnable.run(&*pool.home);
                pool.seats[0].completed.add(1);
            })
        };
        pool.drain_state.finalize_report(&*pool);
        worker.join().expect("a worker");
        let report = pool.drain_state.report().expect("it has been made");
        assert_eq!(report.completed + report.stragglers.len() as u64 + report.unnamed, 1, "{report}");
        drop(task);
    });
}

/// The report after the deadline × the drop of an overdue task: it is named and counted, or
/// neither.
#[test]
fn overdue_task_dropped_during_report_is_named_and_counted_or_neither() {
    model(|| {
        let pool = PoolModel::new(0);
        assert!(pool.drain_state.gate.try_enter(SpawnSource::Internal));
        assert!(pool.drain_state.begin_drain(&pool.phase, &*pool, None));
        assert!(pool.drain_state.pass_deadline(&pool.phase, &*pool, || ()));
        let reaper = {
            let pool = Arc::clone(&pool);
            start(move || {
                unpolled_task().cancel(&|task, end| {
                    let straggler: Straggler = task.identity().into();
                    pool.drain_state.record_cancelled(straggler, || pool.drain_state.unseated.record(end));
                });
            })
        };
        pool.drain_state.finalize_report(&*pool);
        reaper.join().expect("a reaper");
        let report = pool.drain_state.report().expect("it has been made");
        assert_eq!(report.cancelled, report.stragglers.len() as u64, "{report}");
        assert_eq!(report.cancelled + report.unnamed, 1, "{report}");
    });
}

/// shutdown × drop: a thread sees the phase and drops a task for the shutdown. That task is a
/// straggler of the drain that was under way.
#[test]
fn task_dropped_at_shutdown_is_named() {
    model(|| {
        let pool = PoolModel::new(0);
        assert!(pool.drain_state.gate.try_enter(SpawnSource::Internal));
        assert!(pool.drain_state.begin_drain(&pool.phase, &*pool, None));
        let closer = {
            let pool = Arc::clone(&pool);
            start(move || pool.drain_state.begin_shutdown(&pool.phase))
        };
        if pool.phase.load() == Phase::ShuttingDown {
            unpolled_task().cancel(&|task, end| {
                let straggler: Straggler = task.identity().into();
                pool.drain_state.record_cancelled(straggler, || pool.drain_state.unseated.record(end));
            });
            closer.join().expect("a closer");
            pool.drain_state.finish_shutdown(&*pool);
            let report = pool.drain_state.report().expect("it has been made");
            assert_eq!((report.cancelled, report.stragglers.len()), (1, 1), "{report}");
        } else {
            closer.join().expect("a closer");
        }
    });
}

/// A task that is cancelled before the deadline is counted and not named, such as a job for which
/// the system gave no thread. This is not a race.
#[test]
fn task_cancelled_before_deadline_is_no_straggler() {
    model(|| {
        let pool = PoolModel::new(0);
        assert!(pool.drain_state.gate.try_enter(SpawnSource::Internal));
        assert!(pool.begin_drain());
        let straggler = |task: &raw_task::Header| Straggler::from(task.identity());
        let end = |task: &raw_task::Header, end: Outcome| {
            pool.drain_state.record_cancelled(straggler(task), || pool.drain_state.unseated.record(end))
        };
        unpolled_task().cancel(&end);
        assert!(pool.drain_state.gate.exit());
        pool.check();
        let report = pool.drain_state.report().expect("no task lives");
        assert_eq!((report.cancelled, report.stragglers.len()), (1, 0), "{report}");
    });
}

/// start of the deadline thread × shutdown: the closer gets the thread to join, or none is started.
#[test]
fn deadline_thread_started_during_shutdown_is_joined() {
    model(|| {
        let pool = PoolModel::new(0);
        assert!(pool.drain_state.gate.try_enter(SpawnSource::Internal));
        assert!(pool.drain_state.begin_drain(&pool.phase, &*pool, None));
        let drainer = {
            let pool = Arc::clone(&pool);
            start(move || {
                let claimed = pool.drain_state.claim_deadline_thread(Duration::ZERO) == DeadlineClaim::Start;
                if claimed {
                    pool.drain_state.deadline_thread_started(Some(start(|| ())));
                }
                claimed
            })
        };
        pool.drain_state.begin_shutdown(&pool.phase);
        pool.drain_state.finish_shutdown(&*pool);
        let taken = pool.drain_state.take_deadline_thread(None);
        let started = drainer.join().expect("the drainer");
        assert_eq!(taken.is_some(), started, "the closer does not know the thread");
        taken.into_iter().for_each(|thread| thread.join().expect("the deadline thread"));
    });
}
