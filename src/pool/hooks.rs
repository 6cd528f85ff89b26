//! What a runtime calls when a task is spawned, polled, and gone.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::pool::Pool;
use crate::raw_task::{Header, Id, TaskInfo};
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::util::wake_list::catch_user_panic;

/// Who a task is. Given to the hooks [`on_task_spawn`](crate::runtime::Builder::on_task_spawn),
/// [`on_task_terminate`](crate::runtime::Builder::on_task_terminate),
/// [`on_before_task_poll`](crate::runtime::Builder::on_before_task_poll) and
/// [`on_after_task_poll`](crate::runtime::Builder::on_after_task_poll).
#[derive(Debug)]
pub struct TaskMeta<'a> {
    task: &'a TaskInfo,
    waited: Option<Duration>,
}

impl TaskMeta<'_> {
    /// The task's id.
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

    /// The task's name, if it has one; see [`task::Builder`](crate::task::Builder).
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

    /// How long the task had waited when the poll began, from when it was queued: being spawned,
    /// woken, or having let others go first. Both hooks of a poll are told the same; the other two
    /// are told nothing. `None` if nobody has asked for it, by
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

    /// Where the task was spawned.
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
    /// Nothing: the task's `JoinHandle` answers the panic, and all others go on. The default.
    Ignore,
    /// It shuts down: all tasks are dropped, and `block_on` panics.
    ShutdownRuntime,
}

/// A function that is told of tasks.
pub(crate) type TaskHook = Arc<dyn Fn(&TaskMeta<'_>) + Send + Sync>;

/// The hooks of a runtime.
#[derive(Clone, Default)]
pub(crate) struct TaskHooks {
    pub(crate) spawn: Option<TaskHook>,
    pub(crate) terminate: Option<TaskHook>,
    pub(crate) before_poll: Option<TaskHook>,
    pub(crate) after_poll: Option<TaskHook>,
}

/// Which of them.
type Which = fn(&TaskHooks) -> &Option<TaskHook>;

impl TaskHooks {
    /// Tells one of the hooks, if it is there. A panic in it is contained.
    pub(crate) fn run_hook(&self, which: Which, task: &TaskInfo) {
        self.run_poll_hook(which, task, None);
    }

    /// The same of a task that has `waited` for its poll.
    pub(crate) fn run_poll_hook(&self, which: Which, task: &TaskInfo, waited: Option<Duration>) {
        if let Some(hook) = which(self) {
            catch_user_panic("a task hook", || hook(&TaskMeta { task, waited }));
        }
    }
}

impl Pool {
    /// Who a task is, if there is a hook that is told of it by [`Pool::run_end_hook`].
    pub(crate) fn who_ends(&self, task: &Header) -> Option<TaskInfo> {
        self.settings.task_hooks.as_ref().map(|_| task.identity())
    }

    /// Says that a task has ended. Not under a lock.
    pub(crate) fn run_end_hook(&self, task: Option<TaskInfo>) {
        if let (Some(hooks), Some(task)) = (&self.settings.task_hooks, task) {
            hooks.run_hook(|hooks| &hooks.terminate, &task);
        }
    }

    /// A task has panicked: if that is to end the runtime, whoever drives it does so.
    #[cold]
    pub(crate) fn note_panic(&self) {
        if self.settings.unhandled_panic == UnhandledPanic::ShutdownRuntime {
            // Ordering: Relaxed — for the thread that polls here, or for one that takes the seat
            // over, under the lock of its local slot; or it comes with the unpark.
            self.panicked.store(true, Ordering::Relaxed);
            // If this is the reaper, that thread may sleep.
            self.unpark(0);
        }
    }

    /// Whether a task has panicked that ends the runtime.
    #[inline]
    pub(crate) fn has_panicked(&self) -> bool {
        // Ordering: Relaxed — see the store.
        self.panicked.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for TaskHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHooks").finish_non_exhaustive()
    }
}
