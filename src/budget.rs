//! How much a task may do in one poll.
//!
//! A poll begins with [`BUDGET`] units. Each time a resource of ours answers `Ready`, one is spent; when none is left they all answer
//! `Pending`, and wake the task at once: it goes behind the others, and begins anew. A run of polls from the LIFO slot shares the units of
//! the poll before it. Outside of polls that this runtime makes nobody is limited.

use std::cell::Cell;
use std::task::{Context, Poll};

/// So many units has a poll.
pub(crate) const BUDGET: u32 = 128;

/// This thread makes no poll, or an unconstrained one. The units stay below it.
const OUTSIDE: u32 = 1 << 31;

/// One refusal. They are counted from here up.
const REFUSAL: u32 = 1 << 8;

/// After so many refusals in one poll nobody is refused any more: whoever asks so often does not give the task its turn, as an executor does
/// not that a task has started inside of its poll, and would wait for ever.
const MOST_REFUSALS: u32 = 10_000;

std::thread_local! {
    /// The units that are left, the refusals, and the mark [`OUTSIDE`]. From 1 to `BUDGET`, as a number, while any are left inside of a poll.
    static LEFT: Cell<u32> = const { Cell::new(OUTSIDE) };
}

/// Restores what was, also when the frame unwinds.
struct Restore(u32);

impl Drop for Restore {
    fn drop(&mut self) {
        LEFT.set(self.0);
    }
}

/// Fills the units up, for the poll that [`begin`]s next.
#[inline]
pub(crate) fn refill() {
    LEFT.set(OUTSIDE | BUDGET);
}

/// A poll begins, with what is left. [`end`] has to follow.
#[inline]
pub(crate) fn begin() {
    LEFT.set(LEFT.get() & !OUTSIDE);
}

/// The poll has ended.
#[inline]
pub(crate) fn end() {
    LEFT.set(LEFT.get() | OUTSIDE);
}

/// Whether the poll that has just ended has spent all that it had.
pub(crate) fn was_spent() -> bool {
    LEFT.get() & (REFUSAL - 1) == 0
}

/// Limits this thread while the answer lives, as at the beginning of a poll.
pub(crate) fn limited() -> impl Drop {
    Restore(LEFT.replace(BUDGET))
}

/// Limits this thread in nothing while the answer lives.
pub(crate) fn unlimited() -> impl Drop {
    Restore(LEFT.replace(OUTSIDE))
}

/// Whether nothing would be refused now.
#[inline]
pub(crate) fn has_any() -> bool {
    let left = LEFT.get();
    left & OUTSIDE != 0 || left & (REFUSAL - 1) != 0
}

/// Whether the poll may go on to ask a resource. If not it has to answer `Pending`, and its waker has been called.
#[inline]
pub(crate) fn may_proceed(cx: &Context<'_>) -> bool {
    (1..=BUDGET).contains(&LEFT.get()) || ask(cx)
}

#[cold]
fn ask(cx: &Context<'_>) -> bool {
    let left = LEFT.get();
    if left & OUTSIDE != 0 || left / REFUSAL >= MOST_REFUSALS {
        return true;
    }
    LEFT.set(left + REFUSAL);
    cx.waker().wake_by_ref();
    false
}

/// A resource has answered `Ready`. False if nobody is limited here.
#[inline]
pub(crate) fn spend() -> bool {
    let left = LEFT.get();
    let limited = (1..=BUDGET).contains(&left);
    if limited {
        LEFT.set(left - 1);
    }
    limited
}

/// Gives a unit back that [`spend`] has taken. Where units have been refused meanwhile it would change nothing any more.
pub(crate) fn give_back() {
    let left = LEFT.get();
    if left < BUDGET {
        LEFT.set(left + 1);
    }
}

/// Polls a resource, if there is a unit for it.
#[inline]
pub(crate) fn metered<T>(cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    if !may_proceed(cx) {
        return Poll::Pending;
    }
    let polled = poll(cx);
    if polled.is_ready() {
        spend();
    }
    polled
}
