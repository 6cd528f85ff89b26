//! Which pieces are kept, and as what.

use std::alloc::Layout;

use super::{ALIGN, CLASSES, HEAD, STEP};

/// The class of a layout, if its pieces are kept.
#[inline]
pub(super) const fn class(layout: Layout) -> Option<usize> {
    let class = (layout.size() + HEAD).div_ceil(STEP);
    if layout.align() <= ALIGN && class <= CLASSES && layout.size() > 0 { Some(class) } else { None }
}
