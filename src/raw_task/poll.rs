//! Operations on a task's future and output: poll, drop, store, take, free.

use std::any::Any;
use std::future::Future;
use std::mem::{ManuallyDrop, forget};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::error::{cancelled, panicked};
use super::header::RecordOutcome;
use super::home_table::HomeNumber;
use super::state::{Complete, Start, Suspend};
use super::{Header, JoinError, Outcome, RunResult, Runnable, Schedule, waker};
use crate::primitive::{Arc, UnsafeCell, before_poll};
use crate::task_alloc;
use crate::util::wake_list::{catch_user_panic, log_and_drop_panic};

/// The one allocation of a task.
#[repr(C)]
pub(super) struct TaskCell<F: Future> {
    pub(super) header: Header,
    /// Invariant: until the task's end, it holds the future and belongs to the holder of the
    /// `Runnable`. From COMPLETE on, it holds what was stored, and belongs to the handle.
    pub(super) storage: UnsafeCell<Storage<F>>,
}

/// Future and output share their place, so a pointer to the storage is a pointer to either.
#[repr(C)]
pub(super) union Storage<F: Future> {
    pub(super) future: ManuallyDrop<F>,
    output: ManuallyDrop<Output<F>>,
}

/// The stored result.
type Output<F> = Result<<F as Future>::Output, JoinError>;

/// # Safety
///
/// `header` is that of a live `TaskCell<F>`.
unsafe fn cell<'a, F: Future>(header: NonNull<Header>) -> &'a TaskCell<F> {
    // SAFETY: the header is the cell's first field, and the pointer carries the provenance of the
    // whole cell.
    unsafe { header.cast::<TaskCell<F>>().as_ref() }
}

/// See [`Vtable::poll`](super::header::Vtable).
pub(super) unsafe fn poll<F: Future, S: Schedule>(header: NonNull<Header>, home: *mut ()) -> RunResult {
    // SAFETY: the `Runnable` keeps the cell alive, and this function is in the vtable of a
    // `TaskCell<F>`.
    let cell = unsafe { cell::<F>(header) };
    // An active task is not queued again by its abort.
    let fault = before_poll(|| cell.header.description(), || drop(cell.header.state.cancel()));
    let linked = match cell.header.state.start() {
        Start::Poll { linked } => linked,
        Start::Cancel { linked } => {
            // SAFETY: the caller polls in this home, whose type the vtable knows.
            let record = |task: &Header, outcome| unsafe { &*home.cast::<S>() }.record_outcome(task, outcome, true);
            // SAFETY: this thread is the poller.
            unsafe { drop_future_and_end::<F, S>(header, linked, &record) };
            return RunResult::Ended;
        }
    };
    // SAFETY: ACTIVE keeps the cell alive throughout the poll.
    let waker = unsafe { waker::borrowed(header) };
    let mut cx = Context::from_waker(&waker);
    let polled = cell.storage.with_mut(|storage| {
        catch_unwind(AssertUnwindSafe(|| {
            let unwinds = DropOnUnwind(storage.cast::<F>());
            fault.raise();
            // SAFETY: by the invariant of `storage`, it holds the future, which belongs to the
            // poller.
            let future = unsafe { &mut *storage.cast::<F>() };
            // SAFETY: the cell does not move until the future is dropped.
            let polled = unsafe { Pin::new_unchecked(future) }.poll(&mut cx);
            forget(unwinds);
            polled
        }))
    });
    // SAFETY: the caller guarantees that `home` is a live home of type `S`.
    let home = unsafe { &*home.cast::<S>() };
    let record = |task: &Header, outcome| home.record_outcome(task, outcome, false);
    match polled {
        // SAFETY: the caller is the poller.
        Ok(Poll::Pending) => return unsafe { suspend(header, linked, home) },
        // SAFETY: the caller is the poller, and the future is finished.
        Ok(Poll::Ready(output)) => unsafe { finish_task::<F, S>(header, linked, record, Ok(output)) },
        // SAFETY: the caller is the poller, and the future has been dropped.
        Err(payload) => unsafe { end_unwound::<F, S>(header, linked, record, payload) },
    }
    RunResult::Ended
}

/// Drops the future while a poll unwinds, so that destructors see a panicking thread.
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
pub(super) unsafe fn cancel<F: Future, S: Schedule>(header: NonNull<Header>, record: &RecordOutcome<'_>) {
    // SAFETY: the `Runnable` keeps the cell alive, and this function is in the vtable of a
    // `TaskCell<F>`.
    let cell = unsafe { cell::<F>(header) };
    let (Start::Poll { linked } | Start::Cancel { linked }) = cell.header.state.start();
    let _ending = cell.header.id.mark_ending();
    // SAFETY: this thread is the poller.
    unsafe { drop_future_and_end::<F, S>(header, linked, record) };
}

/// See [`Vtable::schedule`](super::header::Vtable).
pub(super) unsafe fn schedule<S: Schedule>(header: NonNull<Header>) {
    // SAFETY: the task was idle, so it is linked in a home. The home lives until the task ends,
    // which cannot happen while this thread holds its `Runnable`. This function is in the vtable of
    // a task with homes of type `S`.
    let home = unsafe { home_of::<S>(header) };
    // SAFETY: the caller gives up a `Runnable`.
    home.schedule(unsafe { Runnable::from_raw(header) });
}

/// As [`schedule`], for a task of a group: the group queues it.
pub(super) unsafe fn schedule_in_group(header: NonNull<Header>) {
    // SAFETY: the caller gives up a `Runnable`.
    let runnable = unsafe { Runnable::from_raw(header) };
    // Once the runnable is queued, the task may end, and with it this reference.
    let group = runnable.header().group().map(Arc::clone);
    group.expect("a task of a group has its group in its metadata").queue_woken(runnable);
}

/// # Safety
///
/// The caller holds the `Runnable` of the task, which is linked in a home of type `S`.
#[inline]
unsafe fn home_of<'a, S: Schedule>(header: NonNull<Header>) -> &'a S {
    // SAFETY: a `Runnable` keeps the cell alive.
    let number = unsafe { header.as_ref() }.state.home();
    // SAFETY: a linked task has a number.
    let number = unsafe { number.unwrap_unchecked() };
    // SAFETY: the number was bound to the home before the task was linked. By the contract of
    // `Schedule`, the home does not move, and lives until the task has ended.
    unsafe { &*number.home().cast() }
}

/// Suspends the task, whose future is pending.
///
/// # Safety
///
/// The caller is the poller, of a task whose homes are of type `S`.
#[inline]
unsafe fn suspend<S: Schedule>(header: NonNull<Header>, linked: Option<HomeNumber>, home: &S) -> RunResult {
    // SAFETY: ACTIVE keeps the cell alive until the transition.
    let task = unsafe { &*header.as_ptr() };
    // A task that has been woken already stays active and goes back into a queue, where a shutdown
    // finds it.
    if task.take_yield_mark() || task.state.is_woken() {
        // SAFETY: this thread still holds the `Runnable`.
        return RunResult::Again(unsafe { Runnable::from_raw(header) });
    }
    let mut linking = None;
    if linked.is_none() {
        let owned_tasks = home.owned_tasks();
        linking = Some(owned_tasks.bind(home));
        // SAFETY: this thread is the poller, and the task was not linked before.
        unsafe { owned_tasks.link(header) };
    }
    match task.state.suspend(linking) {
        Suspend::Idle => RunResult::Suspended,
        // SAFETY: the transition left the `Runnable` to this thread.
        Suspend::Again => RunResult::Again(unsafe { Runnable::from_raw(header) }),
    }
}

/// Ends a cancelled task.
///
/// # Safety
///
/// The caller is the poller of a `TaskCell<F>` whose homes are of type `S`.
unsafe fn drop_future_and_end<F: Future, S: Schedule>(
    header: NonNull<Header>,
    linked: Option<HomeNumber>,
    record: &RecordOutcome<'_>,
) {
    // SAFETY: ACTIVE keeps the cell alive.
    let id = unsafe { header.as_ref() }.id;
    // SAFETY: the caller is the poller of such a cell.
    unsafe { finish_task::<F, S>(header, linked, record, Err(cancelled(id))) };
}

/// Drops the future, stores the output if the handle wants it, records the end, and ends the task.
///
/// # Safety
///
/// The caller is the poller of a `TaskCell<F>` whose homes are of type `S`. It does not touch the
/// task afterwards.
#[inline]
unsafe fn finish_task<F: Future, S: Schedule>(
    header: NonNull<Header>,
    linked: Option<HomeNumber>,
    record: impl FnOnce(&Header, Outcome),
    output: Output<F>,
) {
    // SAFETY: ACTIVE keeps the cell alive until `complete`.
    let cell = unsafe { cell::<F>(header) };
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: by the invariant of `storage`, it holds the future, which belongs to the poller.
        // The future is not accessed again.
        cell.storage.with_mut(|storage| unsafe { storage.cast::<F>().drop_in_place() });
    }));
    // If the destructor of a cancelled task panics, the task has panicked. A task with an output,
    // or with an earlier panic, keeps that result.
    let output = match (output, dropped) {
        (Err(error), Err(payload)) if error.is_cancelled() => Err(panicked(cell.header.id, payload)),
        (output, Err(payload)) => {
            log_and_drop_panic("the destructor of a task's future", payload);
            output
        }
        (output, Ok(())) => output,
    };
    // SAFETY: the caller is the poller of such a cell, and the future has been dropped.
    unsafe { end_without_future::<F, S>(header, linked, record, output) };
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
    linked: Option<HomeNumber>,
    record: impl FnOnce(&Header, Outcome),
    payload: Box<dyn Any + Send>,
) {
    // SAFETY: ACTIVE keeps the cell alive until `complete`.
    let id = unsafe { header.as_ref() }.id;
    // SAFETY: the caller fulfils the contract of `end_without_future`.
    unsafe { end_without_future::<F, S>(header, linked, record, Err(panicked(id, payload))) };
}

/// As [`finish_task`], if the future has been dropped already.
///
/// # Safety
///
/// The caller is the poller of a `TaskCell<F>` without a future, whose homes are of type `S`. It
/// does not touch the task afterwards.
#[inline(always)]
unsafe fn end_without_future<F: Future, S: Schedule>(
    header: NonNull<Header>,
    linked: Option<HomeNumber>,
    record: impl FnOnce(&Header, Outcome),
    output: Output<F>,
) {
    // SAFETY: ACTIVE keeps the cell alive until `complete`.
    let cell = unsafe { cell::<F>(header) };
    if linked.is_some() {
        // SAFETY: this thread is the poller, and the task is linked.
        let owned_tasks = unsafe { home_of::<S>(header) }.owned_tasks();
        // SAFETY: this thread is the poller, and the task was linked there.
        unsafe { owned_tasks.unlink(header) };
    }
    let outcome = match &output {
        Ok(_) => Outcome::Completed,
        Err(error) if error.is_panic() => Outcome::Panicked,
        Err(_) => Outcome::Cancelled,
    };
    let mut stored = cell.header.state.wants_output();
    if stored {
        // SAFETY: the place is free, and still belongs to the poller.
        cell.storage.with_mut(|storage| unsafe { storage.cast::<Output<F>>().write(output) });
    } else {
        catch_user_panic("the destructor of an output", move || drop(output));
    }
    record(&cell.header, outcome);
    // SAFETY: the caller is the poller of such a cell; the future is gone.
    unsafe { complete::<F>(header, &mut stored) };
}

/// # Safety
///
/// The caller is the poller of a `TaskCell<F>` without a future. `stored` tells whether the cell
/// holds an output.
unsafe fn complete<F: Future>(header: NonNull<Header>, stored: &mut bool) {
    // SAFETY: ACTIVE keeps the cell alive until a transition gives it up.
    let cell = unsafe { cell::<F>(header) };
    loop {
        match cell.header.state.complete(*stored) {
            Complete::Done => return,
            Complete::DropOutput => {
                // SAFETY: an output is stored and the handle is gone, so the output belongs to the
                // poller.
                catch_user_panic("the destructor of an output", || drop(unsafe { read_output::<F>(cell) }));
                *stored = false;
            }
            // SAFETY: the transition has given the slot to the poller.
            Complete::WakeJoiner => return unsafe { Header::wake_joiner_and_finish(header) },
            Complete::Free => {
                // SAFETY: no reference is left.
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
    // SAFETY: the caller owns the output and does not take it again.
    cell.storage.with_mut(|storage| unsafe { storage.cast::<Output<F>>().read() })
}

/// See [`Vtable::take_output`](super::header::Vtable).
pub(super) unsafe fn take_output<F: Future>(header: NonNull<Header>, place: *mut ()) {
    // SAFETY: the handle keeps the cell alive, and this function is in the vtable of a
    // `TaskCell<F>`.
    let cell = unsafe { cell::<F>(header) };
    // SAFETY: the task is complete and the handle wanted its output.
    let output = unsafe { read_output::<F>(cell) };
    // SAFETY: the caller guarantees that the place fits.
    unsafe { place.cast::<Output<F>>().write(output) };
}

/// See [`Vtable::free`](super::header::Vtable).
pub(super) unsafe fn free<F: Future>(header: NonNull<Header>) {
    let cell = header.cast::<TaskCell<F>>();
    // SAFETY: no other thread can reach the cell. Its storage is a union, so nothing in it is
    // dropped again.
    unsafe { cell.drop_in_place() };
    // SAFETY: the memory came from `allocate` for this type, and holds no value any more.
    unsafe { task_alloc::deallocate(cell) };
}
