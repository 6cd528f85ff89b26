//! What outlives its round: wakers, handles and futures of runtimes that have gone, for the rounds
//! that follow.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use heist::runtime::Handle;
use heist::task::AbortHandle;

use crate::dice::Dice;
use crate::scene::{Scene, lock};
use crate::{bell, deed};

static ATTIC: Mutex<Vec<Item>> = Mutex::new(Vec::new());

/// What is kept, at most.
const MOST: usize = 256;

pub(crate) type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) enum Item {
    Waker(Waker),
    Abort(AbortHandle),
    Handle(Handle),
    /// It has been polled, and waits for something of its runtime.
    Future(Boxed),
}

/// Keeps an item. What has no room is used up.
pub(crate) fn put(scene: &Arc<Scene>, item: Item, dice: &mut Dice) {
    let mut attic = lock(&ATTIC);
    attic.push(item);
    let full = attic.len() > MOST;
    let out = full.then(|| attic.swap_remove(dice.index(MOST)));
    drop(attic);
    if let Some(item) = out {
        use_up(scene, item, dice);
    }
}

/// Does something with any item.
pub(crate) fn rummage(scene: &Arc<Scene>, dice: &mut Dice) {
    let mut attic = lock(&ATTIC);
    let item = (!attic.is_empty()).then(|| {
        let at = dice.index(attic.len());
        attic.swap_remove(at)
    });
    drop(attic);
    if let Some(item) = item {
        use_up(scene, item, dice);
    }
}

/// Nothing is kept any more.
pub(crate) fn empty() {
    loop {
        let items = std::mem::take(&mut *lock(&ATTIC));
        if items.is_empty() {
            return;
        }
        for item in items {
            drop(catch_unwind(AssertUnwindSafe(|| drop(item))));
        }
    }
}

fn use_up(scene: &Arc<Scene>, item: Item, dice: &mut Dice) {
    match item {
        Item::Waker(waker) => wake(scene, waker, dice),
        Item::Abort(handle) => {
            let other = handle.clone();
            handle.abort();
            drop(handle);
            let _ = (other.is_finished(), other.id());
        }
        Item::Handle(handle) => deed::use_handle(scene, &handle, dice),
        Item::Future(mut future) => {
            if dice.one_in(2) {
                let waker = if dice.one_in(4) { Waker::noop().clone() } else { bell::waker(scene) };
                if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() && dice.one_in(2) {
                    put(scene, Item::Future(future), dice);
                }
            }
        }
    }
}

/// Wakes, clones, keeps or drops a waker.
pub(crate) fn wake(scene: &Arc<Scene>, waker: Waker, dice: &mut Dice) {
    match dice.below(6) {
        0 => waker.wake(),
        1 => waker.wake_by_ref(),
        2 => {
            waker.wake_by_ref();
            put(scene, Item::Waker(waker), dice);
        }
        3 => {
            let other = waker.clone();
            let _ = other.will_wake(&waker);
            waker.wake();
            put(scene, Item::Waker(other), dice);
        }
        4 => {
            waker.wake_by_ref();
            waker.wake();
        }
        _ => drop(waker),
    }
}
