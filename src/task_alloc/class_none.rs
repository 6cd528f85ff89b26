//! With `--cfg heist_fresh_memory`, no block is kept. AddressSanitizer detects the use of a freed
//! task only if its memory goes back to the allocator.

use std::alloc::Layout;

/// Returns `None`: no layout has a class.
#[inline]
pub(super) const fn class(_: Layout) -> Option<usize> {
    None
}
