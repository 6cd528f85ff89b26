//! What is said when a spawn is refused.

use std::panic::Location;

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::util::wake_list::catch_user_panic;

/// At most one message in so many nanoseconds.
const QUIET: u64 = 1_000_000_000;

/// When a refusal was last said, and how many have not been said since.
#[derive(Debug)]
pub(crate) struct RejectedSpawnLog {
    /// In the pool's nanoseconds, and one; zero if never.
    last: AtomicU64,
    unsaid: AtomicU64,
}

impl RejectedSpawnLog {
    pub(crate) fn new() -> Self {
        RejectedSpawnLog { last: AtomicU64::new(0), unsaid: AtomicU64::new(0) }
    }

    /// Says that what was spawned at `location` has been refused; or keeps it for the next message,
    /// if the last was at `now` or shortly before.
    pub(crate) fn log_rejection(&self, now: u64, location: &'static Location<'static>) {
        let due = |last: u64| (last == 0 || now >= last.saturating_add(QUIET)).then_some(now.max(1));
        // Ordering: Relaxed — figures.
        if self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_err() {
            // Ordering: Relaxed — a figure.
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // Ordering: Relaxed — a figure.
        let more = self.unsaid.swap(0, Ordering::Relaxed);
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
