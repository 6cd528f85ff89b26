//! A processor whose counter is not used.

/// Returns false: the runtime's clock is used.
pub(super) fn is_invariant() -> bool {
    false
}

/// Returns zero, and is not called.
#[inline]
pub(super) fn read() -> u64 {
    0
}
