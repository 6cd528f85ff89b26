//! A worker that is stuck may come back at any moment: while it is watched, while its tasks and
//! timers are being taken, while a spare comes or goes. See docs/watchdog.md and docs/stalls.md.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::task::Waker;
use std::time::Duration;

use super::support::wheel_owner::{LATE, SOON, SeatOwners, Token, oversleeps, reset, seat_wheel};
use super::support::{TakenTasks, TaskLog, parcels, start};
use crate::idle::{Idle, Withdrawn};
use crate::park::Parker;
use crate::queue::{LifoSlot, Ring};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex, model, thread};
use crate::timer::orphan_wheels::OrphanWheels;
use crate::timer::{SleeperWaker, State, Timer, TimerWheel};
use crate::watchdog::sleep::WatchdogSleep;
use crate::worker_set::completion::{ResizeCompletion, ResizeError};
use crate::worker_set::retire::steal_all;
use crate::worker_set::spares::SpareError;
use crate::worker_set::{RetireResult, ThreadHost, WorkerSet};

// -------------------------------------------------------------------------------------------------------
// the watchdog sleep

const WORKER: usize = 0;

/// One worker, and a watchdog that looks until it has seen what it has to.
struct Watchhouse {
    idle: Idle,
    parker: Parker,
    watchdog_sleep: WatchdogSleep,
    open: AtomicBool,
}

impl Watchhouse {
    /// The worker sleeps.
    fn new() -> Arc<Watchhouse> {
        // In a model a time that is not over never is.
        let tick = if cfg!(heist_loom) { Duration::ZERO } else { Duration::from_millis(1) };
        let watchdog_sleep = WatchdogSleep::new(tick).expect("an alarm");
        let house =
            Watchhouse { idle: Idle::new(1), parker: Parker::new(), watchdog_sleep, open: AtomicBool::new(true) };
        house.idle.announce(WORKER, false);
        Arc::new(house)
    }

    fn is_open(&self) -> bool {
        // Ordering: Acquire — as the phase.
        self.open.load(Ordering::Acquire)
    }

    /// The watchdog's loop, from a rest on, until it finds the worker up, or the end. If it is
    /// forgotten it sleeps for ever.
    fn watch(&self) {
        let sleeps = || self.idle.is_announced(WORKER) && self.is_open();
        loop {
            self.watchdog_sleep.sleep_if(&self.idle, sleeps);
            self.watchdog_sleep.wait_for_tick();
            if !sleeps() {
                return;
            }
        }
    }

    /// What `Pool::watch` does.
    fn heed(&self) {
        if self.idle.counts().is_watchdog_asleep() {
            self.watchdog_sleep.wake(&self.idle);
        }
    }

    /// What a worker does that gets up for a reason of its own. It does not come back.
    fn rise(&self) -> Withdrawn {
        let how = self.idle.withdraw(WORKER, false);
        self.heed();
        how
    }
}

/// rest of the watchdog × a worker gets up: it is looked at.
#[test]
fn a_worker_that_gets_up_is_watched() {
    model(|| {
        let house = Watchhouse::new();
        let watchdog = Arc::clone(&house);
        let watchdog = start(move || watchdog.watch());
        let _ = house.rise();
        watchdog.join().expect("the watchdog");
    });
}

/// rest of the watchdog × a submitter wakes the worker × the worker gets up by itself.
#[test]
fn a_worker_that_is_woken_is_watched() {
    model(|| {
        let house = Watchhouse::new();
        let (watchdog, worker) = (Arc::clone(&house), Arc::clone(&house));
        let watchdog = start(move || watchdog.watch());
        let worker = start(move || {
            if worker.rise() == Withdrawn::Searching {
                let _ = worker.idle.end_search();
            }
        });
        // What `Pool::notify` does.
        if house.idle.claim_sleeper().is_some() {
            let _ = house.parker.unpark();
            house.heed();
        }
        worker.join().expect("the worker");
        watchdog.join().expect("the watchdog");
    });
}

/// rest of the watchdog × the end.
#[test]
fn a_watchdog_that_goes_to_rest_hears_of_the_end() {
    model(|| {
        let house = Watchhouse::new();
        let watchdog = Arc::clone(&house);
        let watchdog = start(move || watchdog.watch());
        // Ordering: Release — as the phase.
        house.open.store(false, Ordering::Release);
        house.watchdog_sleep.ring_now();
        watchdog.join().expect("the watchdog");
        let _ = house.idle.withdraw(WORKER, false);
    });
}

// -------------------------------------------------------------------------------------------------------
// its tasks

/// seize × the owner is back: pops, pushes.
#[test]
fn what_a_stuck_worker_has_is_seized_or_polled_once() {
    model(|| {
        let (owner, thief) = Ring::new_pair();
        let slot = Arc::new(LifoSlot::new());
        let mut tasks = parcels(5);
        let log = TaskLog::of(&tasks);
        let late = tasks.pop().expect("a task");
        assert!(slot.push(tasks.pop().expect("a task")).is_none());
        tasks.into_iter().for_each(|task| assert!(owner.push(task).is_ok()));
        let theirs = Arc::clone(&slot);
        let watchdog = start(move || {
            let (hand, _) = Ring::new_pair();
            let mut seized = steal_all(&theirs, &thief, &hand);
            assert_eq!(hand.len(), 0);
            let mut haul = TakenTasks::new();
            haul.extend(std::iter::from_fn(|| seized.pop()));
            haul
        });
        let mut haul = TakenTasks::new();
        haul.extend(slot.pop());
        haul.extend(slot.push(late));
        haul.extend(owner.pop());
        haul.merge(watchdog.join().expect("the watchdog"));
        haul.extend(slot.pop());
        haul.extend(std::iter::from_fn(|| owner.pop()));
        log.assert_taken_once(haul);
    });
}

// ------------------------------------------------------------------------------------------------------
// its timers

const SEAT: usize = 0;

/// The wheel of a seat whose worker is stuck, or was a moment ago, with a timer for LATE; the
/// guardian of the orphan wheels, too.
struct Home {
    orphan_wheels: OrphanWheels,
    wheel: Arc<TimerWheel>,
    reactor: Arc<Token>,
}

impl Home {
    fn new() -> (Arc<Home>, Pin<Box<Timer>>) {
        let reactor = Token::new();
        let sleeper_waker = SeatOwners { worker: Token::new(), reactor: Arc::clone(&reactor) };
        let (wheel, timer) = seat_wheel(sleeper_waker, LATE);
        (Arc::new(Home { orphan_wheels: OrphanWheels::new(), wheel, reactor }), timer)
    }

    /// The watchdog's part.
    fn take_timers(&self) {
        if self.orphan_wheels.add(SEAT, &self.wheel) {
            self.reactor.wake();
        }
    }

    /// Somebody rests in the reactor, until he would sleep no longer than to SOON.
    fn rest_in_the_reactor(&self) {
        while oversleeps(self.orphan_wheels.begin_sleep()) {
            self.reactor.park();
            self.orphan_wheels.end_sleep();
        }
    }

    /// The worker is back, rests on its parker, and gets up.
    fn rest_on_the_parker(&self) {
        self.orphan_wheels.remove(SEAT);
        assert!(oversleeps(self.wheel.begin_sleep()));
        self.wheel.end_sleep();
    }
}

/// take the timers, too late × the worker is back, rests, gets up, and sets an earlier time in a
/// poll that does not return × the guardian rests: he sleeps to it, now or when the watchdog looks
/// again.
#[test]
fn a_timer_that_is_being_taken_over_is_kept_by_somebody() {
    model(|| {
        let (home, mut timer) = Home::new();
        let (worker, guardian) = (Arc::clone(&home), Arc::clone(&home));
        let guardian = start(move || guardian.rest_in_the_reactor());
        let worker = start(move || {
            worker.rest_on_the_parker();
            reset(&mut timer, &worker.wheel, SOON);
            timer
        });
        home.take_timers();
        let timer = worker.join().expect("the worker");
        home.take_timers();
        guardian.join().expect("the guardian");
        drop(timer);
    });
}

/// take the timers × the stuck worker arms one × the guardian rests: it is slept to, now or when
/// the watchdog looks again.
#[test]
fn a_timer_that_a_stuck_worker_arms_is_kept() {
    model(|| {
        let (home, mut timer) = Home::new();
        let guardian = Arc::clone(&home);
        let guardian = start(move || guardian.rest_in_the_reactor());
        let watchdog = Arc::clone(&home);
        let watchdog = start(move || watchdog.take_timers());
        timer.as_mut().cancel();
        let at = home.wheel.clock().real_deadline(Some(SOON)).expect("a nameable instant");
        assert_eq!(timer.as_mut().arm(Arc::clone(&home.wheel), at, Waker::noop()), State::Armed);
        watchdog.join().expect("the watchdog");
        home.take_timers();
        guardian.join().expect("the guardian");
    });
}

// ----------------------------------------------------------------------------------------------------------
// spares

/// Threads that come at once and leave in their own time; how many work in each seat.
pub(super) struct Threads {
    worker_set: Arc<WorkerSet>,
    at_work: Arc<Mutex<BTreeMap<usize, isize>>>,
    leaving: RefCell<Vec<thread::JoinHandle<()>>>,
    /// Who is expected: those that have come, and whoever starts one.
    expected: Cell<usize>,
}

impl Threads {
    pub(super) fn of(worker_set: &Arc<WorkerSet>, at_work: &Arc<Mutex<BTreeMap<usize, isize>>>) -> Threads {
        Threads {
            worker_set: Arc::clone(worker_set),
            at_work: Arc::clone(at_work),
            leaving: RefCell::default(),
            expected: Cell::new(0),
        }
    }

    pub(super) fn join(self) {
        self.leaving.into_inner().into_iter().for_each(|leaver| leaver.join().expect("the leaver"));
    }
}

impl ThreadHost for Threads {
    fn inc_live(&self) {
        self.expected.set(self.expected.get() + 1);
    }

    fn dec_live(&self) {
        self.expected.set(self.expected.get() - 1);
    }

    fn start(&self, seat: usize, _: u64) -> io::Result<()> {
        assert!(self.expected.get() >= 2, "the thread and its starter are expected");
        *self.at_work.lock().entry(seat).or_default() += 1;
        self.worker_set.activate_seat(seat);
        Ok(())
    }

    fn wake_seats(&self, seats: &[usize]) {
        for &seat in seats {
            let (worker_set, at_work) = (Arc::clone(&self.worker_set), Arc::clone(&self.at_work));
            self.leaving.borrow_mut().push(start(move || {
                worker_set.deactivate_seat(seat);
                *at_work.lock().entry(seat).or_default() -= 1;
                match worker_set.try_retire(seat) {
                    RetireResult::Gone(outcomes) => outcomes.write(),
                    RetireResult::Again => {
                        *at_work.lock().entry(seat).or_default() += 1;
                        worker_set.activate_seat(seat);
                    }
                }
            }));
        }
    }
}

/// leave of a spare × the next stall begins: it is taken back, or another thread comes, or there is
/// none yet; one worker per seat.
#[test]
fn a_spare_that_leaves_while_a_stall_begins_is_had_again() {
    model(|| {
        let (worker_set, at_work) = (Arc::new(WorkerSet::new(1, 1, 1)), Arc::default());
        worker_set.activate_seat(0);
        let threads = Threads::of(&worker_set, &at_work);
        assert_eq!(worker_set.start_spare(&threads, usize::MAX).expect("a spare"), 1);
        assert!(worker_set.stop_spare(&threads, |_| true));
        let called = worker_set.start_spare(&threads, usize::MAX).expect("it leaves, or has left");
        assert_eq!(called, 1);
        threads.join();
        assert_eq!((worker_set.active_spares(), worker_set.active()), (1, 2));
        assert!(worker_set.is_wanted(1) && worker_set.is_active(1));
        assert_eq!(at_work.lock()[&1], 1);
        assert!(matches!(
            worker_set.start_spare(&Threads::of(&worker_set, &at_work), usize::MAX),
            Err(SpareError::AllOut)
        ));
    });
}

/// call × resize to the seat of the spare: one worker per seat, and what the order asks for is
/// there.
#[test]
fn a_spare_that_comes_while_the_set_grows_is_counted_once() {
    model(|| {
        let (worker_set, at_work) = (Arc::new(WorkerSet::new(1, 2, 1)), Arc::default());
        worker_set.activate_seat(0);
        let (grower, work) = (Arc::clone(&worker_set), Arc::clone(&at_work));
        let grower = start(move || {
            let completion = Arc::new(ResizeCompletion::new());
            grower.enqueue(2, Arc::clone(&completion)).write();
            grower.run_requests(&Threads::of(&grower, &work));
            completion
        });
        let threads = Threads::of(&worker_set, &at_work);
        let called = worker_set.start_spare(&threads, usize::MAX);
        // As `Pool::call_spare`: the order may have been left to us.
        worker_set.run_requests(&threads);
        let resized = grower.join().expect("the grower").wait().expect("nobody is refused");
        assert_eq!((resized.from, resized.to, resized.version), (1, 2, 1));
        let came = match called {
            Ok(_) => true,
            Err(SpareError::NotNow) => false,
            Err(error) => panic!("{error:?}"),
        };
        let work = at_work.lock();
        assert!(work.values().all(|&workers| workers == 1), "{work:?}");
        assert!(worker_set.is_active(1));
        // A spare that came first is the second worker now; one that came afterwards has a seat of
        // its own.
        assert_eq!(worker_set.active(), 2 + worker_set.active_spares());
        assert!(came || worker_set.active_spares() == 0);
        drop(work);
    });
}

/// shrink × leave × call: a spare does not sit down beside a leaver.
#[test]
fn a_spare_does_not_take_the_seat_of_one_who_leaves() {
    model(|| {
        let (worker_set, at_work) =
            (Arc::new(WorkerSet::new(2, 2, 1)), Arc::new(Mutex::new(BTreeMap::from([(0, 1), (1, 1)]))));
        (0..2).for_each(|seat| worker_set.activate_seat(seat));
        let threads = Threads::of(&worker_set, &at_work);
        let completion = Arc::new(ResizeCompletion::new());
        worker_set.enqueue(1, Arc::clone(&completion)).write();
        worker_set.run_requests(&threads);
        let seat = worker_set.start_spare(&threads, usize::MAX).expect("a spare");
        assert_eq!(completion.wait().expect("it leaves").to, 1);
        threads.join();
        assert!(worker_set.is_active(seat) && (seat == 1) == worker_set.is_active(1));
        assert!(at_work.lock().values().all(|workers| *workers <= 1));
        assert_eq!((worker_set.active(), worker_set.active_spares()), (2, 1));
    });
}

/// The operating system refuses the first thread that it is asked for.
pub(super) struct Scarce(pub(super) Threads, pub(super) Arc<AtomicBool>);

impl ThreadHost for Scarce {
    fn inc_live(&self) {
        self.0.inc_live();
    }

    fn dec_live(&self) {
        self.0.dec_live();
    }

    fn start(&self, seat: usize, version: u64) -> io::Result<()> {
        // Ordering: Relaxed — which of two comes first does not matter.
        if self.1.swap(false, Ordering::Relaxed) {
            return Err(io::Error::other("no thread"));
        }
        self.0.start(seat, version)
    }

    fn wake_seats(&self, seats: &[usize]) {
        self.0.wake_seats(seats);
    }
}

/// call × refusal × resize to the same seat: an order that is told that it is done has its workers.
#[test]
fn a_spare_that_is_refused_leaves_no_hole_in_a_set_that_grows() {
    model(|| {
        let (worker_set, at_work) = (Arc::new(WorkerSet::new(1, 2, 1)), Arc::default());
        let scarce = Arc::new(AtomicBool::new(true));
        worker_set.activate_seat(0);
        let thread_host = |worker_set: &Arc<WorkerSet>| Scarce(Threads::of(worker_set, &at_work), Arc::clone(&scarce));
        let (grower, growers) = (Arc::clone(&worker_set), thread_host(&worker_set));
        let completion = Arc::new(ResizeCompletion::new());
        let order = Arc::clone(&completion);
        let grower = start(move || {
            grower.enqueue(2, order).write();
            grower.run_requests(&growers);
        });
        let callers = thread_host(&worker_set);
        let called = worker_set.start_spare(&callers, usize::MAX);
        worker_set.run_requests(&callers);
        grower.join().expect("the grower");
        assert!(!matches!(called, Err(SpareError::AllOut | SpareError::Closed)));
        match completion.wait() {
            Ok(resized) => assert!(resized.to == 2 && worker_set.is_active(1)),
            Err(error) => assert!(matches!(error, ResizeError::Refused { .. })),
        }
        assert!(at_work.lock().values().all(|&workers| workers == 1));
    });
}
