#![doc = include_str!("../docs/park.md")]

use std::fmt;
use std::time::Instant;

use crate::primitive::Futex;
use crate::primitive::atomic::Ordering;

const EMPTY: u32 = 0;
const NOTIFIED: u32 = 1;
const PARKED: u32 = 2;
const DRIVING: u32 = 3;

/// Something that a parked thread drives while it sleeps: the reactor, or its stand-in in a model.
pub(crate) trait Drive {
    /// Sleeps until an event, an interrupt, or the deadline.
    fn sleep(&mut self, deadline: Option<Instant>);
}

/// The word on which one thread sleeps. See [the page](self).
pub(crate) struct Parker {
    word: Futex,
}

/// Next step of an unparker.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unpark {
    /// Nothing: the sleeper has been woken, or was awake and will see the unpark.
    Done,
    /// The owner sleeps in the reactor: interrupt the reactor.
    Interrupt,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Parker { word: Futex::new(EMPTY) }
    }

    /// Sleeps until an unpark, or until the deadline. May also return for no reason.
    pub(crate) fn park(&self, deadline: Option<Instant>) {
        if self.announce_sleep(PARKED) {
            self.word.wait(PARKED, deadline);
            let _ = self.wake_up();
        }
    }

    /// Sleeps in `drive` until an unpark, or until `drive` returns. If an unpark has come already,
    /// it does not sleep. Returns true if an unpark has come.
    pub(crate) fn park_in(&self, drive: &mut impl Drive, deadline: Option<Instant>) -> bool {
        if !self.announce_sleep(DRIVING) {
            return true;
        }
        drive.sleep(deadline);
        self.wake_up()
    }

    /// Returns true if an unpark has come that the next park would consume.
    pub(crate) fn is_notified(&self) -> bool {
        // Ordering: Relaxed — a caller that acts on it parks next, and consumes the unpark by a
        // read-modify-write.
        self.word.atomic().load(Ordering::Relaxed) == NOTIFIED
    }

    /// Announces the sleep. If an unpark had come, consumes it and returns false.
    fn announce_sleep(&self, how: u32) -> bool {
        // Ordering: Release — the owner's earlier writes come before the sleep. Acquire — as in
        // `Parker::wake_up`.
        match self.word.atomic().compare_exchange(EMPTY, how, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(_) => !self.wake_up(),
        }
    }

    /// Consumes the unpark if one has come, and returns whether one has.
    fn wake_up(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `Parker::unpark`: the unparker's writes can
        // be seen.
        self.word.atomic().swap(EMPTY, Ordering::AcqRel) == NOTIFIED
    }

    /// Wakes the owner, or prevents its next sleep.
    pub(crate) fn unpark(&self) -> Unpark {
        // Ordering: Release — pairs with the Acquire in `Parker::wake_up`.
        match self.word.atomic().swap(NOTIFIED, Ordering::AcqRel) {
            PARKED => self.word.wake(),
            DRIVING => return Unpark::Interrupt,
            _ => {}
        }
        Unpark::Done
    }
}

impl fmt::Debug for Parker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Ordering: Relaxed — for display.
        let state = match self.word.atomic().load(Ordering::Relaxed) {
            EMPTY => "empty",
            NOTIFIED => "notified",
            PARKED => "parked",
            _ => "driving",
        };
        f.debug_tuple("Parker").field(&state).finish()
    }
}
