//! What is said when a spawn is refused.

use std::panic::Location;

use crate::util::rate_limit::RateLimit;
use crate::util::wake_list::catch_user_panic;

/// Logs refused spawns, at most once a second.
#[derive(Debug)]
pub(crate) struct RejectedSpawnLog(RateLimit);

impl RejectedSpawnLog {
    pub(crate) fn new() -> Self {
        RejectedSpawnLog(RateLimit::new())
    }

    /// Logs that a spawn at `location` was refused, or counts it for the next message.
    pub(crate) fn log_rejection(&self, now: u64, location: &'static Location<'static>) {
        let Some(more) = self.0.try_pass(now) else { return };
        catch_user_panic("a tracing subscriber", || {
            tracing::error!(
                target: "heist::drain",
                %location,
                more,
                "a spawn was refused and its handle is cancelled: the runtime drains or has been shut down; select on \
                 `Handle::draining` to stop in time, or use `try_spawn` to get the future back"
            );
        });
    }
}
