//! A stalled worker may return at any moment. It may return while the watchdog observes it, while
//! its tasks and timers are being taken, or while a spare starts or retires. See docs/watchdog.md
//! and docs/stalls.md.

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
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::primitive::{Arc, Mutex, model, thread};
use crate::queue::{LifoSlot, Ring, steal_all};
use crate::timer::orphan_wheels::OrphanWheels;
use crate::timer::{SleeperWaker, State, Timer, TimerWheel};
use crate::watchdog::sleep::WatchdogSleep;
use crate::worker_set::spares::SpareError;
use crate::worker_set::{ResizeCompletion, ResizeError};
use crate::worker_set::{RetireResult, ThreadHost, WorkerSet};

// Sleep of the watchdog.

const WORKER: usize = 0;

/// One worker, and a watchdog that scans until it has seen the worker awake, or the shutdown.
struct WatchedWorker {
    idle: Idle,
    parker: Parker,
    watchdog_sleep: WatchdogSleep,
    open: AtomicBool,
}

impl WatchedWorker {
    /// Creates the pool with a sleeping worker.
    fn new() -> Arc<WatchedWorker> {
        // In a model no time passes.
        let tick = if cfg!(heist_loom) { Duration::ZERO } else { Duration::from_millis(1) };
        let watchdog_sleep = WatchdogSleep::new(tick).expect("an alarm");
        let pool =
            WatchedWorker { idle: Idle::new(1), parker: Parker::new(), watchdog_sleep, open: AtomicBool::new(true) };
        pool.idle.announce(WORKER, false);
        Arc::new(pool)
    }

    fn is_open(&self) -> bool {
        // Ordering: Acquire — as the phase.
        self.open.load(Ordering::Acquire)
    }

    /// The watchdog's loop from a sleep on, until it finds the worker awake, or the shutdown. If no
    /// thread sets the alarm, it sleeps for ever.
    fn watch_until_awake(&self) {
        let sleeps = || self.idle.is_announced(WORKER) && self.is_open();
        loop {
            self.watchdog_sleep.sleep_if(&self.idle, sleeps);
            self.watchdog_sleep.wait_for_tick();
            if !sleeps() {
                return;
            }
        }
    }

    /// As `Pool::ensure_watched`.
    fn ensure_watched(&self) {
        if self.idle.counts().is_watchdog_asleep() {
            self.watchdog_sleep.wake(&self.idle);
        }
    }

    /// As a worker that leaves idle for a reason of its own. It does not return to it.
    fn leave_idle(&self) -> Withdrawn {
        let withdrawn = self.idle.withdraw(WORKER, false);
        self.ensure_watched();
        withdrawn
    }
}

/// sleep of the watchdog × a worker leaves idle: the watchdog sees it.
#[test]
fn worker_leaving_idle_is_watched() {
    model(|| {
        let pool = WatchedWorker::new();
        let watchdog = Arc::clone(&pool);
        let watchdog = start(move || watchdog.watch_until_awake());
        let _ = pool.leave_idle();
        watchdog.join().expect("the watchdog");
    });
}

/// sleep of the watchdog × a submitter wakes the worker × the worker leaves idle by itself.
#[test]
fn worker_woken_by_submitter_is_watched() {
    model(|| {
        let pool = WatchedWorker::new();
        let (watchdog, worker) = (Arc::clone(&pool), Arc::clone(&pool));
        let watchdog = start(move || watchdog.watch_until_awake());
        let worker = start(move || {
            if worker.leave_idle() == Withdrawn::Searching {
                let _ = worker.idle.end_search();
            }
        });
        // As `Pool::notify`.
        if pool.idle.claim_sleeper().is_some() {
            let _ = pool.parker.unpark();
            pool.ensure_watched();
        }
        worker.join().expect("the worker");
        watchdog.join().expect("the watchdog");
    });
}

/// A worker puts the watchdog to sleep × the watchdog does so × another worker leaves idle. At the
/// end a worker is awake, and the alarm is set.
#[test]
fn watchdog_put_to_sleep_by_worker_is_woken_for_the_next() {
    model(|| {
        let pool = WatchedWorker::new();
        let (watchdog, other) = (Arc::clone(&pool), Arc::clone(&pool));
        let watchdog = start(move || watchdog.watch_until_awake());
        let other = start(move || {
            // It saw all workers idle a while ago.
            other.watchdog_sleep.sleep_if(&other.idle, || other.idle.is_announced(WORKER));
        });
        let _ = pool.leave_idle();
        other.join().expect("the other worker");
        watchdog.join().expect("the watchdog");
        pool.watchdog_sleep.wait_for_tick();
    });
}

/// sleep of the watchdog × shutdown.
#[test]
fn watchdog_going_to_sleep_sees_the_shutdown() {
    model(|| {
        let pool = WatchedWorker::new();
        let watchdog = Arc::clone(&pool);
        let watchdog = start(move || watchdog.watch_until_awake());
        // Ordering: Release — as the phase.
        pool.open.store(false, Ordering::Release);
        pool.watchdog_sleep.ring_now();
        watchdog.join().expect("the watchdog");
        let _ = pool.idle.withdraw(WORKER, false);
    });
}

// Tasks of a stalled worker.

/// rescue × the owner returns: pops, pushes.
#[test]
fn tasks_of_stalled_worker_are_rescued_or_polled_once() {
    model(|| {
        let (owner, thief) = Ring::new_pair();
        let slot = Arc::new(LifoSlot::new());
        let mut tasks = parcels(5);
        let log = TaskLog::of(&tasks);
        let late_task = tasks.pop().expect("a task");
        assert!(slot.push(tasks.pop().expect("a task")).is_none());
        tasks.into_iter().for_each(|task| assert!(owner.push(task).is_ok()));
        let rescued_slot = Arc::clone(&slot);
        let watchdog = start(move || {
            let (empty_ring, _) = Ring::new_pair();
            let mut rescued = steal_all(&rescued_slot, &thief, &empty_ring);
            assert_eq!(empty_ring.len(), 0);
            let mut haul = TakenTasks::new();
            haul.extend(std::iter::from_fn(|| rescued.pop()));
            haul
        });
        let mut haul = TakenTasks::new();
        haul.extend(slot.pop());
        haul.extend(slot.push(late_task));
        haul.extend(owner.pop());
        haul.merge(watchdog.join().expect("the watchdog"));
        haul.extend(slot.pop());
        haul.extend(std::iter::from_fn(|| owner.pop()));
        log.assert_taken_once(haul);
    });
}

/// The watchdog and a worker that has found the owner late × the owner returns: pops.
#[test]
fn tasks_taken_by_watchdog_and_peer_are_polled_once() {
    model(|| {
        let (owner, thief) = Ring::new_pair();
        let slot = Arc::new(LifoSlot::new());
        let mut tasks = parcels(3);
        let log = TaskLog::of(&tasks);
        assert!(slot.push(tasks.pop().expect("a task")).is_none());
        tasks.into_iter().for_each(|task| assert!(owner.push(task).is_ok()));
        let thief = Arc::new(thief);
        let take_all = |slot: &Arc<LifoSlot>| {
            let (slot, thief) = (Arc::clone(slot), Arc::clone(&thief));
            start(move || {
                let (scratch_ring, _) = Ring::new_pair();
                let mut taken = steal_all(&slot, &thief, &scratch_ring);
                assert_eq!(scratch_ring.len(), 0);
                let mut haul = TakenTasks::new();
                haul.extend(std::iter::from_fn(|| taken.pop()));
                haul
            })
        };
        let (watchdog, peer) = (take_all(&slot), take_all(&slot));
        let mut haul = TakenTasks::new();
        haul.extend(owner.pop());
        haul.merge(watchdog.join().expect("the watchdog"));
        haul.merge(peer.join().expect("the peer"));
        haul.extend(slot.pop());
        haul.extend(std::iter::from_fn(|| owner.pop()));
        log.assert_taken_once(haul);
    });
}

// Timers of a stalled worker.

const SEAT: usize = 0;

/// The wheel of a seat, with a timer for LATE, and the backup of the orphan wheels. The seat's
/// worker is stalled, or was a moment ago.
struct StalledSeat {
    orphan_wheels: OrphanWheels,
    wheel: Arc<TimerWheel>,
    reactor: Arc<Token>,
}

impl StalledSeat {
    fn new() -> (Arc<StalledSeat>, Pin<Box<Timer>>) {
        let reactor = Token::new();
        let sleeper_waker = SeatOwners { worker: Token::new(), reactor: Arc::clone(&reactor) };
        let (wheel, timer) = seat_wheel(sleeper_waker, LATE);
        (Arc::new(StalledSeat { orphan_wheels: OrphanWheels::new(), wheel, reactor }), timer)
    }

    /// The watchdog's part.
    fn take_timers(&self) {
        if self.orphan_wheels.add(SEAT, &self.wheel) {
            self.reactor.wake();
        }
    }

    /// As the backup: sleeps in the reactor until its deadline is no later than SOON.
    fn sleep_in_reactor(&self) {
        while oversleeps(self.orphan_wheels.begin_sleep()) {
            self.reactor.park();
            self.orphan_wheels.end_sleep();
        }
    }

    /// As the worker: returns, sleeps on its parker, and wakes.
    fn sleep_on_parker(&self) {
        self.orphan_wheels.remove(SEAT);
        assert!(oversleeps(self.wheel.begin_sleep()));
        self.wheel.end_sleep();
    }
}

/// take the timers, too late × the worker returns, sleeps, wakes, and sets an earlier time in a
/// stalled poll × the backup sleeps. The backup sleeps to that time, now or after the next scan.
#[test]
fn timer_of_wheel_adopted_late_is_slept_to() {
    model(|| {
        let (stalled, mut timer) = StalledSeat::new();
        let (worker, backup) = (Arc::clone(&stalled), Arc::clone(&stalled));
        let backup = start(move || backup.sleep_in_reactor());
        let worker = start(move || {
            worker.sleep_on_parker();
            reset(&mut timer, &worker.wheel, SOON);
            timer
        });
        stalled.take_timers();
        let timer = worker.join().expect("the worker");
        stalled.take_timers();
        backup.join().expect("the backup");
        drop(timer);
    });
}

/// take the timers × the stalled worker arms one × the backup sleeps. The backup sleeps to that
/// time, now or after the next scan.
#[test]
fn timer_armed_by_stalled_worker_is_slept_to() {
    model(|| {
        let (stalled, mut timer) = StalledSeat::new();
        let backup = Arc::clone(&stalled);
        let backup = start(move || backup.sleep_in_reactor());
        let watchdog = Arc::clone(&stalled);
        let watchdog = start(move || watchdog.take_timers());
        timer.as_mut().cancel();
        let at = stalled.wheel.clock().real_deadline(Some(SOON)).expect("a nameable instant");
        assert_eq!(timer.as_mut().arm(Arc::clone(&stalled.wheel), at, Waker::noop()), State::Armed);
        watchdog.join().expect("the watchdog");
        stalled.take_timers();
        backup.join().expect("the backup");
    });
}

// Spare workers.

/// Starts threads that are active at once and retire some time later; counts the workers of each
/// seat.
pub(super) struct Threads {
    worker_set: Arc<WorkerSet>,
    at_work: Arc<Mutex<BTreeMap<usize, isize>>>,
    retiring: RefCell<Vec<thread::JoinHandle<()>>>,
    /// The live threads: those that were started, and those that start one.
    live: Cell<usize>,
}

impl Threads {
    pub(super) fn of(worker_set: &Arc<WorkerSet>, at_work: &Arc<Mutex<BTreeMap<usize, isize>>>) -> Threads {
        Threads {
            worker_set: Arc::clone(worker_set),
            at_work: Arc::clone(at_work),
            retiring: RefCell::default(),
            live: Cell::new(0),
        }
    }

    pub(super) fn join(self) {
        self.retiring
            .into_inner()
            .into_iter()
            .for_each(|retiring_thread| retiring_thread.join().expect("the retiring worker"));
    }
}

impl ThreadHost for Threads {
    fn inc_live(&self) {
        self.live.set(self.live.get() + 1);
    }

    fn dec_live(&self) {
        self.live.set(self.live.get() - 1);
    }

    fn start(&self, seat: usize, _: u64) -> io::Result<()> {
        assert!(self.live.get() >= 2, "the thread and its starter are live");
        *self.at_work.lock().entry(seat).or_default() += 1;
        self.worker_set.activate_seat(seat);
        Ok(())
    }

    fn wake_seats(&self, seats: &[usize]) {
        for &seat in seats {
            let (worker_set, at_work) = (Arc::clone(&self.worker_set), Arc::clone(&self.at_work));
            self.retiring.borrow_mut().push(start(move || {
                worker_set.deactivate_seat(seat);
                *at_work.lock().entry(seat).or_default() -= 1;
                match worker_set.try_retire(seat) {
                    RetireResult::Vacated(outcomes) => outcomes.complete(),
                    RetireResult::WantedAgain => {
                        *at_work.lock().entry(seat).or_default() += 1;
                        worker_set.activate_seat(seat);
                    }
                }
            }));
        }
    }
}

/// retire of a spare × the next stall begins: the spare is claimed back, or another thread starts.
/// The seat has one worker.
#[test]
fn spare_retiring_during_next_stall_is_claimed_back_or_replaced() {
    model(|| {
        let (worker_set, at_work) = (Arc::new(WorkerSet::new(1, 1, 1)), Arc::default());
        worker_set.activate_seat(0);
        let threads = Threads::of(&worker_set, &at_work);
        assert_eq!(worker_set.start_spare(&threads, usize::MAX).expect("a spare"), 1);
        assert!(worker_set.stop_spare(&threads, |_| true));
        let started = worker_set.start_spare(&threads, usize::MAX).expect("a spare, which retires or has retired");
        assert_eq!(started, 1);
        threads.join();
        assert_eq!((worker_set.num_spares(), worker_set.num_occupied()), (1, 2));
        assert!(worker_set.is_wanted(1) && worker_set.is_active(1));
        assert_eq!(at_work.lock()[&1], 1);
        assert!(matches!(
            worker_set.start_spare(&Threads::of(&worker_set, &at_work), usize::MAX),
            Err(SpareError::AtLimit)
        ));
    });
}

/// start and stop of a spare × reader: the spare is at no moment among the base workers.
#[test]
fn base_workers_read_while_a_spare_starts_are_exact() {
    model(|| {
        let (worker_set, at_work) = (Arc::new(WorkerSet::new(1, 1, 1)), Arc::default());
        worker_set.activate_seat(0);
        let observed = Arc::clone(&worker_set);
        let reader = start(move || observed.num_base_workers());
        let threads = Threads::of(&worker_set, &at_work);
        worker_set.start_spare(&threads, usize::MAX).expect("a spare");
        assert!(worker_set.stop_spare(&threads, |_| true));
        threads.join();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

/// start of a spare × resize to its seat: each seat has one worker, and the request has all of its
/// workers.
#[test]
fn spare_started_during_growth_is_counted_once() {
    model(|| {
        let (worker_set, at_work) = (Arc::new(WorkerSet::new(1, 2, 1)), Arc::default());
        worker_set.activate_seat(0);
        let (grower, workers_by_seat) = (Arc::clone(&worker_set), Arc::clone(&at_work));
        let grower = start(move || {
            let completion = Arc::new(ResizeCompletion::new());
            grower.enqueue(2, Arc::clone(&completion)).complete();
            grower.run_requests(&Threads::of(&grower, &workers_by_seat));
            completion
        });
        let threads = Threads::of(&worker_set, &at_work);
        let started = worker_set.start_spare(&threads, usize::MAX);
        // As `Pool::start_spare`: the request may have been left to this thread.
        worker_set.run_requests(&threads);
        let resized = grower.join().expect("the grower").wait().expect("no thread is refused");
        assert_eq!((resized.from, resized.to, resized.version), (1, 2, 1));
        let was_started = match started {
            Ok(_) => true,
            Err(SpareError::Busy) => false,
            Err(error) => panic!("{error:?}"),
        };
        let workers_by_seat = at_work.lock();
        assert!(workers_by_seat.values().all(|&workers| workers == 1), "{workers_by_seat:?}");
        assert!(worker_set.is_active(1));
        // A spare that started first is the second worker now. One that started afterwards has a
        // seat of its own.
        assert_eq!(worker_set.num_occupied(), 2 + worker_set.num_spares());
        assert!(was_started || worker_set.num_spares() == 0);
        drop(workers_by_seat);
    });
}

/// shrink × retire × start of a spare: the spare does not share a seat with the retiring worker.
#[test]
fn spare_started_during_shrink_does_not_share_a_seat() {
    model(|| {
        let (worker_set, at_work) =
            (Arc::new(WorkerSet::new(2, 2, 1)), Arc::new(Mutex::new(BTreeMap::from([(0, 1), (1, 1)]))));
        (0..2).for_each(|seat| worker_set.activate_seat(seat));
        let threads = Threads::of(&worker_set, &at_work);
        let completion = Arc::new(ResizeCompletion::new());
        worker_set.enqueue(1, Arc::clone(&completion)).complete();
        worker_set.run_requests(&threads);
        let seat = worker_set.start_spare(&threads, usize::MAX).expect("a spare");
        assert_eq!(completion.wait().expect("the worker retires").to, 1);
        threads.join();
        assert!(worker_set.is_active(seat) && (seat == 1) == worker_set.is_active(1));
        assert!(at_work.lock().values().all(|workers| *workers <= 1));
        assert_eq!((worker_set.num_occupied(), worker_set.num_spares()), (2, 1));
    });
}

/// An operating system that refuses the first thread.
pub(super) struct RefuseFirst(pub(super) Threads, pub(super) Arc<AtomicBool>);

impl ThreadHost for RefuseFirst {
    fn inc_live(&self) {
        self.0.inc_live();
    }

    fn dec_live(&self) {
        self.0.dec_live();
    }

    fn start(&self, seat: usize, version: u64) -> io::Result<()> {
        // Ordering: Relaxed — the order of the two calls does not matter.
        if self.1.swap(false, Ordering::Relaxed) {
            return Err(io::Error::other("no thread"));
        }
        self.0.start(seat, version)
    }

    fn wake_seats(&self, seats: &[usize]) {
        self.0.wake_seats(seats);
    }
}

/// start of a spare × refusal × resize to the same seat: a request that completes has its workers.
#[test]
fn spare_refused_during_growth_leaves_no_gap() {
    model(|| {
        let (worker_set, at_work) = (Arc::new(WorkerSet::new(1, 2, 1)), Arc::default());
        let refuse_first = Arc::new(AtomicBool::new(true));
        worker_set.activate_seat(0);
        let thread_host =
            |worker_set: &Arc<WorkerSet>| RefuseFirst(Threads::of(worker_set, &at_work), Arc::clone(&refuse_first));
        let (grower, grower_host) = (Arc::clone(&worker_set), thread_host(&worker_set));
        let completion = Arc::new(ResizeCompletion::new());
        let request = Arc::clone(&completion);
        let grower = start(move || {
            grower.enqueue(2, request).complete();
            grower.run_requests(&grower_host);
        });
        let caller_host = thread_host(&worker_set);
        let started = worker_set.start_spare(&caller_host, usize::MAX);
        worker_set.run_requests(&caller_host);
        grower.join().expect("the grower");
        assert!(!matches!(started, Err(SpareError::AtLimit | SpareError::Closed)));
        match completion.wait() {
            Ok(resized) => assert!(resized.to == 2 && worker_set.is_active(1)),
            Err(error) => assert!(matches!(error, ResizeError::Refused { .. })),
        }
        assert!(at_work.lock().values().all(|&workers| workers == 1));
    });
}
