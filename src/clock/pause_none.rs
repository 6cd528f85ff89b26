//! Time that always goes: without the feature `test-util` there is nothing to ask, and all of this comes to nothing.

use std::time::Instant;

/// The hands of a clock that cannot be paused.
#[derive(Clone, Debug)]
pub(crate) struct PausableTime;

/// The right to let paused time pass: there is none.
#[derive(Debug)]
pub(crate) enum AdvancePermit {}

impl PausableTime {
    pub(super) fn never() -> Self {
        PausableTime
    }

    pub(super) fn possible(_: bool) -> Self {
        PausableTime
    }

    #[inline(always)]
    pub(super) fn shown(&self, real: u64) -> u64 {
        real
    }

    #[inline(always)]
    pub(super) fn show(&self, _: Instant) -> Instant {
        Instant::now()
    }

    #[inline(always)]
    pub(super) fn is_paused(&self) -> bool {
        false
    }

    #[inline(always)]
    pub(super) fn leap(&self, _: Option<u64>) -> Option<AdvancePermit> {
        None
    }

    #[inline(always)]
    pub(super) fn real(&self, until: u64) -> Option<u64> {
        Some(until)
    }

    #[inline(always)]
    pub(super) fn take(&self, leap: AdvancePermit) {
        match leap {}
    }

    #[inline(always)]
    pub(super) fn hold(&self) {}

    #[inline(always)]
    pub(super) fn release(&self) -> bool {
        false
    }
}
