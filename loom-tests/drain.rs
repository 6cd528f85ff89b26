//! The books while a runtime drains: gate, excuses, and who notices that nobody is left. See
//! `docs/drain.md`.

use std::future::ready;
use std::time::Instant;

use super::support::{Bell, Home, start};
use crate::drain::gate::SpawnSource;
use crate::drain::once_event::OnceEvent;
use crate::drain::outcome_counts::OutcomeCounts;
use crate::drain::report::Straggler;
use crate::drain::state::{DrainState, PollSeen, TaskCounts};
use crate::idle::Idle;
use crate::metrics::counter::Counter;
use crate::park::Parker;
use crate::phase::{AtomicPhase, Phase};
use crate::queue::{GlobalQueue, LaneCursor, LifoSlot};
use crate::raw_task::{self, Outcome, Runnable};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, model};

/// A runtime of which only the books are there.
struct House {
    drain_state: DrainState,
    phase: AtomicPhase,
    seats: Vec<Place>,
    /// Where tasks are filed.
    home: Arc<Home>,
}

struct Place {
    heard: AtomicBool,
    spawned: Counter,
    completed: Counter,
    ended: Counter,
    parker: Parker,
}

impl TaskCounts for House {
    fn all_workers_acked(&self) -> bool {
        self.seats.iter().all(|seat| seat.heard.load(Ordering::Acquire))
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

impl House {
    fn new(seats: usize) -> Arc<House> {
        let place = || Place {
            heard: AtomicBool::new(false),
            spawned: Counter::new(),
            completed: Counter::new(),
            ended: Counter::new(),
            parker: Parker::new(),
        };
        let seats = std::iter::repeat_with(place).take(seats).collect();
        Arc::new(House { drain_state: DrainState::new(), phase: AtomicPhase::new(), seats, home: Home::new() })
    }

    /// What `drain` does, without a thread.
    fn drain(&self) -> bool {
        let first = self.drain_state.begin_drain(&self.phase, self, None);
        for seat in &self.seats {
            let _ = seat.parker.unpark();
        }
        self.look();
        first
    }

    fn look(&self) {
        self.drain_state.check_quiescent(&self.phase, self);
    }

    /// A worker counts a task in.
    #[must_use]
    fn spawn(&self, seat: usize) -> bool {
        if self.phase.is_running() {
            self.seats[seat].spawned.add(1);
            return true;
        }
        self.drain_state.gate.try_enter(SpawnSource::Internal)
    }

    /// A task lives that is not excused. Asks the phase: the book's lock would order what must not
    /// be ordered.
    #[track_caller]
    fn lives(&self) {
        assert!(
            self.phase.load() < Phase::Drained || self.phase.load() == Phase::DeadlinePassed,
            "the report came while a task lived"
        );
    }

    /// A worker counts a task out that has lived until now.
    fn end(&self, seat: usize) {
        self.lives();
        self.seats[seat].completed.add(1);
        self.seats[seat].ended.add_release(1);
    }

    /// A worker before it sleeps.
    fn settle_up(&self, seat: usize) {
        if self.phase.load() != Phase::Running {
            self.seats[seat].heard.store(true, Ordering::Release);
            self.look();
        }
    }

    #[track_caller]
    fn completed(&self) -> u64 {
        self.drain_state.report().expect("everybody has left, and nobody has noticed").completed
    }
}

/// drain × spawn × complete: a child is counted though its parent ends meanwhile, and the worker
/// that goes to sleep is woken to look.
#[test]
fn the_report_waits_for_the_children_and_comes() {
    model(|| {
        let house = House::new(1);
        house.seats[0].spawned.add(1);
        let worker = {
            let house = Arc::clone(&house);
            start(move || {
                assert!(house.spawn(0), "a live task may spawn");
                house.end(0);
                house.settle_up(0);
                house.end(0);
                house.settle_up(0);
                house.seats[0].parker.park(None);
                house.settle_up(0);
            })
        };
        assert!(house.drain());
        worker.join().expect("a worker");
        assert!(house.completed() <= 2);
    });
}

/// complete × complete: whoever looks last sees both.
#[test]
fn the_last_two_tasks_may_end_at_once() {
    model(|| {
        let house = House::new(2);
        house.seats.iter().for_each(|seat| seat.spawned.add(1));
        assert!(house.drain());
        let worker = |seat| {
            let house = Arc::clone(&house);
            start(move || {
                house.end(seat);
                house.settle_up(seat);
            })
        };
        let workers = [worker(0), worker(1)];
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
        assert_eq!(house.completed(), 2);
    });
}

/// A task hands its child to another worker and ends: the child's end is not seen without its
/// beginning.
#[test]
fn a_child_that_ends_elsewhere_is_no_false_zero() {
    model(|| {
        let house = House::new(2);
        house.seats[0].spawned.add(1);
        house.seats.iter().for_each(|seat| seat.heard.store(true, Ordering::Release));
        assert!(house.drain());
        let worker = {
            let house = Arc::clone(&house);
            start(move || {
                assert!(house.spawn(0), "a live task may spawn");
                house.end(0);
                house.end(0);
                house.settle_up(0);
            })
        };
        house.look();
        house.look();
        worker.join().expect("a worker");
        assert_eq!(house.completed(), 2);
    });
}

/// drain × enter × leave: an outsider is refused, or the report waits for its task, and comes.
#[test]
fn an_outsider_is_refused_or_waited_for() {
    model(|| {
        let house = House::new(0);
        let outsider = {
            let house = Arc::clone(&house);
            start(move || {
                if !house.drain_state.gate.try_enter(SpawnSource::External) {
                    assert_ne!(house.phase.load(), Phase::Running, "refused without a reason");
                    return false;
                }
                house.lives();
                house.drain_state.unseated.record(crate::raw_task::Outcome::Completed);
                if house.drain_state.gate.exit() {
                    house.look();
                }
                true
            })
        };
        assert!(house.drain());
        let accepted = outsider.join().expect("an outsider");
        assert!(house.completed() <= u64::from(accepted));
        assert!(!house.drain_state.gate.try_enter(SpawnSource::Internal), "nobody may enter after the report");
    });
}

/// drain × drain: one begins, both find the gate closed, both get the same report.
#[test]
fn two_drains_are_one() {
    model(|| {
        let house = House::new(0);
        let drain = |house: &House| {
            let first = house.drain();
            assert!(!house.drain_state.gate.try_enter(SpawnSource::External), "the drain has begun");
            (first, house.drain_state.report().expect("there is nobody").elapsed)
        };
        let other = {
            let house = Arc::clone(&house);
            start(move || drain(&house))
        };
        let (mine, other) = (drain(&house), other.join().expect("a drain"));
        assert!(mine.0 != other.0 && mine.1 == other.1);
    });
}

/// excuse × complete: an excused task that ends is not counted as excused and as ended.
#[test]
fn an_excused_task_that_ends_hides_nobody() {
    model(|| {
        let house = House::new(2);
        house.seats.iter().for_each(|seat| seat.spawned.add(1));
        assert!(house.drain());
        house.seats.iter().for_each(|seat| seat.heard.store(true, Ordering::Release));
        let home = Home::new();
        let task = home.spawn(ready(()));
        let excuse = house.drain_state.exempt(task.abort_handle());
        let worker = {
            let (house, home) = (Arc::clone(&house), Arc::clone(&home));
            start(move || {
                home.run_all();
                house.end(0);
                house.settle_up(0);
            })
        };
        house.look();
        assert!(house.drain_state.report().is_none(), "the other task lives");
        worker.join().expect("a worker");
        assert!(house.drain_state.report().is_none(), "the other task lives");
        house.end(1);
        house.settle_up(1);
        assert_eq!(house.completed(), 2);
        let _ = house.drain_state.revoke_exemption(excuse.expect("a place"));
        drop(task);
    });
}

/// drain × a spawn by a worker that runs no task: it may have seen the old phase.
#[test]
fn a_worker_that_has_not_heard_is_waited_for() {
    model(|| {
        let house = House::new(1);
        let worker = {
            let house = Arc::clone(&house);
            start(move || {
                let spawned = house.spawn(0);
                house.settle_up(0);
                if spawned {
                    house.end(0);
                }
                house.settle_up(0);
                house.seats[0].parker.park(None);
                house.settle_up(0);
                spawned
            })
        };
        assert!(house.drain());
        let spawned = worker.join().expect("a worker");
        assert!(house.completed() <= u64::from(spawned));
    });
}

/// seal × enter: who comes in after the count is refused, or the gate is not sealed.
#[test]
fn nobody_enters_between_the_count_and_the_seal() {
    model(|| {
        let house = House::new(1);
        house.seats[0].heard.store(true, Ordering::Release);
        assert!(house.drain_state.begin_drain(&house.phase, &*house, None));
        let worker = {
            let house = Arc::clone(&house);
            start(move || {
                let spawned = house.spawn(0);
                if spawned {
                    house.end(0);
                }
                house.settle_up(0);
                u64::from(spawned)
            })
        };
        house.look();
        let spawned = worker.join().expect("a worker");
        assert_eq!(house.completed(), spawned);
    });
}

/// enrol × call: who waits is woken, or is told that it has happened.
#[test]
fn who_awaits_the_drain_is_woken_or_told() {
    model(|| {
        let listeners = Arc::new(OnceEvent::new());
        let bell = Bell::new();
        let caller = {
            let listeners = Arc::clone(&listeners);
            start(move || listeners.fire())
        };
        let mut key = None;
        let waits = listeners.register(&mut key, &bell.waker()) && listeners.register(&mut key, &bell.waker());
        caller.join().expect("a caller");
        assert!(!waits || bell.rings() == 1);
        listeners.deregister(&mut key);
        assert!(bell.is_alone());
    });
}

/// deadline × enter × complete: who came in before the gate was shut is waited for.
#[test]
fn the_deadline_shuts_the_gate_and_loses_nobody() {
    model(|| {
        let house = House::new(1);
        house.seats[0].spawned.add(1);
        assert!(house.drain());
        let worker = {
            let house = Arc::clone(&house);
            start(move || {
                let spawned = house.spawn(0);
                house.end(0);
                house.settle_up(0);
                if spawned {
                    house.end(0);
                    house.settle_up(0);
                }
                1 + u64::from(spawned)
            })
        };
        if house.drain_state.pass_deadline(&house.phase, &*house, || ()) {
            assert!(!house.drain_state.gate.try_enter(SpawnSource::Internal));
        }
        let ended = worker.join().expect("a worker");
        assert_eq!(house.completed(), ended);
    });
}

/// A task that nobody polls.
fn parcel() -> Runnable {
    raw_task::spawn::<_, Home>(ready(()), std::panic::Location::caller().into()).0
}

/// deadline × a spawn onto a worker that polls for ever: who gathers finds the child, or the reaper
/// is called.
#[test]
fn what_was_let_in_is_gathered_or_the_sweeper_is_called() {
    model(|| {
        let (house, slot) = (House::new(0), Arc::new(LifoSlot::new()));
        assert!(house.drain_state.begin_drain(&house.phase, &*house, None));
        assert!(house.drain_state.gate.try_enter(SpawnSource::Internal), "the deadline has not come");
        let worker = {
            let (house, slot) = (Arc::clone(&house), Arc::clone(&slot));
            start(move || {
                assert!(slot.push(parcel()).is_none());
                if house.drain_state.gate.is_sealed() {
                    house.drain_state.notify_reaper(None);
                }
            })
        };
        assert!(house.drain_state.pass_deadline(&house.phase, &*house, || ()));
        let gathered = slot.peek().and_then(|seen| slot.claim(seen));
        worker.join().expect("a worker");
        assert!(gathered.is_some() || house.drain_state.wait_for_notify());
    });
}

/// deadline × a submit from outside, while no worker is free: the same.
#[test]
fn what_comes_from_outside_is_gathered_or_the_sweeper_is_called() {
    model(|| {
        let (house, queue, idle) = (House::new(0), Arc::new(GlobalQueue::new(1)), Arc::new(Idle::new(1)));
        assert!(house.drain_state.begin_drain(&house.phase, &*house, None));
        let outsider = {
            let (house, queue, idle) = (Arc::clone(&house), Arc::clone(&queue), Arc::clone(&idle));
            start(move || {
                assert!(queue.push_new(parcel()).is_ok());
                assert!(idle.claim_sleeper().is_none());
                if house.phase.load() == Phase::DeadlinePassed {
                    house.drain_state.notify_reaper(None);
                }
            })
        };
        assert!(house.drain_state.pass_deadline(&house.phase, &*house, || ()));
        assert!(idle.claim_sleeper().is_none());
        let gathered = queue.take(&LaneCursor::new(0), 1).pop();
        outsider.join().expect("an outsider");
        assert!(gathered.is_some() || house.drain_state.wait_for_notify());
    });
}

/// A reaper that waits × a call × the shutdown: it is not left waiting, and a call that comes first
/// is answered.
#[test]
fn a_sweeper_that_waits_is_called_or_told_of_the_end() {
    model(|| {
        let house = House::new(1);
        house.seats[0].spawned.add(1);
        assert!(house.drain());
        assert!(house.drain_state.pass_deadline(&house.phase, &*house, || ()));
        let reaper = {
            let house = Arc::clone(&house);
            start(move || {
                let mut passes = 0;
                while house.drain_state.wait_for_notify() {
                    passes += 1;
                }
                passes
            })
        };
        house.drain_state.notify_reaper(None);
        house.drain_state.begin_shutdown(&house.phase);
        assert!(reaper.join().expect("a reaper") <= 1);
    });
}

/// deadline × close: whoever closes up knows of the reaper, or there is none.
#[test]
fn whoever_closes_up_knows_of_the_sweeper() {
    model(|| {
        let (house, present) = (House::new(1), Arc::new(AtomicBool::new(false)));
        house.seats[0].spawned.add(1);
        assert!(house.drain_state.begin_drain(&house.phase, &*house, None));
        let deadline_thread = {
            let (house, present) = (Arc::clone(&house), Arc::clone(&present));
            start(move || {
                house.drain_state.pass_deadline(&house.phase, &*house, || present.store(true, Ordering::Relaxed))
            })
        };
        house.drain_state.begin_shutdown(&house.phase);
        let seen = present.load(Ordering::Relaxed);
        assert_eq!(deadline_thread.join().expect("a timekeeper"), seen);
    });
}

/// The report of the grace's end × complete: a task is counted, or named, or it is one whose name
/// nobody knows.
#[test]
fn who_ends_while_the_report_is_made_is_there_once() {
    model(|| {
        let house = House::new(1);
        house.seats[0].heard.store(true, Ordering::Release);
        house.seats[0].spawned.add(1);
        let (task, runnable) = house.home.spawn_linked(ready(()));
        assert!(house.drain_state.begin_drain(&house.phase, &*house, None));
        let worker = {
            let house = Arc::clone(&house);
            start(move || {
                let _ = runnable.run(&*house.home);
                house.seats[0].completed.add(1);
            })
        };
        house.drain_state.finalize_report(&*house);
        worker.join().expect("a worker");
        let report = house.drain_state.report().expect("it has been made");
        assert_eq!(report.completed + report.stragglers.len() as u64 + report.unnamed, 1, "{report}");
        drop(task);
    });
}

/// The report of the grace's end × dropping what is late: it is named and counted, or it is
/// neither.
#[test]
fn what_is_dropped_late_is_named_and_counted_or_neither() {
    model(|| {
        let house = House::new(0);
        assert!(house.drain_state.gate.try_enter(SpawnSource::Internal));
        assert!(house.drain_state.begin_drain(&house.phase, &*house, None));
        assert!(house.drain_state.pass_deadline(&house.phase, &*house, || ()));
        let reaper = {
            let house = Arc::clone(&house);
            start(move || {
                parcel().cancel(&|task, end| {
                    let late: Straggler = task.identity().into();
                    house.drain_state.record_cancelled(late, || house.drain_state.unseated.record(end));
                });
            })
        };
        house.drain_state.finalize_report(&*house);
        reaper.join().expect("a reaper");
        let report = house.drain_state.report().expect("it has been made");
        assert_eq!(report.cancelled, report.stragglers.len() as u64, "{report}");
        assert_eq!(report.cancelled + report.unnamed, 1, "{report}");
    });
}

/// close × dropping for it: who sees the phase, and drops a task for the shutdown, is a straggler
/// of the drain that was under way.
#[test]
fn who_is_dropped_for_the_shutdown_is_named() {
    model(|| {
        let house = House::new(0);
        assert!(house.drain_state.gate.try_enter(SpawnSource::Internal));
        assert!(house.drain_state.begin_drain(&house.phase, &*house, None));
        let closer = {
            let house = Arc::clone(&house);
            start(move || house.drain_state.begin_shutdown(&house.phase))
        };
        if house.phase.load() == Phase::ShuttingDown {
            parcel().cancel(&|task, end| {
                let late: Straggler = task.identity().into();
                house.drain_state.record_cancelled(late, || house.drain_state.unseated.record(end));
            });
            closer.join().expect("a closer");
            house.drain_state.finish_shutdown(&*house);
            let report = house.drain_state.report().expect("it has been made");
            assert_eq!((report.cancelled, report.stragglers.len()), (1, 1), "{report}");
        } else {
            closer.join().expect("a closer");
        }
    });
}

/// What is cancelled in time is no straggler: a job for which there was no thread, say.
#[test]
fn what_is_cancelled_in_time_is_no_straggler() {
    model(|| {
        let house = House::new(0);
        assert!(house.drain_state.gate.try_enter(SpawnSource::Internal));
        assert!(house.drain());
        let late = |task: &raw_task::Header| Straggler::from(task.identity());
        let end = |task: &raw_task::Header, end: Outcome| {
            house.drain_state.record_cancelled(late(task), || house.drain_state.unseated.record(end))
        };
        parcel().cancel(&end);
        assert!(house.drain_state.gate.exit());
        house.look();
        let report = house.drain_state.report().expect("nobody is left");
        assert_eq!((report.cancelled, report.stragglers.len()), (1, 0), "{report}");
    });
}
