//! The `tracing` span of the root future of a `block_on` (feature `tracing-spans`).
//!
//! The root is no task, so its waker is not one that reports. The root future gets a waker of this
//! file, which reports each operation and passes it on.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use crate::primitive::Arc;
use crate::raw_task::{Origin, SpanId, Spanned, TaskSpan};

/// Opens the span of a root future. Returns a future that enters it during each poll.
pub(super) fn open<F: Future>(future: F, location: &'static Location<'static>) -> impl Future<Output = F::Output> {
    let span = TaskSpan::of_root(Origin::block_on::<F>(), location);
    RootFuture { id: span.id(), waker: None, future: span.instrument(future) }
}

/// A root future with its span.
struct RootFuture<F> {
    id: SpanId,
    waker: Option<Arc<RootWaker>>,
    future: Spanned<F>,
}

impl<F: Future> Future for RootFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the future is pinned with `self`: it is not moved, and `RootFuture` has no
        // destructor of its own.
        let this = unsafe { self.get_unchecked_mut() };
        let id = this.id;
        let root = this.waker.get_or_insert_with(|| Arc::new(RootWaker { waker: cx.waker().clone(), id }));
        let waker = RootWaker::borrowed(root);
        // SAFETY: as above.
        unsafe { Pin::new_unchecked(&mut this.future) }.poll(&mut Context::from_waker(&waker))
    }
}

/// What the wakers of a root point to. All clones share one, so `Waker::will_wake` compares them.
struct RootWaker {
    /// The waker of the `block_on`, which is the same for all of its polls.
    waker: Waker,
    id: SpanId,
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

impl RootWaker {
    /// Returns a waker for the length of a poll, which holds no reference of its own.
    fn borrowed(root: &Arc<RootWaker>) -> ManuallyDrop<Waker> {
        let raw = RawWaker::new(Arc::as_ptr(root).cast(), &VTABLE);
        // SAFETY: the functions below fulfil the contract of `RawWaker`. This waker is never
        // dropped, so it gives back no reference. The future, which is being polled, has one.
        ManuallyDrop::new(unsafe { Waker::from_raw(raw) })
    }
}

/// # Safety
///
/// `data` comes from a waker of this vtable, which has not been dropped.
unsafe fn root<'a>(data: *const ()) -> &'a RootWaker {
    // SAFETY: the waker keeps it alive.
    unsafe { &*data.cast::<RootWaker>() }
}

/// # Safety
///
/// As for [`root`]. The caller gives up the waker.
unsafe fn into_root(data: *const ()) -> Arc<RootWaker> {
    // SAFETY: a waker that is not borrowed has one reference, which came from `clone`.
    unsafe { Arc::from_raw(data.cast::<RootWaker>()) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the pointer is that of an `Arc`, which the cloned waker keeps alive.
    unsafe { Arc::increment_strong_count(data.cast::<RootWaker>()) };
    // SAFETY: the waker that is cloned is alive.
    unsafe { root(data) }.id.on_clone();
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: the waker is consumed.
    let root = unsafe { into_root(data) };
    root.id.on_wake();
    root.waker.wake_by_ref();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the waker is alive.
    let root = unsafe { root(data) };
    root.id.on_wake_by_ref();
    root.waker.wake_by_ref();
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: the waker is dropped.
    let root = unsafe { into_root(data) };
    root.id.on_drop();
}
