//! The `tracing` spans of a timer (feature `tracing-spans`).
//!
//! tokio-console shows a timer as a resource, and the wait for it as an operation on that resource.
//! The names of spans, events and fields are those that `console-subscriber` looks for.

use std::panic::Location;
use std::task::Poll;

use crate::time::{Duration, Instant};
use crate::util::contained_span::{ContainedSpan, EnteredSpan, call_subscriber};

/// The spans of one timer. They are closed when the timer is dropped.
#[derive(Debug)]
pub(super) struct TimerSpan {
    // In the order of their closing.
    poll: ContainedSpan,
    operation: ContainedSpan,
    resource: ContainedSpan,
    poll_name: &'static str,
}

impl TimerSpan {
    /// Opens the spans of a sleep until `deadline`.
    #[track_caller]
    pub(super) fn of_sleep(deadline: Instant) -> TimerSpan {
        TimerSpan::open("Sleep", "Sleep::new", "poll_elapsed", deadline, Location::caller())
    }

    /// Opens the spans of an interval whose first tick is at `start`.
    #[track_caller]
    pub(super) fn of_interval(start: Instant) -> TimerSpan {
        TimerSpan::open("Interval", "Interval::tick", "poll_tick", start, Location::caller())
    }

    fn open(
        concrete_type: &'static str,
        source: &'static str,
        poll_name: &'static str,
        deadline: Instant,
        location: &'static Location<'static>,
    ) -> TimerSpan {
        let resource = ContainedSpan::open(|| {
            tracing::trace_span!(
                target: "heist::time",
                parent: None,
                "runtime.resource",
                concrete_type,
                kind = "timer",
                is_internal = false,
                inherits_child_attrs = false,
                loc.file = location.file(),
                loc.line = location.line(),
                loc.col = location.column(),
            )
        });
        let entered = resource.enter();
        let operation = ContainedSpan::open(
            || tracing::trace_span!(target: "heist::time", "runtime.resource.async_op", source, inherits_child_attrs = false),
        );
        let in_operation = operation.enter();
        let poll =
            ContainedSpan::open(|| tracing::trace_span!(target: "heist::time", "runtime.resource.async_op.poll"));
        drop((in_operation, entered));
        let span = TimerSpan { poll, operation, resource, poll_name };
        span.on_deadline(deadline);
        span
    }

    /// Reports a new deadline.
    pub(super) fn on_deadline(&self, deadline: Instant) {
        let _entered = self.resource.enter();
        call_subscriber(|| {
            let duration = millis(deadline.saturating_duration_since(Instant::now()));
            tracing::trace!(
                target: "runtime::resource::state_update",
                duration,
                duration.unit = "ms",
                duration.op = "override",
            );
        });
    }

    /// Enters the spans for a poll. [`TimerPoll::end`] exits them.
    pub(super) fn enter(&self) -> TimerPoll<'_> {
        let (resource, operation) = (self.resource.enter(), self.operation.enter());
        TimerPoll { poll_name: self.poll_name, _entered: [self.poll.enter(), operation, resource] }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A poll of a timer, inside of its spans.
#[derive(Debug)]
pub(super) struct TimerPoll<'a> {
    poll_name: &'static str,
    /// The innermost first: they are exited in this order.
    _entered: [EnteredSpan<'a>; 3],
}

impl TimerPoll<'_> {
    /// Reports the result of the poll, and returns it.
    pub(super) fn end(self, polled: Poll<()>) -> Poll<()> {
        let (op_name, is_ready) = (self.poll_name, polled.is_ready());
        call_subscriber(|| tracing::trace!(target: "runtime::resource::poll_op", op_name, is_ready));
        polled
    }
}
