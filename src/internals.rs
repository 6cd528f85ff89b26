//! Parts of the runtime by themselves, for our own benchmarks (feature `internals`). Not part of
//! the public interface.

use std::panic::Location;

use crate::pool::Seat;
use crate::queue::{Owner, Ring};
use crate::raw_task::{self, Runnable};

/// Tasks in the ring from which is stolen.
const WAITING: usize = 16;

/// Steals half of a ring of sixteen, puts the eight back one by one, and so on.
///
/// # Panics
///
/// If a task is lost on the way.
pub fn steal(times: u64) {
    let (victim, thief) = Ring::new_pair();
    let (robber, _) = Ring::new_pair();
    let push = |ring: &Owner, runnable: Runnable| assert!(ring.push(runnable).is_ok(), "there is room");
    for _ in 0..WAITING {
        push(&victim, raw_task::spawn::<_, Seat>(async {}, Location::caller().into()).0);
    }
    for _ in 0..times {
        push(&victim, thief.steal(&robber, Seat::MIN_STEALABLE).expect("there are sixteen"));
        while let Some(runnable) = robber.pop() {
            push(&victim, runnable);
        }
    }
    let left = std::iter::from_fn(|| victim.pop()).count();
    assert_eq!(left, WAITING);
}
