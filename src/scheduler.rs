//! Where a ready task goes, and the loop of the worker that polls it.

pub(crate) mod checkpoint;
pub(crate) mod group_queue;
pub(crate) mod group_slice;
mod recording;
pub(crate) mod schedule;
#[cfg(all(test, heist_count, not(heist_loom)))]
pub(crate) mod shared_lines;
mod snapshot;
pub(crate) mod worker;
pub(crate) mod worker_park;
pub(crate) mod worker_stats;
#[cfg(all(test, not(heist_loom)))]
pub(crate) mod worker_tests;
