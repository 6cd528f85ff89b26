//! Calls to crates that are written for Tokio, which the tests run on heist.

pub mod twenty_eight;
