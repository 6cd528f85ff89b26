//! Compares the wheel with a sorted map.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// A small random number generator with a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Returns a number whose magnitude is as likely as any other magnitude.
    fn any_size(&mut self) -> u64 {
        self.next() >> self.below(64)
    }
}

/// The wheel, and the expected content: every entry with its deadline.
struct Pair {
    wheel: Wheel,
    // The entries are boxed, so they do not move; the wheel is dropped first.
    entries: BTreeMap<usize, (u64, NonNull<WheelEntry>)>,
    now: u64,
    next_name: usize,
    /// Set while no entry was removed before its deadline. The wheel's earliest ticks are exact
    /// then.
    exact: bool,
}

impl Pair {
    fn new(now: u64) -> Self {
        Pair { wheel: Wheel::new(now), entries: BTreeMap::new(), now, next_name: 0, exact: true }
    }

    fn insert(&mut self, deadline: u64) {
        let entry = NonNull::from(Box::leak(Box::new(WheelEntry::new())));
        // SAFETY: a fresh entry, which is freed only after it was removed.
        unsafe { self.wheel.insert(entry, deadline) };
        self.entries.insert(self.next_name, (deadline, entry));
        self.next_name += 1;
    }

    fn any(&self, random: &mut Random) -> Option<usize> {
        let at = random.below(self.entries.len().max(1) as u64) as usize;
        self.entries.keys().nth(at).copied()
    }

    fn remove(&mut self, name: usize) {
        let (_, entry) = self.entries.remove(&name).expect("the entry is on the wheel");
        // SAFETY: the entry is on this wheel.
        unsafe { self.wheel.remove(entry) };
        free(entry);
        self.exact = false;
    }

    fn reset(&mut self, name: usize, deadline: u64) {
        let (old, entry) = self.entries.get_mut(&name).expect("the entry is on the wheel");
        *old = deadline;
        // SAFETY: the entry is on this wheel.
        unsafe { self.wheel.remove(*entry) };
        // SAFETY: the entry was removed, and is still live.
        unsafe { self.wheel.insert(*entry, deadline) };
        self.exact = false;
    }

    /// Advances to `now`, and checks that exactly the due entries are handed out. Returns their
    /// number.
    fn advance(&mut self, now: u64) -> usize {
        // A clock that steps back changes nothing. The end of time is never reached.
        self.now = self.now.max(now.min(u64::MAX - 1));
        let mut handed_out = BTreeSet::new();
        let mut moves = 0;
        loop {
            match self.wheel.step(now) {
                Advance::Due(entry) => assert!(handed_out.insert(entry), "handed out twice"),
                Advance::Moved => moves += 1,
                Advance::Done => break,
            }
            assert!(moves <= LEVELS * (self.entries.len() + 1), "entries are moved for ever");
        }
        let passed = |deadline: u64| u128::from(deadline.div_ceil(TICK)) * u128::from(TICK) <= u128::from(self.now);
        let due: Vec<usize> = self.entries.iter().filter(|(_, entry)| passed(entry.0)).map(|(name, _)| *name).collect();
        let expected: BTreeSet<_> = due.iter().map(|name| self.entries[name].1).collect();
        assert_eq!(handed_out, expected, "at {now}");
        for name in &due {
            free(self.entries.remove(name).expect("the entry was on the wheel").1);
        }
        self.check_next();
        due.len()
    }

    fn check_next(&self) {
        let first = self.entries.values().map(|entry| due_at(entry.0)).min().filter(|at| *at != u64::MAX);
        match (self.wheel.next_deadline(), first) {
            (next, first) if self.exact => assert_eq!(next, first),
            (Some(next), Some(first)) => assert!(self.now < next && next <= first, "{} {next} {first}", self.now),
            (Some(next), None) => assert!(self.now < next && !self.entries.is_empty()),
            (None, first) => assert_eq!(first, None),
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        while let Some(entry) = self.wheel.pop_any() {
            free(entry);
        }
        assert!(self.wheel.next_deadline().is_none());
        assert!(self.wheel.occupied.iter().all(|map| *map == 0));
    }
}

fn free(entry: NonNull<WheelEntry>) {
    // SAFETY: the entry was made from a box, and was removed from the wheel.
    drop(unsafe { Box::from_raw(entry.as_ptr()) });
}

/// Returns times at which groups of bits roll over, each with its neighbours.
fn starts() -> Vec<u64> {
    let mut starts = vec![0, 1, TICK, u64::MAX, u64::MAX - TICK, 12 * 24 * 3600 * 1_000_000_000];
    for level in 0..LEVELS as u32 {
        let bits = TICK_BITS + level * SLOT_BITS;
        for turns in [1, 2, SLOTS as u64 - 1] {
            let edge = turns.checked_shl(bits).unwrap_or(0);
            starts.extend([edge.saturating_sub(3 * TICK), edge.saturating_sub(1), edge, edge.saturating_add(1)]);
        }
    }
    starts
}

#[test]
fn wheel_hands_out_what_a_sorted_map_does() {
    for (seed, start) in starts().into_iter().enumerate() {
        for few in [true, false] {
            let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (seed as u64 + 1) << 20);
            let mut pair = Pair::new(start);
            for _ in 0..if few { 60 } else { 400 } {
                let ahead = if few { random.below(200 * TICK) } else { random.any_size() };
                match random.below(8) {
                    0..=2 => pair.insert(pair.now.saturating_add(ahead)),
                    3 => pair.insert(pair.now.saturating_sub(ahead)),
                    4 => pair.any(&mut random).into_iter().for_each(|name| pair.remove(name)),
                    5 => {
                        let to = pair.now.saturating_add(ahead);
                        pair.any(&mut random).into_iter().for_each(|name| pair.reset(name, to));
                    }
                    6 => drop(pair.advance(pair.now.saturating_add(ahead >> random.below(32)))),
                    // The clock steps back.
                    _ => drop(pair.advance(pair.now.saturating_sub(ahead))),
                }
            }
        }
    }
}

#[test]
fn next_deadline_without_removals_is_exact() {
    for start in starts() {
        let mut random = Random(start | 1);
        let mut pair = Pair::new(start);
        (0..100).for_each(|_| pair.insert(start.saturating_add(random.any_size())));
        while let Some(next) = pair.wheel.next_deadline() {
            // No entry was removed, so each advance finds an entry.
            assert!(pair.advance(next) > 0);
        }
        assert!(pair.entries.values().all(|entry| due_at(entry.0) == u64::MAX));
    }
}

#[test]
fn next_deadline_after_a_removal_is_too_early_once() {
    let mut pair = Pair::new(0);
    let far = 64 * 64 * 64 * TICK;
    pair.insert(far);
    pair.insert(far + 100 * TICK);
    pair.remove(0);
    let mut advances = 0;
    while let Some(next) = pair.wheel.next_deadline() {
        advances += 1;
        if pair.advance(next) == 1 {
            break;
        }
    }
    assert_eq!(advances, 2);
}

/// An entry may be added after its deadline has passed, in front of others.
#[test]
fn entry_with_a_passed_deadline_is_due_at_once() {
    let mut pair = Pair::new(100 * TICK);
    pair.insert(900 * TICK);
    for passed in [1, TICK, 100 * TICK] {
        pair.insert(passed);
        assert!(pair.wheel.next_deadline().is_some_and(|next| next <= 100 * TICK));
        assert_eq!(pair.advance(100 * TICK), 1);
    }
    assert_eq!(pair.wheel.next_deadline(), Some(900 * TICK));
}

#[test]
fn entry_is_not_handed_out_a_nanosecond_early() {
    for (deadline, too_early, due) in [(1, TICK - 1, TICK), (TICK, TICK - 1, TICK), (TICK + 1, 2 * TICK - 1, 2 * TICK)]
    {
        let mut pair = Pair::new(0);
        pair.insert(deadline);
        assert_eq!(pair.advance(too_early), 0);
        assert_eq!(pair.advance(due), 1);
    }
}

#[test]
fn entry_at_the_end_of_time_is_never_due() {
    let mut pair = Pair::new(u64::MAX - 10 * TICK);
    pair.insert(u64::MAX);
    assert_eq!(pair.wheel.next_deadline(), None);
    assert_eq!(pair.advance(u64::MAX), 0);
    pair.insert(u64::MAX - 2 * TICK);
    assert_eq!(pair.advance(u64::MAX), 1);
}

#[test]
fn entry_far_ahead_does_not_delay_near_ones_for_years() {
    let hour = 3600 * 1_000_000_000;
    let mut pair = Pair::new(0);
    pair.insert(u64::MAX / 2);
    for now in (1..10 * 365 * 24).step_by(7).map(|hours| hours * hour) {
        pair.insert(now + 1_000_000);
        assert_eq!(pair.advance(now), 0);
        assert_eq!(pair.advance(now + 2_000_000), 1);
    }
}

#[test]
fn slot_that_is_expiring_allows_removals() {
    let mut pair = Pair::new(0);
    let at = 100 * SLOTS as u64 * TICK;
    (0..4).for_each(|_| pair.insert(at + 5 * TICK));
    // The first step opens the slot and moves one entry down.
    assert!(matches!(pair.wheel.step(at), Advance::Moved));
    assert!(pair.wheel.next_deadline().expect("the slot is expiring") <= at);
    pair.insert(at + 6 * TICK);
    (0..4).for_each(|name| pair.remove(name));
    assert_eq!(pair.advance(at), 0);
    assert_eq!(pair.advance(at + 6 * TICK), 1);
}
