//! The reactor's shards: one who sleeps for all, others who look. See docs/reactor.md.
//!
//! The kernel is a number of pending events for each shard. Nobody sleeps with a time limit: a lost
//! event is a deadlock.

use std::cell::Cell;
use std::time::Instant;

use crate::park::{Drive, Parker, Unpark};
use crate::reactor::ShardDrivers;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, UnsafeCell, model, thread};

const SHARDS: usize = 2;

/// What lies in a shard driver. Whoever turns writes it: the engine sees two who do so at a time.
type Chair = UnsafeCell<usize>;

/// Two workers and two shards.
struct Hall {
    parkers: [Parker; 2],
    shard_drivers: ShardDrivers<Chair>,
    pending: Mutex<Pending>,
    come: Condvar,
    /// Events that somebody has brought.
    brought: AtomicUsize,
}

struct Pending {
    events: [usize; SHARDS],
    interrupted: bool,
}

// SAFETY: the cells are behind the shard drivers' locks.
unsafe impl Send for Hall {}
// SAFETY: as above.
unsafe impl Sync for Hall {}

impl Hall {
    fn new() -> Arc<Hall> {
        Arc::new(Hall {
            parkers: [Parker::new(), Parker::new()],
            shard_drivers: ShardDrivers::new((0..SHARDS).map(UnsafeCell::new)),
            pending: Mutex::new(Pending { events: [0; SHARDS], interrupted: false }),
            come: Condvar::new(),
            brought: AtomicUsize::new(0),
        })
    }

    fn post(&self, shard: usize) {
        self.pending.lock().events[shard] += 1;
        self.come.notify_one();
    }

    fn unpark(&self, seat: usize) {
        if self.parkers[seat].unpark() == Unpark::Interrupt {
            self.pending.lock().interrupted = true;
            self.come.notify_one();
        }
    }

    /// Takes one event of a shard.
    fn turn(&self, shard: usize, driver: &mut Chair) -> usize {
        // SAFETY: whoever has the shard driver has it alone.
        driver.with_mut(|turns| unsafe { *turns += 1 });
        let mut pending = self.pending.lock();
        let found = pending.events[shard].min(1);
        pending.events[shard] -= found;
        found
    }

    fn look(&self, next: &Cell<usize>) -> usize {
        self.shard_drivers
            .poll_some(next, SHARDS, |shard, driver| Ok(self.turn(shard, driver)))
            .expect("it does not fail")
    }

    /// Notes what has been brought. Whoever brings the last one wakes the other.
    fn bring(&self, seat: usize, found: usize, all: usize) {
        if found > 0 && self.brought.fetch_add(found, Ordering::AcqRel) + found == all {
            self.unpark(1 - seat);
        }
    }

    fn lacks(&self, all: usize) -> bool {
        self.brought.load(Ordering::Acquire) < all
    }

    /// What a worker without work does: sleeps in the lead, or on its parker.
    fn rest(&self, seat: usize) -> usize {
        let Some(lead) = self.shard_drivers.try_lock_primary() else {
            self.parkers[seat].park(None);
            return 0;
        };
        let mut sleep = Sleep { hall: self, lead, found: 0 };
        self.parkers[seat].park_in(&mut sleep, None);
        sleep.found
    }
}

struct Sleep<'a> {
    hall: &'a Hall,
    lead: MutexGuard<'a, Chair>,
    found: usize,
}

impl Drive for Sleep<'_> {
    fn sleep(&mut self, _: Option<Instant>) {
        let hall = self.hall;
        let ready = hall.shard_drivers.while_blocked(|| {
            let mut pending = hall.pending.lock();
            while pending.events == [0; SHARDS] && !pending.interrupted {
                hall.come.wait(&mut pending);
            }
            pending.interrupted = false;
            pending.events.map(|events| events > 0)
        });
        let ready = (0..SHARDS).filter(|&shard| ready[shard]);
        let turn = |shard: usize, driver: &mut Chair| Ok(hall.turn(shard, driver));
        let served = hall.shard_drivers.drive_ready(&mut self.lead, ready, 1, turn);
        self.found += served.expect("it does not fail").0;
    }
}

fn spawn(hall: &Arc<Hall>, run: impl FnOnce(&Hall) + Send + 'static) -> thread::JoinHandle<()> {
    let hall = Arc::clone(hall);
    thread::Builder::new().spawn(move || run(&hall)).expect("a thread")
}

/// look, rest × look, rest × an event in each shard: all come in, nobody sleeps for good, and no
/// shard is turned by two.
#[test]
fn no_event_is_lost_between_the_lead_and_another_shard() {
    model(|| {
        let hall = Hall::new();
        hall.post(1);
        let workers = [0, 1].map(|seat| {
            spawn(&hall, move |hall| {
                let found = hall.look(&Cell::new(seat));
                hall.bring(seat, found, 2);
                while hall.lacks(2) {
                    let found = hall.rest(seat);
                    hall.bring(seat, found, 2);
                }
            })
        });
        hall.post(0);
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
}

/// rest, once, × look: what the sleeper has left behind when it gets up is found by the one who
/// only looks.
#[test]
fn who_looks_finds_what_the_sleeper_has_left() {
    model(|| {
        let hall = Hall::new();
        hall.post(0);
        hall.post(1);
        let sleeper = spawn(&hall, |hall| {
            let found = hall.rest(0);
            hall.bring(0, found, 2);
        });
        let next = Cell::new(0);
        while hall.lacks(2) {
            let found = hall.look(&next);
            hall.bring(1, found, 2);
            thread::yield_now();
        }
        sleeper.join().expect("the sleeper");
    });
}
