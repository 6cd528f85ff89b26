//! A worker enters and leaves a blocking section, while another thread counts, closes, resizes, or
//! enters one, too. See docs/block-in-place.md.

use std::collections::BTreeMap;
use std::future::pending;
use std::time::{Duration, Instant};

use super::stalls::{RefuseFirst, Threads};
use super::support::{Home, parcels, start};
use crate::block_in_place::blocked_workers::BlockedWorkers;
use crate::drain::gate::SpawnSource;
use crate::drain::outcome_counts::OutcomeCounts;
use crate::drain::state::Straggler;
use crate::drain::state::{DrainState, PollSeen, TaskCounts};
use crate::idle::Idle;
use crate::metrics::counter::Counter;
use crate::phase::{AtomicPhase, Phase};
use crate::pool::LocalSlot;
use crate::primitive::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::primitive::{Arc, Condvar, Mutex, UnsafeCell, model, thread};
use crate::queue::{GlobalQueue, LaneCursor};
use crate::watchdog::sleep::WatchdogSleep;
use crate::worker_set::WorkerSet;
use crate::worker_set::spares::SpareError;
use crate::worker_set::{ResizeCompletion, ResizeError};

// The local slot.

/// enter, leave × take × give back: the worker finds its seat as it has left it. The other thread
/// takes the seat afterwards.
#[test]
fn seat_of_blocked_worker_cannot_be_taken() {
    model(|| {
        let local_slot = Arc::new(LocalSlot::new(UnsafeCell::new(0)));
        let local = local_slot.try_take().expect("it is vacant");
        let other = Arc::clone(&local_slot);
        let other = start(move || {
            // A worker that starts, or a closer that clears.
            let Some(local) = other.try_take() else { return };
            // SAFETY: this thread holds the local slot.
            let turns = local.with_mut(|turns| unsafe { std::mem::replace(&mut *turns, 2) });
            assert_eq!(turns, 1, "the seat was taken from a blocked worker");
            other.give_back(local);
        });
        local_slot.begin_blocking();
        assert!(local_slot.is_blocking() && !local_slot.is_taken() && !local_slot.is_vacant());
        local_slot.end_blocking();
        // SAFETY: as above.
        local.with_mut(|turns| unsafe { *turns += 1 });
        local_slot.give_back(local);
        other.join().expect("the other thread");
        assert!(local_slot.is_vacant());
    });
}

// Task counts.

/// One seat, whose worker polls a task that has been counted in.
struct OneSeat {
    drain_state: DrainState,
    phase: AtomicPhase,
    local_slot: LocalSlot<()>,
    acked: AtomicBool,
    spawned: Counter,
    completed: Counter,
    ended: Counter,
}

impl TaskCounts for OneSeat {
    fn all_workers_acked(&self) -> bool {
        // Ordering: Acquire — as `Seat::has_acked_drain`.
        self.acked.load(Ordering::Acquire) || !self.local_slot.is_taken()
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

impl OneSeat {
    fn new() -> Arc<OneSeat> {
        let pool = OneSeat {
            drain_state: DrainState::new(),
            phase: AtomicPhase::new(),
            local_slot: LocalSlot::new(()),
            acked: AtomicBool::new(false),
            spawned: Counter::new(),
            completed: Counter::new(),
            ended: Counter::new(),
        };
        pool.local_slot.try_take().expect("it is vacant");
        pool.spawned.add(1);
        Arc::new(pool)
    }

    fn check_quiescent(&self) {
        self.drain_state.check_quiescent(&self.phase, self);
    }

    fn drain(&self) {
        assert!(self.drain_state.begin_drain(&self.phase, self, None));
        self.check_quiescent();
    }

    /// As `Seat::step_out`, which begins a section.
    fn step_out(&self) {
        self.local_slot.begin_blocking();
        if self.phase.load() != Phase::Running {
            self.check_quiescent();
        }
    }

    /// Counts a spawn, in the seat or at the gate.
    fn spawn(&self, seated: bool) {
        if seated && self.phase.is_running() {
            self.spawned.add(1);
        } else {
            assert!(self.drain_state.gate.try_enter(SpawnSource::Internal), "a task lives that is not exempt");
        }
    }

    fn end_task(&self) {
        assert!(self.phase.load() < Phase::Drained, "the report came while a task lived");
        self.completed.add(1);
        self.ended.add_release(1);
    }

    /// A worker before it sleeps.
    fn check_drain_before_park(&self) {
        if self.phase.load() != Phase::Running {
            // Ordering: Release — as `Seat::ack_drain`.
            self.acked.store(true, Ordering::Release);
            self.check_quiescent();
        }
    }
}

/// drain × enter, spawn, leave, spawn: all spawns are counted, and the report is made.
#[test]
fn spawns_of_blocked_worker_are_counted() {
    model(|| {
        let pool = OneSeat::new();
        let worker = Arc::clone(&pool);
        let worker = start(move || {
            worker.step_out();
            worker.spawn(false);
            worker.local_slot.end_blocking();
            worker.spawn(true);
            (0..3).for_each(|_| worker.end_task());
            worker.check_drain_before_park();
        });
        pool.drain();
        worker.join().expect("the worker");
        // A sleeping worker is woken by the drain.
        pool.check_drain_before_park();
        let report = pool.drain_state.report().expect("all tasks have ended, so there is a report");
        assert!(report.completed <= 3);
    });
}

/// drain × enter × wait for the report: the task that waits is exempt, and no other worker exists
/// to acknowledge the drain.
#[test]
fn report_awaited_by_blocked_worker_is_made() {
    model(|| {
        let (pool, home) = (OneSeat::new(), Home::new());
        let task = home.spawn(pending::<()>());
        let abort_handle = task.abort_handle();
        let worker = Arc::clone(&pool);
        let worker = start(move || {
            worker.step_out();
            // As `Drain::poll`: if the drain has not begun, it begins here.
            let began = worker.drain_state.begin_drain(&worker.phase, &*worker, None);
            let exemption = worker.drain_state.exempt(abort_handle);
            worker.check_quiescent();
            worker.drain_state.wait_for_report(None);
            worker.local_slot.end_blocking();
            let _ = exemption.map(|key| worker.drain_state.revoke_exemption(key));
            began
        });
        let began = pool.drain_state.begin_drain(&pool.phase, &*pool, None);
        pool.check_quiescent();
        assert_ne!(worker.join().expect("the worker"), began);
        task.abort();
        home.run_all();
    });
}

/// drain × enter of a worker that has ended no task, while the last task ends elsewhere: the report
/// does not wait for the blocked worker.
#[test]
fn report_does_not_wait_for_blocked_worker() {
    model(|| {
        let pool = OneSeat::new();
        let home = Home::new();
        let task = home.spawn(pending::<()>());
        let exemption = Arc::new(Mutex::new(None));
        let (worker, abort_handle, exemption_cell) = (Arc::clone(&pool), task.abort_handle(), Arc::clone(&exemption));
        assert!(pool.drain_state.begin_drain(&pool.phase, &*pool, None));
        *exemption_cell.lock() = pool.drain_state.exempt(abort_handle);
        let worker = start(move || {
            worker.step_out();
            worker.drain_state.wait_for_report(None);
        });
        pool.check_quiescent();
        worker.join().expect("the worker");
        task.abort();
        home.run_all();
    });
}

// The helper.

/// A task that a blocked worker waits for, and the helper that drops it during a shutdown.
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

    /// As `shutdown::start_helper`.
    fn start_helper(self: &Arc<Self>) {
        if self.blocked_workers.claim_helper() {
            let pool = Arc::clone(self);
            self.helpers.lock().push(start(move || pool.helper_main()));
        }
    }

    /// As `shutdown::helper::helper_main`.
    fn helper_main(&self) {
        loop {
            assert!(self.idle.claim_sleeper().is_none());
            let mut tasks = self.queue.take(&LaneCursor::new(0), 2);
            while tasks.pop().is_some() {
                *self.ended.lock() = true;
                self.changed.notify_all();
            }
            if !self.blocked_workers.wait_for_notify() {
                return;
            }
        }
    }

    fn push(&self) {
        self.queue.push_woken(parcels(1).pop().expect("a task"));
    }

    fn begin_shutdown(self: &Arc<Self>) {
        self.phase.advance(Phase::ShuttingDown);
        self.start_helper();
    }

    fn wait_until_ended(&self) {
        let mut ended = self.ended.lock();
        while !*ended {
            self.changed.wait(&mut ended);
        }
    }

    fn is_open(&self) -> bool {
        self.phase.load() < Phase::ShuttingDown
    }

    /// Joins the only helper, which exits once no worker is blocked.
    fn join_helper(&self) {
        let helpers = std::mem::take(&mut *self.helpers.lock());
        assert_eq!(helpers.len(), 1);
        helpers.into_iter().for_each(|helper| helper.join().expect("the helper"));
    }
}

/// close × enter: the helper drops what waited in the seat, whichever thread starts the helper.
#[test]
fn section_begun_during_shutdown_has_a_helper() {
    model(|| {
        let pool = Closing::new();
        let worker = Arc::clone(&pool);
        let worker = start(move || {
            // The hand-off.
            worker.push();
            assert!(worker.idle.claim_sleeper().is_none());
            worker.blocked_workers.begin_section();
            if !worker.is_open() {
                worker.start_helper();
            }
            worker.wait_until_ended();
            worker.blocked_workers.end_section();
        });
        pool.begin_shutdown();
        worker.join().expect("the worker");
        pool.join_helper();
    });
}

/// close × a wake from outside, while a blocked worker waits for the woken task: it is dropped.
#[test]
fn task_woken_during_shutdown_is_dropped_by_helper() {
    model(|| {
        let pool = Closing::new();
        pool.blocked_workers.begin_section();
        let waker = Arc::clone(&pool);
        let waker = start(move || {
            waker.push();
            assert!(waker.idle.claim_sleeper().is_none());
            // As `Pool::recheck_deadline`.
            if !waker.is_open() {
                waker.blocked_workers.notify_helper();
            }
        });
        pool.begin_shutdown();
        pool.wait_until_ended();
        pool.blocked_workers.end_section();
        waker.join().expect("the waker");
        pool.join_helper();
    });
}

/// leave × enter of another worker, while the helper exits or stays: each section has a helper.
#[test]
fn helper_exit_leaves_no_section_without_helper() {
    model(|| {
        let pool = Closing::new();
        pool.blocked_workers.begin_section();
        pool.begin_shutdown();
        let worker = Arc::clone(&pool);
        let worker = start(move || {
            worker.push();
            worker.blocked_workers.begin_section();
            worker.start_helper();
            worker.wait_until_ended();
            worker.blocked_workers.end_section();
        });
        pool.blocked_workers.end_section();
        worker.join().expect("the worker");
        let helpers = std::mem::take(&mut *pool.helpers.lock());
        assert!((1..=2).contains(&helpers.len()));
        helpers.into_iter().for_each(|helper| helper.join().expect("a helper"));
    });
}

/// A start that is refused × a thread that exits: the second start succeeds, whichever thread makes
/// it.
#[test]
fn helper_wanted_during_a_refused_start_is_started() {
    model(|| {
        let (blocked_workers, starts) = (Arc::new(BlockedWorkers::new()), Arc::new(AtomicUsize::new(0)));
        blocked_workers.begin_section();
        let (of_exit, counted) = (Arc::clone(&blocked_workers), Arc::clone(&starts));
        let exiting = start(move || start_refused_once(&of_exit, &counted));
        start_refused_once(&blocked_workers, &starts);
        exiting.join().expect("the thread that exits");
        assert_eq!(starts.load(Ordering::Relaxed), 2);
        blocked_workers.end_section();
    });
}

/// As `start_helper`, where the system refuses the first thread.
fn start_refused_once(blocked_workers: &BlockedWorkers, starts: &AtomicUsize) {
    if blocked_workers.claim_helper() {
        while starts.fetch_add(1, Ordering::Relaxed) == 0 && blocked_workers.release_helper() {}
    }
}

// Spare workers.

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

// The watchdog.

/// In a model no time passes, so the tick is zero there.
fn watchdog_sleep() -> WatchdogSleep {
    let tick = if cfg!(heist_loom) { Duration::ZERO } else { Duration::from_millis(1) };
    WatchdogSleep::new(tick).expect("an alarm")
}

/// sleep of the watchdog × leave: the watchdog sees the worker.
#[test]
fn worker_back_from_section_is_watched() {
    model(|| {
        let (local_slot, idle, watchdog_sleep) =
            (Arc::new(LocalSlot::new(())), Arc::new(Idle::new(1)), Arc::new(watchdog_sleep()));
        local_slot.try_take().expect("it is vacant");
        local_slot.begin_blocking();
        let watchdog = {
            let (local_slot, idle, watchdog_sleep) =
                (Arc::clone(&local_slot), Arc::clone(&idle), Arc::clone(&watchdog_sleep));
            start(move || {
                while local_slot.is_blocking() {
                    watchdog_sleep.sleep_if(&idle, || local_slot.is_blocking());
                    watchdog_sleep.wait_for_tick();
                }
            })
        };
        local_slot.end_blocking();
        // As `Pool::begin_watch`.
        watchdog_sleep.wake(&idle);
        watchdog.join().expect("the watchdog");
    });
}

/// sleep of the watchdog × a spare that is refused: the watchdog sees that one is missing.
#[test]
fn watchdog_stays_awake_while_spare_is_missing() {
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
                let has_its_spares = || worker_set.num_spares() == blocked_workers.count();
                // The spare was not started yet, or counts although it will be refused.
                if has_its_spares() {
                    watchdog_sleep.sleep_if(&idle, has_its_spares);
                    watchdog_sleep.wait_for_tick();
                    assert!(!has_its_spares(), "the watchdog was woken in vain");
                }
            })
        };
        let refuse_first = RefuseFirst(Threads::of(&worker_set, &at_work), Arc::new(AtomicBool::new(true)));
        if !worker_set.ensure_spares(&blocked_workers, |enough| (worker_set.start_spare(&refuse_first, enough), false))
        {
            watchdog_sleep.wake(&idle);
        }
        watchdog.join().expect("the watchdog");
        assert_eq!(worker_set.num_spares(), 0);
    });
}
