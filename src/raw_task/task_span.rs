//! The `tracing` span of a task, and the events of its wakers (feature `tracing-spans`).
//!
//! tokio-console reads both. The span is open from the creation of the task until its future has
//! been dropped, and each poll enters it. The names of spans, events and fields are those that
//! `console-subscriber` looks for. The subscriber runs on the thread that spawns, polls or wakes.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{BOXED_ABOVE, Header, Id};
use crate::util::contained_span::{ContainedSpan, call_subscriber};

/// What is spawned: its kind, and the size of its future or function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin(&'static Spawned);

#[derive(Debug)]
struct Spawned {
    kind: &'static str,
    size: usize,
}

impl Origin {
    /// The origin of a task whose spawn does not tell it.
    pub(crate) const UNKNOWN: Origin = Origin(&Spawned { kind: "task", size: 0 });

    /// Returns the origin of a task.
    pub(crate) const fn task<F>() -> Origin {
        Origin(const { &Spawned { kind: "task", size: size_of::<F>() } })
    }

    /// Returns the origin of a task that stays on its thread.
    pub(crate) const fn local<F>() -> Origin {
        Origin(const { &Spawned { kind: "local", size: size_of::<F>() } })
    }

    /// Returns the origin of a blocking job.
    pub(crate) const fn blocking<F>() -> Origin {
        Origin(const { &Spawned { kind: "blocking", size: size_of::<F>() } })
    }

    /// Returns the origin of the root future of a `block_on`.
    pub(crate) const fn block_on<F>() -> Origin {
        Origin(const { &Spawned { kind: "block_on", size: size_of::<F>() } })
    }

    /// Returns the size of what the task keeps. If that is a box, also returns the size of what is
    /// in it.
    fn sizes(self) -> (usize, Option<usize>) {
        let size = self.0.size;
        if self.0.kind != "block_on" && size > BOXED_ABOVE {
            (size_of::<Pin<Box<()>>>(), Some(size))
        } else {
            (size, None)
        }
    }
}

/// The span of a task, as its wakers name it. Wakers outlive the span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpanId(u64);

impl SpanId {
    /// The span of a task that has none.
    pub(super) const NONE: SpanId = SpanId(0);

    /// Reports that a waker of the task has been cloned.
    pub(crate) fn on_clone(self) {
        self.report("waker.clone");
    }

    /// Reports that a waker of the task is woken and consumed.
    pub(crate) fn on_wake(self) {
        self.report("waker.wake");
    }

    /// Reports that a waker of the task is woken, and stays.
    pub(crate) fn on_wake_by_ref(self) {
        self.report("waker.wake_by_ref");
    }

    /// Reports that a waker of the task is dropped.
    pub(crate) fn on_drop(self) {
        self.report("waker.drop");
    }

    fn report(self, op: &'static str) {
        if self.0 != 0 {
            call_subscriber(|| tracing::trace!(target: "runtime::waker", op, task.id = self.0));
        }
    }
}

/// The span of a task that has not ended. Its drop closes it.
#[derive(Debug)]
pub(crate) struct TaskSpan(ContainedSpan);

impl TaskSpan {
    /// Opens the span of the root future of a `block_on`.
    pub(crate) fn of_root(origin: Origin, location: &'static Location<'static>) -> TaskSpan {
        TaskSpan::open(origin, Id::next(), location, None, None)
    }

    fn open(
        origin: Origin,
        id: Id,
        location: &'static Location<'static>,
        name: Option<&str>,
        group: Option<&str>,
    ) -> TaskSpan {
        let (size, original_size) = origin.sizes();
        TaskSpan(ContainedSpan::open(|| {
            tracing::trace_span!(
                target: "heist::task",
                parent: None,
                "runtime.spawn",
                kind = origin.0.kind,
                task.name = name,
                task.id = id.get(),
                task.group = group,
                size.bytes = size,
                original_size.bytes = original_size,
                loc.file = location.file(),
                loc.line = location.line(),
                loc.col = location.column(),
            )
        }))
    }

    /// Returns what the wakers of the task report to.
    pub(crate) fn id(&self) -> SpanId {
        SpanId(self.0.number())
    }

    /// Returns a future that enters the span during each poll, and closes it when it is dropped.
    pub(crate) fn instrument<F>(self, future: F) -> Spanned<F> {
        Spanned { future, span: self }
    }
}

impl Header {
    /// Opens the span of this task, to which its wakers report from now on.
    pub(super) fn open_span(&mut self) -> TaskSpan {
        let name = self.name().map(|name| &**name);
        let group = self.group().map(|group| &**group.name());
        let span = TaskSpan::open(self.spawn_meta.origin(), self.id, self.location(), name, group);
        self.span = span.id();
        span
    }
}

/// A future with its span. The future is dropped first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Spanned<F> {
    future: F,
    span: TaskSpan,
}

impl<F: Future> Future for Spanned<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the future is pinned with `self`: it is not moved, and `Spanned` has no
        // destructor of its own.
        let this = unsafe { self.get_unchecked_mut() };
        let _entered = this.span.0.enter();
        // SAFETY: as above.
        unsafe { Pin::new_unchecked(&mut this.future) }.poll(cx)
    }
}
