//! One registered resource: its readiness and its waiters.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use super::interest::{Interest, Ready};
use super::readiness::{Direction, Readiness, Snapshot};
use super::shutdown_error::resource_shutdown_error;
use super::waiter::{Waiter, Waiters};
use crate::context::budget;
use crate::primitive::Mutex;
use crate::reactor::source_table::SourceKey;
use crate::util::store_waker::poll_or_store_waker;
use crate::util::wake_list::{WakeList, drop_contained};

/// The state that the reactor and the owner of a resource share.
///
/// There are two kinds of waiter. Any number of [`ReadyFuture`]s wait in a list, each with its own
/// interest. The `poll_` functions share one waker slot per direction: only the latest caller's
/// task is woken.
#[derive(Debug)]
pub(crate) struct Source {
    readiness: Readiness,
    waiters: Mutex<Waiters>,
    /// The name of this source in events.
    pub(super) key: SourceKey,
}

// As for `Registered`, which says why. The guards of descriptors inherit this.
impl std::panic::RefUnwindSafe for Source {}

impl Source {
    pub(crate) fn new(key: SourceKey, presumed: Ready) -> Source {
        Source { readiness: Readiness::new(presumed), waiters: Mutex::new(Waiters::new()), key }
    }

    /// Stores the readiness of an event, and moves the wakers of its waiters to `wakes`.
    pub(crate) fn set_ready(&self, ready: Ready, wakes: &mut WakeList) {
        self.readiness.set(ready);
        self.waiters.lock().take_ready(ready, wakes);
    }

    /// Marks the source as closed, and moves all wakers to `wakes`. The woken tasks find the error.
    pub(crate) fn close_source(&self, wakes: &mut WakeList) {
        self.readiness.mark_closed();
        self.waiters.lock().take_ready(Ready::ALL, wakes);
    }

    /// Returns a snapshot if anything in `mask` is ready, an error if the reactor is closed, and
    /// `None` otherwise. Takes no lock and does no read-modify-write.
    #[inline]
    fn check_ready(&self, mask: Ready) -> Option<io::Result<Snapshot>> {
        let seen = self.readiness.load();
        if seen.is_closed() {
            Some(Err(resource_shutdown_error()))
        } else if seen.ready().intersects(mask) {
            Some(Ok(seen))
        } else {
            None
        }
    }

    /// Waits in the direction's waker slot, where only the latest caller's waker is kept.
    ///
    /// The snapshot is the argument for [`Source::clear`].
    pub(crate) fn poll_ready(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<io::Result<Snapshot>> {
        budget::metered(cx, |cx| self.poll_ready_unmetered(direction, cx))
    }

    #[inline]
    fn poll_ready_unmetered(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<io::Result<Snapshot>> {
        match self.check_ready(direction.mask()) {
            Some(seen) => Poll::Ready(seen),
            None => self.register_in_slot(direction, cx.waker()),
        }
    }

    fn register_in_slot(&self, direction: Direction, waker: &Waker) -> Poll<io::Result<Snapshot>> {
        poll_or_store_waker(
            waker,
            None,
            || self.waiters.lock(),
            |waiters, spare| {
                // Checked again under the lock: an event before the lock is seen here, and a later
                // one finds the waker.
                if let Some(seen) = self.check_ready(direction.mask()) {
                    return Some(Poll::Ready(seen));
                }
                let slot = waiters.slot(direction);
                if slot.as_ref().is_some_and(|stored| stored.will_wake(waker)) {
                    return Some(Poll::Pending);
                }
                spare.is_some().then(|| {
                    std::mem::swap(slot, spare);
                    Poll::Pending
                })
            },
        )
    }

    /// Waits until anything of `interest` is ready. Any number of tasks may wait at once.
    pub(crate) fn ready(&self, interest: Interest) -> ReadyFuture<'_> {
        ReadyFuture { source: self, waiter: Waiter::new(interest.mask()), queued: false }
    }

    /// Returns the present readiness.
    #[cfg(feature = "facade")]
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.readiness.load()
    }

    /// Adds `ready` to the readiness, without an event.
    #[cfg(feature = "facade")]
    pub(crate) fn assume_ready(&self, ready: Ready) {
        self.readiness.set(ready);
    }

    /// Drops the wakers in the slots of the directions.
    #[cfg(feature = "facade")]
    pub(crate) fn clear_slots(&self) {
        for direction in Direction::BOTH {
            let waker = self.waiters.lock().slot(direction).take();
            drop_contained(waker);
        }
    }

    /// Clears `drained`, because an operation that began after `seen` would have blocked.
    pub(crate) fn clear(&self, drained: Ready, seen: Snapshot) {
        self.readiness.clear(drained, seen);
    }

    /// Does `operation` if the source is ready, and returns `WouldBlock` otherwise.
    pub(crate) fn try_io<R: IoOutcome>(
        &self,
        interest: Interest,
        operation: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        let mask = interest.mask();
        let seen = self.check_ready(mask).unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))?;
        let result = operation();
        self.update_readiness(mask, seen, &result);
        result
    }

    /// Clears readiness if the result of an operation that began after `seen` proves that the
    /// next would block.
    #[inline]
    fn update_readiness<R: IoOutcome>(&self, mask: Ready, seen: Snapshot, result: &io::Result<R>) {
        let drained = match result {
            Ok(outcome) => outcome.has_drained() && !seen.ready().is_priority(),
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        if drained {
            self.clear(mask, seen);
        }
    }

    /// Does `operation` as soon as it no longer blocks, waiting in the direction's waker slot.
    pub(crate) fn poll_io<R: IoOutcome>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        budget::metered(cx, |cx| {
            loop {
                let seen = ready!(self.poll_ready_unmetered(direction, cx))?;
                match self.try_once(direction.mask(), seen, &mut operation) {
                    Attempt::Done(result) => return Poll::Ready(result),
                    Attempt::Again => {}
                    Attempt::WouldSpin => {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
            }
        })
    }

    /// Does `operation` as soon as it no longer blocks. Any number of tasks may wait at once.
    pub(crate) async fn io<R: IoOutcome>(
        &self,
        interest: Interest,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            let seen = self.ready(interest).await?;
            match self.try_once(interest.mask(), seen, &mut operation) {
                Attempt::Done(result) => return result,
                Attempt::Again => {}
                Attempt::WouldSpin => YieldOnce(false).await,
            }
        }
    }

    #[inline]
    fn try_once<R: IoOutcome>(
        &self,
        mask: Ready,
        seen: Snapshot,
        operation: &mut impl FnMut() -> io::Result<R>,
    ) -> Attempt<R> {
        let result = operation();
        self.update_readiness(mask, seen, &result);
        match result.as_ref().map_err(io::Error::kind) {
            Err(io::ErrorKind::WouldBlock) if seen.ready().intersects(mask & Ready::LASTING) => Attempt::WouldSpin,
            Err(io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Attempt::Again,
            _ => Attempt::Done(result),
        }
    }
}

/// The result of one attempt at an operation.
enum Attempt<R> {
    Done(io::Result<R>),
    Again,
    /// The operation would block on a side that is closed for good. That side counts as ready for
    /// ever, so a wait would end at once. Other tasks run before the next attempt.
    WouldSpin,
}

/// The value that an operation returns.
pub(crate) trait IoOutcome {
    /// Returns true if the value alone proves that the next operation would block. Then no further
    /// system call is needed to find out.
    ///
    /// Not consulted while there is urgent data: a read stops short in front of it.
    fn has_drained(&self) -> bool;
}

/// A value that proves nothing.
#[derive(Debug)]
pub(crate) struct Opaque<R>(pub(crate) R);

impl<R> IoOutcome for Opaque<R> {
    fn has_drained(&self) -> bool {
        false
    }
}

/// The number of bytes that a stream socket transferred.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transferred {
    /// How many bytes were transferred.
    pub(crate) count: usize,
    /// How many bytes were asked for; 0 if the count proves nothing.
    pub(crate) of: usize,
}

impl IoOutcome for Transferred {
    /// Fewer bytes than asked for mean that the kernel's buffer is empty, or full. No byte at all
    /// means the end, which does not block.
    fn has_drained(&self) -> bool {
        SHORT_IS_DRAINED && 0 < self.count && self.count < self.of
    }
}

/// Tells whether a short transfer on a stream counts like `WouldBlock`. It does where the kernel
/// keeps the edge by itself. On Windows only a `WouldBlock` makes mio ask for the next event.
pub(crate) const SHORT_IS_DRAINED: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
));

/// Waits until something is ready; see [`Source::ready`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub(crate) struct ReadyFuture<'a> {
    source: &'a Source,
    waiter: Waiter,
    /// Set once the waiter may be in the list.
    queued: bool,
}

impl Future for ReadyFuture<'_> {
    type Output = io::Result<Snapshot>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        budget::metered(cx, |cx| self.poll_ready_unmetered(cx))
    }
}

impl ReadyFuture<'_> {
    fn poll_ready_unmetered(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Snapshot>> {
        // SAFETY: nothing is moved out of the future.
        let this = unsafe { self.get_unchecked_mut() };
        if let Some(seen) = this.source.check_ready(this.waiter.mask()) {
            return Poll::Ready(seen);
        }
        // From here on the drop has to remove the waiter.
        let first = (!std::mem::replace(&mut this.queued, true)).then(|| cx.waker().clone());
        let (source, waiter) = (this.source, &this.waiter);
        poll_or_store_waker(
            cx.waker(),
            first,
            || source.waiters.lock(),
            |waiters, spare| {
                // Checked again under the lock: an event before the lock is seen here, and a later
                // one finds the waiter.
                if let Some(seen) = source.check_ready(waiter.mask()) {
                    return Some(Poll::Ready(seen));
                }
                // SAFETY: the waiter is only ever in this source's list.
                if unsafe { waiters.is_waiting(waiter, cx.waker()) } {
                    return Some(Poll::Pending);
                }
                let waker = spare.take()?;
                // SAFETY: the waiter is only ever in this source's list. The future is pinned, and
                // its drop removes the waiter.
                *spare = unsafe { waiters.insert_or_update(waiter, waker) };
                Some(Poll::Pending)
            },
        )
    }
}

impl Drop for ReadyFuture<'_> {
    fn drop(&mut self) {
        if self.queued {
            let mut waiters = self.source.waiters.lock();
            // SAFETY: the waiter is in this source's list or in none.
            let waker = unsafe { waiters.remove(&self.waiter) };
            drop(waiters);
            drop_contained(waker);
        }
    }
}

/// Yields to other tasks once.
struct YieldOnce(bool);

impl Future for YieldOnce {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
impl Source {
    /// Returns how many wakers are stored here.
    pub(crate) fn waker_count(&self) -> usize {
        self.waiters.lock().waker_count()
    }

    /// Returns the present readiness word.
    pub(crate) fn now(&self) -> Snapshot {
        self.readiness.load()
    }
}
