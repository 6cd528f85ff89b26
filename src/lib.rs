//! A work-stealing async runtime for latency-sensitive servers.

mod sync;

#[cfg(test)]
#[path = "../loom-tests/mod.rs"]
mod loom_tests;
