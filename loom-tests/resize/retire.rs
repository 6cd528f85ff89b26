//! A worker leaves: a wake-up granted to it, what it was relied on for, and what waits in its seat.

use super::super::support::{TakenTasks, TaskLog, parcels, start};
use super::two_seats::{House, LEAVER, STAYER};
use crate::queue::{Chain, GlobalQueue, LaneCursor, LifoSlot, Ring};
use crate::sync::{Arc, model};
use crate::worker_set::retire::{HandOff, hand_off};

/// Both sleep on their parkers; `run` is what happens to them.
fn asleep(run: fn(&House)) {
    model(move || {
        let house = House::new();
        // A third one sits in the reactor, and stays out of it.
        let driver = house.driver.lock();
        house.idle.announce(LEAVER, false);
        house.idle.announce(STAYER, false);
        let workers = [LEAVER, STAYER].map(|seat| {
            let house = Arc::clone(&house);
            start(move || {
                let searching = house.rise(seat);
                house.work(seat, searching);
            })
        });
        run(&house);
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
        drop(driver);
    });
}

/// retire × notify: the submitter clears the bit of one who is to leave, before or after he has
/// heard of it.
#[test]
fn a_wake_granted_to_a_leaver_is_passed_on() {
    asleep(|house| {
        house.ask();
        house.submit();
    });
    asleep(|house| {
        house.submit();
        house.ask();
    });
}

/// retire × submit: the submitter sees a searcher, who is to leave.
#[test]
fn a_submit_that_relies_on_a_leaver_is_taken() {
    model(|| {
        let house = House::new();
        assert!(house.idle.try_search(2));
        house.word.request_retire();
        let workers = [(LEAVER, true), (STAYER, false)].map(|(seat, searching)| {
            let house = Arc::clone(&house);
            start(move || house.work(seat, searching))
        });
        house.submit();
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
}

/// retire × rest: what the leaver hands over comes while the other one looks for the last time.
#[test]
fn what_a_leaver_hands_over_wakes_whoever_rests() {
    model(|| {
        let house = House::new();
        house.word.request_retire();
        let stayer = Arc::clone(&house);
        let stayer = start(move || {
            let searching = stayer.idle.try_search(2);
            stayer.work(STAYER, searching);
        });
        house.vacate(1);
        stayer.join().expect("the stayer");
    });
}

/// retire × the reactor's shard driver: the leaver sits in it, the other one has gone to its parker
/// for that reason. An event comes.
#[test]
fn the_chair_of_a_leaver_is_taken() {
    model(|| {
        let house = House::new();
        house.idle.announce(LEAVER, false);
        let workers = [LEAVER, STAYER].map(|seat| {
            let house = Arc::clone(&house);
            start(move || {
                if seat == STAYER {
                    house.idle.announce(seat, false);
                }
                let searching = house.rise(seat);
                house.work(seat, searching);
            })
        });
        house.ask();
        house.post(1);
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
}

struct Queue(Arc<GlobalQueue>);

impl HandOff for Queue {
    fn take_tasks(&self, tasks: Chain) {
        self.0.push_chain(tasks);
    }
    fn take_wheel(&self) {}
    fn notify(&self) {}
}

/// retire × steal: ring and slot are emptied into the global queue while a thief takes from the
/// ring.
#[test]
fn what_a_leaver_leaves_is_taken_or_stolen_once() {
    model(|| {
        let (owner, thief) = Ring::new_pair();
        let (slot, global) = (LifoSlot::new(), Arc::new(GlobalQueue::new(1)));
        let mut tasks = parcels(4);
        let log = TaskLog::of(&tasks);
        assert!(slot.push(tasks.pop().expect("a task")).is_none());
        tasks.into_iter().for_each(|task| assert!(owner.push(task).is_ok()));
        let target = Queue(Arc::clone(&global));
        let queue = Arc::clone(&global);
        let robber = start(move || {
            let (into, _) = Ring::new_pair();
            let mut haul = TakenTasks::new();
            haul.extend(thief.steal(&into, 1));
            haul.extend(std::iter::from_fn(|| into.pop()));
            let mut chain = queue.take(&LaneCursor::new(0), 1);
            haul.extend(std::iter::from_fn(|| chain.pop()));
            haul
        });
        hand_off(&slot, &owner, &target);
        assert!(owner.len() == 0 && slot.is_empty());
        let mut haul = robber.join().expect("the robber");
        let mut rest = global.take(&LaneCursor::new(0), 4);
        haul.extend(std::iter::from_fn(|| rest.pop()));
        log.assert_taken_once(haul);
    });
}
