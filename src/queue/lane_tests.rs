//! The lanes of the global queue: none is hidden, none is passed over, none stays open.

use std::collections::VecDeque;

use super::tests::{Dice, id, ids};
use super::*;
use crate::loom_tests::support::parcels;
use crate::raw_task::Id;
use crate::util::stripe::Stripe;

/// Pushes `count` tasks into a lane, and returns their ids.
fn push(queue: &GlobalQueue, lane: usize, count: usize) -> Vec<Id> {
    let all = parcels(count);
    let pushed = all.iter().map(id).collect();
    all.into_iter().for_each(|parcel| queue.lane(Stripe::of_seat(lane)).push_woken(parcel));
    pushed
}

#[test]
fn task_in_any_lane_is_found_from_any_cursor() {
    for lanes in 1..=9 {
        let queue = GlobalQueue::new(lanes);
        for start in 0..2 * lanes {
            // Also with a cursor in the middle of a lane.
            for before in 0..3 {
                for lane in 0..lanes {
                    let lane_cursor = LaneCursor::new(start);
                    push(&queue, start, before);
                    assert_eq!(queue.take(&lane_cursor, 1).len(), before.min(1));
                    assert_eq!(queue.take(&LaneCursor::new(start), before).len(), before.saturating_sub(1));
                    let pushed = push(&queue, lane, 1);
                    assert_eq!(queue.len(), 1);
                    assert_eq!(ids(queue.take(&lane_cursor, 1)), pushed, "of {lanes} lanes, from {start}, in {lane}");
                    assert_eq!(queue.len(), 0);
                }
            }
        }
    }
}

#[test]
fn lane_is_served_until_its_waiting_tasks_are_taken() {
    let (queue, lane_cursor) = (GlobalQueue::new(3), LaneCursor::new(0));
    let (first, other) = (push(&queue, 0, 5), push(&queue, 1, 2));
    assert_eq!(ids(queue.take(&lane_cursor, 3)), first[..3]);
    let late = push(&queue, 0, 2);
    assert_eq!(ids(queue.take(&lane_cursor, 3)), [&first[3..], &other[..1]].concat());
    assert_eq!(ids(queue.take(&lane_cursor, 9)), [&other[1..], &late[..]].concat());
    assert!(queue.take(&lane_cursor, 1).is_empty());
}

#[test]
fn lane_emptied_by_other_workers_is_passed_over() {
    let (queue, lane_cursor) = (GlobalQueue::new(2), LaneCursor::new(0));
    push(&queue, 0, 5);
    assert_eq!(queue.take(&lane_cursor, 1).len(), 1);
    assert_eq!(queue.take(&LaneCursor::new(0), 4).len(), 4);
    let (late, other) = (push(&queue, 0, 1), push(&queue, 1, 1));
    assert_eq!(ids(queue.take(&lane_cursor, 1)), late, "it was in the middle of this one");
    assert_eq!(ids(queue.take(&lane_cursor, 1)), other);
}

#[test]
fn closed_queue_refuses_new_tasks_in_each_lane() {
    let queue = GlobalQueue::new(4);
    queue.close_queue();
    for (lane, parcel) in parcels(4).into_iter().enumerate() {
        let refused = queue.lane(Stripe::of_seat(lane)).push_new(parcel).expect_err("it is closed");
        queue.lane(Stripe::of_seat(lane)).push_woken(refused);
    }
    assert_eq!(queue.len(), 4);
    assert_eq!(queue.take(&LaneCursor::new(1), usize::MAX).len(), 4);
}

/// Tasks come again as soon as they have been taken, into whichever lane an adversary chooses. None
/// waits for longer than `docs/fairness.md` allows: (L + 1) · N places.
#[test]
fn task_in_a_lane_waits_no_longer_than_the_bound() {
    const TASKS: usize = 64;
    for lanes in [1, 2, 3, 8] {
        let (queue, lane_cursor) = (GlobalQueue::new(lanes), LaneCursor::new(0));
        let mut dice = Dice(7 + lanes as u64);
        let mut since: VecDeque<(Id, usize)> = parcels(TASKS)
            .into_iter()
            .enumerate()
            .map(|(lane, parcel)| {
                let id_of_task = id(&parcel);
                queue.lane(Stripe::of_seat(lane)).push_woken(parcel);
                (id_of_task, 0)
            })
            .collect();
        let (mut taken, mut longest) = (0, 0);
        while taken < 20_000 {
            // Mostly in front of the lane that is visited next, at times anywhere.
            let ahead = dice.below(lanes as u64 + 1) as usize;
            let mut chain = queue.take(&lane_cursor, 1 + dice.below(5) as usize);
            while let Some(parcel) = chain.pop() {
                taken += 1;
                let entry = since.iter_mut().find(|entry| entry.0 == id(&parcel)).expect("one of ours");
                longest = longest.max(taken - std::mem::replace(&mut entry.1, taken));
                queue.lane(Stripe::of_seat(lane_cursor.next(lanes) + ahead)).push_woken(parcel);
            }
        }
        assert!(longest <= (lanes + 1) * TASKS, "{longest} with {lanes} lanes");
        assert_eq!(queue.len(), TASKS);
    }
}

/// A take that begins with the rest of a visit comes back to that lane for its newcomers.
#[test]
fn newcomers_of_the_first_lane_are_found_by_the_same_take() {
    let (queue, lane_cursor) = (GlobalQueue::new(2), LaneCursor::new(0));
    let first = push(&queue, 0, 2);
    assert_eq!(ids(queue.take(&lane_cursor, 1)), first[..1]);
    let late = push(&queue, 0, 3);
    assert_eq!(ids(queue.take(&lane_cursor, 9)), [&first[1..], &late[..]].concat());
}

#[test]
fn take_of_everything_empties_each_lane() {
    let queue = GlobalQueue::new(3);
    let pushed: Vec<Id> = (0..3).flat_map(|lane| push(&queue, lane, 2)).collect();
    assert_eq!(ids(queue.take_all()), pushed);
    assert_eq!(queue.len(), 0);
}
