//! Dumps: what a runtime does at one moment.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use super::{GroupMetrics, Priority, RuntimeFlavor, RuntimePhase};
use crate::group::Group;
use crate::pool::{Pool, Seat};
use crate::primitive::Arc;
use crate::raw_task::{Id, TaskInfo, TaskView};
use crate::worker_set::seat_state::WorkerState;

/// What a runtime does now: its workers, and every task that is visible from outside.
///
/// [`Handle::dump`](super::Handle::dump) returns it. A program reads its fields, and its `Display`
/// is for people.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Dump {
    /// The kind of the runtime.
    pub flavor: RuntimeFlavor,
    /// The phase of the runtime's life.
    pub phase: RuntimePhase,
    /// The number of workers, without spare workers.
    pub worker_count: usize,
    /// The number of spare workers. They stand in for workers that are stalled, or in
    /// `block_in_place`.
    pub spare_count: usize,
    /// The number of tasks in the global queue.
    pub global_queue_depth: usize,
    /// The number of sockets and other resources that are registered with the reactor.
    pub source_count: u64,
    /// Set if a thread waits in the reactor, or reads its events, now.
    pub reactor_is_driven: bool,
    /// The workers, by their index. An entry stays when its worker has exited.
    pub workers: Vec<WorkerDump>,
    /// The visible tasks and blocking jobs, by their id.
    ///
    /// A task that has never been idle is not visible while it waits in a worker's local queue; see
    /// [`WorkerDump::local_queue_depth`].
    pub tasks: Vec<TaskDump>,
    /// The groups of tasks, in the order of their names.
    pub groups: Vec<GroupDump>,
}

/// A worker, in a [`Dump`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerDump {
    /// The index of the worker; see [`worker_index`](super::worker_index).
    pub index: usize,
    /// Tells a worker that runs from one that is being started or is exiting.
    pub state: WorkerState,
    /// The kernel's id of the worker's thread. Linux only.
    pub thread: Option<u32>,
    /// What the worker does.
    pub activity: Activity,
    /// The number of tasks in the worker's local queue, at most 256.
    pub local_queue_depth: usize,
    /// Set if a task waits in the worker's LIFO slot.
    pub lifo_slot_is_full: bool,
    /// A lower bound of the time until the worker's next timer is due. None if it has no timers.
    pub next_timer: Option<Duration>,
    /// The number of polls so far, by every worker that has had this index.
    pub poll_count: u64,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// There is no worker.
    Vacant,
    /// The worker sleeps, or is about to.
    Asleep,
    /// The worker is between two polls, or runs a waker, a hook or a destructor.
    Awake {
        /// How long this has lasted, at least. None if it is less than a millisecond or two.
        since: Option<Duration>,
    },
    /// The worker polls a task.
    Polling {
        /// The task.
        task: Id,
        /// Where the task was spawned.
        location: &'static Location<'static>,
        /// How long the poll has lasted, at least. None if it is less than a millisecond or two.
        since: Option<Duration>,
    },
    /// The worker blocks in a task that is in [`block_in_place`](crate::task::block_in_place).
    Blocking {
        /// The task.
        task: Id,
        /// Where the task was spawned.
        location: &'static Location<'static>,
    },
}

/// A group of tasks, in a [`Dump`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GroupDump {
    /// The name of the group.
    pub name: Arc<str>,
    /// The priority that the group is built with.
    pub priority: Priority,
    /// The figures of the group.
    pub metrics: GroupMetrics,
}

/// A task, in a [`Dump`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TaskDump {
    /// The id of the task.
    pub id: Id,
    /// The name of the task, if it has one.
    pub name: Option<Arc<str>>,
    /// The name of the task's group, if it has one.
    pub group: Option<Arc<str>>,
    /// Where the task was spawned.
    pub location: &'static Location<'static>,
    /// What the task does.
    pub state: TaskState,
}

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// The task waits for a wake.
    Idle,
    /// The task is new or has been woken, and waits for its poll.
    Queued,
    /// The task is being polled.
    Running,
    /// The task has just ended.
    Ended,
    /// It is a blocking job, queued or running.
    Job,
}

impl Dump {
    pub(super) fn capture(pool: &Pool) -> Dump {
        let now = pool.clock.now();
        let counts = pool.reactor.counts();
        // The workers come first: the walk through the tasks takes longer.
        let workers: Vec<WorkerDump> = pool.seats.iter().map(|seat| WorkerDump::capture(pool, seat, now)).collect();
        Dump {
            flavor: if pool.settings.current_thread {
                RuntimeFlavor::CurrentThread
            } else {
                RuntimeFlavor::MultiThread
            },
            phase: pool.phase.load().into(),
            worker_count: pool.base_workers(),
            spare_count: pool.worker_set.num_spares(),
            global_queue_depth: pool.global.len(),
            source_count: counts.registered.saturating_sub(counts.deregistered),
            reactor_is_driven: pool.reactor.is_driven(),
            tasks: visible_tasks(pool),
            workers,
            groups: pool.groups.all().iter().map(|group| GroupDump::capture(pool, group)).collect(),
        }
    }
}

/// Returns all tasks that are visible from outside, by their id.
///
/// These are the tasks that are being polled, that wait in the global queue, or that have been idle
/// once, and the blocking jobs.
fn visible_tasks(pool: &Pool) -> Vec<TaskDump> {
    let mut all = BTreeMap::new();
    let mut add = |view: TaskView, state: Option<TaskState>| {
        let state = state.unwrap_or_else(|| TaskState::capture(view.phase));
        let TaskInfo { id, name, group, location } = view.task;
        all.entry(id).or_insert(TaskDump { id, name, group, location, state });
    };
    // The polled tasks come first: to other threads, a polled task looks like a queued one.
    for task in pool.seats.iter().filter_map(|seat| seat.polling.get()) {
        add(TaskView { task, phase: "" }, Some(TaskState::Running));
    }
    pool.global.for_each(|task| add(task.task_view(), None));
    pool.groups.for_each_queued(|task| add(task.task_view(), None));
    pool.seats.iter().flat_map(|seat| seat.live.task_views()).for_each(|view| add(view, None));
    pool.drain_state.jobs.live.task_views().into_iter().for_each(|view| add(view, Some(TaskState::Job)));
    all.into_values().collect()
}

impl GroupDump {
    fn capture(pool: &Pool, group: &Group) -> GroupDump {
        GroupDump {
            name: Arc::clone(&group.settings.name),
            priority: group.settings.priority,
            metrics: GroupMetrics::capture(group, Some(pool)),
        }
    }
}

impl WorkerDump {
    fn capture(pool: &Pool, seat: &Seat, now: u64) -> WorkerDump {
        let next = seat.wheel.next_due();
        WorkerDump {
            index: seat.index,
            state: worker_state(pool, seat),
            thread: seat.tid().map(|thread| thread.get()),
            activity: activity(pool, seat, now),
            local_queue_depth: seat.thief.len(),
            lifo_slot_is_full: !seat.lifo.is_empty(),
            next_timer: (next != u64::MAX).then(|| Duration::from_nanos(next.saturating_sub(now))),
            poll_count: seat.stats.polls.get(),
        }
    }
}

/// Returns the state of the seat's worker.
///
/// The worker set does not track the seat of a current-thread runtime: its driver occupies it.
fn worker_state(pool: &Pool, seat: &Seat) -> WorkerState {
    match pool.settings.current_thread {
        false => pool.worker_set.seat_state(seat.index).worker_state(),
        true if seat.is_vacant() => WorkerState::Vacant,
        true => WorkerState::Active,
    }
}

fn activity(pool: &Pool, seat: &Seat, now: u64) -> Activity {
    if seat.is_vacant() {
        return Activity::Vacant;
    }
    if pool.idle.is_announced(seat.index) || pool.worker_set.is_resting(seat.index) {
        return Activity::Asleep;
    }
    let (polled, since) = seat.observed_task();
    let since = since.map(|since| Duration::from_nanos(now.saturating_sub(since)));
    match polled {
        Some(TaskInfo { id: task, location, .. }) if seat.is_blocking() => Activity::Blocking { task, location },
        Some(TaskInfo { id: task, location, .. }) => Activity::Polling { task, location, since },
        None => Activity::Awake { since },
    }
}

impl TaskState {
    fn capture(phase: &str) -> TaskState {
        match phase {
            "idle" => TaskState::Idle,
            "active" => TaskState::Queued,
            _ => TaskState::Ended,
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TaskState::Idle => "idle",
            TaskState::Queued => "queued",
            TaskState::Running => "running",
            TaskState::Ended => "ended",
            TaskState::Job => "blocking job",
        })
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = match self {
            Activity::Vacant => return f.write_str("no thread"),
            Activity::Asleep => return f.write_str("asleep"),
            Activity::Awake { since } => {
                f.write_str("awake, in no task")?;
                since
            }
            Activity::Blocking { task, location } => {
                return write!(f, "blocking in place in task {task} spawned at {location}");
            }
            Activity::Polling { task, location, since } => {
                write!(f, "polling task {task} spawned at {location}")?;
                since
            }
        };
        match since {
            Some(since) => write!(f, ", for {} ms or more", since.as_millis()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for WorkerDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} ({}", self.index, self.state)?;
        if let Some(thread) = self.thread {
            write!(f, ", thread {thread}")?;
        }
        let lifo = if self.lifo_slot_is_full { "1 task" } else { "nothing" };
        let queued = self.local_queue_depth;
        write!(f, "): {}; {queued} in the local queue, {lifo} in the LIFO slot, ", self.activity)?;
        match self.next_timer {
            Some(next) => write!(f, "next timer in {} ms, ", next.as_millis())?,
            None => f.write_str("no timers, ")?,
        }
        write!(f, "{} polls so far", self.poll_count)
    }
}

impl fmt::Display for TaskDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " \"{name}\"")?;
        }
        write!(f, ": {}, spawned at {}", self.state, self.location)?;
        match &self.group {
            Some(group) => write!(f, ", in group \"{group}\""),
            None => Ok(()),
        }
    }
}

impl fmt::Display for GroupDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GroupMetrics { live_tasks, queued_tasks, active_workers, waiting_spawns, .. } = self.metrics;
        write!(
            f,
            "group \"{}\" ({}): {live_tasks} tasks, {queued_tasks} of them queued, {active_workers} workers; \
             {waiting_spawns} spawns wait",
            self.name, self.priority
        )
    }
}

impl fmt::Display for Dump {
    /// Writes one line for the runtime, one for each worker, each group and each task.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let driven = if self.reactor_is_driven { "driven" } else { "not driven now" };
        writeln!(
            f,
            "{:?} runtime, {}: {} workers and {} spares; {} in the global queue; reactor {driven}, {} sources; {} tasks",
            self.flavor,
            self.phase,
            self.worker_count,
            self.spare_count,
            self.global_queue_depth,
            self.source_count,
            self.tasks.len(),
        )?;
        self.workers.iter().try_for_each(|worker| writeln!(f, "  {worker}"))?;
        self.groups.iter().try_for_each(|group| writeln!(f, "  {group}"))?;
        self.tasks.iter().try_for_each(|task| writeln!(f, "  {task}"))
    }
}
