//! A work-stealing async runtime for latency-sensitive servers.
#![allow(dead_code, unused_imports)] // while the house is being built

mod cell;
mod context;
mod list;
mod queue;
mod reactor;
mod sync;
mod timer;
mod wakes;

#[cfg(test)]
#[path = "../loom-tests/mod.rs"]
mod loom_tests;
