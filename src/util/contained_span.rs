//! Spans of `tracing` whose subscriber may panic (feature `tracing-spans`).

use std::fmt;

use tracing::Span;

use super::wake_list::catch_user_panic;

/// What a caught panic is attributed to.
const SUBSCRIBER: &str = "a tracing subscriber";

/// Calls the subscriber, which is user code, and catches its panic.
pub(crate) fn call_subscriber(call: impl FnOnce()) {
    catch_user_panic(SUBSCRIBER, call);
}

/// A span of `tracing`. Its drop closes it. A panic of the subscriber is caught: it neither ends
/// the task nor aborts the process.
pub(crate) struct ContainedSpan(Span);

impl ContainedSpan {
    /// Opens the span that `open` makes. If no subscriber wants it, nothing is open.
    pub(crate) fn open(open: impl FnOnce() -> Span) -> ContainedSpan {
        let mut span = Span::none();
        call_subscriber(|| span = open());
        ContainedSpan(span)
    }

    /// Returns the number of the span's id, or zero if nothing is open.
    pub(crate) fn number(&self) -> u64 {
        self.0.id().map_or(0, |id| id.into_u64())
    }

    /// Enters the span, until the returned guard is dropped.
    pub(crate) fn enter(&self) -> EnteredSpan<'_> {
        call_subscriber(|| {
            let _entered = self.0.with_subscriber(|(id, subscriber)| subscriber.enter(id));
        });
        EnteredSpan(&self.0)
    }
}

impl Drop for ContainedSpan {
    fn drop(&mut self) {
        let span = std::mem::replace(&mut self.0, Span::none());
        call_subscriber(|| drop(span));
    }
}

impl fmt::Debug for ContainedSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ContainedSpan").field(&self.number()).finish()
    }
}

/// Exits a span when it is dropped.
#[derive(Debug)]
#[must_use = "the span is exited when this is dropped"]
pub(crate) struct EnteredSpan<'a>(&'a Span);

impl Drop for EnteredSpan<'_> {
    fn drop(&mut self) {
        call_subscriber(|| {
            let _exited = self.0.with_subscriber(|(id, subscriber)| subscriber.exit(id));
        });
    }
}
