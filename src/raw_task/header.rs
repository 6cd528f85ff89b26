//! The part of a task that does not depend on its future.

use std::panic::Location;
use std::ptr::NonNull;
use std::task::Waker;

use super::state::State;
use super::{Id, Outcome, RunResult, SpawnMeta, TaskInfo, waker};
use crate::sync::atomic::AtomicPtr;
use crate::sync::{Arc, Tracked, UnsafeCell};
use crate::util::list::{Linked, Links};

/// The first 80 bytes of a task: what a queue or a waker touches first, what is cold last.
#[repr(C)]
pub(crate) struct Header {
    pub(super) state: State,
    pub(super) vtable: &'static Vtable,
    /// The next task of a queue; or this one, if it is to be polled again after the poll that is
    /// under way. No queue makes such a link.
    ///
    /// Invariant: belongs to whoever holds the `Runnable`.
    pub(super) queue_next: UnsafeCell<Option<NonNull<Header>>>,
    /// The home: the `S: Schedule` of the seat where the task is filed; before that, of the seat
    /// where it was polled last.
    ///
    /// Invariant: written before each poll until the task is filed, by the holder of the
    /// `Runnable`; points to a live `S` until the task has ended.
    pub(super) home: AtomicPtr<()>,
    /// Invariant: belongs to the home's live list.
    links: UnsafeCell<Links<Header>>,
    /// Invariant: belongs to whom JOIN_WAKER says.
    pub(super) joiner: UnsafeCell<Option<Waker>>,
    pub(super) id: Id,
    spawn_meta: SpawnMeta,
    /// Tells the tests of a cell that is leaked, or freed twice.
    tracked: Tracked,
}

/// Counts how a task ends, before anybody can see it. It runs no user code.
pub(super) type Settle<'a> = dyn Fn(&Header, Outcome) + 'a;

/// What depends on the future's type.
pub(super) struct Vtable {
    /// Polls the future, or drops it if the task is cancelled. Arguments: the cell, the home.
    ///
    /// # Safety
    ///
    /// The caller gives up a `Runnable` of the cell.
    pub(super) poll: unsafe fn(NonNull<Header>, *mut ()) -> RunResult,
    /// Drops the future and ends the task as cancelled. The last argument counts the end.
    ///
    /// # Safety
    ///
    /// The caller gives up a `Runnable` of the cell.
    pub(super) cancel: unsafe fn(NonNull<Header>, &Settle<'_>),
    /// Hands a `Runnable` to the home.
    ///
    /// # Safety
    ///
    /// The caller gives up a `Runnable` of the cell, which has been polled before.
    pub(super) schedule: unsafe fn(NonNull<Header>),
    /// Moves the output to the place the last argument points to.
    ///
    /// # Safety
    ///
    /// The task is complete, the caller is its `JoinHandle` and has not taken the output before;
    /// the place is one for a `Result<Output, JoinError>`.
    pub(super) take_output: unsafe fn(NonNull<Header>, *mut ()),
    /// Frees the cell, in which neither future nor output is left.
    ///
    /// # Safety
    ///
    /// Nobody holds a reference.
    pub(super) free: unsafe fn(NonNull<Header>),
}

/// What a dump shows of a task.
#[derive(Debug, Clone)]
pub(crate) struct TaskView {
    pub(crate) task: TaskInfo,
    /// What it does: see [`Snapshot::phase`](super::state::Snapshot).
    pub(crate) phase: &'static str,
}

impl Header {
    #[inline]
    pub(super) fn new(vtable: &'static Vtable, spawn_meta: SpawnMeta) -> Self {
        Header {
            state: State::new(),
            vtable,
            queue_next: UnsafeCell::new(None),
            home: AtomicPtr::new(std::ptr::null_mut()),
            links: UnsafeCell::new(Links::new()),
            joiner: UnsafeCell::new(None),
            id: Id::next(),
            spawn_meta,
            tracked: Tracked::new(),
        }
    }

    /// The task's id.
    #[inline]
    pub(crate) fn id(&self) -> Id {
        self.id
    }

    /// Where the task was spawned.
    #[inline]
    pub(crate) fn location(&self) -> &'static Location<'static> {
        self.spawn_meta.location()
    }

    /// Where the task was spawned, if it has no name.
    #[inline]
    pub(crate) fn location_of_unnamed(&self) -> Option<&'static Location<'static>> {
        self.spawn_meta.unnamed()
    }

    /// What it is called.
    #[inline]
    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.spawn_meta.name()
    }

    /// All three.
    pub(crate) fn identity(&self) -> TaskInfo {
        TaskInfo { id: self.id, name: self.name().cloned(), location: self.location() }
    }

    /// Has the task polled again after the poll that is under way, if `waker` is its own: as if
    /// that were woken, but nobody else has to know of it.
    ///
    /// # Safety
    ///
    /// The caller runs in a poll of the task, or in its end.
    #[inline]
    pub(crate) unsafe fn mark_yielded(task: NonNull<Header>, waker: &Waker) -> bool {
        if !waker::is_of(waker, task) {
            return false;
        }
        // SAFETY: a task that is being polled is alive.
        let header = unsafe { task.as_ref() };
        // SAFETY: this thread holds the `Runnable`, and so the link.
        header.queue_next.with_mut(|link| unsafe { *link = Some(task) });
        true
    }

    /// Whether that was asked for. Asked by the poller, once.
    #[inline]
    pub(super) fn take_yield_mark(&self) -> bool {
        // SAFETY: the poller holds the `Runnable`, and so the link.
        let asked = self.queue_next.with(|link| unsafe { *link }) == Some(NonNull::from(self));
        if asked {
            // SAFETY: as above.
            self.queue_next.with_mut(|link| unsafe { *link = None });
        }
        asked
    }

    /// What a dump shows of it.
    pub(crate) fn task_view(&self) -> TaskView {
        TaskView { task: self.identity(), phase: self.state.load().phase() }
    }

    /// Hands a `Runnable` that a wake has made to the home.
    ///
    /// # Safety
    ///
    /// The caller gives up a `Runnable` of the cell.
    pub(super) unsafe fn schedule(header: NonNull<Header>) {
        // SAFETY: a `Runnable` keeps the cell alive.
        let vtable = unsafe { header.as_ref() }.vtable;
        // SAFETY: the caller gives up a `Runnable`; only a task that has been polled can have been
        // idle.
        unsafe { (vtable.schedule)(header) };
    }

    /// Frees the cell.
    ///
    /// # Safety
    ///
    /// Nobody holds a reference.
    #[inline]
    pub(super) unsafe fn free(header: NonNull<Header>) {
        // SAFETY: the cell is not freed yet.
        let vtable = unsafe { header.as_ref() }.vtable;
        // SAFETY: handed on from the caller.
        unsafe { (vtable.free)(header) };
    }
}

// SAFETY: the links lie in the header and belong to the live list.
unsafe impl Linked for Header {
    unsafe fn links(node: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the caller vouches for the node.
        let header = unsafe { node.as_ref() };
        // The list provides the exclusion; the pointer is only passed on.
        header.links.with_mut(|links| NonNull::new(links).expect("a field's address"))
    }
}
