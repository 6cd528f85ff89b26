//! Planted bugs that the engine must find: if it does not, no model here proves anything.

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, UnsafeCell, model, thread};

/// A flag published with Relaxed does not publish what was written before it.
#[test]
#[should_panic]
fn a_relaxed_flag_publishes_nothing() {
    struct Post {
        flag: AtomicUsize,
        letter: UnsafeCell<usize>,
    }
    // SAFETY: not sound, on purpose: this is the bug that loom has to see.
    unsafe impl Sync for Post {}
    // SAFETY: as above.
    unsafe impl Send for Post {}

    model(|| {
        let post = Arc::new(Post { flag: AtomicUsize::new(0), letter: UnsafeCell::new(0) });
        let sender = {
            let post = Arc::clone(&post);
            let run = move || {
                // SAFETY: not sound, on purpose.
                post.letter.with_mut(|letter| unsafe { *letter = 1 });
                post.flag.store(1, publication());
            };
            thread::Builder::new().spawn(run).expect("a thread")
        };
        if post.flag.load(Ordering::Acquire) == 1 {
            // SAFETY: not sound, on purpose.
            post.letter.with(|letter| assert_eq!(unsafe { *letter }, 1));
        }
        sender.join().expect("the sender");
    });
}

/// The ordering that is too weak.
fn publication() -> Ordering {
    Ordering::Relaxed
}

/// Two read-modify-write pairs that are not atomic lose an increment.
#[test]
#[should_panic]
fn a_load_and_a_store_are_not_an_increment() {
    model(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let other = Arc::clone(&count);
        let bump = |count: &AtomicUsize| count.store(count.load(Ordering::Acquire) + 1, Ordering::Release);
        let adder = thread::Builder::new().spawn(move || bump(&other)).expect("a thread");
        bump(&count);
        adder.join().expect("the adder");
        assert_eq!(count.load(Ordering::Acquire), 2);
    });
}
