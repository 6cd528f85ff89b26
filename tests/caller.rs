//! A panic for a mistake of the caller has the caller's location.
//!
//! The panic hook belongs to the whole process: this file has one test.

#[path = "support/kit.rs"]
mod kit;

use std::cell::Cell;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, set_hook};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use heist::net::{TcpListener, TcpStream, UdpSocket};
use heist::runtime::{Builder, Handle, HistogramConfiguration, LocalRuntime, LogHistogram, Runtime, UnhandledPanic};
use heist::task::{self, JoinSet};
use heist::time::{Instant, interval, interval_at};
use kit::{current_thread, workers};

heist::task_local! {
    static NUMBER: u32;
}

thread_local! {
    /// The file of the last panic on this thread.
    static PANICKED: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// The name of a call that must panic, and the call.
type Case = (&'static str, Box<dyn FnOnce()>);

fn case<R>(name: &'static str, call: impl FnOnce() -> R + 'static) -> Case {
    (name, Box::new(|| drop(call())))
}

fn is_polled_once<F: Future>(future: F) {
    let _ = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
}

#[test]
fn panic_for_a_callers_mistake_is_located_at_the_caller() {
    set_hook(Box::new(|info| PANICKED.set(info.location().map(static_file))));
    let groups = [builders(), histograms(), metrics(), waits(), spawns(), sets(), locals(), times(), resources()];
    let mut wrong = Vec::new();
    let mut count = 0;
    for (name, call) in groups.into_iter().flatten() {
        PANICKED.set(None);
        let caught = catch_unwind(AssertUnwindSafe(call)).is_err();
        count += 1;
        match PANICKED.get() {
            Some(file) if caught && file == file!() => {}
            place => wrong.push(format!("{name}: {}", place.unwrap_or("no panic"))),
        }
    }
    let _ = std::panic::take_hook();
    assert!(wrong.is_empty(), "{} of {count} panics are not located at the caller:\n{}", wrong.len(), wrong.join("\n"));
}

/// The hook gets a location that borrows the file's name, so this leaks a copy.
fn static_file(location: &Location<'_>) -> &'static str {
    location.file().to_owned().leak()
}

fn builders() -> Vec<Case> {
    let many = Builder::new_multi_thread;
    vec![
        case("worker_threads(0)", move || many().worker_threads(0).build()),
        case("max_worker_threads(0)", move || many().max_worker_threads(0).build()),
        case("max_blocking_threads(0)", move || many().max_blocking_threads(0).build()),
        case("event_interval(0)", move || many().event_interval(0).build()),
        case("global_queue_interval(0)", move || many().global_queue_interval(0).build()),
        case("max_io_events_per_tick(0)", move || many().max_io_events_per_tick(0).build()),
        case("max_io_events_per_busy_tick(0)", move || many().max_io_events_per_busy_tick(0).build()),
        case("stall_threshold(0)", move || many().stall_threshold(Duration::ZERO).build()),
        case("queue_lanes(0)", move || many().queue_lanes(0).build()),
        case("reactor_shards(0)", move || many().reactor_shards(0).build()),
        case("name(\"\")", move || many().name("").build()),
        case("name(\" \")", move || many().name(" \t").build()),
        case("unhandled_panic(ShutdownRuntime)", move || {
            many().unhandled_panic(UnhandledPanic::ShutdownRuntime).build()
        }),
        case("build_local", move || many().build_local(Default::default())),
    ]
}

fn histograms() -> Vec<Case> {
    vec![
        case("linear(_, 0)", || HistogramConfiguration::linear(Duration::from_nanos(1), 0)),
        case("linear(0, _)", || HistogramConfiguration::linear(Duration::ZERO, 1)),
        case("max_error(1)", || LogHistogram::builder().max_error(1.0)),
        case("precision_exact(11)", || LogHistogram::builder().precision_exact(11)),
        case("max_value(0)", || LogHistogram::builder().max_value(Duration::ZERO)),
    ]
}

fn metrics() -> Vec<Case> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_metrics_poll_time_histogram().enable_metrics_schedule_latency_histogram();
    let runtime = builder.build().unwrap();
    let metrics = runtime.metrics();
    macro_rules! of_no_worker {
        ($($method:ident)*) => {
            vec![$(case(stringify!($method), { let metrics = metrics.clone(); move || metrics.$method(1) })),*]
        };
    }
    let mut cases = of_no_worker! {
        worker_thread_id worker_total_busy_duration worker_park_count worker_park_unpark_count worker_noop_count worker_steal_count
        worker_steal_operations worker_poll_count worker_mean_poll_time worker_local_schedule_count worker_overflow_count
        worker_local_queue_depth
    };
    let (a, b, c, d) = (metrics.clone(), metrics.clone(), metrics.clone(), metrics.clone());
    let (e, f) = (metrics.clone(), metrics);
    cases.extend([
        case("poll_time_histogram_bucket_count of no worker", move || a.poll_time_histogram_bucket_count(1, 0)),
        case("poll_time_histogram_bucket_count of no bucket", move || {
            b.poll_time_histogram_bucket_count(0, usize::MAX)
        }),
        case("poll_time_histogram_bucket_range", move || c.poll_time_histogram_bucket_range(usize::MAX)),
        case("schedule_latency_histogram_bucket_count of no worker", move || {
            d.schedule_latency_histogram_bucket_count(1, 0)
        }),
        case("schedule_latency_histogram_bucket_count of no bucket", move || {
            e.schedule_latency_histogram_bucket_count(0, usize::MAX)
        }),
        case("schedule_latency_histogram_bucket_range", move || f.schedule_latency_histogram_bucket_range(usize::MAX)),
    ]);
    cases
}

/// Returns a runtime that has ended because a task panicked.
fn ended_by_a_panic() -> Runtime {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.unhandled_panic(UnhandledPanic::ShutdownRuntime).build().unwrap();
    drop(runtime.spawn(async { std::panic::resume_unwind(Box::new("without the hook")) }));
    runtime
}

fn waits() -> Vec<Case> {
    let inside = |wait: fn(&Runtime)| move || current_thread().block_on(async { wait(&workers(1)) });
    vec![
        case("Runtime::block_on in a block_on", inside(|runtime| runtime.block_on(async {}))),
        case("Handle::block_on in a block_on", inside(|runtime| runtime.handle().block_on(async {}))),
        case("LocalRuntime::block_on in a block_on", inside(|_| LocalRuntime::new().unwrap().block_on(async {}))),
        case("Drain::wait in a block_on", inside(|runtime| drop(runtime.drain(Duration::ZERO).wait()))),
        case("Resize::wait in a block_on", inside(|runtime| drop(runtime.resize(2).wait()))),
        case("block_in_place in a block_on", || current_thread().block_on(async { task::block_in_place(|| ()) })),
        case("Runtime::block_on after a task's panic", || ended_by_a_panic().block_on(pending::<()>())),
        case("Handle::block_on of a runtime that has ended", || {
            let runtime = Builder::new_current_thread().shutdown_grace(Duration::ZERO).build().unwrap();
            let handle = runtime.handle().clone();
            drop(runtime);
            handle.block_on(pending::<()>())
        }),
        case("Handle::current", || Handle::current()),
        case("task::id", || task::id()),
        case("JoinError::into_panic", || {
            let runtime = current_thread();
            let aborted = runtime.spawn(pending::<()>());
            aborted.abort();
            runtime.block_on(aborted).unwrap_err().into_panic()
        }),
    ]
}

/// Calls `f` inside of a runtime that is not local.
fn in_no_local_runtime<R>(f: impl FnOnce() -> R) -> R {
    let runtime = current_thread();
    let _guard = runtime.enter();
    f()
}

/// Calls `f` inside of a local runtime on a thread that is not its own. Its panic is resumed on
/// this thread.
fn on_another_thread(f: fn()) {
    let local = LocalRuntime::new().unwrap();
    let handle = local.handle().clone();
    let file = std::thread::spawn(move || {
        let _guard = handle.enter();
        catch_unwind(f).is_err().then(|| PANICKED.get()).flatten()
    });
    PANICKED.set(file.join().unwrap());
    std::panic::resume_unwind(Box::new("without the hook"));
}

fn spawns() -> Vec<Case> {
    let named = || task::Builder::new().name("named");
    vec![
        case("spawn", || heist::spawn(async {})),
        case("spawn_blocking", || task::spawn_blocking(|| ())),
        case("spawn_local", || task::spawn_local(async {})),
        case("spawn_local in a runtime that is not local", || in_no_local_runtime(|| task::spawn_local(async {}))),
        case("spawn_local on another thread", || on_another_thread(|| drop(task::spawn_local(async {})))),
        case("Builder::spawn", move || named().spawn(async {})),
        case("Builder::spawn_blocking", move || named().spawn_blocking(|| ())),
        case("Builder::spawn_local", move || named().spawn_local(async {})),
        case("Builder::spawn_local in a runtime that is not local", move || {
            in_no_local_runtime(|| named().spawn_local(async {}))
        }),
        case("HeistExecutor::execute", || hyper::rt::Executor::execute(&heist::hyper::HeistExecutor, async {})),
    ]
}

fn sets() -> Vec<Case> {
    let set = JoinSet::<()>::new;
    vec![
        case("JoinSet::spawn", move || set().spawn(async {})),
        case("JoinSet::spawn_blocking", move || set().spawn_blocking(|| ())),
        case("JoinSet::spawn_local", move || set().spawn_local(async {})),
        case("JoinSet::spawn_local in a runtime that is not local", move || {
            in_no_local_runtime(|| set().spawn_local(async {}))
        }),
        case("JoinSet::extend", move || set().extend([async {}])),
        case("JoinSet::from_iter", || JoinSet::from_iter([async {}])),
        case("join_set::Builder::spawn", move || set().build_task().name("named").spawn(async {})),
        case("join_set::Builder::spawn_blocking", move || set().build_task().spawn_blocking(|| ())),
    ]
}

fn locals() -> Vec<Case> {
    let inside = |f: fn()| move || NUMBER.sync_scope(1, || NUMBER.with(|_| f()));
    vec![
        case("LocalKey::with", || NUMBER.with(|_| ())),
        case("LocalKey::get", || NUMBER.get()),
        case("LocalKey::sync_scope in `with`", inside(|| NUMBER.sync_scope(2, || ()))),
        case("a scope that is polled in `with`", inside(|| is_polled_once(NUMBER.scope(2, async {})))),
        case("a scope that is polled after its end", || {
            let mut scope = pin!(NUMBER.scope(1, async {}));
            let cx = &mut Context::from_waker(Waker::noop());
            assert!(scope.as_mut().poll(cx).is_ready());
            scope.as_mut().poll(cx).is_ready()
        }),
    ]
}

fn times() -> Vec<Case> {
    vec![
        case("interval(0)", || interval(Duration::ZERO)),
        case("interval_at(_, 0)", || interval_at(Instant::now(), Duration::ZERO)),
        #[cfg(feature = "test-util")]
        case("start_paused(true) with workers", || Builder::new_multi_thread().start_paused(true).build()),
        #[cfg(feature = "test-util")]
        case("time::pause outside of a runtime", || heist::time::pause()),
        #[cfg(feature = "test-util")]
        case("time::pause twice", || current_thread().block_on(async { [heist::time::pause(), heist::time::pause()] })),
        #[cfg(feature = "test-util")]
        case("time::resume", || current_thread().block_on(async { heist::time::resume() })),
    ]
}

fn resources() -> Vec<Case> {
    let mut cases = vec![
        case("TcpListener::from_std", || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            TcpListener::from_std(listener)
        }),
        case("TcpStream::from_std", || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            stream.set_nonblocking(true).unwrap();
            TcpStream::from_std(stream)
        }),
        case("UdpSocket::from_std", || {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            UdpSocket::from_std(socket)
        }),
        case("TcpSocket::listen", || {
            let socket = heist::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket.listen(1)
        }),
    ];
    cases.extend(unix());
    cases
}

#[cfg(not(unix))]
fn unix() -> Vec<Case> {
    Vec::new()
}

#[cfg(unix)]
fn unix() -> Vec<Case> {
    use heist::io::Interest;
    use heist::io::unix::AsyncFd;
    use heist::net::unix::pipe;
    use heist::net::{UnixDatagram, UnixListener, UnixStream};
    use heist::signal::unix::{SignalKind, signal};

    let pair = || {
        let (one, two) = std::os::unix::net::UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        (one, two)
    };
    let path = |name: &str| std::env::temp_dir().join(format!("heist-caller-{name}-{}", std::process::id()));
    vec![
        case("signal", || signal(SignalKind::hangup()).map(drop)),
        case("AsyncFd::new", move || AsyncFd::new(pair().0).map(drop)),
        case("AsyncFd::with_interest", move || AsyncFd::with_interest(pair().0, Interest::READABLE).map(drop)),
        case("AsyncFd::try_new", move || AsyncFd::try_new(pair().0).map(drop)),
        case("AsyncFd::try_with_interest", move || AsyncFd::try_with_interest(pair().0, Interest::READABLE).map(drop)),
        case("UnixStream::from_std", move || UnixStream::from_std(pair().0)),
        case("UnixStream::pair", || UnixStream::pair()),
        case("UnixListener::bind", move || UnixListener::bind(path("listener"))),
        case("UnixDatagram::bind", move || UnixDatagram::bind(path("datagram"))),
        case("UnixDatagram::unbound", || UnixDatagram::unbound()),
        case("UnixDatagram::pair", || UnixDatagram::pair()),
        case("pipe", || pipe::pipe().map(drop)),
        case("AsyncFd of a runtime without I/O", move || {
            let runtime = Builder::new_current_thread().build().unwrap();
            let _guard = runtime.enter();
            AsyncFd::new(Arc::new(pair().0)).map(drop)
        }),
    ]
}
