//! Wakers that call a function of the test on each clone, wake and drop.
#![allow(dead_code, reason = "every test file uses its own part of it")]

use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::kit::Count;

/// A call of a waker's vtable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Clone,
    Wake,
    Drop,
}

/// The data of a waker that calls a function of the test on each vtable call.
struct Scripted(Box<dyn Fn(Call) + Send + Sync>);

static SCRIPTED: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: the waker that is cloned holds a count of its own.
        unsafe { Arc::increment_strong_count(data.cast::<Scripted>()) };
        // SAFETY: the count has just been raised.
        let scripted = unsafe { Arc::from_raw(data.cast::<Scripted>()) };
        (scripted.0)(Call::Clone);
        RawWaker::new(Arc::into_raw(scripted).cast(), &SCRIPTED)
    },
    |data| {
        // SAFETY: the waker that is consumed gives up its count.
        let scripted = unsafe { Arc::from_raw(data.cast::<Scripted>()) };
        (scripted.0)(Call::Wake);
    },
    |data| {
        // SAFETY: the waker holds a count.
        let scripted = unsafe { &*data.cast::<Scripted>() };
        (scripted.0)(Call::Wake);
    },
    |data| {
        // SAFETY: the waker that is dropped gives up its count.
        let scripted = unsafe { Arc::from_raw(data.cast::<Scripted>()) };
        (scripted.0)(Call::Drop);
    },
);

/// Returns a waker that calls `script` on each of its vtable calls.
pub(crate) fn scripted(script: impl Fn(Call) + Send + Sync + 'static) -> Waker {
    let data = Arc::into_raw(Arc::new(Scripted(Box::new(script)))).cast();
    // SAFETY: the functions of the table keep the contract: the pointer is an `Arc`'s.
    unsafe { Waker::from_raw(RawWaker::new(data, &SCRIPTED)) }
}

/// Returns a waker that panics at its first call of the kind `call`, and a count of those calls.
pub(crate) fn fragile(call: Call) -> (Waker, Count) {
    let calls = Count::new();
    let counted = calls.clone();
    let waker = scripted(move |called| {
        if called == call && counted.add() == 1 {
            panic!("in a waker, at {call:?} (planned)");
        }
    });
    (waker, calls)
}
