//! Futures that know the thread on which they were created.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::kit::{Count, yield_now};
use heist::runtime::{Builder, Handle, LocalOptions, LocalRuntime};

pub(crate) fn local() -> LocalRuntime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().drain_report_delay(Duration::MAX).build_local(LocalOptions::default()).unwrap()
}

/// The fate of the futures of a test.
#[derive(Clone, Default)]
pub(crate) struct Fate {
    pub(crate) made: Count,
    pub(crate) polled: Count,
    pub(crate) dropped: Count,
    /// Polled or dropped on another thread than the one that created it.
    pub(crate) astray: Count,
}

impl Fate {
    /// Returns a part of a future, or an output, that belongs to this thread.
    pub(crate) fn here(&self) -> Here {
        self.made.add();
        Here { home: thread::current().id(), fate: self.clone(), not_send: PhantomData }
    }

    #[track_caller]
    pub(crate) fn is(&self, made: usize, dropped: usize) {
        assert_eq!((self.made.get(), self.dropped.get(), self.astray.get()), (made, dropped, 0));
    }
}

pub(crate) struct Here {
    pub(crate) home: ThreadId,
    pub(crate) fate: Fate,
    pub(crate) not_send: PhantomData<*mut ()>,
}

impl Here {
    pub(crate) fn check_thread(&self) {
        if thread::current().id() != self.home {
            self.fate.astray.add();
        }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.check_thread();
        self.fate.dropped.add();
    }
}

/// Stores its waker for other threads in each poll, and is ready after `left` polls.
pub(crate) struct Waits {
    pub(crate) here: Here,
    pub(crate) wakers: Arc<Mutex<Vec<Waker>>>,
    pub(crate) left: usize,
}

impl Future for Waits {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        self.here.check_thread();
        let polls = self.here.fate.polled.add();
        if self.left == 0 {
            return Poll::Ready(polls);
        }
        self.left -= 1;
        self.wakers.lock().unwrap().push(cx.waker().clone());
        Poll::Pending
    }
}

// The fields may be moved between polls.
impl Unpin for Waits {}

/// Returns a future that is ready after `polls` polls, and the list of its wakers.
pub(crate) fn waits(fate: &Fate, polls: usize) -> (Waits, Arc<Mutex<Vec<Waker>>>) {
    let wakers = Arc::new(Mutex::new(Vec::new()));
    (Waits { here: fate.here(), wakers: Arc::clone(&wakers), left: polls }, wakers)
}

pub(crate) fn elsewhere<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(f).join().unwrap())
}

/// Gives the ready tasks some turns.
pub(crate) fn turn(runtime: &LocalRuntime) {
    runtime.block_on(async {
        for _ in 0..100 {
            yield_now().await;
        }
    });
}

/// Calls `f` with the handle on another thread. The runtime stays.
pub(crate) fn elsewhere_handle<R: Send>(runtime: &LocalRuntime, f: impl FnOnce(&Handle) -> R + Send) -> R {
    let handle = runtime.handle();
    elsewhere(|| f(handle))
}
