use super::*;

type Small = [u64; 11];

impl Depot {
    fn kept(&self) -> usize {
        self.kept.load(Ordering::Relaxed)
    }
}

/// Pieces on the shelves of this thread.
fn on_shelves() -> usize {
    let len = |magazine: &Cell<*mut Magazine>| {
        // SAFETY: null, or a magazine of this thread that nobody else looks at.
        unsafe { magazine.get().as_ref() }.map_or(0, Magazine::len)
    };
    SHELVES.with(|thread_cache| {
        thread_cache.thread_cache.iter().map(|class_cache| len(&class_cache.loaded) + len(&class_cache.spare)).sum()
    })
}

fn give_back<T>(piece: NonNull<T>) {
    // SAFETY: the tests give back what they have allocated, once, and leave nothing in it.
    unsafe { deallocate(piece) };
}

#[test]
fn a_released_piece_is_used_again_while_the_shelves_are_open() {
    let thread_cache = CacheGuard::open(&Depot::new(1));
    let first = allocate::<Small>();
    give_back(first);
    assert_eq!(on_shelves(), 1);
    let second = allocate::<Small>();
    assert_eq!((first, on_shelves()), (second, 0));
    give_back(second);
    drop(thread_cache);
    assert_eq!(on_shelves(), 0);
}

#[test]
fn closed_shelves_keep_nothing() {
    give_back(allocate::<Small>());
    assert_eq!(on_shelves(), 0);
}

#[test]
fn a_thread_that_borrows_takes_a_whole_magazine() {
    let depot = Depot::new(1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _cache = CacheGuard::open(&depot);
            let pieces: Vec<_> = (0..4 * 124).map(|_| allocate::<Small>()).collect();
            pieces.into_iter().for_each(give_back);
        });
    });
    let kept = depot.kept();
    let loan = borrow_depot(&depot);
    let piece = allocate::<Small>();
    drop(loan);
    assert_eq!((on_shelves(), kept - depot.kept()), (123, 124 * 96));
    // The next comes from there, whether or not the depot is lent; and what comes back goes there.
    let other = allocate::<Small>();
    assert_eq!(on_shelves(), 122);
    [piece, other].into_iter().for_each(give_back);
    assert_eq!((on_shelves(), depot.kept()), (124, kept - 124 * 96));
    drop(FlushOnExit);
    assert_eq!(on_shelves(), 0);
}

#[test]
fn open_shelves_borrow_nothing() {
    let (own, foreign) = (Depot::new(1), Depot::new(1));
    let thread_cache = CacheGuard::open(&own);
    assert!(borrow_depot(&foreign).is_none());
    assert!(SHELVES.with(|thread_cache| std::ptr::eq(thread_cache.depot.get(), Arc::as_ptr(&own))));
    drop(thread_cache);
    assert!(SHELVES.with(|thread_cache| thread_cache.depot.get().is_null()));
}

#[test]
fn no_more_is_kept_than_the_limit() {
    let depot = Depot::new(1);
    let _cache = CacheGuard::open(&depot);
    let pieces: Vec<_> = (0..MOST / 96 * 2).map(|_| allocate::<Small>()).collect();
    pieces.into_iter().for_each(give_back);
    assert!(depot.kept() <= MOST, "{} bytes are kept", depot.kept());
    assert!(depot.kept() > MOST - (16 << 10), "only {} bytes are kept", depot.kept());
    assert!(on_shelves() <= 2 * 124);
}

#[test]
fn what_one_thread_gives_back_another_one_uses() {
    let depot = Depot::new(2);
    let count = 1_000;
    let mut given: Vec<usize> = std::thread::scope(|scope| {
        let giver = scope.spawn(|| {
            let _cache = CacheGuard::open(&depot);
            let pieces: Vec<_> = (0..count).map(|_| allocate::<Small>()).collect();
            let addresses = pieces.iter().map(|piece| piece.as_ptr().expose_provenance()).collect();
            pieces.into_iter().for_each(give_back);
            addresses
        });
        giver.join().expect("it does not panic")
    });
    given.sort_unstable();
    let (kept, _cache) = (depot.kept() / 96, CacheGuard::open(&depot));
    assert!(kept >= count - 2 * 124 && kept < count, "{kept} pieces are in the depot");
    let pieces: Vec<_> = (0..kept).map(|_| allocate::<Small>()).collect();
    assert!(pieces.iter().all(|piece| given.binary_search(&piece.as_ptr().addr()).is_ok()));
    assert_eq!(depot.kept(), 0);
    pieces.into_iter().for_each(give_back);
}

#[test]
fn whoever_goes_to_and_fro_about_a_full_magazine_leaves_the_depot_alone() {
    let depot = Depot::new(1);
    let _cache = CacheGuard::open(&depot);
    let pieces: Vec<_> = (0..134).map(|_| allocate::<Small>()).collect();
    pieces.into_iter().for_each(give_back);
    for _ in 0..3 {
        let pieces: Vec<_> = (0..20).map(|_| allocate::<Small>()).collect();
        pieces.into_iter().for_each(give_back);
    }
    assert_eq!((depot.kept(), on_shelves()), (0, 134));
}

#[test]
fn large_and_over_aligned_pieces_are_passed_on() {
    #[repr(align(64))]
    struct Aligned {
        _bytes: [u8; 64],
    }
    let _cache = CacheGuard::open(&Depot::new(1));
    let (large, aligned) = (allocate::<[u64; 1024]>(), allocate::<Aligned>());
    assert_eq!(aligned.as_ptr().addr() % 64, 0);
    give_back(large);
    give_back(aligned);
    assert_eq!(on_shelves(), 0);
}

#[test]
fn an_inner_opening_does_not_close_the_outer_one() {
    let depot = Depot::new(1);
    let outer = CacheGuard::open(&depot);
    drop(CacheGuard::open(&Depot::new(1)));
    give_back(allocate::<Small>());
    assert_eq!(on_shelves(), 1);
    drop(outer);
    assert_eq!(on_shelves(), 0);
}
