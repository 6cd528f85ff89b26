//! What a runtime does just now.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use super::RuntimeFlavor;
use crate::pool::{Pool, Seat};
use crate::raw_task::{Id, TaskInfo, TaskView};
use crate::sync::Arc;

/// What a runtime does just now: every seat, and every task that can be seen; from
/// [`Handle::dump`](super::Handle::dump).
///
/// It is data, to be asked by a program; its `Display` is for people.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Dump {
    /// What kind of runtime it is.
    pub flavor: RuntimeFlavor,
    /// Where it stands in its life: running, draining, drained, overdue, cancelling, closed.
    pub phase: &'static str,
    /// How many workers there are, spares aside.
    pub workers: usize,
    /// How many spares there are, in place of workers that are stuck, or in `block_in_place`.
    pub spares: usize,
    /// How many tasks wait in the global queue.
    pub global_queue: usize,
    /// Sockets and other resources that are registered with the reactor.
    pub sources: u64,
    /// Whether somebody waits at the reactor, or looks at it, just now.
    pub reactor_is_turned: bool,
    /// All seats that have ever been taken.
    pub seats: Vec<WorkerDump>,
    /// All tasks and blocking jobs that can be seen, by their id. Tasks that have never been idle
    /// and wait in a ring cannot; see [`WorkerDump::ring`].
    pub tasks: Vec<TaskDump>,
}

/// A seat and its worker, in a [`Dump`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerDump {
    /// The number of the seat.
    pub seat: usize,
    /// Whether somebody has it: vacant, starting, seated, asked (to leave), leaving.
    pub state: String,
    /// The kernel's number of the thread that sits here. Linux only.
    pub thread: Option<u32>,
    /// What the worker does.
    pub activity: Activity,
    /// How many tasks wait in the ring, at most 256.
    pub ring: usize,
    /// Whether a task waits in the LIFO slot.
    pub lifo: bool,
    /// How long it is until the first timer of the seat's wheel is due, or earlier; none if there
    /// are no timers.
    pub next_timer: Option<Duration>,
    /// How many polls there were so far.
    pub polls: u64,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// There is no worker.
    Nobody,
    /// It sleeps, or is about to.
    Asleep,
    /// It is between two polls, or in something that is no task: a waker, a hook, a destructor.
    Awake {
        /// How long it has been there, at least, if that is more than a millisecond or two.
        since: Option<Duration>,
    },
    /// It polls a task.
    Polling {
        /// The task.
        task: Id,
        /// Where that was spawned.
        location: &'static Location<'static>,
        /// How long the poll has lasted, at least, if that is more than a millisecond or two.
        since: Option<Duration>,
    },
    /// It blocks in a task, which has said so by [`block_in_place`](crate::task::block_in_place).
    Blocking {
        /// The task.
        task: Id,
        /// Where that was spawned.
        location: &'static Location<'static>,
    },
}

/// A task, in a [`Dump`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TaskDump {
    /// The task's id.
    pub id: Id,
    /// What it is called, if it has a name.
    pub name: Option<Arc<str>>,
    /// Where it was spawned.
    pub location: &'static Location<'static>,
    /// What it does.
    pub state: TaskState,
}

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// It waits to be woken.
    Idle,
    /// It has been woken, or is new, and waits to be polled.
    Queued,
    /// It is being polled.
    Running,
    /// It has ended just now.
    Ended,
    /// It is a blocking job, queued or running.
    Job,
}

impl Dump {
    pub(super) fn capture(pool: &Pool) -> Dump {
        let now = pool.clock.now();
        let counts = pool.reactor.counts();
        // First: it says where its workers are before the walk through the tasks, which takes
        // longer.
        let seats: Vec<WorkerDump> = pool.seats.iter().map(|seat| WorkerDump::capture(pool, seat, now)).collect();
        Dump {
            flavor: if pool.settings.current_thread {
                RuntimeFlavor::CurrentThread
            } else {
                RuntimeFlavor::MultiThread
            },
            phase: pool.phase.load().name(),
            workers: pool.base_workers(),
            spares: pool.worker_set.active_spares(),
            global_queue: pool.global.len(),
            sources: counts.registered.saturating_sub(counts.deregistered),
            reactor_is_turned: pool.reactor.is_driven(),
            tasks: tasks(pool),
            seats,
        }
    }
}

/// Everybody who can be seen: the filed, whoever waits in the global queue, whoever is being
/// polled, the jobs.
fn tasks(pool: &Pool) -> Vec<TaskDump> {
    let mut all = BTreeMap::new();
    let mut see = |view: TaskView, state: Option<TaskState>| {
        let state = state.unwrap_or_else(|| TaskState::capture(view.phase));
        let TaskInfo { id, name, location } = view.task;
        all.entry(id).or_insert(TaskDump { id, name, location, state });
    };
    // First: to others, a task that is being polled looks like one in a queue.
    for task in pool.seats.iter().filter_map(|seat| seat.polling.get()) {
        see(TaskView { task, phase: "" }, Some(TaskState::Running));
    }
    pool.global.for_each(|task| see(task.task_view(), None));
    pool.seats.iter().flat_map(|seat| seat.live.task_views()).for_each(|view| see(view, None));
    pool.drain_state.jobs.live.task_views().into_iter().for_each(|view| see(view, Some(TaskState::Job)));
    all.into_values().collect()
}

impl WorkerDump {
    fn capture(pool: &Pool, seat: &Seat, now: u64) -> WorkerDump {
        let next = seat.wheel.next_due();
        WorkerDump {
            seat: seat.index,
            state: state(pool, seat),
            thread: seat.tid().map(|thread| thread.get()),
            activity: activity(pool, seat, now),
            ring: seat.thief.len(),
            lifo: !seat.lifo.is_empty(),
            next_timer: (next != u64::MAX).then(|| Duration::from_nanos(next.saturating_sub(now))),
            polls: seat.stats.polls.get(),
        }
    }
}

/// The seat of a current-thread runtime is not in the book: whoever drives it takes it.
fn state(pool: &Pool, seat: &Seat) -> String {
    match pool.settings.current_thread {
        false => format!("{:?}", pool.worker_set.seat_state(seat.index)),
        true if seat.is_vacant() => "vacant".to_owned(),
        true => "seated".to_owned(),
    }
}

fn activity(pool: &Pool, seat: &Seat, now: u64) -> Activity {
    if seat.is_vacant() {
        return Activity::Nobody;
    }
    if pool.idle.is_announced(seat.index) {
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
            Activity::Nobody => return f.write_str("nobody"),
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
        write!(f, "seat {} ({}", self.seat, self.state)?;
        if let Some(thread) = self.thread {
            write!(f, ", thread {thread}")?;
        }
        let lifo = if self.lifo { "1 task" } else { "nothing" };
        write!(f, "): {}; {} in the ring, {lifo} in the LIFO slot, ", self.activity, self.ring)?;
        match self.next_timer {
            Some(next) => write!(f, "the next timer in {} ms, ", next.as_millis())?,
            None => f.write_str("no timers, ")?,
        }
        write!(f, "{} polls so far", self.polls)
    }
}

impl fmt::Display for TaskDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " \"{name}\"")?;
        }
        write!(f, ": {}, spawned at {}", self.state, self.location)
    }
}

impl fmt::Display for Dump {
    /// One line for the runtime, one for each seat, and one for each task.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let turned = if self.reactor_is_turned { "turned" } else { "not turned just now" };
        writeln!(
            f,
            "{:?} runtime, {}: {} workers and {} spares; {} in the global queue; reactor {turned}, {} sources; {} tasks",
            self.flavor,
            self.phase,
            self.workers,
            self.spares,
            self.global_queue,
            self.sources,
            self.tasks.len(),
        )?;
        self.seats.iter().try_for_each(|seat| writeln!(f, "  {seat}"))?;
        self.tasks.iter().try_for_each(|task| writeln!(f, "  {task}"))
    }
}
