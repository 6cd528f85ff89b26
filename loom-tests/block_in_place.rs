//! A worker steps out of its seat and comes back, while somebody counts, closes, resizes, or steps out as well. See docs/block-in-place.md.

use std::future::pending;
use std::time::{Duration, Instant};

use super::stalls::{Scarce, Threads};
use super::support::{Home, parcels, start};
use crate::drain_state::{DrainState, OutcomeCounts, PollSeen, SpawnSource, Straggler, TaskCounts};
use crate::idle::Idle;
use crate::phase::{AtomicPhase, Phase};
use crate::pool::{BlockedWorkers, LocalSlot, ResizeCompletion, SpareError, WorkerSet};
use crate::queue::{GlobalQueue, LaneCursor};
use crate::stats::Counter;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Condvar, Mutex, UnsafeCell, model, thread};
use crate::watchdog_sleep::WatchdogSleep;

// ------------------------------------------------------------------------------------------------------- the lease

/// step out, come back × take × give back: the worker finds its seat as it has left it, and whoever takes it comes afterwards.
#[test]
fn the_seat_of_one_who_is_out_is_nobodys() {
    model(|| {
        let lease = Arc::new(LocalSlot::new(UnsafeCell::new(0)));
        let local = lease.take().expect("it is vacant");
        let other = Arc::clone(&lease);
        let other = start(move || {
            // A worker that comes, or a closer that clears.
            let Some(local) = other.take() else { return };
            // SAFETY: whoever holds the lease touches it.
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

// ------------------------------------------------------------------------------------------------------- the census

/// One seat, whose worker polls a task that has been counted in.
struct House {
    ledger: DrainState,
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

    fn ended(&self) -> u64 {
        self.ended.load_acquire()
    }

    fn started(&self) -> u64 {
        self.spawned.get()
    }

    fn ends(&self) -> OutcomeCounts {
        OutcomeCounts { completed: self.completed.get(), panicked: 0, cancelled: 0 } + self.ledger.unseated.get()
    }

    fn polls(&self, _: Instant) -> Vec<PollSeen> {
        Vec::new()
    }

    fn left(&self, _: &[PollSeen]) -> Vec<Straggler> {
        Vec::new()
    }
}

impl House {
    fn new() -> Arc<House> {
        let house = House {
            ledger: DrainState::new(),
            phase: AtomicPhase::new(),
            lease: LocalSlot::new(()),
            heard: AtomicBool::new(false),
            spawned: Counter::new(),
            completed: Counter::new(),
            ended: Counter::new(),
        };
        house.lease.take().expect("it is vacant");
        house.spawned.add(1);
        Arc::new(house)
    }

    fn look(&self) {
        self.ledger.check_quiescent(&self.phase, self);
    }

    fn drain(&self) {
        assert!(self.ledger.begin(&self.phase, self, None));
        self.look();
    }

    /// As `Seat::step_out`.
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
            assert!(self.ledger.gate.enter(SpawnSource::Internal), "a task lives that is not excused");
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
        let report = house.ledger.report().expect("everybody has left, and nobody has noticed");
        assert!(report.completed <= 3);
    });
}

/// drain × step out × wait for the report: the one who waits is excused, and nobody else is there to hear of the drain.
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
            let begins = worker.ledger.begin(&worker.phase, &*worker, None);
            let excuse = worker.ledger.exempt(excused);
            worker.look();
            worker.ledger.wait_for_report(None);
            worker.lease.end_blocking();
            let _ = excuse.map(|key| worker.ledger.revoke_exemption(key));
            begins
        });
        let begins = house.ledger.begin(&house.phase, &*house, None);
        house.look();
        assert_ne!(worker.join().expect("the worker"), begins);
        task.abort();
        home.run_all();
    });
}

/// drain × step out of one that has ended nothing, while the last task ends elsewhere: the worker that is out is not waited for.
#[test]
fn one_who_is_out_need_not_have_heard() {
    model(|| {
        let house = House::new();
        let home = Home::new();
        let task = home.spawn(pending::<()>());
        let excuse = Arc::new(Mutex::new(None));
        let (worker, excused, place) = (Arc::clone(&house), task.abort_handle(), Arc::clone(&excuse));
        assert!(house.ledger.begin(&house.phase, &*house, None));
        *place.lock() = house.ledger.exempt(excused);
        let worker = start(move || {
            worker.step_out();
            worker.ledger.wait_for_report(None);
        });
        house.look();
        worker.join().expect("the worker");
        task.abort();
        home.run_all();
    });
}

// ---------------------------------------------------------------------------------------------------- the attendant

/// What somebody who is out waits for, and who ends it when the runtime closes.
struct Closing {
    phase: AtomicPhase,
    outings: BlockedWorkers,
    idle: Idle,
    queue: GlobalQueue,
    ended: Mutex<bool>,
    changed: Condvar,
    attendants: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Closing {
    fn new() -> Arc<Closing> {
        Arc::new(Closing {
            phase: AtomicPhase::new(),
            outings: BlockedWorkers::new(),
            idle: Idle::new(1),
            queue: GlobalQueue::new(1),
            ended: Mutex::new(false),
            changed: Condvar::new(),
            attendants: Mutex::new(Vec::new()),
        })
    }

    /// As `shutdown::attend`.
    fn attend(self: &Arc<Self>) {
        if self.outings.claim_helper() {
            let house = Arc::clone(self);
            self.attendants.lock().push(start(move || house.wait_upon()));
        }
    }

    /// As the attendant.
    fn wait_upon(&self) {
        loop {
            assert!(self.idle.claim_sleeper().is_none());
            let mut tasks = self.queue.take(&LaneCursor::new(0), 2);
            while tasks.pop().is_some() {
                *self.ended.lock() = true;
                self.changed.notify_all();
            }
            if !self.outings.wait_for_call() {
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

    /// All attendants go when nobody is out, and there was one at a time.
    fn end(&self) {
        let attendants = std::mem::take(&mut *self.attendants.lock());
        assert_eq!(attendants.len(), 1);
        attendants.into_iter().for_each(|attendant| attendant.join().expect("the attendant"));
    }
}

/// close × step out: what waits in the seat is ended by the attendant, whoever starts it.
#[test]
fn one_who_steps_out_while_the_runtime_closes_is_attended_to() {
    model(|| {
        let house = Closing::new();
        let worker = Arc::clone(&house);
        let worker = start(move || {
            // What it hands over.
            worker.push();
            assert!(worker.idle.claim_sleeper().is_none());
            worker.outings.begin();
            if !worker.is_open() {
                worker.attend();
            }
            worker.wait();
            worker.outings.end();
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
        house.outings.begin();
        let waker = Arc::clone(&house);
        let waker = start(move || {
            waker.push();
            assert!(waker.idle.claim_sleeper().is_none());
            // As `Pool::mind_deadline`.
            if !waker.is_open() {
                waker.outings.notify_helper();
            }
        });
        house.close();
        house.wait();
        house.outings.end();
        waker.join().expect("the waker");
        house.end();
    });
}

/// come back × step out of another, while the attendant goes or stays: each is attended to.
#[test]
fn an_attendant_that_goes_leaves_nobody_behind() {
    model(|| {
        let house = Closing::new();
        house.outings.begin();
        house.close();
        let worker = Arc::clone(&house);
        let worker = start(move || {
            worker.push();
            worker.outings.begin();
            worker.attend();
            worker.wait();
            worker.outings.end();
        });
        house.outings.end();
        worker.join().expect("the worker");
        let attendants = std::mem::take(&mut *house.attendants.lock());
        assert!((1..=2).contains(&attendants.len()));
        attendants.into_iter().for_each(|attendant| attendant.join().expect("an attendant"));
    });
}

// ----------------------------------------------------------------------------------------------------------- spares

/// As `Pool::call_one`.
fn call(staff: &WorkerSet, threads: &Threads, enough: usize) -> (Result<usize, SpareError>, bool) {
    let called = staff.start_spare(threads, enough);
    let carried = staff.run_requests(threads);
    (called, carried)
}

/// step out × step out: a spare for each.
#[test]
fn two_that_step_out_at_once_have_a_spare_each() {
    model(|| {
        let (staff, at_work, outings) =
            (Arc::new(WorkerSet::new(2, 2, 2)), Arc::default(), Arc::new(BlockedWorkers::new()));
        (0..2).for_each(|seat| staff.sit(seat));
        let step_out = |staff: &Arc<WorkerSet>, outings: &BlockedWorkers, threads: &Threads| {
            outings.begin();
            assert!(staff.ensure_spares(outings, |enough| call(staff, threads, enough)));
        };
        let other = {
            let (staff, outings, threads) =
                (Arc::clone(&staff), Arc::clone(&outings), (Arc::clone(&staff), Arc::clone(&at_work)));
            start(move || step_out(&staff, &outings, &Threads::of(&threads.0, &threads.1)))
        };
        step_out(&staff, &outings, &Threads::of(&staff, &at_work));
        other.join().expect("the other");
        assert_eq!((staff.spares(), staff.active()), (2, 4));
        assert!(at_work.lock().values().all(|&workers| workers == 1));
    });
}

/// step out × resize: a spare besides those that the order asks for.
#[test]
fn one_that_steps_out_while_the_set_grows_has_a_spare() {
    model(|| {
        let (staff, at_work, outings) =
            (Arc::new(WorkerSet::new(1, 2, 1)), Arc::default(), Arc::new(BlockedWorkers::new()));
        staff.sit(0);
        let grower = {
            let (staff, outings, at_work) = (Arc::clone(&staff), Arc::clone(&outings), Arc::clone(&at_work));
            start(move || {
                let threads = Threads::of(&staff, &at_work);
                staff.enqueue(2, Arc::new(ResizeCompletion::new())).write();
                // As `Pool::carry_out`.
                staff.run_requests(&threads);
                assert!(staff.ensure_spares(&outings, |enough| call(&staff, &threads, enough)));
            })
        };
        let threads = Threads::of(&staff, &at_work);
        outings.begin();
        assert!(staff.ensure_spares(&outings, |enough| call(&staff, &threads, enough)));
        grower.join().expect("the grower");
        assert_eq!((staff.target(), staff.spares(), staff.active()), (2, 1, 3));
        assert!(at_work.lock().values().all(|&workers| workers == 1));
    });
}

/// call × resize to the seat of the spare, while `out` are out and there may be as many as `spares`: who has carried out the order looks whether there
/// are enough still.
fn out_while_the_set_grows_over_a_spare(out: usize, spares: usize) {
    model(move || {
        let (staff, at_work, outings) =
            (Arc::new(WorkerSet::new(1, 2, spares)), Arc::default(), Arc::new(BlockedWorkers::new()));
        staff.sit(0);
        let threads = Threads::of(&staff, &at_work);
        assert_eq!(staff.start_spare(&threads, usize::MAX).expect("a spare"), 1);
        (0..out).for_each(|_| outings.begin());
        let caller = {
            let (staff, at_work, outings) = (Arc::clone(&staff), Arc::clone(&at_work), Arc::clone(&outings));
            start(move || {
                let threads = Threads::of(&staff, &at_work);
                let _ = staff.ensure_spares(&outings, |enough| call(&staff, &threads, enough));
            })
        };
        staff.enqueue(2, Arc::new(ResizeCompletion::new())).write();
        // As `Pool::carry_out`.
        staff.run_requests(&threads);
        let _ = staff.ensure_spares(&outings, |enough| call(&staff, &threads, enough));
        caller.join().expect("the caller");
        assert_eq!((staff.target(), staff.spares(), staff.active()), (2, 1, 3));
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
        let (staff, at_work, outings) =
            (Arc::new(WorkerSet::new(1, 1, 2)), Arc::default(), Arc::new(BlockedWorkers::new()));
        staff.sit(0);
        let threads = Threads::of(&staff, &at_work);
        assert_eq!(staff.start_spare(&threads, usize::MAX).expect("a spare"), 1);
        let sentinel = {
            let (staff, at_work, outings) = (Arc::clone(&staff), Arc::clone(&at_work), Arc::clone(&outings));
            start(move || {
                let threads = Threads::of(&staff, &at_work);
                let _ = staff.stop_spare(&threads, |_| true);
                // As `Rescue::staff`.
                assert!(staff.ensure_spares(&outings, |enough| call(&staff, &threads, enough)));
                threads.join();
            })
        };
        outings.begin();
        assert!(staff.ensure_spares(&outings, |enough| call(&staff, &threads, enough)));
        sentinel.join().expect("the sentinel");
        threads.join();
        let there = at_work.lock().values().filter(|&&workers| workers == 1).count();
        assert_eq!((staff.spares(), staff.active(), there), (1, 2, 1));
    });
}

/// shrink to the seat of one who is out × call × come back, leave: it leaves, the spare has a seat of its own, and the order is answered.
#[test]
fn one_that_is_to_leave_may_be_out() {
    model(|| {
        let (staff, at_work, outings) =
            (Arc::new(WorkerSet::new(2, 2, 1)), Arc::new(Mutex::new([(0, 1), (1, 1)].into())), BlockedWorkers::new());
        (0..2).for_each(|seat| staff.sit(seat));
        outings.begin();
        let ticket = Arc::new(ResizeCompletion::new());
        let shrinker = {
            let (staff, at_work, ticket) = (Arc::clone(&staff), Arc::clone(&at_work), Arc::clone(&ticket));
            start(move || {
                let threads = Threads::of(&staff, &at_work);
                staff.enqueue(1, ticket).write();
                // Whoever is asked comes back, and leaves.
                staff.run_requests(&threads);
                threads.join();
            })
        };
        let threads = Threads::of(&staff, &at_work);
        assert!(staff.ensure_spares(&outings, |enough| call(&staff, &threads, enough)));
        shrinker.join().expect("the shrinker");
        threads.join();
        assert_eq!(ticket.wait().expect("it leaves").to, 1);
        assert_eq!((staff.target(), staff.active()), (1, 1 + staff.spares()));
        assert!(at_work.lock().values().all(|&workers| workers <= 1));
    });
}

// ------------------------------------------------------------------------------------------------------ the sentinel

/// In a model a time that is not over never is.
fn vigil() -> WatchdogSleep {
    let tick = if cfg!(heist_loom) { Duration::ZERO } else { Duration::from_millis(1) };
    WatchdogSleep::new(tick).expect("an alarm")
}

/// rest of the sentinel × come back: it looks at the worker.
#[test]
fn a_worker_that_comes_back_is_watched() {
    model(|| {
        let (lease, idle, vigil) = (Arc::new(LocalSlot::new(())), Arc::new(Idle::new(1)), Arc::new(vigil()));
        lease.take().expect("it is vacant");
        lease.begin_blocking();
        let sentinel = {
            let (lease, idle, vigil) = (Arc::clone(&lease), Arc::clone(&idle), Arc::clone(&vigil));
            start(move || {
                while lease.is_blocking() {
                    vigil.sleep_if(&idle, || lease.is_blocking());
                    vigil.wait();
                }
            })
        };
        lease.end_blocking();
        // As `Pool::begin_watch`.
        vigil.wake(&idle);
        sentinel.join().expect("the sentinel");
    });
}

/// rest of the sentinel × a spare that is refused: it sees that there is one too few.
#[test]
fn a_sentinel_does_not_rest_while_a_spare_is_missing() {
    model(|| {
        let (staff, at_work, outings) =
            (Arc::new(WorkerSet::new(1, 1, 1)), Arc::default(), Arc::new(BlockedWorkers::new()));
        let (idle, vigil) = (Arc::new(Idle::new(1)), Arc::new(vigil()));
        staff.sit(0);
        outings.begin();
        let sentinel = {
            let (staff, outings) = (Arc::clone(&staff), Arc::clone(&outings));
            let (idle, vigil) = (Arc::clone(&idle), Arc::clone(&vigil));
            start(move || {
                let has_its_spares = || staff.spares() == outings.count();
                // It has not been called yet, or the spare is there that will be refused.
                if has_its_spares() {
                    vigil.sleep_if(&idle, has_its_spares);
                    vigil.wait();
                    assert!(!has_its_spares(), "it was called for nothing");
                }
            })
        };
        let scarce = Scarce(Threads::of(&staff, &at_work), Arc::new(AtomicBool::new(true)));
        if !staff.ensure_spares(&outings, |enough| (staff.start_spare(&scarce, enough), false)) {
            vigil.wake(&idle);
        }
        sentinel.join().expect("the sentinel");
        assert_eq!(staff.spares(), 0);
    });
}
