//! The queues on the native engine: against a plain model, at their limits, and under load.

use std::collections::VecDeque;

use super::*;
use crate::loom_tests::support::{TakenTasks, TaskLog, parcels};
use crate::primitive::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use crate::primitive::{Arc, thread};
use crate::raw_task::{Id, Runnable};

/// xorshift64: enough to choose among a few steps.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

pub(super) fn id(runnable: &Runnable) -> Id {
    runnable.header().id()
}

pub(super) fn ids(chain: Chain) -> Vec<Id> {
    let mut chain = chain;
    std::iter::from_fn(|| chain.pop()).map(|runnable| id(&runnable)).collect()
}

fn pop(owner: &Owner) -> Option<Id> {
    owner.pop().map(|runnable| id(&runnable))
}

/// Returns a full ring, and the ids in it, oldest first.
fn full() -> (Owner, Thief, Vec<Id>) {
    let (owner, thief) = Ring::new_pair();
    let all = parcels(CAPACITY);
    let ids = all.iter().map(id).collect();
    all.into_iter().for_each(|parcel| owner.push(parcel).expect("there is room"));
    (owner, thief, ids)
}

/// Makes each step on a ring and on a `VecDeque`.
struct Twins {
    owner: Owner,
    thief: Thief,
    model: VecDeque<Id>,
    global: Vec<Id>,
}

impl Twins {
    fn push(&mut self) {
        let parcel = parcels(1).pop().expect("one");
        let new = id(&parcel);
        let Err(parcel) = self.owner.push(parcel) else { return self.model.push_back(new) };
        assert_eq!(self.model.len(), CAPACITY, "a ring that is not full refused a task");
        let chain = self.owner.overflow(parcel);
        let expected: Vec<Id> = self.model.drain(CAPACITY / 2..).chain([new]).collect();
        assert_eq!(chain.len(), expected.len());
        let sent = ids(chain);
        assert_eq!(sent, expected);
        self.global.extend(sent);
    }

    /// Steals the older half of the ring, rounded up, and no more than fits.
    fn steal(&mut self, room: usize, least: usize) {
        let (own_ring, _) = Ring::new_pair();
        let there = parcels(CAPACITY - room);
        let before = there.len();
        there.into_iter().for_each(|parcel| own_ring.push(parcel).expect("there is room"));
        let first = self.thief.steal(&own_ring, least).map(|runnable| id(&runnable));
        if self.model.is_empty() || self.model.len() < least {
            assert_eq!((first, own_ring.len()), (None, before));
            return;
        }
        let half = self.model.len().div_ceil(2).min(room + 1);
        let expected: Vec<Id> = self.model.drain(..half).collect();
        (0..before).for_each(|_| drop(own_ring.pop()));
        let got: Vec<Id> = first.into_iter().chain(std::iter::from_fn(|| pop(&own_ring))).collect();
        assert_eq!(got, expected);
    }
}

#[test]
fn ring_steps_give_the_same_results_as_a_deque() {
    for seed in 1..=20 {
        let mut dice = Dice(seed * 0x9E37_79B9);
        let (owner, thief) = Ring::new_pair();
        let mut twins = Twins { owner, thief, model: VecDeque::new(), global: Vec::new() };
        // Pushes and pops outweigh each other in turn, so the ring gets full and empty.
        for round in 0..4_000 {
            let pushes = if round / 1_000 % 2 == 0 { 9 } else { 2 };
            match dice.below(10) {
                step if step < pushes => twins.push(),
                9 if dice.below(20) == 0 => {
                    twins.steal(dice.below(CAPACITY as u64 + 1) as usize, 1 + dice.below(3) as usize)
                }
                _ => assert_eq!(pop(&twins.owner), twins.model.pop_front()),
            }
            assert_eq!((twins.owner.len(), twins.thief.len()), (twins.model.len(), twins.model.len()));
        }
        assert!(!twins.global.is_empty(), "it never overflowed");
    }
}

#[test]
fn overflow_of_a_full_ring_sends_the_newest_half_and_the_new_task_oldest_first() {
    let (owner, _thief, all) = full();
    let new = parcels(1).pop().expect("one");
    let last = id(&new);
    let new = owner.push(new).expect_err("it is full");
    let sent = ids(owner.overflow(new));
    assert_eq!(sent[..CAPACITY / 2], all[CAPACITY / 2..]);
    assert_eq!(sent[CAPACITY / 2..], [last]);
    assert_eq!(owner.len(), CAPACITY / 2);
    let kept: Vec<Id> = std::iter::from_fn(|| pop(&owner)).collect();
    assert_eq!(kept, all[..CAPACITY / 2]);
}

#[test]
fn overflow_that_finds_room_sends_no_task() {
    let (owner, thief, all) = full();
    let (own_ring, _) = Ring::new_pair();
    let new = owner.push(parcels(1).pop().expect("one")).expect_err("it is full");
    let last = id(&new);
    assert_eq!(thief.steal(&own_ring, 1).map(|first| id(&first)), Some(all[0]));
    assert!(owner.overflow(new).is_empty());
    let kept: Vec<Id> = std::iter::from_fn(|| pop(&owner)).collect();
    assert_eq!(kept, [&all[CAPACITY / 2..], &[last]].concat());
}

#[test]
fn moved_tasks_count_as_queued_where_they_were_pushed() {
    let (owner, thief, _) = full();
    let begun = owner.queued().wrapping_sub(CAPACITY as u32);
    let queued = |ring: &Owner| ring.queued().wrapping_sub(begun) as usize;
    let (own_ring, _) = Ring::new_pair();
    assert_eq!((queued(&owner), queued(&own_ring)), (CAPACITY, 0));

    // One push into a full ring, and one for which a thief has made room meanwhile.
    let new = || owner.push(parcels(1).pop().expect("one")).expect_err("it is full");
    drop(ids(owner.overflow(new())));
    assert_eq!((owner.len(), queued(&owner)), (CAPACITY / 2, CAPACITY + 1));
    parcels(CAPACITY / 2).into_iter().for_each(|parcel| owner.push(parcel).expect("there is room"));
    let late = new();
    drop(thief.steal(&own_ring, 1));
    assert!(owner.overflow(late).is_empty());
    assert_eq!(queued(&owner), CAPACITY + 1 + CAPACITY / 2 + 1);

    let before = queued(&owner);
    assert_eq!(ids(owner.evict_newest(5)).len() + 5, CAPACITY / 2 + 1);
    assert_eq!((owner.len(), queued(&owner)), (5, before));
    assert_eq!(
        (own_ring.len(), own_ring.requeued() as usize, queued(&own_ring)),
        (CAPACITY / 2 - 1, CAPACITY / 2 - 1, 0)
    );
}

#[test]
fn thief_without_room_takes_one_task() {
    let (_owner, thief, all) = full();
    let (own_ring, _, own) = full();
    assert_eq!(thief.steal(&own_ring, 1).map(|first| id(&first)), Some(all[0]));
    assert_eq!((thief.len(), own_ring.len()), (CAPACITY - 1, CAPACITY));
    assert_eq!(pop(&own_ring), Some(own[0]));
}

#[test]
fn ring_dropped_drops_its_tasks() {
    let alive = crate::primitive::Tracked::live_count();
    let (owner, thief, _) = full();
    (0..3).for_each(|_| drop(owner.pop()));
    drop(owner);
    assert_eq!(crate::primitive::Tracked::live_count() - alive, CAPACITY as isize - 3);
    drop(thief);
    assert_eq!(crate::primitive::Tracked::live_count(), alive);
}

#[test]
fn lifo_slot_push_returns_the_displaced_task() {
    let slot = LifoSlot::new();
    let mut all = parcels(2).into_iter();
    let expected: Vec<Id> = all.as_slice().iter().map(id).collect();
    assert!(slot.is_empty() && slot.pop().is_none() && slot.peek().is_none());
    assert!(slot.push(all.next().expect("one")).is_none());
    let old = slot.peek().expect("it is there");
    let displaced = slot.push(all.next().expect("two")).expect("the first");
    assert_eq!(id(&displaced), expected[0]);
    assert!(slot.claim(old).is_none(), "the peeked task is gone");
    let seen = slot.peek().expect("the second");
    assert_eq!(slot.claim(seen).map(|claimed| id(&claimed)), Some(expected[1]));
    assert!(slot.is_empty() && slot.claim(seen).is_none());
}

#[test]
fn chain_len_follows_each_step() {
    let mut chain = Chain::new();
    parcels(5).into_iter().for_each(|parcel| chain.push(parcel));
    drop(chain.pop());
    assert_eq!(chain.len(), 4);
    let front = chain.split(3);
    assert_eq!((front.len(), chain.len()), (3, 1));
    chain.append(front);
    assert_eq!((chain.len(), ids(chain).len()), (4, 4));
}

#[test]
fn lifo_slot_dropped_drops_its_task() {
    let alive = crate::primitive::Tracked::live_count();
    let slot = LifoSlot::new();
    assert!(slot.push(parcels(1).pop().expect("one")).is_none());
    assert_eq!(crate::primitive::Tracked::live_count() - alive, 1);
    drop(slot);
    assert_eq!(crate::primitive::Tracked::live_count(), alive);
}

#[test]
fn global_queue_is_first_in_first_out_and_splits_at_the_count() {
    let (queue, lane_cursor) = (GlobalQueue::new(1), LaneCursor::new(0));
    let all = parcels(6);
    let expected: Vec<Id> = all.iter().map(id).collect();
    let mut all = all.into_iter();
    assert!(queue.take(&lane_cursor, 1).is_empty());
    assert!(queue.push_new(all.next().expect("one")).is_ok());
    queue.push_woken(all.next().expect("two"));
    let mut chain = Chain::new();
    all.by_ref().take(3).for_each(|parcel| chain.push(parcel));
    queue.push_chain(chain);
    queue.push_chain(Chain::new());
    assert_eq!(queue.len(), 5);
    assert_eq!(ids(queue.take(&lane_cursor, 2)), expected[..2]);
    queue.close_queue();
    let refused = queue.push_new(all.next().expect("six")).expect_err("it is closed");
    queue.push_woken(refused);
    assert_eq!(ids(queue.take(&lane_cursor, usize::MAX)), expected[2..]);
    assert_eq!(queue.len(), 0);
}

/// How many tasks the stress test passes on.
const MANY: usize = 1_000_000;

/// The same parcels are passed on repeatedly: the stress test needs the pointers, not new tasks.
const PARCELS: usize = 2 * CAPACITY;

/// Each parcel is in one place at a time. The thread that takes it marks it as taken, and only then
/// may it be pushed again.
struct Post {
    held: Vec<AtomicU8>,
    first: u64,
    taken: AtomicUsize,
}

impl Post {
    /// Marks a parcel as taken out.
    fn take(&self, runnable: &Runnable) {
        let number = (id(runnable).get() - self.first) as usize;
        // Ordering: AcqRel — pairs with the swap in `Post::send`: each hand-over follows the one
        // before.
        let was = self.held[number].swap(1, Ordering::AcqRel);
        assert_eq!(was, 0, "parcel {number} was taken twice");
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    /// Marks a parcel as queued.
    fn send(&self, runnable: &Runnable) {
        let number = (id(runnable).get() - self.first) as usize;
        // Ordering: AcqRel — pairs with the swap in `Post::take`.
        let was = self.held[number].swap(0, Ordering::AcqRel);
        assert_eq!(was, 1, "parcel {number} was in two places");
    }
}

#[test]
fn ring_passes_a_million_tasks_to_owner_and_two_thieves_once_each() {
    let all = parcels(PARCELS);
    let log = TaskLog::of(&all);
    let first = all.iter().map(|parcel| id(parcel).get()).min().expect("there are some");
    let last = all.iter().map(|parcel| id(parcel).get()).max().expect("there are some");
    let held = (first..=last).map(|_| AtomicU8::new(1)).collect();
    let post = Arc::new(Post { held, first, taken: AtomicUsize::new(0) });
    let (owner, thief) = Ring::new_pair();
    // The thieves send what they have taken back to the owner through this queue.
    let (back, lane_cursor) = (Arc::new(GlobalQueue::new(4)), LaneCursor::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let thieves = [(); 2].map(|()| {
        let (thief, back, over, post) = (thief.clone(), Arc::clone(&back), Arc::clone(&over), Arc::clone(&post));
        let run = move || rob(&thief, &back, &over, &post);
        thread::Builder::new().spawn(run).expect("a thread")
    });

    all.into_iter().for_each(|parcel| back.push_woken(parcel));
    let mut own = 0;
    while post.taken.load(Ordering::Relaxed) < MANY {
        let mut chain = back.take(&lane_cursor, CAPACITY / 2);
        if chain.is_empty() {
            thread::yield_now();
        }
        while let Some(parcel) = chain.pop() {
            post.send(&parcel);
            if let Err(parcel) = owner.push(parcel) {
                let mut spilled = owner.overflow(parcel);
                while let Some(parcel) = spilled.pop() {
                    post.take(&parcel);
                    back.push_woken(parcel);
                    own += 1;
                }
            }
        }
        for _ in 0..CAPACITY / 4 {
            let Some(parcel) = owner.pop() else { break };
            post.take(&parcel);
            back.push_woken(parcel);
            own += 1;
        }
    }
    // Ordering: Release — nothing depends on it; the joins order the rest.
    over.store(true, Ordering::Release);
    let stolen: usize = thieves.into_iter().map(|thief| thief.join().expect("a thief")).sum();
    let mut taken = TakenTasks::new();
    taken.extend(std::iter::from_fn(|| owner.pop()));
    let mut rest = back.take(&lane_cursor, usize::MAX);
    taken.extend(std::iter::from_fn(|| rest.pop()));
    log.assert_taken_once(taken);
    assert_eq!(own + stolen, post.taken.load(Ordering::Relaxed));
}

/// Runs a thief, and returns how many tasks it took.
fn rob(thief: &Thief, back: &GlobalQueue, over: &AtomicBool, post: &Post) -> usize {
    let (own_ring, _) = Ring::new_pair();
    let mut stolen = 0;
    while !over.load(Ordering::Acquire) {
        let Some(first) = thief.steal(&own_ring, 1) else {
            thread::yield_now();
            continue;
        };
        for parcel in std::iter::once(first).chain(std::iter::from_fn(|| own_ring.pop())) {
            post.take(&parcel);
            back.push_woken(parcel);
            stolen += 1;
        }
    }
    stolen
}
