//! The loom models. Each checks one invariant, and is named after it.
//!
//! To run them:
//!
//! ```text
//! RUSTFLAGS="--cfg heist_loom" LOOM_MAX_PREEMPTIONS=2 \
//!     cargo test --lib --profile loom --target-dir target/loom loom_tests
//! ```
//!
//! A plain `cargo test` compiles the models too, and runs each once on real threads.

// Its tests have to fail, and they fail only under loom.
#[cfg(heist_loom)]
mod canary;

mod block_in_place;
mod block_on_queue;
mod blocking;
mod closing;
mod current_task;
mod drain;
mod global;
mod group_jobs;
mod groups;
mod idle;
mod join_set;
#[cfg(feature = "facade")]
mod local_set;
mod park;
mod readiness;
mod recorder;
mod resize;
mod ring;
mod shards;
#[cfg(unix)]
mod signals;
mod spares;
mod stalls;
pub(crate) mod support;
mod task;
mod timers;
