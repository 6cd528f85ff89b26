//! Helpers of the black-box tests: runtimes of each flavour, counters, doors, and the text of
//! panics.
#![allow(dead_code, reason = "every test file uses its own part of it")]

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use heist::runtime::{Builder, Runtime};

/// How long a shutdown waits for polls. On a busy machine even a short poll can take seconds.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn current_thread() -> Runtime {
    Builder::new_current_thread().shutdown_grace(PATIENCE).drain_report_delay(PATIENCE).enable_all().build().unwrap()
}

pub(crate) fn workers(workers: usize) -> Runtime {
    // A test that asks for one worker relies on exactly one. On a busy machine a watchdog might
    // start a spare worker, so there is none.
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).watchdog(workers > 1).shutdown_grace(PATIENCE).drain_report_delay(PATIENCE);
    builder.enable_all().build().unwrap()
}

/// Runs the test on every flavour, one after the other. The test owns the runtime.
pub(crate) fn each_owned(test: impl Fn(Runtime)) {
    test(current_thread());
    for count in [1, 2, 4] {
        test(workers(count));
    }
}

/// Runs the test on every flavour, one after the other.
pub(crate) fn each(test: impl Fn(&Runtime)) {
    each_owned(|runtime| test(&runtime));
}

/// Returns the message of the panic of `f`.
pub(crate) fn panic_text<R>(f: impl FnOnce() -> R) -> String {
    text(catch_unwind(AssertUnwindSafe(|| drop(f()))).expect_err("the call should panic"))
}

/// Returns the message in a panic's payload.
pub(crate) fn text(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&'static str>().expect("a payload of text")).to_owned(),
    }
}

/// Asserts that `text` is one line and contains all `parts`.
#[track_caller]
pub(crate) fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
    assert!(!text.contains('\n'), "one message, on one line: {text:?}");
}

/// Yields once.
pub(crate) async fn yield_now() {
    heist::task::yield_now().await;
}

/// Counts how often something happens.
#[derive(Clone, Default, Debug)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(crate) fn new() -> Count {
        Count::default()
    }

    pub(crate) fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Returns a value that counts its drop.
    pub(crate) fn on_drop(&self) -> Dropped {
        Dropped(self.clone())
    }
}

#[derive(Debug)]
pub(crate) struct Dropped(Count);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.add();
    }
}

/// Calls a function when it is dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub(crate) fn new(f: F) -> Self {
        OnDrop(Some(f))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

/// A one-time event that threads and tasks can wait for. Once open, a door stays open.
#[derive(Clone, Default)]
pub(crate) struct Door(Arc<DoorState>);

#[derive(Default)]
struct DoorState {
    state: Mutex<(bool, Vec<Waker>)>,
    opened: Condvar,
}

impl Door {
    pub(crate) fn new() -> Door {
        Door::default()
    }

    pub(crate) fn open(&self) {
        let wakers = {
            let mut state = self.0.state.lock().unwrap();
            state.0 = true;
            std::mem::take(&mut state.1)
        };
        self.0.opened.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.state.lock().unwrap().0
    }

    /// Blocks the thread until the door is open.
    pub(crate) fn wait(&self) {
        let mut state = self.0.state.lock().unwrap();
        while !state.0 {
            state = self.0.opened.wait(state).unwrap();
        }
    }

    /// Returns a future that is ready once the door is open.
    pub(crate) fn opened(&self) -> Opened {
        Opened(self.clone())
    }
}

pub(crate) struct Opened(Door);

impl Future for Opened {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.0.state.lock().unwrap();
        if state.0 {
            return Poll::Ready(());
        }
        state.1.push(cx.waker().clone());
        Poll::Pending
    }
}

/// A waker that only records that it was called.
#[derive(Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    pub(crate) fn new() -> Arc<Flag> {
        Arc::new(Flag::default())
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Polls once, with a waker that does nothing.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs the test `name` in a process of its own, where it counts no threads and files of other
/// tests. `variable` is an environment variable that is set there.
pub(crate) fn alone(name: &str, variable: Option<(&str, &str)>, test: impl FnOnce()) {
    const MARK: &str = "HEIST_TEST_ALONE";
    if std::env::var(MARK).is_ok_and(|alone| alone == name) {
        return test();
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--test-threads", "1"]).env(MARK, name);
    if let Some((variable, value)) = variable {
        command.env(variable, value);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "no test of this name ran");
}

/// Awaits a handle outside of every runtime, and returns its result.
pub(crate) fn join<T>(task: heist::task::JoinHandle<T>) -> Result<T, heist::task::JoinError> {
    futures::executor::block_on(task)
}
