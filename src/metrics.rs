//! Counters and histograms of the runtime.

pub(crate) mod buckets;
pub(crate) mod counter;
pub(crate) mod histogram;
pub(crate) mod run_delays;
