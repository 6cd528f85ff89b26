//! Models of a shutdown: a pool is closed while another thread drives it, clears it, or has a waker
//! of one of its tasks. See `docs/shutdown.md`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::Location;
use std::task::Waker;
use std::time::Instant;

use super::support::{Counted, Counts, start};
use crate::idle::Idle;
use crate::phase::{AtomicPhase, Phase};
use crate::pool::LocalSlot;
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Arc, Mutex, UnsafeCell, model};
use crate::raw_task::{self, Header, JoinHandle, Outcome, OwnedTasks, RunResult, Runnable, Schedule};
use crate::shutdown::live_threads::{ClearPass, LiveThreads};

type Ring = RefCell<VecDeque<Runnable>>;

/// A pool of one seat, with the real `LiveThreads`, local slot, owned-task list and tasks. Its
/// queues hold what the real ones hold.
struct Pool {
    phase: AtomicPhase,
    live_threads: LiveThreads,
    idle: Idle,
    local_slot: LocalSlot<Ring>,
    global: Mutex<VecDeque<Runnable>>,
    owned_tasks: OwnedTasks,
    /// Read at the end of a wake, and written by the drop of the pool: loom detects a wake that is
    /// in a dropped pool.
    alive: UnsafeCell<()>,
    /// Wakes that have ended. It orders them before the drop, as the count of the `Arc` does, which
    /// loom does not see.
    wakes_ended: AtomicUsize,
}

// SAFETY: wakes only read the cell, and only the drop writes it. loom checks their order.
unsafe impl Sync for Pool {}

impl Drop for Pool {
    fn drop(&mut self) {
        // A read-modify-write, as the one of the count: it does not read an older value. Ordering:
        // Acquire — pairs with the Release in `Pool::schedule`.
        let _ = self.wakes_ended.fetch_add(0, Ordering::Acquire);
        self.alive.with_mut(|_| ());
    }
}

// SAFETY: every pool of a model is in an `Arc`, and the model ends all tasks before it drops that.
unsafe impl Schedule for Pool {
    /// As `Pool::push_remote`.
    fn schedule(&self, runnable: Runnable) {
        let _pool = self.to_arc();
        self.global.lock().push_back(runnable);
        let _ = self.idle.claim_sleeper();
        self.note_change();
        self.alive.with(|_| ());
        // Ordering: Release — pairs with the Acquire in the drop of the pool.
        self.wakes_ended.fetch_add(1, Ordering::Release);
    }

    fn owned_tasks(&self) -> &OwnedTasks {
        &self.owned_tasks
    }

    fn record_outcome(&self, _: &Header, _: Outcome, _: bool) {}
}

impl Pool {
    /// Returns a pool with one task, which is queued in its ring.
    fn with_task<P>(future: Counted<P>) -> (Arc<Pool>, JoinHandle<super::support::Output>)
    where
        P: FnMut(&Waker) -> bool + Send + 'static,
    {
        let (runnable, handle) = raw_task::spawn::<_, Pool>(future, Location::caller().into());
        let pool = Pool {
            phase: AtomicPhase::new(),
            live_threads: LiveThreads::new(),
            idle: Idle::new(1),
            local_slot: LocalSlot::new(RefCell::new(VecDeque::from([runnable]))),
            global: Mutex::new(VecDeque::new()),
            owned_tasks: OwnedTasks::new(),
            alive: UnsafeCell::new(()),
            wakes_ended: AtomicUsize::new(0),
        };
        (Arc::new(pool), handle)
    }

    /// Returns a pool with one task that is pending for ever from its first poll on.
    fn with_endless_task(counts: &Arc<Counts>) -> (Arc<Pool>, JoinHandle<super::support::Output>) {
        Pool::with_task(Counted { counts: Arc::clone(counts), poll: |_: &Waker| false })
    }

    /// As `Pool::to_arc` of the real pool.
    fn to_arc(&self) -> Arc<Pool> {
        // SAFETY: the pool is in an `Arc`, which lives as long as the task that is just queued.
        unsafe { Arc::increment_strong_count(self) };
        // SAFETY: the count has just been raised for this reference.
        unsafe { Arc::from_raw(self) }
    }

    fn is_open(&self) -> bool {
        self.phase.load() < Phase::ShuttingDown
    }

    /// As `Pool::recheck_deadline`.
    fn note_change(&self) {
        if !self.is_open() {
            self.live_threads.note_change();
        }
    }

    /// As `Seat::return_local`.
    fn return_local(&self, ring: Box<Ring>) {
        self.local_slot.give_back(ring);
        self.note_change();
    }

    fn poll_next(&self, ring: &Ring) {
        let next = ring.borrow_mut().pop_front();
        if let Some(runnable) = next {
            if let RunResult::Again(runnable) = runnable.run(self) {
                ring.borrow_mut().push_back(runnable);
            }
        }
    }

    /// As `drive_seat`: polls what is queued, and stops at the next boundary.
    fn drive(&self) {
        if !self.live_threads.enter_if(|| self.is_open()) {
            return;
        }
        if let Some(ring) = self.local_slot.try_take() {
            self.poll_next(&ring);
            self.return_local(ring);
        }
        if self.live_threads.dec() {
            assert!(self.clear(None));
        }
    }

    /// As `Runtime::shut_down`. Returns false if the rest is left to another thread.
    fn shut_down(&self, deadline: Option<Instant>) -> bool {
        self.phase.advance(Phase::ShuttingDown);
        self.live_threads.wait_until_empty(deadline) && self.clear(deadline)
    }

    /// As `shutdown::close_after_panic`, on a thread that does not drive.
    fn close_after_panic(&self) {
        self.live_threads.inc();
        self.phase.advance(Phase::ShuttingDown);
        let _ = self.clear(Some(Instant::now()));
        if self.live_threads.dec() {
            assert!(self.clear(None));
        }
    }

    /// As `shutdown::clear`.
    fn clear(&self, deadline: Option<Instant>) -> bool {
        let _ = self.idle.claim_sleeper();
        self.live_threads.clear_by(deadline, || {
            let pass = self.clear_free();
            ClearPass { cleared: pass.cleared && self.owned_tasks.is_empty(), ..pass }
        })
    }

    /// As `shutdown::clear_free`.
    fn clear_free(&self) -> ClearPass {
        let Some(ring) = self.local_slot.try_take() else { return ClearPass { cleared: false, returned: 0 } };
        self.clear_seat(&ring);
        self.return_local(ring);
        ClearPass { cleared: true, returned: 1 }
    }

    fn clear_seat(&self, ring: &Ring) {
        let next = || ring.borrow_mut().pop_front().or_else(|| self.global.lock().pop_front());
        while let Some(runnable) = next() {
            runnable.cancel(&|_, _| ());
        }
        self.owned_tasks.cancel_all().into_iter().for_each(|runnable| runnable.cancel(&|_, _| ()));
    }
}

/// drive × close, by a closer that waits and by one that does not: the task ends when both have
/// returned.
#[test]
fn task_in_first_poll_ends_before_driver_and_closer_return() {
    for patient in [true, false] {
        model(move || {
            let counts = Counts::new();
            let (pool, handle) = Pool::with_endless_task(&counts);
            let driver = {
                let pool = Arc::clone(&pool);
                start(move || pool.drive())
            };
            let closed = pool.shut_down((!patient).then(Instant::now));
            assert!(closed || !patient);
            assert!(!closed || handle.is_finished(), "the pool is closed while a task lives");
            driver.join().expect("the driver");
            assert!(handle.is_finished(), "no thread has ended the task");
            assert_eq!(counts.futures(), 1);
        });
    }
}

/// drive, close after a panic × close: whichever thread clears the seat, the other one relies on it
/// only if the task has ended.
#[test]
fn driver_that_closes_after_a_panic_beside_the_closer_ends_the_task() {
    model(|| {
        let counts = Counts::new();
        let (pool, handle) = Pool::with_endless_task(&counts);
        let driver = {
            let pool = Arc::clone(&pool);
            start(move || {
                pool.drive();
                pool.close_after_panic();
            })
        };
        assert!(pool.shut_down(None));
        assert!(handle.is_finished(), "the pool is closed while a task lives");
        driver.join().expect("the driver");
        assert_eq!(counts.futures(), 1);
    });
}

/// clear × close: a thread that is not counted clears the seat, after a panic that ends the
/// runtime. The closer does not count a seat in use as an empty one.
#[test]
fn seat_cleared_elsewhere_is_waited_for() {
    model(|| {
        let counts = Counts::new();
        let (pool, handle) = Pool::with_endless_task(&counts);
        pool.phase.advance(Phase::ShuttingDown);
        let other = {
            let pool = Arc::clone(&pool);
            start(move || pool.clear_free())
        };
        assert!(pool.shut_down(None));
        assert!(handle.is_finished(), "the pool is closed while a task lives");
        let _ = other.join().expect("the other thread");
        assert_eq!(counts.futures(), 1);
    });
}

/// Returns a pool whose only task is idle, the task's handle, and its waker.
fn with_idle_task(counts: &Arc<Counts>) -> (Arc<Pool>, JoinHandle<super::support::Output>, Waker) {
    let kept = Arc::new(Mutex::new(None));
    let keeps = Arc::clone(&kept);
    let poll = move |waker: &Waker| {
        *keeps.lock() = Some(waker.clone());
        false
    };
    let (pool, handle) = Pool::with_task(Counted { counts: Arc::clone(counts), poll });
    let ring = pool.local_slot.try_take().expect("it is vacant");
    pool.poll_next(&ring);
    pool.return_local(ring);
    let waker = kept.lock().take().expect("the task has been polled");
    (pool, handle, waker)
}

/// wake × close: the waker has made the task runnable and has not queued it. The closer sleeps
/// until the waker has queued it.
#[test]
fn waker_queues_late_ends_sleep_of_closer() {
    model(|| {
        let counts = Counts::new();
        let (pool, handle, waker) = with_idle_task(&counts);
        let waking_thread = start(move || waker.wake());
        assert!(pool.shut_down(None));
        assert!(handle.is_finished());
        waking_thread.join().expect("the waker");
        assert_eq!(counts.futures(), 1);
    });
}

/// wake × close × the closer drops the last other reference: the waker has queued its task, and is
/// still in the pool.
#[test]
fn pool_dropped_after_its_close_outlives_a_late_waker() {
    model(|| {
        let counts = Counts::new();
        let (pool, handle, waker) = with_idle_task(&counts);
        let waking_thread = start(move || waker.wake());
        assert!(pool.shut_down(None));
        drop(pool);
        assert!(handle.is_finished());
        waking_thread.join().expect("the waker");
        assert_eq!(counts.futures(), 1);
    });
}

/// wake × clear × clear: both return, and not before the task has ended. Neither keeps the other
/// awake while they wait for the waker.
#[test]
fn clearing_threads_neither_stop_nor_wake_each_other() {
    model(|| {
        let counts = Counts::new();
        let (pool, handle, waker) = with_idle_task(&counts);
        pool.phase.advance(Phase::ShuttingDown);
        let waking_thread = start(move || waker.wake());
        let other = {
            let pool = Arc::clone(&pool);
            start(move || pool.clear(None))
        };
        assert!(pool.clear(None));
        assert!(handle.is_finished());
        assert!(other.join().expect("the other thread"));
        waking_thread.join().expect("the waker");
        assert_eq!(counts.futures(), 1);
    });
}
