//! A number of unused pieces of memory.

use std::alloc::dealloc;
use std::fmt;
use std::ptr::{NonNull, null_mut};

use super::{STEP, layout_of};

/// How many pieces a magazine has room for: with its other fields it is one 1-KiB chunk.
const ROUNDS: usize = 124;
/// How many bytes are put into one, at most.
const FULL: usize = 16 << 10;

/// Pieces of one class. Dropping it gives them back to the global allocator.
pub(super) struct Magazine {
    class: usize,
    /// How many pieces may be put in.
    room: usize,
    len: usize,
    /// Invariant: the first `len` are unused, were allocated with the layout of the class, and
    /// belong to the magazine.
    pieces: [*mut u8; ROUNDS],
}

// SAFETY: the pieces are unused memory, which any thread may use or give back.
unsafe impl Send for Magazine {}

impl Magazine {
    /// An empty one.
    pub(super) fn new(class: usize) -> Box<Magazine> {
        let room = (FULL / (class * STEP)).min(ROUNDS);
        Box::new(Magazine { class, room, len: 0, pieces: [null_mut(); ROUNDS] })
    }

    pub(super) fn class(&self) -> usize {
        self.class
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many bytes it keeps.
    pub(super) fn bytes(&self) -> usize {
        self.len * self.class * STEP
    }

    /// Puts a piece in, if there is room.
    ///
    /// # Safety
    ///
    /// If it is taken, the caller gives it up: unused memory that was allocated with the layout of
    /// the class.
    #[inline]
    pub(super) unsafe fn push(&mut self, piece: NonNull<u8>) -> bool {
        if self.len >= self.room {
            return false;
        }
        self.pieces[self.len] = piece.as_ptr();
        self.len += 1;
        true
    }

    /// Takes the latest out: it is the warmest.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<NonNull<u8>> {
        self.len = self.len.checked_sub(1)?;
        NonNull::new(self.pieces[self.len])
    }
}

impl Drop for Magazine {
    fn drop(&mut self) {
        while let Some(piece) = self.pop() {
            // SAFETY: by the invariant it is unused and was allocated with this layout, and it is
            // in no magazine any more.
            unsafe { dealloc(piece.as_ptr(), layout_of(self.class)) };
        }
    }
}

impl fmt::Debug for Magazine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Magazine").field("class", &self.class).field("len", &self.len).finish()
    }
}
