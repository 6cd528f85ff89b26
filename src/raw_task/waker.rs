//! The waker of a task. All tasks share one vtable, so two wakers are compared by two pointers.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::Header;
use super::state::Wake;

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);

/// Creates a waker for the length of a poll, which holds no reference of its own.
///
/// # Safety
///
/// The cell outlives the waker.
pub(super) unsafe fn borrowed(header: NonNull<Header>) -> ManuallyDrop<Waker> {
    let raw = RawWaker::new(header.as_ptr().cast_const().cast(), &VTABLE);
    // SAFETY: the functions below fulfil the contract of `RawWaker`. This waker is never dropped,
    // so it gives back no reference. The caller keeps the cell alive.
    ManuallyDrop::new(unsafe { Waker::from_raw(raw) })
}

/// Returns whether `waker` wakes `task`.
#[inline]
pub(super) fn is_of(waker: &Waker, task: NonNull<Header>) -> bool {
    std::ptr::eq(waker.vtable(), &VTABLE) && waker.data() == task.as_ptr().cast_const().cast()
}

/// # Safety
///
/// `data` comes from a waker of this vtable whose cell is alive.
unsafe fn header(data: *const ()) -> NonNull<Header> {
    // SAFETY: a waker's data is its cell's address.
    unsafe { NonNull::new_unchecked(data.cast_mut().cast()) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker that is cloned keeps its cell alive.
    let header = unsafe { header(data) };
    // SAFETY: as above.
    unsafe { header.as_ref() }.state.add_ref();
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: the waker that is consumed keeps its cell alive until the transition below.
    let header = unsafe { header(data) };
    // SAFETY: as above.
    match unsafe { header.as_ref() }.state.wake_by_value() {
        // SAFETY: this waker's reference has become the `Runnable`.
        Wake::Schedule => unsafe { Header::schedule(header) },
        // SAFETY: this was the last reference.
        Wake::Free => unsafe { Header::free(header) },
        Wake::Nothing => {}
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the waker keeps its cell alive.
    let header = unsafe { header(data) };
    // SAFETY: as above.
    if unsafe { header.as_ref() }.state.wake_by_ref() == Wake::Schedule {
        // SAFETY: the transition made a `Runnable` and gave it to this thread.
        unsafe { Header::schedule(header) };
    }
}

unsafe fn drop(data: *const ()) {
    // SAFETY: the waker that is dropped keeps its cell alive until the transition below.
    let header = unsafe { header(data) };
    // SAFETY: as above.
    if unsafe { header.as_ref() }.state.drop_ref() {
        // SAFETY: this was the last reference.
        unsafe { Header::free(header) };
    }
}
