//! The live list: the suspended tasks of one seat.

use std::fmt;
use std::ptr::NonNull;

use crate::raw_task::{Header, Id, Runnable, TaskInfo, TaskView};
use crate::sync::Mutex;
use crate::util::list::List;

/// The tasks that first became idle in one seat, and have not ended.
///
/// A task is filed by its poller before it first becomes idle, and unfiled by its poller before it
/// completes, both under the lock; so a linked task is alive. No user code runs under the lock.
pub(crate) struct OwnedTasks {
    list: Mutex<List<Header>>,
}

impl OwnedTasks {
    pub(crate) fn new() -> Self {
        OwnedTasks { list: Mutex::new(List::new()) }
    }

    /// Files a task.
    ///
    /// # Safety
    ///
    /// The caller is polling the task and has not filed it before.
    pub(super) unsafe fn link(&self, task: NonNull<Header>) {
        let mut list = self.list.lock();
        // SAFETY: the poller keeps the task alive now, and unfiles it before it ends.
        unsafe { list.push_back(task) };
    }

    /// Takes a task out.
    ///
    /// # Safety
    ///
    /// The caller is polling the task, which was filed here.
    pub(super) unsafe fn unlink(&self, task: NonNull<Header>) {
        let mut list = self.list.lock();
        // SAFETY: the task was filed here and only its poller takes it out.
        unsafe { list.remove(task) };
    }

    /// Asks every filed task to end, and answers those that have to be queued for it.
    ///
    /// A task in its first poll is not filed yet, and in no queue: whoever wants all of them comes
    /// when nobody polls with this home.
    pub(crate) fn cancel_all(&self) -> Vec<Runnable> {
        self.cancel_all_except(|_| false)
    }

    /// As [`OwnedTasks::cancel_all`], of those that `spared` does not speak for. It is asked under
    /// the lock.
    pub(crate) fn cancel_all_except(&self, spared: impl Fn(Id) -> bool) -> Vec<Runnable> {
        // SAFETY: a linked task is alive.
        let id = |task: NonNull<Header>| unsafe { task.as_ref() }.id;
        self.map_tasks(|task| if spared(id(task)) { None } else { Header::cancel(task) })
            .into_iter()
            .flatten()
            .collect()
    }

    /// Who is filed.
    pub(crate) fn all(&self) -> Vec<TaskInfo> {
        // SAFETY: a linked task is alive.
        self.map_tasks(|task| unsafe { task.as_ref() }.identity())
    }

    /// The filed tasks, for a dump.
    pub(crate) fn task_views(&self) -> Vec<TaskView> {
        // SAFETY: a linked task is alive.
        self.map_tasks(|task| unsafe { task.as_ref() }.task_view())
    }

    /// Whether every filed task has ended.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.lock().is_empty()
    }

    /// The phase of each filed task.
    #[cfg(test)]
    pub(super) fn phases(&self) -> Vec<&'static str> {
        // SAFETY: a linked task is alive.
        self.map_tasks(|task| unsafe { task.as_ref() }.state.load().phase())
    }

    fn map_tasks<T>(&self, see: impl Fn(NonNull<Header>) -> T) -> Vec<T> {
        let list = self.list.lock();
        let mut seen = Vec::new();
        let mut next = list.front();
        while let Some(task) = next {
            seen.push(see(task));
            // SAFETY: the task is linked in this list, which is locked.
            next = unsafe { list.next(task) };
        }
        seen
    }
}

impl fmt::Debug for OwnedTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveSet").finish_non_exhaustive()
    }
}

impl Header {
    /// Asks a task to end. Answers its `Runnable` if it was idle.
    fn cancel(task: NonNull<Header>) -> Option<Runnable> {
        // SAFETY: the caller sees the task under the lock of the list that it is linked in, so it
        // is alive.
        match unsafe { task.as_ref() }.state.cancel() {
            // SAFETY: the transition made a `Runnable` and gave it to us.
            crate::raw_task::state::Wake::Schedule => Some(unsafe { Runnable::from_raw(task) }),
            crate::raw_task::state::Wake::Nothing | crate::raw_task::state::Wake::Free => None,
        }
    }
}
