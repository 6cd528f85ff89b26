//! The system's time. Without the feature `test-util`, it cannot be paused.

use std::time::Instant;

#[inline(always)]
pub(super) fn now() -> Instant {
    Instant::now()
}
