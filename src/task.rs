//! Tasks: spawning them, awaiting their outputs, aborting them.

mod builder;
pub mod coop;
mod finished;
pub mod join_set;
mod set_builder;
mod task_local;

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

pub use builder::Builder;
pub use coop::{Unconstrained, consume_budget, unconstrained};
pub use join_set::JoinSet;
pub use task_local::{AccessError, LocalKey, TaskLocalFuture};

pub use crate::raw_task::{AbortHandle, Id, JoinError, JoinHandle};
use crate::raw_task::{Runnable, SpawnMeta};
use crate::runtime::{Handle, spawn_in};
use crate::scheduler::schedule;
use crate::{context, shutdown};

/// Futures that are made here and have to be named now and then.
pub mod futures {
    pub use super::task_local::TaskLocalFuture;
}

/// Spawns a task on the runtime that this thread is inside of.
///
/// The task starts to run right away, also if the handle is never awaited. It may run on any worker
/// thread, and move between them while it waits, but its future never moves in memory. Dropping the
/// handle detaches the task. On a runtime that is shutting down the future is dropped, and the
/// handle resolves as cancelled.
///
/// # Panics
///
/// If this thread is in no runtime.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let handle = heist::spawn(async { "done" });
/// assert_eq!(handle.await.unwrap(), "done");
/// # });
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    start(schedule::new_task(future, Location::caller()))
}

/// Queues a task that has been made. It was made by the caller, so that its future is not handed
/// on.
#[track_caller]
#[inline]
fn start<T>((runnable, handle): (Runnable, JoinHandle<T>)) -> JoinHandle<T> {
    match schedule::queue_here(runnable) {
        Ok(()) => handle,
        Err(_dropped) => panic!("{}", context::NO_RUNTIME),
    }
}

/// Spawns a task that need not be `Send` on the [`LocalRuntime`](crate::runtime::LocalRuntime) that
/// this thread is inside of.
///
/// It is polled and dropped on this thread, whoever wakes or aborts it. Its output need not be
/// `Send` either; if it is, the handle may go to other threads. Else it is as [`spawn`].
///
/// # Panics
///
/// If this thread is in no runtime, or in one that is not local, or if it is not the local
/// runtime's own thread but has entered it by its handle, as blocking jobs do.
///
/// ```
/// use std::rc::Rc;
///
/// heist::runtime::LocalRuntime::new().unwrap().block_on(async {
///     let shared = Rc::new(7);
///     let clone = Rc::clone(&shared);
///     assert_eq!(heist::task::spawn_local(async move { *clone }).await.unwrap(), *shared);
/// });
/// ```
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    start_local(future, Location::caller())
}

#[track_caller]
fn start_local<F>(future: F, spawn_meta: impl Into<SpawnMeta>) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    match context::pool() {
        Some(pool) => spawn_in(&pool, future, spawn_meta),
        None => panic!("{}", context::NO_RUNTIME),
    }
}

/// Runs a function that may block on a thread made for that, and answers its result.
///
/// The threads are few at first and at most
/// [`max_blocking_threads`](crate::runtime::Builder::max_blocking_threads); further functions wait
/// their turn. A function that has started cannot be aborted. If the runtime is shut down first, or
/// no thread can be had, the handle resolves as cancelled.
///
/// # Panics
///
/// If this thread is in no runtime.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let text = heist::task::spawn_blocking(|| std::fs::read_to_string("Cargo.toml")).await.unwrap();
/// assert!(text.is_ok());
/// # });
/// ```
#[track_caller]
pub fn spawn_blocking<F, R>(function: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    Handle::current().spawn_blocking(function)
}

/// Runs a function that may block, here and now, and lets another thread work in the place of this
/// one meanwhile.
///
/// What waits behind this task on its worker (tasks, timers, sockets) goes to the other workers
/// first, and a spare worker comes to help them. There are at most as many of those as
/// [`max_blocking_threads`](crate::runtime::Builder::max_blocking_threads) says, beside the threads
/// of [`spawn_blocking`]; beyond that, or if the system refuses a thread, everything goes on with
/// one worker less. When the function has returned, the task goes on where it was. Inside of the
/// function [`Handle::block_on`] is allowed, no [budget](coop) limits anything, and
/// [`worker_index`](crate::runtime::worker_index) is none.
///
/// Only this task is held up; so whatever else it does at the same time, by `join!` or `select!`,
/// stands still, for which [`spawn_blocking`] is better. The function cannot be cancelled: a
/// shutdown waits for it as for any poll, and an abort has its effect when the task suspends next.
/// It is never reported as a stall.
///
/// In a blocking job, in a `block_on` on a multi-threaded runtime, in another `block_in_place`, in
/// a hook, a waker or a destructor that a worker calls between two polls, and where there is no
/// runtime, nobody has to be let in, or can be: the function is just run.
///
/// # Panics
///
/// If `function` panics; and inside of [`Runtime::block_on`](crate::runtime::Runtime::block_on) on
/// a current-thread or a local runtime, whose tasks no other thread could run.
///
/// # Examples
///
/// ```
/// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
/// let text = runtime.block_on(runtime.spawn(async {
///     let (sender, receiver) = std::sync::mpsc::channel();
///     // Runs on this worker, or in its place.
///     heist::spawn(async move { sender.send("done").unwrap() });
///     heist::task::block_in_place(|| receiver.recv().unwrap())
/// }));
/// assert_eq!(text.unwrap(), "done");
/// ```
#[track_caller]
pub fn block_in_place<F, R>(function: F) -> R
where
    F: FnOnce() -> R,
{
    assert!(
        !context::is_driving(),
        "block_in_place: on a current-thread runtime no other thread can run the tasks meanwhile; use `spawn_blocking`, or a \
         multi-threaded runtime"
    );
    context::exit_worker(|seated| {
        let _out = seated.map(|seated| {
            let out = context::run_in_runtime(seated.pool, || seated.pool.step_out(seated.seat, seated.local));
            if !seated.pool.is_open() {
                shutdown::start_helper(seated.pool);
            }
            context::drop_in_runtime(seated.pool, out)
        });
        function()
    })
}

/// Lets other tasks run before this one goes on.
///
/// The task goes behind those that are ready on its worker. With worker threads, sockets and timers
/// are looked at by time and by count, not at every yield. On a current-thread runtime they are
/// looked at before the task is polled again, if nothing else is ready. So the task sees what has
/// happened before the yield.
///
/// # Cancel safety
///
/// Cancel safe.
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// heist::task::yield_now().await;
/// # });
/// ```
#[inline]
pub fn yield_now() -> impl Future<Output = ()> + Send + Sync {
    struct YieldNow(bool);

    impl Future for YieldNow {
        type Output = ();

        #[inline]
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Ready(());
            }
            if !context::poll_again(cx.waker()) {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        }
    }

    YieldNow(false)
}

/// The id of the task that runs this.
///
/// # Panics
///
/// Outside of a task; see [`try_id`].
///
/// # Examples
///
/// ```
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// heist::spawn(async { println!("this is task {}", heist::task::id()) }).await.unwrap();
/// # });
/// ```
#[track_caller]
pub fn id() -> Id {
    try_id().expect("there is no task here: `task::id` has to be called from inside a spawned task")
}

/// The id of the task that runs this, if one does.
///
/// # Examples
///
/// ```
/// assert!(heist::task::try_id().is_none()); // this is no task
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// assert!(heist::spawn(async { heist::task::try_id() }).await.unwrap().is_some());
/// # });
/// ```
pub fn try_id() -> Option<Id> {
    context::task_id()
}
