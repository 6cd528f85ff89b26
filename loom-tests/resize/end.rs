//! Workers that start while the phase changes, or the pool closes.

use std::io;

use super::super::support::start;
use crate::park::{Parker, Unpark};
use crate::phase::{AtomicPhase, Phase};
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Arc, model};
use crate::shutdown::live_threads::LiveThreads;
use crate::worker_set::ResizeCompletion;
use crate::worker_set::{ThreadHost, WorkerSet};

/// grow × a phase change: one thread builds a seat and starts its worker. Another thread unparks
/// the workers of all seats that it sees.
#[test]
fn worker_starting_during_phase_change_observes_it() {
    struct PoolParts {
        worker_set: WorkerSet,
        phase: AtomicPhase,
        tick: AtomicUsize,
        seats_built: AtomicUsize,
        parker: Parker,
    }

    impl PoolParts {
        /// As `Pool::wake_all_workers`.
        fn wake_all_workers(&self) {
            self.phase.advance(Phase::DeadlinePassed);
            self.tick.fetch_add(1, Ordering::Release);
            self.worker_set.lift_limit();
            if self.seats_built.load(Ordering::Acquire) > 1 {
                assert_eq!(self.parker.unpark(), Unpark::Done);
            }
        }

        /// A worker without tasks.
        fn run_idle_worker(&self) {
            self.worker_set.activate_seat(1);
            while self.phase.is_running() || self.tick.load(Ordering::Relaxed) == 0 {
                self.parker.park(None);
            }
        }
    }

    model(|| {
        let pool = Arc::new(PoolParts {
            worker_set: WorkerSet::new(1, 2, 0),
            phase: AtomicPhase::new(),
            tick: AtomicUsize::new(0),
            seats_built: AtomicUsize::new(1),
            parker: Parker::new(),
        });
        let waker = Arc::clone(&pool);
        let waker = start(move || waker.wake_all_workers());
        pool.seats_built.store(2, Ordering::Release);
        let worker = Arc::clone(&pool);
        let worker = start(move || worker.run_idle_worker());
        waker.join().expect("the thread that changes the phase");
        worker.join().expect("the worker");
    });
}

/// Starts threads that find the pool closed, and exit at once.
struct ExitAtOnce<'a>(&'a Arc<LiveThreads>);

impl ThreadHost for ExitAtOnce<'_> {
    fn inc_live(&self) {
        self.0.inc();
    }

    fn dec_live(&self) {
        assert!(!self.0.dec(), "the closer waits");
    }

    fn start(&self, _: usize, _: u64) -> io::Result<()> {
        let counted = Arc::clone(self.0);
        self.0.track(start(move || ExitAtOnce(&counted).dec_live()));
        Ok(())
    }

    fn wake_seats(&self, _: &[usize]) {}
}

/// grow × close: either the closer joins the new thread, or the thread is not started.
#[test]
fn thread_exiting_at_once_is_known_to_the_closer() {
    model(|| {
        let (worker_set, live_threads) = (Arc::new(WorkerSet::new(1, 2, 0)), Arc::new(LiveThreads::new()));
        let resizer = {
            let (worker_set, live_threads) = (Arc::clone(&worker_set), Arc::clone(&live_threads));
            start(move || {
                worker_set.enqueue(2, Arc::new(ResizeCompletion::new())).complete();
                worker_set.run_requests(&ExitAtOnce(&live_threads));
            })
        };
        worker_set.refuse_requests(Phase::ShuttingDown).complete();
        assert!(live_threads.wait_until_empty(None));
        let threads = live_threads.take_threads();
        assert_eq!(threads.len(), worker_set.num_occupied() - 1);
        threads.into_iter().for_each(|thread| thread.join().expect("the thread"));
        resizer.join().expect("the resizer");
        assert!(live_threads.take_threads().is_empty());
    });
}
