//! The number of seeds of a simulated test.

use std::env;

/// Returns `HEIST_SIM_SEEDS`, or `default` if that is not set.
pub(crate) fn seeds(default: u64) -> u64 {
    env::var("HEIST_SIM_SEEDS").map_or(default, |text| text.parse().expect("HEIST_SIM_SEEDS is a number"))
}
