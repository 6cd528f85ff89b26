//! What is done to a task's future and output: poll, drop, store, take, free.

use std::any::Any;
use std::future::Future;
use std::mem::{ManuallyDrop, forget};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::error::{cancelled, panicked};
use super::header::Settle;
use super::state::{Complete, Start, Suspend};
use super::{Header, JoinError, Outcome, RunResult, Runnable, Schedule, waker};
use crate::sync::UnsafeCell;
use crate::sync::atomic::Ordering;
use crate::task_alloc;
use crate::util::wake_list::{catch_user_panic, log_and_drop_panic, wake_catch_panic};

/// The one allocation.
#[repr(C)]
pub(super) struct TaskCell<F: Future> {
    pub(super) header: Header,
    /// Invariant: holds the future until the task's end, and belongs to the holder of the
    /// `Runnable`; then holds what was stored, and belongs to the handle from COMPLETE on.
    pub(super) storage: UnsafeCell<Storage<F>>,
}

/// Future and output share their place: a pointer to it is a pointer to either.
#[repr(C)]
pub(super) union Storage<F: Future> {
    pub(super) future: ManuallyDrop<F>,
    output: ManuallyDrop<Output<F>>,
}

/// What is stored at the end.
type Output<F> = Result<<F as Future>::Output, JoinError>;

/// # Safety
///
/// `header` is that of a live `Cell<F>`.
unsafe fn cell<'a, F: Future>(header: NonNull<Header>) -> &'a TaskCell<F> {
    // SAFETY: the header is the cell's first field, and the pointer carries the provenance of the
    // whole cell.
    unsafe { header.cast::<TaskCell<F>>().as_ref() }
}

/// See [`Vtable::poll`](super::header::Vtable).
pub(super) unsafe fn poll<F: Future, S: Schedule>(header: NonNull<Header>, home: *mut ()) -> RunResult {
    // SAFETY: the `Runnable` keeps the cell alive, and this function stands in the vtable of a
    // `Cell<F>`.
    let cell = unsafe { cell::<F>(header) };
    let filed = match cell.header.state.start() {
        Start::Poll { filed } => filed,
        Start::Cancel { filed } => {
            // SAFETY: the caller polls in this home, whose kind the vtable knows.
            let settle = |task: &Header, how| unsafe { &*home.cast::<S>() }.record_outcome(task, how, true);
            // SAFETY: we are the poller.
            unsafe { drop_future_and_end::<F, S>(header, filed, &settle) };
            return RunResult::Ended;
        }
    };
    if !filed {
        // Ordering: Relaxed — wakers read it, and each of them comes from this poll or a later one.
        // One that comes from an earlier poll may read either home: both queue tasks of the same
        // pool.
        cell.header.home.store(home, Ordering::Relaxed);
    }
    // SAFETY: ACTIVE keeps the cell alive throughout the poll.
    let waker = unsafe { waker::borrowed(header) };
    let mut cx = Context::from_waker(&waker);
    let polled = cell.storage.with_mut(|storage| {
        catch_unwind(AssertUnwindSafe(|| {
            let unwinds = DropOnUnwind(storage.cast::<F>());
            // SAFETY: by the invariant of `storage` it holds the future, and it is ours.
            let future = unsafe { &mut *storage.cast::<F>() };
            // SAFETY: the cell does not move until the future is dropped.
            let polled = unsafe { Pin::new_unchecked(future) }.poll(&mut cx);
            forget(unwinds);
            polled
        }))
    });
    // SAFETY: handed on from the caller: `home` is a live home of type `S`.
    let settle = |task: &Header, how| unsafe { &*home.cast::<S>() }.record_outcome(task, how, false);
    match polled {
        // SAFETY: the caller is the poller.
        Ok(Poll::Pending) => return unsafe { suspend::<S>(header, filed) },
        // SAFETY: the caller is the poller, and the future is finished.
        Ok(Poll::Ready(output)) => unsafe { finish_task::<F, S>(header, filed, settle, Ok(output)) },
        // SAFETY: the caller is the poller, and the future has been dropped.
        Err(payload) => unsafe { end_unwound::<F, S>(header, filed, settle, payload) },
    }
    RunResult::Ended
}

/// Drops the future of a poll that unwinds, so that destructors see that the thread is panicking.
struct DropOnUnwind<F>(*mut F);

impl<F> Drop for DropOnUnwind<F> {
    #[cold]
    fn drop(&mut self) {
        // A second panic would abort the process if it left this function.
        let dropped = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: made by `poll`, which owns the future and does not use it after the unwinding
            // has begun.
            unsafe { self.0.drop_in_place() };
        }));
        if let Err(payload) = dropped {
            log_and_drop_panic("the destructor of a task's future", payload);
        }
    }
}

/// See [`Vtable::cancel`](super::header::Vtable).
pub(super) unsafe fn cancel<F: Future, S: Schedule>(header: NonNull<Header>, settle: &Settle<'_>) {
    // SAFETY: the `Runnable` keeps the cell alive, and this function stands in the vtable of a
    // `Cell<F>`.
    let cell = unsafe { cell::<F>(header) };
    let (Start::Poll { filed } | Start::Cancel { filed }) = cell.header.state.start();
    let _ending = cell.header.id.mark_ending();
    // SAFETY: we are the poller.
    unsafe { drop_future_and_end::<F, S>(header, filed, settle) };
}

/// See [`Vtable::schedule`](super::header::Vtable).
pub(super) unsafe fn schedule<S: Schedule>(header: NonNull<Header>) {
    // SAFETY: the caller gives up a `Runnable`.
    let runnable = unsafe { Runnable::from_raw(header) };
    // SAFETY: the task has been polled, so it has a home, which lives until the task ends, and it
    // cannot end while we hold its `Runnable`; this function stands in the vtable of a task with
    // homes of type `S`.
    let home = unsafe { scheduler_of::<S>(header) };
    home.schedule(runnable);
}

/// # Safety
///
/// The task has been polled with a home of type `S` and has not ended.
unsafe fn scheduler_of<'a, S: Schedule>(header: NonNull<Header>) -> &'a S {
    // SAFETY: a task that has not ended is alive.
    let header = unsafe { header.as_ref() };
    // Ordering: Relaxed — see the store.
    let home = header.home.load(Ordering::Relaxed).cast::<S>();
    // SAFETY: by the invariant of `home` and the contract of `Schedule`.
    unsafe { &*home }
}

/// The future is pending.
///
/// # Safety
///
/// The caller is the poller, of a task whose homes are of type `S`.
unsafe fn suspend<S: Schedule>(header: NonNull<Header>, filed: bool) -> RunResult {
    // SAFETY: ACTIVE keeps the cell alive until the transition.
    let task = unsafe { &*header.as_ptr() };
    // A task that has been woken already stays active, and goes back into a queue, where a shutdown
    // finds it.
    if task.take_yield_mark() || task.state.is_woken() {
        // SAFETY: it is still ours.
        return RunResult::Again(unsafe { Runnable::from_raw(header) });
    }
    let file = !filed;
    if file {
        // SAFETY: we are polling it, so it has a home and has not ended.
        let live = unsafe { scheduler_of::<S>(header) }.owned_tasks();
        // SAFETY: we are the poller, and it was not filed before.
        unsafe { live.link(header) };
    }
    match task.state.suspend(file) {
        Suspend::Idle => RunResult::Suspended,
        // SAFETY: the transition left the `Runnable` with us.
        Suspend::Again => RunResult::Again(unsafe { Runnable::from_raw(header) }),
    }
}

/// The task is cancelled.
///
/// # Safety
///
/// The caller is the poller of a `Cell<F>` whose homes are of type `S`.
unsafe fn drop_future_and_end<F: Future, S: Schedule>(header: NonNull<Header>, filed: bool, settle: &Settle<'_>) {
    // SAFETY: ACTIVE keeps the cell alive.
    let id = unsafe { header.as_ref() }.id;
    // SAFETY: handed on from the caller.
    unsafe { finish_task::<F, S>(header, filed, settle, Err(cancelled(id))) };
}

/// Drops the future, stores the output for whoever wants it, has `settle` count the end, and ends
/// the task.
///
/// # Safety
///
/// The caller is the poller of a `Cell<F>` whose homes are of type `S`. It does not touch the task
/// afterwards.
#[inline]
unsafe fn finish_task<F: Future, S: Schedule>(
    header: NonNull<Header>,
    filed: bool,
    settle: impl FnOnce(&Header, Outcome),
    output: Output<F>,
) {
    // SAFETY: ACTIVE keeps the cell alive until `complete`.
    let cell = unsafe { cell::<F>(header) };
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: by the invariant of `storage` it holds the future, and it is ours; nobody looks
        // at it again.
        cell.storage.with_mut(|storage| unsafe { storage.cast::<F>().drop_in_place() });
    }));
    // A cancelled task whose destructor panics has panicked; one that had an output, or has
    // panicked already, keeps it.
    let output = match (output, dropped) {
        (Err(error), Err(payload)) if error.is_cancelled() => Err(panicked(cell.header.id, payload)),
        (output, Err(payload)) => {
            log_and_drop_panic("the destructor of a task's future", payload);
            output
        }
        (output, Ok(())) => output,
    };
    // SAFETY: handed on from the caller; the future has been dropped.
    unsafe { end_without_future::<F, S>(header, filed, settle, output) };
}

/// As [`finish_task`], after a poll that has panicked: the future has been dropped already.
///
/// # Safety
///
/// As for [`end_without_future`].
#[cold]
#[inline(never)]
unsafe fn end_unwound<F: Future, S: Schedule>(
    header: NonNull<Header>,
    filed: bool,
    settle: impl FnOnce(&Header, Outcome),
    payload: Box<dyn Any + Send>,
) {
    // SAFETY: ACTIVE keeps the cell alive until `complete`.
    let id = unsafe { header.as_ref() }.id;
    // SAFETY: handed on from the caller.
    unsafe { end_without_future::<F, S>(header, filed, settle, Err(panicked(id, payload))) };
}

/// As [`finish_task`], when the future has been dropped already.
///
/// # Safety
///
/// The caller is the poller of a `Cell<F>` without a future, whose homes are of type `S`. It does
/// not touch the task afterwards.
#[inline(always)]
unsafe fn end_without_future<F: Future, S: Schedule>(
    header: NonNull<Header>,
    filed: bool,
    settle: impl FnOnce(&Header, Outcome),
    output: Output<F>,
) {
    // SAFETY: ACTIVE keeps the cell alive until `complete`.
    let cell = unsafe { cell::<F>(header) };
    if filed {
        // SAFETY: a filed task has been polled and this one has not ended.
        let live = unsafe { scheduler_of::<S>(header) }.owned_tasks();
        // SAFETY: we are the poller, and the task was filed there.
        unsafe { live.unlink(header) };
    }
    let how = match &output {
        Ok(_) => Outcome::Completed,
        Err(error) if error.is_panic() => Outcome::Panicked,
        Err(_) => Outcome::Cancelled,
    };
    let mut stored = cell.header.state.wants_output();
    if stored {
        // SAFETY: the place is free and still ours.
        cell.storage.with_mut(|storage| unsafe { storage.cast::<Output<F>>().write(output) });
    } else {
        catch_user_panic("the destructor of an output", move || drop(output));
    }
    settle(&cell.header, how);
    // SAFETY: handed on from the caller; the future is gone.
    unsafe { complete::<F>(header, &mut stored) };
}

/// # Safety
///
/// The caller is the poller of a `Cell<F>` without a future; `stored` says whether it holds an
/// output.
unsafe fn complete<F: Future>(header: NonNull<Header>, stored: &mut bool) {
    // SAFETY: ACTIVE keeps the cell alive until a transition gives it up.
    let cell = unsafe { cell::<F>(header) };
    loop {
        match cell.header.state.complete(*stored) {
            Complete::Leave => return,
            Complete::DropOutput => {
                // SAFETY: an output is stored and the handle is gone, so it is ours.
                catch_user_panic("the destructor of an output", || drop(unsafe { read_output::<F>(cell) }));
                *stored = false;
            }
            Complete::WakeJoiner => {
                // SAFETY: whoever sets COMPLETE and sees JOIN_WAKER owns the slot.
                if let Some(joiner) = cell.header.joiner.with_mut(|slot| unsafe { (*slot).take() }) {
                    wake_catch_panic(joiner);
                }
                if cell.header.state.finish() {
                    // SAFETY: nobody holds a reference any more.
                    unsafe { Header::free(header) };
                }
                return;
            }
            Complete::Free => {
                // SAFETY: nobody holds a reference.
                unsafe { Header::free(header) };
                return;
            }
        }
    }
}

/// # Safety
///
/// `cell` holds an output, which belongs to the caller and is not taken again.
unsafe fn read_output<F: Future>(cell: &TaskCell<F>) -> Output<F> {
    // SAFETY: handed on from the caller.
    cell.storage.with_mut(|storage| unsafe { storage.cast::<Output<F>>().read() })
}

/// See [`Vtable::take_output`](super::header::Vtable).
pub(super) unsafe fn take_output<F: Future>(header: NonNull<Header>, place: *mut ()) {
    // SAFETY: the handle keeps the cell alive, and this function stands in the vtable of a
    // `Cell<F>`.
    let cell = unsafe { cell::<F>(header) };
    // SAFETY: the task is complete and the handle wanted its output.
    let output = unsafe { read_output::<F>(cell) };
    // SAFETY: the caller vouches for the place.
    unsafe { place.cast::<Output<F>>().write(output) };
}

/// See [`Vtable::free`](super::header::Vtable).
pub(super) unsafe fn free<F: Future>(header: NonNull<Header>) {
    let cell = header.cast::<TaskCell<F>>();
    // SAFETY: nobody else can reach the cell. Its storage is a union: nothing in it is dropped
    // again.
    unsafe { cell.drop_in_place() };
    // SAFETY: the memory came from `allocate` for this type, and holds nothing any more.
    unsafe { task_alloc::deallocate(cell) };
}
