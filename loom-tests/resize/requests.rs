//! Resize requests, and threads that wait for them.

use std::cell::RefCell;
use std::io;
use std::task::Context;

use super::super::support::{Bell, start};
use crate::phase::Phase;
use crate::primitive::{Arc, model, thread};
use crate::worker_set::{ResizeCompletion, ResizeError, Resized};
use crate::worker_set::{RetireResult, ThreadHost, WorkerSet};

/// Starts threads that are active at once, and retire as soon as they are asked to.
struct RetireAtOnce<'a>(&'a WorkerSet);

impl ThreadHost for RetireAtOnce<'_> {
    fn inc_live(&self) {}

    fn dec_live(&self) {}

    fn start(&self, seat: usize, _: u64) -> io::Result<()> {
        self.0.activate_seat(seat);
        Ok(())
    }

    fn wake_seats(&self, seats: &[usize]) {
        for &seat in seats {
            self.0.deactivate_seat(seat);
            match self.0.try_retire(seat) {
                RetireResult::Vacated(outcomes) => outcomes.complete(),
                RetireResult::WantedAgain => self.0.activate_seat(seat),
            }
        }
    }
}

/// Starts threads that never retire.
struct NeverRetire;

impl ThreadHost for NeverRetire {
    fn inc_live(&self) {}
    fn dec_live(&self) {}
    fn start(&self, _: usize, _: u64) -> io::Result<()> {
        Ok(())
    }
    fn wake_seats(&self, _: &[usize]) {}
}

fn enqueue(worker_set: &WorkerSet, size: usize) -> Arc<ResizeCompletion> {
    let completion = Arc::new(ResizeCompletion::new());
    worker_set.enqueue(size, Arc::clone(&completion)).complete();
    completion
}

fn resize(worker_set: &WorkerSet, size: usize) -> Resized {
    let completion = enqueue(worker_set, size);
    worker_set.run_requests(&RetireAtOnce(worker_set));
    completion.wait().expect("no thread is refused")
}

/// resize × resize: both run, one after the other, and each returns its own change.
#[test]
fn requests_of_two_threads_run_in_order() {
    for (one, other) in [(3, 1), (1, 1)] {
        model(move || {
            let worker_set = Arc::new(WorkerSet::new(2, 3, 0));
            (0..2).for_each(|seat| worker_set.activate_seat(seat));
            let second = Arc::clone(&worker_set);
            let second = start(move || resize(&second, other));
            let mut outcomes = [resize(&worker_set, one), second.join().expect("the other")];
            outcomes.sort_by_key(|resized| (resized.version, resized.from == resized.to));
            assert_eq!((outcomes[0].from, outcomes[0].version), (2, 1));
            assert_eq!(outcomes[1].from, outcomes[0].to);
            assert_eq!(outcomes[1].version, if outcomes[1].from == outcomes[1].to { 1 } else { 2 });
            assert_eq!(worker_set.num_occupied(), outcomes[1].to);
            for seat in 0..3 {
                assert_eq!(worker_set.is_occupied(seat), seat < outcomes[1].to);
                assert_eq!(worker_set.is_wanted(seat), seat < outcomes[1].to);
            }
            let reported = RefCell::new(Vec::new());
            worker_set.run_resize_hooks(|resized| reported.borrow_mut().push(resized));
            let changes = outcomes.iter().filter(|resized| resized.from != resized.to).copied();
            assert_eq!(reported.into_inner(), changes.collect::<Vec<_>>());
        });
    }
}

/// Starts threads that retire some time after they are asked to.
struct RetireLater {
    worker_set: Arc<WorkerSet>,
    retiring: RefCell<Vec<thread::JoinHandle<()>>>,
}

impl ThreadHost for RetireLater {
    fn inc_live(&self) {}

    fn dec_live(&self) {}

    fn start(&self, seat: usize, _: u64) -> io::Result<()> {
        self.worker_set.activate_seat(seat);
        Ok(())
    }

    fn wake_seats(&self, seats: &[usize]) {
        for &seat in seats {
            let worker_set = Arc::clone(&self.worker_set);
            self.retiring.borrow_mut().push(start(move || RetireAtOnce(&worker_set).wake_seats(&[seat])));
        }
    }
}

/// shrink × retire, and shrink × grow × retire: the resize that waits for the retiring worker
/// completes, whether that retires or is wanted again.
#[test]
fn resize_completes_once_its_seat_is_vacant_or_wanted_again() {
    for grows in [false, true] {
        model(move || {
            let worker_set = Arc::new(WorkerSet::new(2, 2, 0));
            (0..2).for_each(|seat| worker_set.activate_seat(seat));
            let thread_host = RetireLater { worker_set: Arc::clone(&worker_set), retiring: RefCell::default() };
            let down = enqueue(&worker_set, 1);
            worker_set.run_requests(&thread_host);
            if grows {
                let up = enqueue(&worker_set, 2);
                worker_set.run_requests(&thread_host);
                assert_eq!(up.wait().expect("no thread is refused").version, 2);
            }
            assert_eq!(down.wait().expect("no thread is refused").version, 1);
            thread_host
                .retiring
                .into_inner()
                .into_iter()
                .for_each(|retiring_thread| retiring_thread.join().expect("the retiring worker"));
            assert_eq!(worker_set.num_occupied(), 1 + usize::from(grows));
        });
    }
}

/// resize × close: a resize that waits for a worker has one outcome. The worker does not retire, or
/// retires at this moment.
#[test]
fn resize_pending_at_shutdown_has_one_outcome() {
    for retires in [true, false] {
        model(move || {
            let worker_set = Arc::new(WorkerSet::new(2, 2, 0));
            (0..2).for_each(|seat| worker_set.activate_seat(seat));
            let caller = Arc::clone(&worker_set);
            let caller = start(move || {
                let completion = enqueue(&caller, 1);
                caller.run_requests(&NeverRetire);
                if retires && !caller.is_wanted(1) {
                    caller.deactivate_seat(1);
                    let RetireResult::Vacated(outcomes) = caller.try_retire(1) else {
                        panic!("the seat is not wanted again")
                    };
                    outcomes.complete();
                }
                completion.wait()
            });
            worker_set.refuse_requests(Phase::ShuttingDown).complete();
            match caller.join().expect("the caller") {
                Ok(resized) => assert!(retires && (resized.from, resized.to) == (2, 1)),
                Err(error) => assert!(matches!(error, ResizeError::ShutDown)),
            }
            let late = enqueue(&worker_set, 2);
            worker_set.run_requests(&NeverRetire);
            assert!(matches!(late.wait(), Err(ResizeError::ShutDown)));
        });
    }
}

/// complete × poll × poll with another waker: the resize is ready, or its latest waker is woken.
#[test]
fn resize_polled_while_it_completes_is_ready_or_woken() {
    model(|| {
        let completion = Arc::new(ResizeCompletion::new());
        let resizer = start({
            let completion = Arc::clone(&completion);
            move || completion.complete(Ok(Resized { from: 1, to: 2, version: 1 }))
        });
        let bells = [Bell::new(), Bell::new()];
        let poll = |bell: &Arc<Bell>| completion.poll(&Context::from_waker(&bell.waker())).is_ready();
        let was_ready = bells.iter().any(poll);
        resizer.join().expect("the resizer");
        assert!(was_ready || bells[1].rings() == 1, "the latest waker was not woken");
        assert!(was_ready || poll(&bells[1]));
        assert!(bells.iter().all(|bell| bell.rings() <= 1 && bell.is_alone()), "a waker is left");
    });
}
