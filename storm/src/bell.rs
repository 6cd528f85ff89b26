//! Wakers that do something at each of their calls.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::deed::{Site, deed, drain_and_poll, visit};
use crate::scene::Scene;

struct Bell {
    scene: Arc<Scene>,
    /// The thread that waits for it.
    waits: Thread,
    rung: AtomicBool,
}

/// How often a call of the waker does something, and panics: one time in so many.
struct Rate {
    deed: u64,
    panic: u64,
}

const CLONE: Rate = Rate { deed: 16, panic: 40 };
const WAKE: Rate = Rate { deed: 4, panic: 20 };
const DROP: Rate = Rate { deed: 16, panic: 40 };

impl Bell {
    fn act(&self, rate: &Rate) {
        let mut dice = self.scene.dice();
        if dice.one_in(rate.deed) {
            deed(&self.scene, Site::Waker, &mut dice);
        }
        // A second panic would end the process.
        if dice.one_in(rate.panic) && !thread::panicking() {
            resume_unwind(Box::new("in a waker"));
        }
    }

    fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.waits.unpark();
        visit(&self.scene, Site::Waker);
        let mut dice = self.scene.dice();
        if self.scene.is_draining() && dice.one_in(3) {
            drain_and_poll(&self.scene, &mut dice);
        }
        self.act(&WAKE);
    }
}

static BELLS: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: the waker that is cloned holds a count of its own.
        unsafe { Arc::increment_strong_count(data.cast::<Bell>()) };
        // SAFETY: the count has just been raised.
        let bell = unsafe { Arc::from_raw(data.cast::<Bell>()) };
        bell.act(&CLONE);
        RawWaker::new(Arc::into_raw(bell).cast(), &BELLS)
    },
    |data| {
        // SAFETY: the waker that is consumed gives up its count.
        let bell = unsafe { Arc::from_raw(data.cast::<Bell>()) };
        bell.ring();
    },
    |data| {
        // SAFETY: the waker holds a count.
        let bell = unsafe { &*data.cast::<Bell>() };
        bell.ring();
    },
    |data| {
        // SAFETY: the waker that is dropped gives up its count.
        let bell = unsafe { Arc::from_raw(data.cast::<Bell>()) };
        bell.act(&DROP);
    },
);

fn raw(bell: Arc<Bell>) -> Waker {
    let data = Arc::into_raw(bell).cast();
    // SAFETY: the functions of the table keep the contract: the pointer is an `Arc`'s.
    unsafe { Waker::from_raw(RawWaker::new(data, &BELLS)) }
}

/// A waker that acts, and unparks this thread.
pub(crate) fn waker(scene: &Arc<Scene>) -> Waker {
    raw(Arc::new(Bell { scene: Arc::clone(scene), waits: thread::current(), rung: AtomicBool::new(false) }))
}

/// Polls `future` on this thread with such wakers, for a while.
pub(crate) fn wait<F: Future + Unpin>(scene: &Arc<Scene>, future: &mut F, most: Duration) -> Option<F::Output> {
    let bell = Arc::new(Bell { scene: Arc::clone(scene), waits: thread::current(), rung: AtomicBool::new(true) });
    let waker = raw(Arc::clone(&bell));
    let end = Instant::now() + most;
    let output = loop {
        let polled = bell.rung.swap(false, Ordering::Acquire).then(|| {
            let mut cx = Context::from_waker(&waker);
            Pin::new(&mut *future).poll(&mut cx)
        });
        if let Some(Poll::Ready(output)) = polled {
            break Some(output);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break None;
        }
        thread::park_timeout(left);
    };
    // Here: what a function returns is leaked if a destructor panics afterwards
    // (rust-lang/rust#47949).
    drop(waker);
    output
}
