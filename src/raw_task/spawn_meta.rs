//! What a task was spawned with: its location, its name, and its group.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;

use super::{Id, Origin, Route};
use crate::primitive::Arc;

/// The bit that marks a pointer to [`Details`].
const DETAILED: usize = 1;

/// The place where a task was spawned, and its name and group if it has them. It is one word wide,
/// so a task without a name and a group does not pay for them.
///
/// Invariant: it is a pointer to a static `Location`, or one to `Details` with the bit `DETAILED`
/// set. The `Details` are in a box that this value owns.
pub(crate) struct SpawnMeta(*const (), PhantomData<Details>, Origin);

const _: () = assert!(
    align_of::<Location<'static>>() > DETAILED && align_of::<Details>() > DETAILED,
    "there is room for the bit"
);

struct Details {
    location: &'static Location<'static>,
    name: Option<Arc<str>>,
    group: Option<Arc<dyn Route>>,
}

// SAFETY: it is a reference to something static, or a box of a value that is both `Send` and
// `Sync`.
unsafe impl Send for SpawnMeta {}
// SAFETY: as above; nothing in it ever changes.
unsafe impl Sync for SpawnMeta {}

impl From<&'static Location<'static>> for SpawnMeta {
    #[inline]
    fn from(location: &'static Location<'static>) -> SpawnMeta {
        SpawnMeta(std::ptr::from_ref(location).cast(), PhantomData, Origin::UNKNOWN)
    }
}

impl SpawnMeta {
    /// Creates the metadata of a task with a name.
    pub(crate) fn named(location: &'static Location<'static>, name: &str) -> SpawnMeta {
        SpawnMeta::detailed(Details { location, name: Some(name.into()), group: None })
    }

    /// Creates the metadata of a task of a group.
    pub(crate) fn of_group(
        location: &'static Location<'static>,
        name: Option<&str>,
        group: Arc<dyn Route>,
    ) -> SpawnMeta {
        SpawnMeta::detailed(Details { location, name: name.map(Arc::from), group: Some(group) })
    }

    fn detailed(details: Details) -> SpawnMeta {
        let details = Box::into_raw(Box::new(details));
        let details = details.cast_const().cast::<()>().map_addr(|address| address | DETAILED);
        SpawnMeta(details, PhantomData, Origin::UNKNOWN)
    }

    /// Adds what is spawned, for the span of the task. Without the feature `tracing-spans`, this is
    /// nothing.
    #[inline(always)]
    pub(crate) fn with_origin(mut self, origin: Origin) -> SpawnMeta {
        self.2 = origin;
        self
    }

    /// Returns what is spawned.
    #[inline(always)]
    pub(crate) fn origin(&self) -> Origin {
        self.2
    }

    #[inline]
    fn has_details(&self) -> bool {
        self.0.addr() & DETAILED != 0
    }

    #[inline]
    fn details(&self) -> Option<&Details> {
        let details = self.0.map_addr(|address| address & !DETAILED).cast::<Details>();
        // SAFETY: by the invariant, a pointer with the bit is one to `Details`, which live as long
        // as `self`.
        self.has_details().then(|| unsafe { &*details })
    }

    /// Returns where the task was spawned, if it has no name.
    #[inline]
    pub(super) fn unnamed(&self) -> Option<&'static Location<'static>> {
        if self.has_details() {
            return self.unnamed_with_group();
        }
        // SAFETY: by the invariant, a pointer without the bit is one to a static `Location`.
        Some(unsafe { &*self.0.cast() })
    }

    #[cold]
    fn unnamed_with_group(&self) -> Option<&'static Location<'static>> {
        self.details().filter(|details| details.name.is_none()).map(|details| details.location)
    }

    /// Returns where the task was spawned.
    pub(crate) fn location(&self) -> &'static Location<'static> {
        match self.details() {
            Some(details) => details.location,
            // SAFETY: by the invariant, a pointer without the bit is one to a static `Location`.
            None => unsafe { &*self.0.cast() },
        }
    }

    /// Returns the task's name.
    #[inline]
    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.details()?.name.as_ref()
    }

    /// Returns the task's group.
    #[inline]
    pub(crate) fn group(&self) -> Option<&Arc<dyn Route>> {
        self.details()?.group.as_ref()
    }
}

impl SpawnMeta {
    /// # Safety
    ///
    /// It has details, and is not accessed afterwards.
    #[cold]
    unsafe fn drop_details(&mut self) {
        let details = self.0.map_addr(|address| address & !DETAILED).cast::<Details>().cast_mut();
        // SAFETY: by the invariant, the `Details` were made from a box that `self` owns.
        drop(unsafe { Box::from_raw(details) });
    }
}

impl Drop for SpawnMeta {
    #[inline]
    fn drop(&mut self) {
        if self.has_details() {
            // SAFETY: this is the destructor, which runs once.
            unsafe { self.drop_details() };
        }
    }
}

impl fmt::Debug for SpawnMeta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnMeta").field("location", self.location()).field("name", &self.name()).finish()
    }
}

/// A task as dumps, reports and hooks show it.
#[derive(Debug, Clone)]
pub(crate) struct TaskInfo {
    pub(crate) id: Id,
    pub(crate) name: Option<Arc<str>>,
    /// The name of the task's group.
    pub(crate) group: Option<Arc<str>>,
    pub(crate) location: &'static Location<'static>,
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;
    use crate::loom_tests::support::Home;
    use crate::raw_task;

    #[test]
    fn spawn_meta_without_name_is_its_location() {
        let here = Location::caller();
        let spawn_meta = SpawnMeta::from(here);
        assert_eq!((spawn_meta.location(), spawn_meta.name()), (here, None));
        assert_eq!(size_of::<SpawnMeta>(), size_of::<usize>() + size_of::<Origin>());
    }

    #[test]
    fn task_name_is_freed_with_the_cell() {
        let (home, here) = (Home::new(), Location::caller());
        let (runnable, handle) = raw_task::spawn::<_, Home>(async { 7 }, SpawnMeta::named(here, "seven"));
        let TaskInfo { id, name, location, .. } = runnable.header().identity();
        assert_eq!((id, location), (handle.id(), here));
        let name = name.expect("it has one");
        assert_eq!((&*name, Arc::strong_count(&name)), ("seven", 2));
        drop(runnable.run(&*home));
        assert_eq!(Arc::strong_count(&name), 2, "the handle keeps the cell");
        drop(handle);
        assert_eq!(Arc::strong_count(&name), 1);
    }
}
