//! The system's time. Without the feature `test-util`, it cannot be paused.

use crate::primitive::real_now;
use std::time::Instant;

#[inline(always)]
pub(super) fn now() -> Instant {
    real_now()
}
