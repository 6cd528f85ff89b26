//! The local slot of a seat: it lends the seat's thread-only state to one thread at a time.

use std::mem::replace;

use crate::primitive::Mutex;

/// The place of a seat's local state. The thread that has taken the state is the seat's worker.
///
/// The lock orders more than the state itself. Suppose that a thread finds the seat vacant, or its
/// worker in a blocking section. A worker that takes the state later, or ends its section later,
/// sees everything that this thread had seen.
#[derive(Debug)]
pub(crate) struct LocalSlot<T>(Mutex<SlotState<T>>);

#[derive(Debug)]
enum SlotState<T> {
    /// The state is here, and the seat has no worker.
    Vacant(Box<T>),
    /// The seat's worker has the state and uses it.
    Taken,
    /// The seat's worker has the state, but is in a blocking section: it does not use the state.
    Blocking,
}

impl<T> LocalSlot<T> {
    /// Returns the slot of a vacant seat.
    pub(crate) fn new(local: T) -> Self {
        LocalSlot(Mutex::new(SlotState::Vacant(Box::new(local))))
    }

    /// Takes the state. `None` if the seat has a worker.
    pub(crate) fn try_take(&self) -> Option<Box<T>> {
        let mut state = self.0.lock();
        match replace(&mut *state, SlotState::Taken) {
            SlotState::Vacant(local) => Some(local),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Gives the state back.
    pub(crate) fn give_back(&self, local: Box<T>) {
        let previous = replace(&mut *self.0.lock(), SlotState::Vacant(local));
        debug_assert!(matches!(previous, SlotState::Taken), "the local state was given back without being taken");
    }

    /// Begins a blocking section: the worker does not use the state until
    /// [`LocalSlot::end_blocking`].
    pub(crate) fn begin_blocking(&self) {
        let previous = replace(&mut *self.0.lock(), SlotState::Blocking);
        debug_assert!(matches!(previous, SlotState::Taken), "a blocking section began without a worker");
    }

    /// Ends a blocking section: the worker uses the state again.
    pub(crate) fn end_blocking(&self) {
        let previous = replace(&mut *self.0.lock(), SlotState::Taken);
        debug_assert!(matches!(previous, SlotState::Blocking), "a blocking section ended that had not begun");
    }

    /// Returns true if the seat has no worker.
    pub(crate) fn is_vacant(&self) -> bool {
        matches!(*self.0.lock(), SlotState::Vacant(_))
    }

    /// Returns true if the seat's worker is in a blocking section.
    pub(crate) fn is_blocking(&self) -> bool {
        matches!(*self.0.lock(), SlotState::Blocking)
    }

    /// Returns true if the seat has a worker that uses the state.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(*self.0.lock(), SlotState::Taken)
    }
}
