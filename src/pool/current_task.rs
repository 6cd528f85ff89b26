//! The task that a worker polls, as other threads see it.

use std::panic::Location;

use crate::raw_task::{Header, Id, TaskInfo};
use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::sync::{Arc, Mutex};

/// Which task a worker polls, as others see it.
#[derive(Debug)]
pub(crate) struct CurrentTask {
    /// Zero between two polls.
    id: AtomicU64,
    location: AtomicPtr<Location<'static>>,
    /// The last one here that had a name.
    named: Mutex<Option<(Id, Arc<str>)>>,
}

impl CurrentTask {
    pub(crate) fn new() -> Self {
        CurrentTask { id: AtomicU64::new(0), location: AtomicPtr::new(std::ptr::null_mut()), named: Mutex::new(None) }
    }

    /// A poll begins.
    #[inline]
    pub(crate) fn begin_poll(&self, task: &Header) {
        let location = task.location_of_unnamed().unwrap_or_else(|| self.record_named(task));
        // Ordering: Release — pairs with the Acquire in `get`: the end of the poll before is seen
        // by whoever sees this.
        self.location.store(std::ptr::from_ref(location).cast_mut(), Ordering::Release);
        // Ordering: Release — pairs with the Acquire in `get`: the location is that of this task.
        self.id.store(task.id().get(), Ordering::Release);
    }

    #[cold]
    fn record_named(&self, task: &Header) -> &'static Location<'static> {
        let named = task.name().map(|name| (task.id(), Arc::clone(name)));
        let outdated = std::mem::replace(&mut *self.named.lock(), named);
        drop(outdated);
        task.location()
    }

    /// It is over.
    #[inline]
    pub(crate) fn end_poll(&self) {
        // Ordering: Relaxed — published by the next `begin`, or by the count of the task's end.
        self.id.store(0, Ordering::Relaxed);
    }

    /// Whether there is one.
    pub(crate) fn is_polling(&self) -> bool {
        // Ordering: Relaxed — a figure.
        self.id.load(Ordering::Relaxed) != 0
    }

    /// That task.
    pub(crate) fn get(&self) -> Option<TaskInfo> {
        // Ordering: Acquire — pairs with the Release in `begin`.
        let id = self.id.load(Ordering::Acquire);
        // Ordering: Acquire — as above.
        let location = self.location.load(Ordering::Acquire);
        // Ordering: Relaxed — a later poll's location comes with the end of this one.
        let same = self.id.load(Ordering::Relaxed) == id;
        // SAFETY: null, or what `begin` has stored: a reference to something static.
        let location = unsafe { location.as_ref() }?;
        let id = Id::from_number(id).filter(|_| same)?;
        let name = self.named.lock().as_ref().filter(|(named, _)| *named == id).map(|(_, name)| Arc::clone(name));
        Some(TaskInfo { id, name, location })
    }
}
