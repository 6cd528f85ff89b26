//! Wakers that act randomly, or panic, when they are cloned, woken or dropped.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::action::{Site, act_randomly, drain_and_poll, drop_runtime_if_due};
use crate::round_state::RoundState;

struct ActingWaker {
    round: Arc<RoundState>,
    /// The thread that a wake unparks.
    thread: Thread,
    woken: AtomicBool,
}

/// How often a call of the waker acts, and how often it panics: one time in so many.
struct Rate {
    action_one_in: u64,
    panic_one_in: u64,
}

const CLONE: Rate = Rate { action_one_in: 16, panic_one_in: 40 };
const WAKE: Rate = Rate { action_one_in: 4, panic_one_in: 20 };
const DROP: Rate = Rate { action_one_in: 16, panic_one_in: 40 };

impl ActingWaker {
    fn act_by_rate(&self, rate: &Rate) {
        let mut dice = self.round.dice();
        if dice.one_in(rate.action_one_in) {
            act_randomly(&self.round, Site::Waker, &mut dice);
        }
        // A second panic would end the process.
        if dice.one_in(rate.panic_one_in) && !thread::panicking() {
            resume_unwind(Box::new("in a waker"));
        }
    }

    fn on_wake(&self) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
        drop_runtime_if_due(&self.round, Site::Waker);
        let mut dice = self.round.dice();
        if self.round.is_draining() && dice.one_in(3) {
            drain_and_poll(&self.round, &mut dice);
        }
        self.act_by_rate(&WAKE);
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: the waker that is cloned holds a count of its own.
        unsafe { Arc::increment_strong_count(data.cast::<ActingWaker>()) };
        // SAFETY: the count has just been raised.
        let acting = unsafe { Arc::from_raw(data.cast::<ActingWaker>()) };
        acting.act_by_rate(&CLONE);
        RawWaker::new(Arc::into_raw(acting).cast(), &VTABLE)
    },
    |data| {
        // SAFETY: the waker that is consumed gives up its count.
        let acting = unsafe { Arc::from_raw(data.cast::<ActingWaker>()) };
        acting.on_wake();
    },
    |data| {
        // SAFETY: the waker holds a count.
        let acting = unsafe { &*data.cast::<ActingWaker>() };
        acting.on_wake();
    },
    |data| {
        // SAFETY: the waker that is dropped gives up its count.
        let acting = unsafe { Arc::from_raw(data.cast::<ActingWaker>()) };
        acting.act_by_rate(&DROP);
    },
);

fn raw(acting: Arc<ActingWaker>) -> Waker {
    let data = Arc::into_raw(acting).cast();
    // SAFETY: the functions of the table keep the contract: the pointer is an `Arc`'s.
    unsafe { Waker::from_raw(RawWaker::new(data, &VTABLE)) }
}

/// Returns a waker that acts, and unparks this thread.
pub(crate) fn acting_waker(round: &Arc<RoundState>) -> Waker {
    raw(Arc::new(ActingWaker { round: Arc::clone(round), thread: thread::current(), woken: AtomicBool::new(false) }))
}

/// Polls `future` on this thread with such a waker, for at most `most`.
pub(crate) fn wait_for<F: Future + Unpin>(
    round: &Arc<RoundState>,
    future: &mut F,
    most: Duration,
) -> Option<F::Output> {
    let acting =
        Arc::new(ActingWaker { round: Arc::clone(round), thread: thread::current(), woken: AtomicBool::new(true) });
    let waker = raw(Arc::clone(&acting));
    let end = Instant::now() + most;
    let output = loop {
        let polled = acting.woken.swap(false, Ordering::Acquire).then(|| {
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
    // Dropped explicitly: if a destructor at the end of the function panicked, the returned value
    // would be leaked (rust-lang/rust#47949).
    drop(waker);
    output
}
