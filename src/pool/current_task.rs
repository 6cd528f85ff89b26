//! The task that a worker polls, as other threads see it.

use std::panic::Location;

use crate::group::Group;
use crate::primitive::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::primitive::{Arc, Mutex};
use crate::raw_task::{Header, Id, TaskInfo};

/// The task that a worker polls, readable by other threads.
#[derive(Debug)]
pub(crate) struct CurrentTask {
    /// The task's id, or zero between two polls.
    id: AtomicU64,
    location: AtomicPtr<Location<'static>>,
    /// The last named task that was polled here.
    named: Mutex<Option<(Id, Arc<str>)>>,
    /// The group whose tasks are being polled.
    group: Mutex<Option<Arc<Group>>>,
}

impl CurrentTask {
    pub(crate) fn new() -> Self {
        CurrentTask {
            id: AtomicU64::new(0),
            location: AtomicPtr::new(std::ptr::null_mut()),
            named: Mutex::new(None),
            group: Mutex::new(None),
        }
    }

    /// Records the begin of a poll.
    #[inline]
    pub(crate) fn begin_poll(&self, task: &Header) {
        let location = task.location_of_unnamed().unwrap_or_else(|| self.record_named(task));
        // Ordering: Release — pairs with the Acquire in `CurrentTask::get`: a thread that sees this
        // location sees the end of the previous poll.
        self.location.store(std::ptr::from_ref(location).cast_mut(), Ordering::Release);
        // Ordering: Release — pairs with the Acquire in `CurrentTask::get`: the location is that of
        // this task.
        self.id.store(task.id().get(), Ordering::Release);
    }

    #[cold]
    fn record_named(&self, task: &Header) -> &'static Location<'static> {
        let named = task.name().map(|name| (task.id(), Arc::clone(name)));
        let outdated = std::mem::replace(&mut *self.named.lock(), named);
        drop(outdated);
        task.location()
    }

    /// Sets the group of the tasks that are polled from now on.
    pub(crate) fn set_group(&self, group: Option<Arc<Group>>) {
        // The last reference takes locks when it is dropped.
        let replaced = std::mem::replace(&mut *self.group.lock(), group);
        drop(replaced);
    }

    /// Returns the group whose tasks are being polled.
    pub(crate) fn group(&self) -> Option<Arc<Group>> {
        self.group.lock().clone()
    }

    /// Records the end of a poll.
    #[inline]
    pub(crate) fn end_poll(&self) {
        // Ordering: Relaxed — published by the next `CurrentTask::begin_poll`, or by the count of
        // the task's end.
        self.id.store(0, Ordering::Relaxed);
    }

    /// Returns true if a task is being polled.
    pub(crate) fn is_polling(&self) -> bool {
        // Ordering: Relaxed — a metric.
        self.id.load(Ordering::Relaxed) != 0
    }

    /// Returns the task that is being polled. The poll may be over when this returns.
    pub(crate) fn get(&self) -> Option<TaskInfo> {
        // Ordering: Acquire — pairs with the Release in `CurrentTask::begin_poll`.
        let id = self.id.load(Ordering::Acquire);
        // Ordering: Acquire — as above.
        let location = self.location.load(Ordering::Acquire);
        // Ordering: Relaxed — a later poll's location is seen only with the end of this poll, so
        // the id differs then.
        let same = self.id.load(Ordering::Relaxed) == id;
        // SAFETY: the pointer is null, or `begin_poll` has made it from a `&'static Location`.
        let location = unsafe { location.as_ref() }?;
        let id = Id::from_number(id).filter(|_| same)?;
        let name = self.named.lock().as_ref().filter(|(named, _)| *named == id).map(|(_, name)| Arc::clone(name));
        let group = self.group().map(|group| Arc::clone(&group.settings.name));
        // If the poll is over, the group may be that of a later one.
        // Ordering: Relaxed — as above.
        let group = group.filter(|_| self.id.load(Ordering::Relaxed) == id.get());
        Some(TaskInfo { id, name, group, location })
    }
}
