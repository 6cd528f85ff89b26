//! All settings of a runtime, with their defaults.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use super::HomeThread;
use crate::metrics::buckets::HistogramConfiguration;
use crate::metrics::histogram::{Histogram, PollHistograms};
use crate::pool::hooks::{TaskHooks, UnhandledPanic};
use crate::pool::local::CheckIntervals;
use crate::primitive::Arc;
use crate::recorder::DEFAULT_BYTES;
use crate::recorder::triggers::Triggers;
use crate::watchdog::stall::StallHook;
use crate::worker_set::Resized;
use crate::worker_set::seat_state::WorkerMeta;

/// A hook that a thread of the runtime calls.
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// Returns a thread's name.
pub(crate) type NameFn = Arc<dyn Fn() -> String + Send + Sync>;

/// Most events per reactor poll of a busy worker: few, so that the ring is not flooded.
const EVENTS_BUSY: usize = 64;
/// Most events per reactor poll of a worker that sleeps in the reactor.
const EVENTS_PARKED: usize = 256;

/// Workers per lane, and per shard. With up to eight workers there is one of each.
const WORKERS_PER_LANE: usize = 8;

/// The most workers that search at a time: so many, or one of so many workers. `docs/scaling.md`
/// has the figures.
const SEARCHERS: usize = 4;
const WORKERS_PER_SEARCHER: usize = 16;

/// Makes the names of workers.
pub(crate) type WorkerNameFn = Arc<dyn Fn(WorkerMeta) -> String + Send + Sync>;

/// A hook that is called after each change of the number of workers.
pub(crate) type ResizeHook = Arc<dyn Fn(Resized) + Send + Sync>;

/// Refuses the thread for a seat, as the operating system might. For tests.
pub(crate) type RefuseFn = Arc<dyn Fn(usize) -> Option<io::Error> + Send + Sync>;

/// Where the CPU quota is read, and how often at most.
#[derive(Debug, Clone)]
pub(crate) struct Follow {
    pub(crate) root: PathBuf,
    pub(crate) every: Duration,
}

/// A histogram that may be enabled.
#[derive(Clone, Debug, Default)]
pub(crate) struct HistogramSettings {
    pub(crate) wanted: bool,
    pub(crate) scale: HistogramConfiguration,
}

impl HistogramSettings {
    /// Returns a histogram for one seat, if it is enabled.
    fn install(&self) -> Option<Histogram> {
        self.wanted.then(|| Histogram::new(self.scale.clone()))
    }
}

/// All settings. Policies are settings too, so that a benchmark can compare them in one run.
#[derive(Clone)]
pub(crate) struct Settings {
    /// The runtime's name.
    pub(crate) name: Option<String>,
    /// Workers at the start.
    pub(crate) workers: usize,
    /// The most workers, not counting spares.
    pub(crate) max_workers: usize,
    /// The most spare workers that stand in for stalled workers.
    pub(crate) max_spares: usize,
    /// The most spare workers that stand in for workers in blocking sections.
    pub(crate) max_blocking_spares: usize,
    /// There is one seat, which `block_on` drives.
    pub(crate) current_thread: bool,
    /// The thread of a local pool: it is current-thread, and its tasks stay on this thread.
    pub(crate) own_thread: Option<HomeThread>,
    pub(crate) io: bool,
    pub(crate) time: bool,
    /// The clock of the timers is paused from the beginning.
    pub(crate) start_paused: bool,
    pub(crate) thread_name: NameFn,
    /// Replaces `thread_name` for workers.
    pub(crate) worker_name: Option<WorkerNameFn>,
    pub(crate) stack_size: Option<usize>,
    pub(crate) max_blocking_threads: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) on_thread_start: Option<Hook>,
    pub(crate) on_thread_stop: Option<Hook>,
    pub(crate) on_thread_park: Option<Hook>,
    pub(crate) on_thread_unpark: Option<Hook>,
    pub(crate) after_resize: Option<ResizeHook>,
    /// If set, the number of workers follows the CPU quota.
    pub(crate) follow: Option<Follow>,
    /// Refuses threads in tests.
    pub(crate) refuse_thread: Option<RefuseFn>,
    /// How often a busy worker makes global checks and checkpoints.
    pub(crate) pace: CheckIntervals,
    /// About the longest time between two reactor polls of a busy worker, in nanoseconds. A round
    /// of its tasks usually ends sooner, and then it polls the reactor.
    pub(crate) reactor_nanos: u64,
    /// A worker that makes no progress for longer than this many nanoseconds may be late.
    pub(crate) late_nanos: u64,
    /// A helper is woken if the backlog would end sooner by this many nanoseconds or more.
    pub(crate) wake_pays_after: u64,
    /// The most workers that search at a time. If unset, the number depends on `workers`. A search
    /// begins while fewer than half of the workers search.
    pub(crate) searchers: Option<usize>,
    /// Lanes of the global queue. If unset, the number depends on `workers`.
    pub(crate) lanes: Option<usize>,
    /// Shards of the reactor. If unset, the number depends on `workers`.
    pub(crate) shards: Option<usize>,
    /// Most events per poll of a shard by a worker that has other work.
    pub(crate) events_busy: usize,
    /// Most events per poll of a shard by a worker that sleeps in the reactor.
    pub(crate) events_parked: usize,
    /// How long, at most, a worker polls for events before it sleeps.
    pub(crate) spin: Duration,
    /// The interval of the watchdog's scans.
    pub(crate) tick: Duration,
    /// Polls that take longer are reported as stalls.
    pub(crate) stall_threshold: Duration,
    pub(crate) on_stall: Option<StallHook>,
    /// There is a watchdog.
    pub(crate) watchdog: bool,
    /// Workers rest while they get fewer processors than there are workers.
    pub(crate) consolidate: bool,
    /// The user's task hooks.
    pub(crate) task_hooks: Option<Arc<TaskHooks>>,
    pub(crate) unhandled_panic: UnhandledPanic,
    /// A woken or spawned task may take the LIFO slot.
    pub(crate) lifo: bool,
    /// The share of time that each lower priority gets at least, in percent.
    pub(crate) group_min_share: u32,
    /// How long `Drop` waits for running polls.
    pub(crate) shutdown_grace: Duration,
    /// How long after a drain's deadline the report is made. It is made earlier if all overdue
    /// tasks have ended.
    pub(crate) drain_report_delay: Duration,
    pub(crate) seed: u64,
    /// The histogram of poll times.
    pub(crate) poll_times: HistogramSettings,
    /// The histogram of schedule latencies.
    pub(crate) latencies: HistogramSettings,
    /// The time at which each task is queued is recorded, for `latencies` or for task hooks.
    pub(crate) queue_times: bool,
    /// The bytes of each track of the recorder.
    pub(crate) recorder_bytes: usize,
    /// The recorder is on from the start.
    pub(crate) records: bool,
    /// What makes the recorder save a snapshot by itself.
    pub(crate) triggers: Triggers,
}

impl Settings {
    pub(crate) fn new(workers: usize) -> Self {
        Settings {
            name: None,
            workers,
            max_workers: workers,
            max_spares: 0,
            max_blocking_spares: 0,
            current_thread: false,
            own_thread: None,
            io: false,
            time: false,
            start_paused: false,
            thread_name: Arc::new(|| "heist-worker".to_owned()),
            stack_size: None,
            max_blocking_threads: 512,
            keep_alive: Duration::from_secs(10),
            worker_name: None,
            on_thread_start: None,
            on_thread_stop: None,
            on_thread_park: None,
            on_thread_unpark: None,
            after_resize: None,
            follow: None,
            refuse_thread: None,
            pace: CheckIntervals { nanos: 100_000, polls: 1024, global: 61, global_is_exact: false },
            reactor_nanos: 500_000,
            late_nanos: 300_000,
            wake_pays_after: 50_000,
            searchers: None,
            lanes: None,
            shards: None,
            events_busy: EVENTS_BUSY,
            events_parked: EVENTS_PARKED,
            spin: Duration::from_micros(50),
            tick: Duration::from_millis(1),
            stall_threshold: Duration::from_millis(10),
            on_stall: None,
            watchdog: true,
            consolidate: true,
            task_hooks: None,
            unhandled_panic: UnhandledPanic::Ignore,
            lifo: true,
            group_min_share: 5,
            shutdown_grace: Duration::from_secs(5),
            drain_report_delay: Duration::from_millis(10),
            seed: 0,
            poll_times: HistogramSettings::default(),
            latencies: HistogramSettings::default(),
            queue_times: false,
            recorder_bytes: DEFAULT_BYTES,
            records: false,
            triggers: Triggers::default(),
        }
    }

    /// Returns the histograms of one seat, if any is enabled.
    pub(super) fn histograms(&self) -> Option<Box<PollHistograms>> {
        let histograms = PollHistograms { poll_times: self.poll_times.install(), latencies: self.latencies.install() };
        (self.poll_times.wanted || self.latencies.wanted).then(|| Box::new(histograms))
    }

    /// Returns the most spare workers of both kinds.
    pub(crate) fn all_spares(&self) -> usize {
        self.max_spares + self.max_blocking_spares
    }

    /// Returns how many workers search at a time, at most.
    pub(crate) fn searchers(&self) -> usize {
        self.searchers.unwrap_or((self.workers / WORKERS_PER_SEARCHER).max(SEARCHERS))
    }

    /// Returns how many lanes the global queue gets.
    pub(crate) fn lanes(&self) -> usize {
        self.lanes.unwrap_or(self.workers.div_ceil(WORKERS_PER_LANE))
    }

    /// Returns how many shards the reactor gets.
    pub(crate) fn shards(&self) -> usize {
        self.shards.unwrap_or(self.workers.div_ceil(WORKERS_PER_LANE))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("workers", &self.workers)
            .field("max_workers", &self.max_workers)
            .field("current_thread", &self.current_thread)
            .field("io", &self.io)
            .field("time", &self.time)
            .field("max_blocking_threads", &self.max_blocking_threads)
            .field("keep_alive", &self.keep_alive)
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::Settings;

    #[test]
    fn searchers_and_lanes_grow_with_number_of_workers() {
        let of = |workers| (Settings::new(workers).searchers(), Settings::new(workers).lanes());
        assert_eq!([2, 8, 64, 256].map(of), [(4, 1), (4, 1), (4, 8), (16, 32)]);
    }
}
