//! Builds groups of tasks.

use std::fmt;

use super::{Handle, TaskGroup};
use crate::group::GroupSettings;
use crate::group::priority::Priority;
use crate::group::share::{DEFAULT_WEIGHT, MAX_WEIGHT};
use crate::group::table::RegisterError;
use crate::primitive::Arc;

/// Builds a [`TaskGroup`]. [`Handle::group`] returns it.
///
/// # Examples
///
/// ```
/// use heist::runtime::Priority;
///
/// let runtime = heist::runtime::Runtime::new()?;
/// let ingest = runtime
///     .group("ingest")
///     .priority(Priority::Background)
///     .weight(300)
///     .max_workers(3)
///     .max_tasks(10_000)
///     .max_blocking(8)
///     .build()?;
/// let sum = ingest.spawn(async { (1..=10).sum::<u32>() });
/// assert_eq!(runtime.block_on(sum)?, 55);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "it does nothing until `build` is called"]
pub struct GroupBuilder {
    handle: Handle,
    settings: GroupSettings,
}

/// Why a group was not created, or not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupError {
    /// A live group of the runtime has this name.
    NameInUse(String),
    /// The weight is not from 1 to 10,000.
    Weight(u32),
    /// The limit of workers is zero.
    NoWorkers,
    /// The limit of tasks is zero.
    NoTasks,
    /// The limit of blocking jobs is zero.
    NoBlocking,
    /// The runtime has been shut down.
    Closed,
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupError::NameInUse(name) => write!(
                f,
                "the runtime has a group named {name:?}: clone its `TaskGroup`, choose another name, or wait until its tasks have \
                 ended and its handles are dropped"
            ),
            GroupError::Weight(weight) => {
                write!(f, "the weight {weight} is out of range: a group has a weight from 1 to {MAX_WEIGHT}")
            }
            GroupError::NoWorkers => {
                f.write_str("`max_workers(0)` would never poll a task: use 1 or more, or `Priority::Background`")
            }
            GroupError::NoTasks => f.write_str("`max_tasks(0)` would admit no task: use 1 or more"),
            GroupError::NoBlocking => f.write_str("`max_blocking(0)` would run no blocking job: use 1 or more"),
            GroupError::Closed => f.write_str("the runtime of the group has been shut down"),
        }
    }
}

impl std::error::Error for GroupError {}

impl GroupBuilder {
    pub(super) fn new(handle: &Handle, name: &str) -> GroupBuilder {
        let settings = GroupSettings {
            name: Arc::from(name),
            priority: Priority::Normal,
            weight: DEFAULT_WEIGHT,
            max_workers: usize::MAX,
            max_tasks: usize::MAX,
            max_blocking: usize::MAX,
            lanes: handle.pool().settings.lanes(),
        };
        GroupBuilder { handle: handle.clone(), settings }
    }

    /// Sets the priority of the group. The default is [`Priority::Normal`], that of tasks without a
    /// group.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::Priority;
    ///
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("compaction").priority(Priority::Background).build().unwrap();
    /// assert_eq!(group.priority(), Priority::Background);
    /// ```
    pub fn priority(mut self, priority: Priority) -> GroupBuilder {
        self.settings.priority = priority;
        self
    }

    /// Sets the weight of the group: its share of the workers' time among the groups of its
    /// priority that have work. The tasks without a group count as one group of normal priority
    /// with weight 100. The weight is from 1 to 10,000, and 100 by default.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// // If both are busy, `paid` gets three quarters of the time.
    /// let paid = runtime.group("paid").weight(300).build().unwrap();
    /// let free = runtime.group("free").weight(100).build().unwrap();
    /// # let _ = (paid, free);
    /// ```
    pub fn weight(mut self, weight: u32) -> GroupBuilder {
        self.settings.weight = weight;
        self
    }

    /// Sets how many workers poll tasks of the group at once, at most. By default, all may.
    ///
    /// The limit is exact. A worker in a long poll counts, and so does one in a
    /// [`block_in_place`](crate::task::block_in_place). Blocking jobs do not count.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// // No two polls of its tasks run at the same time.
    /// let serial = runtime.group("serial").max_workers(1).build().unwrap();
    /// # let _ = serial;
    /// ```
    pub fn max_workers(mut self, workers: usize) -> GroupBuilder {
        self.settings.max_workers = workers;
        self
    }

    /// Sets how many tasks of the group live at once, at most. By default, there is no limit.
    ///
    /// Beyond the limit, [`TaskGroup::spawn`] returns a handle that resolves as cancelled,
    /// [`TaskGroup::try_spawn`] returns the future, and [`TaskGroup::spawn_when_admitted`] waits.
    ///
    /// The limit is one of admission. Tasks that the group's own tasks spawn with
    /// [`heist::spawn`](crate::spawn) count, but are not refused. A task that could not spawn its
    /// parts would fail just when there is much to do.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("one").max_tasks(1).build().unwrap();
    /// let _first = group.spawn(std::future::pending::<()>());
    /// assert!(group.try_spawn(async {}).is_err());
    /// ```
    pub fn max_tasks(mut self, tasks: usize) -> GroupBuilder {
        self.settings.max_tasks = tasks;
        self
    }

    /// Sets how many blocking jobs of the group run at once, at most. Further jobs wait. By
    /// default, only the runtime's
    /// [`max_blocking_threads`](super::Builder::max_blocking_threads) limits them.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("disk").max_blocking(2).build().unwrap();
    /// assert_eq!(runtime.block_on(group.spawn_blocking(|| 7)).unwrap(), 7);
    /// ```
    pub fn max_blocking(mut self, jobs: usize) -> GroupBuilder {
        self.settings.max_blocking = jobs;
        self
    }

    /// Creates the group.
    ///
    /// # Errors
    ///
    /// If a number is out of range, if a live group of the runtime has the name, or if the runtime
    /// has been shut down.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::GroupError;
    ///
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("ingest").build().unwrap();
    /// let again = runtime.group("ingest").build();
    /// assert_eq!(again.unwrap_err(), GroupError::NameInUse("ingest".to_owned()));
    /// drop(group);
    /// assert!(runtime.group("ingest").build().is_ok());
    /// assert_eq!(runtime.group("other").weight(0).build().unwrap_err(), GroupError::Weight(0));
    /// ```
    pub fn build(self) -> Result<TaskGroup, GroupError> {
        let GroupBuilder { handle, settings } = self;
        check_weight(settings.weight)?;
        check_workers(settings.max_workers)?;
        if settings.max_tasks == 0 {
            return Err(GroupError::NoTasks);
        }
        if settings.max_blocking == 0 {
            return Err(GroupError::NoBlocking);
        }
        let (pool, name) = (handle.pool(), Arc::clone(&settings.name));
        let host = Arc::downgrade(pool);
        pool.groups.register(settings, host).map(TaskGroup::new).map_err(|error| match error {
            RegisterError::NameInUse => GroupError::NameInUse(name.to_string()),
            RegisterError::Closed => GroupError::Closed,
        })
    }
}

impl fmt::Debug for GroupBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupBuilder")
            .field("name", &self.settings.name)
            .field("priority", &self.settings.priority)
            .field("weight", &self.settings.weight)
            .finish_non_exhaustive()
    }
}

pub(super) fn check_weight(weight: u32) -> Result<(), GroupError> {
    if (1..=MAX_WEIGHT).contains(&weight) { Ok(()) } else { Err(GroupError::Weight(weight)) }
}

pub(super) fn check_workers(workers: usize) -> Result<(), GroupError> {
    if workers > 0 { Ok(()) } else { Err(GroupError::NoWorkers) }
}
