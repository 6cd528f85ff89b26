//! User code that a runtime calls or drops by itself runs inside of that runtime. The runtime that
//! the thread is otherwise inside of has no effect. The test is a table of place × flavour ×
//! thread. See `docs/shutdown.md`.

#[path = "support/kit.rs"]
mod kit;

use std::any::Any;
use std::collections::BTreeMap;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use heist::runtime::{Builder, Handle, Id, Runtime};
use kit::{Door, OnDrop, current_thread, workers, yield_now};

/// The runtimes that user code was inside of, by place.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<ByPlace>>);

type ByPlace = BTreeMap<&'static str, Vec<Option<Id>>>;

impl Seen {
    fn record(&self, place: &'static str) {
        let inside = Handle::try_current().ok().map(|handle| handle.id());
        self.0.lock().unwrap().entry(place).or_default().push(inside);
    }

    fn recorder(&self, place: &'static str) -> impl Fn() + Send + Sync + use<> {
        let seen = self.clone();
        move || seen.record(place)
    }

    fn recorder_at_drop(&self, place: &'static str) -> OnDrop<impl FnOnce() + Send + use<>> {
        OnDrop::new(self.recorder(place))
    }

    fn waker(&self, place: &'static str) -> Waker {
        struct Notes(Seen, &'static str);
        impl Wake for Notes {
            fn wake(self: Arc<Self>) {
                self.0.record(self.1);
            }
        }
        Waker::from(Arc::new(Notes(self.clone(), place)))
    }

    /// Waits until each of `places` has been seen. All user code must have been inside of `own`.
    #[track_caller]
    fn check(&self, own: Id, places: &[&str], circumstance: &str) {
        let begun = Instant::now();
        let missing = || {
            let seen = self.0.lock().unwrap();
            places.iter().copied().filter(|place| !seen.contains_key(place)).collect::<Vec<_>>()
        };
        while !missing().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{circumstance}: nothing seen at {:?}", missing());
            thread::yield_now();
        }
        for (place, ids) in self.0.lock().unwrap().iter() {
            assert!(ids.iter().all(|id| *id == Some(own)), "{circumstance}, {place}: {ids:?} should all be {own:?}");
        }
    }
}

/// Sets every hook, each of which notes its place.
fn with_hooks(mut builder: Builder, seen: &Seen) -> Builder {
    let naming = seen.recorder("a function that names threads");
    builder
        .enable_all()
        .max_blocking_threads(1)
        .max_worker_threads(3)
        .stall_threshold(Duration::from_millis(1))
        .shutdown_grace(Duration::from_secs(60))
        .thread_name_fn(move || {
            naming();
            "t".to_owned()
        })
        .on_thread_start(seen.recorder("on_thread_start"))
        .on_thread_stop(seen.recorder("on_thread_stop"))
        .on_thread_park(seen.recorder("on_thread_park"))
        .on_thread_unpark(seen.recorder("on_thread_unpark"));
    let (spawn, end) = (seen.recorder("on_task_spawn"), seen.recorder("on_task_terminate"));
    let (before, after) = (seen.recorder("on_before_task_poll"), seen.recorder("on_after_task_poll"));
    builder
        .on_task_spawn(move |_| spawn())
        .on_task_terminate(move |_| end())
        .on_before_task_poll(move |_| before())
        .on_after_task_poll(move |_| after());
    let (stall, resize) = (seen.recorder("on_stall"), seen.recorder("after_resize"));
    builder.on_stall(move |_| stall()).after_resize(move |_| resize());
    builder
}

/// The places where user code is called in every flavour.
const EVERYWHERE: [&str; 19] = [
    "a function that names threads",
    "on_thread_start",
    "on_thread_stop",
    "on_task_spawn",
    "on_task_terminate",
    "on_before_task_poll",
    "on_after_task_poll",
    "poll",
    "destructor of an idle task",
    "destructor of a queued task",
    "destructor of an aborted task",
    "destructor of an output",
    "destructor of a root",
    "job",
    "destructor of an aborted job",
    "destructor of a queued job",
    "waker of a timer",
    "waker of a `Draining`",
    "destructor of a refused task",
];

/// The places where user code is called on runtimes with worker threads only.
const WITH_WORKERS: [&str; 5] =
    ["on_thread_park", "on_thread_unpark", "on_stall", "after_resize", "waker of a `Resize`"];

/// The blocking job that keeps the only blocking thread busy. It drops the runtime that it is
/// given.
#[derive(Clone)]
struct BusyJob {
    given: Door,
    runtime: Arc<Mutex<Option<Runtime>>>,
}

impl BusyJob {
    fn give(&self, runtime: Option<Runtime>) {
        *self.runtime.lock().unwrap() = runtime;
        self.given.open();
    }
}

/// Makes something of each kind. What this returns is dropped after the runtime.
fn populate(runtime: &Runtime, seen: &Seen) -> (BusyJob, Vec<Box<dyn Any>>) {
    let (poll, idle) = (seen.recorder("poll"), seen.recorder_at_drop("destructor of an idle task"));
    let first = runtime.spawn(async move {
        let _idle = idle;
        poll();
        pending::<()>().await;
    });
    let aborted = seen.recorder_at_drop("destructor of an aborted task");
    let aborts = runtime.spawn(async move {
        let _aborted = aborted;
        pending::<()>().await;
    });
    let output = seen.recorder_at_drop("destructor of an output");
    // The handle is dropped first: otherwise its destructor drops the output.
    let gone = Door::new();
    let opened = gone.opened();
    drop(runtime.spawn(async move {
        opened.await;
        output
    }));
    gone.open();
    let root = seen.recorder_at_drop("destructor of a root");
    runtime.block_on(poll_fn(move |_| {
        let _ = &root;
        Poll::Ready(())
    }));
    runtime.block_on(async {
        for _ in 0..4 {
            heist::spawn(yield_now()).await.unwrap();
        }
        aborts.abort();
        assert!(aborts.await.unwrap_err().is_cancelled());
    });
    let job = seen.recorder("job");
    runtime.block_on(runtime.spawn_blocking(job)).unwrap();
    // The only thread is busy until the queued jobs have been dropped.
    let (begun, go) = (Door::new(), Door::new());
    let (begins, waits) = (begun.clone(), go.clone());
    let busy_job = BusyJob { given: Door::new(), runtime: Arc::default() };
    let takes = busy_job.clone();
    let busy = runtime.spawn_blocking(move || {
        begins.open();
        takes.given.wait();
        let runtime = takes.runtime.lock().unwrap().take();
        drop(runtime);
        waits.wait();
    });
    begun.wait();
    let (aborted, queued) =
        (seen.recorder_at_drop("destructor of an aborted job"), seen.recorder_at_drop("destructor of a queued job"));
    let goes = OnDrop::new(move || go.open());
    let aborts = runtime.spawn_blocking(move || drop(aborted));
    aborts.abort();
    let queued = runtime.spawn_blocking(move || drop((queued, goes)));
    let inside = runtime.enter();
    let mut timer: Pin<Box<dyn Future<Output = ()>>> = Box::pin(heist::time::sleep(Duration::from_secs(3600)));
    assert!(timer.as_mut().poll(&mut Context::from_waker(&seen.waker("waker of a timer"))).is_pending());
    drop(inside);
    let mut draining = Box::pin(runtime.draining());
    assert!(draining.as_mut().poll(&mut Context::from_waker(&seen.waker("waker of a `Draining`"))).is_pending());
    // This comes last: nothing drives a current-thread runtime from here on.
    let never = seen.recorder_at_drop("destructor of a queued task");
    let never = runtime.spawn(async move {
        let _never = never;
        pending::<()>().await;
    });
    (busy_job, vec![Box::new((first, busy, aborts, queued, never)), Box::new(timer), Box::new(draining)])
}

/// Makes what only a runtime with workers has: a sleep, a stall, and a resize that ends after its
/// call has returned.
fn populate_workers(runtime: &Runtime, seen: &Seen) {
    // On a loaded machine, a worker may have its first time slice only after tasks were queued.
    while !seen.0.lock().unwrap().contains_key("on_thread_unpark") {
        runtime.block_on(runtime.spawn(async {})).unwrap();
        thread::yield_now();
    }
    let stalled = seen.clone();
    let stalls = runtime.spawn(async move {
        while !stalled.0.lock().unwrap().contains_key("on_stall") {
            thread::yield_now();
        }
    });
    runtime.block_on(stalls).unwrap();
    runtime.resize(3).wait().unwrap();
    let mut resize = pin!(runtime.resize(2));
    let waker = seen.waker("waker of a `Resize`");
    let is_ready = resize.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
    if is_ready {
        // The worker has retired already, and no waker is woken.
        seen.0.lock().unwrap().insert("waker of a `Resize`", vec![Some(runtime.handle().id())]);
    }
    while !seen.0.lock().unwrap().contains_key("waker of a `Resize`") {
        thread::yield_now();
    }
}

fn assert_spawn_refused(handle: &Handle, seen: &Seen) {
    let refused = seen.recorder_at_drop("destructor of a refused task");
    assert!(kit::join(handle.spawn(async move { drop(refused) })).unwrap_err().is_cancelled());
}

/// The places where a runtime is dropped.
const THREADS: [&str; 6] = [
    "a thread of its own",
    "inside of another runtime",
    "in a task of another runtime",
    "in a job of another runtime",
    "in a task of its own",
    "in a job of its own",
];

fn end_runtime(thread: &str, runtime: Runtime, busy: &BusyJob, seen: &Seen) {
    let handle = runtime.handle().clone();
    if thread == "in a job of its own" {
        let draining = handle.draining();
        busy.give(Some(runtime));
        futures::executor::block_on(draining);
        return assert_spawn_refused(&handle, seen);
    }
    busy.give(None);
    match thread {
        "a thread of its own" => drop(runtime),
        "inside of another runtime" => {
            let other = current_thread();
            let _inside = other.enter();
            drop(runtime);
            assert_spawn_refused(&handle, seen);
        }
        "in a task of another runtime" => {
            let (other, seen) = (workers(1), seen.clone());
            let ends = async move {
                drop(runtime);
                assert_spawn_refused(&handle, &seen);
            };
            other.block_on(other.spawn(ends)).unwrap();
            return;
        }
        "in a job of another runtime" => {
            let other = workers(1);
            other.block_on(other.spawn_blocking(move || drop(runtime))).unwrap();
        }
        "in a task of its own" => {
            drop(handle.spawn(async move { drop(runtime) }));
            // This drives a current-thread runtime, and keeps no `Runtime`.
            drop(handle.drain(Duration::MAX).wait());
        }
        _ => unreachable!(),
    }
    assert_spawn_refused(&handle, seen);
}

#[test]
fn user_code_runs_inside_of_its_own_runtime_wherever_that_ends() {
    for thread in THREADS {
        for flavour in ["current-thread", "one worker", "two workers"] {
            let seen = Seen::default();
            let builder = match flavour {
                "current-thread" => Builder::new_current_thread(),
                flavour => {
                    let mut builder = Builder::new_multi_thread();
                    builder.worker_threads(if flavour == "one worker" { 1 } else { 2 });
                    builder
                }
            };
            let runtime = with_hooks(builder, &seen).build().unwrap();
            let own = runtime.handle().id();
            let mut places = EVERYWHERE.to_vec();
            if flavour != "current-thread" {
                populate_workers(&runtime, &seen);
                places.extend(WITH_WORKERS);
            }
            let (busy, kept) = populate(&runtime, &seen);
            end_runtime(thread, runtime, &busy, &seen);
            seen.check(own, &places, &format!("{flavour}, dropped {thread}"));
            drop(kept);
        }
    }
}
