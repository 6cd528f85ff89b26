//! What a runtime was told at its making.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use super::HomeThread;
use crate::metrics::buckets::HistogramConfiguration;
use crate::metrics::histogram::{Histogram, PollHistograms};
use crate::pool::hooks::{TaskHooks, UnhandledPanic};
use crate::pool::local::CheckIntervals;
use crate::sync::Arc;
use crate::watchdog::stall::StallHook;
use crate::worker_set::completion::{Resized, WorkerMeta};

/// A function that a thread of ours calls.
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// Makes thread names.
pub(crate) type NameFn = Arc<dyn Fn() -> String + Send + Sync>;

/// Events per look at the reactor of a busy worker: few, so that the ring is not flooded.
const EVENTS_BUSY: usize = 64;
/// Events per look of a resting one.
const EVENTS_REST: usize = 256;

/// So many workers share a lane, or a shard: with up to eight there is one of each, and everything
/// is as if there were no more.
const WORKERS_EACH: usize = 8;

/// Makes the names of workers.
pub(crate) type WorkerNameFn = Arc<dyn Fn(WorkerMeta) -> String + Send + Sync>;

/// Is told of changes of the number of workers.
pub(crate) type ResizeHook = Arc<dyn Fn(Resized) + Send + Sync>;

/// Refuses the thread for a seat as the operating system would.
pub(crate) type RefuseFn = Arc<dyn Fn(usize) -> Option<io::Error> + Send + Sync>;

/// Where to look for the CPU quota, and how often at most.
#[derive(Debug, Clone)]
pub(crate) struct Follow {
    pub(crate) root: PathBuf,
    pub(crate) every: Duration,
}

/// A histogram that may be wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct HistogramSettings {
    pub(crate) wanted: bool,
    pub(crate) scale: HistogramConfiguration,
}

impl HistogramSettings {
    /// For one seat.
    fn install(&self) -> Option<Histogram> {
        self.wanted.then(|| Histogram::new(self.scale.clone()))
    }
}

/// All settings, with defaults. Policies are settings too, so that they can be compared in one run.
#[derive(Clone)]
pub(crate) struct Settings {
    /// What the runtime is called.
    pub(crate) name: Option<String>,
    /// Seats that are taken at the start.
    pub(crate) workers: usize,
    /// Seats that there can be.
    pub(crate) max_workers: usize,
    /// Seats for spares besides, in place of workers that are stuck...
    pub(crate) max_spares: usize,
    /// ...and in place of workers that have stepped out.
    pub(crate) max_outings: usize,
    /// The one seat is driven by `block_on`.
    pub(crate) current_thread: bool,
    /// The pool is local: it is current-thread, and its tasks stay on this thread.
    pub(crate) own_thread: Option<HomeThread>,
    pub(crate) io: bool,
    pub(crate) time: bool,
    /// The time that timers are shown stands still from the beginning.
    pub(crate) start_paused: bool,
    pub(crate) thread_name: NameFn,
    /// For workers, in place of that.
    pub(crate) worker_name: Option<WorkerNameFn>,
    pub(crate) stack_size: Option<usize>,
    pub(crate) max_blocking_threads: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) on_thread_start: Option<Hook>,
    pub(crate) on_thread_stop: Option<Hook>,
    pub(crate) on_thread_park: Option<Hook>,
    pub(crate) on_thread_unpark: Option<Hook>,
    pub(crate) after_resize: Option<ResizeHook>,
    /// The number of workers follows the number of processors.
    pub(crate) follow: Option<Follow>,
    /// For the tests of what happens when there are no threads.
    pub(crate) refuse_thread: Option<RefuseFn>,
    /// How often a busy worker looks around.
    pub(crate) pace: CheckIntervals,
    /// Another worker is woken if the backlog is done sooner by more than this with it, in
    /// nanoseconds.
    pub(crate) wake_pays_after: u64,
    /// So many workers search at a time, at most, and never more than half of them.
    pub(crate) searchers: usize,
    /// Lanes of the global queue; by the number of workers, if not given.
    pub(crate) lanes: Option<usize>,
    /// Shards of the reactor; by the number of workers, if not given.
    pub(crate) shards: Option<usize>,
    /// Events per look at a shard, at most, of a worker that has other work...
    pub(crate) events_busy: usize,
    /// ...and of one that rests.
    pub(crate) events_rest: usize,
    /// How long, at most, a worker looks for events before it sleeps.
    pub(crate) spin: Duration,
    /// How often the watchdog looks.
    pub(crate) tick: Duration,
    /// From when on a long poll is reported.
    pub(crate) stall_threshold: Duration,
    pub(crate) on_stall: Option<StallHook>,
    /// Whether there is a watchdog.
    pub(crate) watchdog: bool,
    /// Told of tasks.
    pub(crate) task_hooks: Option<Arc<TaskHooks>>,
    pub(crate) unhandled_panic: UnhandledPanic,
    /// Whether a woken task may take the LIFO slot.
    pub(crate) lifo: bool,
    /// How long `Drop` waits for polls that are under way.
    pub(crate) shutdown_grace: Duration,
    /// How long after a drain's deadline the report is made, if what is late has not ended earlier.
    pub(crate) drain_report_delay: Duration,
    pub(crate) seed: u64,
    /// How long polls take.
    pub(crate) poll_times: HistogramSettings,
    /// How long tasks wait for them.
    pub(crate) latencies: HistogramSettings,
    /// It is noted when tasks are queued, for that or for the hooks of tasks.
    pub(crate) queue_times: bool,
}

impl Settings {
    pub(crate) fn new(workers: usize) -> Self {
        Settings {
            name: None,
            workers,
            max_workers: workers,
            max_spares: 0,
            max_outings: 0,
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
            wake_pays_after: 50_000,
            searchers: 4,
            lanes: None,
            shards: None,
            events_busy: EVENTS_BUSY,
            events_rest: EVENTS_REST,
            spin: Duration::from_micros(50),
            tick: Duration::from_millis(1),
            stall_threshold: Duration::from_millis(10),
            on_stall: None,
            watchdog: true,
            task_hooks: None,
            unhandled_panic: UnhandledPanic::Ignore,
            lifo: true,
            shutdown_grace: Duration::from_secs(5),
            drain_report_delay: Duration::from_millis(10),
            seed: 0,
            poll_times: HistogramSettings::default(),
            latencies: HistogramSettings::default(),
            queue_times: false,
        }
    }

    /// What is measured in one seat, if anything.
    pub(super) fn histograms(&self) -> Option<Box<PollHistograms>> {
        let histograms = PollHistograms { poll_times: self.poll_times.install(), latencies: self.latencies.install() };
        (self.poll_times.wanted || self.latencies.wanted).then(|| Box::new(histograms))
    }

    /// How many seats there can be for spares.
    pub(crate) fn all_spares(&self) -> usize {
        self.max_spares + self.max_outings
    }

    /// How many lanes the global queue gets.
    pub(crate) fn lanes(&self) -> usize {
        self.lanes.unwrap_or(self.workers.div_ceil(WORKERS_EACH))
    }

    /// How many shards the reactor gets.
    pub(crate) fn shards(&self) -> usize {
        self.shards.unwrap_or(self.workers.div_ceil(WORKERS_EACH))
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
