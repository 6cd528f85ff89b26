//! A future whose spawns belong to a group.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::context;
use crate::group::Group;
use crate::primitive::Arc;

/// A future that runs inside of a group. [`TaskGroup::scope`](super::TaskGroup::scope) returns it.
///
/// # Cancel safety
///
/// It is as cancel safe as the future in it.
#[must_use = "futures do nothing unless polled or awaited"]
pub struct GroupScope<F> {
    group: Arc<Group>,
    future: F,
}

impl<F> GroupScope<F> {
    pub(super) fn new(group: &Arc<Group>, future: F) -> GroupScope<F> {
        GroupScope { group: Arc::clone(group), future }
    }
}

impl<F: Future> Future for GroupScope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the future is pinned with `self`: it is not moved, and `GroupScope` has no
        // destructor of its own.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        let future = unsafe { Pin::new_unchecked(&mut this.future) };
        context::run_in_scope(&this.group, || future.poll(cx))
    }
}

impl<F> fmt::Debug for GroupScope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupScope").field("group", &self.group.settings.name).finish_non_exhaustive()
    }
}
