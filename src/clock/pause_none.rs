//! Timer time that always runs: without the feature `test-util` all of this compiles to nothing.

use std::time::Instant;

use crate::primitive::real_now;

/// The timer time of a clock that cannot be paused.
#[derive(Clone, Debug)]
pub(crate) struct PausableTime;

/// The right to advance paused time. It cannot exist here.
#[derive(Debug)]
pub(crate) enum AdvancePermit {}

impl PausableTime {
    pub(super) fn not_pausable() -> Self {
        PausableTime
    }

    pub(super) fn pausable(_: bool) -> Self {
        PausableTime
    }

    #[inline(always)]
    pub(super) fn to_timer_time(&self, real: u64) -> u64 {
        real
    }

    #[inline(always)]
    pub(super) fn timer_now(&self, _: Instant) -> Instant {
        real_now()
    }

    #[inline(always)]
    pub(super) fn is_paused(&self) -> bool {
        false
    }

    #[inline(always)]
    pub(super) fn permit_advance(&self, _: Option<u64>) -> Option<AdvancePermit> {
        None
    }

    #[inline(always)]
    pub(super) fn real_deadline(&self, until: u64) -> Option<u64> {
        Some(until)
    }

    #[inline(always)]
    pub(super) fn advance_by_permit(&self, permit: AdvancePermit) {
        match permit {}
    }

    #[inline(always)]
    pub(super) fn inhibit_auto_advance(&self) {}

    #[inline(always)]
    pub(super) fn allow_auto_advance(&self) -> bool {
        false
    }
}
