//! The readiness word of a source: what the resource is ready for, and a count of events per
//! direction.

use super::interest::{BITS, Ready};
use crate::primitive::atomic::{AtomicU64, Ordering};

/// One word per source, changed by read-modify-writes only.
///
/// ```text
///   63            36 35             8 7         6  5          0
///  ┌────────────────┬────────────────┬───┬────────┬────────────┐
///  │ outbound tick  │  inbound tick  │ – │ closed │   Ready    │
///  └────────────────┴────────────────┴───┴────────┴────────────┘
/// ```
///
/// * **Ready**: set by events, cleared by an operation that would have blocked. The two bits
///   `READ_CLOSED` and `WRITE_CLOSED` are never cleared.
/// * **closed**: the reactor is closed. Never cleared: every later operation returns an error.
/// * **ticks**: each counts the events that concerned its direction, modulo 2²⁸. To clear
///   readiness, an operation shows the snapshot that it took *before* its system call. If the
///   direction's tick has moved since, an event came in between, and the readiness stays. A write
///   event does not move the read tick, nor the other way round.
///
/// | method | called by | changes |
/// |---|---|---|
/// | `set` | the worker that polls the reactor | sets bits, moves the ticks of the directions concerned |
/// | `clear` | an operation that would have blocked | clears bits, direction by direction, where the tick has not moved |
/// | `mark_closed` | the shutdown of the reactor | sets closed |
#[derive(Debug)]
pub(crate) struct Readiness(AtomicU64);

const CLOSED: u64 = 1 << BITS;

const TICK_BITS: u32 = 28;
const TICK_MASK: u64 = (1 << TICK_BITS) - 1;

/// The direction of an operation, seen from this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Reading, accepting.
    Read,
    /// Writing, connecting.
    Write,
}

impl Direction {
    pub(crate) const BOTH: [Direction; 2] = [Direction::Read, Direction::Write];

    /// Returns the readiness that ends a wait in this direction.
    pub(crate) fn mask(self) -> Ready {
        match self {
            Direction::Read => Ready::READABLE | Ready::READ_CLOSED,
            Direction::Write => Ready::WRITABLE | Ready::WRITE_CLOSED,
        }
    }

    /// Returns the readiness whose events this direction's tick counts.
    fn tick_mask(self) -> Ready {
        match self {
            Direction::Read => Ready::INBOUND,
            Direction::Write => Ready::OUTBOUND,
        }
    }

    fn tick_shift(self) -> u32 {
        match self {
            Direction::Read => u64::BITS - 2 * TICK_BITS,
            Direction::Write => u64::BITS - TICK_BITS,
        }
    }
}

/// The readiness word as it was at one moment. `clear` compares its ticks with the present ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot(u64);

impl Snapshot {
    pub(crate) fn ready(self) -> Ready {
        Ready::from_bits(self.0 as u8)
    }

    pub(crate) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    fn tick(self, direction: Direction) -> u64 {
        (self.0 >> direction.tick_shift()) & TICK_MASK
    }

    fn with(self, ready: Ready) -> Snapshot {
        Snapshot(self.0 | u64::from(ready.bits()))
    }

    fn without(self, ready: Ready) -> Snapshot {
        Snapshot(self.0 & !u64::from(ready.bits()))
    }

    fn ticked(self, direction: Direction) -> Snapshot {
        let shift = direction.tick_shift();
        let next = (self.tick(direction) + 1) & TICK_MASK;
        Snapshot(self.0 & !(TICK_MASK << shift) | next << shift)
    }
}

impl Readiness {
    pub(crate) fn new(ready: Ready) -> Readiness {
        Readiness(AtomicU64::new(Self::initial().with(ready).0))
    }

    pub(crate) fn load(&self) -> Snapshot {
        // Ordering: Acquire — pairs with the AcqRel in `Readiness::compare_exchange` and
        // `Readiness::mark_closed`: the caller sees what happened before the event or the close.
        Snapshot(self.0.load(Ordering::Acquire))
    }

    /// Stores the readiness of an event, and moves the ticks of the directions concerned.
    pub(crate) fn set(&self, ready: Ready) {
        let mut now = self.load();
        loop {
            let mut next = now.with(ready);
            for direction in Direction::BOTH {
                if ready.intersects(direction.tick_mask()) {
                    next = next.ticked(direction);
                }
            }
            match self.compare_exchange(now, next) {
                Ok(()) => return,
                Err(seen) => now = seen,
            }
        }
    }

    /// Clears `drained`, because an operation that began after the snapshot `seen` would have
    /// blocked. A direction with an event since then keeps its bits; so do the bits that last.
    pub(crate) fn clear(&self, drained: Ready, seen: Snapshot) {
        let mut now = self.load();
        loop {
            let mut cleared = Ready::EMPTY;
            for direction in Direction::BOTH {
                if now.tick(direction) == seen.tick(direction) {
                    cleared |= drained & direction.tick_mask();
                }
            }
            let next = now.without(cleared - Ready::LASTING);
            if next == now {
                return;
            }
            match self.compare_exchange(now, next) {
                Ok(()) => return,
                Err(seen) => now = seen,
            }
        }
    }

    /// Marks the reactor as closed, for good.
    pub(crate) fn mark_closed(&self) {
        // Ordering: AcqRel — the Release pairs with the Acquire in `Readiness::load`: an operation
        // that sees the mark sees what happened before the close. The mark is never cleared, so the
        // old value does not matter.
        self.0.fetch_or(CLOSED, Ordering::AcqRel);
    }

    fn compare_exchange(&self, now: Snapshot, next: Snapshot) -> Result<(), Snapshot> {
        // Ordering: AcqRel — pairs with itself and with the Acquire in `Readiness::load`: an
        // operation that sees an event sees what happened before it.
        match self.0.compare_exchange_weak(now.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            Err(seen) => Err(Snapshot(seen)),
        }
    }

    /// Returns a word whose ticks are just below their maximum, so that every test run sees them
    /// wrap.
    fn initial() -> Snapshot {
        let tick = TICK_MASK - 2;
        Snapshot(tick << Direction::Read.tick_shift() | tick << Direction::Write.tick_shift())
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    const BOTH: Ready = Ready::ALL;

    #[test]
    fn clear_after_an_event_of_the_other_direction_clears_its_own() {
        let word = Readiness::new(Ready::READABLE | Ready::WRITABLE);
        let seen = word.load();
        word.set(Ready::WRITABLE);
        word.clear(BOTH, seen);
        assert_eq!(word.load().ready(), Ready::WRITABLE);
        let seen = word.load();
        word.set(Ready::READABLE);
        word.clear(BOTH, seen);
        assert_eq!(word.load().ready(), Ready::READABLE);
    }

    #[test]
    fn clear_with_an_old_snapshot_clears_nothing_after_any_number_of_events() {
        let word = Readiness::new(Ready::EMPTY);
        let seen = word.load();
        for _ in 0..70_000 {
            word.set(Ready::READABLE);
            word.clear(Ready::READABLE, seen);
            assert_eq!(word.load().ready(), Ready::READABLE);
        }
        word.clear(Ready::READABLE, word.load());
        assert_eq!(word.load().ready(), Ready::EMPTY);
    }

    #[test]
    fn tick_that_wraps_stays_inside_its_own_bits() {
        let word = Readiness::new(Ready::EMPTY);
        // A carry out of the inbound tick would be seen in an even outbound tick only.
        word.set(Direction::Write.mask());
        for direction in Direction::BOTH {
            let other = if direction == Direction::Read { Direction::Write } else { Direction::Read };
            let (before, still) = (word.load().tick(direction), word.load().tick(other));
            for _ in 0..4 {
                word.set(direction.mask());
            }
            assert_eq!(word.load().tick(direction), (before + 4) & TICK_MASK);
            assert!(word.load().tick(direction) < before, "the tick has wrapped");
            assert_eq!(word.load().tick(other), still);
        }
        assert!(!word.load().is_closed());
    }

    #[test]
    fn clear_leaves_the_closed_bits() {
        let word = Readiness::new(Ready::EMPTY);
        word.set(BOTH);
        word.mark_closed();
        word.clear(BOTH, word.load());
        assert_eq!(word.load().ready(), Ready::READ_CLOSED | Ready::WRITE_CLOSED);
        assert!(word.load().is_closed());
    }

    #[test]
    fn set_and_clear_change_only_the_named_bits() {
        for start in 0..64 {
            for drained in 0..64 {
                let (start, drained) = (Ready::from_bits(start), Ready::from_bits(drained));
                let word = Readiness::new(start);
                word.clear(drained, word.load());
                assert_eq!(word.load().ready(), start - (drained - Ready::LASTING));
                let word = Readiness::new(start);
                word.set(drained);
                assert_eq!(word.load().ready(), start | drained);
            }
        }
    }
}
