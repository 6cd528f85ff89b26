//! heist against its rivals, in one run: the workloads are written once, every runtime runs them
//! through the same [`Contender`](contender::Contender) trait, and the rounds of all runtimes
//! alternate.
//!
//! `cargo run --release -p heist-benches --bin compare -- --help` tells how to use it, `method.md`
//! how it measures.

// This package is a program that nobody depends on, and what it measures with are the primitives of
// std themselves.
#![allow(missing_docs, missing_debug_implementations, unreachable_pub)]
#![allow(clippy::missing_panics_doc)]

pub mod calls;
pub mod contender;
pub mod contenders;
pub mod driver;
pub mod goals;
pub mod machine;
pub mod meter;
pub mod plan;
pub mod report;
#[cfg(feature = "heist-adapter")]
pub mod resizing;
pub mod rows;
pub mod stalls;
pub mod stats;
pub mod watchdog;
