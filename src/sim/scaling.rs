//! What the benchmark of scaling sets and reads, beside the settings of a test. It is not part of
//! the public API.

use super::Sim;
use crate::primitive::costs;
use crate::primitive::costs::ContendedLine;
pub use crate::primitive::costs::{Contention, Costs};
pub use crate::primitive::wake_policy::WakePolicy;

impl Sim {
    /// Sets the costs in virtual time. The default suits tests.
    #[doc(hidden)]
    #[must_use]
    pub fn costs(mut self, costs: Costs) -> Sim {
        self.model.costs = costs;
        self
    }

    /// Sets the policy by which workers wake each other. The default is heist's.
    #[doc(hidden)]
    #[must_use]
    pub fn wake_policy(mut self, policy: WakePolicy) -> Sim {
        self.model.policy = policy;
        self
    }
}

/// Returns the contention for the idle word, and for the locks of the global queue, in this
/// thread's simulation so far. Both are zero on a thread that is not simulated.
pub fn contention() -> [Contention; 2] {
    [ContendedLine::IdleWord, ContendedLine::GlobalQueue].map(|what| costs::contention(what).unwrap_or_default())
}
