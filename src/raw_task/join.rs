//! The right to a task's output, and the right to abort it.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

use super::join_waker::{EndCallback, JoinWaker};
use super::state::{DropHandle, Wake};
use super::{Header, Id, JoinError, Route};
use crate::context::budget;
use crate::primitive::Arc;
use crate::util::wake_list::catch_user_panic;

/// The handle of a spawned task: the right to its output.
///
/// Await it for the output. If it is dropped, the task is detached: it runs on, and its output is
/// dropped when it ends.
///
/// # Cancel safety
///
/// Awaiting `&mut handle` is cancel safe: if that future is dropped before it is ready, nothing is
/// lost.
///
/// # Panics
///
/// If it is polled again after it was ready.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let handle = heist::spawn(async { 6 * 7 });
/// assert_eq!(handle.await.unwrap(), 42);
/// # });
/// ```
pub struct JoinHandle<T> {
    /// `None` once the output has been taken.
    ///
    /// Invariant: while it is `Some`, it holds the cell's JOIN_INTEREST.
    task: Option<NonNull<Header>>,
    id: Id,
    output: PhantomData<fn() -> T>,
}

// SAFETY: the handle moves only the output to its own thread, so the output has to be `Send`.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: a shared handle can only abort and read the state, which are atomic. Taking the output
// needs `&mut`.
unsafe impl<T: Send> Sync for JoinHandle<T> {}

impl<T> Unpin for JoinHandle<T> {}
impl<T> std::panic::UnwindSafe for JoinHandle<T> {}
impl<T> std::panic::RefUnwindSafe for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// # Safety
    ///
    /// The caller gives the cell's JOIN_INTEREST to the handle. The task's output is a `T`.
    pub(super) unsafe fn from_raw(task: NonNull<Header>) -> Self {
        // SAFETY: the JOIN_INTEREST from the caller keeps the cell alive.
        let id = unsafe { task.as_ref() }.id;
        JoinHandle { task: Some(task), id, output: PhantomData }
    }

    #[inline]
    pub(super) fn header(&self) -> Option<&Header> {
        // SAFETY: JOIN_INTEREST keeps the cell alive.
        self.task.as_ref().map(|task| unsafe { task.as_ref() })
    }

    /// Returns the task's group, until the output has been taken.
    pub(crate) fn group(&self) -> Option<Arc<dyn Route>> {
        self.header()?.group().map(Arc::clone)
    }

    /// Requests that the task be dropped: at its next suspension, or now if it is not being polled.
    ///
    /// The future is dropped by a worker, never by the caller. If the task has ended already, or
    /// ends in the poll that is under way, it keeps its output. Otherwise the handle resolves to an
    /// error for which [`JoinError::is_cancelled`] is true. A blocking job can be aborted only
    /// while it is queued.
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let handle = heist::spawn(std::future::pending::<()>());
    /// handle.abort();
    /// assert!(handle.await.unwrap_err().is_cancelled());
    /// # });
    /// ```
    pub fn abort(&self) {
        if let Some(task) = self.task {
            abort(task);
        }
    }

    /// Returns true if the task has ended: its future has been dropped, and its output is there.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let task = heist::spawn(async {});
    /// while !task.is_finished() {
    ///     heist::task::yield_now().await;
    /// }
    /// assert!(task.await.is_ok());
    /// # });
    /// ```
    pub fn is_finished(&self) -> bool {
        self.header().is_none_or(|header| header.state.load().is_complete())
    }

    /// Returns a handle that can abort the task, without the right to its output.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let task = heist::spawn(std::future::pending::<()>());
    /// let abort = task.abort_handle(); // for code that does not wait for the task
    /// abort.abort();
    /// assert!(task.await.unwrap_err().is_cancelled());
    /// # });
    /// ```
    pub fn abort_handle(&self) -> AbortHandle {
        if let Some(header) = self.header() {
            header.state.add_ref();
        }
        AbortHandle { task: self.task, id: self.id }
    }

    /// Returns the task's id.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let task = heist::spawn(async { heist::task::id() });
    /// let id = task.id();
    /// assert_eq!(task.await.unwrap(), id);
    /// # });
    /// ```
    pub fn id(&self) -> Id {
        self.id
    }

    /// Stores `waker` for the task's end, or wakes it if the task has ended.
    #[cfg(feature = "facade")]
    #[doc(hidden)]
    pub fn set_join_waker(&mut self, waker: &Waker) {
        if !self.header().is_some_and(|header| set_join_waker(header, waker)) {
            waker.wake_by_ref();
        }
    }

    /// Stores `callback` for the task's end, in place of a waker. Calls it at once if the task has
    /// ended.
    pub(crate) fn call_at_end(&mut self, callback: impl EndCallback) {
        let callback = JoinWaker::callback(callback);
        match self.header() {
            Some(header) => call_at_end(header, callback),
            None => callback.wake(),
        }
    }

    /// Takes the output of a task that has ended.
    pub(crate) fn take_output(&mut self) -> Result<T, JoinError> {
        match self.poll_output(Waker::noop()) {
            Poll::Ready(output) => output,
            Poll::Pending => unreachable!("an output is taken only after the task's end"),
        }
    }

    /// Takes the output if it is there. Otherwise stores `waker` for the task's end.
    #[inline]
    fn poll_output(&mut self, waker: &Waker) -> Poll<Result<T, JoinError>> {
        let task = self.task.expect("a `JoinHandle` was polled after it had been ready: await each handle only once");
        // SAFETY: JOIN_INTEREST keeps the cell alive.
        let header = unsafe { task.as_ref() };
        if !header.state.load().is_complete() && set_join_waker(header, waker) {
            return Poll::Pending;
        }
        self.task = None;
        let mut output = MaybeUninit::<Result<T, JoinError>>::uninit();
        // SAFETY: the task is complete, and setting `self.task` has given up the right to take the
        // output again. The place fits, since the handle's `T` is the task's output.
        unsafe { (header.vtable.take_output)(task, output.as_mut_ptr().cast()) };
        // SAFETY: this handle still holds JOIN_INTEREST, and gives it up here.
        unsafe { drop_handle_of_ended(task) };
        // SAFETY: `take_output` has filled the place.
        Poll::Ready(unsafe { output.assume_init() })
    }
}

/// Stores the joiner's waker. Returns false if the task has ended, so that its output is there.
///
/// A filled slot must not even be read before the handle owns it again. A poller that ends the task
/// takes the waker out.
#[inline]
fn set_join_waker(header: &Header, waker: &Waker) -> bool {
    if !claim_slot(header) {
        return false;
    }
    // SAFETY: JOIN_WAKER is clear, and only the handle sets it, so the slot belongs to the handle.
    let is_same = header.joiner.with(|slot| unsafe { (*slot).will_wake(waker) });
    let old = if is_same {
        JoinWaker::empty()
    } else {
        // The old waker is taken out before the clone, which is user code. If the clone panics, no
        // waker remains in a slot that is never emptied. SAFETY: as above.
        let old = header.joiner.with_mut(|slot| unsafe { (*slot).take() });
        let waker = JoinWaker::clone_of(waker);
        // SAFETY: as above.
        header.joiner.with_mut(|slot| unsafe { *slot = waker });
        old
    };
    let registered = header.state.register();
    let refused = if registered {
        JoinWaker::empty()
    } else {
        // SAFETY: the bit was not set, so the slot still belongs to the handle.
        header.joiner.with_mut(|slot| unsafe { (*slot).take() })
    };
    drop((old, refused));
    registered
}

/// Stores a callback in the slot, or calls it if the task has ended.
fn call_at_end(header: &Header, callback: JoinWaker) {
    if !claim_slot(header) {
        return callback.wake();
    }
    // SAFETY: JOIN_WAKER is clear, and only the handle sets it, so the slot belongs to the handle.
    let old = header.joiner.with_mut(|slot| std::mem::replace(unsafe { &mut *slot }, callback));
    if !header.state.register() {
        // SAFETY: the bit was not set, so the slot still belongs to the handle.
        header.joiner.with_mut(|slot| unsafe { (*slot).take() }).wake();
    }
    drop(old);
}

/// Makes the slot belong to the handle. Returns false if the task has ended.
#[inline]
fn claim_slot(header: &Header) -> bool {
    !header.state.load().has_join_waker() || header.state.unregister()
}

/// # Safety
///
/// The caller holds the JOIN_INTEREST of an ended task without an output, and gives it up.
#[inline]
unsafe fn drop_handle_of_ended(task: NonNull<Header>) {
    // SAFETY: JOIN_INTEREST keeps the cell alive until the transition.
    if unsafe { task.as_ref() }.state.drop_handle_of_ended() {
        // SAFETY: no reference is left.
        unsafe { Header::free(task) };
    }
}

fn abort(task: NonNull<Header>) {
    // SAFETY: the caller holds a reference.
    if unsafe { task.as_ref() }.state.cancel() == Wake::Schedule {
        // SAFETY: the transition made a `Runnable` and gave it to this thread.
        unsafe { Header::schedule(task) };
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        budget::metered(cx, |cx| self.poll_output(cx.waker()))
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let Some(task) = self.task else { return };
        // SAFETY: JOIN_INTEREST keeps the cell alive.
        let header = unsafe { task.as_ref() };
        loop {
            match header.state.drop_handle() {
                DropHandle::Done => return,
                DropHandle::DropWaker => {
                    // SAFETY: JOIN_WAKER is clear and the task has not ended, so the slot belongs
                    // to the handle.
                    let waker = header.joiner.with_mut(|slot| unsafe { (*slot).take() });
                    // A waker's destructor is user code. If it panics, the handle must still clear
                    // its bit.
                    catch_user_panic("the destructor of a joiner's waker", || drop(waker));
                }
                DropHandle::DropOutput => break,
            }
        }
        let mut output = MaybeUninit::<Result<T, JoinError>>::uninit();
        // SAFETY: the task is complete, and the handle still holds the right to the output.
        unsafe { (header.vtable.take_output)(task, output.as_mut_ptr().cast()) };
        let _ending = self.id.mark_ending();
        // SAFETY: `take_output` has filled the place.
        catch_user_panic("the destructor of an output", || unsafe { output.assume_init_drop() });
        // SAFETY: this handle holds JOIN_INTEREST, and gives it up here.
        unsafe { drop_handle_of_ended(task) };
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("id", &self.id).field("finished", &self.is_finished()).finish()
    }
}

/// The right to abort a task, without the right to its output.
///
/// It keeps the task's memory, but neither its future nor its output.
pub struct AbortHandle {
    /// Invariant: holds one REF of the cell. `None` if the output had been taken already.
    task: Option<NonNull<Header>>,
    id: Id,
}

// SAFETY: an abort handle only performs atomic operations.
unsafe impl Send for AbortHandle {}
// SAFETY: as above.
unsafe impl Sync for AbortHandle {}

impl std::panic::UnwindSafe for AbortHandle {}
impl std::panic::RefUnwindSafe for AbortHandle {}

impl AbortHandle {
    /// Creates a handle for the task of a header.
    ///
    /// # Safety
    ///
    /// The cell is alive.
    pub(crate) unsafe fn from_header(task: NonNull<Header>) -> AbortHandle {
        // SAFETY: the caller guarantees that the cell is alive.
        let header = unsafe { task.as_ref() };
        header.state.add_ref();
        AbortHandle { task: Some(task), id: header.id }
    }

    fn header(&self) -> Option<&Header> {
        // SAFETY: this handle's REF keeps the cell alive.
        self.task.as_ref().map(|task| unsafe { task.as_ref() })
    }

    /// Requests that the task be dropped; see [`JoinHandle::abort`].
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let task = heist::spawn(std::future::pending::<()>());
    /// task.abort_handle().abort();
    /// assert!(task.await.unwrap_err().is_cancelled());
    /// # });
    /// ```
    pub fn abort(&self) {
        if let Some(task) = self.task {
            abort(task);
        }
    }

    /// Returns true if the task has ended; see [`JoinHandle::is_finished`].
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let task = heist::spawn(async {});
    /// let handle = task.abort_handle();
    /// task.await.unwrap();
    /// assert!(handle.is_finished());
    /// # });
    /// ```
    pub fn is_finished(&self) -> bool {
        self.header().is_none_or(|header| header.state.load().is_complete())
    }

    /// Returns the task's id.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let task = heist::spawn(std::future::pending::<()>());
    /// assert_eq!(task.abort_handle().id(), task.id());
    /// # });
    /// ```
    pub fn id(&self) -> Id {
        self.id
    }
}

impl Clone for AbortHandle {
    fn clone(&self) -> Self {
        if let Some(header) = self.header() {
            header.state.add_ref();
        }
        AbortHandle { task: self.task, id: self.id }
    }
}

impl Drop for AbortHandle {
    fn drop(&mut self) {
        let Some(task) = self.task else { return };
        // SAFETY: this handle's REF keeps the cell alive until the transition.
        if unsafe { task.as_ref() }.state.drop_ref() {
            // SAFETY: this was the last reference.
            unsafe { Header::free(task) };
        }
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").field("id", &self.id).field("finished", &self.is_finished()).finish()
    }
}
