//! The memory of tasks: a worker keeps what its tasks give back, for the tasks that it spawns next.
//!
//! A task lives shortly and has the size of many others, and general allocators hand out such
//! pieces in tens of nanoseconds, more if the piece came from another thread. So a thread that has
//! opened its shelves keeps released pieces, by size, in **magazines**: arrays of addresses, so
//! that neither keeping a piece nor handing one out touches its memory. Per size it has two, the
//! loaded one and a spare one. What is more goes, a full magazine at a time, to the **depot** of
//! its runtime, where any of its workers finds it: tasks are often spawned on one worker and end on
//! another, and a general allocator is at its slowest then. The depot is locked, once per magazine,
//! and keeps pieces up to a limit in bytes; beyond it they go back to the global allocator, one by
//! one.
//!
//! Pieces come from the global allocator one by one, each with the layout of its class, so that any
//! thread may give any piece back. Threads that have not opened their shelves pass everything on to
//! it.
//!
//! But who spawns from outside, again and again, would take from the allocator what the workers
//! have to give back to it, each in the other's way. So while a thread makes a task for a runtime,
//! that one's depot is [lent](borrow_depot) to it: it takes whole magazines, too. What is left in them
//! waits for its next tasks, and goes back to the allocator at the thread's end.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::{NonNull, null, null_mut};

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex};
use crate::util::thread_bound::ThreadBound;

#[cfg(not(heist_fresh_memory))]
mod class;
#[cfg(heist_fresh_memory)]
#[path = "task_alloc/class_none.rs"]
mod class;
mod magazine;

use class::class;
use magazine::Magazine;

/// Sizes are rounded up to a multiple of this, less what malloc keeps beside each piece: the
/// smallest task is one 96-byte chunk.
const STEP: usize = 32;
/// What malloc keeps beside each piece.
const HEAD: usize = 8;
/// Larger pieces are not kept.
const CLASSES: usize = 32;
/// What malloc aligns to by itself. More would make it slow, and is left to it.
const ALIGN: usize = 8;
/// How much a depot keeps for each worker of its runtime, in bytes: a burst of some ten thousand
/// small tasks.
const MOST: usize = 2 << 20;

/// The pieces of one class that a thread keeps.
struct ClassCache {
    /// Where pieces are put and taken.
    ///
    /// Invariant: null, or made by `Box::into_raw`, owned by this thread, and of this shelf's
    /// class; so is the spare one.
    loaded: Cell<*mut Magazine>,
    /// Takes its place when it is full, or empty: whoever goes to and fro about that point does not
    /// go to the depot each time.
    spare: Cell<*mut Magazine>,
}

struct ThreadCache {
    thread_cache: [ClassCache; CLASSES + 1],
    /// Invariant: null while the shelves are closed; else the depot that the outermost
    /// [`CacheGuard`] of this thread keeps, or that is lent to the thread.
    depot: Cell<*const Depot>,
}

std::thread_local! {
    // Without a destructor: reading it is one instruction, and it can be reached to the very end of
    // the thread.
    static SHELVES: ThreadCache = const {
        ThreadCache { thread_cache: [const { ClassCache::empty() }; CLASSES + 1], depot: Cell::new(null()) }
    };
}

/// The layout with which the pieces of a class are allocated.
#[inline]
const fn layout_of(class: usize) -> Layout {
    match Layout::from_size_align(class * STEP - HEAD, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("a class's size is small"),
    }
}

/// Memory for one `T`, to be given back with [`deallocate`].
#[inline]
pub(crate) fn allocate<T>() -> NonNull<T> {
    let layout = Layout::new::<T>();
    let Some(class) = class(layout) else { return alloc_from_system(layout).cast() };
    SHELVES
        .with(|thread_cache| {
            thread_cache.thread_cache[class].pop_loaded().unwrap_or_else(|| thread_cache.alloc_slow(class))
        })
        .cast()
}

/// Gives back the memory of a `T`.
///
/// # Safety
///
/// It came from [`allocate`] for the same type, and holds nothing any more.
#[inline]
pub(crate) unsafe fn deallocate<T>(memory: NonNull<T>) {
    let layout = Layout::new::<T>();
    let Some(class) = class(layout) else {
        // SAFETY: handed on from the caller; without a class, the layout was the type's own.
        return unsafe { dealloc(memory.as_ptr().cast(), layout) };
    };
    let piece = memory.cast();
    SHELVES.with(|thread_cache| {
        // SAFETY: handed on from the caller; it was allocated with the layout of its class.
        let kept = unsafe { thread_cache.thread_cache[class].push_loaded(piece) };
        if !kept {
            // SAFETY: as above.
            unsafe { thread_cache.free_slow(class, piece) };
        }
    });
}

#[cold]
#[inline(never)]
fn alloc_from_system(layout: Layout) -> NonNull<u8> {
    debug_assert!(layout.size() > 0);
    // SAFETY: a task is never of size zero.
    let memory = unsafe { alloc(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

impl ClassCache {
    const fn empty() -> ClassCache {
        ClassCache { loaded: Cell::new(null_mut()), spare: Cell::new(null_mut()) }
    }

    /// A piece from the loaded magazine, if there is one.
    #[inline]
    fn pop_loaded(&self) -> Option<NonNull<u8>> {
        // SAFETY: by the invariant it is null or ours, and no other reference to it exists.
        unsafe { self.loaded.get().as_mut() }?.pop()
    }

    /// Puts a piece into the loaded magazine, if there is room.
    ///
    /// # Safety
    ///
    /// If it is taken, the caller gives it up: unused memory that was allocated with the layout of
    /// this shelf's class.
    #[inline]
    unsafe fn push_loaded(&self, piece: NonNull<u8>) -> bool {
        // SAFETY: as in `take`.
        let Some(loaded) = (unsafe { self.loaded.get().as_mut() }) else { return false };
        // SAFETY: handed on from the caller; a magazine on this shelf is of its class.
        unsafe { loaded.push(piece) }
    }

    /// Loads another magazine, and answers the one that was.
    fn load(&self, magazine: Box<Magazine>) -> Option<Box<Magazine>> {
        // SAFETY: by the invariant it is null or ours, and it leaves the shelf.
        unsafe { magazine_from(self.loaded.replace(Box::into_raw(magazine))) }
    }

    fn swap(&self) {
        self.loaded.swap(&self.spare);
    }
}

/// # Safety
///
/// The pointer is null, or comes from `Box::into_raw` and is used for this once.
unsafe fn magazine_from(magazine: *mut Magazine) -> Option<Box<Magazine>> {
    // SAFETY: handed on from the caller.
    NonNull::new(magazine).map(|magazine| unsafe { Box::from_raw(magazine.as_ptr()) })
}

impl ThreadCache {
    /// The depot, while the shelves are open.
    fn depot(&self) -> Option<&Depot> {
        // SAFETY: by the invariant the depot is kept until the pointer is taken away, which happens
        // on this thread, and not within any of the functions that use it.
        unsafe { self.depot.get().as_ref() }
    }

    /// The loaded magazine is empty: a piece from elsewhere.
    #[cold]
    #[inline(never)]
    fn alloc_slow(&self, class: usize) -> NonNull<u8> {
        let class_cache = &self.thread_cache[class];
        let Some(depot) = self.depot() else { return alloc_from_system(layout_of(class)) };
        class_cache.swap();
        if let Some(piece) = class_cache.pop_loaded() {
            return piece;
        }
        let Some(full) = depot.fetch(class) else { return alloc_from_system(layout_of(class)) };
        // What was loaded is empty.
        drop(class_cache.load(full));
        class_cache.pop_loaded().unwrap_or_else(|| alloc_from_system(layout_of(class)))
    }

    /// The loaded magazine is full: the piece goes elsewhere.
    ///
    /// # Safety
    ///
    /// It was allocated with the layout of its class, and holds nothing any more.
    #[cold]
    #[inline(never)]
    unsafe fn free_slow(&self, class: usize, piece: NonNull<u8>) {
        let class_cache = &self.thread_cache[class];
        let Some(depot) = self.depot() else {
            // SAFETY: handed on from the caller.
            return unsafe { dealloc(piece.as_ptr(), layout_of(class)) };
        };
        class_cache.swap();
        // SAFETY: handed on from the caller.
        if unsafe { class_cache.push_loaded(piece) } {
            return;
        }
        let mut empty = Magazine::new(class);
        // SAFETY: as above.
        let kept = unsafe { empty.push(piece) };
        debug_assert!(kept, "an empty magazine has room");
        if let Some(full) = class_cache.load(empty) {
            depot.store(full);
        }
    }

    /// Closes the shelves and gives everything back.
    fn clear(&self) {
        self.depot.set(null());
        for class_cache in &self.thread_cache {
            for magazine in [&class_cache.loaded, &class_cache.spare] {
                // SAFETY: by the invariant it is null or ours, and it leaves the shelf.
                drop(unsafe { magazine_from(magazine.replace(null_mut())) });
            }
        }
    }
}

/// What the workers of a runtime keep together: full magazines, by class.
#[derive(Debug)]
pub(crate) struct Depot {
    depot_classes: Box<[DepotClass]>,
    /// Bytes on the racks.
    kept: AtomicUsize,
    /// How much may be kept.
    most: usize,
}

#[derive(Debug)]
struct DepotClass {
    #[expect(clippy::vec_box, reason = "they change hands by their address, also under the lock")]
    magazines: Mutex<Vec<Box<Magazine>>>,
    /// How many there are, written under the lock: whoever reads zero need not take it.
    len: AtomicUsize,
}

impl Depot {
    /// For a runtime of so many workers.
    pub(crate) fn new(workers: usize) -> Arc<Depot> {
        let depot_class = |_| DepotClass { magazines: Mutex::new(Vec::new()), len: AtomicUsize::new(0) };
        let depot_classes = (0..=CLASSES).map(depot_class).collect();
        Arc::new(Depot { depot_classes, kept: AtomicUsize::new(0), most: workers.saturating_mul(MOST) })
    }

    fn fetch(&self, class: usize) -> Option<Box<Magazine>> {
        let depot_class = &self.depot_classes[class];
        // Ordering: Relaxed — a hint; what is in the magazine is published by the lock.
        if depot_class.len.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut magazines = depot_class.magazines.lock();
        let magazine = magazines.pop()?;
        // Ordering: Relaxed — as above.
        depot_class.len.store(magazines.len(), Ordering::Relaxed);
        drop(magazines);
        // Ordering: Relaxed — a figure.
        self.kept.fetch_sub(magazine.bytes(), Ordering::Relaxed);
        Some(magazine)
    }

    fn store(&self, magazine: Box<Magazine>) {
        let bytes = magazine.bytes();
        // Ordering: Relaxed — a figure: it is raised before the magazine can be fetched.
        if self.kept.fetch_add(bytes, Ordering::Relaxed) + bytes > self.most {
            // Ordering: Relaxed — as above.
            self.kept.fetch_sub(bytes, Ordering::Relaxed);
            // Dropped outside of the lock, it gives its pieces back.
            return;
        }
        let depot_class = &self.depot_classes[magazine.class()];
        let mut magazines = depot_class.magazines.lock();
        magazines.push(magazine);
        // Ordering: Relaxed — as in `fetch`.
        depot_class.len.store(magazines.len(), Ordering::Relaxed);
    }
}

/// While it lives, this thread keeps released pieces; then it gives them all back.
#[derive(Debug)]
pub(crate) struct CacheGuard {
    /// The depot, for the outermost opening.
    depot: Option<Arc<Depot>>,
}

impl CacheGuard {
    /// Opens the shelves of this thread. If they are open already they stay as they are, with the
    /// depot that they have.
    pub(crate) fn open(depot: &Arc<Depot>) -> Self {
        SHELVES.with(|thread_cache| {
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
            SHELVES.with(ThreadCache::clear);
        }
    }
}

std::thread_local! {
    /// Touched by whoever borrows: what is left on the shelves goes back at the end of the thread.
    static CLEANER: FlushOnExit = const { FlushOnExit };
}

struct FlushOnExit;

impl Drop for FlushOnExit {
    fn drop(&mut self) {
        SHELVES.with(ThreadCache::clear);
    }
}

/// Lets this thread take pieces from `depot`, as long as the answer lives. A thread whose shelves
/// are open has a depot already.
#[inline]
pub(crate) fn borrow_depot(depot: &Depot) -> Option<DepotBorrow<'_>> {
    SHELVES.with(|thread_cache| {
        // At the very end of a thread nobody would clear the shelves.
        if !thread_cache.depot.get().is_null() || CLEANER.try_with(|_| ()).is_err() {
            return None;
        }
        thread_cache.depot.set(depot);
        Some(DepotBorrow { _depot: PhantomData, _thread: ThreadBound::new() })
    })
}

/// Takes the depot back. It stays on its thread and in its frame: a loan that is not dropped would
/// outlive its depot.
#[derive(Debug)]
pub(crate) struct DepotBorrow<'a> {
    _depot: PhantomData<&'a Depot>,
    _thread: ThreadBound,
}

impl Drop for DepotBorrow<'_> {
    #[inline]
    fn drop(&mut self) {
        SHELVES.with(|thread_cache| thread_cache.depot.set(null()));
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests;
