//! A group of tasks, as users hold it.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use super::group_admit::{Admission, Admit, SpawnWhenAdmitted};
use super::group_builder::{check_weight, check_workers};
use super::group_drain::GroupDrain;
use super::group_metrics::GroupMetrics;
use super::group_scope::GroupScope;
use super::{GroupError, Refusal, SpawnError};
use crate::blocking;
use crate::group::Group;
use crate::group::priority::Priority;
use crate::primitive::Arc;
use crate::raw_task::{JoinHandle, SpawnMeta};
use crate::scheduler::group_queue;

/// A group of tasks, with a priority, a share of the workers' time, and limits.
///
/// All groups share the workers of one runtime. [`Handle::group`](super::Handle::group) builds one.
/// A clone is another handle of the same group. Handles keep neither the runtime nor tasks alive.
/// When the last handle is gone and no task of the group lives, the group is removed, and its name
/// is free.
///
/// A task that a task of the group spawns with [`heist::spawn`](crate::spawn), a
/// [`JoinSet`](crate::task::JoinSet) or a [`task::Builder`](crate::task::Builder) belongs to the
/// group, too. It counts as one of the group's live tasks, but
/// [`max_tasks`](super::GroupBuilder::max_tasks) does not apply to it.
/// [`Handle::spawn`](super::Handle::spawn) spawns a task without a group.
///
/// The handles of a task that has ended keep the group's name in use, too, and so do its wakers.
///
/// # Priorities
///
/// A worker takes a task of the highest priority that is ready, at its next task boundary. A lower
/// priority gets a minimum share of the time all the same; see
/// [`Builder::group_minimum_share`](super::Builder::group_minimum_share). Groups of one priority
/// share the time by their weights. A poll is never interrupted. If all workers are in long polls,
/// the watchdog starts a spare worker; see
/// [`Builder::max_spare_workers`](super::Builder::max_spare_workers).
///
/// A task may wait for a task of lower priority, or for a lock that such a task holds. Then it
/// waits as long as that one takes at its own priority.
/// [`JoinHandle::inherit_priority`](crate::task::JoinHandle::inherit_priority) avoids it for a task
/// that is joined.
///
/// # Examples
///
/// ```
/// use heist::runtime::{Priority, Runtime};
///
/// let runtime = Runtime::new()?;
/// let reports = runtime.group("reports").priority(Priority::Background).max_workers(1).build()?;
/// let report = reports.spawn(async {
///     let mut sum = 0_u64;
///     for number in 0..1_000 {
///         sum += number;
///         // Between two polls, a worker may turn to something more urgent.
///         heist::task::consume_budget().await;
///     }
///     sum
/// });
/// assert_eq!(runtime.block_on(report)?, 499_500);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TaskGroup {
    group: Arc<Group>,
}

impl TaskGroup {
    pub(crate) fn new(group: Arc<Group>) -> TaskGroup {
        TaskGroup { group }
    }

    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Returns the name of the group.
    pub fn name(&self) -> &str {
        &self.group.settings.name
    }

    /// Returns the priority of the group.
    pub fn priority(&self) -> Priority {
        self.group.settings.priority
    }

    /// Returns the weight of the group, or `None` if the runtime has been dropped.
    pub fn weight(&self) -> Option<u32> {
        self.limits().map(|(weight, ..)| weight)
    }

    /// Returns how many workers poll tasks of the group at once, at most. Returns `None` if the
    /// number is not limited, or the runtime has been dropped.
    pub fn max_workers(&self) -> Option<usize> {
        self.limits().map(|(_, max_workers, _)| max_workers).filter(|&most| most < usize::MAX)
    }

    /// Returns how many tasks of the group live at once, at most. Returns `None` if the number is
    /// not limited.
    pub fn max_tasks(&self) -> Option<usize> {
        Some(self.group.admission.limit()).filter(|&most| most < usize::MAX)
    }

    fn limits(&self) -> Option<(u32, usize, usize)> {
        Some(group_queue::pool_of(&self.group)?.groups.ready.limits(self.group.key))
    }

    /// Spawns a task in the group.
    ///
    /// If the group is full, is being drained or has been drained, or if the runtime accepts no
    /// tasks, the future is dropped. Then the handle resolves as cancelled, and
    /// [`JoinError::refusal`](crate::task::JoinError::refusal) tells why.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("sums").build().unwrap();
    /// let sum = group.spawn(async { 1 + 2 });
    /// assert_eq!(runtime.block_on(sum).unwrap(), 3);
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_named(future, None, Location::caller())
    }

    pub(crate) fn spawn_named<F>(
        &self,
        future: F,
        name: Option<&str>,
        location: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.try_spawn_named(future, name, location).unwrap_or_else(|error| error.into_handle(location))
    }

    fn try_spawn_named<F>(
        &self,
        future: F,
        name: Option<&str>,
        location: &'static Location<'static>,
    ) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.try_admit() {
            Ok(admission) => admission.try_spawn_at(future, location, name),
            Err(refusal) => Err(SpawnError::new(future, refusal)),
        }
    }

    /// Spawns a task in the group, if the group and the runtime accept it.
    ///
    /// # Errors
    ///
    /// Returns the future, with the reason. While spawns wait for a place, the group is full: this
    /// does not overtake them.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::Refusal;
    ///
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("one").max_tasks(1).build().unwrap();
    /// let _first = group.try_spawn(std::future::pending::<()>()).unwrap();
    /// let error = group.try_spawn(async { 7 }).unwrap_err();
    /// assert_eq!(error.refusal(), Refusal::Full);
    /// assert_eq!(runtime.block_on(error.into_inner()), 7);
    /// ```
    #[track_caller]
    pub fn try_spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.try_spawn_named(future, None, Location::caller())
    }

    /// Waits for a place in the group, and spawns the task in it. Spawns that wait are admitted in
    /// the order of their first polls.
    ///
    /// # Errors
    ///
    /// The returned future returns the future of the task, if the group or the runtime accepts no
    /// tasks any more.
    ///
    /// # Panics
    ///
    /// Polling the returned future panics if it has been ready before.
    ///
    /// # Cancel safety
    ///
    /// If the returned future is dropped while it waits, the future of the task is dropped, too,
    /// and the place goes to the next waiter. [`TaskGroup::admit`] leaves the task's future with
    /// the caller.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("two").max_tasks(2).build().unwrap();
    /// runtime.block_on(async {
    ///     for number in 0..100 {
    ///         group.spawn_when_admitted(async move { number }).await.unwrap();
    ///         assert!(group.metrics().live_tasks <= 2);
    ///     }
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_when_admitted<F>(&self, future: F) -> SpawnWhenAdmitted<F>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        SpawnWhenAdmitted::new(&self.group, future, Location::caller())
    }

    /// Waits for a place in the group. The task is spawned later, with [`Admission::spawn`].
    ///
    /// A task of a full group that waits for a place in its own group may wait for ever.
    ///
    /// # Errors
    ///
    /// The returned future returns the reason, if the group accepts no tasks any more.
    ///
    /// # Cancel safety
    ///
    /// It is cancel safe: if the future is dropped, the place goes to the next waiter.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("uploads").max_tasks(100).build().unwrap();
    /// runtime.block_on(async {
    ///     let admission = group.admit().await.unwrap();
    ///     assert_eq!(admission.spawn(async { 7 }).await.unwrap(), 7);
    /// });
    /// ```
    pub fn admit(&self) -> Admit {
        Admit::new(&self.group)
    }

    /// Takes a place in the group, if there is one.
    ///
    /// # Errors
    ///
    /// Returns the reason if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("one").max_tasks(1).build().unwrap();
    /// let admission = group.try_admit().unwrap();
    /// assert!(group.try_admit().is_err());
    /// drop(admission);
    /// assert!(group.try_admit().is_ok());
    /// ```
    pub fn try_admit(&self) -> Result<Admission, Refusal> {
        self.group.admission.try_admit(group_queue::is_current(&self.group)).inspect_err(|_| {
            self.group.counts.refused.add(1);
        })?;
        Ok(Admission::new(&self.group))
    }

    /// Runs a function that may block, as a job of the group. At most
    /// [`max_blocking`](super::GroupBuilder::max_blocking) of them run at once. Further ones wait,
    /// first-in-first-out. Jobs are not tasks: [`max_tasks`](super::GroupBuilder::max_tasks) does
    /// not apply to them.
    ///
    /// What the function spawns belongs to the group. A job that waits for another job of its group
    /// may wait for ever, if the limit is reached. For all else see
    /// [`task::spawn_blocking`](crate::task::spawn_blocking()).
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("disk").max_blocking(1).build().unwrap();
    /// let length = group.spawn_blocking(|| std::fs::read("Cargo.toml").map(|text| text.len()));
    /// assert!(runtime.block_on(length).unwrap().is_ok());
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, function: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.spawn_blocking_named(function, None, Location::caller())
    }

    pub(crate) fn spawn_blocking_named<F, R>(
        &self,
        function: F,
        name: Option<&str>,
        location: &'static Location<'static>,
    ) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let group = Arc::clone(&self.group);
        let spawn_meta = SpawnMeta::of_group(location, name, Arc::clone(&group) as _);
        let entered = group.admission.enter_job(group_queue::is_current(&group));
        match entered.and_then(|()| group_queue::pool_of(&group).ok_or(Refusal::Closed)) {
            Ok(pool) => blocking::task::spawn_in(&pool, Some(group), function, spawn_meta),
            Err(refusal) => {
                if entered.is_ok() {
                    group.admission.exit_job();
                }
                group.counts.refused.add(1);
                group_queue::reject_detached(refusal, async { function() }, location)
            }
        }
    }

    /// Runs a future inside of the group: what it spawns belongs to the group.
    ///
    /// The future itself runs where it is awaited. It is no task of the group, so
    /// [`max_tasks`](super::GroupBuilder::max_tasks) applies to what it spawns. The scope does not
    /// wait for these tasks.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("tenant-7").build().unwrap();
    /// runtime.block_on(group.scope(async {
    ///     let name = heist::spawn(async {
    ///         heist::task::current_group().map(|group| group.name().to_owned())
    ///     });
    ///     assert_eq!(name.await.unwrap().as_deref(), Some("tenant-7"));
    /// }));
    /// ```
    pub fn scope<F: Future>(&self, future: F) -> GroupScope<F> {
        GroupScope::new(&self.group, future)
    }

    /// Drains the group: refuses new tasks, except from its own tasks, and waits for its live tasks
    /// and its blocking jobs until `deadline` from now. Then it cancels the tasks that are left,
    /// and the jobs that have not begun. The group accepts nothing afterwards.
    ///
    /// It acts at once, also if the returned [`GroupDrain`] is never polled. Spawns from outside
    /// that wait for a place are refused. A task of the runtime waits for the deadline. So the
    /// report is ready 10 ms after the deadline, or as soon as a worker is free for that task. If
    /// several drains of a group run, the earliest deadline counts, and each has a report of its
    /// own.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("tenant-7").build().unwrap();
    /// group.spawn(std::future::pending::<()>());
    /// let report = runtime.block_on(group.drain(Duration::ZERO));
    /// assert_eq!(report.stragglers.len(), 1);
    /// assert!(group.try_spawn(async {}).is_err());
    /// ```
    #[track_caller]
    pub fn drain(&self, deadline: Duration) -> GroupDrain {
        GroupDrain::begin(&self.group, deadline, Location::caller())
    }

    /// Aborts every task of the group, as [`JoinHandle::abort`] does, and cancels its blocking jobs
    /// that wait for the end of another one. Tasks that are spawned meanwhile may be aborted, too.
    /// After the end of the runtime it does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("tenant-7").build().unwrap();
    /// let task = group.spawn(std::future::pending::<()>());
    /// group.abort_all();
    /// assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    /// ```
    pub fn abort_all(&self) {
        if let Some(pool) = group_queue::pool_of(&self.group) {
            pool.abort_group(&self.group);
        }
    }

    /// Returns the figures of the group.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("sums").build().unwrap();
    /// runtime.block_on(group.spawn(async {})).unwrap();
    /// let metrics = group.metrics();
    /// assert_eq!((metrics.spawned, metrics.completed, metrics.live_tasks), (1, 1, 0));
    /// ```
    pub fn metrics(&self) -> GroupMetrics {
        GroupMetrics::capture(&self.group, group_queue::pool_of(&self.group).as_deref())
    }

    /// Sets the weight of the group; see [`GroupBuilder::weight`](super::GroupBuilder::weight). It
    /// counts from the next slice on.
    ///
    /// # Errors
    ///
    /// If the weight is not from 1 to 10,000, or the runtime has been dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("tenant-7").build().unwrap();
    /// group.set_weight(300).unwrap();
    /// assert!(group.set_weight(0).is_err());
    /// ```
    pub fn set_weight(&self, weight: u32) -> Result<(), GroupError> {
        check_weight(weight)?;
        let pool = group_queue::pool_of(&self.group).ok_or(GroupError::Closed)?;
        pool.groups.ready.set_weight(self.group.key, weight);
        Ok(())
    }

    /// Sets how many workers poll tasks of the group at once, at most. If it is less than before,
    /// surplus workers stop at their next task boundary.
    ///
    /// # Errors
    ///
    /// If the limit is zero, or the runtime has been dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("tenant-7").max_workers(1).build().unwrap();
    /// group.set_max_workers(2).unwrap();
    /// ```
    pub fn set_max_workers(&self, workers: usize) -> Result<(), GroupError> {
        check_workers(workers)?;
        let pool = group_queue::pool_of(&self.group).ok_or(GroupError::Closed)?;
        if let Some(priority) = pool.groups.ready.set_max_workers(self.group.key, workers) {
            pool.announce_group(&self.group, priority);
        }
        // A worker that is over the limit ends its slice.
        pool.bump_tick();
        Ok(())
    }

    /// Sets how many tasks of the group live at once, at most. If it is more than before, waiting
    /// spawns are admitted. If it is less, no task is admitted until enough have ended.
    ///
    /// # Errors
    ///
    /// If the limit is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("tenant-7").max_tasks(1).build().unwrap();
    /// let _first = group.try_spawn(std::future::pending::<()>()).unwrap();
    /// group.set_max_tasks(2).unwrap();
    /// assert!(group.try_spawn(async {}).is_ok());
    /// ```
    pub fn set_max_tasks(&self, tasks: usize) -> Result<(), GroupError> {
        if tasks == 0 {
            return Err(GroupError::NoTasks);
        }
        self.group.admission.set_limit(tasks);
        Ok(())
    }
}

impl PartialEq for TaskGroup {
    /// Returns true if both are handles of one group.
    fn eq(&self, other: &TaskGroup) -> bool {
        Arc::ptr_eq(&self.group, &other.group)
    }
}

impl Eq for TaskGroup {}

impl std::panic::UnwindSafe for TaskGroup {}
impl std::panic::RefUnwindSafe for TaskGroup {}

impl fmt::Debug for TaskGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup")
            .field("name", &self.name())
            .field("priority", &self.priority())
            .finish_non_exhaustive()
    }
}
