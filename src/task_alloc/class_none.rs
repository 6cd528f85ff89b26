//! With `--cfg heist_fresh_memory` no piece is kept: AddressSanitizer sees the use of a task that
//! has been freed only if its memory goes back to the allocator.

use std::alloc::Layout;

/// No layout has a class.
#[inline]
pub(super) const fn class(_: Layout) -> Option<usize> {
    None
}
