//! The right to poll a task.

use std::fmt;
use std::future::Future;
use std::mem::{ManuallyDrop, forget};
use std::ptr::NonNull;

use super::header::Vtable;
use super::poll::{self, TaskCell};
use super::task_span::Spanned;
use super::{AbortHandle, Header, JoinHandle, Outcome, Schedule, SpawnMeta};
use crate::primitive::UnsafeCell;
use crate::task_alloc;

/// The single right to poll a task. Queues hold these.
///
/// Dropping one drops the future, and the task ends as cancelled. So a task is never lost silently.
pub(crate) struct Runnable(NonNull<Header>);

// SAFETY: only the one holder of a runnable accesses the future. Either the future is `Send`, or
// the caller of `spawn_local` guarantees that it is run, cancelled and dropped on one thread.
unsafe impl Send for Runnable {}

/// State of a task that was run.
#[derive(Debug)]
pub(crate) enum RunResult {
    /// It waits for a wake.
    Suspended,
    /// It was woken while it ran: the caller queues it again.
    Again(Runnable),
    /// It has ended: its future has been dropped.
    Ended,
}

impl Runnable {
    /// Polls the future once, or drops it if the task is cancelled. If the poll leaves a task idle
    /// that is not linked, the task is linked in `home`, and stays there.
    #[inline]
    pub(crate) fn run<S: Schedule>(self, home: &S) -> RunResult {
        let header = self.into_raw();
        // SAFETY: a `Runnable` keeps the cell alive.
        let poll = unsafe { header.as_ref() }.vtable.poll;
        // SAFETY: this call gives up the `Runnable`, and `spawn` was called with the same `S`.
        unsafe { poll(header, (&raw const *home).cast_mut().cast()) }
    }

    /// Drops the future, and ends the task as cancelled. If the destructor panics, the task ends by
    /// a panic. `record` is called before another thread can observe the end.
    #[cold]
    pub(crate) fn cancel(self, record: &dyn Fn(&Header, Outcome)) {
        let header = self.into_raw();
        // SAFETY: a `Runnable` keeps the cell alive.
        let cancel = unsafe { header.as_ref() }.vtable.cancel;
        // SAFETY: this call gives up the `Runnable`.
        unsafe { cancel(header, record) };
    }

    /// Returns a handle that can abort the task, if it has never been idle.
    pub(crate) fn first_poll_handle(&self) -> Option<AbortHandle> {
        if self.header().state.home().is_some() {
            return None;
        }
        // SAFETY: a `Runnable` keeps the cell alive.
        Some(unsafe { AbortHandle::from_header(self.0) })
    }

    /// Links a task that has not been queued yet. The task stays linked in `home` until it ends.
    pub(crate) fn link_into<S: Schedule>(&self, home: &S) {
        self.header().state.mark_linked(home.owned_tasks().bind(home));
        // SAFETY: this thread holds the `Runnable` of a task that has not been linked. The task's
        // poller unlinks it before it ends.
        unsafe { home.owned_tasks().link(self.0) };
    }

    /// Returns the task's header.
    #[inline]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: a `Runnable` keeps the cell alive.
        unsafe { self.0.as_ref() }
    }

    /// Converts the right into a pointer.
    #[inline]
    pub(crate) fn into_raw(self) -> NonNull<Header> {
        let header = self.0;
        forget(self);
        header
    }

    /// Converts the pointer back into the right.
    ///
    /// # Safety
    ///
    /// The pointer came from `into_raw`, or from a transition that made a `Runnable`. It is
    /// converted once.
    #[inline]
    pub(crate) unsafe fn from_raw(header: NonNull<Header>) -> Runnable {
        Runnable(header)
    }

    /// Returns the runnable queued behind this one.
    pub(crate) fn queue_next(&self) -> Option<NonNull<Header>> {
        // SAFETY: by the field's invariant, the link belongs to the holder of the runnable.
        self.header().queue_next.with(|next| unsafe { *next })
    }

    /// Queues `next` behind this one.
    pub(crate) fn set_queue_next(&self, next: Option<NonNull<Header>>) {
        // SAFETY: by the field's invariant, the link belongs to the holder of the runnable.
        self.header().queue_next.with_mut(|link| unsafe { *link = next });
    }
}

impl Drop for Runnable {
    #[cold]
    fn drop(&mut self) {
        // SAFETY: a `Runnable` keeps the cell alive.
        let cancel = unsafe { self.0.as_ref() }.vtable.cancel;
        // SAFETY: this call gives up the `Runnable`.
        unsafe { cancel(self.0, &|_, _| {}) };
    }
}

impl fmt::Debug for Runnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runnable").field("id", &self.header().id).field("state", &self.header().state).finish()
    }
}

/// One static table per future and home type.
struct Table<F, S>(std::marker::PhantomData<(F, S)>);

impl<F: Future, S: Schedule> Table<F, S> {
    const VTABLE: Vtable = Vtable {
        poll: poll::poll::<F, S>,
        cancel: poll::cancel::<F, S>,
        schedule: poll::schedule::<S>,
        take_output: poll::take_output::<F>,
        free: poll::free::<F>,
    };
}

/// As [`Table`], for a task of a group.
struct GroupTable<F, S>(std::marker::PhantomData<(F, S)>);

impl<F: Future, S: Schedule> GroupTable<F, S> {
    const VTABLE: Vtable = Vtable { schedule: poll::schedule_in_group, ..Table::<F, S>::VTABLE };
}

/// Makes the one allocation of a task.
#[inline]
pub(super) fn allocate<F, S>(future: F, spawn_meta: SpawnMeta) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future,
    S: Schedule,
{
    allocate_with(future, &Table::<Spanned<F>, S>::VTABLE, spawn_meta)
}

/// As [`allocate`], for a task of the group in `spawn_meta`.
pub(super) fn allocate_in_group<F, S>(future: F, spawn_meta: SpawnMeta) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future,
    S: Schedule,
{
    allocate_with(future, &GroupTable::<Spanned<F>, S>::VTABLE, spawn_meta)
}

#[inline(always)]
fn allocate_with<F: Future>(
    future: F,
    vtable: &'static Vtable,
    spawn_meta: SpawnMeta,
) -> (Runnable, JoinHandle<F::Output>) {
    let place = task_alloc::allocate::<TaskCell<Spanned<F>>>();
    let mut header = Header::new(vtable, spawn_meta);
    let span = header.open_span();
    let storage = UnsafeCell::new(poll::Storage { future: ManuallyDrop::new(span.instrument(future)) });
    // SAFETY: the place is a fresh allocation for a cell.
    unsafe { place.write(TaskCell { header, storage }) };
    // The pointer keeps the provenance of the whole cell.
    let header = place.cast();
    // SAFETY: a new task has one `Runnable`...
    let runnable = unsafe { Runnable::from_raw(header) };
    // SAFETY: ...and one handle to an output of its future's type.
    let handle = unsafe { JoinHandle::from_raw(header) };
    (runnable, handle)
}
