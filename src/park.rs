#![doc = include_str!("../docs/park.md")]

use std::fmt;
use std::time::Instant;

use crate::sync::Futex;
use crate::sync::atomic::Ordering;

const EMPTY: u32 = 0;
const NOTIFIED: u32 = 1;
const PARKED: u32 = 2;
const DRIVING: u32 = 3;

/// What a parked thread can drive while it sleeps. The reactor is one; the models have another.
pub(crate) trait Drive {
    /// Sleeps until an event, an interrupt, or the deadline.
    fn rest(&mut self, deadline: Option<Instant>);
}

/// Where a thread sleeps. See [the page](self).
pub(crate) struct Parker {
    word: Futex,
}

/// What an unparker does next.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unpark {
    /// The sleeper has been woken, or was awake and will see it.
    Done,
    /// It sleeps in the reactor: interrupt that.
    Interrupt,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Parker { word: Futex::new(EMPTY) }
    }

    /// Sleeps until unparked, or until the deadline; may also return for no reason.
    pub(crate) fn park(&self, deadline: Option<Instant>) {
        if self.announce_sleep(PARKED) {
            self.word.wait(PARKED, deadline);
            let _ = self.wake_up();
        }
    }

    /// Sleeps in `drive` until unparked, or as `drive` says. Does not sleep if an unpark has come
    /// already. True if one has come.
    pub(crate) fn park_in(&self, drive: &mut impl Drive, deadline: Option<Instant>) -> bool {
        if !self.announce_sleep(DRIVING) {
            return true;
        }
        drive.rest(deadline);
        self.wake_up()
    }

    /// Whether an unpark has come that the next park would take.
    pub(crate) fn is_notified(&self) -> bool {
        // Ordering: Relaxed — who acts on it parks next, and takes the unpark by a
        // read-modify-write.
        self.word.atomic().load(Ordering::Relaxed) == NOTIFIED
    }

    /// Announces the sleep. False if an unpark had come: it is taken.
    fn announce_sleep(&self, how: u32) -> bool {
        // Ordering: Release — what the owner announced comes before; Acquire — as in `wake_up`.
        match self.word.atomic().compare_exchange(EMPTY, how, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(_) => !self.wake_up(),
        }
    }

    /// Takes the unpark, if one has come; says whether one has.
    fn wake_up(&self) -> bool {
        // Ordering: Acquire — pairs with the Release in `unpark`: what the unparker wrote can be
        // seen.
        self.word.atomic().swap(EMPTY, Ordering::AcqRel) == NOTIFIED
    }

    /// Wakes the owner, or keeps it from its next sleep.
    pub(crate) fn unpark(&self) -> Unpark {
        // Ordering: Release — pairs with the Acquire in `wake_up`.
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
        // Ordering: Relaxed — for show.
        let state = match self.word.atomic().load(Ordering::Relaxed) {
            EMPTY => "empty",
            NOTIFIED => "notified",
            PARKED => "parked",
            _ => "driving",
        };
        f.debug_tuple("Parker").field(&state).finish()
    }
}
