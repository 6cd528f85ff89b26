//! The readiness word: what a resource is ready for, and how often each direction has been heard
//! of.

use super::interest::{BITS, Ready};
use crate::sync::atomic::{AtomicU64, Ordering};

/// One word per source, changed by compare-and-swap only.
///
/// ```text
///   63            36 35             8 7         6  5          0
///  ┌────────────────┬────────────────┬───┬────────┬────────────┐
///  │ outbound tick  │  inbound tick  │ – │ closed │   Ready    │
///  └────────────────┴────────────────┴───┴────────┴────────────┘
/// ```
///
/// * **Ready**: set by events, taken back by an operation that would have blocked. The two closed
///   bits last.
/// * **closed**: the reactor is gone. Never taken back: every later operation answers with an
///   error.
/// * **ticks**: each counts the events that concerned its direction, modulo 2²⁸. Whoever takes
///   readiness back shows the snapshot that it saw *before* its operation; if the direction's tick
///   has moved since, an event came in between and the readiness stays. Writing does not move the
///   reader's tick, nor the other way round.
///
/// | verb | by | changes |
/// |---|---|---|
/// | `arrive` | who turns the reactor | sets bits, moves the ticks of the directions concerned |
/// | `clear` | whose operation would have blocked | takes bits back, direction by direction, where the tick has not moved |
/// | `close` | who closes the reactor | sets closed |
#[derive(Debug)]
pub(crate) struct Readiness(AtomicU64);

const CLOSED: u64 = 1 << BITS;

const TICK_BITS: u32 = 28;
const TICK_MASK: u64 = (1 << TICK_BITS) - 1;

/// Which way bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Towards us: reading, accepting.
    Read,
    /// Away from us: writing, connecting.
    Write,
}

impl Direction {
    pub(crate) const BOTH: [Direction; 2] = [Direction::Read, Direction::Write];

    /// What ends a wait in this direction.
    pub(crate) fn mask(self) -> Ready {
        match self {
            Direction::Read => Ready::READABLE | Ready::READ_CLOSED,
            Direction::Write => Ready::WRITABLE | Ready::WRITE_CLOSED,
        }
    }

    /// Everything whose arrivals this direction's tick counts.
    fn counted(self) -> Ready {
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

/// The readiness word as it was at one moment; shown to `clear`, it is the completion.
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
        Readiness(AtomicU64::new(Self::first().with(ready).0))
    }

    pub(crate) fn load(&self) -> Snapshot {
        // Ordering: Acquire, pairs with the Release in `arrive` and `close`.
        Snapshot(self.0.load(Ordering::Acquire))
    }

    /// An event has come.
    pub(crate) fn set(&self, ready: Ready) {
        let mut now = self.load();
        loop {
            let mut next = now.with(ready);
            for direction in Direction::BOTH {
                if ready.meets(direction.counted()) {
                    next = next.ticked(direction);
                }
            }
            match self.change(now, next) {
                Ok(()) => return,
                Err(seen) => now = seen,
            }
        }
    }

    /// An operation that began after `seen` would have blocked: takes `drained` back, except where
    /// something has arrived since. What lasts stays.
    pub(crate) fn clear(&self, drained: Ready, seen: Snapshot) {
        let mut now = self.load();
        loop {
            let mut gone = Ready::EMPTY;
            for direction in Direction::BOTH {
                if now.tick(direction) == seen.tick(direction) {
                    gone |= drained & direction.counted();
                }
            }
            let next = now.without(gone - Ready::LASTING);
            if next == now {
                return;
            }
            match self.change(now, next) {
                Ok(()) => return,
                Err(seen) => now = seen,
            }
        }
    }

    /// The reactor is gone.
    pub(crate) fn mark_closed(&self) {
        // Ordering: Release, pairs with the Acquire in `load`. One way, so nothing needs to be
        // read.
        self.0.fetch_or(CLOSED, Ordering::AcqRel);
    }

    fn change(&self, now: Snapshot, next: Snapshot) -> Result<(), Snapshot> {
        // Ordering: AcqRel, pairs with itself and with the Acquire in `load`: who sees an event
        // sees what came before it.
        match self.0.compare_exchange_weak(now.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            Err(seen) => Err(Snapshot(seen)),
        }
    }

    /// Ticks begin just below their end, so that every run of the tests sees them wrap.
    fn first() -> Snapshot {
        let tick = TICK_MASK - 2;
        Snapshot(tick << Direction::Read.tick_shift() | tick << Direction::Write.tick_shift())
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;

    const BOTH: Ready = Ready::ALL;

    #[test]
    fn an_event_of_the_other_direction_does_not_prevent_clearing() {
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
    fn an_old_ticket_clears_nothing_however_many_events_have_come() {
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
    fn ticks_wrap_inside_their_own_bits() {
        let word = Readiness::new(Ready::EMPTY);
        for direction in Direction::BOTH {
            let other = if direction == Direction::Read { Direction::Write } else { Direction::Read };
            let (before, still) = (word.load().tick(direction), word.load().tick(other));
            for _ in 0..4 {
                word.set(direction.mask());
            }
            assert_eq!(word.load().tick(direction), (before + 4) & TICK_MASK);
            assert!(word.load().tick(direction) < before, "it has wrapped");
            assert_eq!(word.load().tick(other), still);
        }
        assert!(!word.load().is_closed());
    }

    #[test]
    fn what_lasts_is_never_cleared() {
        let word = Readiness::new(Ready::EMPTY);
        word.set(BOTH);
        word.mark_closed();
        word.clear(BOTH, word.load());
        assert_eq!(word.load().ready(), Ready::READ_CLOSED | Ready::WRITE_CLOSED);
        assert!(word.load().is_closed());
    }

    #[test]
    fn for_every_event_and_every_clear_only_the_named_bits_change() {
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
