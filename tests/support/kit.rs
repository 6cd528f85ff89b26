//! What the black-box tests share: the flavours, a drain state of what became of tasks, and panics
//! as text.
#![allow(dead_code, reason = "every test file uses its own part of it")]

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use heist::runtime::{Builder, Runtime};

/// How long a shutdown waits for polls: on a machine that is busy with something else even a short
/// one can take seconds.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn current_thread() -> Runtime {
    Builder::new_current_thread().shutdown_grace(PATIENCE).drain_report_delay(PATIENCE).enable_all().build().unwrap()
}

pub(crate) fn workers(workers: usize) -> Runtime {
    // Who asks for one worker counts on there being one: a watchdog might call a spare, on a
    // machine that is busy with something else.
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).watchdog(workers > 1).shutdown_grace(PATIENCE).drain_report_delay(PATIENCE);
    builder.enable_all().build().unwrap()
}

/// Every flavour, one after the other, given away.
pub(crate) fn each_owned(test: impl Fn(Runtime)) {
    test(current_thread());
    for count in [1, 2, 4] {
        test(workers(count));
    }
}

/// Every flavour, one after the other.
pub(crate) fn each(test: impl Fn(&Runtime)) {
    each_owned(|runtime| test(&runtime));
}

/// What a panic says.
pub(crate) fn panic_text<R>(f: impl FnOnce() -> R) -> String {
    text(catch_unwind(AssertUnwindSafe(|| drop(f()))).expect_err("it should have panicked"))
}

/// A payload's text.
pub(crate) fn text(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&'static str>().expect("a payload of text")).to_owned(),
    }
}

/// The text is one line, and contains all of it.
#[track_caller]
pub(crate) fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
    assert!(!text.contains('\n'), "one message, on one line: {text:?}");
}

/// Suspends once, and is woken at once.
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

    /// Something that counts when it is dropped.
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

/// A door that threads wait at and that tasks wait at; once open it stays open.
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

    /// Blocks the thread.
    pub(crate) fn wait(&self) {
        let mut state = self.0.state.lock().unwrap();
        while !state.0 {
            state = self.0.opened.wait(state).unwrap();
        }
    }

    /// Suspends the task.
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

/// A waker that only notes that it was called.
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

/// Runs the test `name` in a process of its own, with a variable set or unset, where nobody else's
/// threads and files are counted.
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

/// What a handle resolves to, awaited outside of every runtime.
pub(crate) fn join<T>(task: heist::task::JoinHandle<T>) -> Result<T, heist::task::JoinError> {
    futures::executor::block_on(task)
}
