//! Joins a task, and lifts its group to the priority of the joiner meanwhile.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::context;
use crate::group::Group;
use crate::group::priority::Priority;
use crate::primitive::Arc;
use crate::raw_task::{JoinError, JoinHandle};
use crate::scheduler::group_queue;

/// Joins a task, and lifts its group meanwhile. [`JoinHandle::inherit_priority`] returns it.
///
/// # Cancel safety
///
/// Awaiting `&mut` of it is cancel safe. The group stays lifted until it is ready or dropped.
#[must_use = "futures do nothing unless polled or awaited"]
pub struct InheritPriority<T> {
    handle: JoinHandle<T>,
    lift: Option<Lift>,
}

/// A joiner that is counted in a group.
struct Lift {
    group: Arc<Group>,
    priority: Priority,
}

impl Lift {
    /// Lifts the group of the task to the priority of the code that runs here, if that is higher.
    fn begin<T>(handle: &JoinHandle<T>) -> Option<Lift> {
        let group = handle.group()?.into_any().downcast::<Group>().ok()?;
        let pool = group_queue::pool_of(&group)?;
        // The joiner's group may itself be lifted.
        let own = context::group().filter(|own| group_queue::pool_of(own).is_some_and(|of| Arc::ptr_eq(&of, &pool)));
        let priority = own.map_or(Priority::Normal, |own| pool.groups.ready.priority(own.key));
        if priority <= group.settings.priority {
            return None;
        }
        if let Some(priority) = pool.groups.ready.add_joiner(group.key, priority) {
            pool.announce_group(&group, priority);
        }
        Some(Lift { group, priority })
    }
}

impl Drop for Lift {
    fn drop(&mut self) {
        if let Some(pool) = group_queue::pool_of(&self.group) {
            pool.groups.ready.remove_joiner(self.group.key, self.priority);
        }
    }
}

impl<T> JoinHandle<T> {
    /// Joins the task. The output and the errors are those of the handle. While that waits, the
    /// task's group is served at the priority of the code that waits, if that is higher. So a task
    /// of high priority does not wait for work of middle priority.
    ///
    /// The limits and the order of the group stay as they are. Tasks that are queued before the
    /// awaited one are polled first, at the same priority. For a task without a group it is the
    /// same as the handle.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist::runtime::Priority;
    ///
    /// # let runtime = heist::runtime::Runtime::new().unwrap();
    /// let batch = runtime.group("batch").priority(Priority::Background).build().unwrap();
    /// let urgent = runtime.group("urgent").priority(Priority::Latency).build().unwrap();
    /// let answer = urgent.spawn(async move {
    ///     let part = batch.spawn(async { 6 });
    ///     7 * part.inherit_priority().await.unwrap()
    /// });
    /// assert_eq!(runtime.block_on(answer).unwrap(), 42);
    /// ```
    pub fn inherit_priority(self) -> InheritPriority<T> {
        InheritPriority { handle: self, lift: None }
    }
}

impl<T> Future for InheritPriority<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.handle).poll(cx);
        if polled.is_ready() {
            self.lift = None;
        } else if self.lift.is_none() {
            self.lift = Lift::begin(&self.handle);
        }
        polled
    }
}

impl<T> fmt::Debug for InheritPriority<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InheritPriority")
            .field("handle", &self.handle)
            .field("lifts", &self.lift.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::future::pending;
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use crate::group::priority::Priority;
    use crate::runtime::Runtime;

    #[test]
    fn lift_of_a_group_that_is_not_ready_ends_with_the_join() {
        let runtime = Runtime::new().unwrap();
        let group = runtime.group("batch").priority(Priority::Background).build().unwrap();
        let ready_set = &runtime.handle().pool().groups.ready;
        let task = group.spawn(pending::<()>());
        // The polls are added at the end of the slice.
        while group.metrics().polls == 0 {
            std::thread::yield_now();
        }
        let mut join = task.inherit_priority();
        for _ in 0..3 {
            let polled = Future::poll(Pin::new(&mut join), &mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            assert_eq!(ready_set.priority(group.group().key), Priority::Normal);
        }
        drop(join);
        assert_eq!(ready_set.priority(group.group().key), Priority::Background);
    }
}
