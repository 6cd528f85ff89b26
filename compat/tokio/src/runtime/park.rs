//! A parker for threads that wait for a future outside of a runtime.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, AccessError, Thread};

/// Parks the thread that made it.
#[derive(Debug)]
pub(crate) struct CachedParkThread {
    token: Arc<Token>,
}

#[derive(Debug)]
struct Token {
    thread: Thread,
    is_woken: AtomicBool,
}

impl Wake for Token {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Ordering: Release — pairs with the Acquire in `CachedParkThread::park`.
        self.is_woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl CachedParkThread {
    pub(crate) fn new() -> CachedParkThread {
        CachedParkThread { token: Arc::new(Token { thread: thread::current(), is_woken: AtomicBool::new(false) }) }
    }

    /// Returns the waker that ends a park.
    pub(crate) fn waker(&self) -> Result<Waker, AccessError> {
        Ok(Arc::clone(&self.token).into())
    }

    /// Waits until the waker is called.
    pub(crate) fn park(&mut self) {
        // Ordering: Acquire — pairs with the Release in `Token::wake_by_ref`.
        while !self.token.is_woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }

    /// Drives `future` on this thread.
    pub(crate) fn block_on<F: Future>(&mut self, future: F) -> Result<F::Output, AccessError> {
        let waker = self.waker()?;
        let mut cx = Context::from_waker(&waker);
        let mut future = std::pin::pin!(future);
        loop {
            if let Poll::Ready(output) = crate::task::coop::budget(|| future.as_mut().poll(&mut cx)) {
                return Ok(output);
            }
            self.park();
        }
    }
}
