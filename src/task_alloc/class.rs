//! Which blocks are kept, and in which class.

use std::alloc::Layout;

use super::{ALIGN, CLASSES, MALLOC_HEADER, SIZE_STEP};

/// Returns the class of a layout, if its blocks are kept.
#[inline]
pub(super) const fn class(layout: Layout) -> Option<usize> {
    let class = (layout.size() + MALLOC_HEADER).div_ceil(SIZE_STEP);
    if layout.align() <= ALIGN && class <= CLASSES && layout.size() > 0 { Some(class) } else { None }
}
