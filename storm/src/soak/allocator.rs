//! An allocator that counts the live memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// The system's allocator, and counts.
#[derive(Debug)]
pub(crate) struct Counting;

/// The counts of some of the threads. The memory that one thread frees may be another one's, so a
/// count can be negative.
#[repr(align(128))]
struct Stripe {
    bytes: AtomicI64,
    blocks: AtomicI64,
}

const STRIPES: usize = 16;

static COUNTS: [Stripe; STRIPES] = [const { Stripe { bytes: AtomicI64::new(0), blocks: AtomicI64::new(0) } }; STRIPES];
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // No destructor and no allocation: the allocator itself uses it.
    static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn stripe() -> &'static Stripe {
    let index = STRIPE.try_with(|stripe| {
        if stripe.get() == usize::MAX {
            stripe.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        stripe.get()
    });
    &COUNTS[index.unwrap_or(0)]
}

fn count(bytes: i64, blocks: i64) {
    let stripe = stripe();
    stripe.bytes.fetch_add(bytes, Ordering::Relaxed);
    stripe.blocks.fetch_add(blocks, Ordering::Relaxed);
}

/// Returns the bytes and the number of all live allocations.
pub(crate) fn live() -> (i64, i64) {
    let sum = |get: fn(&Stripe) -> &AtomicI64| COUNTS.iter().map(|stripe| get(stripe).load(Ordering::Relaxed)).sum();
    (sum(|stripe| &stripe.bytes), sum(|stripe| &stripe.blocks))
}

// SAFETY: every call goes to the system's allocator, with the arguments of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64, 1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64, 1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as i64), -1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64, 0);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::realloc`.
        unsafe { System.realloc(memory, layout, size) }
    }
}
