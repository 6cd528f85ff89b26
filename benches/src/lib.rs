//! Compares heist with other runtimes in one run.
//!
//! The workloads are written once. Every runtime runs them through the same
//! [`Contender`](contender::Contender) trait, and the rounds of all runtimes alternate.
//!
//! `cargo run --release -p heist-benches --bin compare -- --help` lists the options. `method.md`
//! describes the measurement.

// This package is a program without dependents, and it measures with the primitives of std.
#![allow(missing_docs, missing_debug_implementations, unreachable_pub)]
#![allow(clippy::missing_panics_doc)]

pub mod calls;
pub mod child;
pub mod contended;
pub mod contender;
pub mod contenders;
pub mod driver;
pub mod goals;
#[cfg(feature = "heist-adapter")]
pub mod groups;
pub mod light;
pub mod machine;
pub mod memory;
pub mod meter;
pub mod neighbours;
pub mod plan;
#[cfg(feature = "heist-adapter")]
pub mod recorder;
pub mod report;
#[cfg(feature = "heist-adapter")]
pub mod resizing;
pub mod rows;
pub mod sample;
#[cfg(feature = "sim")]
pub mod scaling;
pub mod stalls;
pub mod stats;
pub mod syscall_counters;
pub mod turn;
#[cfg(feature = "heist-adapter")]
pub mod watchdog;
pub mod wrk;
