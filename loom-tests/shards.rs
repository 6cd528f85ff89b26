//! Models of the reactor's shards: one worker sleeps for all shards, others poll between tasks. See
//! docs/reactor.md.
//!
//! The kernel is a number of pending events for each shard. No thread sleeps with a time limit: a
//! lost event is a deadlock.

use std::cell::Cell;
use std::time::Instant;

use crate::park::{Drive, Parker, Unpark};
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Arc, Condvar, Mutex, MutexGuard, UnsafeCell, model, thread};
use crate::reactor::ShardDrivers;

const SHARDS: usize = 2;

/// The content of a shard driver. A thread that polls writes it, so loom finds two threads that
/// poll one shard at the same time.
type ShardDriver = UnsafeCell<usize>;

/// Two workers and two shards.
struct ModelReactor {
    parkers: [Parker; 2],
    shard_drivers: ShardDrivers<ShardDriver>,
    pending: Mutex<Pending>,
    arrived: Condvar,
    /// Events that a worker has delivered.
    delivered: AtomicUsize,
}

struct Pending {
    events: [usize; SHARDS],
    interrupted: bool,
}

// SAFETY: the cells are behind the shard drivers' locks.
unsafe impl Send for ModelReactor {}
// SAFETY: as above.
unsafe impl Sync for ModelReactor {}

impl ModelReactor {
    fn new() -> Arc<ModelReactor> {
        Arc::new(ModelReactor {
            parkers: [Parker::new(), Parker::new()],
            shard_drivers: ShardDrivers::new((0..SHARDS).map(UnsafeCell::new)),
            pending: Mutex::new(Pending { events: [0; SHARDS], interrupted: false }),
            arrived: Condvar::new(),
            delivered: AtomicUsize::new(0),
        })
    }

    fn post(&self, shard: usize) {
        self.pending.lock().events[shard] += 1;
        self.arrived.notify_one();
    }

    fn unpark(&self, seat: usize) {
        if self.parkers[seat].unpark() == Unpark::Interrupt {
            self.pending.lock().interrupted = true;
            self.arrived.notify_one();
        }
    }

    /// Takes one event of a shard.
    fn poll_shard(&self, shard: usize, driver: &mut ShardDriver) -> usize {
        // SAFETY: the caller has locked the shard driver.
        driver.with_mut(|polls| unsafe { *polls += 1 });
        let mut pending = self.pending.lock();
        let found = pending.events[shard].min(1);
        pending.events[shard] -= found;
        found
    }

    fn poll_busy(&self, next: &Cell<usize>) -> usize {
        self.shard_drivers
            .poll_some(next, SHARDS, |shard, driver| Ok(self.poll_shard(shard, driver)))
            .expect("the model does not fail")
    }

    /// Counts delivered events. The worker that delivers the last one wakes the other.
    fn add_delivered(&self, seat: usize, found: usize, all: usize) {
        if found > 0 && self.delivered.fetch_add(found, Ordering::AcqRel) + found == all {
            self.unpark(1 - seat);
        }
    }

    fn is_missing_events(&self, all: usize) -> bool {
        self.delivered.load(Ordering::Acquire) < all
    }

    /// Does what a worker without a task does: sleeps with the primary's driver, or on its parker.
    fn sleep(&self, seat: usize) -> usize {
        let Some(primary) = self.shard_drivers.try_lock_primary() else {
            self.parkers[seat].park(None);
            return 0;
        };
        let mut sleep = Sleep { reactor: self, primary, found: 0 };
        self.parkers[seat].park_in(&mut sleep, None);
        sleep.found
    }
}

struct Sleep<'a> {
    reactor: &'a ModelReactor,
    primary: MutexGuard<'a, ShardDriver>,
    found: usize,
}

impl Drive for Sleep<'_> {
    fn sleep(&mut self, _: Option<Instant>) {
        let reactor = self.reactor;
        let ready = reactor.shard_drivers.while_blocked(|| {
            let mut pending = reactor.pending.lock();
            while pending.events == [0; SHARDS] && !pending.interrupted {
                reactor.arrived.wait(&mut pending);
            }
            pending.interrupted = false;
            pending.events.map(|events| events > 0)
        });
        let ready = (0..SHARDS).filter(|&shard| ready[shard]);
        let poll_shard = |shard: usize, driver: &mut ShardDriver| Ok(reactor.poll_shard(shard, driver));
        let polled = reactor.shard_drivers.drive_ready(&mut self.primary, ready, 1, poll_shard);
        self.found += polled.expect("the model does not fail").0;
    }
}

fn spawn(reactor: &Arc<ModelReactor>, run: impl FnOnce(&ModelReactor) + Send + 'static) -> thread::JoinHandle<()> {
    let reactor = Arc::clone(reactor);
    thread::Builder::new().spawn(move || run(&reactor)).expect("a thread")
}

/// poll, sleep × poll, sleep × an event in each shard: all events are delivered, and no worker
/// sleeps for ever. No shard is polled by two workers at a time.
#[test]
fn events_of_two_shards_are_not_lost_between_two_workers() {
    model(|| {
        let reactor = ModelReactor::new();
        reactor.post(1);
        let workers = [0, 1].map(|seat| {
            spawn(&reactor, move |reactor| {
                let found = reactor.poll_busy(&Cell::new(seat));
                reactor.add_delivered(seat, found, 2);
                while reactor.is_missing_events(2) {
                    let found = reactor.sleep(seat);
                    reactor.add_delivered(seat, found, 2);
                }
            })
        });
        reactor.post(0);
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
}

/// sleep, once, × poll: the events that the sleeper leaves when it wakes are found by the worker
/// that only polls.
#[test]
fn busy_worker_finds_the_events_that_the_sleeper_left() {
    model(|| {
        let reactor = ModelReactor::new();
        reactor.post(0);
        reactor.post(1);
        let sleeper = spawn(&reactor, |reactor| {
            let found = reactor.sleep(0);
            reactor.add_delivered(0, found, 2);
        });
        let next = Cell::new(0);
        while reactor.is_missing_events(2) {
            let found = reactor.poll_busy(&next);
            reactor.add_delivered(1, found, 2);
            thread::yield_now();
        }
        sleeper.join().expect("the sleeper");
    });
}
