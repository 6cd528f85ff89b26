//! A worker enters and leaves a blocking section, while another thread counts, closes, resizes, or
//! enters one, too. See docs/block-in-place.md.

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
