//! What a thread knows of its runtime.

#[cfg(any(feature = "macros", feature = "rt"))]
use std::cell::Cell;
use std::future::Future;
use std::task::Waker;

use super::park::CachedParkThread;
#[cfg(any(feature = "macros", feature = "rt"))]
use crate::util::rand::FastRand;

#[cfg(any(feature = "macros", feature = "rt"))]
thread_local! {
    static RNG: Cell<Option<FastRand>> = const { Cell::new(None) };
}

/// Returns a random number below `n`.
#[cfg(any(feature = "macros", feature = "rt"))]
pub(crate) fn thread_rng_n(n: u32) -> u32 {
    RNG.with(|cell| {
        let mut rng = cell.get().unwrap_or_else(FastRand::new);
        let number = rng.fastrand_n(n);
        cell.set(Some(rng));
        number
    })
}

/// The right to block this thread.
#[derive(Debug)]
pub(crate) struct BlockingRegionGuard(());

/// Returns the right to block this thread, unless it polls a future.
pub(crate) fn try_enter_blocking_region() -> Option<BlockingRegionGuard> {
    heist::facade::can_block().then_some(BlockingRegionGuard(()))
}

impl BlockingRegionGuard {
    /// Drives `future` on this thread.
    pub(crate) fn block_on<F: Future>(&mut self, future: F) -> Result<F::Output, std::thread::AccessError> {
        CachedParkThread::new().block_on(future)
    }
}

/// Wakes a task that yields. heist queues it behind the tasks that are ready.
#[allow(dead_code)]
pub(crate) fn defer(waker: &Waker) {
    waker.wake_by_ref();
}
