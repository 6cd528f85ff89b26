#![doc = include_str!("../docs/idle.md")]

use std::fmt;

use crate::sync::CachePadded;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// In the idle word: the watchdog sleeps, and whoever gets up or wakes somebody has to see that it
/// watches again.
const WATCHDOG_ASLEEP: usize = 1;
/// One searcher: the low half, above that bit.
const SEARCHER: usize = 1 << 1;
/// One sleeper: the high half.
const SLEEPER: usize = 1 << 16;

/// How many seats one word of the mask holds.
const BITS: usize = 64;

/// Who searches and who sleeps. See [the page](self).
pub(crate) struct Idle {
    counts: CachePadded<AtomicUsize>,
    /// Invariant: a set bit is an announced sleeper whose wake-up nobody has granted.
    mask: Box<[AtomicU64]>,
}

/// The counts at one moment.
///
/// Whoever grants a wake-up clears the bit first and counts afterwards; the woken may be through
/// with its search by then. So either count may be too low for a moment, even below zero. Never is
/// a searcher counted that does not search.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts(usize);

/// What a worker is that has taken its announcement back.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Retract {
    /// A plain worker.
    Working,
    /// A searcher: it wanted to be one, or somebody had granted it a wake-up.
    Searching,
}

impl Idle {
    /// For seats numbered below `seats`, all of whose workers are busy.
    pub(crate) fn new(seats: usize) -> Self {
        Idle {
            counts: CachePadded::new(AtomicUsize::new(0)),
            mask: (0..seats.div_ceil(BITS)).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The counts, for deciding whether a wake-up pays; the decision may be outdated.
    #[inline]
    pub(crate) fn counts(&self) -> Counts {
        // Ordering: Relaxed — a hint; see "who makes the handshake".
        Counts(self.counts.load(Ordering::Relaxed))
    }

    /// Becomes a searcher, if fewer than half of `workers` are. Step down with [`Idle::end_search`] or
    /// [`Idle::announce`].
    pub(crate) fn try_search(&self, workers: usize) -> bool {
        let allowed =
            |now: usize| (2 * Counts(now).searchers() < workers as isize).then_some(now.wrapping_add(SEARCHER));
        // Ordering: Relaxed — a searcher reads queues under their own orderings, and its leaving is
        // what is ordered.
        self.counts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, allowed).is_ok()
    }

    /// A searcher leaves with work. True if it was the last one: it has to look whether there is
    /// more.
    #[must_use]
    pub(crate) fn end_search(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `handshake`: a submitter that counted on us
        // has published its work.
        let was = Counts(self.counts.fetch_sub(SEARCHER, Ordering::AcqRel));
        // Less than one if whoever woke us has not counted us yet.
        was.searchers() <= 1
    }

    /// The worker of `seat` is going to sleep; the last look follows.
    pub(crate) fn announce(&self, seat: usize, searching: bool) {
        // Ordering: Relaxed — published by the next line.
        self.bitmap_word(seat).fetch_or(seat_bit(seat), Ordering::Relaxed);
        let change = SLEEPER - if searching { SEARCHER } else { 0 };
        // Ordering: Release — publishes the bit; Acquire — pairs with the Release in `handshake`:
        // work that was published before it is seen by the last look.
        self.counts.fetch_add(change, Ordering::AcqRel);
    }

    /// The worker of `seat` is up, because of what its last look found, an event, a deadline or an
    /// unpark; and it goes on as a searcher if it likes.
    pub(crate) fn withdraw(&self, seat: usize, searching: bool) -> Retract {
        // Ordering: Acquire — pairs with the Release in `claim`.
        let was = self.bitmap_word(seat).fetch_and(!seat_bit(seat), Ordering::AcqRel);
        if was & seat_bit(seat) == 0 {
            // Whoever has cleared it counts us as a searcher, or is about to.
            return Retract::Searching;
        }
        let change = if searching { SEARCHER } else { 0 };
        // Ordering: Acquire — as in `found`: a submitter that saw no bit leaves its work to us;
        // Release — goes on with the sequence of the submitters before us.
        self.counts.fetch_add(change.wrapping_sub(SLEEPER), Ordering::AcqRel);
        if searching { Retract::Searching } else { Retract::Working }
    }

    /// Whether the worker of `seat` sleeps and has not been granted a wake-up.
    pub(crate) fn is_announced(&self, seat: usize) -> bool {
        // Ordering: Acquire — pairs with the Release in `claim`.
        self.bitmap_word(seat).load(Ordering::Acquire) & seat_bit(seat) != 0
    }

    /// Grants a wake-up for work that has been published. Answers the seat to unpark.
    #[must_use]
    pub(crate) fn claim_sleeper(&self) -> Option<usize> {
        // A read-modify-write of the same value: it takes its place in the order of all changes to
        // the word. Ordering: Release — publishes the work to `announce`, `retract` and `found`;
        // Acquire — pairs with the Release in `announce`: the bits of those who are counted can be
        // seen.
        let counts = Counts(self.counts.fetch_add(0, Ordering::AcqRel));
        if counts.could_wake() { self.claim() } else { None }
    }

    /// Clears one bit, the lowest that is set. Seats fill from below, so the same workers stay
    /// warm.
    fn claim(&self) -> Option<usize> {
        for (index, word) in self.mask.iter().enumerate() {
            // Ordering: Relaxed — the exchange below decides; who is counted can be seen already.
            let mut now = word.load(Ordering::Relaxed);
            while now != 0 {
                let lowest = now & now.wrapping_neg();
                // Ordering: Release, Acquire — pair with each other over `retract`.
                let was = word.fetch_and(!lowest, Ordering::AcqRel);
                if was & lowest != 0 {
                    // Ordering: Release — the work that we were told of comes before the wake-up;
                    // Acquire — keeps the submitters before us in order.
                    self.counts.fetch_add(SEARCHER.wrapping_sub(SLEEPER), Ordering::AcqRel);
                    return Some(index * BITS + lowest.trailing_zeros() as usize);
                }
                now = was & !lowest;
            }
        }
        None
    }

    /// Says that nobody watches. Who gets up afterwards, or clears a bit, sees it; who was up
    /// before is seen by the caller, who looks at all seats now.
    pub(crate) fn set_watchdog_asleep(&self) {
        // Ordering: Release — goes on with the sequence of the submitters; Acquire — pairs with the
        // Release of whoever got up before.
        self.counts.fetch_or(WATCHDOG_ASLEEP, Ordering::AcqRel);
    }

    /// Takes that back. True for one of those who try: he has to see that somebody watches.
    #[must_use]
    pub(crate) fn claim_watchdog_wake(&self) -> bool {
        // Ordering: Release, Acquire — as in `leave_unwatched`: a thread that was never announced
        // is seen by the watchdog, or sees it.
        self.counts.fetch_and(!WATCHDOG_ASLEEP, Ordering::AcqRel) & WATCHDOG_ASLEEP != 0
    }

    fn bitmap_word(&self, seat: usize) -> &AtomicU64 {
        &self.mask[seat / BITS]
    }
}

fn seat_bit(seat: usize) -> u64 {
    1 << (seat % BITS)
}

impl Counts {
    pub(crate) fn searchers(self) -> isize {
        // The low half, with its sign.
        isize::from(self.0 as i16 >> 1)
    }

    pub(crate) fn sleepers(self) -> isize {
        (self.0 as isize).wrapping_sub(isize::from(self.0 as i16)) / SLEEPER as isize
    }

    /// Nobody watches. Not outdated for whoever has just changed the word in order to get up, or to
    /// wake somebody.
    #[inline]
    pub(crate) fn is_unwatched(self) -> bool {
        self.0 & WATCHDOG_ASLEEP != 0
    }

    /// Somebody sleeps, and nobody searches.
    #[inline]
    pub(crate) fn could_wake(self) -> bool {
        self.searchers() <= 0 && self.sleepers() > 0
    }
}

impl Drop for Idle {
    /// With everybody gone nobody sleeps or searches: else a wake-up was granted, or a search
    /// ended, once too often or never.
    fn drop(&mut self) {
        if cfg!(debug_assertions) && !std::thread::panicking() {
            assert!(self.counts().0 & !WATCHDOG_ASLEEP == 0, "the idle counts have drifted: {:?}", self.counts());
        }
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counts").field("searchers", &self.searchers()).field("sleepers", &self.sleepers()).finish()
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts().fmt(f)
    }
}
