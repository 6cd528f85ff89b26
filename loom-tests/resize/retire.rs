//! A worker retires: a wake-up granted to it, a search that a submitter relies on, and the tasks in
//! its seat.

use super::super::support::{TakenTasks, TaskLog, parcels, start};
use super::two_seats::{RETIRING, STAYING, TwoSeats};
use crate::primitive::{Arc, model};
use crate::queue::{Chain, GlobalQueue, LaneCursor, LifoSlot, Ring};
use crate::worker_set::threads::{HandOff, hand_off};

/// Runs `run` while the workers of both seats sleep on their parkers.
fn with_both_asleep(run: fn(&TwoSeats)) {
    model(move || {
        let pool = TwoSeats::new();
        // A third worker sleeps in the reactor for the whole model.
        let driver = pool.driver.lock();
        pool.idle.announce(RETIRING, false);
        pool.idle.announce(STAYING, false);
        let workers = [RETIRING, STAYING].map(|seat| {
            let pool = Arc::clone(&pool);
            start(move || {
                let searching = pool.sleep_after_announce(seat);
                pool.run_worker(seat, searching);
            })
        });
        run(&pool);
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
        drop(driver);
    });
}

/// retire × notify: the submitter clears the bit of a worker that is to retire. It does so before
/// or after the worker has seen that.
#[test]
fn wake_granted_to_retiring_worker_is_passed_on() {
    with_both_asleep(|pool| {
        pool.retire();
        pool.submit();
    });
    with_both_asleep(|pool| {
        pool.submit();
        pool.retire();
    });
}

/// retire × submit: the submitter sees a searcher that is to retire.
#[test]
fn submit_relying_on_retiring_searcher_is_taken() {
    model(|| {
        let pool = TwoSeats::new();
        assert!(pool.idle.try_search(2));
        pool.state.request_retire();
        let workers = [(RETIRING, true), (STAYING, false)].map(|(seat, searching)| {
            let pool = Arc::clone(&pool);
            start(move || pool.run_worker(seat, searching))
        });
        pool.submit();
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
}

/// retire × park: the task of the retiring worker is handed off during the final check of the other
/// one.
#[test]
fn hand_off_of_task_wakes_parking_worker() {
    model(|| {
        let pool = TwoSeats::new();
        pool.state.request_retire();
        let parking = Arc::clone(&pool);
        let parking = start(move || {
            let searching = parking.idle.try_search(2);
            parking.run_worker(STAYING, searching);
        });
        pool.vacate(1);
        parking.join().expect("the other worker");
    });
}

/// retire × the reactor's shard driver: the retiring worker has it, so the other one has parked on
/// its parker. An event is posted.
#[test]
fn shard_driver_of_retiring_worker_is_taken_over() {
    model(|| {
        let pool = TwoSeats::new();
        pool.idle.announce(RETIRING, false);
        let workers = [RETIRING, STAYING].map(|seat| {
            let pool = Arc::clone(&pool);
            start(move || {
                if seat == STAYING {
                    pool.idle.announce(seat, false);
                }
                let searching = pool.sleep_after_announce(seat);
                pool.run_worker(seat, searching);
            })
        });
        pool.retire();
        pool.post(1);
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
}

struct GlobalHandOff(Arc<GlobalQueue>);

impl HandOff for GlobalHandOff {
    fn take_tasks(&self, tasks: Chain) {
        self.0.push_chain(tasks);
    }
    fn take_wheel(&self) {}
    fn notify(&self) {}
}

/// retire × steal: ring and LIFO slot are emptied into the global queue while a thief takes from
/// the ring.
#[test]
fn tasks_of_retiring_worker_are_taken_or_stolen_once() {
    model(|| {
        let (owner, thief) = Ring::new_pair();
        let (slot, global) = (LifoSlot::new(), Arc::new(GlobalQueue::new(1)));
        let mut tasks = parcels(4);
        let log = TaskLog::of(&tasks);
        assert!(slot.push(tasks.pop().expect("a task")).is_none());
        tasks.into_iter().for_each(|task| assert!(owner.push(task).is_ok()));
        let hand_off_target = GlobalHandOff(Arc::clone(&global));
        let global_of_thief = Arc::clone(&global);
        let stealing = start(move || {
            let (into, _) = Ring::new_pair();
            let mut haul = TakenTasks::new();
            haul.extend(thief.steal(&into, 1));
            haul.extend(std::iter::from_fn(|| into.pop()));
            let mut chain = global_of_thief.take(&LaneCursor::new(0), 1);
            haul.extend(std::iter::from_fn(|| chain.pop()));
            haul
        });
        hand_off(&slot, &owner, &hand_off_target);
        assert!(owner.len() == 0 && slot.is_empty());
        let mut haul = stealing.join().expect("the thief");
        let mut rest = global.take(&LaneCursor::new(0), 4);
        haul.extend(std::iter::from_fn(|| rest.pop()));
        log.assert_taken_once(haul);
    });
}
