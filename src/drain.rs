//! Draining: the runtime refuses new work, and reports how all other work has ended.
#![doc = include_str!("../docs/drain.md")]

pub(crate) mod counts;
pub(crate) mod deadline_thread;
pub(crate) mod gate;
pub(crate) mod outcome_counts;
pub(crate) mod reaper;
pub(crate) mod state;
pub(crate) mod worker;
