//! The system's time. Without the feature `test-util`, it cannot be paused.

use std::time::Instant;

use crate::primitive::real_now;

#[inline(always)]
pub(super) fn now() -> Instant {
    real_now()
}
