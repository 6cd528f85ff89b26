//! Parking: an unparked thread wakes, wherever it sleeps. See docs/park.md.
//!
//! The threads sleep without a time limit, so a lost wake-up is a deadlock, which the engine
//! reports. The flags are Relaxed, so only the parker can publish them.

use std::time::Instant;

use crate::park::{Drive, Parker, Unpark};
use crate::primitive::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::primitive::{Arc, Condvar, Mutex, model, thread};
use crate::runtime::root_state::{ParkedOn, RootState};

/// A reactor that consists of its pending events, interrupts among them. A wait takes them all.
struct Reactor {
    pending: Mutex<usize>,
    arrived: Condvar,
    /// Held by the thread that drives the reactor.
    driver: Mutex<()>,
}

impl Reactor {
    fn new() -> Self {
        Reactor { pending: Mutex::new(0), arrived: Condvar::new(), driver: Mutex::new(()) }
    }

    /// Posts an event that counts for `worth`, or an interrupt.
    fn post(&self, worth: usize) {
        *self.pending.lock() += worth + INTERRUPT;
        self.arrived.notify_one();
    }
}

/// The part of each post that ends the wait, and counts for no event.
const INTERRUPT: usize = 1 << 8;

/// Drives the reactor; adds the events to `brought`.
struct Driver<'a> {
    reactor: &'a Reactor,
    brought: usize,
}

impl Drive for Driver<'_> {
    fn sleep(&mut self, _: Option<Instant>) {
        let mut pending = self.reactor.pending.lock();
        while *pending == 0 {
            self.reactor.arrived.wait(&mut pending);
        }
        self.brought += std::mem::take(&mut *pending) % INTERRUPT;
    }
}

/// One sleeper, and the flags that it waits for.
struct Sleeper {
    parker: Parker,
    reactor: Reactor,
    notified: [AtomicBool; 2],
}

impl Sleeper {
    fn new() -> Arc<Sleeper> {
        let notified = [AtomicBool::new(false), AtomicBool::new(false)];
        Arc::new(Sleeper { parker: Parker::new(), reactor: Reactor::new(), notified })
    }

    fn notify(&self, what: usize) {
        self.notified[what].store(true, Ordering::Relaxed);
        if self.parker.unpark() == Unpark::Interrupt {
            self.reactor.post(0);
        }
    }

    fn is_notified(&self, what: usize) -> bool {
        self.notified[what].load(Ordering::Relaxed)
    }

    fn park_in_reactor(&self) {
        self.parker.park_in(&mut Driver { reactor: &self.reactor, brought: 0 }, None);
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::Builder::new().spawn(run).expect("a thread")
}

#[test]
fn unpark_before_park_is_not_lost() {
    model(|| {
        let sleeper = Sleeper::new();
        sleeper.notify(0);
        sleeper.parker.park(None);
        sleeper.notify(1);
        sleeper.park_in_reactor();
    });
}

/// unpark × park.
#[test]
fn parked_thread_is_always_woken() {
    model(|| {
        let sleeper = Sleeper::new();
        let other = Arc::clone(&sleeper);
        let waker = spawn(move || other.notify(0));
        while !sleeper.is_notified(0) {
            sleeper.parker.park(None);
        }
        waker.join().expect("the waker");
    });
}

/// unpark × unpark × park: the owner also sees the writes of one that finds an earlier unpark.
#[test]
fn parked_thread_sees_the_writes_of_each_unparker() {
    model(|| {
        let sleeper = Sleeper::new();
        let wakers = [0, 1].map(|what| {
            let sleeper = Arc::clone(&sleeper);
            spawn(move || sleeper.notify(what))
        });
        while !(sleeper.is_notified(0) && sleeper.is_notified(1)) {
            sleeper.parker.park(None);
        }
        wakers.into_iter().for_each(|waker| waker.join().expect("a waker"));
    });
}

/// unpark × park_in.
#[test]
fn sleeper_in_the_reactor_is_always_interrupted() {
    model(|| {
        let sleeper = Sleeper::new();
        let other = Arc::clone(&sleeper);
        let waker = spawn(move || other.notify(0));
        while !sleeper.is_notified(0) {
            sleeper.park_in_reactor();
        }
        waker.join().expect("the waker");
    });
}

/// unpark × an event ends the sleep, and the sleeper parks on its parker next: an interrupt that
/// comes too late is not needed.
#[test]
fn sleeper_that_moves_from_reactor_to_parker_is_always_woken() {
    model(|| {
        let sleeper = Sleeper::new();
        sleeper.reactor.post(1);
        let other = Arc::clone(&sleeper);
        let waker = spawn(move || other.notify(0));
        sleeper.park_in_reactor();
        while !sleeper.is_notified(0) {
            sleeper.parker.park(None);
        }
        waker.join().expect("the waker");
    });
}

/// Two workers, one reactor. A worker without the shard driver sleeps on its parker.
struct TwoWorkers {
    parkers: [Parker; 2],
    reactor: Reactor,
    events: AtomicUsize,
}

impl TwoWorkers {
    fn unpark(&self, seat: usize) {
        if self.parkers[seat].unpark() == Unpark::Interrupt {
            self.reactor.post(0);
        }
    }

    /// Sleeps until both events have come. The worker that brings the last one wakes the other.
    fn sleep(&self, seat: usize) {
        while self.events.load(Ordering::Acquire) < 2 {
            let Some(driver) = self.reactor.driver.try_lock() else {
                self.parkers[seat].park(None);
                continue;
            };
            let mut driving = Driver { reactor: &self.reactor, brought: 0 };
            self.parkers[seat].park_in(&mut driving, None);
            let brought = driving.brought;
            drop(driver);
            if brought > 0 && self.events.fetch_add(brought, Ordering::AcqRel) + brought == 2 {
                self.unpark(1 - seat);
            }
        }
    }
}

/// The holder wakes with an event, releases the shard driver, and comes back. Meanwhile, the other
/// worker chooses a place to sleep.
#[test]
fn event_is_not_lost_when_the_shard_driver_changes() {
    model(|| {
        let parkers = [Parker::new(), Parker::new()];
        let workers = Arc::new(TwoWorkers { parkers, reactor: Reactor::new(), events: AtomicUsize::new(0) });
        workers.reactor.post(1);
        let threads = [0, 1].map(|seat| {
            let workers = Arc::clone(&workers);
            spawn(move || workers.sleep(seat))
        });
        workers.reactor.post(1);
        threads.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
}

/// wake × the root's thread enters the seat, sleeps there, leaves it, and sleeps on its own parker.
#[test]
fn root_is_woken_in_its_seat_and_outside() {
    struct Root {
        word: RootState,
        seat: Parker,
        own: Parker,
        notified: AtomicBool,
    }

    model(|| {
        let notified = AtomicBool::new(false);
        let root = Arc::new(Root { word: RootState::new(), seat: Parker::new(), own: Parker::new(), notified });
        assert!(root.word.take_wake());
        let other = Arc::clone(&root);
        let waker = spawn(move || {
            for last in [false, true] {
                other.notified.store(last, Ordering::Relaxed);
                let _ = match other.word.wake() {
                    ParkedOn::Seat => other.seat.unpark(),
                    ParkedOn::Own => other.own.unpark(),
                };
            }
        });
        // In the seat until the first wake, or both.
        root.word.begin_drive();
        while !root.word.take_wake() {
            if !root.word.has_wake() {
                root.seat.park(None);
            }
        }
        let mut notified = root.notified.load(Ordering::Relaxed);
        root.word.end_drive();
        // On its own parker until the last one.
        while !notified {
            if root.word.take_wake() {
                notified = root.notified.load(Ordering::Relaxed);
            } else {
                root.own.park(None);
            }
        }
        waker.join().expect("the waker");
    });
}
