//! Planted bugs that loom must find. If it does not, the models prove nothing.

use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Arc, UnsafeCell, model, thread};

/// A flag published with Relaxed does not publish earlier writes.
#[test]
#[should_panic]
fn relaxed_flag_publishes_nothing() {
    struct Message {
        flag: AtomicUsize,
        payload: UnsafeCell<usize>,
    }
    // SAFETY: unsound on purpose: this is the bug that loom has to find.
    unsafe impl Sync for Message {}
    // SAFETY: as above.
    unsafe impl Send for Message {}

    model(|| {
        let message = Arc::new(Message { flag: AtomicUsize::new(0), payload: UnsafeCell::new(0) });
        let sender = {
            let message = Arc::clone(&message);
            let run = move || {
                // SAFETY: unsound on purpose.
                message.payload.with_mut(|payload| unsafe { *payload = 1 });
                message.flag.store(1, publication());
            };
            thread::Builder::new().spawn(run).expect("a thread")
        };
        if message.flag.load(Ordering::Acquire) == 1 {
            // SAFETY: unsound on purpose.
            message.payload.with(|payload| assert_eq!(unsafe { *payload }, 1));
        }
        sender.join().expect("the sender");
    });
}

/// Returns an ordering that is too weak.
fn publication() -> Ordering {
    Ordering::Relaxed
}

/// Two pairs of a load and a store, which are not atomic, lose an increment.
#[test]
#[should_panic]
fn load_and_store_lose_an_increment() {
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
