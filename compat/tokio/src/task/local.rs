//! Tasks whose futures stay on one thread.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use heist::facade::LocalTasks;
use pin_project_lite::pin_project;

use super::JoinHandle;
use crate::runtime::{self, Runtime};

thread_local! {
    /// The set that this thread has entered last.
    static CURRENT: RefCell<Option<Rc<LocalTasks>>> = const { RefCell::new(None) };
    /// This thread polls or drops a set.
    static IN_SET: Cell<bool> = const { Cell::new(false) };
}

/// A set of tasks which are executed on the same thread.
///
/// The futures need not be `Send`. The tasks run while the set is awaited, or while a future runs
/// by [`LocalSet::run_until`] or [`LocalSet::block_on`].
pub struct LocalSet {
    tasks: Rc<LocalTasks>,
    id: runtime::Id,
}

/// Makes a [`LocalSet`] the current one of this thread until it is dropped.
pub struct LocalEnterGuard {
    previous: Option<Rc<LocalTasks>>,
    _not_send: PhantomData<*const ()>,
}

/// Spawns a future that need not be `Send` on the current `LocalRuntime` or [`LocalSet`].
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
    crate::runtime::install_messages();
    let current = CURRENT.with(|current| current.borrow().clone());
    match current {
        Some(tasks) if !heist::facade::is_local_runtime() => tasks.spawn(future),
        _ => heist::task::spawn_local(future),
    }
}

/// Makes `tasks` the current set. While a thread exits, its record may be destroyed: then nothing
/// changes.
fn set_current(tasks: Option<Rc<LocalTasks>>) -> Option<Rc<LocalTasks>> {
    CURRENT.try_with(|current| current.replace(tasks)).unwrap_or_default()
}

fn enter(tasks: &Rc<LocalTasks>) -> LocalEnterGuard {
    LocalEnterGuard { previous: set_current(Some(Rc::clone(tasks))), _not_send: PhantomData }
}

impl Drop for LocalEnterGuard {
    fn drop(&mut self) {
        drop(set_current(self.previous.take()));
    }
}

/// Marks this thread as one that polls or drops a set.
struct InSet(bool);

impl InSet {
    fn begin() -> InSet {
        InSet(IN_SET.try_with(|in_set| in_set.replace(true)).unwrap_or_default())
    }
}

impl Drop for InSet {
    fn drop(&mut self) {
        let _ = IN_SET.try_with(|in_set| in_set.set(self.0));
    }
}

/// Refuses `block_in_place` where the tasks of a set would wait for it.
///
/// # Panics
///
/// If this thread polls or drops a set.
#[cfg(feature = "rt-multi-thread")]
#[track_caller]
pub(super) fn refuse_block_in_place() {
    let in_set = IN_SET.try_with(Cell::get).unwrap_or_default();
    assert!(!in_set, "block_in_place was called in a `LocalSet`, whose other tasks would wait; use `spawn_blocking`");
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
        LocalSet { tasks: Rc::new(LocalTasks::new()), id: heist::facade::new_runtime_id() }
    }

    /// Returns the id of this set, which no other set or runtime has.
    pub fn id(&self) -> runtime::Id {
        self.id
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
        let _in_set = InSet::begin();
        let _entered = enter(&self.tasks);
        if self.tasks.poll_tasks(cx) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for LocalSet {
    fn drop(&mut self) {
        let _in_set = InSet::begin();
        // Destructors of the futures may spawn into this set.
        let _entered = enter(&self.tasks);
        self.tasks.cancel_and_close();
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
        let _in_set = InSet::begin();
        let _entered = enter(this.tasks);
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(output);
        }
        // The set's own wake-ups poll this future, too.
        let _ = this.tasks.poll_tasks(cx);
        Poll::Pending
    }
}
