//! A number of free blocks of one size.

use std::alloc::dealloc;
use std::fmt;
use std::ptr::{NonNull, null_mut};

use super::{SIZE_STEP, layout_of};

/// Blocks per magazine at most. With its other fields, a magazine is one 1-KiB chunk.
const MAX_BLOCKS: usize = 124;
/// Bytes per magazine at most.
const MAX_BYTES: usize = 16 << 10;

/// Free blocks of one class. Dropping it frees them to the system allocator.
pub(super) struct Magazine {
    class: usize,
    /// How many blocks fit.
    capacity: usize,
    len: usize,
    /// Invariant: the first `len` are unused memory, were allocated with the layout of the class,
    /// and belong to the magazine.
    blocks: [*mut u8; MAX_BLOCKS],
}

// SAFETY: the blocks are unused memory, which any thread may use or free.
unsafe impl Send for Magazine {}

impl Magazine {
    /// Creates an empty magazine.
    pub(super) fn new(class: usize) -> Box<Magazine> {
        let capacity = (MAX_BYTES / (class * SIZE_STEP)).min(MAX_BLOCKS);
        Box::new(Magazine { class, capacity, len: 0, blocks: [null_mut(); MAX_BLOCKS] })
    }

    pub(super) fn class(&self) -> usize {
        self.class
    }

    #[cfg(all(test, not(heist_fresh_memory)))]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the number of bytes in the blocks.
    pub(super) fn bytes(&self) -> usize {
        self.len * self.class * SIZE_STEP
    }

    /// Puts a block in. Returns false if the magazine is full.
    ///
    /// # Safety
    ///
    /// If the result is true, the caller gives the block up. It is unused memory that was allocated
    /// with the layout of the class.
    #[inline]
    pub(super) unsafe fn push(&mut self, block: NonNull<u8>) -> bool {
        if self.len >= self.capacity {
            return false;
        }
        self.blocks[self.len] = block.as_ptr();
        self.len += 1;
        true
    }

    /// Takes the latest block, which is most likely in the processor's cache.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<NonNull<u8>> {
        self.len = self.len.checked_sub(1)?;
        NonNull::new(self.blocks[self.len])
    }
}

impl Drop for Magazine {
    fn drop(&mut self) {
        while let Some(block) = self.pop() {
            // SAFETY: by the invariant, it is unused and was allocated with this layout. It has
            // left the magazine.
            unsafe { dealloc(block.as_ptr(), layout_of(self.class)) };
        }
    }
}

impl fmt::Debug for Magazine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Magazine").field("class", &self.class).field("len", &self.len).finish()
    }
}
