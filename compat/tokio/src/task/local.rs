//! Tasks whose futures stay on one thread.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use heist::facade::LocalTasks;
use pin_project_lite::pin_project;

use super::JoinHandle;
use crate::runtime::Runtime;

thread_local! {
    /// The sets that this thread has entered, the innermost last.
    static ENTERED: RefCell<Vec<Rc<LocalTasks>>> = const { RefCell::new(Vec::new()) };
}

/// A set of tasks which are executed on the same thread.
///
/// The futures need not be `Send`. The tasks run while the set is awaited, or while a future runs
/// by [`LocalSet::run_until`] or [`LocalSet::block_on`].
pub struct LocalSet {
    tasks: Rc<LocalTasks>,
}

/// Makes a [`LocalSet`] the current one of this thread until it is dropped.
pub struct LocalEnterGuard {
    entered: bool,
    _not_send: PhantomData<*const ()>,
}

/// Spawns a future that need not be `Send` on the current [`LocalSet`] or `LocalRuntime`.
///
/// # Panics
///
/// If this thread is in neither.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let current = ENTERED.with(|entered| entered.borrow().last().cloned());
    match current {
        Some(tasks) => tasks.spawn(future),
        None => heist::task::spawn_local(future),
    }
}

fn enter(tasks: &Rc<LocalTasks>) -> LocalEnterGuard {
    let entered = ENTERED.try_with(|entered| entered.borrow_mut().push(Rc::clone(tasks))).is_ok();
    LocalEnterGuard { entered, _not_send: PhantomData }
}

impl Drop for LocalEnterGuard {
    fn drop(&mut self) {
        if self.entered {
            // The record may be destroyed, if the thread exits.
            let left = ENTERED.try_with(|entered| entered.borrow_mut().pop());
            drop(left);
        }
    }
}

impl fmt::Debug for LocalEnterGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEnterGuard").finish()
    }
}

impl Default for LocalSet {
    fn default() -> LocalSet {
        LocalSet::new()
    }
}

impl LocalSet {
    /// Returns an empty set.
    pub fn new() -> LocalSet {
        LocalSet { tasks: Rc::new(LocalTasks::new()) }
    }

    /// Makes this the current set of this thread, until the guard is dropped.
    pub fn enter(&self) -> LocalEnterGuard {
        enter(&self.tasks)
    }

    /// Spawns a task in this set.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.tasks.spawn(future)
    }

    /// Runs `future` on `runtime`, and the tasks of this set meanwhile.
    #[track_caller]
    pub fn block_on<F>(&self, runtime: &Runtime, future: F) -> F::Output
    where
        F: Future,
    {
        runtime.block_on(self.run_until(future))
    }

    /// Runs `future`, and the tasks of this set meanwhile.
    pub async fn run_until<F>(&self, future: F) -> F::Output
    where
        F: Future,
    {
        RunUntil { tasks: &self.tasks, future }.await
    }
}

impl fmt::Debug for LocalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSet").finish()
    }
}

impl Future for LocalSet {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _entered = enter(&self.tasks);
        if self.tasks.poll_tasks(cx) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for LocalSet {
    fn drop(&mut self) {
        // Destructors of the futures may spawn into this set.
        let _entered = enter(&self.tasks);
        self.tasks.cancel_all();
    }
}

pin_project! {
    struct RunUntil<'a, F> {
        tasks: &'a Rc<LocalTasks>,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for RunUntil<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = enter(this.tasks);
        if let Poll::Ready(output) = crate::task::coop::budget(|| this.future.poll(cx)) {
            return Poll::Ready(output);
        }
        // The set's own wake-ups poll this future, too.
        let _ = this.tasks.poll_tasks(cx);
        Poll::Pending
    }
}
