//! Runtimes, tasks and counts that the tests of draining share.

use std::future::{Future, pending};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heist::runtime::{Builder, DrainReport, Runtime};
use heist::task::JoinHandle;

use crate::kit::{Count, Door, OnDrop, yield_now};

pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// Returns the numbers of completed, panicked and cancelled tasks and of stragglers, all named.
#[track_caller]
pub(crate) fn counts(report: &DrainReport) -> [u64; 4] {
    assert_eq!(report.unnamed, 0, "{report}");
    [report.completed, report.panicked, report.cancelled, report.stragglers.len() as u64]
}

/// Polls every task that has been spawned at least once.
pub(crate) fn poll_all_tasks(runtime: &Runtime) {
    for _ in 0..8 {
        runtime.block_on(async { heist::spawn(yield_now()).await.unwrap() });
    }
}

/// Returns a runtime with a short grace, for code that does not return.
pub(crate) fn with_short_grace(count: usize) -> Runtime {
    with_grace(count, SHORT_GRACE)
}

const SHORT_GRACE: Duration = Duration::from_millis(300);

/// Repeats `attempt` with a longer grace until it succeeds. Within the grace, some tasks have to
/// end beside code that does not return, and a busy machine may be too slow.
pub(crate) fn retry_with_longer_grace(attempt: impl Fn(Duration) -> Result<(), DrainReport>) {
    let mut grace = SHORT_GRACE;
    while let Err(report) = attempt(grace) {
        assert!(grace < 100 * SHORT_GRACE, "within {grace:?}: {report}");
        grace *= 5;
    }
}

/// Returns the numbers of completed, panicked and cancelled tasks, of stragglers and of unnamed.
pub(crate) fn all_counts(report: &DrainReport) -> [u64; 5] {
    [report.completed, report.panicked, report.cancelled, report.stragglers.len() as u64, report.unnamed]
}

/// Returns a runtime with a grace that outlasts every wait of a test.
pub(crate) fn with_long_grace(count: usize) -> Runtime {
    with_grace(count, LONG)
}

/// Returns a runtime without a watchdog, so that no spare worker helps a stuck thread.
pub(crate) fn with_grace(count: usize, grace: Duration) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(count)
        .max_blocking_threads(1)
        .enable_all()
        .shutdown_grace(grace)
        .drain_report_delay(grace)
        .watchdog(false)
        .build()
        .unwrap()
}

pub(crate) fn join_in<T>(runtime: &Runtime, task: JoinHandle<T>) -> T {
    runtime.block_on(task).unwrap()
}

/// A place that blocks a thread until it is released.
#[derive(Clone, Default)]
pub(crate) struct Blocker {
    there: Door,
    go: Door,
}

impl Blocker {
    pub(crate) fn block(&self) {
        self.there.open();
        self.go.wait();
    }

    /// Waits until a thread blocks here.
    pub(crate) fn wait_until_blocked(&self) {
        self.there.wait();
    }

    pub(crate) fn release(&self) {
        self.go.open();
    }
}

/// Spawns a task that counts when its future is dropped.
pub(crate) fn spawn_counted(
    runtime: &Runtime,
    dropped: &Count,
    future: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    let guard = dropped.on_drop();
    runtime.spawn(async move {
        let _guard = guard;
        future.await;
    })
}

/// Spawns `count` such tasks, which are pending for ever and have been polled.
pub(crate) fn spawn_idle(runtime: &Runtime, dropped: &Count, count: usize) -> Vec<JoinHandle<()>> {
    let tasks = (0..count).map(|_| spawn_counted(runtime, dropped, pending())).collect();
    poll_all_tasks(runtime);
    tasks
}

/// Returns a future that is pending for ever, and whose destructor blocks.
pub(crate) fn blocks_when_dropped(blocker: &Blocker) -> impl Future<Output = ()> + Send + use<> {
    let blocker = blocker.clone();
    let guard = OnDrop::new(move || blocker.block());
    async move {
        let _guard = guard;
        pending::<()>().await;
    }
}

/// Waits until `happened`.
pub(crate) fn wait_until(happened: impl Fn() -> bool) {
    while !happened() {
        std::thread::yield_now();
    }
}

/// Returns what is logged while `f` runs on this thread, as lines of level, target and fields.
pub(crate) fn logged(f: impl FnOnce()) -> Vec<String> {
    use std::fmt::Write;

    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    struct Lines(Arc<Mutex<Vec<String>>>);
    struct Fields(String);

    impl tracing::field::Visit for Fields {
        fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
            write!(self.0, " {field}={value:?}").unwrap();
        }
    }

    impl<S: tracing::Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let mut fields = Fields(format!("{} {}", event.metadata().level(), event.metadata().target()));
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields.0);
        }
    }

    let lines = Arc::new(Mutex::new(Vec::new()));
    let subscriber = tracing_subscriber::registry().with(Lines(Arc::clone(&lines)));
    tracing::subscriber::with_default(subscriber, f);
    std::mem::take(&mut *lines.lock().unwrap())
}
