//! Spawns tasks, awaits their outputs, and aborts them.

mod builder;
pub mod coop;
mod finished;
mod inherit_priority;
pub mod join_set;
mod set_builder;
mod task_local;

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

pub use builder::Builder;
pub use coop::{Unconstrained, consume_budget, unconstrained};
pub use inherit_priority::InheritPriority;
pub use join_set::JoinSet;
pub use task_local::{AccessError, LocalKey, TaskLocalFuture};

use crate::context::can_block::{Operation, can_block};
pub use crate::raw_task::{AbortHandle, Id, JoinError, JoinHandle};
use crate::raw_task::{Origin, SpawnMeta};
use crate::runtime::{Handle, TaskGroup, spawn_in};
use crate::scheduler::group_queue;
use crate::scheduler::schedule::{self, SpawnPlace};
use crate::{context, shutdown};

/// Futures of this module that a program may have to name.
pub mod futures {
    pub use super::task_local::TaskLocalFuture;
}

/// Spawns a task on the runtime that is running on this thread.
///
/// The task begins to run at once, also if the handle is never awaited. It may run on any worker,
/// and may move between workers while it waits. Its future never moves in memory. Dropping the
/// handle detaches the task. If the runtime is shutting down, the future is dropped, and the handle
/// resolves as cancelled.
///
/// If the code that spawns is inside of a [`TaskGroup`], the task belongs to the group.
///
/// # Panics
///
/// Panics if no runtime is running on this thread.
///
/// # Examples
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
    let location = Location::caller();
    if let Some(seat) = context::seat_here() {
        let (runnable, handle) = schedule::new_task(future, location);
        // SAFETY: nothing but the creation of the task has run since.
        unsafe { schedule::queue_in_seat(seat, runnable) };
        return handle;
    }
    start_elsewhere(future, location.into())
}

/// Spawns a task on a thread that is no worker, or in a group.
#[cold]
#[inline(never)]
#[track_caller]
fn start_elsewhere<F>(future: F, spawn_meta: SpawnMeta) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match schedule::spawn_place() {
        // A box, so that each future's code is not compiled twice.
        SpawnPlace::Group(pool, group) => {
            group_queue::spawn_inherited(&pool, &group, Box::pin(future), spawn_meta.with_origin(Origin::task::<F>()))
        }
        SpawnPlace::Pool(pool) => {
            let (runnable, handle) = schedule::new_task(future, spawn_meta);
            schedule::queue_on(&pool, runnable);
            handle
        }
        SpawnPlace::Nowhere => panic!("{}", context::messages::no_runtime()),
    }
}

/// Spawns a task that need not be `Send` on the [`LocalRuntime`](crate::runtime::LocalRuntime) of
/// this thread.
///
/// The task is polled and dropped on this thread, also if another thread wakes or aborts it. The
/// output need not be `Send` either. If it is, the handle may move to other threads. In all other
/// respects this is [`spawn`].
///
/// # Panics
///
/// Panics if no runtime is running on this thread, or if it is not a local runtime. Also panics on
/// another thread that has entered the local runtime by its handle, such as that of a blocking job.
///
/// # Examples
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
        None => panic!("{}", context::messages::no_runtime()),
    }
}

/// Runs a function that may block on a thread for blocking jobs. The handle returns the function's
/// result.
///
/// The runtime starts such threads when jobs need them,
/// [`max_blocking_threads`](crate::runtime::Builder::max_blocking_threads) at most. Further jobs
/// wait for a thread. A job that has begun cannot be aborted. If the runtime is shut down before
/// the job begins, or no thread can be started, the handle resolves as cancelled.
///
/// # Panics
///
/// Panics if no runtime is running on this thread.
///
/// # Examples
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
    Handle::current().spawn_blocking_here(function, Location::caller())
}

/// Runs a function that may block on this thread, while another thread works in place of this
/// worker.
///
/// What waits behind the task on its worker (tasks, timers, sockets) goes to the other workers
/// first, and a spare worker helps them. There are at most
/// [`max_blocking_threads`](crate::runtime::Builder::max_blocking_threads) such spare workers. The
/// threads of [`spawn_blocking`] do not count. Beyond that number, or if the operating system
/// refuses a thread, the runtime goes on with one worker less. When the function has returned, the
/// task goes on on its worker.
///
/// Inside of the function, [`Handle::block_on`] is allowed, no [budget](coop) applies, and
/// [`worker_index`](crate::runtime::worker_index) returns `None`.
///
/// The function blocks only this task. Other futures that the task polls with `join!` or `select!`
/// do not proceed meanwhile, for which [`spawn_blocking`] is better. The function cannot be
/// cancelled. A shutdown waits for it as for any poll, and an abort takes effect at the task's next
/// suspension. The function is never reported as a stall.
///
/// In some places there is no worker to replace, or none that can be replaced. There the function
/// is called without further effect:
///
/// - outside of a runtime, and in a blocking job;
/// - in a `block_on` on a multi-threaded runtime;
/// - in another `block_in_place`;
/// - in a hook, a waker or a destructor that a worker calls between two polls.
///
/// # Panics
///
/// Panics if `function` panics. Also panics inside of
/// [`Runtime::block_on`](crate::runtime::Runtime::block_on) on a current-thread or local runtime,
/// because no other thread can run its tasks.
///
/// # Examples
///
/// ```
/// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
/// let text = runtime.block_on(runtime.spawn(async {
///     let (sender, receiver) = std::sync::mpsc::channel();
///     // A spare worker runs it.
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
        can_block(Operation::BlockInPlace).is_ok(),
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
/// The task goes behind the tasks that are ready on its worker.
///
/// On a multi-threaded runtime, a worker checks sockets and timers by time and by count, not at
/// every yield. On a current-thread runtime, if no other task is ready, they are checked before the
/// task is polled again. So the task observes what happened before the yield.
///
/// # Cancel safety
///
/// It is cancel safe.
///
/// # Examples
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

/// Returns the group of the code that calls it: that of the innermost
/// [`TaskGroup::scope`], or else that of the task. Returns `None` if there is no group.
///
/// # Examples
///
/// ```
/// # let runtime = heist::runtime::Runtime::new().unwrap();
/// let group = runtime.group("tenant-7").build().unwrap();
/// let current = group.spawn(async { heist::task::current_group() });
/// assert_eq!(runtime.block_on(current).unwrap(), Some(group));
/// assert_eq!(heist::task::current_group(), None);
/// ```
pub fn current_group() -> Option<TaskGroup> {
    context::group().map(TaskGroup::new)
}

/// Returns the id of the task that calls it.
///
/// # Panics
///
/// Panics outside of a task. [`try_id`] returns `None` instead.
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
    try_id().expect("there is no task here: call `task::id` in a spawned task, or use `task::try_id`")
}

/// Returns the id of the task that calls it, or `None` outside of a task.
///
/// # Examples
///
/// ```
/// assert!(heist::task::try_id().is_none()); // outside of a task
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// assert!(heist::spawn(async { heist::task::try_id() }).await.unwrap().is_some());
/// # });
/// ```
pub fn try_id() -> Option<Id> {
    context::task_id()
}
