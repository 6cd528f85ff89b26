//! Timers without spans: without the feature `tracing-spans`, all of this compiles to nothing.

use std::task::Poll;

use crate::time::Instant;

/// The spans of one timer.
#[derive(Debug)]
pub(super) struct TimerSpan;

/// A poll of a timer.
#[derive(Debug)]
pub(super) struct TimerPoll;

impl TimerSpan {
    #[inline(always)]
    pub(super) fn of_sleep(_: Instant) -> TimerSpan {
        TimerSpan
    }

    #[inline(always)]
    pub(super) fn of_interval(_: Instant) -> TimerSpan {
        TimerSpan
    }

    #[inline(always)]
    pub(super) fn on_deadline(&self, _: Instant) {}

    #[inline(always)]
    pub(super) fn enter(&self) -> TimerPoll {
        TimerPoll
    }
}

impl TimerPoll {
    #[inline(always)]
    pub(super) fn end(self, polled: Poll<()>) -> Poll<()> {
        polled
    }
}
