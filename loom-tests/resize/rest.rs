//! A worker rests, and works again. See docs/consolidation.md.

use std::io;

use super::super::support::start;
use super::two_seats::{RETIRING, STAYING, TwoSeats};
use crate::park::{Parker, Unpark};
use crate::phase::{AtomicPhase, Phase};
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Arc, model, thread};
use crate::worker_set::{ResizeCompletion, RetireResult, ThreadHost, WorkerSet};

/// rest × notify × the end of the rest: the submitter clears the bit of a worker that has to rest.
/// The other worker takes the task, or this one does when it works again.
#[test]
fn wake_granted_to_worker_that_rests_is_passed_on() {
    model(|| {
        let pool = TwoSeats::new();
        // A third worker sleeps in the reactor for the whole model.
        let driver = pool.driver.lock();
        pool.idle.announce(RETIRING, false);
        pool.idle.announce(STAYING, false);
        let workers = [RETIRING, STAYING].map(|seat| {
            let pool = Arc::clone(&pool);
            start(move || {
                let searching = pool.sleep_after_announce(seat);
                pool.run_worker(seat, searching);
            })
        });
        pool.ask_to_rest();
        pool.submit();
        let [resting, staying] = workers;
        // Only the staying worker can take it as long as the other one rests.
        staying.join().expect("the other worker");
        pool.end_rest();
        resting.join().expect("the worker that has rested");
        drop(driver);
    });
}

/// rest × park: the task of the worker that rests is handed off during the final check of the other
/// one.
#[test]
fn task_of_worker_that_rests_wakes_parking_worker() {
    model(|| {
        let pool = TwoSeats::new();
        assert!(pool.state.set_surplus());
        let workers = [STAYING, RETIRING].map(|seat| {
            let pool = Arc::clone(&pool);
            start(move || match seat {
                STAYING => pool.run_worker(STAYING, false),
                _ => pool.rest(1),
            })
        });
        let [staying, resting] = workers;
        staying.join().expect("the other worker");
        pool.end_rest();
        resting.join().expect("the worker that has rested");
    });
}

/// The parts of a pool around seat 1, whose worker rests and works.
struct PoolParts {
    worker_set: WorkerSet,
    phase: AtomicPhase,
    parker: Parker,
    rests: AtomicUsize,
}

impl PoolParts {
    fn new() -> Arc<PoolParts> {
        let pool = PoolParts {
            worker_set: WorkerSet::new(2, 2, 0),
            phase: AtomicPhase::new(),
            parker: Parker::new(),
            rests: AtomicUsize::new(0),
        };
        (0..2).for_each(|seat| pool.worker_set.activate_seat(seat));
        Arc::new(pool)
    }

    /// Starts the worker of seat 1.
    fn start_worker(self: &Arc<PoolParts>) -> thread::JoinHandle<bool> {
        let pool = Arc::clone(self);
        start(move || pool.run_idle_worker())
    }

    /// Starts a watchdog that asks the worker of seat 1 to rest.
    fn start_watchdog(self: &Arc<PoolParts>) -> thread::JoinHandle<()> {
        let pool = Arc::clone(self);
        start(move || pool.limit_workers(1))
    }

    /// As the watchdog.
    fn limit_workers(&self, most: usize) {
        let woken = self.worker_set.limit_workers(most, || self.phase.is_running());
        self.wake_seats(&woken);
    }

    fn unpark(&self) {
        assert_eq!(self.parker.unpark(), Unpark::Done);
    }

    /// A worker without tasks. Returns true if it has retired, and false if it has observed the
    /// phase.
    fn run_idle_worker(&self) -> bool {
        loop {
            if self.worker_set.has_to_rest(1) {
                self.worker_set.begin_rest(1);
                self.rests.fetch_add(1, Ordering::Relaxed);
                while self.worker_set.has_to_rest(1) {
                    self.parker.park(None);
                }
                self.worker_set.end_rest(1);
            } else if !self.worker_set.is_wanted(1) {
                self.worker_set.deactivate_seat(1);
                match self.worker_set.try_retire(1) {
                    RetireResult::Vacated(completions) => completions.complete(),
                    RetireResult::WantedAgain => unreachable!("no request asks for it again"),
                }
                return true;
            } else if !self.phase.is_running() {
                return false;
            } else {
                self.parker.park(None);
            }
        }
    }
}

impl ThreadHost for PoolParts {
    fn inc_live(&self) {}

    fn dec_live(&self) {}

    fn start(&self, _: usize, _: u64) -> io::Result<()> {
        unreachable!("no request asks for more workers");
    }

    fn wake_seats(&self, seats: &[usize]) {
        if seats.contains(&1) {
            self.unpark();
        }
    }
}

/// rest × the end of the rest: the worker works again, whether or not it has begun to rest.
#[test]
fn worker_let_work_again_ends_its_rest() {
    model(|| {
        let pool = PoolParts::new();
        let worker = pool.start_worker();
        pool.limit_workers(1);
        pool.limit_workers(2);
        // Only a worker that works observes this.
        pool.phase.advance(Phase::Draining);
        pool.unpark();
        assert!(!worker.join().expect("the worker"));
        assert_eq!((pool.worker_set.num_resting(), pool.worker_set.num_effective()), (0, 2));
        assert!(pool.worker_set.is_active(1));
    });
}

/// rest × a phase change: a drain begins while the watchdog asks the worker to rest. The worker
/// observes the phase.
#[test]
fn worker_asked_to_rest_during_phase_change_observes_it() {
    model(|| {
        let pool = PoolParts::new();
        let (worker, watchdog) = (pool.start_worker(), pool.start_watchdog());
        // As `Pool::wake_all_workers`.
        pool.phase.advance(Phase::Draining);
        pool.worker_set.lift_limit();
        pool.unpark();
        watchdog.join().expect("the watchdog");
        assert!(!worker.join().expect("the worker"));
        assert_eq!((pool.worker_set.num_resting(), pool.worker_set.num_effective()), (0, 2));
    });
}

/// rest × shrink: a resize retires the worker that is being asked to rest.
#[test]
fn worker_retired_during_its_rest_vacates_its_seat() {
    model(|| {
        let pool = PoolParts::new();
        let (worker, watchdog) = (pool.start_worker(), pool.start_watchdog());
        let completion = Arc::new(ResizeCompletion::new());
        pool.worker_set.enqueue(1, Arc::clone(&completion)).complete();
        pool.worker_set.run_requests(&*pool);
        assert_eq!(completion.wait().expect("the worker retires").to, 1);
        watchdog.join().expect("the watchdog");
        assert!(worker.join().expect("the worker"));
        assert_eq!((pool.worker_set.num_occupied(), pool.worker_set.num_resting()), (1, 0));
        assert_eq!(pool.worker_set.num_effective(), 1);
        assert!(!pool.worker_set.is_occupied(1));
    });
}
