//! The idle protocol: no work is left while somebody could take it and sleeps, and the counts stay
//! exact. See docs/idle.md.
//!
//! A worker here is the loop of `Worker`, without polls: search, announce, last look, rest,
//! retract. Sleepers sleep without a time limit, so a lost wake-up is a deadlock, which the engine
//! reports. That the counts are exact is asserted when the idle word goes.

use crate::idle::{Idle, Withdrawn};
use crate::park::Parker;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, model, thread};

/// A pool that consists of its idle word, parkers, and a global queue of which only the length
/// matters.
struct House {
    idle: Idle,
    parkers: Vec<Parker>,
    queued: AtomicUsize,
}

impl House {
    fn new(seats: usize) -> Arc<House> {
        let parkers = (0..seats).map(|_| Parker::new()).collect();
        Arc::new(House { idle: Idle::new(seats), parkers, queued: AtomicUsize::new(0) })
    }

    /// What a thread without a seat does: publish, then the handshake.
    fn submit(&self) {
        self.publish();
        self.notify();
    }

    fn publish(&self) {
        // Ordering: Relaxed — as `GlobalQueue`: the handshake is what makes it seen.
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    fn notify(&self) {
        if let Some(seat) = self.idle.claim_sleeper() {
            let _ = self.parkers[seat].unpark();
        }
    }

    /// Ordering: Relaxed — as `GlobalQueue::len`.
    fn sees_work(&self) -> bool {
        self.queued.load(Ordering::Relaxed) > 0
    }

    fn take(&self) -> bool {
        // As `GlobalQueue::take`: what looks empty is not locked.
        self.sees_work() && self.queued.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1)).is_ok()
    }

    /// A worker's way from having nothing to having one piece of work; `rises` times it is woken by
    /// an event of its own.
    fn obtain(&self, seat: usize, mut rises: usize) {
        let mut searching = self.idle.try_search(self.parkers.len());
        while !self.take() {
            self.idle.announce(seat, searching);
            searching = if self.sees_work() {
                self.idle.withdraw(seat, true) == Withdrawn::Searching
            } else if rises > 0 {
                rises -= 1;
                self.idle.withdraw(seat, false) == Withdrawn::Searching
            } else {
                self.parkers[seat].park(None);
                self.idle.withdraw(seat, false) == Withdrawn::Searching
            };
        }
        if searching && self.idle.end_search() && self.sees_work() {
            self.notify();
        }
    }
}

fn spawn(house: &Arc<House>, run: impl FnOnce(&House) + Send + 'static) -> thread::JoinHandle<()> {
    let house = Arc::clone(house);
    thread::Builder::new().spawn(move || run(&house)).expect("a thread")
}

/// submit × the only searcher finds nothing, announces, looks, sleeps.
#[test]
fn a_submit_is_never_lost_when_the_last_searcher_rests() {
    model(|| {
        let house = House::new(1);
        let worker = spawn(&house, |house| house.obtain(0, 0));
        house.submit();
        worker.join().expect("the worker");
    });
}

/// submit × announce, with the searching left to another, who finds nothing and rests as well.
#[test]
fn a_submit_is_never_lost_when_two_workers_rest() {
    model(|| {
        let house = House::new(2);
        let others = [spawn(&house, |house| house.obtain(0, 0)), spawn(&house, |house| house.obtain(1, 0))];
        house.submit();
        house.submit();
        others.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
}

/// submit × submit × one sleeper: whichever of the submitters wakes it, both pieces are taken.
#[test]
fn two_submitters_find_one_sleeper() {
    model(|| {
        let house = House::new(1);
        let submitter = spawn(&house, House::submit);
        let worker = spawn(&house, |house| {
            house.obtain(0, 0);
            house.obtain(0, 0);
        });
        house.submit();
        submitter.join().expect("the submitter");
        worker.join().expect("the worker");
    });
}

/// The submitter counts a sleeper that is getting up by itself and finds no bit: the sleeper sees
/// the work before it sleeps again.
#[test]
fn a_sleeper_without_a_bit_sees_the_work_that_is_left_to_it() {
    model(|| {
        let house = House::new(1);
        let worker = spawn(&house, |house| house.obtain(0, 1));
        house.submit();
        worker.join().expect("the worker");
    });
}

/// The same with a second submitter, who has cleared the bit and has not counted it yet.
#[test]
fn a_sleeper_that_another_submitter_claims_sees_both_pieces() {
    model(|| {
        let house = House::new(1);
        let submitter = spawn(&house, House::submit);
        let worker = spawn(&house, |house| {
            house.obtain(0, 1);
            house.obtain(0, 0);
        });
        house.submit();
        submitter.join().expect("the submitter");
        worker.join().expect("the worker");
    });
}

/// claim × retract: one of them takes the bit, and nobody is counted twice. The granted one leaves
/// before it has been counted.
#[test]
fn the_counts_are_exact_whoever_clears_the_bit() {
    model(|| {
        let house = House::new(1);
        house.idle.announce(0, false);
        let submitter = spawn(&house, House::submit);
        if house.idle.withdraw(0, false) == Withdrawn::Searching {
            assert!(house.idle.end_search(), "nobody else searches");
        }
        submitter.join().expect("the submitter");
        assert_eq!((house.idle.counts().searchers(), house.idle.counts().sleepers()), (0, 0));
    });
}

/// A searcher that is counted searches: a second submitter who relies on one gets its work taken,
/// although the one that the first submitter woke is gone again by the time it is counted.
#[test]
fn nobody_relies_on_a_searcher_that_has_left() {
    model(|| {
        let house = House::new(2);
        house.idle.announce(1, false);
        house.idle.announce(0, false);
        house.publish();
        let submitter = spawn(&house, House::notify);
        // The worker of seat 0 gets up by itself, and is busy for good with what it finds.
        let searching = house.idle.withdraw(0, false) == Withdrawn::Searching;
        assert!(house.take());
        if searching && house.idle.end_search() && house.sees_work() {
            house.notify();
        }
        house.submit();
        submitter.join().expect("the submitter");
        // The second piece is for the other one, who has been woken, or sees it.
        let searching = house.idle.withdraw(1, false) == Withdrawn::Searching;
        assert!(searching, "nobody has woken the sleeper for the second piece");
        let _ = house.idle.end_search();
    });
}

/// One handshake for two pieces: whoever is woken takes one, and wakes the other for the second.
#[test]
fn a_granted_wake_is_passed_on() {
    model(|| {
        let house = House::new(2);
        house.idle.announce(0, false);
        house.idle.announce(1, false);
        let sleep = |house: &House, seat: usize| {
            while house.idle.is_announced(seat) {
                house.parkers[seat].park(None);
            }
            assert_eq!(house.idle.withdraw(seat, false), Withdrawn::Searching);
            assert!(house.take());
            if house.idle.end_search() && house.sees_work() {
                house.notify();
            }
        };
        let others = [spawn(&house, move |house| sleep(house, 0)), spawn(&house, move |house| sleep(house, 1))];
        house.publish();
        house.publish();
        house.notify();
        others.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
}

/// Two pieces were left to a searcher. It sees them in its last look, takes one, and wakes the
/// sleeper for the other.
#[test]
fn what_a_last_look_sees_is_passed_on() {
    model(|| {
        let house = House::new(2);
        house.idle.announce(1, false);
        assert!(house.idle.try_search(2));
        let sleeper = spawn(&house, |house| {
            while house.idle.is_announced(1) {
                house.parkers[1].park(None);
            }
            assert_eq!(house.idle.withdraw(1, false), Withdrawn::Searching);
            let _ = house.idle.end_search();
        });
        let worker = spawn(&house, |house| {
            let mut searching = true;
            while !house.take() {
                house.idle.announce(0, searching);
                if !house.sees_work() {
                    house.parkers[0].park(None);
                }
                searching = house.idle.withdraw(0, house.sees_work()) == Withdrawn::Searching;
            }
            if searching && house.idle.end_search() && house.sees_work() {
                house.notify();
            }
        });
        house.submit();
        house.submit();
        worker.join().expect("the worker");
        sleeper.join().expect("the sleeper");
    });
}
