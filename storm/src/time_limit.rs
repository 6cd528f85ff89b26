//! A time limit that needs no runtime. Whatever the runtime does, it ends the waits of the storm's
//! own threads.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Condvar, Mutex, Once, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use crate::action::catch;
use crate::round_state::lock;

/// The name of the thread that calls the wakers.
pub(crate) const NAME: &str = "alarm";

static ARMED: Mutex<Vec<(Instant, Waker)>> = Mutex::new(Vec::new());
static CHANGED: Condvar = Condvar::new();
static START: Once = Once::new();

thread_local! {
    /// This thread lives as long as the process.
    static LASTING: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as one that lives as long as the process.
pub(crate) fn mark_lasting() {
    LASTING.set(true);
}

/// Returns true if this thread lives as long as the process.
pub(crate) fn is_lasting_thread() -> bool {
    LASTING.get()
}

/// A future with a time limit. Its output is `None` if the limit has passed.
pub(crate) struct Limited<F> {
    future: Pin<Box<F>>,
    end: Instant,
}

/// Limits `future` to the duration `most`.
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
            arm(self.end, cx.waker().clone());
        }
        polled.map(Some)
    }
}

fn arm(at: Instant, waker: Waker) {
    START.call_once(|| {
        let started = thread::Builder::new().name(NAME.to_owned()).spawn(run_alarm_thread);
        drop(started.unwrap_or_else(|error| crate::failure::fail(&format!("no thread: {error}"))));
    });
    lock(&ARMED).push((at, waker));
    CHANGED.notify_one();
}

fn run_alarm_thread() {
    mark_lasting();
    let mut armed = lock(&ARMED);
    loop {
        let now = Instant::now();
        let due = armed.iter().position(|(at, _)| *at <= now);
        if let Some(due) = due {
            let (_, waker) = armed.swap_remove(due);
            drop(armed);
            catch(|| waker.wake());
            armed = lock(&ARMED);
            continue;
        }
        let next = armed.iter().map(|(at, _)| at.duration_since(now)).min().unwrap_or(Duration::from_secs(3600));
        armed = CHANGED.wait_timeout(armed, next).unwrap_or_else(PoisonError::into_inner).0;
    }
}
