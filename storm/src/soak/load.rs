//! What all parts of the load share: the end of the load, its counters, and its components.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use heist::runtime::Handle;
use heist::task::JoinHandle;
use heist::time::{sleep, timeout};

use crate::account::{self, EndCell, Output, Ticket};
use crate::activity;
use crate::dice::{Dice, mix};
use crate::failure::{fail, lock};

static OVER: AtomicBool = AtomicBool::new(false);

/// Counts of what the load has done.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) timers: AtomicU64,
    pub(crate) jobs: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) resizes: AtomicU64,
    pub(crate) drains: AtomicU64,
    pub(crate) runtimes: AtomicU64,
    pub(crate) snapshots: AtomicU64,
    pub(crate) blocked_polls: AtomicU64,
    pub(crate) signals: AtomicU64,
}

pub(crate) static COUNTERS: Counters = Counters {
    timers: AtomicU64::new(0),
    jobs: AtomicU64::new(0),
    bytes: AtomicU64::new(0),
    connections: AtomicU64::new(0),
    resizes: AtomicU64::new(0),
    drains: AtomicU64::new(0),
    runtimes: AtomicU64::new(0),
    snapshots: AtomicU64::new(0),
    blocked_polls: AtomicU64::new(0),
    signals: AtomicU64::new(0),
};

/// Adds to a counter of the load.
pub(crate) fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

/// Ends the load: its components return soon.
pub(crate) fn end() {
    OVER.store(true, Ordering::SeqCst);
}

/// Returns true if the load has to end.
pub(crate) fn is_over() -> bool {
    OVER.load(Ordering::SeqCst)
}

/// The parts of the load.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) handle: Handle,
    seed: u64,
    parts: AtomicU64,
    tasks: Mutex<Vec<(String, JoinHandle<Output>)>>,
    threads: Mutex<Vec<(String, thread::JoinHandle<()>)>>,
}

impl Load {
    pub(crate) fn new(handle: Handle, seed: u64) -> Load {
        Load { handle, seed, parts: AtomicU64::new(0), tasks: Mutex::new(Vec::new()), threads: Mutex::new(Vec::new()) }
    }

    fn dice(&self) -> Dice {
        Dice::new(mix(self.seed ^ mix(self.parts.fetch_add(1, Ordering::Relaxed))))
    }

    /// Starts a component as a task of the runtime. It returns soon after the end of the load.
    pub(crate) fn start_task<F>(&self, name: &str, component: impl FnOnce(Dice) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (ticket, future) = (Ticket::lasting(), component(self.dice()));
        let task = self.handle.spawn(async move {
            future.await;
            ticket.complete()
        });
        lock(&self.tasks).push((name.to_owned(), task));
    }

    /// Starts a component as a thread of its own.
    pub(crate) fn start_thread(&self, name: &str, component: impl FnOnce(Dice) + Send + 'static) {
        let mut builder = thread::Builder::new();
        builder = builder.name(name.to_owned());
        let dice = self.dice();
        match builder.spawn(move || component(dice)) {
            Ok(thread) => lock(&self.threads).push((name.to_owned(), thread)),
            Err(error) => fail(&format!("no thread for {name}: {error}")),
        }
    }

    /// Waits until every component has returned.
    pub(crate) fn join_all(&self) {
        let waiting = activity::start("the end of the load");
        for (name, thread) in lock(&self.threads).drain(..) {
            if thread.join().is_err() {
                fail(&format!("the thread {name} has panicked"));
            }
            waiting.advance();
        }
        for (name, task) in lock(&self.tasks).drain(..) {
            if let Err(error) = self.handle.block_on(task) {
                fail(&format!("the component {name} did not return: {error}"));
            }
            waiting.advance();
        }
        waiting.end();
    }
}

/// Spawns a task on the current runtime, whose future ends with the ticket.
pub(crate) fn spawn_counted<F>(body: impl FnOnce(Ticket) -> F) -> (JoinHandle<Output>, EndCell)
where
    F: Future<Output = Output> + Send + 'static,
{
    let (ticket, cell) = Ticket::joined();
    (heist::spawn(body(ticket)), cell)
}

/// Joins tasks, and checks how each has ended.
pub(crate) async fn join_all(tasks: Vec<(JoinHandle<Output>, EndCell)>) {
    for (task, cell) in tasks {
        account::join(task, cell).await;
    }
}

/// Sleeps, but not much longer than until the end of the load.
pub(crate) async fn pause(time: Duration) {
    let mut left = time;
    while !left.is_zero() && !is_over() {
        let step = left.min(Duration::from_millis(100));
        sleep(step).await;
        left -= step;
    }
}

/// The peers of a server. Each peer holds a clone, and so does the server.
#[derive(Debug, Clone)]
pub(crate) struct Peers(Arc<()>);

impl Peers {
    pub(crate) fn new() -> Peers {
        Peers(Arc::new(()))
    }

    /// Returns true if a peer may still connect. The server asks.
    pub(crate) fn are_left(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

/// The longest that an operation on a socket may take.
pub(crate) const IO_LIMIT: Duration = Duration::from_secs(25);

/// Awaits an operation that has to end, and fails the soak if it does not.
pub(crate) async fn within_limit<F: Future>(what: &str, operation: F) -> F::Output {
    match timeout(IO_LIMIT, operation).await {
        Ok(output) => output,
        Err(_) => fail(&format!("{what} takes longer than {IO_LIMIT:?}")),
    }
}
