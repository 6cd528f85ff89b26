//! The events of a track.

use crate::cursor::Cursor;
use crate::error::Error;
use crate::nanos::Nanos;
use crate::task::TaskId;

/// The most fields of an event. Three bits hold their number.
const MOST_FIELDS: usize = 7;

/// What happened on a track, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event<'a> {
    /// The trace time.
    pub at: Nanos,
    /// What happened.
    pub kind: EventKind<'a>,
}

impl<'a> Event<'a> {
    /// Returns an event, for a [`TraceBuilder`](crate::write::TraceBuilder).
    #[must_use]
    pub fn new(at: Nanos, kind: EventKind<'a>) -> Self {
        Self { at, kind }
    }
}

/// What happened.
///
/// A field `thread` is the operating system's id of the thread. It is 0 on the track of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind<'a> {
    /// A task is spawned, by the code that runs on the track.
    Spawn {
        /// The new task.
        task: TaskId,
        /// The thread that spawns it.
        thread: u64,
    },
    /// A task is woken, and queued.
    Wake {
        /// The task that is woken.
        task: TaskId,
        /// The thread that wakes it.
        thread: u64,
    },
    /// A poll starts.
    PollStart {
        /// The task that is polled.
        task: TaskId,
        /// The number of tasks that are queued behind it at this worker.
        queued: u64,
    },
    /// A poll ends.
    PollEnd {
        /// The task that was polled.
        task: TaskId,
        /// How the poll ended.
        how: PollEnd,
    },
    /// The worker steals.
    Steal {
        /// The index of the worker that is stolen from.
        victim: u64,
        /// The number of stolen tasks.
        tasks: u64,
    },
    /// The worker parks.
    Park,
    /// The worker is unparked.
    Unpark,
    /// A parked worker is chosen and woken.
    UnparkWorker {
        /// The index of the worker that is woken.
        worker: u64,
    },
    /// The reactor has been polled.
    ReactorPoll {
        /// The number of its events.
        events: u64,
        /// The time that it took.
        duration: Nanos,
    },
    /// Timers have fired.
    TimersFired {
        /// The number of timers.
        timers: u64,
        /// The longest lateness.
        lateness: Nanos,
    },
    /// A blocking job is queued.
    BlockingQueue {
        /// The job.
        task: TaskId,
        /// The thread that queues it.
        thread: u64,
    },
    /// A blocking job starts.
    BlockingStart {
        /// The job.
        task: TaskId,
        /// The thread that runs it.
        thread: u64,
    },
    /// A blocking job ends.
    BlockingEnd {
        /// The job.
        task: TaskId,
        /// The thread that has run it.
        thread: u64,
    },
    /// The watchdog reports a stalled worker.
    Stall {
        /// The index of the stalled worker.
        worker: u64,
        /// The task that the worker polls.
        task: TaskId,
        /// The length of the poll so far.
        so_far: Nanos,
    },
    /// The watchdog takes the tasks or timers that wait behind a stall.
    Rescue {
        /// The index of the stalled worker.
        worker: u64,
    },
    /// The number of workers changes.
    Resize {
        /// The number of workers before.
        before: u64,
        /// The number of workers after.
        after: u64,
    },
    /// A drain begins, reaches its deadline, or ends.
    Drain {
        /// Which of these.
        phase: DrainPhase,
        /// The number of tasks that are alive.
        alive: u64,
    },
    /// A task has spent its budget.
    BudgetSpent {
        /// The task.
        task: TaskId,
    },
    /// A mark of the program.
    Mark {
        /// The text of the mark.
        text: &'a str,
        /// The thread that has made it.
        thread: u64,
    },
    /// The worker takes tasks from the global queue.
    TakeGlobal {
        /// The number of tasks.
        tasks: u64,
    },
    /// The recorder starts.
    RecorderStart,
}

impl EventKind<'_> {
    /// Returns the operating system's id of the thread, or 0 if the event has none.
    pub(crate) fn thread(&self) -> u64 {
        match self {
            Self::Spawn { thread, .. }
            | Self::Wake { thread, .. }
            | Self::BlockingQueue { thread, .. }
            | Self::BlockingStart { thread, .. }
            | Self::BlockingEnd { thread, .. }
            | Self::Mark { thread, .. } => *thread,
            _ => 0,
        }
    }
}

/// How a poll ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PollEnd {
    /// The task waits for a wake-up.
    Pending,
    /// The task has yielded, and is queued again.
    Yield,
    /// The task has ended.
    Completed,
    /// The task has panicked.
    Panicked,
    /// The task has been cancelled.
    Cancelled,
    /// A value that this version does not know.
    Unknown(u64),
}

impl PollEnd {
    fn from_number(number: u64) -> Self {
        match number {
            0 => Self::Pending,
            1 => Self::Yield,
            2 => Self::Completed,
            3 => Self::Panicked,
            4 => Self::Cancelled,
            other => Self::Unknown(other),
        }
    }

    pub(crate) fn to_number(self) -> u64 {
        match self {
            Self::Pending => 0,
            Self::Yield => 1,
            Self::Completed => 2,
            Self::Panicked => 3,
            Self::Cancelled => 4,
            Self::Unknown(number) => number,
        }
    }

    /// Returns true if the task has ended with this poll.
    #[must_use]
    pub fn is_end_of_task(self) -> bool {
        matches!(self, Self::Completed | Self::Panicked | Self::Cancelled)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Yield => "yield",
            Self::Completed => "completed",
            Self::Panicked => "panicked",
            Self::Cancelled => "cancelled",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// What has happened to a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DrainPhase {
    /// The drain begins.
    Begin,
    /// The drain reaches its deadline.
    Deadline,
    /// The drain ends.
    End,
    /// A value that this version does not know.
    Unknown(u64),
}

impl DrainPhase {
    fn from_number(number: u64) -> Self {
        match number {
            0 => Self::Begin,
            1 => Self::Deadline,
            2 => Self::End,
            other => Self::Unknown(other),
        }
    }

    pub(crate) fn to_number(self) -> u64 {
        match self {
            Self::Begin => 0,
            Self::Deadline => 1,
            Self::End => 2,
            Self::Unknown(number) => number,
        }
    }
}

/// Takes one event of a track, which follows one at the trace time `before`. Returns its time, and
/// the event unless its kind is unknown.
pub(crate) fn take_event<'a>(
    cursor: &mut Cursor<'a>,
    before: Nanos,
    texts: &[&'a str],
) -> Result<(Nanos, Option<EventKind<'a>>), Error> {
    let start = cursor.clone();
    let head = cursor.number()?;
    let later = cursor.clone();
    let at = before.0.checked_add(cursor.number()?).ok_or_else(|| later.fault("a trace time below 2⁶⁴"))?;
    let mut fields = [0; MOST_FIELDS];
    for field in fields.iter_mut().take((head & 7) as usize) {
        *field = cursor.number()?;
    }
    let [first, second, third, ..] = fields;
    let task = TaskId(first);
    let kind = match head >> 3 {
        1 => EventKind::Spawn { task, thread: second },
        2 => EventKind::Wake { task, thread: second },
        3 => EventKind::PollStart { task, queued: second },
        4 => EventKind::PollEnd { task, how: PollEnd::from_number(second) },
        5 => EventKind::Steal { victim: first, tasks: second },
        6 => EventKind::Park,
        7 => EventKind::Unpark,
        8 => EventKind::UnparkWorker { worker: first },
        9 => EventKind::ReactorPoll { events: first, duration: Nanos(second) },
        10 => EventKind::TimersFired { timers: first, lateness: Nanos(second) },
        11 => EventKind::BlockingQueue { task, thread: second },
        12 => EventKind::BlockingStart { task, thread: second },
        13 => EventKind::BlockingEnd { task, thread: second },
        14 => EventKind::Stall { worker: first, task: TaskId(second), so_far: Nanos(third) },
        15 => EventKind::Rescue { worker: first },
        16 => EventKind::Resize { before: first, after: second },
        17 => EventKind::Drain { phase: DrainPhase::from_number(first), alive: second },
        18 => EventKind::BudgetSpent { task },
        19 => {
            let index = usize::try_from(first).unwrap_or(usize::MAX);
            let text = texts.get(index).ok_or_else(|| start.fault("a mark whose text is in the list of texts"))?;
            EventKind::Mark { text, thread: second }
        }
        20 => EventKind::TakeGlobal { tasks: first },
        21 => EventKind::RecorderStart,
        _ => return Ok((Nanos(at), None)),
    };
    Ok((Nanos(at), Some(kind)))
}
