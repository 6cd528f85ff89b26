//! Items that outlive their round: wakers, handles and futures of dropped runtimes, which later
//! rounds use.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use heist::runtime::Handle;
use heist::task::AbortHandle;

use crate::dice::Dice;
use crate::round_state::{RoundState, lock};
use crate::{acting_waker, action};

static LEFTOVERS: Mutex<Vec<Item>> = Mutex::new(Vec::new());

/// The most items that are kept.
const MOST: usize = 256;

pub(crate) type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) enum Item {
    Waker(Waker),
    Abort(AbortHandle),
    Handle(Handle),
    /// A future that has been polled, and waits for something of its runtime.
    Future(BoxFuture),
}

/// Keeps an item. If there is no room, a random item is used and dropped.
pub(crate) fn put_item(round: &Arc<RoundState>, item: Item, dice: &mut Dice) {
    let mut leftovers = lock(&LEFTOVERS);
    leftovers.push(item);
    let full = leftovers.len() > MOST;
    let out = full.then(|| leftovers.swap_remove(dice.index(MOST)));
    drop(leftovers);
    if let Some(item) = out {
        use_item(round, item, dice);
    }
}

/// Uses a random item.
pub(crate) fn use_random(round: &Arc<RoundState>, dice: &mut Dice) {
    let mut leftovers = lock(&LEFTOVERS);
    let item = (!leftovers.is_empty()).then(|| {
        let at = dice.index(leftovers.len());
        leftovers.swap_remove(at)
    });
    drop(leftovers);
    if let Some(item) = item {
        use_item(round, item, dice);
    }
}

/// Drops all items.
pub(crate) fn drop_all() {
    loop {
        let items = std::mem::take(&mut *lock(&LEFTOVERS));
        if items.is_empty() {
            return;
        }
        for item in items {
            drop(catch_unwind(AssertUnwindSafe(|| drop(item))));
        }
    }
}

fn use_item(round: &Arc<RoundState>, item: Item, dice: &mut Dice) {
    match item {
        Item::Waker(waker) => use_waker(round, waker, dice),
        Item::Abort(handle) => {
            let other = handle.clone();
            handle.abort();
            drop(handle);
            let _ = (other.is_finished(), other.id());
        }
        Item::Handle(handle) => action::use_handle(round, &handle, dice),
        Item::Future(mut future) => {
            if dice.one_in(2) {
                let waker = if dice.one_in(4) { Waker::noop().clone() } else { acting_waker::acting_waker(round) };
                if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() && dice.one_in(2) {
                    put_item(round, Item::Future(future), dice);
                }
            }
        }
    }
}

/// Wakes, clones, keeps or drops a waker.
pub(crate) fn use_waker(round: &Arc<RoundState>, waker: Waker, dice: &mut Dice) {
    match dice.below(6) {
        0 => waker.wake(),
        1 => waker.wake_by_ref(),
        2 => {
            waker.wake_by_ref();
            put_item(round, Item::Waker(waker), dice);
        }
        3 => {
            let other = waker.clone();
            let _ = other.will_wake(&waker);
            waker.wake();
            put_item(round, Item::Waker(other), dice);
        }
        4 => {
            waker.wake_by_ref();
            waker.wake();
        }
        _ => drop(waker),
    }
}
