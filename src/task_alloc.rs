//! Allocates the memory of tasks, and keeps freed memory for the next tasks.
//!
//! Most tasks live shortly, and have the size of many others. A general allocator needs tens of
//! nanoseconds for each, and more if the memory came from another thread. So a thread with an open
//! cache ([`CacheGuard`]) keeps freed blocks, by size class, in **magazines**. A magazine is an
//! array of addresses, so neither keeping nor reusing a block touches its memory.
//!
//! ```text
//! allocate, deallocate           whole magazines           single blocks
//!  thread ──── loaded, spare ───────────────────── depot ───────────────── system allocator
//!              (per class)                     (per runtime)
//! ```
//!
//! A thread has two magazines per class: the loaded one and a spare one. Full magazines beyond that
//! go to the **depot** of the runtime, where each of its workers finds them. Tasks are often
//! spawned on one worker and end on another, and a general allocator is slowest then. The depot is
//! locked once per magazine. It keeps blocks up to a limit in bytes. Beyond that, they go back to
//! the system allocator, one by one.
//!
//! A class that no task of the thread has used costs two null pointers. A class in use costs the
//! thread at most 32 KiB of free blocks, and 2 KiB for the two arrays. Few classes are in use,
//! since a program spawns few types of futures.
//!
//! Blocks come from the system allocator one by one, each with the layout of its class. So any
//! thread may free any block. A thread without an open cache uses the system allocator directly.
//!
//! Consider a thread that spawns repeatedly from outside. It would take from the system allocator
//! what the workers have to give back, each in the other's way. So while a thread creates a task
//! for a runtime, it [borrows](borrow_depot) that runtime's depot, and takes whole magazines, too.
//! The rest of a magazine stays for the thread's next tasks, and is freed when the thread ends.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

mod cache;
#[cfg(not(heist_fresh_memory))]
mod class;
#[cfg(heist_fresh_memory)]
#[path = "task_alloc/class_none.rs"]
mod class;
mod depot;
mod magazine;

use cache::THREAD_CACHE;
pub(crate) use cache::{CacheGuard, borrow_depot};
use class::class;
pub(crate) use depot::Depot;

/// Sizes are rounded up to a multiple of this, less malloc's own bytes per block. It is malloc's
/// own step on 64-bit Linux, so a task's chunk is no larger than one from malloc itself.
const SIZE_STEP: usize = 16;
/// Bytes that malloc keeps beside each block.
const MALLOC_HEADER: usize = 8;
/// Blocks of higher classes are not kept: the largest kept block is 1016 bytes long.
const CLASSES: usize = 64;
/// The alignment that malloc guarantees. A larger one would make it slow, and is left to it.
const ALIGN: usize = 8;

/// Returns the layout with which the blocks of a class are allocated.
#[inline]
const fn layout_of(class: usize) -> Layout {
    match Layout::from_size_align(class * SIZE_STEP - MALLOC_HEADER, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("a class's size is small"),
    }
}

/// Allocates memory for one `T`, to be freed with [`deallocate`].
#[inline]
pub(crate) fn allocate<T>() -> NonNull<T> {
    let layout = Layout::new::<T>();
    let Some(class) = class(layout) else { return alloc_from_system(layout).cast() };
    THREAD_CACHE
        .with(|thread_cache| thread_cache.classes[class].pop_loaded().unwrap_or_else(|| thread_cache.alloc_slow(class)))
        .cast()
}

/// Frees the memory of a `T`.
///
/// # Safety
///
/// It came from [`allocate`] for the same type, and holds no value any more.
#[inline]
pub(crate) unsafe fn deallocate<T>(memory: NonNull<T>) {
    let layout = Layout::new::<T>();
    let Some(class) = class(layout) else {
        // SAFETY: the caller's memory came from `allocate`, which used the type's own layout
        // because the layout has no class.
        return unsafe { dealloc(memory.as_ptr().cast(), layout) };
    };
    let block = memory.cast();
    THREAD_CACHE.with(|thread_cache| {
        // SAFETY: the caller gives the block up, and `allocate` used the layout of its class.
        let kept = unsafe { thread_cache.classes[class].push_loaded(block) };
        if !kept {
            // SAFETY: as above.
            unsafe { thread_cache.free_slow(class, block) };
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

#[cfg(all(test, not(heist_loom), not(heist_fresh_memory)))]
mod tests;
