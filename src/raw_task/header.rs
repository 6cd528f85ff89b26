//! The part of a task that does not depend on its future.

use std::panic::Location;
use std::ptr::NonNull;
use std::task::Waker;

use super::join_waker::JoinWaker;
use super::state::State;
use super::task_span::SpanId;
use super::{Id, Outcome, Route, RunResult, SpawnMeta, TaskInfo, waker};
use crate::primitive::{Arc, Tracked, UnsafeCell, record_event};
use crate::util::list::{Linked, Links};

/// The first 64 bytes of a task. The fields that a queue or a waker touches first come first; the
/// cold ones come last.
#[repr(C)]
pub(crate) struct Header {
    pub(super) state: State,
    pub(super) vtable: &'static Vtable,
    /// The next task of a queue. If it points to this task, the task is polled again after the poll
    /// that is under way. No queue makes such a link.
    ///
    /// Invariant: belongs to the holder of the `Runnable`.
    pub(super) queue_next: UnsafeCell<Option<NonNull<Header>>>,
    /// Invariant: belongs to the home's list of owned tasks.
    links: UnsafeCell<Links<Header>>,
    /// Invariant: belongs to the poller if JOIN_WAKER and COMPLETE are set, else to the handle.
    pub(super) joiner: UnsafeCell<JoinWaker>,
    pub(super) id: Id,
    pub(super) spawn_meta: SpawnMeta,
    pub(super) span: SpanId,
    /// Tells the tests that a cell is leaked, or freed twice.
    tracked: Tracked,
}

/// Records how a task ends, before another thread can observe the end. It runs no user code.
pub(super) type RecordOutcome<'a> = dyn Fn(&Header, Outcome) + 'a;

/// The functions that depend on the future's type.
pub(super) struct Vtable {
    /// Polls the future, or drops it if the task is cancelled. Arguments: the cell, the home.
    ///
    /// # Safety
    ///
    /// The caller gives up a `Runnable` of the cell.
    pub(super) poll: unsafe fn(NonNull<Header>, *mut ()) -> RunResult,
    /// Drops the future and ends the task as cancelled. The last argument records the end.
    ///
    /// # Safety
    ///
    /// The caller gives up a `Runnable` of the cell.
    pub(super) cancel: unsafe fn(NonNull<Header>, &RecordOutcome<'_>),
    /// Gives a `Runnable` to the home.
    ///
    /// # Safety
    ///
    /// The caller gives up a `Runnable` of the cell, which was idle before.
    pub(super) schedule: unsafe fn(NonNull<Header>),
    /// Moves the output to the place that the last argument points to.
    ///
    /// # Safety
    ///
    /// The task is complete. The caller is its `JoinHandle` and has not taken the output before.
    /// The place is one for a `Result<Output, JoinError>`.
    pub(super) take_output: unsafe fn(NonNull<Header>, *mut ()),
    /// Frees the cell, in which neither future nor output is left.
    ///
    /// # Safety
    ///
    /// No reference is left.
    pub(super) free: unsafe fn(NonNull<Header>),
}

/// A task in a dump.
#[derive(Debug, Clone)]
pub(crate) struct TaskView {
    pub(crate) task: TaskInfo,
    /// The task's state: see [`Snapshot::phase`](super::state::Snapshot).
    pub(crate) phase: &'static str,
}

impl Header {
    #[inline]
    pub(super) fn new(vtable: &'static Vtable, spawn_meta: SpawnMeta) -> Self {
        Header {
            state: State::new(),
            vtable,
            queue_next: UnsafeCell::new(None),
            links: UnsafeCell::new(Links::new()),
            joiner: UnsafeCell::new(JoinWaker::empty()),
            id: Id::next(),
            spawn_meta,
            span: SpanId::NONE,
            tracked: Tracked::new(),
        }
    }

    /// Returns the task's id.
    #[inline]
    pub(crate) fn id(&self) -> Id {
        self.id
    }

    /// Returns where the task was spawned.
    #[inline]
    pub(crate) fn location(&self) -> &'static Location<'static> {
        self.spawn_meta.location()
    }

    /// Returns where the task was spawned, if it has no name.
    #[inline]
    pub(crate) fn location_of_unnamed(&self) -> Option<&'static Location<'static>> {
        self.spawn_meta.unnamed()
    }

    /// Returns the task's name.
    #[inline]
    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.spawn_meta.name()
    }

    /// Returns the task's group.
    #[inline]
    pub(crate) fn group(&self) -> Option<&Arc<dyn Route>> {
        self.spawn_meta.group()
    }

    /// Returns id, name, group and location.
    pub(crate) fn identity(&self) -> TaskInfo {
        let group = self.group().map(|group| Arc::clone(group.name()));
        TaskInfo { id: self.id, name: self.name().cloned(), group, location: self.location() }
    }

    /// Returns id, name and location as a text.
    pub(crate) fn description(&self) -> String {
        let name = self.name().map_or_else(String::new, |name| format!(" {name:?}"));
        format!("task {}{name}, spawned at {}", self.id, self.location())
    }

    /// Makes the task be polled again after the poll that is under way, as if `waker` had been
    /// woken. Returns false if `waker` is not the task's own. No other thread observes the mark.
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
        // SAFETY: this thread holds the `Runnable`, and therefore owns the link.
        header.queue_next.with_mut(|link| unsafe { *link = Some(task) });
        header.span.on_wake_by_ref();
        true
    }

    /// Returns whether the mark was set, and clears it. Called by the poller, once.
    #[inline]
    pub(super) fn take_yield_mark(&self) -> bool {
        // SAFETY: the poller holds the `Runnable`, and therefore owns the link.
        let is_marked = self.queue_next.with(|link| unsafe { *link }) == Some(NonNull::from(self));
        if is_marked {
            // SAFETY: as above.
            self.queue_next.with_mut(|link| unsafe { *link = None });
        }
        is_marked
    }

    /// Adds a REF for a further waker of the task.
    #[inline]
    pub(super) fn add_waker(&self) {
        self.state.add_ref();
        self.span.on_clone();
    }

    /// Returns the task for a dump.
    pub(crate) fn task_view(&self) -> TaskView {
        TaskView { task: self.identity(), phase: self.state.load().phase() }
    }

    /// Gives a `Runnable` that a wake has made to the home.
    ///
    /// # Safety
    ///
    /// The caller gives up a `Runnable` of the cell.
    pub(super) unsafe fn schedule(header: NonNull<Header>) {
        // SAFETY: a `Runnable` keeps the cell alive.
        let Header { vtable, id, .. } = unsafe { header.as_ref() };
        record_event(|| format!("wakes task {id}"));
        // SAFETY: the caller gives up a `Runnable`, which a wake makes of an idle task only.
        unsafe { (vtable.schedule)(header) };
    }

    /// Wakes the joiner of a complete task, and ends the task. It is not part of each future's
    /// code.
    ///
    /// # Safety
    ///
    /// The caller is the poller that has set COMPLETE, and has seen JOIN_WAKER. It does not touch
    /// the task afterwards.
    #[inline(never)]
    pub(super) unsafe fn wake_joiner_and_finish(task: NonNull<Header>) {
        // SAFETY: ACTIVE keeps the cell alive until `finish`.
        let header = unsafe { task.as_ref() };
        // SAFETY: a poller that sets COMPLETE and sees JOIN_WAKER owns the slot.
        let joiner = header.joiner.with_mut(|slot| unsafe { (*slot).take() });
        joiner.wake();
        if header.state.finish() {
            // SAFETY: no reference is left.
            unsafe { Header::free(task) };
        }
    }

    /// Frees the cell.
    ///
    /// # Safety
    ///
    /// No reference is left.
    #[inline]
    pub(super) unsafe fn free(header: NonNull<Header>) {
        // SAFETY: the cell is not freed yet.
        let vtable = unsafe { header.as_ref() }.vtable;
        // SAFETY: the caller guarantees that no reference is left.
        unsafe { (vtable.free)(header) };
    }
}

// SAFETY: the links are in the header, and belong to the list of owned tasks.
unsafe impl Linked for Header {
    unsafe fn links(node: NonNull<Self>) -> NonNull<Links<Self>> {
        // SAFETY: the caller guarantees that the node is live.
        let header = unsafe { node.as_ref() };
        // The list provides the exclusion; the pointer is only passed on.
        header.links.with_mut(|links| NonNull::new(links).expect("a field's address"))
    }
}
