//! Workers that come while the phase changes, or the pool closes.

use std::io;

use super::super::support::start;
use crate::park::{Parker, Unpark};
use crate::phase::{AtomicPhase, Phase};
use crate::shutdown::live_threads::LiveThreads;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, model};
use crate::worker_set::completion::ResizeCompletion;
use crate::worker_set::{ThreadHost, WorkerSet};

/// grow × a call to all workers: the resizer furnishes a seat and starts its thread while somebody
/// calls all whom he sees.
#[test]
fn a_worker_that_comes_while_the_phase_changes_hears_of_it() {
    struct Place {
        worker_set: WorkerSet,
        phase: AtomicPhase,
        tick: AtomicUsize,
        initialized: AtomicUsize,
        parker: Parker,
    }

    impl Place {
        /// As `Pool::call_all`.
        fn call_all(&self) {
            self.phase.advance(Phase::DeadlinePassed);
            self.tick.fetch_add(1, Ordering::Release);
            self.worker_set.barrier();
            if self.initialized.load(Ordering::Acquire) > 1 {
                assert_eq!(self.parker.unpark(), Unpark::Done);
            }
        }

        /// A worker that has nothing to do.
        fn work(&self) {
            self.worker_set.activate_seat(1);
            while self.phase.is_running() || self.tick.load(Ordering::Relaxed) == 0 {
                self.parker.park(None);
            }
        }
    }

    model(|| {
        let place = Arc::new(Place {
            worker_set: WorkerSet::new(1, 2, 0),
            phase: AtomicPhase::new(),
            tick: AtomicUsize::new(0),
            initialized: AtomicUsize::new(1),
            parker: Parker::new(),
        });
        let caller = Arc::clone(&place);
        let caller = start(move || caller.call_all());
        place.initialized.store(2, Ordering::Release);
        let worker = Arc::clone(&place);
        let worker = start(move || worker.work());
        caller.join().expect("the caller");
        worker.join().expect("the worker");
    });
}

/// Threads that find the pool closed, and leave at once.
struct Fleeting<'a>(&'a Arc<LiveThreads>);

impl ThreadHost for Fleeting<'_> {
    fn inc_live(&self) {
        self.0.inc();
    }

    fn dec_live(&self) {
        assert!(!self.0.dec(), "the closer waits");
    }

    fn start(&self, _: usize, _: u64) -> io::Result<()> {
        let present = Arc::clone(self.0);
        self.0.track(start(move || Fleeting(&present).dec_live()));
        Ok(())
    }

    fn wake_seats(&self, _: &[usize]) {}
}

/// grow × close: the closer joins the thread that is started, or it is not started.
#[test]
fn a_thread_that_leaves_at_once_is_known_to_the_closer() {
    model(|| {
        let (worker_set, live_threads) = (Arc::new(WorkerSet::new(1, 2, 0)), Arc::new(LiveThreads::new()));
        let resizer = {
            let (worker_set, live_threads) = (Arc::clone(&worker_set), Arc::clone(&live_threads));
            start(move || {
                worker_set.enqueue(2, Arc::new(ResizeCompletion::new())).write();
                worker_set.run_requests(&Fleeting(&live_threads));
            })
        };
        worker_set.refuse_requests(Phase::ShuttingDown).write();
        assert!(live_threads.wait_until_empty(None));
        let threads = live_threads.take_threads();
        assert_eq!(threads.len(), worker_set.active() - 1);
        threads.into_iter().for_each(|thread| thread.join().expect("the thread"));
        resizer.join().expect("the resizer");
        assert!(live_threads.take_threads().is_empty());
    });
}
