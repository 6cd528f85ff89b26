//! A spare worker starts for a blocked one, is stopped, or becomes a base worker. Meanwhile,
//! another thread resizes, or enters or leaves a blocking section. See docs/block-in-place.md.

use super::stalls::{RefuseFirst, Threads};
use super::support::start;
use crate::block_in_place::blocked_workers::BlockedWorkers;
use crate::primitive::atomic::AtomicBool;
use crate::primitive::{Arc, Mutex, model, thread};
use crate::worker_set::WorkerSet;
use crate::worker_set::spares::SpareError;
use crate::worker_set::{ResizeCompletion, ResizeError};
use std::collections::BTreeMap;

/// As `Pool::try_start_spare`.
fn try_start(worker_set: &WorkerSet, threads: &Threads, enough: usize) -> (Result<usize, SpareError>, bool) {
    let started = worker_set.start_spare(threads, enough);
    let ran_request = worker_set.run_requests(threads);
    (started, ran_request)
}

/// enter × enter: each gets a spare.
#[test]
fn sections_begun_together_have_one_spare_each() {
    model(|| {
        let (worker_set, at_work, blocked_workers) =
            (Arc::new(WorkerSet::new(2, 2, 2)), Arc::default(), Arc::new(BlockedWorkers::new()));
        (0..2).for_each(|seat| worker_set.activate_seat(seat));
        let step_out = |worker_set: &Arc<WorkerSet>, blocked_workers: &BlockedWorkers, threads: &Threads| {
            blocked_workers.begin_section();
            assert!(worker_set.ensure_spares(blocked_workers, |enough| try_start(worker_set, threads, enough)));
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
        other.join().expect("the other thread");
        assert_eq!((worker_set.num_spares(), worker_set.num_occupied()), (2, 4));
        assert!(at_work.lock().values().all(|&workers| workers == 1));
    });
}

/// enter × resize: one spare beyond the workers that the request asks for.
#[test]
fn section_begun_during_growth_has_a_spare() {
    model(|| {
        let (worker_set, at_work, blocked_workers) =
            (Arc::new(WorkerSet::new(1, 2, 1)), Arc::default(), Arc::new(BlockedWorkers::new()));
        worker_set.activate_seat(0);
        let grower = {
            let (worker_set, blocked_workers, at_work) =
                (Arc::clone(&worker_set), Arc::clone(&blocked_workers), Arc::clone(&at_work));
            start(move || {
                let threads = Threads::of(&worker_set, &at_work);
                worker_set.enqueue(2, Arc::new(ResizeCompletion::new())).complete();
                // As `Pool::run_resizes`.
                worker_set.run_requests(&threads);
                assert!(worker_set.ensure_spares(&blocked_workers, |enough| try_start(&worker_set, &threads, enough)));
            })
        };
        let threads = Threads::of(&worker_set, &at_work);
        blocked_workers.begin_section();
        assert!(worker_set.ensure_spares(&blocked_workers, |enough| try_start(&worker_set, &threads, enough)));
        grower.join().expect("the grower");
        assert_eq!((worker_set.target(), worker_set.num_spares(), worker_set.num_occupied()), (2, 1, 3));
        assert!(at_work.lock().values().all(|&workers| workers == 1));
    });
}

/// start of a spare × resize to its seat, while `blocked` workers are blocked and `spares` is the
/// limit. The thread that has run the request checks again that there are enough.
fn grow_over_a_spare(blocked: usize, spares: usize) {
    model(move || {
        let (worker_set, at_work, blocked_workers) =
            (Arc::new(WorkerSet::new(1, 2, spares)), Arc::default(), Arc::new(BlockedWorkers::new()));
        worker_set.activate_seat(0);
        let threads = Threads::of(&worker_set, &at_work);
        assert_eq!(worker_set.start_spare(&threads, usize::MAX).expect("a spare"), 1);
        (0..blocked).for_each(|_| blocked_workers.begin_section());
        let caller = {
            let (worker_set, at_work, blocked_workers) =
                (Arc::clone(&worker_set), Arc::clone(&at_work), Arc::clone(&blocked_workers));
            start(move || {
                let threads = Threads::of(&worker_set, &at_work);
                let _ = worker_set.ensure_spares(&blocked_workers, |enough| try_start(&worker_set, &threads, enough));
            })
        };
        worker_set.enqueue(2, Arc::new(ResizeCompletion::new())).complete();
        // As `Pool::run_resizes`.
        worker_set.run_requests(&threads);
        let _ = worker_set.ensure_spares(&blocked_workers, |enough| try_start(&worker_set, &threads, enough));
        caller.join().expect("the caller");
        assert_eq!((worker_set.target(), worker_set.num_spares(), worker_set.num_occupied()), (2, 1, 3));
        assert!(at_work.lock().values().all(|&workers| workers == 1));
    });
}

/// One worker is blocked and has its spare: it has another one afterwards.
#[test]
fn spare_made_base_worker_is_replaced() {
    grow_over_a_spare(1, 2);
}

/// Two workers are blocked, and one spare is the limit: there is one afterwards.
#[test]
fn last_spare_made_base_worker_is_replaced() {
    grow_over_a_spare(2, 1);
}

/// enter × stop, retire of a spare: the spare is claimed back, or another one starts.
#[test]
fn section_begun_while_spare_stops_has_a_spare() {
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
                // As `Rescue::adjust_spares`.
                assert!(worker_set.ensure_spares(&blocked_workers, |enough| try_start(&worker_set, &threads, enough)));
                threads.join();
            })
        };
        blocked_workers.begin_section();
        assert!(worker_set.ensure_spares(&blocked_workers, |enough| try_start(&worker_set, &threads, enough)));
        watchdog.join().expect("the watchdog");
        threads.join();
        let occupied = at_work.lock().values().filter(|&&workers| workers == 1).count();
        assert_eq!((worker_set.num_spares(), worker_set.num_occupied(), occupied), (1, 2, 1));
    });
}

/// The number of workers at work in each seat.
type AtWork = Arc<Mutex<BTreeMap<usize, isize>>>;

/// A worker set and its blocked workers, for several threads of a model.
#[derive(Clone)]
struct SpareWorkers {
    worker_set: Arc<WorkerSet>,
    at_work: AtWork,
    blocked_workers: Arc<BlockedWorkers>,
}

impl SpareWorkers {
    /// Returns `size` workers, of which `blocked` are blocked.
    fn new(size: usize, max_workers: usize, spares: usize, blocked: usize) -> SpareWorkers {
        let worker_set = Arc::new(WorkerSet::new(size, max_workers, spares));
        (0..size).for_each(|seat| worker_set.activate_seat(seat));
        let blocked_workers = Arc::new(BlockedWorkers::new());
        (0..blocked).for_each(|_| blocked_workers.begin_section());
        SpareWorkers { worker_set, at_work: Arc::default(), blocked_workers }
    }

    fn threads(&self) -> Threads {
        Threads::of(&self.worker_set, &self.at_work)
    }

    /// Starts a spare, as for a blocked worker.
    fn start_spare(&self, threads: &Threads) -> usize {
        self.worker_set.start_spare(threads, usize::MAX).expect("a spare")
    }

    /// As `Pool::adjust_spares`, without a watchdog. Returns false if a spare cannot start.
    fn adjust_spares(&self, threads: &Threads) -> bool {
        let ensured =
            self.worker_set.ensure_spares(&self.blocked_workers, |enough| try_start(&self.worker_set, threads, enough));
        self.worker_set.stop_surplus_spares(threads, &self.blocked_workers);
        ensured
    }

    /// As the drop of a `BlockingSection`, without a watchdog.
    fn end_section(&self, threads: &Threads) {
        self.blocked_workers.end_section();
        let _ = self.adjust_spares(threads);
    }

    /// Runs `f` on another thread, and waits for the workers that it makes retire.
    fn run(&self, f: impl FnOnce(&SpareWorkers, &Threads) + Send + 'static) -> thread::JoinHandle<()> {
        let workers = self.clone();
        start(move || {
            let threads = workers.threads();
            f(&workers, &threads);
            threads.join();
        })
    }

    /// Returns the numbers of spares and of occupied seats.
    fn counts(&self) -> (usize, usize) {
        (self.worker_set.num_spares(), self.worker_set.num_occupied())
    }
}

/// start of a spare × leave, without a watchdog: the spare is stopped, also if it starts after the
/// last section has ended.
#[test]
fn spare_without_a_section_is_stopped() {
    model(|| {
        let workers = SpareWorkers::new(1, 1, 2, 1);
        let starter = workers.run(|workers, threads| assert!(workers.adjust_spares(threads)));
        let threads = workers.threads();
        workers.end_section(&threads);
        starter.join().expect("the starter");
        threads.join();
        assert_eq!(workers.counts(), (0, 1));
    });
}

/// leave × leave, without a watchdog: a third blocked worker keeps its spare.
#[test]
fn sections_ended_together_leave_a_spare_for_the_last_one() {
    model(|| {
        let workers = SpareWorkers::new(1, 1, 3, 3);
        let threads = workers.threads();
        (0..3).for_each(|_| _ = workers.start_spare(&threads));
        let other = workers.run(SpareWorkers::end_section);
        workers.end_section(&threads);
        other.join().expect("the other thread");
        threads.join();
        assert_eq!(workers.counts(), (1, 2));
    });
}

/// enter × leave, without a watchdog: the worker that enters has the spare of the other one, or
/// claims it back, or gets a second one.
#[test]
fn section_begun_while_another_ends_has_a_spare() {
    model(|| {
        let workers = SpareWorkers::new(2, 2, 2, 1);
        let threads = workers.threads();
        let _ = workers.start_spare(&threads);
        // Only this thread starts spares.
        let ender = workers.run(|workers, threads| {
            workers.blocked_workers.end_section();
            workers.worker_set.stop_surplus_spares(threads, &workers.blocked_workers);
        });
        workers.blocked_workers.begin_section();
        assert!(workers.adjust_spares(&threads));
        ender.join().expect("the ender");
        threads.join();
        assert_eq!(workers.counts(), (1, 3));
    });
}

/// enter, refusal × leave, without a watchdog: the spare that runs already is not stopped in favor
/// of one that is refused.
#[test]
fn spare_refused_while_a_section_ends_leaves_the_other_one() {
    model(|| {
        let workers = SpareWorkers::new(2, 2, 2, 2);
        let _ = workers.start_spare(&workers.threads());
        let ender = workers.run(|workers, threads| {
            workers.blocked_workers.end_section();
            workers.worker_set.stop_surplus_spares(threads, &workers.blocked_workers);
        });
        let refuse_first = RefuseFirst(workers.threads(), Arc::new(AtomicBool::new(true)));
        let _ = workers.worker_set.ensure_spares(&workers.blocked_workers, |enough| {
            (workers.worker_set.start_spare(&refuse_first, enough), false)
        });
        workers.worker_set.stop_surplus_spares(&refuse_first, &workers.blocked_workers);
        ender.join().expect("the ender");
        refuse_first.0.join();
        assert_eq!(workers.counts().0, 1);
    });
}

/// refused growth to the seat of a spare × enter: each blocked worker has a spare afterwards.
#[test]
fn spare_above_a_refused_growth_stays() {
    model(|| {
        let workers = SpareWorkers::new(2, 3, 2, 1);
        let threads = workers.threads();
        assert_eq!(workers.start_spare(&threads), 2);
        workers.at_work.lock().insert(1, 1);
        workers.worker_set.enqueue(1, Arc::new(ResizeCompletion::new())).complete();
        workers.worker_set.run_requests(&threads);
        threads.join();
        let threads = workers.threads();
        let completion = Arc::new(ResizeCompletion::new());
        let requested = Arc::clone(&completion);
        let grower = workers.run(|workers, threads| {
            let refuse_first = RefuseFirst(workers.threads(), Arc::new(AtomicBool::new(true)));
            workers.worker_set.enqueue(3, requested).complete();
            workers.worker_set.run_requests(&refuse_first);
            assert!(workers.adjust_spares(threads));
            refuse_first.0.join();
        });
        workers.blocked_workers.begin_section();
        let _ = workers.adjust_spares(&threads);
        grower.join().expect("the grower");
        threads.join();
        let is_refused = matches!(completion.wait(), Err(ResizeError::Refused { .. }));
        assert!(workers.worker_set.is_wanted(2), "the spare was asked to retire");
        assert_eq!((workers.counts().0, workers.worker_set.target()), (2, if is_refused { 1 } else { 3 }));
    });
}

/// shrink to the seat of a blocked worker × start of a spare × leave, retire. The worker retires,
/// the spare has a seat of its own, and the request completes.
#[test]
fn retiring_worker_in_section_retires_afterwards() {
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
                worker_set.enqueue(1, completion).complete();
                // The worker leaves the section, and retires.
                worker_set.run_requests(&threads);
                threads.join();
            })
        };
        let threads = Threads::of(&worker_set, &at_work);
        assert!(worker_set.ensure_spares(&blocked_workers, |enough| try_start(&worker_set, &threads, enough)));
        shrinker.join().expect("the shrinker");
        threads.join();
        assert_eq!(completion.wait().expect("the worker retires").to, 1);
        assert_eq!((worker_set.target(), worker_set.num_occupied()), (1, 1 + worker_set.num_spares()));
        assert!(at_work.lock().values().all(|&workers| workers <= 1));
    });
}
