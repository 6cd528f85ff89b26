//! Tasks without spans: without the feature `tracing-spans`, all of this compiles to nothing.

use super::Header;

/// What is spawned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin;

#[allow(clippy::extra_unused_type_parameters, reason = "the other half uses them")]
impl Origin {
    pub(crate) const UNKNOWN: Origin = Origin;

    #[inline(always)]
    pub(crate) const fn task<F>() -> Origin {
        Origin
    }

    #[inline(always)]
    pub(crate) const fn local<F>() -> Origin {
        Origin
    }

    #[inline(always)]
    pub(crate) const fn blocking<F>() -> Origin {
        Origin
    }
}

/// What the wakers of a task report to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpanId;

impl SpanId {
    pub(super) const NONE: SpanId = SpanId;

    #[inline(always)]
    pub(crate) fn on_clone(self) {}

    #[inline(always)]
    pub(crate) fn on_wake(self) {}

    #[inline(always)]
    pub(crate) fn on_wake_by_ref(self) {}

    #[inline(always)]
    pub(crate) fn on_drop(self) {}
}

/// The span of a task.
#[derive(Debug)]
pub(crate) struct TaskSpan;

impl TaskSpan {
    #[inline(always)]
    pub(crate) fn instrument<F>(self, future: F) -> Spanned<F> {
        future
    }
}

impl Header {
    #[inline(always)]
    pub(super) fn open_span(&mut self) -> TaskSpan {
        TaskSpan
    }
}

/// A future as it is.
pub(crate) type Spanned<F> = F;
