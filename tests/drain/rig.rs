//! What the tests of draining share.

use std::future::{Future, pending};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heist::runtime::{Builder, DrainReport, Runtime};
use heist::task::JoinHandle;

use crate::kit::{Count, Door, OnDrop, yield_now};

pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// Completed, panicked, cancelled, and how many stragglers. All of them have names.
#[track_caller]
pub(crate) fn counts(report: &DrainReport) -> [u64; 4] {
    assert_eq!(report.unnamed, 0, "{report}");
    [report.completed, report.panicked, report.cancelled, report.stragglers.len() as u64]
}

/// Polls every task that has been spawned at least once.
pub(crate) fn settle(runtime: &Runtime) {
    for _ in 0..8 {
        runtime.block_on(async { heist::spawn(yield_now()).await.unwrap() });
    }
}

/// With a grace that is over soon: for what does not return.
pub(crate) fn hasty(count: usize) -> Runtime {
    with_grace(count, SOON)
}

const SOON: Duration = Duration::from_millis(300);

/// For what does not return, beside others that do, within the grace that the runtime gets: it is
/// tried again with a longer one, since the machine may be busy with something else.
pub(crate) fn in_time(attempt: impl Fn(Duration) -> Result<(), DrainReport>) {
    let mut grace = SOON;
    while let Err(report) = attempt(grace) {
        assert!(grace < 100 * SOON, "within {grace:?}: {report}");
        grace *= 5;
    }
}

/// Completed, panicked, cancelled, how many stragglers, and how many of them have no name.
pub(crate) fn all_counts(report: &DrainReport) -> [u64; 5] {
    [report.completed, report.panicked, report.cancelled, report.stragglers.len() as u64, report.unnamed]
}

/// With a grace that is not over before what is waited for has happened.
pub(crate) fn patient(count: usize) -> Runtime {
    with_grace(count, LONG)
}

/// Nobody comes to the help of a thread that is stuck.
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

/// A place where a thread stays until it is let go.
#[derive(Clone, Default)]
pub(crate) struct Stay {
    there: Door,
    go: Door,
}

impl Stay {
    pub(crate) fn stay(&self) {
        self.there.open();
        self.go.wait();
    }

    /// Waits until a thread is there.
    pub(crate) fn reached(&self) {
        self.there.wait();
    }

    pub(crate) fn let_go(&self) {
        self.go.open();
    }
}

/// A task that counts when its future is dropped.
pub(crate) fn guarded(
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

/// So many of them, which wait for ever.
pub(crate) fn idle(runtime: &Runtime, dropped: &Count, count: usize) -> Vec<JoinHandle<()>> {
    let tasks = (0..count).map(|_| guarded(runtime, dropped, pending())).collect();
    settle(runtime);
    tasks
}

/// A future that waits for ever, and whose destructor stays.
pub(crate) fn stubborn(stay: &Stay) -> impl Future<Output = ()> + Send + use<> {
    let stay = stay.clone();
    let guard = OnDrop::new(move || stay.stay());
    async move {
        let _guard = guard;
        pending::<()>().await;
    }
}

/// Waits until `happened`.
pub(crate) fn until(happened: impl Fn() -> bool) {
    while !happened() {
        std::thread::yield_now();
    }
}

/// What is logged while `f` runs on this thread, and, for as long as it lasts, elsewhere: lines of
/// level, target, and fields.
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
