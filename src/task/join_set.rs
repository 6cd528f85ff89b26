//! A set of tasks, whose outputs are joined in the order in which the tasks end.

use std::fmt;
use std::future::{Future, poll_fn};
use std::mem::{replace, take};
use std::panic::{RefUnwindSafe, UnwindSafe, resume_unwind};
use std::task::{Context, Poll};

use slab::Slab;

use super::finished::FinishedQueue;
pub use super::set_builder::Builder;
use crate::context::budget;
use crate::primitive::Arc;
use crate::raw_task::{AbortHandle, Id, JoinError, JoinHandle};
use crate::runtime::{Handle, LocalRuntime, TaskGroup};
use crate::util::wake_list::catch_user_panic;

/// A set of tasks. Their outputs are joined in the order in which the tasks end.
///
/// The tasks run also if their outputs are never joined. The end of a task wakes the task that
/// waits in [`join_next`](JoinSet::join_next), at most once until its next poll. The cost of a join
/// does not depend on the number of tasks.
///
/// Dropping the set aborts all tasks in it. [`JoinSet::detach_all`] lets them go on.
///
/// # Examples
///
/// ```
/// use heist::task::JoinSet;
///
/// # heist::runtime::Runtime::new().unwrap().block_on(async {
/// let mut set = JoinSet::new();
/// for number in 0..10 {
///     set.spawn(async move { number });
/// }
/// let mut sum = 0;
/// while let Some(number) = set.join_next().await {
///     sum += number.unwrap();
/// }
/// assert_eq!(sum, 45);
/// # });
/// ```
pub struct JoinSet<T> {
    /// The handles of the members whose outputs have not been taken.
    ///
    /// Invariant: each member has ended and its key is in `ended`, or its handle holds a waker that
    /// will add the key. A key is reused only after it has been removed from `ended`.
    members: Slab<JoinHandle<T>>,
    ended: Arc<FinishedQueue>,
    /// The group in which the set spawns.
    pub(super) group: Option<TaskGroup>,
}

/// A panic in a waker or a destructor leaves the set consistent: before either is called, the set's
/// own state is complete. The set never reads the outputs, it only moves them out.
impl<T> UnwindSafe for JoinSet<T> {}
impl<T> RefUnwindSafe for JoinSet<T> {}

impl<T> JoinSet<T> {
    /// Creates an empty set.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = heist::task::JoinSet::new();
    /// set.spawn(async { 7 });
    /// assert_eq!(set.join_next().await.unwrap().unwrap(), 7);
    /// # });
    /// ```
    pub fn new() -> Self {
        JoinSet { members: Slab::new(), ended: FinishedQueue::new(), group: None }
    }

    /// Returns the number of tasks whose outputs have not been taken.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = heist::task::JoinSet::new();
    /// set.spawn(async {});
    /// assert_eq!(set.len(), 1); // until the task is joined
    /// set.join_next().await;
    /// assert_eq!(set.len(), 0);
    /// # });
    /// ```
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns true if there is no task whose output has not been taken.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::task::JoinSet;
    ///
    /// assert!(JoinSet::<()>::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// Spawning tasks into the set.
impl<T: 'static> JoinSet<T> {
    /// Spawns a task on the runtime that is running on this thread; see
    /// [`spawn`](crate::task::spawn()). A set of [`JoinSet::in_group`] spawns it in its group.
    ///
    /// The task begins to run at once, also if it is never joined.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is running on this thread.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = heist::task::JoinSet::new();
    /// let abort = set.spawn(std::future::pending::<()>());
    /// abort.abort();
    /// assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        let handle = match &self.group {
            Some(group) => group.spawn(future),
            None => super::spawn(future),
        };
        self.insert(handle)
    }

    /// Spawns a task on the runtime of `handle`. If that has been shut down, the future is dropped,
    /// and the task is joined as cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let mut set = heist::task::JoinSet::new();
    /// set.spawn_on(async { 7 }, runtime.handle()); // outside of a runtime
    /// assert_eq!(runtime.block_on(set.join_next()).unwrap()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.insert(handle.spawn(future))
    }

    /// Spawns a task that need not be `Send`; see [`spawn_local`](crate::task::spawn_local). If the
    /// outputs are `Send`, the set may still move to another thread.
    ///
    /// # Panics
    ///
    /// Panics if this thread is not inside of its own [`LocalRuntime`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::rc::Rc;
    ///
    /// # heist::runtime::LocalRuntime::new().unwrap().block_on(async {
    /// let mut set = heist::task::JoinSet::new();
    /// set.spawn_local(async { Rc::new(5) });
    /// assert_eq!(*set.join_next().await.unwrap().unwrap(), 5);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_local<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.insert(super::spawn_local(future))
    }

    /// Spawns a task that need not be `Send` on `runtime`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::LocalRuntime::new().unwrap();
    /// let mut set = heist::task::JoinSet::new();
    /// let here = std::rc::Rc::new(42);
    /// set.spawn_local_on(async move { *here }, &runtime);
    /// assert_eq!(runtime.block_on(set.join_all()), [42]);
    /// ```
    #[track_caller]
    pub fn spawn_local_on<F>(&mut self, future: F, runtime: &LocalRuntime) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.insert(runtime.spawn_local(future))
    }

    /// Runs a function that may block; see [`spawn_blocking`](crate::task::spawn_blocking). A
    /// function that has begun cannot be aborted.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is running on this thread.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = heist::task::JoinSet::new();
    /// for number in 0..3u32 {
    ///     set.spawn_blocking(move || number.pow(2));
    /// }
    /// let mut squares = set.join_all().await;
    /// squares.sort();
    /// assert_eq!(squares, [0, 1, 4]);
    /// # });
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, function: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        let handle = match &self.group {
            Some(group) => group.spawn_blocking(function),
            None => super::spawn_blocking(function),
        };
        self.insert(handle)
    }

    /// Runs a function that may block on a thread of the runtime of `handle`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let mut set = heist::task::JoinSet::new();
    /// set.spawn_blocking_on(|| 7, runtime.handle());
    /// assert_eq!(runtime.block_on(set.join_next()).unwrap()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn spawn_blocking_on<F>(&mut self, function: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.insert(handle.spawn_blocking(function))
    }

    /// Returns a builder that spawns a task with a name into this set.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = heist::task::JoinSet::new();
    /// set.build_task().name("answer").spawn(async { 42 }).unwrap();
    /// assert_eq!(set.join_next().await.unwrap().unwrap(), 42);
    /// # });
    /// ```
    pub fn build_task(&mut self) -> Builder<'_, T> {
        Builder { set: self, builder: super::Builder::new() }
    }

    /// Adds a task to the set.
    pub(crate) fn insert(&mut self, handle: JoinHandle<T>) -> AbortHandle {
        let abort = handle.abort_handle();
        let place = self.members.vacant_entry();
        let member_end = self.ended.member_end(place.key());
        // The member is in the set before the callback wakes the joiner, because the wake is user
        // code.
        place.insert(handle).call_at_end(member_end);
        abort
    }
}

/// Joining tasks.
impl<T: 'static> JoinSet<T> {
    /// Waits until a task has ended, removes it from the set, and returns its output. Returns
    /// `None` if the set is empty.
    ///
    /// # Errors
    ///
    /// The output is a [`JoinError`] if the task was aborted or has panicked.
    ///
    /// # Cancel safety
    ///
    /// It is cancel safe: if the future is dropped, no output is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::task::JoinSet;
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set: JoinSet<u32> = (0..3).map(|number| async move { number }).collect();
    /// let mut sum = 0;
    /// while let Some(joined) = set.join_next().await {
    ///     sum += joined.unwrap();
    /// }
    /// assert_eq!(sum, 3);
    /// # });
    /// ```
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// Waits until a task has ended, as [`JoinSet::join_next`] does, and also returns its id.
    /// [`JoinError::id`] returns the id of a failed task.
    ///
    /// # Errors
    ///
    /// As for [`JoinSet::join_next`].
    ///
    /// # Cancel safety
    ///
    /// It is cancel safe.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = heist::task::JoinSet::new();
    /// let task = set.spawn(async { "done" });
    /// let (id, output) = set.join_next_with_id().await.unwrap().unwrap();
    /// assert_eq!((id, output), (task.id(), "done"));
    /// # });
    /// ```
    pub async fn join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        poll_fn(|cx| self.poll_join_next_with_id(cx)).await
    }

    /// Removes a task that has ended from the set, and returns its output. Returns `None` if no
    /// task has ended, or the set is empty.
    ///
    /// # Errors
    ///
    /// As for [`JoinSet::join_next`].
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = heist::task::JoinSet::new();
    /// set.spawn(async { 7 });
    /// let joined = loop {
    ///     match set.try_join_next() {
    ///         Some(joined) => break joined.unwrap(),
    ///         None => heist::task::yield_now().await,
    ///     }
    /// };
    /// assert_eq!(joined, 7);
    /// # });
    /// ```
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.try_join_next_with_id().map(without_id)
    }

    /// Does what [`JoinSet::try_join_next`] does, and also returns the id of the task.
    ///
    /// # Errors
    ///
    /// As for [`JoinSet::join_next`].
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = heist::task::JoinSet::new();
    /// let id = set.spawn(async { 7 }).id();
    /// let joined = loop {
    ///     match set.try_join_next_with_id() {
    ///         Some(joined) => break joined.unwrap(),
    ///         None => heist::task::yield_now().await,
    ///     }
    /// };
    /// assert_eq!(joined, (id, 7));
    /// # });
    /// ```
    pub fn try_join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        let key = self.ended.pop_finished()?;
        Some(self.remove(key))
    }

    /// Polls for the end of a task. Returns `Ready(None)` if the set is empty.
    ///
    /// If several tasks poll, only the last one is woken.
    ///
    /// # Errors
    ///
    /// As for [`JoinSet::join_next`].
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = heist::task::JoinSet::new();
    /// set.spawn(async { 7 });
    /// let joined = std::future::poll_fn(|cx| set.poll_join_next(cx)).await;
    /// assert_eq!(joined.unwrap().unwrap(), 7);
    /// # });
    /// ```
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_join_next_with_id(cx).map(|joined| joined.map(without_id))
    }

    /// Does what [`JoinSet::poll_join_next`] does, and also returns the id of the task.
    ///
    /// # Errors
    ///
    /// As for [`JoinSet::join_next`].
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = heist::task::JoinSet::new();
    /// let id = set.spawn(async { 7 }).id();
    /// let joined = std::future::poll_fn(|cx| set.poll_join_next_with_id(cx)).await;
    /// assert_eq!(joined.unwrap().unwrap(), (id, 7));
    /// # });
    /// ```
    pub fn poll_join_next_with_id(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(Id, T), JoinError>>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        let polled = budget::metered(cx, |cx| self.ended.poll_take(cx.waker()));
        polled.map(|key| Some(self.remove(key)))
    }

    /// Waits for all tasks, and returns their outputs in the order in which the tasks ended.
    ///
    /// # Panics
    ///
    /// If a task has panicked, panics with its payload. Panics if a task was aborted. In both
    /// cases, the other tasks are aborted.
    ///
    /// # Cancel safety
    ///
    /// It is not cancel safe: if the future is dropped, all tasks are aborted.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let set: heist::task::JoinSet<_> = (0..3).map(|number| async move { number }).collect();
    /// let mut outputs = set.join_all().await;
    /// outputs.sort();
    /// assert_eq!(outputs, [0, 1, 2]);
    /// # });
    /// ```
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(joined) = self.join_next().await {
            match joined {
                Ok(output) => outputs.push(output),
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                Err(error) => panic!("{error}"),
            }
        }
        outputs
    }

    /// Removes a member that has ended, and returns its output.
    fn remove(&mut self, key: usize) -> Result<(Id, T), JoinError> {
        let mut handle = self.members.remove(key);
        handle.take_output().map(|output| (handle.id(), output))
    }
}

/// Aborting and detaching tasks.
impl<T: 'static> JoinSet<T> {
    /// Aborts all tasks; see [`JoinHandle::abort`](crate::task::JoinHandle::abort).
    ///
    /// The tasks stay in the set, and are joined as cancelled, unless they end otherwise first.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = heist::task::JoinSet::new();
    /// set.spawn(std::future::pending::<()>());
    /// set.abort_all();
    /// assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
    /// # });
    /// ```
    pub fn abort_all(&mut self) {
        self.members.iter().for_each(|(_, handle)| handle.abort());
    }

    /// Aborts all tasks, waits until they have ended, and drops their outputs. If the destructor of
    /// an output panics, the panic is logged.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, all tasks have been aborted. Those that it has not waited for are
    /// still in the set.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = heist::task::JoinSet::new();
    /// set.spawn(std::future::pending::<()>());
    /// set.shutdown().await;
    /// assert!(set.is_empty());
    /// # });
    /// ```
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while let Some(joined) = self.join_next().await {
            catch_user_panic("the destructor of an output", || drop(joined));
        }
    }

    /// Removes all tasks from the set without aborting them. They go on, and can no longer be
    /// joined.
    ///
    /// # Examples
    ///
    /// ```
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let (sender, receiver) = async_channel::bounded(1);
    /// let mut set = heist::task::JoinSet::new();
    /// set.spawn(async move { sender.send("still here").await });
    /// set.detach_all(); // otherwise the drop would abort it
    /// drop(set);
    /// assert_eq!(receiver.recv().await, Ok("still here"));
    /// # });
    /// ```
    pub fn detach_all(&mut self) {
        // A task that ends from now on adds its key to the old queue. Both fields are new before
        // the destructors of the old ones run.
        let ended = replace(&mut self.ended, FinishedQueue::new());
        let members = take(&mut self.members);
        drop((members, ended));
    }
}

fn without_id<T>(joined: Result<(Id, T), JoinError>) -> Result<T, JoinError> {
    joined.map(|(_, output)| output)
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.members.iter().for_each(|(_, handle)| handle.abort());
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        JoinSet::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}

/// Spawns each future. Panics where [`JoinSet::spawn`] does.
impl<T: Send + 'static, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
{
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
        let mut set = JoinSet::new();
        set.extend(futures);
        set
    }
}

/// Spawns each future. Panics where [`JoinSet::spawn`] does.
impl<T: Send + 'static, F> Extend<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
{
    #[track_caller]
    fn extend<I: IntoIterator<Item = F>>(&mut self, futures: I) {
        for future in futures {
            self.spawn(future);
        }
    }
}
