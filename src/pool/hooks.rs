//! The user's hooks for tasks: spawned, about to be polled, polled, ended.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::pool::Pool;
use crate::primitive::Arc;
use crate::primitive::atomic::Ordering;
use crate::raw_task::{Header, Id, TaskInfo};
use crate::util::wake_list::catch_user_panic;

/// Describes a task to the hooks [`on_task_spawn`](crate::runtime::Builder::on_task_spawn),
/// [`on_task_terminate`](crate::runtime::Builder::on_task_terminate),
/// [`on_before_task_poll`](crate::runtime::Builder::on_before_task_poll) and
/// [`on_after_task_poll`](crate::runtime::Builder::on_after_task_poll).
#[derive(Debug)]
pub struct TaskMeta<'a> {
    task: &'a TaskInfo,
    waited: Option<Duration>,
}

impl TaskMeta<'_> {
    /// Returns the task's id.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .on_task_spawn(|task| println!("{} has been spawned", task.id()))
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(runtime.spawn(async {})).unwrap();
    /// ```
    pub fn id(&self) -> Id {
        self.task.id
    }

    /// Returns the task's name, if it has one. See [`task::Builder`](crate::task::Builder).
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .on_task_terminate(|task| println!("{} has ended", task.name().unwrap_or("a task")))
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(runtime.spawn(async {})).unwrap();
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.task.name.as_deref()
    }

    /// Returns the name of the task's group, if it has one. See
    /// [`TaskGroup`](crate::runtime::TaskGroup).
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .on_task_spawn(|task| assert_eq!(task.group(), Some("ingest")))
    ///     .build()
    ///     .unwrap();
    /// runtime.group("ingest").build().unwrap().spawn(async {});
    /// ```
    pub fn group(&self) -> Option<&str> {
        self.task.group.as_deref()
    }

    /// Returns how long the task had waited in a queue when the poll began. A task is queued when
    /// it is spawned, woken, or yields.
    ///
    /// Both hooks of a poll get the same value. The other two hooks get `None`. It is also `None`
    /// unless the runtime was built with
    /// [`track_task_schedule_latency`](crate::runtime::Builder::track_task_schedule_latency) or
    /// [`enable_metrics_schedule_latency_histogram`](crate::runtime::Builder::enable_metrics_schedule_latency_histogram).
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .track_task_schedule_latency()
    ///     .on_before_task_poll(|task| assert!(task.schedule_latency().is_some()))
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(runtime.spawn(async {})).unwrap();
    /// ```
    pub fn schedule_latency(&self) -> Option<Duration> {
        self.waited
    }

    /// Returns where the task was spawned.
    ///
    /// ```
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .on_task_spawn(|task| println!("a task from {}", task.spawned_at()))
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(runtime.spawn(async {})).unwrap();
    /// ```
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.task.location
    }
}

/// What a runtime does when a task panics; see
/// [`Builder::unhandled_panic`](crate::runtime::Builder::unhandled_panic).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnhandledPanic {
    /// Does nothing: the task's `JoinHandle` returns the panic, and all other tasks continue. This
    /// is the default.
    Ignore,
    /// Shuts the runtime down: all tasks are dropped, and `block_on` panics.
    ShutdownRuntime,
}

/// A hook that is called with a task.
pub(crate) type TaskHook = Arc<dyn Fn(&TaskMeta<'_>) + Send + Sync>;

/// The task hooks of a runtime.
#[derive(Clone, Default)]
pub(crate) struct TaskHooks {
    pub(crate) spawn: Option<TaskHook>,
    pub(crate) terminate: Option<TaskHook>,
    pub(crate) before_poll: Option<TaskHook>,
    pub(crate) after_poll: Option<TaskHook>,
}

/// Selects one of the hooks.
type Which = fn(&TaskHooks) -> &Option<TaskHook>;

impl TaskHooks {
    /// Calls one of the hooks, if it is set. A panic of the hook is caught and logged.
    pub(crate) fn run_hook(&self, which: Which, task: &TaskInfo) {
        self.run_poll_hook(which, task, None);
    }

    /// As [`TaskHooks::run_hook`], for a task that has `waited` for its poll.
    pub(crate) fn run_poll_hook(&self, which: Which, task: &TaskInfo, waited: Option<Duration>) {
        if let Some(hook) = which(self) {
            catch_user_panic("a task hook", || hook(&TaskMeta { task, waited }));
        }
    }
}

impl Pool {
    /// Returns what [`Pool::run_end_hook`] needs of a task. `None` if there are no hooks.
    pub(crate) fn end_hook_info(&self, task: &Header) -> Option<TaskInfo> {
        self.settings.task_hooks.as_ref().map(|_| task.identity())
    }

    /// Calls the hook for an ended task. Must not be called under a lock.
    pub(crate) fn run_end_hook(&self, task: Option<TaskInfo>) {
        if let (Some(hooks), Some(task)) = (&self.settings.task_hooks, task) {
            hooks.run_hook(|hooks| &hooks.terminate, &task);
        }
    }

    /// Handles the panic of a task. If it has to end the runtime, the driver does that.
    #[cold]
    pub(crate) fn on_task_panic(&self) {
        if self.settings.unhandled_panic == UnhandledPanic::ShutdownRuntime {
            // Ordering: Relaxed — the reader is the thread that polls here, or takes the seat over
            // under the lock of its local slot, or is unparked below.
            self.panicked.store(true, Ordering::Relaxed);
            // If this is the reaper's thread, the driver may sleep.
            self.unpark(0);
        }
    }

    /// Returns true if a panic of a task has to end the runtime.
    #[inline]
    pub(crate) fn has_panicked(&self) -> bool {
        // Ordering: Relaxed — see the store in `Pool::on_task_panic`.
        self.panicked.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for TaskHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHooks").finish_non_exhaustive()
    }
}
