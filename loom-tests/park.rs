//! Parking: whoever is unparked comes to, wherever it sleeps. See docs/park.md.
//!
//! Nobody sleeps with a time limit here: a lost wake-up is a deadlock, which the engine reports.
//! The flags are Relaxed, so that it is the parker that has to publish them.

use std::time::Instant;

use crate::park::{Drive, Parker, Unpark};
use crate::runtime::root_state::{ParkedOn, RootState};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Arc, Condvar, Mutex, model, thread};

/// A reactor that consists of its pending events, the interrupt among them: a wait takes them all.
struct Reactor {
    pending: Mutex<usize>,
    come: Condvar,
    /// Held by whoever turns.
    driver: Mutex<()>,
}

impl Reactor {
    fn new() -> Self {
        Reactor { pending: Mutex::new(0), come: Condvar::new(), driver: Mutex::new(()) }
    }

    /// An event, or an interrupt, that counts for `worth`.
    fn post(&self, worth: usize) {
        *self.pending.lock() += worth + INTERRUPT;
        self.come.notify_one();
    }
}

/// What an interrupt counts for: nothing, but it ends the wait.
const INTERRUPT: usize = 1 << 8;

/// A turn of the reactor; what it has brought is added to `brought`.
struct Turn<'a> {
    reactor: &'a Reactor,
    brought: usize,
}

impl Drive for Turn<'_> {
    fn rest(&mut self, _: Option<Instant>) {
        let mut pending = self.reactor.pending.lock();
        while *pending == 0 {
            self.reactor.come.wait(&mut pending);
        }
        self.brought += std::mem::take(&mut *pending) % INTERRUPT;
    }
}

/// One sleeper, and what it waits for.
struct Bedroom {
    parker: Parker,
    reactor: Reactor,
    told: [AtomicBool; 2],
}

impl Bedroom {
    fn new() -> Arc<Bedroom> {
        let told = [AtomicBool::new(false), AtomicBool::new(false)];
        Arc::new(Bedroom { parker: Parker::new(), reactor: Reactor::new(), told })
    }

    fn tell(&self, what: usize) {
        self.told[what].store(true, Ordering::Relaxed);
        if self.parker.unpark() == Unpark::Interrupt {
            self.reactor.post(0);
        }
    }

    fn is_told(&self, what: usize) -> bool {
        self.told[what].load(Ordering::Relaxed)
    }

    fn rest_in_reactor(&self) {
        self.parker.park_in(&mut Turn { reactor: &self.reactor, brought: 0 }, None);
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::Builder::new().spawn(run).expect("a thread")
}

#[test]
fn unpark_before_park_is_kept() {
    model(|| {
        let bedroom = Bedroom::new();
        bedroom.tell(0);
        bedroom.parker.park(None);
        bedroom.tell(1);
        bedroom.rest_in_reactor();
    });
}

/// unpark × park.
#[test]
fn a_parked_thread_is_always_woken() {
    model(|| {
        let bedroom = Bedroom::new();
        let other = Arc::clone(&bedroom);
        let waker = spawn(move || other.tell(0));
        while !bedroom.is_told(0) {
            bedroom.parker.park(None);
        }
        waker.join().expect("the waker");
    });
}

/// unpark × unpark × park: also the one that finds an earlier unpark is heard.
#[test]
fn what_every_unparker_wrote_is_seen() {
    model(|| {
        let bedroom = Bedroom::new();
        let wakers = [0, 1].map(|what| {
            let bedroom = Arc::clone(&bedroom);
            spawn(move || bedroom.tell(what))
        });
        while !(bedroom.is_told(0) && bedroom.is_told(1)) {
            bedroom.parker.park(None);
        }
        wakers.into_iter().for_each(|waker| waker.join().expect("a waker"));
    });
}

/// unpark × park_in.
#[test]
fn a_sleeper_in_the_reactor_is_always_interrupted() {
    model(|| {
        let bedroom = Bedroom::new();
        let other = Arc::clone(&bedroom);
        let waker = spawn(move || other.tell(0));
        while !bedroom.is_told(0) {
            bedroom.rest_in_reactor();
        }
        waker.join().expect("the waker");
    });
}

/// unpark × an event ends the rest, and the sleeper goes on the parker next: the interrupt that
/// comes too late is not needed.
#[test]
fn a_sleeper_that_changes_its_bed_is_always_woken() {
    model(|| {
        let bedroom = Bedroom::new();
        bedroom.reactor.post(1);
        let other = Arc::clone(&bedroom);
        let waker = spawn(move || other.tell(0));
        bedroom.rest_in_reactor();
        while !bedroom.is_told(0) {
            bedroom.parker.park(None);
        }
        waker.join().expect("the waker");
    });
}

/// Two workers, one reactor. Whoever does not get the shard driver sleeps on its parker.
struct Dormitory {
    parkers: [Parker; 2],
    reactor: Reactor,
    events: AtomicUsize,
}

impl Dormitory {
    fn unpark(&self, seat: usize) {
        if self.parkers[seat].unpark() == Unpark::Interrupt {
            self.reactor.post(0);
        }
    }

    /// Rests until both events have come; whoever brings the last one wakes the other.
    fn rest(&self, seat: usize) {
        while self.events.load(Ordering::Acquire) < 2 {
            let Some(driver) = self.reactor.driver.try_lock() else {
                self.parkers[seat].park(None);
                continue;
            };
            let mut turn = Turn { reactor: &self.reactor, brought: 0 };
            self.parkers[seat].park_in(&mut turn, None);
            let brought = turn.brought;
            drop(driver);
            if brought > 0 && self.events.fetch_add(brought, Ordering::AcqRel) + brought == 2 {
                self.unpark(1 - seat);
            }
        }
    }
}

/// The holder gets up with an event, leaves the shard driver, and comes back, while the other one
/// looks for a place to sleep.
#[test]
fn no_event_is_lost_when_the_chair_changes_hands() {
    model(|| {
        let parkers = [Parker::new(), Parker::new()];
        let dormitory = Arc::new(Dormitory { parkers, reactor: Reactor::new(), events: AtomicUsize::new(0) });
        dormitory.reactor.post(1);
        let workers = [0, 1].map(|seat| {
            let dormitory = Arc::clone(&dormitory);
            spawn(move || dormitory.rest(seat))
        });
        dormitory.reactor.post(1);
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
}

/// wake × the root's thread sits down in the seat, sleeps there, leaves it, and sleeps on its own
/// parker.
#[test]
fn a_root_is_woken_wherever_its_thread_sleeps() {
    struct Root {
        word: RootState,
        seat: Parker,
        own: Parker,
        told: AtomicBool,
    }

    model(|| {
        let told = AtomicBool::new(false);
        let root = Arc::new(Root { word: RootState::new(), seat: Parker::new(), own: Parker::new(), told });
        assert!(root.word.take_wake());
        let other = Arc::clone(&root);
        let waker = spawn(move || {
            for last in [false, true] {
                other.told.store(last, Ordering::Relaxed);
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
        let mut told = root.told.load(Ordering::Relaxed);
        root.word.end_drive();
        // On its own parker until the last one.
        while !told {
            if root.word.take_wake() {
                told = root.told.load(Ordering::Relaxed);
            } else {
                root.own.park(None);
            }
        }
        waker.join().expect("the waker");
    });
}
