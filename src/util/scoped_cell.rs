//! Sets a thread-local cell for the length of a scope.

use std::cell::Cell;
use std::thread::LocalKey;

/// Restores a cell's old value when it is dropped, also while the frame unwinds.
#[must_use = "the old value is restored when this is dropped"]
pub(crate) struct ScopedSet<T: Copy + 'static> {
    cell: &'static LocalKey<Cell<T>>,
    old: T,
}

/// Sets the cell to `value` until the returned guard is dropped.
pub(crate) fn set_scoped<T: Copy>(cell: &'static LocalKey<Cell<T>>, value: T) -> ScopedSet<T> {
    ScopedSet { cell, old: cell.replace(value) }
}

impl<T: Copy> Drop for ScopedSet<T> {
    fn drop(&mut self) {
        self.cell.set(self.old);
    }
}
