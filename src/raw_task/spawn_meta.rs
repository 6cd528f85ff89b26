//! The location and the name that a task was spawned with.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;

use super::Id;
use crate::primitive::Arc;

/// The bit that marks a pointer to a [`Name`].
const NAMED: usize = 1;

/// The place where a task was spawned, and its name if it has one. It is one word wide, so a task
/// without a name does not pay for names.
///
/// Invariant: it is a pointer to a static `Location`, or one to a `Name` with the bit `NAMED` set.
/// The `Name` is in a box that this value owns.
pub(crate) struct SpawnMeta(*const (), PhantomData<Name>);

const _: () =
    assert!(align_of::<Location<'static>>() > NAMED && align_of::<Name>() > NAMED, "there is room for the bit");

struct Name {
    location: &'static Location<'static>,
    name: Arc<str>,
}

// SAFETY: it is a reference to something static, or a box of a value that is both `Send` and
// `Sync`.
unsafe impl Send for SpawnMeta {}
// SAFETY: as above; nothing in it ever changes.
unsafe impl Sync for SpawnMeta {}

impl From<&'static Location<'static>> for SpawnMeta {
    #[inline]
    fn from(location: &'static Location<'static>) -> SpawnMeta {
        SpawnMeta(std::ptr::from_ref(location).cast(), PhantomData)
    }
}

impl SpawnMeta {
    /// Creates the metadata of a task with a name.
    pub(crate) fn named(location: &'static Location<'static>, name: &str) -> SpawnMeta {
        let name = Box::into_raw(Box::new(Name { location, name: name.into() }));
        SpawnMeta(name.cast_const().cast::<()>().map_addr(|address| address | NAMED), PhantomData)
    }

    #[inline]
    fn is_named(&self) -> bool {
        self.0.addr() & NAMED != 0
    }

    #[inline]
    fn as_name(&self) -> Option<&Name> {
        let name = self.0.map_addr(|address| address & !NAMED).cast::<Name>();
        // SAFETY: by the invariant, a pointer with the bit is one to a `Name`, which lives as long
        // as `self`.
        self.is_named().then(|| unsafe { &*name })
    }

    /// Returns where the task was spawned, if it has no name.
    #[inline]
    pub(super) fn unnamed(&self) -> Option<&'static Location<'static>> {
        // SAFETY: by the invariant, a pointer without the bit is one to a static `Location`.
        (!self.is_named()).then(|| unsafe { &*self.0.cast() })
    }

    /// Returns where the task was spawned.
    pub(crate) fn location(&self) -> &'static Location<'static> {
        match self.as_name() {
            Some(name) => name.location,
            // SAFETY: as in `unnamed`.
            None => unsafe { &*self.0.cast() },
        }
    }

    /// Returns the task's name.
    #[inline]
    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.as_name().map(|name| &name.name)
    }
}

impl SpawnMeta {
    /// # Safety
    ///
    /// It has a name, and is not accessed afterwards.
    #[cold]
    unsafe fn drop_name(&mut self) {
        let name = self.0.map_addr(|address| address & !NAMED).cast::<Name>().cast_mut();
        // SAFETY: by the invariant, the `Name` was made from a box that `self` owns.
        drop(unsafe { Box::from_raw(name) });
    }
}

impl Drop for SpawnMeta {
    #[inline]
    fn drop(&mut self) {
        if self.is_named() {
            // SAFETY: this is the destructor, which runs once.
            unsafe { self.drop_name() };
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
        assert_eq!(size_of::<SpawnMeta>(), size_of::<usize>());
    }

    #[test]
    fn task_name_is_freed_with_the_cell() {
        let (home, here) = (Home::new(), Location::caller());
        let (runnable, handle) = raw_task::spawn::<_, Home>(async { 7 }, SpawnMeta::named(here, "seven"));
        let TaskInfo { id, name, location } = runnable.header().identity();
        assert_eq!((id, location), (handle.id(), here));
        let name = name.expect("it has one");
        assert_eq!((&*name, Arc::strong_count(&name)), ("seven", 2));
        drop(runnable.run(&*home));
        assert_eq!(Arc::strong_count(&name), 2, "the handle keeps the cell");
        drop(handle);
        assert_eq!(Arc::strong_count(&name), 1);
    }
}
