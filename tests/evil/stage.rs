//! One case: a runtime, user code that acts once, and the accounts that must be even at the end.

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use heist::runtime::{Builder, Handle, Runtime};
use heist::task::{AbortHandle, JoinHandle};

use crate::kit::{Count, Door, OnDrop, text};
use crate::wakers::{Call, scripted};

/// How the runtime of a case is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// Two worker threads.
    Workers,
    /// A current-thread runtime under `Runtime::block_on`.
    BlockOn,
    /// A current-thread runtime under `Drain::wait`, which keeps no `Runtime`.
    Drained,
}

/// What the user code does in its place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    /// It calls the runtime.
    Acts(fn(&Stage)),
    /// It panics.
    Panics(fn()),
    /// It blocks until another thread has called the runtime.
    Blocks,
}

/// The counts of values that are made and dropped.
#[derive(Debug, Default)]
struct Account {
    counts: Mutex<[u64; 2]>,
    changed: Condvar,
}

/// A value whose drop is counted.
#[derive(Debug)]
pub(crate) struct Token(Arc<Account>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.counts.lock().unwrap()[1] += 1;
        self.0.changed.notify_all();
    }
}

/// The user code of a case. It acts at the first call after it has been armed.
#[derive(Clone)]
pub(crate) struct Evil(Weak<Stage>);

impl Evil {
    pub(crate) fn run(&self) {
        if let Some(stage) = self.0.upgrade() {
            stage.act();
        }
    }

    /// Returns the case. It lives as long as its runtime is built.
    pub(crate) fn stage(&self) -> Arc<Stage> {
        self.0.upgrade().expect("the case lives")
    }

    /// Makes the next call act.
    pub(crate) fn arm(&self) {
        if let Some(stage) = self.0.upgrade() {
            stage.armed.store(true, Ordering::SeqCst);
        }
    }
}

pub(crate) struct Stage {
    pub(crate) flavor: Flavor,
    deed: Deed,
    armed: AtomicBool,
    /// The user code has begun to act.
    pub(crate) begun: Door,
    /// The user code has acted.
    pub(crate) done: Door,
    /// Lets user code that blocks go on.
    pub(crate) gate: Door,
    /// The trigger has ended.
    pub(crate) set_up: Door,
    account: Arc<Account>,
    pub(crate) handle: Mutex<Option<Handle>>,
    /// The runtime, for user code that ends it.
    pub(crate) runtime: Mutex<Option<Runtime>>,
    pub(crate) handles: Mutex<Vec<JoinHandle<Token>>>,
    pub(crate) victim: Mutex<Option<AbortHandle>>,
    pub(crate) victim_waker: Mutex<Option<Waker>>,
    /// The handle of the task that makes the runtime call the user code.
    pub(crate) own: Mutex<Option<AbortHandle>>,
    /// The same, and that task's waker, once it has been polled.
    pub(crate) host: Mutex<Option<(AbortHandle, Waker)>>,
    /// What the user keeps until the end of the case.
    kept: Mutex<Vec<Box<dyn std::any::Any + Send>>>,
    pub(crate) faults: Mutex<Vec<String>>,
    pub(crate) spawned: Count,
    pub(crate) ended: Count,
    me: Weak<Stage>,
}

/// Calls user code that may panic, and leaks the panic's payload.
pub(crate) fn contain(call: impl FnOnce()) {
    std::mem::forget(catch_unwind(AssertUnwindSafe(call)));
}

/// A future and a token that is dropped with it.
pub(crate) struct Tracked<F> {
    // Dropped first.
    future: F,
    _token: Token,
}

impl<F: Future + Unpin> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(&mut self.future).poll(cx)
    }
}

impl Stage {
    pub(crate) fn new(flavor: Flavor, deed: Deed) -> Arc<Stage> {
        Arc::new_cyclic(|me| Stage {
            flavor,
            deed,
            armed: AtomicBool::new(false),
            begun: Door::new(),
            done: Door::new(),
            gate: Door::new(),
            set_up: Door::new(),
            account: Arc::default(),
            handle: Mutex::default(),
            runtime: Mutex::default(),
            handles: Mutex::default(),
            victim: Mutex::default(),
            victim_waker: Mutex::default(),
            own: Mutex::default(),
            host: Mutex::default(),
            kept: Mutex::default(),
            faults: Mutex::default(),
            spawned: Count::new(),
            ended: Count::new(),
            me: me.clone(),
        })
    }

    /// Returns the builder of the case's runtime.
    pub(crate) fn builder(&self) -> Builder {
        let mut builder = match self.flavor {
            Flavor::Workers => Builder::new_multi_thread(),
            Flavor::BlockOn | Flavor::Drained => Builder::new_current_thread(),
        };
        let patience = Duration::from_secs(60);
        builder.worker_threads(2).max_worker_threads(4).shutdown_grace(patience);
        builder.max_blocking_threads(2).enable_all();
        let (spawned, ended) = (self.spawned.clone(), self.ended.clone());
        builder.on_task_spawn(move |_| _ = spawned.add()).on_task_terminate(move |_| _ = ended.add());
        builder
    }

    fn act(&self) {
        if !self.armed.swap(false, Ordering::SeqCst) {
            return;
        }
        if let Ok(handle) = Handle::try_current() {
            self.handle.lock().unwrap().get_or_insert(handle);
        }
        let _done = OnDrop::new({
            let done = self.done.clone();
            move || done.open()
        });
        self.begun.open();
        match self.deed {
            Deed::Acts(act) => {
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| act(self))) {
                    let message = text(payload);
                    self.faults.lock().unwrap().push(format!("the call panics: {message}"));
                }
            }
            Deed::Panics(panics) => panics(),
            Deed::Blocks => self.gate.wait(),
        }
    }

    pub(crate) fn panics(&self) -> bool {
        matches!(self.deed, Deed::Panics(_))
    }

    pub(crate) fn evil(&self) -> Evil {
        Evil(self.me.clone())
    }

    /// Arms the user code. Returns it.
    pub(crate) fn armed(&self) -> Evil {
        self.armed.store(true, Ordering::SeqCst);
        self.evil()
    }

    /// Returns a value that acts when it is dropped.
    pub(crate) fn evil_drop(&self) -> OnDrop<impl FnOnce() + Send + use<>> {
        let evil = self.armed();
        OnDrop::new(move || evil.run())
    }

    /// Calls `poll` with a waker that acts at its first call of that kind. The test keeps the
    /// waker. So only a clone of the runtime's is dropped before the end.
    pub(crate) fn with_evil_waker<R>(&self, call: Call, poll: impl FnOnce(&Waker) -> R) -> R {
        let evil = self.evil();
        let waker = scripted(move |called| {
            if called == call {
                evil.run();
            }
        });
        self.armed();
        let result = poll(&waker);
        self.keep_value(waker);
        result
    }

    /// Keeps a value until the end of the case.
    pub(crate) fn keep_value(&self, value: impl Send + 'static) {
        self.kept.lock().unwrap().push(Box::new(value));
    }

    pub(crate) fn take_kept(&self) -> Vec<Box<dyn std::any::Any + Send>> {
        std::mem::take(&mut *self.kept.lock().unwrap())
    }

    pub(crate) fn token(&self) -> Token {
        self.account.counts.lock().unwrap()[0] += 1;
        Token(Arc::clone(&self.account))
    }

    /// Returns a future with a token, whose output is another token.
    pub(crate) fn tracked<F: Future<Output: Send> + Send + 'static>(
        &self,
        future: F,
    ) -> Tracked<Pin<Box<dyn Future<Output = Token> + Send>>> {
        let stage = self.me.clone();
        let future = Box::pin(async move {
            future.await;
            stage.upgrade().expect("the case lasts longer than its tasks").token()
        });
        Tracked { future, _token: self.token() }
    }

    /// Returns a handle of the runtime, if the user code has one left.
    pub(crate) fn handle(&self) -> Option<Handle> {
        self.handle.lock().unwrap().clone()
    }

    /// Spawns a task whose handle must resolve.
    pub(crate) fn spawn<F: Future<Output: Send> + Send + 'static>(&self, future: F) -> AbortHandle {
        let handle = self.handle().expect("a handle");
        let task = handle.spawn(self.tracked(future));
        let abort = task.abort_handle();
        self.handles.lock().unwrap().push(task);
        abort
    }

    /// Spawns a task that never ends by itself, and waits until it has been polled.
    pub(crate) async fn spawn_victim(&self) {
        let me = self.me.clone();
        let stores = poll_fn(move |cx| {
            if let Some(stage) = me.upgrade() {
                *stage.victim_waker.lock().unwrap() = Some(cx.waker().clone());
            }
            Poll::Ready(())
        });
        let abort = self.spawn(async move {
            stores.await;
            pending::<()>().await;
        });
        *self.victim.lock().unwrap() = Some(abort);
        while self.victim_waker.lock().unwrap().is_none() {
            heist::task::yield_now().await;
        }
    }

    /// Returns what a case that does not end has come to.
    pub(crate) fn description(&self) -> String {
        let is = |door: &Door| if door.is_open() { "yes" } else { "no" };
        let dump = self.handle().map_or_else(String::new, |handle| handle.dump().to_string());
        format!(
            "set up: {}, acts: {}, has acted: {}, [made, dropped]: {:?}, tasks spawned: {}, ended: {}\n{dump}",
            is(&self.set_up),
            is(&self.begun),
            is(&self.done),
            self.account.counts.lock().unwrap(),
            self.spawned.get(),
            self.ended.get()
        )
    }

    /// Waits until each value has been dropped, and each task has been counted out.
    pub(crate) fn wait_for_ends(&self) {
        let mut counts = self.account.counts.lock().unwrap();
        while counts[0] > counts[1] {
            counts = self.account.changed.wait(counts).unwrap();
        }
        assert_eq!(counts[0], counts[1], "a value was dropped twice");
    }
}
