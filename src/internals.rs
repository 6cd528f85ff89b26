//! Parts of the runtime by themselves, for this project's benchmarks, property tests and fuzz
//! targets (feature `internals`). They are not part of the public API.

pub mod queues;
pub mod readiness;
pub mod timers;

use std::panic::Location;

use crate::pool::Seat;
use crate::queue::{Owner, Ring};
use crate::raw_task::{self, Runnable};

/// The number of tasks in the victim ring.
const TASKS: usize = 16;

/// Steals half of the tasks of a ring of sixteen, and pushes the eight back one by one, `times`
/// times.
///
/// # Panics
///
/// Panics if a task is lost.
pub fn steal(times: u64) {
    let (victim, thief) = Ring::new_pair();
    let (robber, _) = Ring::new_pair();
    let push = |ring: &Owner, runnable: Runnable| assert!(ring.push(runnable).is_ok(), "the ring has room");
    for _ in 0..TASKS {
        push(&victim, raw_task::spawn::<_, Seat>(async {}, Location::caller().into()).0);
    }
    for _ in 0..times {
        push(&victim, thief.steal(&robber, Seat::MIN_STEALABLE).expect("the victim has sixteen tasks"));
        while let Some(runnable) = robber.pop() {
            push(&victim, runnable);
        }
    }
    let left = std::iter::from_fn(|| victim.pop()).count();
    assert_eq!(left, TASKS);
}
