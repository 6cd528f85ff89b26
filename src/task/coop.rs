//! Giving the others their turn: the budget of a poll.
//!
//! A task that never waits would keep the others of its worker from theirs. So each poll of a task,
//! or of the future of a `block_on`, begins with a budget of 128 units. Each time a resource of
//! this crate is ready (a socket, a timer, a `JoinHandle`, a `JoinSet`, a signal, an `AsyncFd`) one
//! unit is spent. When none is left, all of them answer `Pending` although they may be ready, and
//! wake the task: it goes behind those that are ready on its worker, and goes on with a new budget.
//! Tasks that wake each other and run one after the other share one budget.
//! [`yield_now`](super::yield_now) costs nothing.
//!
//! Channels and locks of other crates know nothing of it. Wrap them in [`cooperative`] where a loop
//! could find them ready for ever, or call [`consume_budget`] in the loop:
//!
//! ```
//! use heist::task::coop::cooperative;
//!
//! # heist::runtime::Runtime::new().unwrap().block_on(async {
//! let (sender, receiver) = async_channel::unbounded();
//! for number in 0..1_000 {
//!     sender.try_send(number).unwrap();
//! }
//! drop(sender);
//! // Without `cooperative` this would be one long poll.
//! let mut count = 0;
//! while let Ok(_number) = cooperative(receiver.recv()).await {
//!     count += 1;
//! }
//! assert_eq!(count, 1_000);
//! # });
//! ```
//!
//! Outside of tasks and `block_on`, that is on other executors and in blocking jobs, nothing is
//! limited. Neither is an executor of another crate that is run to its end inside of one poll
//! (which blocks a worker, and should not be done): after 10,000 refusals in one poll nobody is
//! refused any more, so that it does not wait for ever.
//!
//! What the budget means for the time that a task waits is said in `docs/fairness.md`.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::context::budget;
use crate::util::thread_bound::ThreadBound;

/// Whether there is anything left of the budget. Always true where nothing is limited.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let mut sum = 0u64;
/// for number in 0..1_000 {
///     sum += number;
///     if !heist::task::coop::has_budget_remaining() {
///         heist::task::yield_now().await;
///     }
/// }
/// # assert_eq!(sum, 499_500);
/// # });
/// ```
pub fn has_budget_remaining() -> bool {
    budget::has_any()
}

/// Spends one unit, and lets the others go first if there is none.
///
/// For loops whose work does not come from a resource of this crate.
///
/// # Cancel safety
///
/// Cancel safe.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let mut sum = 0u64;
/// for number in 0..1_000 {
///     sum += number;
///     heist::task::coop::consume_budget().await;
/// }
/// # assert_eq!(sum, 499_500);
/// # });
/// ```
pub async fn consume_budget() {
    poll_fn(|cx| budget::metered(cx, |_| Poll::Ready(()))).await;
}

/// Spends one unit; if there is none, wakes the task and answers `Pending`.
///
/// For those who write a `poll` function of a resource. Call it first; if it turns out that the
/// resource is not ready, drop the answer, and the unit is given back; if it is, say so by
/// [`made_progress`](RestoreOnPending::made_progress).
///
/// ```
/// use std::task::{Context, Poll, ready};
/// use heist::task::coop::poll_proceed;
///
/// # struct Queue(Vec<u32>);
/// # impl Queue { fn register(&mut self, _: &std::task::Waker) {} }
/// impl Queue {
///     fn poll_pop(&mut self, cx: &mut Context<'_>) -> Poll<u32> {
///         let unit = ready!(poll_proceed(cx));
///         match self.0.pop() {
///             Some(number) => {
///                 unit.made_progress();
///                 Poll::Ready(number)
///             }
///             None => {
///                 self.register(cx.waker());
///                 Poll::Pending
///             }
///         }
///     }
/// }
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// # let mut queue = Queue(vec![1]);
/// # assert_eq!(std::future::poll_fn(|cx| queue.poll_pop(cx)).await, 1);
/// # });
/// ```
pub fn poll_proceed(cx: &mut Context<'_>) -> Poll<RestoreOnPending> {
    if budget::may_proceed(cx) {
        Poll::Ready(RestoreOnPending { spent: budget::spend().into(), _thread: ThreadBound::new() })
    } else {
        Poll::Pending
    }
}

/// A unit that is given back when this is dropped, unless
/// [`made_progress`](RestoreOnPending::made_progress) was called. Answered by [`poll_proceed`].
#[must_use = "the unit is given back when this is dropped"]
pub struct RestoreOnPending {
    spent: std::cell::Cell<bool>,
    /// The budget is that of a poll, on the thread that makes it.
    _thread: ThreadBound,
}

impl RestoreOnPending {
    /// The resource was ready: the unit is spent for good.
    ///
    /// ```
    /// use std::future::poll_fn;
    /// use std::task::{Poll, ready};
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// poll_fn(|cx| {
    ///     let unit = ready!(heist::task::coop::poll_proceed(cx));
    ///     // A resource that is always ready.
    ///     unit.made_progress();
    ///     Poll::Ready(())
    /// })
    /// .await;
    /// # });
    /// ```
    pub fn made_progress(&self) {
        self.spent.set(false);
    }
}

impl Drop for RestoreOnPending {
    fn drop(&mut self) {
        if self.spent.get() {
            budget::give_back();
        }
    }
}

impl fmt::Debug for RestoreOnPending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestoreOnPending").finish_non_exhaustive()
    }
}

/// Makes a future of another crate spend one unit when it is ready, and wait for its turn when
/// there is none.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// use heist::task::coop::cooperative;
///
/// let (sender, receiver) = async_channel::bounded(10);
/// sender.send(7).await.unwrap();
/// assert_eq!(cooperative(receiver.recv()).await, Ok(7));
/// # });
/// ```
pub fn cooperative<F: Future>(future: F) -> Coop<F> {
    Coop { future }
}

/// The future of [`cooperative`].
///
/// # Cancel safety
///
/// As safe as the future inside.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled or awaited"]
pub struct Coop<F> {
    future: F,
}

impl<F: Future> Future for Coop<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the future stays where it is.
        let future = unsafe { self.map_unchecked_mut(|coop| &mut coop.future) };
        let unit = ready!(poll_proceed(cx));
        let output = ready!(future.poll(cx));
        unit.made_progress();
        Poll::Ready(output)
    }
}

/// Lifts the limit off a future: what it asks of resources costs no budget.
///
/// It may keep others from their turn for as long as it finds something ready. For futures that
/// bring their own limit.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// use heist::task::coop::{consume_budget, has_budget_remaining, unconstrained};
///
/// unconstrained(async {
///     for _ in 0..1_000 {
///         consume_budget().await;
///         assert!(has_budget_remaining());
///     }
/// })
/// .await;
/// # });
/// ```
pub fn unconstrained<F: Future>(future: F) -> Unconstrained<F> {
    Unconstrained { future }
}

/// The future of [`unconstrained`].
///
/// # Cancel safety
///
/// As safe as the future inside.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled or awaited"]
pub struct Unconstrained<F> {
    future: F,
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the future stays where it is.
        let future = unsafe { self.map_unchecked_mut(|unconstrained| &mut unconstrained.future) };
        let _unlimited = budget::unlimited();
        future.poll(cx)
    }
}
