//! Where the local slot of a seat is.

use std::mem::replace;

use crate::sync::Mutex;

/// What makes whoever holds it the worker of a seat; and whether he makes use of it.
///
/// The lock orders more than the local slot: whoever has found a seat vacant, or its worker away,
/// comes before those who take it, or come back, and these see what he had seen.
#[derive(Debug)]
pub(crate) struct LocalSlot<T>(Mutex<SlotState<T>>);

#[derive(Debug)]
enum SlotState<T> {
    /// Here: nobody sits in the seat.
    Vacant(Box<T>),
    /// With the seat's worker.
    Taken,
    /// With the seat's worker, who does not use it: it has stepped out in the midst of a poll, and
    /// will come back.
    Away,
}

impl<T> LocalSlot<T> {
    /// That of a vacant seat.
    pub(crate) fn new(local_slot: T) -> Self {
        LocalSlot(Mutex::new(SlotState::Vacant(Box::new(local_slot))))
    }

    /// Takes it, if nobody has it.
    pub(crate) fn try_take(&self) -> Option<Box<T>> {
        let mut place = self.0.lock();
        match replace(&mut *place, SlotState::Taken) {
            SlotState::Vacant(local_slot) => Some(local_slot),
            other => {
                *place = other;
                None
            }
        }
    }

    /// Gives it back.
    pub(crate) fn give_back(&self, local_slot: Box<T>) {
        let was = replace(&mut *self.0.lock(), SlotState::Vacant(local_slot));
        debug_assert!(matches!(was, SlotState::Taken), "a lease was given back by one who did not have it");
    }

    /// Its holder makes no use of it until [`LocalSlot::end_blocking`].
    pub(crate) fn begin_blocking(&self) {
        let was = replace(&mut *self.0.lock(), SlotState::Away);
        debug_assert!(matches!(was, SlotState::Taken), "somebody stepped out who was not in");
    }

    /// Its holder makes use of it again.
    pub(crate) fn end_blocking(&self) {
        let was = replace(&mut *self.0.lock(), SlotState::Taken);
        debug_assert!(matches!(was, SlotState::Away), "somebody came back who was not out");
    }

    /// Whether nobody sits in the seat.
    pub(crate) fn is_vacant(&self) -> bool {
        matches!(*self.0.lock(), SlotState::Vacant(_))
    }

    /// Whether its holder has stepped out.
    pub(crate) fn is_blocking(&self) -> bool {
        matches!(*self.0.lock(), SlotState::Away)
    }

    /// Whether somebody has it and makes use of it.
    pub(crate) fn is_active(&self) -> bool {
        matches!(*self.0.lock(), SlotState::Taken)
    }
}
