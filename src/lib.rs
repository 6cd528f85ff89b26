//! A work-stealing async runtime for latency-sensitive servers.
#![allow(dead_code, unused_imports)] // while the house is being built

mod blocking;
mod cell;
mod clock;
mod context;
#[cfg(feature = "hyper")]
pub mod hyper;
mod idle;
pub mod io;
mod list;
mod local;
pub mod net;
mod park;
mod phase;
mod pool;
mod queue;
mod reactor;
mod rng;
pub mod runtime;
mod schedule;
mod sentinel;
mod shutdown;
mod stats;
mod sync;
pub mod task;
mod threads;
pub mod time;
mod timer;
mod wakes;
mod wheel;
mod worker;

pub use task::spawn;

#[cfg(test)]
#[path = "../loom-tests/mod.rs"]
mod loom_tests;
