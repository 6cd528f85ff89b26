//! One registered resource: its readiness and those who wait for it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use super::interest::{Interest, Ready};
use super::readiness::{Direction, Readiness, Snapshot};
use super::shutdown_error::gone;
use super::waiter::{Waiter, Waiters};
use crate::context::budget;
use crate::reactor::source_table::SourceKey;
use crate::sync::Mutex;
use crate::util::wake_list::{WakeList, drop_contained};

/// What the reactor and the owner of a resource share.
///
/// Two kinds of waiter: any number of [`ReadyFuture`] futures, each with its own interest, and per
/// direction one waker slot for the `poll_` functions, whose latest caller is the one who is woken.
#[derive(Debug)]
pub(crate) struct Source {
    readiness: Readiness,
    waiters: Mutex<Waiters>,
    /// By which events name it.
    pub(super) tag: SourceKey,
}

/// As [`super::Registered`], which says why; the guards of descriptors inherit this.
impl std::panic::RefUnwindSafe for Source {}

impl Source {
    pub(crate) fn new(tag: SourceKey, presumed: Ready) -> Source {
        Source { readiness: Readiness::new(presumed), waiters: Mutex::new(Waiters::new()), tag }
    }

    /// An event has come: keeps its readiness, and hands over the wakers of those who waited for
    /// it.
    pub(crate) fn set_ready(&self, ready: Ready, wakes: &mut WakeList) {
        self.readiness.set(ready);
        self.waiters.lock().take_ready(ready, wakes);
    }

    /// The reactor is gone: everybody is woken, to find the error.
    pub(crate) fn close_source(&self, wakes: &mut WakeList) {
        self.readiness.mark_closed();
        self.waiters.lock().take_ready(Ready::ALL, wakes);
    }

    /// Whether anything in `mask` is ready. No lock, no read-modify-write.
    #[inline]
    fn check_ready(&self, mask: Ready) -> Option<io::Result<Snapshot>> {
        let seen = self.readiness.load();
        if seen.is_closed() {
            Some(Err(gone()))
        } else if seen.ready().meets(mask) {
            Some(Ok(seen))
        } else {
            None
        }
    }

    /// Waits in the direction's waker slot; the latest caller's waker is the one that counts.
    ///
    /// The snapshot is the completion for [`Source::clear`].
    pub(crate) fn poll_ready(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<io::Result<Snapshot>> {
        budget::metered(cx, |cx| self.poll_seen(direction, cx))
    }

    #[inline]
    fn poll_seen(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<io::Result<Snapshot>> {
        match self.check_ready(direction.mask()) {
            Some(seen) => Poll::Ready(seen),
            None => self.wait_in_slot(direction, cx.waker()),
        }
    }

    fn wait_in_slot(&self, direction: Direction, waker: &Waker) -> Poll<io::Result<Snapshot>> {
        let mut fresh = None;
        loop {
            let mut waiters = self.waiters.lock();
            // Under the lock again: an event that came before it is seen here, a later one finds
            // the waker.
            if let Some(seen) = self.check_ready(direction.mask()) {
                drop(waiters);
                // What is returned would be leaked if a destructor panicked after that.
                drop_contained(fresh);
                return Poll::Ready(seen);
            }
            let slot = waiters.slot(direction);
            if slot.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
                drop(waiters);
                drop_contained(fresh);
                return Poll::Pending;
            }
            if fresh.is_some() {
                let old = std::mem::replace(slot, fresh);
                drop(waiters);
                drop_contained(old);
                return Poll::Pending;
            }
            drop(waiters);
            fresh = Some(waker.clone());
        }
    }

    /// Waits until anything of `interest` is ready. Any number may wait at once.
    pub(crate) fn ready(&self, interest: Interest) -> ReadyFuture<'_> {
        ReadyFuture { source: self, waiter: Waiter::new(interest.mask()), queued: false }
    }

    /// An operation that began after `seen` would have blocked.
    pub(crate) fn clear(&self, drained: Ready, seen: Snapshot) {
        self.readiness.clear(drained, seen);
    }

    /// Does `operation` if it is worth trying, else answers `WouldBlock`.
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

    /// Takes readiness back if the result of an operation that began after `seen` proves that the
    /// next would block.
    #[inline]
    fn update_readiness<R: IoOutcome>(&self, mask: Ready, seen: Snapshot, result: &io::Result<R>) {
        let drained = match result {
            Ok(answer) => answer.has_drained() && !seen.ready().is_priority(),
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
                let seen = ready!(self.poll_seen(direction, cx))?;
                match self.attempt(direction.mask(), seen, &mut operation) {
                    Attempt::Done(result) => return Poll::Ready(result),
                    Attempt::Again => {}
                    Attempt::Stuck => {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
            }
        })
    }

    /// Does `operation` as soon as it no longer blocks. Any number may wait at once.
    pub(crate) async fn io<R: IoOutcome>(
        &self,
        interest: Interest,
        mut operation: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            let seen = self.ready(interest).await?;
            match self.attempt(interest.mask(), seen, &mut operation) {
                Attempt::Done(result) => return result,
                Attempt::Again => {}
                Attempt::Stuck => YieldOnce(false).await,
            }
        }
    }

    #[inline]
    fn attempt<R: IoOutcome>(
        &self,
        mask: Ready,
        seen: Snapshot,
        operation: &mut impl FnMut() -> io::Result<R>,
    ) -> Attempt<R> {
        let result = operation();
        self.update_readiness(mask, seen, &result);
        match result.as_ref().map_err(io::Error::kind) {
            Err(io::ErrorKind::WouldBlock) if seen.ready().meets(mask & Ready::LASTING) => Attempt::Stuck,
            Err(io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Attempt::Again,
            _ => Attempt::Done(result),
        }
    }
}

/// What an attempt at an operation came to.
enum Attempt<R> {
    Done(io::Result<R>),
    Again,
    /// It would block on a side that is closed for good, so that waiting would not wait. The others
    /// get a turn first.
    Stuck,
}

/// The answer of an operation.
pub(crate) trait IoOutcome {
    /// Whether the answer alone proves that the next operation would block, so that nobody needs to
    /// try.
    ///
    /// Not asked while urgent data is about: a read stops short in front of it.
    fn has_drained(&self) -> bool;
}

/// An answer that proves nothing.
#[derive(Debug)]
pub(crate) struct Opaque<R>(pub(crate) R);

impl<R> IoOutcome for Opaque<R> {
    fn has_drained(&self) -> bool {
        false
    }
}

/// How many bytes of how many went through a stream socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transferred {
    /// How many went.
    pub(crate) count: usize,
    /// How many would have fitted; 0 if the count proves nothing.
    pub(crate) of: usize,
}

impl IoOutcome for Transferred {
    /// Fewer bytes than asked for: the kernel's buffer is empty, or full. None at all is the end,
    /// which does not block.
    fn has_drained(&self) -> bool {
        SHORT_IS_DRAINED && 0 < self.count && self.count < self.of
    }
}

/// Whether a short transfer on a stream may stand for `WouldBlock`. True where the kernel keeps the
/// edge by itself; on Windows it is `WouldBlock` that makes mio ask for the next event.
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
    /// Whether the waiter has ever been in the list.
    queued: bool,
}

impl Future for ReadyFuture<'_> {
    type Output = io::Result<Snapshot>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        budget::metered(cx, |cx| self.poll_seen(cx))
    }
}

impl ReadyFuture<'_> {
    fn poll_seen(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Snapshot>> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        if let Some(seen) = this.source.check_ready(this.waiter.mask()) {
            return Poll::Ready(seen);
        }
        // From here on the waiter must be taken out by the drop.
        let mut fresh = (!std::mem::replace(&mut this.queued, true)).then(|| cx.waker().clone());
        loop {
            let mut waiters = this.source.waiters.lock();
            // Under the lock again: an event that came before it is seen here, a later one finds
            // the waiter.
            if let Some(seen) = this.source.check_ready(this.waiter.mask()) {
                drop(waiters);
                drop_contained(fresh);
                return Poll::Ready(seen);
            }
            // SAFETY: it is pinned and its drop takes it out, and it only ever is in this source's
            // list.
            if unsafe { waiters.is_waiting(&this.waiter, cx.waker()) } {
                drop(waiters);
                drop_contained(fresh);
                return Poll::Pending;
            }
            if let Some(waker) = fresh.take() {
                // SAFETY: as above.
                let old = unsafe { waiters.insert_or_update(&this.waiter, waker) };
                drop(waiters);
                drop_contained(old);
                return Poll::Pending;
            }
            drop(waiters);
            fresh = Some(cx.waker().clone());
        }
    }
}

impl Drop for ReadyFuture<'_> {
    fn drop(&mut self) {
        if self.queued {
            let mut waiters = self.source.waiters.lock();
            // SAFETY: if it is in a list, then in this source's.
            let waker = unsafe { waiters.take_out(&self.waiter) };
            drop(waiters);
            drop_contained(waker);
        }
    }
}

/// Lets the others go first, once.
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
    /// How many wakers are kept here.
    pub(crate) fn waker_count(&self) -> usize {
        self.waiters.lock().waker_count()
    }

    /// The readiness word as it is.
    pub(crate) fn now(&self) -> Snapshot {
        self.readiness.load()
    }
}
