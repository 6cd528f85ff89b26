//! The cooperative budget: heist's own, which its scheduler refills before each poll of a task.

pub use heist::task::coop::{
    Coop, RestoreOnPending, Unconstrained, consume_budget, cooperative, has_budget_remaining, poll_proceed,
    unconstrained,
};

use std::task::{Context, Poll};

/// Runs `poll` with a full budget.
#[allow(dead_code)]
pub(crate) fn budget<R>(poll: impl FnOnce() -> R) -> R {
    heist::facade::with_budget(poll)
}

/// Runs `poll` without a limit.
#[allow(dead_code)]
pub(crate) fn with_unconstrained<R>(poll: impl FnOnce() -> R) -> R {
    heist::facade::with_unlimited_budget(poll)
}

/// Waits until there is budget. Spends none.
#[allow(dead_code)]
pub(crate) fn poll_budget_available(cx: &mut Context<'_>) -> Poll<()> {
    if heist::facade::has_budget(cx) { Poll::Ready(()) } else { Poll::Pending }
}
