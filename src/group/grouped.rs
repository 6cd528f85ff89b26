//! The future of a task of a group, with the permit that its end releases.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::group::Group;
use crate::primitive::Arc;
use crate::raw_task::Outcome;

/// One of the live tasks that a group allows. Its drop lets the next waiter in.
#[derive(Debug)]
pub(crate) struct Permit {
    group: Arc<Group>,
    /// A task has been made of the permit.
    spawned: bool,
    end: Outcome,
}

impl Permit {
    /// Returns the permit that [`AdmissionControl`](super::admission::AdmissionControl) has
    /// granted.
    pub(crate) fn of_admitted(group: &Arc<Group>) -> Permit {
        Permit { group: Arc::clone(group), spawned: false, end: Outcome::Cancelled }
    }

    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Counts the task that is made of the permit.
    pub(crate) fn count_spawn(&mut self) {
        self.spawned = true;
        self.group.counts.spawned.add(1);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.spawned {
            self.group.counts.outcomes.record(self.end);
        }
        self.group.admission.release();
    }
}

/// The future of a task of a group. The permit is released when the future has been dropped, before
/// a joiner can observe the end.
#[derive(Debug)]
pub(crate) struct Grouped<F> {
    // The order matters: the permit is dropped last.
    future: F,
    permit: Permit,
}

impl<F> Grouped<F> {
    pub(crate) fn new(future: F, mut permit: Permit) -> Grouped<F> {
        permit.count_spawn();
        Grouped { future, permit }
    }
}

impl<F: Future> Future for Grouped<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the future is pinned with `self`: it is not moved, and `Grouped` has no
        // destructor of its own.
        let this = unsafe { self.get_unchecked_mut() };
        // A poll that unwinds leaves this in place.
        this.permit.end = Outcome::Panicked;
        // SAFETY: as above.
        let polled = unsafe { Pin::new_unchecked(&mut this.future) }.poll(cx);
        this.permit.end = if polled.is_ready() { Outcome::Completed } else { Outcome::Cancelled };
        polled
    }
}
