//! The list of the tasks that one seat owns.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use crate::primitive::Mutex;
use crate::raw_task::home_table::{HomeNumber, HomeSlot};
use crate::raw_task::{Header, Id, Runnable, Schedule, TaskInfo, TaskView};
use crate::util::list::List;

/// The tasks that first became idle in one seat, and have not ended.
///
/// The poller links a task before it first becomes idle, and unlinks it before it completes. Both
/// happen under the lock, so a linked task is alive. No user code runs under the lock.
pub(crate) struct OwnedTasks {
    list: Mutex<List<Header>>,
    /// The number of the home that has this list. It is never given back if a task is linked here.
    slot: ManuallyDrop<HomeSlot>,
}

impl OwnedTasks {
    pub(crate) fn new() -> Self {
        OwnedTasks { list: Mutex::new(List::new()), slot: ManuallyDrop::new(HomeSlot::claim()) }
    }

    /// Returns the number of the home that has this list, for a task that is linked next.
    #[inline]
    pub(super) fn bind<S: Schedule>(&self, home: &S) -> HomeNumber {
        debug_assert!(std::ptr::eq(home.owned_tasks(), self), "the list of another home");
        self.slot.bind((&raw const *home).cast_mut().cast())
    }

    /// Links a task.
    ///
    /// # Safety
    ///
    /// The caller holds the task's `Runnable`, or polls it, and has not linked it before.
    pub(super) unsafe fn link(&self, task: NonNull<Header>) {
        let mut list = self.list.lock();
        // SAFETY: the poller keeps the task alive now, and unlinks it before it ends.
        unsafe { list.push_back(task) };
    }

    /// Unlinks a task.
    ///
    /// # Safety
    ///
    /// The caller is polling the task, which was linked here.
    pub(super) unsafe fn unlink(&self, task: NonNull<Header>) {
        let mut list = self.list.lock();
        // SAFETY: the task was linked here, and only its poller unlinks it.
        unsafe { list.remove(task) };
    }

    /// Requests every linked task to end, and returns the Runnables that have to be queued for it.
    ///
    /// A task in its first poll is in neither this list nor a queue. A caller that wants all tasks
    /// calls this while no thread polls with this home.
    pub(crate) fn cancel_all(&self) -> Vec<Runnable> {
        self.cancel_all_except(|_| false)
    }

    /// Same as [`OwnedTasks::cancel_all`], without the tasks for which `exempt` returns true.
    /// `exempt` runs under the lock.
    pub(crate) fn cancel_all_except(&self, exempt: impl Fn(Id) -> bool) -> Vec<Runnable> {
        // SAFETY: a linked task is alive.
        let id = |task: NonNull<Header>| unsafe { task.as_ref() }.id;
        self.map_tasks(|task| if exempt(id(task)) { None } else { Header::cancel(task) })
            .into_iter()
            .flatten()
            .collect()
    }

    /// Same as [`OwnedTasks::cancel_all`], for the tasks for which `is_wanted` returns true. It
    /// runs under the lock.
    pub(crate) fn cancel_all_of(&self, is_wanted: impl Fn(&Header) -> bool) -> Vec<Runnable> {
        // SAFETY: a linked task is alive.
        let is_wanted = |task: NonNull<Header>| is_wanted(unsafe { task.as_ref() });
        self.map_tasks(|task| if is_wanted(task) { Header::cancel(task) } else { None }).into_iter().flatten().collect()
    }

    /// Returns the linked tasks.
    pub(crate) fn all(&self) -> Vec<TaskInfo> {
        // SAFETY: a linked task is alive.
        self.map_tasks(|task| unsafe { task.as_ref() }.identity())
    }

    /// Returns the linked tasks, for a dump.
    pub(crate) fn task_views(&self) -> Vec<TaskView> {
        // SAFETY: a linked task is alive.
        self.map_tasks(|task| unsafe { task.as_ref() }.task_view())
    }

    /// Returns true if every linked task has ended.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.lock().is_empty()
    }

    /// Returns the phase of each linked task.
    #[cfg(test)]
    pub(super) fn phases(&self) -> Vec<&'static str> {
        // SAFETY: a linked task is alive.
        self.map_tasks(|task| unsafe { task.as_ref() }.state.load().phase())
    }

    fn map_tasks<T>(&self, read: impl Fn(NonNull<Header>) -> T) -> Vec<T> {
        let list = self.list.lock();
        let mut results = Vec::new();
        let mut next = list.front();
        while let Some(task) = next {
            results.push(read(task));
            // SAFETY: the task is linked in this list, which is locked.
            next = unsafe { list.next(task) };
        }
        results
    }
}

impl Drop for OwnedTasks {
    fn drop(&mut self) {
        let is_empty = self.list.get_mut().is_empty();
        debug_assert!(is_empty || std::thread::panicking(), "a task outlives its home");
        if is_empty {
            // SAFETY: this is the destructor, which runs once, and the slot is not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.slot) };
        }
    }
}

impl fmt::Debug for OwnedTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedTasks").finish_non_exhaustive()
    }
}

impl Header {
    /// Requests that a task end which is in a queue.
    pub(crate) fn cancel_queued(&self) {
        let wake = self.state.cancel();
        debug_assert!(wake == crate::raw_task::state::Wake::Nothing, "a queued task is active");
    }

    /// Requests that a task end. Returns its `Runnable` if it was idle.
    fn cancel(task: NonNull<Header>) -> Option<Runnable> {
        // SAFETY: the caller holds the lock of the list in which the task is linked, so the task is
        // alive.
        match unsafe { task.as_ref() }.state.cancel() {
            // SAFETY: the transition made a `Runnable` and gave it to this thread.
            crate::raw_task::state::Wake::Schedule => Some(unsafe { Runnable::from_raw(task) }),
            crate::raw_task::state::Wake::Nothing | crate::raw_task::state::Wake::Free => None,
        }
    }
}
