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

/// Returns the task that `waker` wakes, if it is a task's own waker. The cell lives as long as the
/// waker.
#[inline]
pub(super) fn task_of(waker: &Waker) -> Option<NonNull<Header>> {
    // SAFETY: a waker of this vtable keeps its cell alive.
    std::ptr::eq(waker.vtable(), &VTABLE).then(|| unsafe { header(waker.data()) })
}

/// Wakes a task, and gives up a REF of it.
///
/// # Safety
///
/// The caller gives up one REF of the cell.
#[inline]
pub(super) unsafe fn wake_task(task: NonNull<Header>) {
    // SAFETY: the caller's REF keeps the cell alive until the transition.
    let header = unsafe { task.as_ref() };
    header.span.on_wake();
    match header.state.wake_by_value() {
        // SAFETY: the REF has become the `Runnable`.
        Wake::Schedule => unsafe { Header::schedule(task) },
        // SAFETY: this was the last reference.
        Wake::Free => unsafe { Header::free(task) },
        Wake::Nothing => {}
    }
}

/// Gives up a REF of a task.
///
/// # Safety
///
/// The caller gives up one REF of the cell.
#[inline]
pub(super) unsafe fn drop_task(task: NonNull<Header>) {
    // SAFETY: the caller's REF keeps the cell alive until the transition.
    let header = unsafe { task.as_ref() };
    header.span.on_drop();
    if header.state.drop_ref() {
        // SAFETY: this was the last reference.
        unsafe { Header::free(task) };
    }
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
    unsafe { header.as_ref() }.add_waker();
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: the waker that is consumed keeps its cell alive.
    let header = unsafe { header(data) };
    // SAFETY: the waker that is consumed has one REF.
    unsafe { wake_task(header) };
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the waker keeps its cell alive.
    let header = unsafe { header(data) };
    // SAFETY: as above.
    let task = unsafe { header.as_ref() };
    task.span.on_wake_by_ref();
    if task.state.wake_by_ref() == Wake::Schedule {
        // SAFETY: the transition made a `Runnable` and gave it to this thread.
        unsafe { Header::schedule(header) };
    }
}

unsafe fn drop(data: *const ()) {
    // SAFETY: the waker that is dropped keeps its cell alive.
    let header = unsafe { header(data) };
    // SAFETY: the waker that is dropped has one REF.
    unsafe { drop_task(header) };
}
