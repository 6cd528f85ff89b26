//! A thread's cell that holds another value for a while.

use std::cell::Cell;
use std::thread::LocalKey;

/// Gives a cell its old value back when it goes, also when the frame unwinds.
#[must_use = "the old value comes back when this goes"]
pub(crate) struct ScopedSet<T: Copy + 'static> {
    cell: &'static LocalKey<Cell<T>>,
    old: T,
}

/// Puts `value` into the cell while the answer lives.
pub(crate) fn set_scoped<T: Copy>(cell: &'static LocalKey<Cell<T>>, value: T) -> ScopedSet<T> {
    ScopedSet { cell, old: cell.replace(value) }
}

impl<T: Copy> Drop for ScopedSet<T> {
    fn drop(&mut self) {
        self.cell.set(self.old);
    }
}
