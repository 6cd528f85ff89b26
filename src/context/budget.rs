//! The budget: how many operations on resources one poll may complete.
//!
//! A poll begins with [`BUDGET`] units. Each `Ready` of a heist resource spends one. When none is
//! left, all resources return `Pending` and wake the task at once: it is queued behind the others,
//! and gets a new budget. A run of polls from the LIFO slot shares the units of the poll before it.
//!
//! Only polls by a heist runtime are limited. Outside of them units are spent, too, but only an
//! operation that finds none left checks whether the limit applies. So the budget costs the worker
//! one store per poll.

use std::cell::Cell;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use crate::util::scoped_cell::{ScopedSet, set_scoped};

/// The units of one poll.
pub(crate) const BUDGET: u32 = 128;

/// One denial. When no units are left, denials are counted in multiples of this.
const DENIED_ONE: u32 = 1 << 8;

/// After this many denials in one poll, no operation is denied any more. Code that ignores so many
/// denials does not return from the poll, and would wait for ever. An executor that runs to
/// completion inside of a poll is such code.
const MAX_DENIALS: u32 = 10_000;

/// The value of `LEFT` while the limit is off.
const UNLIMITED: u32 = 1 << 31;

std::thread_local! {
    /// From 1 to `BUDGET`: the units that are left. Otherwise the denials, or `UNLIMITED`.
    static LEFT: Cell<u32> = const { Cell::new(BUDGET) };
    /// The task, or job, that is being polled on this thread.
    static POLLED: Cell<Option<NonNull<()>>> = const { Cell::new(None) };
    /// The root of a `block_on` is being polled on this thread.
    static ROOT: Cell<bool> = const { Cell::new(false) };
}

/// Sets the task or job that is about to be polled, and returns the previous one. The caller sets
/// the previous one again after the poll.
#[inline]
pub(crate) fn set_current(task: Option<NonNull<()>>) -> Option<NonNull<()>> {
    POLLED.replace(task)
}

/// Returns the task or job that is being polled on this thread.
#[inline]
pub(crate) fn current() -> Option<NonNull<()>> {
    POLLED.get()
}

/// Guards that restore the previous budget on drop.
type BudgetGuard = (ScopedSet<u32>, ScopedSet<bool>);

fn set_budget_scoped(left: u32, root: bool) -> BudgetGuard {
    (set_scoped(&LEFT, left), set_scoped(&ROOT, root))
}

/// Gives the next poll a full budget.
#[inline]
pub(crate) fn refill() {
    LEFT.set(BUDGET);
}

/// Returns true if no units are left.
#[inline]
pub(crate) fn is_spent() -> bool {
    !(1..=BUDGET).contains(&LEFT.get())
}

/// Gives a poll of a root a budget of its own, until the returned guard is dropped.
pub(crate) fn root() -> BudgetGuard {
    set_budget_scoped(BUDGET, true)
}

/// Marks this thread as polling no limited future, until the returned guard is dropped. A poll that
/// begins meanwhile is limited.
pub(crate) fn without_budget() -> BudgetGuard {
    set_budget_scoped(BUDGET, false)
}

/// Returns true if the current poll, or the one that has just ended, has been denied an operation.
pub(crate) fn was_denied() -> bool {
    (LEFT.get() & !UNLIMITED) >= DENIED_ONE
}

/// Turns the limit off, until the returned guard is dropped.
pub(crate) fn unlimited() -> BudgetGuard {
    set_budget_scoped(UNLIMITED, ROOT.get())
}

/// Returns true if no operation would be denied now.
#[inline]
pub(crate) fn has_any() -> bool {
    !is_spent() || !is_limited()
}

/// Returns true if the limit applies, when no units are left.
#[cold]
fn is_limited() -> bool {
    let left = LEFT.get();
    (POLLED.get().is_some() || ROOT.get()) && left & UNLIMITED == 0 && left / DENIED_ONE < MAX_DENIALS
}

/// Returns true if the poll may use a resource. If it returns false, the waker has been called, and
/// the operation has to return `Pending`.
#[inline]
pub(crate) fn may_proceed(cx: &Context<'_>) -> bool {
    !is_spent() || !deny(cx)
}

/// Denies the operation if the limit applies: counts the denial and wakes the task. Returns true if
/// it does.
#[cold]
fn deny(cx: &Context<'_>) -> bool {
    let limited = is_limited();
    if limited {
        LEFT.set(LEFT.get() + DENIED_ONE);
        cx.waker().wake_by_ref();
    } else if LEFT.get() == 0 {
        // The limit does not apply here. With new units the slow path stays rare.
        refill();
    }
    limited
}

/// Spends a unit for a `Ready` of a resource. Returns false if there was none.
#[inline]
pub(crate) fn spend() -> bool {
    let spent = !is_spent();
    if spent {
        LEFT.set(LEFT.get() - 1);
    }
    spent
}

/// Returns a unit that [`spend`] has taken. Has no effect if an operation has been denied since.
pub(crate) fn give_back() {
    let left = LEFT.get();
    if left < BUDGET {
        LEFT.set(left + 1);
    }
}

/// Polls a resource if there is a unit for it, and spends the unit if the result is `Ready`.
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
