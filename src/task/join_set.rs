//! A set of tasks whose outputs are taken as they come.

use std::fmt;
use std::future::{Future, poll_fn};
use std::mem::{replace, take};
use std::panic::{RefUnwindSafe, UnwindSafe, resume_unwind};
use std::task::{Context, Poll};

use slab::Slab;

use super::finished::FinishedQueue;
pub use super::set_builder::Builder;
use crate::context::budget;
use crate::raw_task::{AbortHandle, Id, JoinError, JoinHandle};
use crate::runtime::{Handle, LocalRuntime};
use crate::sync::Arc;
use crate::util::wake_list::catch_user_panic;

/// A set of tasks whose outputs are taken in the order in which the tasks end.
///
/// The tasks run whether or not anybody asks for their outputs. Each end wakes whoever waits in
/// [`join_next`](JoinSet::join_next), at most once until that looks again, and a look costs the
/// same however many tasks there are.
///
/// Dropping the set aborts all tasks in it; see [`JoinSet::detach_all`].
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
    /// Whose output has not been taken.
    ///
    /// Invariant: each of them has ended and its key is in `ended`, or it holds a completion that
    /// will bring the key there. A key is let again only after it has come out of `ended`.
    members: Slab<JoinHandle<T>>,
    ended: Arc<FinishedQueue>,
}

/// A panic in a waker or a destructor leaves the set consistent: the set's own state is complete
/// before either is called. The set never looks at the outputs, but only takes them out.
impl<T> UnwindSafe for JoinSet<T> {}
impl<T> RefUnwindSafe for JoinSet<T> {}

impl<T> JoinSet<T> {
    /// A set without tasks.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::task::JoinSet;
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = JoinSet::new();
    /// set.spawn(async { 7 });
    /// assert_eq!(set.join_next().await.unwrap().unwrap(), 7);
    /// # });
    /// ```
    pub fn new() -> Self {
        JoinSet { members: Slab::new(), ended: FinishedQueue::new() }
    }

    /// How many tasks there are whose outputs have not been taken.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::task::JoinSet;
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = JoinSet::new();
    /// set.spawn(async {});
    /// assert_eq!(set.len(), 1); // also when the task has ended, until it is joined
    /// set.join_next().await;
    /// assert_eq!(set.len(), 0);
    /// # });
    /// ```
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no tasks whose outputs have not been taken.
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

/// Taking tasks in.
impl<T: 'static> JoinSet<T> {
    /// Spawns a task on the runtime that this thread is inside of; see
    /// [`spawn`](crate::task::spawn()).
    ///
    /// It begins to run at once, also if nobody joins it.
    ///
    /// # Panics
    ///
    /// If this thread is in no runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::task::JoinSet;
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = JoinSet::new();
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
        self.insert(super::spawn(future))
    }

    /// Spawns a task on the runtime of `handle`. A runtime that is shut down drops the future, and
    /// the task is joined as cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::task::JoinSet;
    ///
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let mut set = JoinSet::new();
    /// set.spawn_on(async { 7 }, runtime.handle()); // here is no runtime to be inside of
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

    /// Spawns a task that need not be `Send`; see [`spawn_local`](crate::task::spawn_local). A set
    /// of outputs that are `Send` may go to other threads nonetheless.
    ///
    /// # Panics
    ///
    /// If this thread is not inside of its own [`LocalRuntime`].
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

    /// Spawns a task on `runtime`, which is this thread's.
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

    /// Runs a function that may block; see [`spawn_blocking`](crate::task::spawn_blocking). One
    /// that has begun cannot be aborted.
    ///
    /// # Panics
    ///
    /// If this thread is in no runtime.
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
        self.insert(super::spawn_blocking(function))
    }

    /// Runs a function that may block on a thread of the runtime of `handle`.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::task::JoinSet;
    ///
    /// let runtime = heist::runtime::Runtime::new()?;
    /// let mut set = JoinSet::new();
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

    /// Spawns tasks into this set that have a name.
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

    /// Takes a task in.
    pub(crate) fn insert(&mut self, handle: JoinHandle<T>) -> AbortHandle {
        let abort = handle.abort_handle();
        let place = self.members.vacant_entry();
        let completion = self.ended.completion(place.key());
        // The member is in the set before its completion wakes the joiner, because the wake is user
        // code.
        if !place.insert(handle).register_waker(&completion) {
            completion.wake();
        }
        abort
    }
}

/// Taking outputs.
impl<T: 'static> JoinSet<T> {
    /// Waits until one of the tasks has ended, and answers its output. `None` if the set is empty.
    ///
    /// # Errors
    ///
    /// The output is an error if the task was aborted, or panicked.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no output is lost if the future is dropped.
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

    /// As [`JoinSet::join_next`], with the id of the task. An error has it too: [`JoinError::id`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
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

    /// The output of a task that has ended. `None` if there is none, or if the set is empty.
    ///
    /// # Errors
    ///
    /// As [`JoinSet::join_next`].
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::task::JoinSet;
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = JoinSet::new();
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

    /// As [`JoinSet::try_join_next`], with the id of the task.
    ///
    /// # Errors
    ///
    /// As [`JoinSet::join_next`].
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::task::JoinSet;
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = JoinSet::new();
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

    /// Polls for the end of one of the tasks. `Ready(None)` if the set is empty.
    ///
    /// Only the latest caller's task is woken.
    ///
    /// # Errors
    ///
    /// As [`JoinSet::join_next`].
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::task::JoinSet;
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = JoinSet::new();
    /// set.spawn(async { 7 });
    /// let joined = std::future::poll_fn(|cx| set.poll_join_next(cx)).await;
    /// assert_eq!(joined.unwrap().unwrap(), 7);
    /// # });
    /// ```
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_join_next_with_id(cx).map(|joined| joined.map(without_id))
    }

    /// As [`JoinSet::poll_join_next`], with the id of the task.
    ///
    /// # Errors
    ///
    /// As [`JoinSet::join_next`].
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::task::JoinSet;
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = JoinSet::new();
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

    /// Waits for all tasks, and answers their outputs in the order in which the tasks have ended.
    ///
    /// # Panics
    ///
    /// If a task has panicked, with its payload; and if one was aborted. The others are aborted
    /// then.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: if the future is dropped, all tasks are aborted.
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

    /// Takes a member out that has ended.
    fn remove(&mut self, key: usize) -> Result<(Id, T), JoinError> {
        let mut handle = self.members.remove(key);
        handle.take_output().map(|output| (handle.id(), output))
    }
}

/// Letting tasks go.
impl<T: 'static> JoinSet<T> {
    /// Asks all tasks to end; see [`JoinHandle::abort`](crate::task::JoinHandle::abort). They stay
    /// in the set, and are joined as cancelled, unless they end otherwise first.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::task::JoinSet;
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = JoinSet::new();
    /// set.spawn(std::future::pending::<()>());
    /// set.abort_all();
    /// assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
    /// # });
    /// ```
    pub fn abort_all(&mut self) {
        self.members.iter().for_each(|(_, handle)| handle.abort());
    }

    /// Aborts all tasks, and waits until they have ended. Their outputs are dropped. A panic in an
    /// output's destructor is logged.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the tasks have been asked to end nevertheless, and those that have
    /// not been waited for are still in the set.
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

    /// Lets all tasks go without aborting them: they run on, and nobody can join them.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::task::JoinSet;
    ///
    /// # heist::runtime::Runtime::new().unwrap().block_on(async {
    /// let (sender, receiver) = async_channel::bounded(1);
    /// let mut set = JoinSet::new();
    /// set.spawn(async move { sender.send("still here").await });
    /// set.detach_all(); // else the drop would abort it
    /// drop(set);
    /// assert_eq!(receiver.recv().await, Ok("still here"));
    /// # });
    /// ```
    pub fn detach_all(&mut self) {
        // A task that ends from now on brings its key to the old `ended`. Both fields are new
        // before the old ones' destructors run.
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

/// Spawns each future; panics where [`JoinSet::spawn`] does.
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

/// Spawns each future; panics where [`JoinSet::spawn`] does.
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
