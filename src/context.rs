//! What the current thread is to the runtime. (Stub.)

use crate::sync::Arc;

/// The reactor of the runtime that this thread is inside of.
pub(crate) fn reactor() -> Arc<crate::reactor::Reactor> {
    panic!("there is no heist runtime here")
}

/// The wheel on which this thread files its timers.
pub(crate) fn wheel() -> Arc<crate::timer::TimerWheel> {
    panic!("there is no heist runtime here")
}
