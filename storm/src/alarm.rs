//! A time limit that needs no runtime: whatever the runtime does, a thread of the storm's own comes
//! back from a wait.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Condvar, Mutex, Once, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use crate::deed::calmly;
use crate::scene::lock;

/// What the thread that wakes is called.
pub(crate) const NAME: &str = "alarm";

static SET: Mutex<Vec<(Instant, Waker)>> = Mutex::new(Vec::new());
static CHANGED: Condvar = Condvar::new();
static START: Once = Once::new();

thread_local! {
    /// The thread lasts as long as the process.
    static LASTS: Cell<bool> = const { Cell::new(false) };
}

/// Says that this thread lasts as long as the process.
pub(crate) fn lasts() {
    LASTS.set(true);
}

/// Whether it does.
pub(crate) fn is_lasting() -> bool {
    LASTS.get()
}

/// A future that is given up after a while.
pub(crate) struct Limited<F> {
    future: Pin<Box<F>>,
    end: Instant,
}

pub(crate) fn limited<F: Future>(most: Duration, future: F) -> Limited<F> {
    Limited { future: Box::pin(future), end: Instant::now() + most }
}

impl<F: Future> Future for Limited<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        if Instant::now() >= self.end {
            return Poll::Ready(None);
        }
        let polled = self.future.as_mut().poll(cx);
        if polled.is_pending() {
            set(self.end, cx.waker().clone());
        }
        polled.map(Some)
    }
}

fn set(at: Instant, waker: Waker) {
    START.call_once(|| {
        let started = thread::Builder::new().name(NAME.to_owned()).spawn(watch);
        drop(started.unwrap_or_else(|error| crate::verdict::fail(&format!("no thread: {error}"))));
    });
    lock(&SET).push((at, waker));
    CHANGED.notify_one();
}

fn watch() {
    lasts();
    let mut set = lock(&SET);
    loop {
        let now = Instant::now();
        let due = set.iter().position(|(at, _)| *at <= now);
        if let Some(due) = due {
            let (_, waker) = set.swap_remove(due);
            drop(set);
            calmly(|| waker.wake());
            set = lock(&SET);
            continue;
        }
        let next = set.iter().map(|(at, _)| at.duration_since(now)).min().unwrap_or(Duration::from_secs(3600));
        set = CHANGED.wait_timeout(set, next).unwrap_or_else(PoisonError::into_inner).0;
    }
}
