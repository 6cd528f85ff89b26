//! Messages of panics that the crate `tokio` over heist words as Tokio does.

#[cfg(feature = "facade")]
use crate::primitive::OnceLock;

/// The messages that replace heist's.
#[cfg(feature = "facade")]
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Messages {
    /// No runtime is running on the thread.
    pub no_runtime: &'static str,
    /// The runtime of a timer has been shut down.
    pub shut_down: &'static str,
}

#[cfg(feature = "facade")]
impl Messages {
    /// Returns messages of their own.
    pub const fn new(no_runtime: &'static str, shut_down: &'static str) -> Messages {
        Messages { no_runtime, shut_down }
    }
}

#[cfg(feature = "facade")]
static MESSAGES: OnceLock<Messages> = OnceLock::new();

/// Replaces the messages of the process. The first call counts.
#[cfg(feature = "facade")]
#[inline]
pub fn set_messages(messages: Messages) {
    if MESSAGES.get().is_none() {
        let _ = MESSAGES.set(messages);
    }
}

const NO_RUNTIME: &str = "no heist runtime is running on this thread; call this in a task or inside of `Runtime::block_on`, \
                          or enter a runtime first with `Runtime::enter` or `Handle::enter`";

/// Returns the message for a thread outside of a runtime.
#[cfg(not(feature = "facade"))]
#[cold]
pub(crate) fn no_runtime() -> &'static str {
    NO_RUNTIME
}

/// Returns the message for a thread outside of a runtime.
#[cfg(feature = "facade")]
#[cold]
pub(crate) fn no_runtime() -> &'static str {
    MESSAGES.get().map_or(NO_RUNTIME, |messages| messages.no_runtime)
}

const SHUT_DOWN: &str = "a `heist::time` timer was polled after its runtime was shut down, and would never fire; keep the \
                         `Runtime` alive until its timers have completed, or `reset` the `Sleep` and poll it inside of another \
                         runtime";

/// Returns the message for a timer whose runtime has been shut down.
#[cfg(not(feature = "facade"))]
#[cold]
pub(crate) fn shut_down() -> &'static str {
    SHUT_DOWN
}

/// Returns the message for a timer whose runtime has been shut down.
#[cfg(feature = "facade")]
#[cold]
pub(crate) fn shut_down() -> &'static str {
    MESSAGES.get().map_or(SHUT_DOWN, |messages| messages.shut_down)
}
