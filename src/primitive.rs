//! The only path to atomics, locks, threads, cells and thread-locals.
//!
//! Four engines implement it. The native engine is what ships. The engine of simulations is the
//! native one with a baton (feature `sim`). loom's engine runs the models
//! (`cfg(all(test, heist_loom))`). The counting engine counts cache lines that move between writers
//! (`cfg(all(test, heist_count))`). All other code names `crate::primitive`, so that a model checks
//! the code that a server runs. `tests/layers.rs` enforces it.
//!
//! `parking_lot` locks are re-exported here as well. They do not poison, take one byte, and are
//! built from source, so that a thread sanitizer sees them.

use std::time::Instant;

#[cfg(not(all(test, heist_loom)))]
mod native;
#[cfg(not(any(feature = "sim", all(test, any(heist_loom, heist_count)))))]
pub(crate) use native::*;

#[cfg(all(feature = "sim", not(all(test, any(heist_loom, heist_count)))))]
pub(crate) mod baton;
#[cfg(all(feature = "sim", not(all(test, any(heist_loom, heist_count)))))]
pub(crate) mod baton_network;
#[cfg(all(feature = "sim", not(all(test, any(heist_loom, heist_count)))))]
pub(crate) mod costs;
#[cfg(all(feature = "sim", not(all(test, any(heist_loom, heist_count)))))]
pub(crate) mod decisions;
#[cfg(all(feature = "sim", not(all(test, any(heist_loom, heist_count)))))]
pub(crate) mod faults;
#[cfg(all(feature = "sim", not(all(test, any(heist_loom, heist_count)))))]
mod membership;
#[cfg(all(feature = "sim", not(all(test, any(heist_loom, heist_count)))))]
pub(crate) mod prefixes;
#[cfg(all(feature = "sim", not(all(test, any(heist_loom, heist_count)))))]
pub(crate) mod schedule;
#[cfg(all(feature = "sim", not(all(test, any(heist_loom, heist_count)))))]
mod sim;
#[cfg(all(feature = "sim", not(all(test, any(heist_loom, heist_count)))))]
mod turn_log;
#[cfg(all(feature = "sim", not(all(test, any(heist_loom, heist_count)))))]
pub(crate) use sim::*;

pub(crate) mod os_sockets;
#[cfg(all(feature = "sim", not(all(test, any(heist_loom, heist_count)))))]
pub(crate) mod sim_sockets;

#[cfg(not(all(feature = "sim", not(all(test, any(heist_loom, heist_count))))))]
mod unsimulated;
#[cfg(not(all(feature = "sim", not(all(test, any(heist_loom, heist_count))))))]
pub(crate) use unsimulated::*;

#[allow(unreachable_pub, reason = "the feature `sim` exports its type")]
pub(crate) mod wake_policy;

#[cfg(all(test, heist_count, not(heist_loom)))]
pub(crate) mod counting;
#[cfg(all(test, heist_count, not(heist_loom)))]
pub(crate) use counting::*;

#[cfg(all(test, heist_loom))]
mod loom;
#[cfg(all(test, heist_loom))]
pub(crate) use self::loom::*;

#[cfg(all(target_os = "linux", not(all(test, any(heist_loom, heist_count)))))]
#[path = "primitive/futex.rs"]
mod native_futex;
#[cfg(all(target_os = "linux", not(any(feature = "sim", all(test, any(heist_loom, heist_count))))))]
pub(crate) use native_futex::Futex;

#[cfg(all(target_os = "linux", target_env = "gnu", not(all(test, heist_loom))))]
mod join;

#[cfg(any(not(target_os = "linux"), all(test, any(heist_loom, heist_count))))]
#[path = "primitive/futex_condvar.rs"]
mod native_futex;
#[cfg(any(all(not(target_os = "linux"), not(feature = "sim")), all(test, any(heist_loom, heist_count))))]
pub(crate) use native_futex::Futex;

#[cfg(all(target_os = "linux", not(any(feature = "sim", all(test, any(heist_loom, heist_count))))))]
mod interval_timer;
#[cfg(all(target_os = "linux", not(any(feature = "sim", all(test, any(heist_loom, heist_count))))))]
pub(crate) use interval_timer::IntervalTimer;

#[cfg(any(not(target_os = "linux"), feature = "sim", all(test, any(heist_loom, heist_count))))]
mod interval_timer_condvar;
pub(crate) use crossbeam_utils::CachePadded;
#[cfg(any(not(target_os = "linux"), feature = "sim", all(test, any(heist_loom, heist_count))))]
pub(crate) use interval_timer_condvar::IntervalTimer;

/// Waits on `changed` until `happened` returns true. Returns false if the deadline comes first.
pub(crate) fn wait_for<T>(
    changed: &Condvar,
    guard: &mut MutexGuard<'_, T>,
    deadline: Option<Instant>,
    mut happened: impl FnMut(&mut T) -> bool,
) -> bool {
    while !happened(guard) {
        match deadline {
            None => changed.wait(guard),
            Some(deadline) if real_now() < deadline => {
                changed.wait_until(guard, deadline);
            }
            Some(_) => return false,
        }
    }
    true
}

/// Joins the threads that have ended, and removes them from the list. A thread that is neither
/// joined nor detached keeps its stack.
pub(crate) fn release_gone(threads: &mut Vec<thread::JoinHandle<()>>) {
    *threads = std::mem::take(threads).into_iter().filter_map(thread::join_if_gone).collect();
}

/// Process-wide words and locks that no model checks: std's under every engine, so that they can be
/// statics.
pub(crate) mod statics {
    #[cfg(test)]
    pub(crate) use std::sync::atomic::AtomicUsize;
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

    pub(crate) use parking_lot::Mutex;
}

/// Reference counts of cold, shared owners (the pool, a wheel, a source), and cells that are filled
/// once: std's under every engine.
///
/// std is responsible for these counts. The models check what happens between the owners.
mod counted {
    pub(crate) use std::sync::{Arc, OnceLock, Weak};
}
#[allow(unused_imports, reason = "not every engine needs both")]
pub(crate) use counted::{Arc, OnceLock, Weak};
