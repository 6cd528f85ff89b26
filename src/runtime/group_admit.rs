//! Waits for a place in a group of tasks.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::{Refusal, SpawnError};
use crate::context::budget;
use crate::group::Group;
use crate::group::admission::Ticket;
use crate::group::grouped::Permit;
use crate::primitive::Arc;
use crate::raw_task::{JoinHandle, Origin};
use crate::scheduler::group_queue;

/// Waits until a group admits one more task. [`TaskGroup::admit`](super::TaskGroup::admit) returns
/// it.
///
/// Waiters are admitted in the order of their first polls.
///
/// # Cancel safety
///
/// Dropping it gives the place to the next waiter.
#[must_use = "futures do nothing unless polled or awaited"]
pub struct Admit {
    group: Arc<Group>,
    ticket: Ticket,
}

impl Admit {
    pub(super) fn new(group: &Arc<Group>) -> Admit {
        Admit { group: Arc::clone(group), ticket: Ticket::default() }
    }
}

impl Future for Admit {
    type Output = Result<Admission, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Admit { group, ticket } = &mut *self;
        let internal = group_queue::is_current(group);
        let polled = budget::metered(cx, |cx| group.admission.poll_admit(ticket, cx.waker(), internal));
        Poll::Ready(match ready!(polled) {
            Ok(()) => Ok(Admission { permit: Permit::of_admitted(group) }),
            Err(refusal) => {
                group.counts.refused.add(1);
                Err(refusal)
            }
        })
    }
}

impl Drop for Admit {
    fn drop(&mut self) {
        self.group.admission.cancel_wait(&mut self.ticket);
    }
}

impl fmt::Debug for Admit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admit").field("group", &self.group.settings.name).finish_non_exhaustive()
    }
}

/// A place in a group: the right to spawn one task. [`Admit`] returns it.
///
/// Dropping it gives the place to the next waiter.
///
/// # Examples
///
/// ```
/// # let runtime = heist::runtime::Runtime::new().unwrap();
/// let group = runtime.group("uploads").max_tasks(100).build().unwrap();
/// runtime.block_on(async {
///     // First the place, then what costs memory.
///     let admission = group.admit().await.unwrap();
///     let body = vec![0; 1 << 20];
///     assert_eq!(admission.spawn(async move { body.len() }).await.unwrap(), 1 << 20);
/// });
/// ```
#[derive(Debug)]
#[must_use = "dropping it gives the place to the next waiter"]
pub struct Admission {
    permit: Permit,
}

impl Admission {
    pub(super) fn new(group: &Arc<Group>) -> Admission {
        Admission { permit: Permit::of_admitted(group) }
    }

    /// Spawns a task in the place. If the runtime accepts no tasks any more, the future is dropped,
    /// and the handle resolves as cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("one").build().unwrap();
    /// let admission = runtime.block_on(group.admit()).unwrap();
    /// assert_eq!(runtime.block_on(admission.spawn(async { 7 })).unwrap(), 7);
    /// ```
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let location = Location::caller();
        self.try_spawn_at(future, location, None).unwrap_or_else(|error| error.into_handle(location))
    }

    /// Spawns a task in the place, if the runtime accepts it.
    ///
    /// # Errors
    ///
    /// Returns the future if the runtime is being drained or has been shut down.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist::runtime::Runtime::new().unwrap();
    /// let group = runtime.group("one").build().unwrap();
    /// let admission = runtime.block_on(group.admit()).unwrap();
    /// drop(runtime);
    /// assert!(admission.try_spawn(async {}).is_err());
    /// ```
    #[track_caller]
    pub fn try_spawn<F>(self, future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.try_spawn_at(future, Location::caller(), None)
    }

    pub(super) fn try_spawn_at<F>(
        self,
        future: F,
        location: &'static Location<'static>,
        name: Option<&str>,
    ) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let Some(pool) = group_queue::pool_of(self.permit.group()) else {
            return Err(SpawnError::new(future, Refusal::Closed));
        };
        group_queue::spawn_admitted(&pool, self.permit, future, location, name, Origin::task::<F>())
            .map_err(|(future, refusal)| SpawnError::new(future, refusal))
    }
}

/// Waits for a place in a group, and spawns a task in it.
/// [`TaskGroup::spawn_when_admitted`](super::TaskGroup::spawn_when_admitted) returns it.
///
/// # Cancel safety
///
/// If it is dropped before it is ready, no task is spawned, and the place goes to the next waiter.
#[must_use = "futures do nothing unless polled or awaited"]
pub struct SpawnWhenAdmitted<F> {
    admit: Admit,
    /// `None` once it is spawned, or given back.
    future: Option<F>,
    location: &'static Location<'static>,
}

// The future is moved out before it is polled, never pinned.
impl<F> Unpin for SpawnWhenAdmitted<F> {}

impl<F> SpawnWhenAdmitted<F> {
    pub(super) fn new(group: &Arc<Group>, future: F, location: &'static Location<'static>) -> Self {
        SpawnWhenAdmitted { admit: Admit::new(group), future: Some(future), location }
    }
}

impl<F> Future for SpawnWhenAdmitted<F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    type Output = Result<JoinHandle<F::Output>, SpawnError<F>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let admitted = ready!(Pin::new(&mut self.admit).poll(cx));
        let future = self.future.take().expect("a `SpawnWhenAdmitted` was polled after it had been ready");
        Poll::Ready(match admitted {
            Ok(admission) => admission.try_spawn_at(future, self.location, None),
            Err(refusal) => Err(SpawnError::new(future, refusal)),
        })
    }
}

impl<F> fmt::Debug for SpawnWhenAdmitted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnWhenAdmitted").field("admit", &self.admit).finish_non_exhaustive()
    }
}
