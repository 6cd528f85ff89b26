//! A seat's ring and its LIFO slot: the owner against thieves. See `docs/queues.md`.
//!
//! In a model, a ring holds four. Its cursors start three short of their maximum, so they wrap in
//! each model. A ring's last end is dropped after the joins, for loom does not see what std's `Arc`
//! orders.

use super::support::{TakenTasks, TaskLog, parcels, start};
use crate::primitive::{Arc, model};
use crate::queue::{CAPACITY, LifoSlot, Owner, Ring, Thief};

/// Pushes parcels that must fit.
fn fill(owner: &Owner, parcels: impl IntoIterator<Item = crate::raw_task::Runnable>) {
    parcels.into_iter().for_each(|parcel| owner.push(parcel).expect("the ring has room"));
}

fn pop_all(owner: &Owner, taken: &mut TakenTasks) {
    taken.extend(std::iter::from_fn(|| owner.pop()));
}

/// Steals once into a ring of its own, and empties that.
fn steal_once(thief: &Thief) -> TakenTasks {
    let (own_ring, _) = Ring::new_pair();
    let mut taken = TakenTasks::new();
    taken.extend(thief.steal(&own_ring, 1));
    pop_all(&own_ring, &mut taken);
    taken
}

/// push, pop × steal.
#[test]
fn ring_task_is_popped_or_stolen_once() {
    model(|| {
        let mut all = parcels(3);
        let log = TaskLog::of(&all);
        let (owner, thief) = Ring::new_pair();
        let late = all.split_off(2);
        fill(&owner, all);
        let thief_thread = start(move || steal_once(&thief));
        let mut taken = TakenTasks::new();
        taken.extend(owner.pop());
        fill(&owner, late);
        pop_all(&owner, &mut taken);
        taken.merge(thief_thread.join().expect("the thief"));
        log.assert_taken_once(taken);
    });
}

/// A thief may use what it has stolen: the push publishes the task.
#[test]
fn ring_push_publishes_the_task_to_a_thief() {
    model(|| {
        let (owner, thief) = Ring::new_pair();
        let thief_thread = start(move || steal_once(&thief));
        let all = parcels(2);
        let log = TaskLog::of(&all);
        fill(&owner, all);
        let mut taken = thief_thread.join().expect("the thief");
        pop_all(&owner, &mut taken);
        log.assert_taken_once(taken);
    });
}

/// steal × steal × pop.
#[test]
fn thieves_do_not_take_the_same_task() {
    model(|| {
        let all = parcels(4);
        let log = TaskLog::of(&all);
        let (owner, thief) = Ring::new_pair();
        fill(&owner, all);
        let thief_threads = [thief.clone(), thief].map(|thief| start(move || steal_once(&thief)));
        let mut taken = TakenTasks::new();
        taken.extend(owner.pop());
        for thief_thread in thief_threads {
            taken.merge(thief_thread.join().expect("a thief"));
        }
        pop_all(&owner, &mut taken);
        log.assert_taken_once(taken);
    });
}

/// pop, push round the ring × steal: the owner writes slots that the thief is reading.
#[test]
fn ring_slot_written_again_is_not_stolen_twice() {
    model(|| {
        let mut all = parcels(CAPACITY + 2);
        let log = TaskLog::of(&all);
        let (owner, thief) = Ring::new_pair();
        let late = all.split_off(CAPACITY);
        fill(&owner, all);
        let thief_thread = start(move || steal_once(&thief));
        let mut taken = TakenTasks::new();
        for parcel in late {
            taken.extend(owner.pop());
            fill(&owner, [parcel]);
        }
        pop_all(&owner, &mut taken);
        taken.merge(thief_thread.join().expect("the thief"));
        log.assert_taken_once(taken);
    });
}

/// push into a full ring × steal.
#[test]
fn ring_overflow_takes_all_or_nothing() {
    model(|| {
        let mut all = parcels(CAPACITY + 2);
        let log = TaskLog::of(&all);
        let (owner, thief) = Ring::new_pair();
        let late = all.split_off(CAPACITY);
        fill(&owner, all);
        let thief_thread = start(move || steal_once(&thief));
        let mut taken = TakenTasks::new();
        for parcel in late {
            if let Err(parcel) = owner.push(parcel) {
                let mut chain = owner.overflow(parcel);
                taken.extend(std::iter::from_fn(|| chain.pop()));
            }
        }
        pop_all(&owner, &mut taken);
        taken.merge(thief_thread.join().expect("the thief"));
        log.assert_taken_once(taken);
    });
}

/// A ← B ← C: the middle thread steals into a full ring from which the last one steals. It writes
/// where the last one may still be reading.
#[test]
fn thief_is_stolen_from_while_it_steals() {
    model(|| {
        let all = parcels(2 * CAPACITY);
        let log = TaskLog::of(&all);
        let (a, from_a) = Ring::new_pair();
        let (b, from_b) = Ring::new_pair();
        let mut all = all.into_iter();
        fill(&a, all.by_ref().take(CAPACITY));
        fill(&b, all);
        let middle = start(move || {
            let mut taken = TakenTasks::new();
            taken.extend(from_a.steal(&b, 1));
            taken.extend(b.pop());
            taken.extend(from_a.steal(&b, 1));
            pop_all(&b, &mut taken);
            taken
        });
        let _kept = from_b.clone();
        let last = start(move || steal_once(&from_b));
        let mut taken = TakenTasks::new();
        taken.extend(a.pop());
        taken.merge(middle.join().expect("the middle one"));
        taken.merge(last.join().expect("the last one"));
        pop_all(&a, &mut taken);
        log.assert_taken_once(taken);
    });
}

/// evict, push round the ring × steal: what is kept moves to other slots, some of which the thief
/// may be reading.
#[test]
fn evicted_ring_tasks_are_sent_or_kept_or_stolen_once() {
    model(|| {
        let mut all = parcels(CAPACITY + 1);
        let log = TaskLog::of(&all);
        let (owner, thief) = Ring::new_pair();
        let late = all.split_off(CAPACITY - 1);
        fill(&owner, all);
        let thief_thread = start(move || steal_once(&thief));
        let mut taken = TakenTasks::new();
        let mut chain = owner.evict_newest(1);
        taken.extend(std::iter::from_fn(|| chain.pop()));
        fill(&owner, late);
        pop_all(&owner, &mut taken);
        taken.merge(thief_thread.join().expect("the thief"));
        log.assert_taken_once(taken);
    });
}

/// LIFO slot: push, push, pop × peek, claim.
#[test]
fn lifo_slot_task_is_popped_or_claimed_once() {
    model(|| {
        let slot = Arc::new(LifoSlot::new());
        let claimer = {
            let slot = Arc::clone(&slot);
            start(move || {
                let mut taken = TakenTasks::new();
                taken.extend(slot.peek().and_then(|seen| slot.claim(seen)));
                taken
            })
        };
        let (mut taken, mut log) = (TakenTasks::new(), TaskLog::of(&[]));
        for _ in 0..3 {
            // Created after the push before it, so only its own push can publish it.
            let parcel = parcels(1);
            log.extend(&parcel);
            taken.extend(parcel.into_iter().filter_map(|parcel| slot.push(parcel)));
        }
        taken.extend(slot.pop());
        taken.merge(claimer.join().expect("the claimer"));
        assert!(slot.is_empty());
        log.assert_taken_once(taken);
    });
}

/// LIFO slot: two claimers have peeked at the same task.
#[test]
fn lifo_slot_task_peeked_by_two_is_claimed_by_one() {
    model(|| {
        let all = parcels(2);
        let log = TaskLog::of(&all);
        let slot = Arc::new(LifoSlot::new());
        let mut all = all.into_iter();
        assert!(slot.push(all.next().expect("one of two")).is_none());
        let claimers = [(); 2].map(|()| {
            let slot = Arc::clone(&slot);
            start(move || slot.peek().and_then(|seen| slot.claim(seen)))
        });
        let mut taken = TakenTasks::new();
        taken.extend(slot.push(all.next().expect("two of two")));
        for claimer in claimers {
            taken.extend(claimer.join().expect("a claimer"));
        }
        taken.extend(slot.pop());
        log.assert_taken_once(taken);
    });
}
