use std::cell::Cell;

use super::cache::FlushOnExit;
use super::depot::MAX_BYTES_PER_WORKER;
use super::magazine::Magazine;
use super::*;
use crate::primitive::Arc;
use crate::primitive::atomic::Ordering;

type Small = [u64; 11];

impl Depot {
    fn kept(&self) -> usize {
        self.stored_bytes.load(Ordering::Relaxed)
    }
}

/// Returns the number of blocks in the cache of this thread.
fn cached_blocks() -> usize {
    let len = |magazine: &Cell<*mut Magazine>| {
        // SAFETY: null, or a magazine of this thread, which no other code accesses meanwhile.
        unsafe { magazine.get().as_ref() }.map_or(0, Magazine::len)
    };
    THREAD_CACHE.with(|thread_cache| {
        thread_cache.classes.iter().map(|class_cache| len(&class_cache.loaded) + len(&class_cache.spare)).sum()
    })
}

fn free<T>(block: NonNull<T>) {
    // SAFETY: the tests free what they have allocated, once, and leave no value in it.
    unsafe { deallocate(block) };
}

#[test]
fn freed_block_is_reused_while_the_cache_is_open() {
    let thread_cache = CacheGuard::open(&Depot::new(1));
    let first = allocate::<Small>();
    free(first);
    assert_eq!(cached_blocks(), 1);
    let second = allocate::<Small>();
    assert_eq!((first, cached_blocks()), (second, 0));
    free(second);
    drop(thread_cache);
    assert_eq!(cached_blocks(), 0);
}

#[test]
fn closed_cache_keeps_no_block() {
    free(allocate::<Small>());
    assert_eq!(cached_blocks(), 0);
}

#[test]
fn borrow_of_a_depot_fetches_a_whole_magazine() {
    let depot = Depot::new(1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _cache = CacheGuard::open(&depot);
            let blocks: Vec<_> = (0..4 * 124).map(|_| allocate::<Small>()).collect();
            blocks.into_iter().for_each(free);
        });
    });
    let kept = depot.kept();
    let borrow = borrow_depot(&depot);
    let block = allocate::<Small>();
    drop(borrow);
    assert_eq!((cached_blocks(), kept - depot.kept()), (123, 124 * 96));
    // The next block comes from this magazine, with or without a borrow. Freed blocks go back to
    // it.
    let other = allocate::<Small>();
    assert_eq!(cached_blocks(), 122);
    [block, other].into_iter().for_each(free);
    assert_eq!((cached_blocks(), depot.kept()), (124, kept - 124 * 96));
    drop(FlushOnExit);
    assert_eq!(cached_blocks(), 0);
}

#[test]
fn open_cache_borrows_no_depot() {
    let (own, foreign) = (Depot::new(1), Depot::new(1));
    let thread_cache = CacheGuard::open(&own);
    assert!(borrow_depot(&foreign).is_none());
    assert!(THREAD_CACHE.with(|thread_cache| std::ptr::eq(thread_cache.depot.get(), Arc::as_ptr(&own))));
    drop(thread_cache);
    assert!(THREAD_CACHE.with(|thread_cache| thread_cache.depot.get().is_null()));
}

#[test]
fn depot_keeps_no_more_than_its_limit() {
    let depot = Depot::new(1);
    let _cache = CacheGuard::open(&depot);
    let blocks: Vec<_> = (0..MAX_BYTES_PER_WORKER / 96 * 2).map(|_| allocate::<Small>()).collect();
    blocks.into_iter().for_each(free);
    assert!(depot.kept() <= MAX_BYTES_PER_WORKER, "{} bytes are kept", depot.kept());
    assert!(depot.kept() > MAX_BYTES_PER_WORKER - (16 << 10), "only {} bytes are kept", depot.kept());
    assert!(cached_blocks() <= 2 * 124);
}

#[test]
fn blocks_freed_by_one_thread_are_reused_by_another() {
    let depot = Depot::new(2);
    let count = 1_000;
    let mut given: Vec<usize> = std::thread::scope(|scope| {
        let giver = scope.spawn(|| {
            let _cache = CacheGuard::open(&depot);
            let blocks: Vec<_> = (0..count).map(|_| allocate::<Small>()).collect();
            let addresses = blocks.iter().map(|block| block.as_ptr().expose_provenance()).collect();
            blocks.into_iter().for_each(free);
            addresses
        });
        giver.join().expect("it does not panic")
    });
    given.sort_unstable();
    let (kept, _cache) = (depot.kept() / 96, CacheGuard::open(&depot));
    assert!(kept >= count - 2 * 124 && kept < count, "{kept} blocks are in the depot");
    let blocks: Vec<_> = (0..kept).map(|_| allocate::<Small>()).collect();
    assert!(blocks.iter().all(|block| given.binary_search(&block.as_ptr().addr()).is_ok()));
    assert_eq!(depot.kept(), 0);
    blocks.into_iter().for_each(free);
}

#[test]
fn cache_around_a_full_magazine_does_not_use_the_depot() {
    let depot = Depot::new(1);
    let _cache = CacheGuard::open(&depot);
    let blocks: Vec<_> = (0..134).map(|_| allocate::<Small>()).collect();
    blocks.into_iter().for_each(free);
    for _ in 0..3 {
        let blocks: Vec<_> = (0..20).map(|_| allocate::<Small>()).collect();
        blocks.into_iter().for_each(free);
    }
    assert_eq!((depot.kept(), cached_blocks()), (0, 134));
}

#[test]
fn large_and_over_aligned_blocks_use_the_system_allocator() {
    #[repr(align(64))]
    struct Aligned {
        _bytes: [u8; 64],
    }
    let _cache = CacheGuard::open(&Depot::new(1));
    let (large, aligned) = (allocate::<[u64; 1024]>(), allocate::<Aligned>());
    assert_eq!(aligned.as_ptr().addr() % 64, 0);
    free(large);
    free(aligned);
    assert_eq!(cached_blocks(), 0);
}

#[test]
fn inner_cache_guard_does_not_close_the_outer_one() {
    let depot = Depot::new(1);
    let outer = CacheGuard::open(&depot);
    drop(CacheGuard::open(&Depot::new(1)));
    free(allocate::<Small>());
    assert_eq!(cached_blocks(), 1);
    drop(outer);
    assert_eq!(cached_blocks(), 0);
}
