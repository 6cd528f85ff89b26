//! Orders, and who waits for them.

use std::cell::RefCell;
use std::io;

use super::super::support::start;
use crate::phase::Phase;
use crate::pool::{ResizeCompletion, ResizeError, Resized, RetireResult, ThreadHost, WorkerSet};
use crate::sync::{Arc, model, thread};

/// Threads that come at once, and leave as soon as they are asked.
struct Prompt<'a>(&'a WorkerSet);

impl ThreadHost for Prompt<'_> {
    fn inc_live(&self) {}

    fn dec_live(&self) {}

    fn start(&self, seat: usize, _: u64) -> io::Result<()> {
        self.0.sit(seat);
        Ok(())
    }

    fn wake_seats(&self, seats: &[usize]) {
        for &seat in seats {
            self.0.get_up(seat);
            match self.0.leave(seat) {
                RetireResult::Gone(outcomes) => outcomes.write(),
                RetireResult::Again => self.0.sit(seat),
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

fn order(staff: &WorkerSet, size: usize) -> Arc<ResizeCompletion> {
    let ticket = Arc::new(ResizeCompletion::new());
    staff.enqueue(size, Arc::clone(&ticket)).write();
    ticket
}

fn resize(staff: &WorkerSet, size: usize) -> Resized {
    let ticket = order(staff, size);
    staff.run_requests(&Prompt(staff));
    ticket.wait().expect("nobody is refused")
}

/// resize × resize: both are carried out, one after the other, and each is told what it did.
#[test]
fn two_resizes_are_in_line() {
    for (one, other) in [(3, 1), (1, 1)] {
        model(move || {
            let staff = Arc::new(WorkerSet::new(2, 3, 0));
            (0..2).for_each(|seat| staff.sit(seat));
            let second = Arc::clone(&staff);
            let second = start(move || resize(&second, other));
            let mut told = [resize(&staff, one), second.join().expect("the other")];
            told.sort_by_key(|resized| (resized.version, resized.from == resized.to));
            assert_eq!((told[0].from, told[0].version), (2, 1));
            assert_eq!(told[1].from, told[0].to);
            assert_eq!(told[1].version, if told[1].from == told[1].to { 1 } else { 2 });
            assert_eq!(staff.active(), told[1].to);
            for seat in 0..3 {
                assert_eq!(staff.is_taken(seat), seat < told[1].to);
                assert_eq!(staff.is_wanted(seat), seat < told[1].to);
            }
            let news = RefCell::new(Vec::new());
            staff.run_resize_hooks(|resized| news.borrow_mut().push(resized));
            let changes = told.iter().filter(|resized| resized.from != resized.to).copied();
            assert_eq!(news.into_inner(), changes.collect::<Vec<_>>());
        });
    }
}

/// Threads that leave in their own time once they are asked.
struct Leisurely {
    staff: Arc<WorkerSet>,
    leaving: RefCell<Vec<thread::JoinHandle<()>>>,
}

impl ThreadHost for Leisurely {
    fn inc_live(&self) {}

    fn dec_live(&self) {}

    fn start(&self, seat: usize, _: u64) -> io::Result<()> {
        self.staff.sit(seat);
        Ok(())
    }

    fn wake_seats(&self, seats: &[usize]) {
        for &seat in seats {
            let staff = Arc::clone(&self.staff);
            self.leaving.borrow_mut().push(start(move || Prompt(&staff).wake_seats(&[seat])));
        }
    }
}

/// shrink × leave, and shrink × grow × leave: who waits for the leaver is answered, whether it leaves or is wanted again.
#[test]
fn a_resize_is_answered_when_its_leaver_has_left_or_is_wanted_again() {
    for grows in [false, true] {
        model(move || {
            let staff = Arc::new(WorkerSet::new(2, 2, 0));
            (0..2).for_each(|seat| staff.sit(seat));
            let crew = Leisurely { staff: Arc::clone(&staff), leaving: RefCell::default() };
            let down = order(&staff, 1);
            staff.run_requests(&crew);
            if grows {
                let up = order(&staff, 2);
                staff.run_requests(&crew);
                assert_eq!(up.wait().expect("nobody is refused").version, 2);
            }
            assert_eq!(down.wait().expect("nobody is refused").version, 1);
            crew.leaving.into_inner().into_iter().for_each(|leaver| leaver.join().expect("the leaver"));
            assert_eq!(staff.active(), 1 + usize::from(grows));
        });
    }
}

/// resize × close: whoever waits for a worker that does not leave, or that leaves at this moment, has one answer.
#[test]
fn a_resize_that_waits_is_told_of_the_end() {
    for leaves in [true, false] {
        model(move || {
            let staff = Arc::new(WorkerSet::new(2, 2, 0));
            (0..2).for_each(|seat| staff.sit(seat));
            let caller = Arc::clone(&staff);
            let caller = start(move || {
                let ticket = order(&caller, 1);
                caller.run_requests(&Slow);
                if leaves && !caller.is_wanted(1) {
                    caller.get_up(1);
                    let RetireResult::Gone(outcomes) = caller.leave(1) else { panic!("nobody wants it back") };
                    outcomes.write();
                }
                ticket.wait()
            });
            staff.stop(Phase::ShuttingDown).write();
            match caller.join().expect("the caller") {
                Ok(resized) => assert!(leaves && (resized.from, resized.to) == (2, 1)),
                Err(error) => assert!(matches!(error, ResizeError::ShutDown)),
            }
            let late = order(&staff, 2);
            staff.run_requests(&Slow);
            assert!(matches!(late.wait(), Err(ResizeError::ShutDown)));
        });
    }
}
