//! The global queue and its lanes: pushes, batches, the close, and a final check. See
//! `docs/queues.md`.

use super::support::{TakenTasks, TaskLog, parcels, start};
use crate::idle::{Idle, Withdrawn};
use crate::park::Parker;
use crate::primitive::{Arc, model};
use crate::queue::{Chain, GlobalQueue, LaneCursor};
use crate::util::stripe::Stripe;

fn take(queue: &GlobalQueue, lane_cursor: &LaneCursor, count: usize, taken: &mut TakenTasks) {
    let mut chain = queue.take(lane_cursor, count);
    taken.extend(std::iter::from_fn(|| chain.pop()));
}

/// push_new × push_new × close, into one lane or into two: tasks that are not refused are in the
/// queue when the closer empties it.
#[test]
fn new_task_is_queued_before_the_close_or_refused() {
    for lanes in [1, 2] {
        model(move || {
            let all = parcels(2);
            let log = TaskLog::of(&all);
            let queue = Arc::new(GlobalQueue::new(lanes));
            let spawners: Vec<_> = (0..)
                .zip(all)
                .map(|(number, parcel)| {
                    let queue = Arc::clone(&queue);
                    start(move || queue.lane(Stripe::of_seat(number)).push_new(parcel).err())
                })
                .collect();
            let mut taken = TakenTasks::new();
            queue.close_queue();
            // As `clear_seat` does it.
            let lane_cursor = LaneCursor::new(1);
            while queue.len() > 0 {
                take(&queue, &lane_cursor, 1, &mut taken);
            }
            for spawner in spawners {
                taken.extend(spawner.join().expect("a spawner"));
            }
            assert_eq!(queue.len(), 0, "a task was queued after the close");
            log.assert_taken_once(taken);
        });
    }
}

/// take × take × push of one, push of a chain; with one lane, and with two.
#[test]
fn global_takes_and_pushes_lose_nothing_and_double_nothing() {
    for lanes in [1, 2] {
        model(move || {
            let mut all = parcels(4);
            let log = TaskLog::of(&all);
            let queue = Arc::new(GlobalQueue::new(lanes));
            let lane = |number| queue.lane(Stripe::of_seat(number));
            lane(0).push_woken(all.pop().expect("one of four"));
            let takers = [1, 2].map(|count| {
                let queue = Arc::clone(&queue);
                start(move || {
                    let mut taken = TakenTasks::new();
                    assert!(queue.len() <= 4);
                    take(&queue, &LaneCursor::new(count), count, &mut taken);
                    taken
                })
            });
            lane(1).push_woken(all.pop().expect("two of four"));
            let mut chain = Chain::new();
            all.into_iter().for_each(|parcel| chain.push(parcel));
            lane(0).push_chain(chain);
            let mut taken = TakenTasks::new();
            for taker in takers {
                taken.merge(taker.join().expect("a taker"));
            }
            take(&queue, &LaneCursor::new(0), usize::MAX, &mut taken);
            assert_eq!(queue.len(), 0);
            log.assert_taken_once(taken);
        });
    }
}

/// take × take × push, len, in one lane that holds enough for both. Each take gets what it asked
/// for, oldest first. The length is never more than what was pushed.
#[test]
fn lane_take_does_not_hide_the_rest_from_another_take() {
    model(|| {
        let mut all = parcels(4);
        let log = TaskLog::of(&all);
        let queue = Arc::new(GlobalQueue::new(1));
        let newest = all.pop().expect("one of four");
        let name = newest.header().id();
        all.into_iter().for_each(|parcel| queue.push_woken(parcel));
        let takers = [1, 2].map(|count| {
            let queue = Arc::clone(&queue);
            start(move || {
                let mut taken = TakenTasks::new();
                take(&queue, &LaneCursor::new(0), count, &mut taken);
                assert_eq!(taken.len(), count);
                taken
            })
        });
        queue.push_woken(newest);
        let waiting = queue.len();
        assert!((1..=4).contains(&waiting), "{waiting} of four");
        let mut taken = TakenTasks::new();
        for taker in takers {
            taken.merge(taker.join().expect("a taker"));
        }
        assert_eq!(queue.len(), 1);
        let mut rest = queue.take(&LaneCursor::new(0), usize::MAX);
        let last = rest.pop().expect("the newest");
        assert_eq!(last.header().id(), name);
        taken.extend([last]);
        log.assert_taken_once(taken);
    });
}

/// Workers, parkers and a queue in two lanes. A worker that finds nothing sleeps without a time
/// limit.
struct Pool {
    idle: Idle,
    parkers: Vec<Parker>,
    queue: GlobalQueue,
}

impl Pool {
    fn new(seats: usize) -> Arc<Pool> {
        let parkers = (0..seats).map(|_| Parker::new()).collect();
        Arc::new(Pool { idle: Idle::new(seats), parkers, queue: GlobalQueue::new(2) })
    }

    /// Submits as the thread of this number, which has no seat.
    fn submit(&self, number: usize, parcel: crate::raw_task::Runnable) {
        self.queue.lane(Stripe::of_seat(number)).push_woken(parcel);
        if let Some(seat) = self.idle.claim_sleeper() {
            let _ = self.parkers[seat].unpark();
        }
    }

    /// Runs the loop of a worker until it has `count` pieces of work.
    fn obtain(&self, seat: usize, count: usize) -> TakenTasks {
        let (mut taken, lane_cursor) = (TakenTasks::new(), LaneCursor::new(seat));
        let mut got = 0;
        let mut searching = self.idle.try_search(2 * self.parkers.len());
        while got < count {
            let before = self.queue.take(&lane_cursor, 1);
            if !before.is_empty() {
                got += before.len();
                let mut before = before;
                taken.extend(std::iter::from_fn(|| before.pop()));
                continue;
            }
            self.idle.announce(seat, searching);
            let sees_work = self.queue.len() > 0;
            if !sees_work {
                self.parkers[seat].park(None);
            }
            searching = self.idle.withdraw(seat, sees_work) == Withdrawn::Searching;
        }
        if searching && self.idle.end_search() && self.queue.len() > 0 {
            if let Some(seat) = self.idle.claim_sleeper() {
                let _ = self.parkers[seat].unpark();
            }
        }
        taken
    }
}

/// announce, final check × push into the lane that is not the worker's.
#[test]
fn final_check_sees_a_push_into_any_lane() {
    model(|| {
        let all = parcels(1);
        let log = TaskLog::of(&all);
        let pool = Pool::new(1);
        let worker = {
            let pool = Arc::clone(&pool);
            start(move || pool.obtain(0, 1))
        };
        all.into_iter().for_each(|parcel| pool.submit(1, parcel));
        log.assert_taken_once(worker.join().expect("the worker"));
    });
}

/// Two submitters, a lane each, and one worker, which gets both pieces.
#[test]
fn lanes_of_two_submitters_are_both_served_by_one_worker() {
    model(|| {
        let mut all = parcels(2);
        let log = TaskLog::of(&all);
        let pool = Pool::new(1);
        let worker = {
            let pool = Arc::clone(&pool);
            start(move || pool.obtain(0, 2))
        };
        let other = all.pop().expect("one of two");
        let submitter = {
            let pool = Arc::clone(&pool);
            start(move || pool.submit(1, other))
        };
        all.into_iter().for_each(|parcel| pool.submit(0, parcel));
        submitter.join().expect("the submitter");
        log.assert_taken_once(worker.join().expect("the worker"));
    });
}
