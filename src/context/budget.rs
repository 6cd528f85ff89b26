//! How much a task may do in one poll.
//!
//! A poll begins with [`BUDGET`] units. Each time a resource of ours answers `Ready`, one is spent;
//! when none is left they all answer `Pending`, and wake the task at once: it goes behind the
//! others, and begins anew. A run of polls from the LIFO slot shares the units of the poll before
//! it. Outside of polls that this runtime makes nobody is limited: the units are counted there,
//! too, but only who finds none asks whether it matters. So a poll costs the worker one store.

use std::cell::Cell;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use crate::util::scoped_cell::{ScopedSet, set_scoped};

/// So many units has a poll.
pub(crate) const BUDGET: u32 = 128;

/// One refusal. They are counted from here up, when no units are left.
const DENIED_ONE: u32 = 1 << 8;

/// After so many refusals in one poll nobody is refused any more: whoever asks so often does not
/// give the task its turn, as an executor does not that a task has started inside of its poll, and
/// would wait for ever.
const MAX_DENIALS: u32 = 10_000;

/// Nothing is limited, whatever is polled.
const UNLIMITED: u32 = 1 << 31;

std::thread_local! {
    /// From 1 to `BUDGET`: the units that are left. Else the refusals, or `UNLIMITED`.
    static LEFT: Cell<u32> = const { Cell::new(BUDGET) };
    /// The task, or job, that is being polled here.
    static POLLED: Cell<Option<NonNull<()>>> = const { Cell::new(None) };
    /// The future of a `block_on` is being polled here.
    static ROOT: Cell<bool> = const { Cell::new(false) };
}

/// Notes what is about to be polled, and answers what was. The caller notes that again when the
/// poll is over.
#[inline]
pub(crate) fn set_current(task: Option<NonNull<()>>) -> Option<NonNull<()>> {
    POLLED.replace(task)
}

/// What is being polled here.
#[inline]
pub(crate) fn current() -> Option<NonNull<()>> {
    POLLED.get()
}

/// Restore what was when they go.
type Units = (ScopedSet<u32>, ScopedSet<bool>);

fn set_budget_scoped(left: u32, root: bool) -> Units {
    (set_scoped(&LEFT, left), set_scoped(&ROOT, root))
}

/// Fills the units up, for the next poll.
#[inline]
pub(crate) fn refill() {
    LEFT.set(BUDGET);
}

/// Whether all units are spent.
#[inline]
pub(crate) fn is_spent() -> bool {
    !(1..=BUDGET).contains(&LEFT.get())
}

/// The future of a `block_on` is polled while the answer lives, with units of its own.
pub(crate) fn root() -> Units {
    set_budget_scoped(BUDGET, true)
}

/// No future is polled that would be limited, as long as the answer lives, unless it begins
/// meanwhile.
pub(crate) fn without_budget() -> Units {
    set_budget_scoped(BUDGET, false)
}

/// Whether the poll that has just ended, or that is under way, has been refused something.
pub(crate) fn was_refused() -> bool {
    (LEFT.get() & !UNLIMITED) >= DENIED_ONE
}

/// Nothing is limited while the answer lives.
pub(crate) fn unlimited() -> Units {
    set_budget_scoped(UNLIMITED, ROOT.get())
}

/// Whether nothing would be refused now.
#[inline]
pub(crate) fn has_any() -> bool {
    !is_spent() || !is_limited()
}

/// Whether it matters that no units are left.
#[cold]
fn is_limited() -> bool {
    let left = LEFT.get();
    (POLLED.get().is_some() || ROOT.get()) && left & UNLIMITED == 0 && left / DENIED_ONE < MAX_DENIALS
}

/// Whether the poll may go on to ask a resource. If not it has to answer `Pending`, and its waker
/// has been called.
#[inline]
pub(crate) fn may_proceed(cx: &Context<'_>) -> bool {
    !is_spent() || !refuse(cx)
}

#[cold]
fn refuse(cx: &Context<'_>) -> bool {
    let limited = is_limited();
    if limited {
        LEFT.set(LEFT.get() + DENIED_ONE);
        cx.waker().wake_by_ref();
    } else if LEFT.get() == 0 {
        // Outside: the next to find none is some way off.
        refill();
    }
    limited
}

/// A resource has answered `Ready`. False if there was no unit to spend.
#[inline]
pub(crate) fn spend() -> bool {
    let spent = !is_spent();
    if spent {
        LEFT.set(LEFT.get() - 1);
    }
    spent
}

/// Gives a unit back that [`spend`] has taken. Where somebody was refused meanwhile it would change
/// nothing any more.
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
