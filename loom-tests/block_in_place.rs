//! A worker steps out of its seat and comes back, while somebody counts, closes, resizes, or steps
//! out as well. See docs/block-in-place.md.

use std::future::pending;
use std::time::{Duration, Instant};

use super::stalls::{Scarce, Threads};
use super::support::{Home, parcels, start};
use crate::block_in_place::blocked_workers::BlockedWorkers;
use crate::drain::gate::SpawnSource;
use crate::drain::outcome_counts::OutcomeCounts;
use crate::drain::report::Straggler;
use crate::drain::state::{DrainState, PollSeen, TaskCounts};
use crate::idle::Idle;
use crate::metrics::counter::Counter;
use crate::phase::{AtomicPhase, Phase};
use crate::pool::LocalSlot;
use crate::queue::{GlobalQueue, LaneCursor};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Condvar, Mutex, UnsafeCell, model, thread};
use crate::watchdog::sleep::WatchdogSleep;
use crate::worker_set::WorkerSet;
use crate::worker_set::completion::ResizeCompletion;
use crate::worker_set::spares::SpareError;

// -------------------------------------------------------------------------------------------------------
// the local slot

/// step out, come back × take × give back: the worker finds its seat as it has left it, and whoever
/// takes it comes afterwards.
#[test]
fn the_seat_of_one_who_is_out_is_nobodys() {
    model(|| {
        let lease = Arc::new(LocalSlot::new(UnsafeCell::new(0)));
        let local = lease.try_take().expect("it is vacant");
        let other = Arc::clone(&lease);
        let other = start(move || {
            // A worker that comes, or a closer that clears.
            let Some(local) = other.try_take() else { return };
            // SAFETY: whoever holds the local slot touches it.
            let turns = local.with_mut(|turns| unsafe { std::mem::replace(&mut *turns, 2) });
            assert_eq!(turns, 1, "the seat was taken from one who was out");
            other.give_back(local);
        });
        lease.begin_blocking();
        assert!(lease.is_blocking() && !lease.is_active() && !lease.is_vacant());
        lease.end_blocking();
        // SAFETY: as above.
        local.with_mut(|turns| unsafe { *turns += 1 });
        lease.give_back(local);
        other.join().expect("the other");
        assert!(lease.is_vacant());
    });
}

// -------------------------------------------------------------------------------------------------------
// the task counts

/// One seat, whose worker polls a task that has been counted in.
struct House {
    drain_state: DrainState,
    phase: AtomicPhase,
    lease: LocalSlot<()>,
    heard: AtomicBool,
    spawned: Counter,
    completed: Counter,
    ended: Counter,
}

impl TaskCounts for House {
    fn all_workers_acked(&self) -> bool {
        // Ordering: Acquire — as `Seat::has_heard`.
        self.heard.load(Ordering::Acquire) || !self.lease.is_active()
    }

    fn tasks_ended(&self) -> u64 {
        self.ended.load_acquire()
    }

    fn tasks_started(&self) -> u64 {
        self.spawned.get()
    }

    fn outcomes(&self) -> OutcomeCounts {
        OutcomeCounts { completed: self.completed.get(), panicked: 0, cancelled: 0 } + self.drain_state.unseated.get()
    }

    fn polls_under_way(&self, _: Instant) -> Vec<PollSeen> {
        Vec::new()
    }

    fn stragglers(&self, _: &[PollSeen]) -> Vec<Straggler> {
        Vec::new()
    }
}

impl House {
    fn new() -> Arc<House> {
        let house = House {
            drain_state: DrainState::new(),
            phase: AtomicPhase::new(),
            lease: LocalSlot::new(()),
            heard: AtomicBool::new(false),
            spawned: Counter::new(),
            completed: Counter::new(),
            ended: Counter::new(),
        };
        house.lease.try_take().expect("it is vacant");
        house.spawned.add(1);
        Arc::new(house)
    }

    fn look(&self) {
        self.drain_state.check_quiescent(&self.phase, self);
    }

    fn drain(&self) {
        assert!(self.drain_state.begin_drain(&self.phase, self, None));
        self.look();
    }

    /// As `Seat::begin_blocking`.
    fn step_out(&self) {
        self.lease.begin_blocking();
        if self.phase.load() != Phase::Running {
            self.look();
        }
    }

    /// Counts a task in, on the seat or off it.
    fn spawn(&self, seated: bool) {
        if seated && self.phase.is_running() {
            self.spawned.add(1);
        } else {
            assert!(self.drain_state.gate.try_enter(SpawnSource::Internal), "a task lives that is not excused");
        }
    }

    fn end(&self) {
        assert!(self.phase.load() < Phase::Drained, "the report came while a task lived");
        self.completed.add(1);
        self.ended.add_release(1);
    }

    /// A worker before it sleeps.
    fn settle_up(&self) {
        if self.phase.load() != Phase::Running {
            // Ordering: Release — as `Seat::hear`.
            self.heard.store(true, Ordering::Release);
            self.look();
        }
    }
}

/// drain × step out, spawn, come back, spawn: all are counted, and the report comes.
#[test]
fn what_one_who_is_out_spawns_is_counted() {
    model(|| {
        let house = House::new();
        let worker = Arc::clone(&house);
        let worker = start(move || {
            worker.step_out();
            worker.spawn(false);
            worker.lease.end_blocking();
            worker.spawn(true);
            (0..3).for_each(|_| worker.end());
            worker.settle_up();
        });
        house.drain();
        worker.join().expect("the worker");
        // Who sleeps is woken by the drain.
        house.settle_up();
        let report = house.drain_state.report().expect("everybody has left, and nobody has noticed");
        assert!(report.completed <= 3);
    });
}

/// drain × step out × wait for the report: the one who waits is excused, and nobody else is there
/// to hear of the drain.
#[test]
fn a_report_that_is_awaited_by_one_who_is_out_comes() {
    model(|| {
        let (house, home) = (House::new(), Home::new());
        let task = home.spawn(pending::<()>());
        let excused = task.abort_handle();
        let worker = Arc::clone(&house);
        let worker = start(move || {
            worker.step_out();
            // As `Drain::poll`: it may not have begun, then it begins here.
            let begins = worker.drain_state.begin_drain(&worker.phase, &*worker, None);
            let excuse = worker.drain_state.exempt(excused);
            worker.look();
            worker.drain_state.wait_for_report(None);
            worker.lease.end_blocking();
            let _ = excuse.map(|key| worker.drain_state.revoke_exemption(key));
            begins
        });
        let begins = house.drain_state.begin_drain(&house.phase, &*house, None);
        house.look();
        assert_ne!(worker.join().expect("the worker"), begins);
        task.abort();
        home.run_all();
    });
}

/// drain × step out of one that has ended nothing, while the last task ends elsewhere: the worker
/// that is out is not waited for.
#[test]
fn one_who_is_out_need_not_have_heard() {
    model(|| {
        let house = House::new();
        let home = Home::new();
        let task = home.spawn(pending::<()>());
        let excuse = Arc::new(Mutex::new(None));
        let (worker, excused, place) = (Arc::clone(&house), task.abort_handle(), Arc::clone(&excuse));
        assert!(house.drain_state.begin_drain(&house.phase, &*house, None));
        *place.lock() = house.drain_state.exempt(excused);
        let worker = start(move || {
            worker.step_out();
            worker.drain_state.wait_for_report(None);
        });
        house.look();
        worker.join().expect("the worker");
        task.abort();
        home.run_all();
    });
}

// ----------------------------------------------------------------------------------------------------
// the helper

/// What somebody who is out waits for, and who ends it when the runtime closes.
struct Closing {
    phase: AtomicPhase,
    blocked_workers: BlockedWorkers,
    idle: Idle,
    queue: GlobalQueue,
    ended: Mutex<bool>,
    changed: Condvar,
    helpers: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Closing {
    fn new() -> Arc<Closing> {
        Arc::new(Closing {
            phase: AtomicPhase::new(),
            blocked_workers: BlockedWorkers::new(),
            idle: Idle::new(1),
            queue: GlobalQueue::new(1),
            ended: Mutex::new(false),
            changed: Condvar::new(),
            helpers: Mutex::new(Vec::new()),
        })
    }

    /// As `shutdown::attend`.
    fn attend(self: &Arc<Self>) {
        if self.blocked_workers.claim_helper() {
            let house = Arc::clone(self);
            self.helpers.lock().push(start(move || house.wait_upon()));
        }
    }

    /// As the helper.
    fn wait_upon(&self) {
        loop {
            assert!(self.idle.claim_sleeper().is_none());
            let mut tasks = self.queue.take(&LaneCursor::new(0), 2);
            while tasks.pop().is_some() {
                *self.ended.lock() = true;
                self.changed.notify_all();
            }
            if !self.blocked_workers.wait_for_call() {
                return;
            }
        }
    }

    fn push(&self) {
        self.queue.push_woken(parcels(1).pop().expect("a task"));
    }

    fn close(self: &Arc<Self>) {
        self.phase.advance(Phase::ShuttingDown);
        self.attend();
    }

    fn wait(&self) {
        let mut ended = self.ended.lock();
        while !*ended {
            self.changed.wait(&mut ended);
        }
    }

    fn is_open(&self) -> bool {
        self.phase.load() < Phase::ShuttingDown
    }

    /// All helpers go when nobody is out, and there was one at a time.
    fn end(&self) {
        let helpers = std::mem::take(&mut *self.helpers.lock());
        assert_eq!(helpers.len(), 1);
        helpers.into_iter().for_each(|helper| helper.join().expect("the helper"));
    }
}

/// close × step out: what waits in the seat is ended by the helper, whoever starts it.
#[test]
fn one_who_steps_out_while_the_runtime_closes_is_attended_to() {
    model(|| {
        let house = Closing::new();
        let worker = Arc::clone(&house);
        let worker = start(move || {
            // What it hands over.
            worker.push();
            assert!(worker.idle.claim_sleeper().is_none());
            worker.blocked_workers.begin_section();
            if !worker.is_open() {
                worker.attend();
            }
            worker.wait();
            worker.blocked_workers.end_section();
        });
        house.close();
        worker.join().expect("the worker");
        house.end();
    });
}

/// close × a wake from outside, while a worker is out that waits for the woken: it is ended.
#[test]
fn what_is_woken_while_the_runtime_closes_is_ended() {
    model(|| {
        let house = Closing::new();
        house.blocked_workers.begin_section();
        let waker = Arc::clone(&house);
        let waker = start(move || {
            waker.push();
            assert!(waker.idle.claim_sleeper().is_none());
            // As `Pool::mind_deadline`.
            if !waker.is_open() {
                waker.blocked_workers.notify_helper();
            }
        });
        house.close();
        house.wait();
        house.blocked_workers.end_section();
        waker.join().expect("the waker");
        house.end();
    });
}

/// come back × step out of another, while the helper goes or stays: each is attended to.
#[test]
fn an_attendant_that_goes_leaves_nobody_behind() {
    model(|| {
        let house = Closing::new();
        house.blocked_workers.begin_section();
        house.close();
        let worker = Arc::clone(&house);
        let worker = start(move || {
            worker.push();
            worker.blocked_workers.begin_section();
            worker.attend();
            worker.wait();
            worker.blocked_workers.end_section();
        });
        house.blocked_workers.end_section();
        worker.join().expect("the worker");
        let helpers = std::mem::take(&mut *house.helpers.lock());
        assert!((1..=2).contains(&helpers.len()));
        helpers.into_iter().for_each(|helper| helper.join().expect("a helper"));
    });
}

// -----------------------------------------------------------------------------------------------------------
// spares

/// As `Pool::call_one`.
fn call(worker_set: &WorkerSet, threads: &Threads, enough: usize) -> (Result<usize, SpareError>, bool) {
    let called = worker_set.start_spare(threads, enough);
    let carried = worker_set.run_requests(threads);
    (called, carried)
}

/// step out × step out: a spare for each.
#[test]
fn two_that_step_out_at_once_have_a_spare_each() {
    model(|| {
        let (worker_set, at_work, blocked_workers) =
            (Arc::new(WorkerSet::new(2, 2, 2)), Arc::default(), Arc::new(BlockedWorkers::new()));
        (0..2).for_each(|seat| worker_set.activate_seat(seat));
        let step_out = |worker_set: &Arc<WorkerSet>, blocked_workers: &BlockedWorkers, threads: &Threads| {
            blocked_workers.begin_section();
            assert!(worker_set.ensure_spares(blocked_workers, |enough| call(worker_set, threads, enough)));
        };
        let other = {
            let (worker_set, blocked_workers, threads) = (
                Arc::clone(&worker_set),
                Arc::clone(&blocked_workers),
                (Arc::clone(&worker_set), Arc::clone(&at_work)),
            );
            start(move || step_out(&worker_set, &blocked_workers, &Threads::of(&threads.0, &threads.1)))
        };
        step_out(&worker_set, &blocked_workers, &Threads::of(&worker_set, &at_work));
        other.join().expect("the other");
        assert_eq!((worker_set.active_spares(), worker_set.active()), (2, 4));
        assert!(at_work.lock().values().all(|&workers| workers == 1));
    });
}

/// step out × resize: a spare besides those that the order asks for.
#[test]
fn one_that_steps_out_while_the_set_grows_has_a_spare() {
    model(|| {
        let (worker_set, at_work, blocked_workers) =
            (Arc::new(WorkerSet::new(1, 2, 1)), Arc::default(), Arc::new(BlockedWorkers::new()));
        worker_set.activate_seat(0);
        let grower = {
            let (worker_set, blocked_workers, at_work) =
                (Arc::clone(&worker_set), Arc::clone(&blocked_workers), Arc::clone(&at_work));
            start(move || {
                let threads = Threads::of(&worker_set, &at_work);
                worker_set.enqueue(2, Arc::new(ResizeCompletion::new())).write();
                // As `Pool::carry_out`.
                worker_set.run_requests(&threads);
                assert!(worker_set.ensure_spares(&blocked_workers, |enough| call(&worker_set, &threads, enough)));
            })
        };
        let threads = Threads::of(&worker_set, &at_work);
        blocked_workers.begin_section();
        assert!(worker_set.ensure_spares(&blocked_workers, |enough| call(&worker_set, &threads, enough)));
        grower.join().expect("the grower");
        assert_eq!((worker_set.target(), worker_set.active_spares(), worker_set.active()), (2, 1, 3));
        assert!(at_work.lock().values().all(|&workers| workers == 1));
    });
}

/// call × resize to the seat of the spare, while `out` are out and there may be as many as
/// `spares`: who has carried out the order looks whether there are enough still.
fn out_while_the_set_grows_over_a_spare(out: usize, spares: usize) {
    model(move || {
        let (worker_set, at_work, blocked_workers) =
            (Arc::new(WorkerSet::new(1, 2, spares)), Arc::default(), Arc::new(BlockedWorkers::new()));
        worker_set.activate_seat(0);
        let threads = Threads::of(&worker_set, &at_work);
        assert_eq!(worker_set.start_spare(&threads, usize::MAX).expect("a spare"), 1);
        (0..out).for_each(|_| blocked_workers.begin_section());
        let caller = {
            let (worker_set, at_work, blocked_workers) =
                (Arc::clone(&worker_set), Arc::clone(&at_work), Arc::clone(&blocked_workers));
            start(move || {
                let threads = Threads::of(&worker_set, &at_work);
                let _ = worker_set.ensure_spares(&blocked_workers, |enough| call(&worker_set, &threads, enough));
            })
        };
        worker_set.enqueue(2, Arc::new(ResizeCompletion::new())).write();
        // As `Pool::carry_out`.
        worker_set.run_requests(&threads);
        let _ = worker_set.ensure_spares(&blocked_workers, |enough| call(&worker_set, &threads, enough));
        caller.join().expect("the caller");
        assert_eq!((worker_set.target(), worker_set.active_spares(), worker_set.active()), (2, 1, 3));
        assert!(at_work.lock().values().all(|&workers| workers == 1));
    });
}

/// One is out, and has its spare: it has another one afterwards.
#[test]
fn one_that_is_out_while_the_set_grows_over_its_spare_has_another() {
    out_while_the_set_grows_over_a_spare(1, 2);
}

/// Two are out, and there may be no more than one spare: there is one afterwards.
#[test]
fn the_last_spare_that_the_set_grows_over_is_replaced() {
    out_while_the_set_grows_over_a_spare(2, 1);
}

/// step out × dismiss, leave: the spare that goes is had again, or another comes.
#[test]
fn one_that_steps_out_while_a_spare_goes_has_one() {
    model(|| {
        let (worker_set, at_work, blocked_workers) =
            (Arc::new(WorkerSet::new(1, 1, 2)), Arc::default(), Arc::new(BlockedWorkers::new()));
        worker_set.activate_seat(0);
        let threads = Threads::of(&worker_set, &at_work);
        assert_eq!(worker_set.start_spare(&threads, usize::MAX).expect("a spare"), 1);
        let watchdog = {
            let (worker_set, at_work, blocked_workers) =
                (Arc::clone(&worker_set), Arc::clone(&at_work), Arc::clone(&blocked_workers));
            start(move || {
                let threads = Threads::of(&worker_set, &at_work);
                let _ = worker_set.stop_spare(&threads, |_| true);
                // As `Rescue::staff`.
                assert!(worker_set.ensure_spares(&blocked_workers, |enough| call(&worker_set, &threads, enough)));
                threads.join();
            })
        };
        blocked_workers.begin_section();
        assert!(worker_set.ensure_spares(&blocked_workers, |enough| call(&worker_set, &threads, enough)));
        watchdog.join().expect("the watchdog");
        threads.join();
        let there = at_work.lock().values().filter(|&&workers| workers == 1).count();
        assert_eq!((worker_set.active_spares(), worker_set.active(), there), (1, 2, 1));
    });
}

/// shrink to the seat of one who is out × call × come back, leave: it leaves, the spare has a seat
/// of its own, and the order is answered.
#[test]
fn one_that_is_to_leave_may_be_out() {
    model(|| {
        let (worker_set, at_work, blocked_workers) =
            (Arc::new(WorkerSet::new(2, 2, 1)), Arc::new(Mutex::new([(0, 1), (1, 1)].into())), BlockedWorkers::new());
        (0..2).for_each(|seat| worker_set.activate_seat(seat));
        blocked_workers.begin_section();
        let completion = Arc::new(ResizeCompletion::new());
        let shrinker = {
            let (worker_set, at_work, completion) =
                (Arc::clone(&worker_set), Arc::clone(&at_work), Arc::clone(&completion));
            start(move || {
                let threads = Threads::of(&worker_set, &at_work);
                worker_set.enqueue(1, completion).write();
                // Whoever is asked comes back, and leaves.
                worker_set.run_requests(&threads);
                threads.join();
            })
        };
        let threads = Threads::of(&worker_set, &at_work);
        assert!(worker_set.ensure_spares(&blocked_workers, |enough| call(&worker_set, &threads, enough)));
        shrinker.join().expect("the shrinker");
        threads.join();
        assert_eq!(completion.wait().expect("it leaves").to, 1);
        assert_eq!((worker_set.target(), worker_set.active()), (1, 1 + worker_set.active_spares()));
        assert!(at_work.lock().values().all(|&workers| workers <= 1));
    });
}

// ------------------------------------------------------------------------------------------------------
// the watchdog

/// In a model a time that is not over never is.
fn watchdog_sleep() -> WatchdogSleep {
    let tick = if cfg!(heist_loom) { Duration::ZERO } else { Duration::from_millis(1) };
    WatchdogSleep::new(tick).expect("an alarm")
}

/// rest of the watchdog × come back: it looks at the worker.
#[test]
fn a_worker_that_comes_back_is_watched() {
    model(|| {
        let (lease, idle, watchdog_sleep) =
            (Arc::new(LocalSlot::new(())), Arc::new(Idle::new(1)), Arc::new(watchdog_sleep()));
        lease.try_take().expect("it is vacant");
        lease.begin_blocking();
        let watchdog = {
            let (lease, idle, watchdog_sleep) = (Arc::clone(&lease), Arc::clone(&idle), Arc::clone(&watchdog_sleep));
            start(move || {
                while lease.is_blocking() {
                    watchdog_sleep.sleep_if(&idle, || lease.is_blocking());
                    watchdog_sleep.wait_for_tick();
                }
            })
        };
        lease.end_blocking();
        // As `Pool::begin_watch`.
        watchdog_sleep.wake(&idle);
        watchdog.join().expect("the watchdog");
    });
}

/// rest of the watchdog × a spare that is refused: it sees that there is one too few.
#[test]
fn a_watchdog_does_not_rest_while_a_spare_is_missing() {
    model(|| {
        let (worker_set, at_work, blocked_workers) =
            (Arc::new(WorkerSet::new(1, 1, 1)), Arc::default(), Arc::new(BlockedWorkers::new()));
        let (idle, watchdog_sleep) = (Arc::new(Idle::new(1)), Arc::new(watchdog_sleep()));
        worker_set.activate_seat(0);
        blocked_workers.begin_section();
        let watchdog = {
            let (worker_set, blocked_workers) = (Arc::clone(&worker_set), Arc::clone(&blocked_workers));
            let (idle, watchdog_sleep) = (Arc::clone(&idle), Arc::clone(&watchdog_sleep));
            start(move || {
                let has_its_spares = || worker_set.active_spares() == blocked_workers.count();
                // It has not been called yet, or the spare is there that will be refused.
                if has_its_spares() {
                    watchdog_sleep.sleep_if(&idle, has_its_spares);
                    watchdog_sleep.wait_for_tick();
                    assert!(!has_its_spares(), "it was called for nothing");
                }
            })
        };
        let scarce = Scarce(Threads::of(&worker_set, &at_work), Arc::new(AtomicBool::new(true)));
        if !worker_set.ensure_spares(&blocked_workers, |enough| (worker_set.start_spare(&scarce, enough), false)) {
            watchdog_sleep.wake(&idle);
        }
        watchdog.join().expect("the watchdog");
        assert_eq!(worker_set.active_spares(), 0);
    });
}
