//! Orders, and who waits for them.

use std::cell::RefCell;
use std::io;

use super::super::support::start;
use crate::phase::Phase;
use crate::sync::{Arc, model, thread};
use crate::worker_set::completion::{ResizeCompletion, ResizeError, Resized};
use crate::worker_set::{RetireResult, ThreadHost, WorkerSet};

/// Threads that come at once, and leave as soon as they are asked.
struct Prompt<'a>(&'a WorkerSet);

impl ThreadHost for Prompt<'_> {
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
                RetireResult::Gone(outcomes) => outcomes.write(),
                RetireResult::Again => self.0.activate_seat(seat),
            }
        }
    }
}

/// Threads that never leave.
struct Slow;

impl ThreadHost for Slow {
    fn inc_live(&self) {}
    fn dec_live(&self) {}
    fn start(&self, _: usize, _: u64) -> io::Result<()> {
        Ok(())
    }
    fn wake_seats(&self, _: &[usize]) {}
}

fn order(worker_set: &WorkerSet, size: usize) -> Arc<ResizeCompletion> {
    let completion = Arc::new(ResizeCompletion::new());
    worker_set.enqueue(size, Arc::clone(&completion)).write();
    completion
}

fn resize(worker_set: &WorkerSet, size: usize) -> Resized {
    let completion = order(worker_set, size);
    worker_set.run_requests(&Prompt(worker_set));
    completion.wait().expect("nobody is refused")
}

/// resize × resize: both are carried out, one after the other, and each is told what it did.
#[test]
fn two_resizes_are_in_line() {
    for (one, other) in [(3, 1), (1, 1)] {
        model(move || {
            let worker_set = Arc::new(WorkerSet::new(2, 3, 0));
            (0..2).for_each(|seat| worker_set.activate_seat(seat));
            let second = Arc::clone(&worker_set);
            let second = start(move || resize(&second, other));
            let mut told = [resize(&worker_set, one), second.join().expect("the other")];
            told.sort_by_key(|resized| (resized.version, resized.from == resized.to));
            assert_eq!((told[0].from, told[0].version), (2, 1));
            assert_eq!(told[1].from, told[0].to);
            assert_eq!(told[1].version, if told[1].from == told[1].to { 1 } else { 2 });
            assert_eq!(worker_set.active(), told[1].to);
            for seat in 0..3 {
                assert_eq!(worker_set.is_occupied(seat), seat < told[1].to);
                assert_eq!(worker_set.is_wanted(seat), seat < told[1].to);
            }
            let news = RefCell::new(Vec::new());
            worker_set.run_resize_hooks(|resized| news.borrow_mut().push(resized));
            let changes = told.iter().filter(|resized| resized.from != resized.to).copied();
            assert_eq!(news.into_inner(), changes.collect::<Vec<_>>());
        });
    }
}

/// Threads that leave in their own time once they are asked.
struct Leisurely {
    worker_set: Arc<WorkerSet>,
    leaving: RefCell<Vec<thread::JoinHandle<()>>>,
}

impl ThreadHost for Leisurely {
    fn inc_live(&self) {}

    fn dec_live(&self) {}

    fn start(&self, seat: usize, _: u64) -> io::Result<()> {
        self.worker_set.activate_seat(seat);
        Ok(())
    }

    fn wake_seats(&self, seats: &[usize]) {
        for &seat in seats {
            let worker_set = Arc::clone(&self.worker_set);
            self.leaving.borrow_mut().push(start(move || Prompt(&worker_set).wake_seats(&[seat])));
        }
    }
}

/// shrink × leave, and shrink × grow × leave: who waits for the leaver is answered, whether it
/// leaves or is wanted again.
#[test]
fn a_resize_is_answered_when_its_leaver_has_left_or_is_wanted_again() {
    for grows in [false, true] {
        model(move || {
            let worker_set = Arc::new(WorkerSet::new(2, 2, 0));
            (0..2).for_each(|seat| worker_set.activate_seat(seat));
            let thread_host = Leisurely { worker_set: Arc::clone(&worker_set), leaving: RefCell::default() };
            let down = order(&worker_set, 1);
            worker_set.run_requests(&thread_host);
            if grows {
                let up = order(&worker_set, 2);
                worker_set.run_requests(&thread_host);
                assert_eq!(up.wait().expect("nobody is refused").version, 2);
            }
            assert_eq!(down.wait().expect("nobody is refused").version, 1);
            thread_host.leaving.into_inner().into_iter().for_each(|leaver| leaver.join().expect("the leaver"));
            assert_eq!(worker_set.active(), 1 + usize::from(grows));
        });
    }
}

/// resize × close: whoever waits for a worker that does not leave, or that leaves at this moment,
/// has one answer.
#[test]
fn a_resize_that_waits_is_told_of_the_end() {
    for leaves in [true, false] {
        model(move || {
            let worker_set = Arc::new(WorkerSet::new(2, 2, 0));
            (0..2).for_each(|seat| worker_set.activate_seat(seat));
            let caller = Arc::clone(&worker_set);
            let caller = start(move || {
                let completion = order(&caller, 1);
                caller.run_requests(&Slow);
                if leaves && !caller.is_wanted(1) {
                    caller.deactivate_seat(1);
                    let RetireResult::Gone(outcomes) = caller.try_retire(1) else { panic!("nobody wants it back") };
                    outcomes.write();
                }
                completion.wait()
            });
            worker_set.refuse_requests(Phase::ShuttingDown).write();
            match caller.join().expect("the caller") {
                Ok(resized) => assert!(leaves && (resized.from, resized.to) == (2, 1)),
                Err(error) => assert!(matches!(error, ResizeError::ShutDown)),
            }
            let late = order(&worker_set, 2);
            worker_set.run_requests(&Slow);
            assert!(matches!(late.wait(), Err(ResizeError::ShutDown)));
        });
    }
}
