//! The drain of one group of tasks.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::block_on::{self, BlockOnMode};
use super::{DrainReport, Straggler};
use crate::blocking;
use crate::context;
use crate::context::can_block::{Operation, can_block};
use crate::drain::outcome_counts::OutcomeCounts;
use crate::drain::state::TaskCounts;
use crate::group::Group;
use crate::group::admission::{GroupGate, Ticket};
use crate::pool::Pool;
use crate::primitive::{Arc, real_now};
use crate::raw_task::{JoinHandle, SpawnMeta};
use crate::scheduler::{group_queue, schedule};
use crate::timer::{State, Timer, TimerWheel};

/// A drain of a [`TaskGroup`](super::TaskGroup).
/// [`TaskGroup::drain`](super::TaskGroup::drain) returns it.
///
/// Awaiting it, or calling [`GroupDrain::wait`], returns the report. If it is dropped, the drain
/// goes on. A task of the group that awaits it is cancelled at the deadline like all others.
///
/// # Cancel safety
///
/// It is cancel safe, but the report is lost with it.
#[must_use = "the drain goes on without it, but its report is lost"]
pub struct GroupDrain {
    group: Arc<Group>,
    begun: Begun,
    watch: Watch,
}

/// What waits for the tasks of the group, and for the deadline.
enum Watch {
    /// A task of the runtime.
    Task(JoinHandle<DrainReport>),
    /// This future. The runtime accepts no task, because it is being drained itself.
    Here(Pin<Box<dyn Future<Output = DrainReport> + Send>>),
    /// Nothing: the runtime has ended.
    Ended,
}

/// How often, and after which time, the drain tries again to find tasks that it has not found.
const FIND_RETRIES: u32 = 10;
const FIND_INTERVAL: Duration = Duration::from_micros(500);

/// What the group had done when the drain began.
#[derive(Debug, Clone, Copy)]
struct Begun {
    at: Instant,
    base: OutcomeCounts,
}

impl GroupDrain {
    pub(super) fn begin(group: &Arc<Group>, deadline: Duration, location: &'static Location<'static>) -> GroupDrain {
        let begun = Begun { at: real_now(), base: group.counts.outcomes.get() };
        group.admission.set_gate(GroupGate::Draining);
        let watch = match group_queue::pool_of(group) {
            None => Watch::Ended,
            Some(pool) => {
                let watched = watch(Arc::clone(&pool), Arc::clone(group), begun, deadline);
                if schedule::try_admit(&pool) {
                    let (runnable, handle) = schedule::new_task(watched, SpawnMeta::named(location, "group drain"));
                    schedule::queue_admitted(&pool, runnable);
                    Watch::Task(handle)
                } else {
                    Watch::Here(Box::pin(watched))
                }
            }
        };
        GroupDrain { group: Arc::clone(group), begun, watch }
    }

    /// Blocks this thread until the report is ready, and returns it. On a current-thread runtime
    /// this call drives the runtime.
    ///
    /// # Panics
    ///
    /// Panics if this thread is polling a future, because the call would block the worker. `.await`
    /// the drain there.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("tenant-7").build().unwrap();
    /// group.spawn(async {});
    /// let report = group.drain(Duration::from_secs(1)).wait();
    /// assert!(report.stragglers.is_empty());
    /// ```
    #[track_caller]
    pub fn wait(self) -> DrainReport {
        assert!(
            can_block(Operation::Future).is_ok(),
            "`GroupDrain::wait` was called in async code, where it would block the worker; `.await` the drain instead"
        );
        let Some(pool) = group_queue::pool_of(&self.group) else { return self.begun.report(&self.group, Vec::new()) };
        let mode = if pool.settings.current_thread { BlockOnMode::Driving } else { BlockOnMode::Open };
        block_on::block_on(&pool, self, mode)
    }
}

impl Future for GroupDrain {
    type Output = DrainReport;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<DrainReport> {
        let GroupDrain { group, begun, watch } = &mut *self;
        let watched = match watch {
            Watch::Task(task) => ready!(Pin::new(task).poll(cx)).ok(),
            Watch::Here(watched) => Some(ready!(watched.as_mut().poll(cx))),
            Watch::Ended => None,
        };
        Poll::Ready(watched.unwrap_or_else(|| {
            // The runtime has cancelled the task at its own deadline, or has ended.
            let alive = group_queue::pool_of(group).map_or_else(Vec::new, |pool| tasks_of(&pool, group));
            begun.report(group, alive)
        }))
    }
}

impl fmt::Debug for GroupDrain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupDrain").field("group", &self.group.settings.name).finish_non_exhaustive()
    }
}

/// Waits until the group is empty, or until the deadline, and then cancels its tasks and the jobs
/// that have not begun.
async fn watch(pool: Arc<Pool>, group: Arc<Group>, begun: Begun, deadline: Duration) -> DrainReport {
    let mut late = Vec::new();
    if !wait_until_empty(&pool, &group, begun.at.checked_add(deadline)).await {
        group.admission.set_gate(GroupGate::Closed);
        late = find_all(&pool, &group).await;
        pool.abort_group(&group);
        let report_at = real_now().checked_add(pool.settings.drain_report_delay);
        wait_until_empty(&pool, &group, report_at).await;
        update_running_times(&mut late, tasks_of(&pool, &group));
    }
    group.admission.set_gate(GroupGate::Closed);
    begun.report(&group, late)
}

/// Returns the tasks of the group. One that is just moved from a queue to its poll is for a moment
/// in neither. While some are missing, this waits and tries again, a few times.
async fn find_all(pool: &Pool, group: &Arc<Group>) -> Vec<Straggler> {
    let mut found = tasks_of(pool, group);
    for _ in 0..FIND_RETRIES {
        if found.len() >= group.admission.counts().0 {
            break;
        }
        wait_until_empty(pool, group, real_now().checked_add(FIND_INTERVAL)).await;
        found = tasks_of(pool, group);
    }
    found
}

impl Begun {
    fn report(self, group: &Group, stragglers: Vec<Straggler>) -> DrainReport {
        let OutcomeCounts { completed, panicked, cancelled } = group.counts.outcomes.get() - self.base;
        DrainReport {
            completed,
            panicked,
            cancelled,
            stragglers,
            unnamed: 0,
            elapsed: real_now().saturating_duration_since(self.at),
        }
    }
}

/// Returns the tasks of the group that can be found alive.
fn tasks_of(pool: &Pool, group: &Group) -> Vec<Straggler> {
    let mut tasks = pool.stragglers(&[]);
    tasks.retain(|task| task.group.as_ref() == Some(&group.settings.name));
    tasks
}

/// Sets how long those tasks have been running that still live. The others were dropped in time.
fn update_running_times(late: &mut [Straggler], alive: Vec<Straggler>) {
    for task in late {
        task.running_for = alive.iter().find(|alive| alive.id == task.id).and_then(|alive| alive.running_for);
    }
}

/// Waits until the group is empty. Returns false if it is not at the deadline.
async fn wait_until_empty(pool: &Pool, group: &Arc<Group>, deadline: Option<Instant>) -> bool {
    let mut wait = EmptyWait { group, ticket: Ticket::default() };
    let mut timer = pin!(Timer::new());
    poll_fn(|cx| {
        if group.admission.poll_empty(&mut wait.ticket, cx.waker()).is_ready() {
            return Poll::Ready(true);
        }
        let Some(deadline) = deadline else { return Poll::Pending };
        poll_timer(timer.as_mut(), &pool.shared_wheel, deadline, cx).map(|()| false)
    })
    .await
}

fn poll_timer(mut timer: Pin<&mut Timer>, wheel: &Arc<TimerWheel>, deadline: Instant, cx: &Context<'_>) -> Poll<()> {
    let state = match timer.state() {
        State::Idle if wheel.clock().has_passed(deadline) => return Poll::Ready(()),
        State::Idle => timer.as_mut().arm(Arc::clone(wheel), deadline, cx.waker()),
        State::Armed => timer.as_mut().update_waker(cx.waker()),
        ended => ended,
    };
    if state == State::Armed { Poll::Pending } else { Poll::Ready(()) }
}

/// Ends the wait for an empty group.
struct EmptyWait<'a> {
    group: &'a Arc<Group>,
    ticket: Ticket,
}

impl Drop for EmptyWait<'_> {
    fn drop(&mut self) {
        self.group.admission.cancel_empty(&mut self.ticket);
    }
}

impl Pool {
    /// Aborts every task of a group, and cancels the jobs that wait for the end of another one.
    pub(crate) fn abort_group(self: &Arc<Pool>, group: &Arc<Group>) {
        context::run_in_runtime(self, || {
            blocking::task::cancel_waiting(group);
            group_queue::abort_all(self, group);
        });
    }
}
