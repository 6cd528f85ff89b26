//! Parts of the runtime by themselves, for our own benchmarks (feature `internals`). Not part of the public interface.

use std::panic::Location;

use crate::cell::{self, Runnable};
use crate::pool::Seat;
use crate::queue::{Owner, Ring};

/// Tasks in the ring from which is stolen.
const WAITING: usize = 16;

/// Steals half of a ring of sixteen, puts the eight back one by one, and so on.
///
/// # Panics
///
/// If a task is lost on the way.
pub fn steal(times: u64) {
    let (victim, thief) = Ring::ends();
    let (robber, _) = Ring::ends();
    let push = |ring: &Owner, runnable: Runnable| assert!(ring.push(runnable).is_ok(), "there is room");
    for _ in 0..WAITING {
        push(&victim, cell::spawn::<_, Seat>(async {}, Location::caller().into()).0);
    }
    for _ in 0..times {
        push(&victim, thief.steal(&robber, Seat::SPARE).expect("there are sixteen"));
        while let Some(runnable) = robber.pop() {
            push(&victim, runnable);
        }
    }
    let left = std::iter::from_fn(|| victim.pop()).count();
    assert_eq!(left, WAITING);
}
