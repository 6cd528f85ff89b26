//! Lets other tasks have their turn: the budget of a poll.
//!
//! A task that never waits would keep the other tasks of its worker from running. So each poll of a
//! task, or of the root future of a `block_on`, begins with a budget of 128 units. Each time a
//! resource of this crate is ready (a socket, a timer, a `JoinHandle`, a `JoinSet`, a signal, an
//! `AsyncFd`), it spends one unit.
//!
//! When no unit is left, every resource returns `Pending` even if it is ready, and wakes the task.
//! The task goes behind those that are ready on its worker, and goes on with a new budget. Tasks
//! that wake each other and run one after the other share one budget.
//! [`yield_now`](super::yield_now) costs nothing.
//!
//! Channels and locks of other crates do not use the budget. Wrap them in [`cooperative`] if a loop
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
//! No budget applies outside of tasks and `block_on`: on other executors and in blocking jobs.
//!
//! An executor of another crate may run to its end inside of one poll. That blocks a worker, and
//! should not be done. So that it does not wait for ever, no resource is refused any more after
//! 10,000 refusals in one poll.
//!
//! `docs/fairness.md` says how the budget bounds the time that a task waits.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::context::budget;
use crate::util::thread_bound::ThreadBound;

/// Returns true if the current poll has budget left. Returns true where no budget applies.
///
/// # Examples
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

/// Spends one unit of the budget. If none is left, it lets other tasks run first.
///
/// It is for loops whose work does not come from a resource of this crate.
///
/// # Cancel safety
///
/// It is cancel safe.
///
/// # Examples
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

/// Spends one unit of the budget. If none is left, it wakes the task and returns `Pending`.
///
/// It is for `poll` functions of resources, which call it first. If the resource is ready, they
/// call [`made_progress`](RestoreOnPending::made_progress). If it is not, they drop the returned
/// value, and the unit is given back.
///
/// # Examples
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

/// A unit of the budget. [`poll_proceed`] returns it.
///
/// Its drop gives the unit back, unless [`made_progress`](RestoreOnPending::made_progress) was
/// called.
#[must_use = "the unit is given back when this is dropped"]
pub struct RestoreOnPending {
    spent: std::cell::Cell<bool>,
    /// The budget belongs to the thread that polls.
    _thread: ThreadBound,
}

impl RestoreOnPending {
    /// Spends the unit for good, because the resource was ready.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::poll_fn;
    /// use std::task::{Poll, ready};
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// poll_fn(|cx| {
    ///     let unit = ready!(heist::task::coop::poll_proceed(cx));
    ///     // This resource is always ready.
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

/// Makes a future of another crate use the budget.
///
/// It spends one unit when it is ready. If no unit is left, it lets other tasks run first.
///
/// # Examples
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
/// It is as cancel safe as the inner future.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled or awaited"]
pub struct Coop<F> {
    future: F,
}

impl<F: Future> Future for Coop<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the projection does not move the future, which is pinned with `self`.
        let future = unsafe { self.map_unchecked_mut(|coop| &mut coop.future) };
        let unit = ready!(poll_proceed(cx));
        let output = ready!(future.poll(cx));
        unit.made_progress();
        Poll::Ready(output)
    }
}

/// Polls a future without a budget.
///
/// The future may keep other tasks from running for as long as it finds resources ready. Use it for
/// futures that limit themselves.
///
/// # Examples
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
/// It is as cancel safe as the inner future.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled or awaited"]
pub struct Unconstrained<F> {
    future: F,
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the projection does not move the future, which is pinned with `self`.
        let future = unsafe { self.map_unchecked_mut(|unconstrained| &mut unconstrained.future) };
        let _unlimited = budget::unlimited();
        future.poll(cx)
    }
}
