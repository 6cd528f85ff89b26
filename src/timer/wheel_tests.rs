//! The wheel against a sorted map.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Small, seeded, good enough.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// Any magnitude as likely as any other.
    fn any_size(&mut self) -> u64 {
        self.roll() >> self.below(64)
    }
}

/// The wheel, and what it ought to do: every wheel entry with its deadline.
struct Pair {
    wheel: Wheel,
    // The wheel entries lie still on the heap; the wheel goes first.
    hanging: BTreeMap<usize, (u64, NonNull<WheelEntry>)>,
    now: u64,
    named: usize,
    /// Nothing was taken out before its time, so that the wheel's notes are exact.
    exact: bool,
}

impl Pair {
    fn new(now: u64) -> Self {
        Pair { wheel: Wheel::new(now), hanging: BTreeMap::new(), now, named: 0, exact: true }
    }

    fn insert(&mut self, deadline: u64) {
        let entry = NonNull::from(Box::leak(Box::new(WheelEntry::new())));
        // SAFETY: a fresh wheel entry that is freed only when it is out.
        unsafe { self.wheel.insert(entry, deadline) };
        self.hanging.insert(self.named, (deadline, entry));
        self.named += 1;
    }

    fn any(&self, dice: &mut Dice) -> Option<usize> {
        let at = dice.below(self.hanging.len().max(1) as u64) as usize;
        self.hanging.keys().nth(at).copied()
    }

    fn remove(&mut self, name: usize) {
        let (_, entry) = self.hanging.remove(&name).expect("it hangs");
        // SAFETY: it hangs on this wheel.
        unsafe { self.wheel.remove(entry) };
        free(entry);
        self.exact = false;
    }

    fn reset(&mut self, name: usize, deadline: u64) {
        let (old, entry) = self.hanging.get_mut(&name).expect("it hangs");
        *old = deadline;
        // SAFETY: it hangs on this wheel.
        unsafe { self.wheel.remove(*entry) };
        // SAFETY: it is out, and still lives.
        unsafe { self.wheel.insert(*entry, deadline) };
        self.exact = false;
    }

    /// Turns to `now` and checks that exactly the due ones come, in order. Returns their number.
    fn turn(&mut self, now: u64) -> usize {
        // A clock that steps back changes nothing.
        // Neither does one that shows the end of time: that is never reached.
        self.now = self.now.max(now.min(u64::MAX - 1));
        let mut out = BTreeSet::new();
        let mut last = 0;
        loop {
            match self.wheel.step(now) {
                Advance::Due(entry) => assert!(out.insert(entry), "handed out twice"),
                Advance::Moved => last += 1,
                Advance::Done => break,
            }
            assert!(last <= LEVELS * (self.hanging.len() + 1), "pegs are moved for ever");
        }
        let passed = |deadline: u64| u128::from(deadline.div_ceil(TICK)) * u128::from(TICK) <= u128::from(self.now);
        let due: Vec<usize> = self.hanging.iter().filter(|(_, entry)| passed(entry.0)).map(|(name, _)| *name).collect();
        let expected: BTreeSet<_> = due.iter().map(|name| self.hanging[name].1).collect();
        assert_eq!(out, expected, "at {now}");
        for name in &due {
            free(self.hanging.remove(name).expect("it hung").1);
        }
        self.check_next();
        due.len()
    }

    fn check_next(&self) {
        let first = self.hanging.values().map(|entry| due_at(entry.0)).min().filter(|at| *at != u64::MAX);
        match (self.wheel.next_deadline(), first) {
            (next, first) if self.exact => assert_eq!(next, first),
            (Some(next), Some(first)) => assert!(self.now < next && next <= first, "{} {next} {first}", self.now),
            (Some(next), None) => assert!(self.now < next && !self.hanging.is_empty()),
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
    // SAFETY: made from a box, and out of the wheel.
    drop(unsafe { Box::from_raw(entry.as_ptr()) });
}

/// Times at which groups of bits roll over, each with its neighbourhood.
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
fn the_wheel_hands_out_what_a_sorted_map_does() {
    for (seed, start) in starts().into_iter().enumerate() {
        for few in [true, false] {
            let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (seed as u64 + 1) << 20);
            let mut pair = Pair::new(start);
            for _ in 0..if few { 60 } else { 400 } {
                let ahead = if few { dice.below(200 * TICK) } else { dice.any_size() };
                match dice.below(8) {
                    0..=2 => pair.insert(pair.now.saturating_add(ahead)),
                    3 => pair.insert(pair.now.saturating_sub(ahead)),
                    4 => pair.any(&mut dice).into_iter().for_each(|name| pair.remove(name)),
                    5 => {
                        let to = pair.now.saturating_add(ahead);
                        pair.any(&mut dice).into_iter().for_each(|name| pair.reset(name, to));
                    }
                    6 => drop(pair.turn(pair.now.saturating_add(ahead >> dice.below(32)))),
                    // A step back.
                    _ => drop(pair.turn(pair.now.saturating_sub(ahead))),
                }
            }
        }
    }
}

#[test]
fn a_sleeper_that_trusts_next_deadline_comes_exactly_on_time() {
    for start in starts() {
        let mut dice = Dice(start | 1);
        let mut pair = Pair::new(start);
        (0..100).for_each(|_| pair.insert(start.saturating_add(dice.any_size())));
        while let Some(next) = pair.wheel.next_deadline() {
            // Nothing was taken out, so that every look finds a wheel entry.
            assert!(pair.turn(next) > 0);
        }
        assert!(pair.hanging.values().all(|entry| due_at(entry.0) == u64::MAX));
    }
}

#[test]
fn a_note_left_too_early_costs_one_look_and_no_spin() {
    let mut pair = Pair::new(0);
    let far = 64 * 64 * 64 * TICK;
    pair.insert(far);
    pair.insert(far + 100 * TICK);
    pair.remove(0);
    let mut looks = 0;
    while let Some(next) = pair.wheel.next_deadline() {
        looks += 1;
        if pair.turn(next) == 1 {
            break;
        }
    }
    assert_eq!(looks, 2);
}

#[test]
fn nothing_is_early_by_a_nanosecond() {
    for (deadline, too_early, due) in [(1, TICK - 1, TICK), (TICK, TICK - 1, TICK), (TICK + 1, 2 * TICK - 1, 2 * TICK)]
    {
        let mut pair = Pair::new(0);
        pair.insert(deadline);
        assert_eq!(pair.turn(too_early), 0);
        assert_eq!(pair.turn(due), 1);
    }
}

#[test]
fn the_end_of_time_is_never_due() {
    let mut pair = Pair::new(u64::MAX - 10 * TICK);
    pair.insert(u64::MAX);
    assert_eq!(pair.wheel.next_deadline(), None);
    assert_eq!(pair.turn(u64::MAX), 0);
    pair.insert(u64::MAX - 2 * TICK);
    assert_eq!(pair.turn(u64::MAX), 1);
}

#[test]
fn a_long_timer_does_not_disturb_short_ones_for_years() {
    let hour = 3600 * 1_000_000_000;
    let mut pair = Pair::new(0);
    pair.insert(u64::MAX / 2);
    for now in (1..10 * 365 * 24).step_by(7).map(|hours| hours * hour) {
        pair.insert(now + 1_000_000);
        assert_eq!(pair.turn(now), 0);
        assert_eq!(pair.turn(now + 2_000_000), 1);
    }
}

#[test]
fn a_slot_in_the_middle_of_draining_takes_removals() {
    let mut pair = Pair::new(0);
    let at = 100 * SLOTS as u64 * TICK;
    (0..4).for_each(|_| pair.insert(at + 5 * TICK));
    // The first step opens the slot and moves one wheel entry down.
    assert!(matches!(pair.wheel.step(at), Advance::Moved));
    assert!(pair.wheel.next_deadline().expect("it is draining") <= at);
    pair.insert(at + 6 * TICK);
    (0..4).for_each(|name| pair.remove(name));
    assert_eq!(pair.turn(at), 0);
    assert_eq!(pair.turn(at + 6 * TICK), 1);
}
