//! The memory of tasks: a worker keeps what its tasks give back, for the tasks that it spawns next.
//!
//! A task lives shortly and has the size of many others, and general allocators hand out such pieces in tens of nanoseconds, more if
//! the piece came from another thread. A thread that has opened its shelves keeps released pieces, by size, up to a limit in
//! bytes; nothing is shared and nothing is atomic. Pieces come from the global allocator one by one, each with the layout of its
//! class, so that any thread may give any piece back.
//!
//! Threads that have not opened their shelves pass everything on to the global allocator.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{NonNull, null_mut};

/// Sizes are rounded up to a multiple of this, less what malloc keeps beside each piece: the smallest task is one 96-byte chunk.
const STEP: usize = 32;
/// What malloc keeps beside each piece.
const HEAD: usize = 8;
/// Larger pieces are not kept.
const CLASSES: usize = 32;
/// What malloc aligns to by itself. More would make it slow, and is left to it.
const ALIGN: usize = 8;
/// How much a thread keeps, in bytes: a burst of some ten thousand small tasks.
const MOST: usize = 2 << 20;

/// A piece on a shelf; its first word points to the next.
struct Piece {
    next: *mut Piece,
}

struct Shelves {
    /// The pieces of each class, the latest first: it is the warmest.
    ///
    /// Invariant: each is unused, and was allocated with the layout of its class.
    heads: [Cell<*mut Piece>; CLASSES + 1],
    /// Bytes on the shelves.
    kept: Cell<usize>,
    /// How much may be kept now: zero while the shelves are closed.
    most: Cell<usize>,
}

std::thread_local! {
    // Without a destructor: reading it is one instruction, and it can be reached to the very end of the thread.
    static SHELVES: Shelves = const {
        Shelves { heads: [const { Cell::new(null_mut()) }; CLASSES + 1], kept: Cell::new(0), most: Cell::new(0) }
    };
}

/// The class of a layout, if its pieces are kept.
#[inline]
const fn class(layout: Layout) -> Option<usize> {
    let class = (layout.size() + HEAD).div_ceil(STEP);
    if layout.align() <= ALIGN && class <= CLASSES && layout.size() >= size_of::<Piece>() { Some(class) } else { None }
}

/// The layout with which the pieces of a class are allocated.
#[inline]
const fn layout_of(class: usize) -> Layout {
    match Layout::from_size_align(class * STEP - HEAD, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("a class's size is small"),
    }
}

/// Memory for one `T`, to be given back with [`release`].
#[inline]
pub(crate) fn allocate<T>() -> NonNull<T> {
    let layout = Layout::new::<T>();
    let Some(class) = class(layout) else { return fresh(layout).cast() };
    SHELVES.with(|shelves| match NonNull::new(shelves.heads[class].get()) {
        Some(piece) => {
            // SAFETY: by the invariant the piece is unused memory that starts with a link.
            shelves.heads[class].set(unsafe { piece.as_ref() }.next);
            shelves.kept.set(shelves.kept.get() - class * STEP);
            piece.cast()
        }
        None => fresh(layout_of(class)).cast(),
    })
}

/// Gives back the memory of a `T`.
///
/// # Safety
///
/// It came from [`allocate`] for the same type, and holds nothing any more.
#[inline]
pub(crate) unsafe fn release<T>(memory: NonNull<T>) {
    let layout = Layout::new::<T>();
    let Some(class) = class(layout) else {
        // SAFETY: handed on from the caller; without a class, the layout was the type's own.
        return unsafe { dealloc(memory.as_ptr().cast(), layout) };
    };
    SHELVES.with(|shelves| {
        let kept = shelves.kept.get() + class * STEP;
        if kept > shelves.most.get() {
            // SAFETY: handed on from the caller; it was allocated with the layout of its class.
            return unsafe { dealloc(memory.as_ptr().cast(), layout_of(class)) };
        }
        let piece = memory.cast::<Piece>();
        // SAFETY: the memory is unused, and large and aligned enough for a link.
        unsafe { piece.write(Piece { next: shelves.heads[class].get() }) };
        shelves.heads[class].set(piece.as_ptr());
        shelves.kept.set(kept);
    });
}

#[cold]
#[inline(never)]
fn fresh(layout: Layout) -> NonNull<u8> {
    debug_assert!(layout.size() > 0);
    // SAFETY: a task is never of size zero.
    let memory = unsafe { alloc(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// While it lives, this thread keeps released pieces; then it gives them all back.
#[derive(Debug)]
pub(crate) struct OpenShelves {
    outermost: bool,
}

impl OpenShelves {
    pub(crate) fn open() -> Self {
        OpenShelves { outermost: SHELVES.with(|shelves| shelves.most.replace(MOST)) == 0 }
    }
}

impl Drop for OpenShelves {
    fn drop(&mut self) {
        if self.outermost {
            SHELVES.with(Shelves::clear);
        }
    }
}

impl Shelves {
    /// Closes the shelves and gives everything back.
    fn clear(&self) {
        self.most.set(0);
        self.kept.set(0);
        for (class, head) in self.heads.iter().enumerate() {
            let mut next = head.replace(null_mut());
            while let Some(piece) = NonNull::new(next) {
                // SAFETY: by the invariant it is unused and starts with a link.
                next = unsafe { piece.as_ref() }.next;
                // SAFETY: by the invariant it was allocated with this layout, and it is on no shelf any more.
                unsafe { dealloc(piece.as_ptr().cast(), layout_of(class)) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> usize {
        SHELVES.with(|shelves| shelves.kept.get())
    }

    #[test]
    fn a_released_piece_is_used_again_while_the_shelves_are_open() {
        let shelves = OpenShelves::open();
        let first = allocate::<[u64; 11]>();
        // SAFETY: just allocated, and it holds nothing.
        unsafe { release(first) };
        assert_eq!(kept(), 96);
        let second = allocate::<[u64; 11]>();
        assert_eq!((first, kept()), (second, 0));
        // SAFETY: as above.
        unsafe { release(second) };
        drop(shelves);
        assert_eq!(kept(), 0);
    }

    #[test]
    fn closed_shelves_keep_nothing() {
        let piece = allocate::<[u64; 11]>();
        // SAFETY: just allocated, and it holds nothing.
        unsafe { release(piece) };
        assert_eq!(kept(), 0);
    }

    #[test]
    fn no_more_is_kept_than_the_limit() {
        let _shelves = OpenShelves::open();
        let pieces: Vec<_> = (0..MOST / 96 + 10).map(|_| allocate::<[u64; 11]>()).collect();
        for piece in pieces {
            // SAFETY: allocated above, and it holds nothing.
            unsafe { release(piece) };
        }
        assert_eq!(kept(), MOST / 96 * 96);
    }

    #[test]
    fn large_and_over_aligned_pieces_are_passed_on() {
        #[repr(align(64))]
        struct Aligned {
            _bytes: [u8; 64],
        }
        let _shelves = OpenShelves::open();
        let (large, aligned) = (allocate::<[u64; 1024]>(), allocate::<Aligned>());
        assert_eq!(aligned.as_ptr() as usize % 64, 0);
        // SAFETY: just allocated, and it holds nothing.
        unsafe { release(large) };
        // SAFETY: as above.
        unsafe { release(aligned) };
        assert_eq!(kept(), 0);
    }

    #[test]
    fn an_inner_opening_does_not_close_the_outer_one() {
        let outer = OpenShelves::open();
        drop(OpenShelves::open());
        let piece = allocate::<[u64; 11]>();
        // SAFETY: just allocated, and it holds nothing.
        unsafe { release(piece) };
        assert_eq!(kept(), 96);
        drop(outer);
    }
}
