//! Settings of a [`Builder`] that only the tests, the benchmarks and the storm of this project use.
//!
//! The feature `internals` compiles them. They are not part of the public API.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::Builder;
use crate::pool::Follow;
use crate::primitive::Arc;

/// Settings for tests.
impl Builder {
    /// Follows the CPU quota as [`Builder::follow_cpu_quota`] does, in the file system below
    /// `root`.
    ///
    /// While workers are busy, the runtime reads the quota once per `interval`.
    #[doc(hidden)]
    pub fn follow_cpu_quota_in(&mut self, root: impl Into<PathBuf>, interval: Duration) -> &mut Builder {
        self.settings.follow = Some(Follow { root: root.into(), every: interval });
        self
    }

    /// Sets whether there is a watchdog.
    ///
    /// Tests that search for lost wake-ups switch it off, because it would repair them.
    #[doc(hidden)]
    pub fn watchdog(&mut self, on: bool) -> &mut Builder {
        self.settings.watchdog = on;
        self
    }

    /// Sets the number of lanes of the global queue. The default depends on the number of workers.
    ///
    /// # Panics
    ///
    /// Panics if `lanes` is zero.
    #[doc(hidden)]
    #[track_caller]
    pub fn queue_lanes(&mut self, lanes: usize) -> &mut Builder {
        assert!(lanes > 0, "queue_lanes(0): the global queue needs at least one lane");
        // The limit is the largest number of workers.
        self.settings.lanes = Some(lanes.min(1 << 14));
        self
    }

    /// Sets how many nanoseconds of polls a wake-up has to save.
    #[doc(hidden)]
    pub fn wake_price(&mut self, nanos: u64) -> &mut Builder {
        self.settings.wake_pays_after = nanos;
        self
    }

    /// Sets how many workers search at a time, at most. Half of the workers is the limit in any
    /// case.
    #[doc(hidden)]
    pub fn max_searchers(&mut self, searchers: usize) -> &mut Builder {
        self.settings.searchers = Some(searchers);
        self
    }

    /// Sets the number of shards of the reactor. The default depends on the number of workers.
    ///
    /// Only on Linux are there ever more than one.
    ///
    /// # Panics
    ///
    /// Panics if `shards` is zero.
    #[doc(hidden)]
    #[track_caller]
    pub fn reactor_shards(&mut self, shards: usize) -> &mut Builder {
        assert!(shards > 0, "reactor_shards(0): the reactor needs at least one shard");
        self.settings.shards = Some(shards);
        self
    }

    /// Refuses threads as the operating system would.
    ///
    /// `refuse` is called with the index of the worker that needs the thread. The index is
    /// `usize::MAX` for the thread that a drain needs. If `refuse` returns an error, the thread is
    /// not started.
    #[doc(hidden)]
    pub fn refuse_worker(
        &mut self,
        refuse: impl Fn(usize) -> Option<io::Error> + Send + Sync + 'static,
    ) -> &mut Builder {
        self.settings.refuse_thread = Some(Arc::new(refuse));
        self
    }

    /// Sets how long after its deadline a drain waits for the tasks that it cancels, before it
    /// reports. The default is 10 ms.
    ///
    /// Tests of cancelled tasks set it, because a busy machine may need longer.
    #[doc(hidden)]
    pub fn drain_report_delay(&mut self, delay: Duration) -> &mut Builder {
        self.settings.drain_report_delay = delay;
        self
    }
}
