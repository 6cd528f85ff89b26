//! The idle protocol: no work is left while a worker that could take it sleeps, and the counts stay
//! exact. See docs/idle.md.
//!
//! A worker here is the loop of `Worker`, without polls: search, announce, final check, sleep,
//! withdraw. Sleepers sleep without a time limit. So a lost wake-up is a deadlock, which the engine
//! reports. The drop of the idle word asserts that the counts are exact.

use crate::idle::{Idle, Withdrawn};
use crate::park::Parker;
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Arc, model, thread};

/// A pool that consists of its idle word, parkers, and a global queue of which only the length
/// matters.
struct Pool {
    idle: Idle,
    parkers: Vec<Parker>,
    queued: AtomicUsize,
}

impl Pool {
    fn new(seats: usize) -> Arc<Pool> {
        let parkers = (0..seats).map(|_| Parker::new()).collect();
        Arc::new(Pool { idle: Idle::new(seats), parkers, queued: AtomicUsize::new(0) })
    }

    /// Submits as a thread without a seat: publish, then claim a sleeper.
    fn submit(&self) {
        self.publish();
        self.notify();
    }

    fn publish(&self) {
        // Ordering: Relaxed — as in `GlobalQueue`: the claim's read-modify-write makes it visible.
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    fn notify(&self) {
        if let Some(seat) = self.idle.claim_sleeper() {
            let _ = self.parkers[seat].unpark();
        }
    }

    /// Ordering: Relaxed — as in `GlobalQueue::len`.
    fn sees_work(&self) -> bool {
        self.queued.load(Ordering::Relaxed) > 0
    }

    fn take(&self) -> bool {
        // As in `GlobalQueue::take`: a queue that seems empty is not locked.
        self.sees_work() && self.queued.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1)).is_ok()
    }

    /// Runs a worker until it has one piece of work. `events` times, an event of its own wakes it.
    fn obtain(&self, seat: usize, mut events: usize) {
        let mut searching = self.idle.try_search(self.parkers.len());
        while !self.take() {
            self.idle.announce(seat, searching);
            searching = if self.sees_work() {
                self.idle.withdraw(seat, true) == Withdrawn::Searching
            } else if events > 0 {
                events -= 1;
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

fn spawn(pool: &Arc<Pool>, run: impl FnOnce(&Pool) + Send + 'static) -> thread::JoinHandle<()> {
    let pool = Arc::clone(pool);
    thread::Builder::new().spawn(move || run(&pool)).expect("a thread")
}

/// submit × the only searcher finds nothing, announces, checks, sleeps.
#[test]
fn submit_is_never_lost_when_the_last_searcher_sleeps() {
    model(|| {
        let pool = Pool::new(1);
        let worker = spawn(&pool, |pool| pool.obtain(0, 0));
        pool.submit();
        worker.join().expect("the worker");
    });
}

/// submit × announce, while the worker of seat 0 is stuck before its search: the watchdog claims
/// the sleeper beside it.
#[test]
fn submit_behind_a_stuck_searcher_is_taken_after_the_watchdogs_claim() {
    model(|| {
        let pool = Pool::new(2);
        assert!(pool.idle.try_search(2));
        let worker = spawn(&pool, |pool| pool.obtain(1, 0));
        pool.submit();
        while pool.sees_work() {
            if let Some(seat) = pool.idle.claim_beside_searchers() {
                let _ = pool.parkers[seat].unpark();
            }
            thread::yield_now();
        }
        worker.join().expect("the worker");
        assert!(pool.idle.end_search(), "the stuck one is the last");
    });
}

/// submit × announce, while the other worker searches, finds nothing, and sleeps as well.
#[test]
fn submit_is_never_lost_when_two_workers_sleep() {
    model(|| {
        let pool = Pool::new(2);
        let others = [spawn(&pool, |pool| pool.obtain(0, 0)), spawn(&pool, |pool| pool.obtain(1, 0))];
        pool.submit();
        pool.submit();
        others.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
}

/// submit × submit × one sleeper: both pieces are taken, whichever submitter wakes it.
#[test]
fn submits_to_one_sleeper_are_both_taken() {
    model(|| {
        let pool = Pool::new(1);
        let submitter = spawn(&pool, Pool::submit);
        let worker = spawn(&pool, |pool| {
            pool.obtain(0, 0);
            pool.obtain(0, 0);
        });
        pool.submit();
        submitter.join().expect("the submitter");
        worker.join().expect("the worker");
    });
}

/// The submitter counts a sleeper that is waking by itself, and finds no bit. The sleeper sees the
/// work before it sleeps again.
#[test]
fn sleeper_without_a_bit_sees_the_work_left_to_it() {
    model(|| {
        let pool = Pool::new(1);
        let worker = spawn(&pool, |pool| pool.obtain(0, 1));
        pool.submit();
        worker.join().expect("the worker");
    });
}

/// The same with a second submitter, which has cleared the bit and has not counted it yet.
#[test]
fn sleeper_claimed_by_another_submitter_sees_both_pieces() {
    model(|| {
        let pool = Pool::new(1);
        let submitter = spawn(&pool, Pool::submit);
        let worker = spawn(&pool, |pool| {
            pool.obtain(0, 1);
            pool.obtain(0, 0);
        });
        pool.submit();
        submitter.join().expect("the submitter");
        worker.join().expect("the worker");
    });
}

/// claim × withdraw: one of them takes the bit, and no worker is counted twice. The claimed worker
/// ends its search before it has been counted.
#[test]
fn idle_counts_are_exact_after_claim_and_withdraw() {
    model(|| {
        let pool = Pool::new(1);
        pool.idle.announce(0, false);
        let submitter = spawn(&pool, Pool::submit);
        if pool.idle.withdraw(0, false) == Withdrawn::Searching {
            assert!(pool.idle.end_search(), "no other worker searches");
        }
        submitter.join().expect("the submitter");
        assert_eq!((pool.idle.counts().searchers(), pool.idle.counts().sleepers()), (0, 0));
    });
}

/// A searcher that is counted searches. A second submitter that relies on a searcher gets its work
/// taken. Yet the searcher that the first submitter woke has ended its search before it is counted.
#[test]
fn searcher_that_has_ended_is_not_relied_on() {
    model(|| {
        let pool = Pool::new(2);
        pool.idle.announce(1, false);
        pool.idle.announce(0, false);
        pool.publish();
        let submitter = spawn(&pool, Pool::notify);
        // The worker of seat 0 wakes by itself, and stays busy with what it finds.
        let searching = pool.idle.withdraw(0, false) == Withdrawn::Searching;
        assert!(pool.take());
        if searching && pool.idle.end_search() && pool.sees_work() {
            pool.notify();
        }
        pool.submit();
        submitter.join().expect("the submitter");
        // The second piece is for the other worker, which has been woken, or sees it.
        let searching = pool.idle.withdraw(1, false) == Withdrawn::Searching;
        assert!(searching, "the sleeper has not been woken for the second piece");
        let _ = pool.idle.end_search();
    });
}

/// One claim for two pieces: the woken worker takes one, and wakes the other worker for the second.
#[test]
fn granted_wake_is_passed_on_for_more_work() {
    model(|| {
        let pool = Pool::new(2);
        pool.idle.announce(0, false);
        pool.idle.announce(1, false);
        let sleep = |pool: &Pool, seat: usize| {
            while pool.idle.is_announced(seat) {
                pool.parkers[seat].park(None);
            }
            assert_eq!(pool.idle.withdraw(seat, false), Withdrawn::Searching);
            assert!(pool.take());
            if pool.idle.end_search() && pool.sees_work() {
                pool.notify();
            }
        };
        let others = [spawn(&pool, move |pool| sleep(pool, 0)), spawn(&pool, move |pool| sleep(pool, 1))];
        pool.publish();
        pool.publish();
        pool.notify();
        others.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
}

/// Two pieces were left to a searcher. It sees them in its final check, takes one, and wakes the
/// sleeper for the other.
#[test]
fn work_seen_by_a_final_check_is_passed_on() {
    model(|| {
        let pool = Pool::new(2);
        pool.idle.announce(1, false);
        assert!(pool.idle.try_search(2));
        let sleeper = spawn(&pool, |pool| {
            while pool.idle.is_announced(1) {
                pool.parkers[1].park(None);
            }
            assert_eq!(pool.idle.withdraw(1, false), Withdrawn::Searching);
            let _ = pool.idle.end_search();
        });
        let worker = spawn(&pool, |pool| {
            let mut searching = true;
            while !pool.take() {
                pool.idle.announce(0, searching);
                if !pool.sees_work() {
                    pool.parkers[0].park(None);
                }
                searching = pool.idle.withdraw(0, pool.sees_work()) == Withdrawn::Searching;
            }
            if searching && pool.idle.end_search() && pool.sees_work() {
                pool.notify();
            }
        });
        pool.submit();
        pool.submit();
        worker.join().expect("the worker");
        sleeper.join().expect("the sleeper");
    });
}
