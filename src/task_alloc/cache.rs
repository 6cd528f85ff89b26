//! A thread's cache of free blocks.

use std::alloc::dealloc;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::{NonNull, null, null_mut};

use super::depot::Depot;
use super::magazine::Magazine;
use super::{CLASSES, alloc_from_system, layout_of};
use crate::primitive::Arc;
use crate::util::thread_bound::ThreadBound;

/// The blocks of one class that a thread keeps.
pub(super) struct ClassCache {
    /// The magazine into which blocks are put, and from which they are taken.
    ///
    /// Invariant: null, or made by `Box::into_raw`, owned by this thread, and of this class. The
    /// same holds for the spare one.
    pub(super) loaded: Cell<*mut Magazine>,
    /// Replaces the loaded magazine when that is full, or empty. A thread whose count moves around
    /// that limit does not use the depot each time.
    pub(super) spare: Cell<*mut Magazine>,
}

/// The blocks of all classes that a thread keeps.
pub(super) struct ThreadCache {
    pub(super) classes: [ClassCache; CLASSES + 1],
    /// Invariant: null while the cache is closed. Otherwise the depot that the outermost
    /// [`CacheGuard`] of this thread keeps alive, or that the thread borrows.
    pub(super) depot: Cell<*const Depot>,
}

std::thread_local! {
    // It has no destructor. So an access is one instruction, and it can be accessed to the very end
    // of the thread.
    pub(super) static THREAD_CACHE: ThreadCache = const {
        ThreadCache { classes: [const { ClassCache::empty() }; CLASSES + 1], depot: Cell::new(null()) }
    };
}

impl ClassCache {
    const fn empty() -> ClassCache {
        ClassCache { loaded: Cell::new(null_mut()), spare: Cell::new(null_mut()) }
    }

    /// Takes a block from the loaded magazine, if it has one.
    #[inline]
    pub(super) fn pop_loaded(&self) -> Option<NonNull<u8>> {
        // SAFETY: by the invariant it is null or owned by this thread, and no other reference to it
        // exists.
        unsafe { self.loaded.get().as_mut() }?.pop()
    }

    /// Puts a block into the loaded magazine. Returns false if there is no room.
    ///
    /// # Safety
    ///
    /// If the result is true, the caller gives the block up. It is unused memory that was allocated
    /// with the layout of this class.
    #[inline]
    pub(super) unsafe fn push_loaded(&self, block: NonNull<u8>) -> bool {
        // SAFETY: as in `pop_loaded`.
        let Some(loaded) = (unsafe { self.loaded.get().as_mut() }) else { return false };
        // SAFETY: the caller gives the block up, and the loaded magazine is of its class.
        unsafe { loaded.push(block) }
    }

    /// Loads another magazine, and returns the previous one.
    fn load(&self, magazine: Box<Magazine>) -> Option<Box<Magazine>> {
        // SAFETY: by the invariant it is null or owned by this thread, and it leaves the cache.
        unsafe { magazine_from(self.loaded.replace(Box::into_raw(magazine))) }
    }

    fn swap(&self) {
        self.loaded.swap(&self.spare);
    }
}

/// # Safety
///
/// The pointer is null, or comes from `Box::into_raw` and is converted back once.
unsafe fn magazine_from(magazine: *mut Magazine) -> Option<Box<Magazine>> {
    // SAFETY: the caller guarantees that the pointer comes from a box.
    NonNull::new(magazine).map(|magazine| unsafe { Box::from_raw(magazine.as_ptr()) })
}

impl ThreadCache {
    /// Returns the depot, while the cache is open.
    fn depot(&self) -> Option<&Depot> {
        // SAFETY: by the invariant, the depot is alive until the pointer is cleared. That happens
        // on this thread, and in none of the functions that use the depot.
        unsafe { self.depot.get().as_ref() }
    }

    /// Allocates a block if the loaded magazine is empty.
    #[cold]
    #[inline(never)]
    pub(super) fn alloc_slow(&self, class: usize) -> NonNull<u8> {
        let class_cache = &self.classes[class];
        let Some(depot) = self.depot() else { return alloc_from_system(layout_of(class)) };
        class_cache.swap();
        if let Some(block) = class_cache.pop_loaded() {
            return block;
        }
        let Some(full) = depot.fetch(class) else { return alloc_from_system(layout_of(class)) };
        // The loaded magazine is empty.
        drop(class_cache.load(full));
        class_cache.pop_loaded().unwrap_or_else(|| alloc_from_system(layout_of(class)))
    }

    /// Frees a block if the loaded magazine is full.
    ///
    /// # Safety
    ///
    /// It was allocated with the layout of its class, and holds no value any more.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn free_slow(&self, class: usize, block: NonNull<u8>) {
        let class_cache = &self.classes[class];
        let Some(depot) = self.depot() else {
            // SAFETY: the caller gives the block up, which was allocated with this layout.
            return unsafe { dealloc(block.as_ptr(), layout_of(class)) };
        };
        class_cache.swap();
        // SAFETY: the caller gives the block up, which is of this class.
        if unsafe { class_cache.push_loaded(block) } {
            return;
        }
        let mut empty = Magazine::new(class);
        // SAFETY: as above.
        let kept = unsafe { empty.push(block) };
        debug_assert!(kept, "an empty magazine has room");
        if let Some(full) = class_cache.load(empty) {
            depot.store(full);
        }
    }

    /// Closes the cache and frees its blocks.
    fn clear(&self) {
        self.depot.set(null());
        for class_cache in &self.classes {
            for magazine in [&class_cache.loaded, &class_cache.spare] {
                // SAFETY: by the invariant it is null or owned by this thread, and it leaves the
                // cache.
                drop(unsafe { magazine_from(magazine.replace(null_mut())) });
            }
        }
    }
}

/// Keeps this thread's cache open. Dropping the outermost guard frees all cached blocks.
#[derive(Debug)]
pub(crate) struct CacheGuard {
    /// The depot, if this is the outermost guard.
    depot: Option<Arc<Depot>>,
}

impl CacheGuard {
    /// Opens the cache of this thread. If it is open already, it keeps the depot that it has.
    pub(crate) fn open(depot: &Arc<Depot>) -> Self {
        THREAD_CACHE.with(|thread_cache| {
            let outermost = thread_cache.depot.get().is_null();
            let depot = outermost.then(|| Arc::clone(depot));
            if let Some(depot) = &depot {
                thread_cache.depot.set(Arc::as_ptr(depot));
            }
            CacheGuard { depot }
        })
    }
}

impl Drop for CacheGuard {
    fn drop(&mut self) {
        if self.depot.is_some() {
            THREAD_CACHE.with(ThreadCache::clear);
        }
    }
}

std::thread_local! {
    /// Accessed by each thread that borrows a depot. Its destructor frees the cached blocks at the
    /// end of the thread.
    static FLUSH_ON_EXIT: FlushOnExit = const { FlushOnExit };
}

pub(super) struct FlushOnExit;

impl Drop for FlushOnExit {
    fn drop(&mut self) {
        THREAD_CACHE.with(ThreadCache::clear);
    }
}

/// Lets this thread take blocks from `depot` until the result is dropped. Returns `None` if the
/// thread's cache is open already, since it has a depot then.
#[inline]
pub(crate) fn borrow_depot(depot: &Depot) -> Option<DepotBorrow<'_>> {
    THREAD_CACHE.with(|thread_cache| {
        // At the very end of a thread, the cache would not be cleared any more.
        if !thread_cache.depot.get().is_null() || FLUSH_ON_EXIT.try_with(|_| ()).is_err() {
            return None;
        }
        thread_cache.depot.set(depot);
        Some(DepotBorrow { _depot: PhantomData, _thread: ThreadBound::new() })
    })
}

/// Ends the borrow of a depot when it is dropped. It stays on its thread and in its frame: if it
/// were not dropped, the borrow would outlive the depot.
#[derive(Debug)]
pub(crate) struct DepotBorrow<'a> {
    _depot: PhantomData<&'a Depot>,
    _thread: ThreadBound,
}

impl Drop for DepotBorrow<'_> {
    #[inline]
    fn drop(&mut self) {
        THREAD_CACHE.with(|thread_cache| thread_cache.depot.set(null()));
    }
}
