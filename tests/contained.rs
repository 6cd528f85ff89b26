//! User code panics where the runtime calls it between two steps of its own. The runtime takes the
//! second step nonetheless.

#[path = "support/kit.rs"]
mod kit;
#[path = "support/wakers.rs"]
mod wakers;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use std::{io, thread};

#[cfg(unix)]
use heist::net::UnixStream;
use heist::runtime::{Builder, Handle, is_rt_shutdown_err};
use kit::{Count, Door, Flag, current_thread, poll_once, yield_now};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use wakers::{Call, fragile, scripted};

const LONG: Duration = Duration::from_secs(3600);

/// Panics at each event of the runtime.
struct Panics;

impl<S: tracing::Subscriber> Layer<S> for Panics {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target().starts_with("heist::") {
            panic!("in a subscriber (planned)");
        }
    }
}

/// Calls `f` under a subscriber that panics. Returns None if the panic reaches the caller.
fn under_panics<R>(f: impl FnOnce() -> R) -> Option<R> {
    let subscriber = tracing_subscriber::registry().with(Panics);
    tracing::subscriber::with_default(subscriber, || catch_unwind(AssertUnwindSafe(f)).ok())
}

#[test]
fn spawn_that_is_refused_under_a_subscriber_that_panics_returns_a_cancelled_handle() {
    let closed = current_thread().handle().clone();
    let task = under_panics(|| closed.spawn(async {})).expect("the panic is contained");
    assert!(kit::join(task).unwrap_err().is_cancelled());
    // A second refusal within a second is not logged.
    let job = under_panics(|| closed.spawn_blocking(|| ())).expect("the panic is contained");
    assert!(kit::join(job).unwrap_err().is_cancelled());
}

/// On 32 bits, the address space has room for the largest stack.
#[test]
#[cfg(target_pointer_width = "64")]
fn spawn_blocking_that_gets_no_thread_under_a_subscriber_that_panics_counts_the_job_out() {
    // No thread has a stack of this size.
    let runtime = Builder::new_current_thread().thread_stack_size(usize::MAX / 4).build().unwrap();
    let job = under_panics(|| runtime.spawn_blocking(|| ())).expect("the panic is contained");
    assert!(kit::join(job).unwrap_err().is_cancelled());
    let report = runtime.drain(Duration::ZERO).wait();
    assert_eq!((report.unnamed, report.stragglers.len()), (0, 0), "{report}");
}

#[test]
fn drain_without_deadline_thread_under_a_panicking_subscriber_wakes_draining_futures() {
    let refuse = |seat| (seat == usize::MAX).then(|| io::Error::from(io::ErrorKind::WouldBlock));
    let runtime = Builder::new_current_thread().refuse_worker(refuse).build().unwrap();
    let told = Flag::new();
    let mut draining = runtime.draining();
    let waker = Waker::from(Arc::clone(&told));
    assert!(Future::poll(Pin::new(&mut draining), &mut Context::from_waker(&waker)).is_pending());
    let drain = under_panics(|| runtime.drain(LONG));
    assert_eq!((drain.is_some(), told.is_set()), (true, true));
}

#[test]
fn drain_that_is_dropped_with_a_waker_whose_destructor_panics_exempts_no_task() {
    let runtime = current_thread();
    let (other, go, dropped) = (Door::new(), Door::new(), Door::new());
    let first = runtime.spawn(other.opened());
    let (goes, drops) = (go.opened(), dropped.clone());
    let second = runtime.spawn(async move {
        let mut drain = Handle::current().drain(LONG);
        let (waker, count) = fragile(Call::Drop);
        assert!(Future::poll(Pin::new(&mut drain), &mut Context::from_waker(&waker)).is_pending());
        let _ = catch_unwind(AssertUnwindSafe(|| drop(drain)));
        assert_eq!(count.get(), 1);
        drops.open();
        goes.await;
    });
    runtime.block_on(dropped.opened());
    other.open();
    runtime.block_on(first).unwrap();
    // If the second task were still exempt, the drain would be at its end.
    let mut drain = runtime.drain(LONG);
    runtime.block_on(async {
        for _ in 0..10 {
            yield_now().await;
            assert!(poll_once(&mut drain).is_pending());
        }
    });
    go.open();
    assert_eq!(runtime.block_on(drain).completed, 2);
    assert!(second.is_finished());
}

/// The driver is announced as a sleeper when its root is ready, and has just been granted a
/// wake-up.
#[test]
fn on_thread_unpark_that_panics_as_block_on_returns_leaves_no_search_counted() {
    let (waker, armed) = (Arc::new(Mutex::new(None::<Waker>)), Arc::new(AtomicBool::new(false)));
    let (waits, panics) = (Arc::clone(&waker), Arc::clone(&armed));
    let runtime = Builder::new_current_thread()
        .on_thread_park(move || {
            let waker = waits.lock().unwrap().take();
            waker.into_iter().for_each(Waker::wake);
        })
        .on_thread_unpark(move || {
            if panics.swap(false, Ordering::SeqCst) {
                panic!("in a hook (planned)");
            }
        })
        .build()
        .unwrap();
    let mut polls = 0;
    let root = poll_fn(|cx| {
        polls += 1;
        if polls == 1 {
            *waker.lock().unwrap() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        thread::scope(|scope| drop(scope.spawn(|| drop(runtime.spawn(async {})))));
        armed.store(true, Ordering::SeqCst);
        Poll::Ready(())
    });
    runtime.block_on(root);
    assert!(!armed.load(Ordering::SeqCst), "the hook has panicked");

    // A driver that sleeps is still woken for what comes from outside.
    let (by_task, at_all) = (Door::new(), Door::new());
    thread::scope(|scope| {
        let driver = scope.spawn(|| runtime.block_on(at_all.opened()));
        while runtime.metrics().worker_park_unpark_count(0) % 2 == 0 {
            thread::yield_now();
        }
        let (opens, ends) = (by_task.clone(), at_all.clone());
        runtime.spawn(async move {
            opens.open();
            ends.open();
        });
        let begun = Instant::now();
        while !driver.is_finished() && begun.elapsed() < Duration::from_secs(5) {
            thread::yield_now();
        }
        at_all.open();
    });
    assert!(by_task.is_open(), "the task was run before its driver was woken by the test");
}

/// The runtime goes while the waker is cloned, so the clone is not needed; and its destructor
/// panics.
#[cfg(unix)]
#[test]
fn socket_whose_runtime_ends_under_a_waker_whose_destructor_panics_answers_the_error() {
    type ReadinessPoll = fn(&UnixStream, &mut Context<'_>) -> Poll<io::Result<()>>;
    let readiness_polls: [ReadinessPoll; 2] =
        [|socket, cx| socket.poll_read_ready(cx), |socket, cx| pin!(socket.readable()).poll(cx)];
    for readiness_poll in readiness_polls {
        let runtime = current_thread();
        let (socket, _other) = runtime.block_on(async { UnixStream::pair() }).unwrap();
        let (slot, drops) = (Mutex::new(Some(runtime)), Count::new());
        let counted = drops.clone();
        let waker = scripted(move |call| match call {
            Call::Clone => drop(slot.lock().unwrap().take()),
            Call::Drop if counted.add() == 1 => panic!("in a waker (planned)"),
            _ => {}
        });
        let polled = catch_unwind(AssertUnwindSafe(|| readiness_poll(&socket, &mut Context::from_waker(&waker))));
        let Ok(Poll::Ready(Err(error))) = polled else { panic!("{polled:?}") };
        assert!(is_rt_shutdown_err(&error), "{error}");
        assert_eq!(drops.get(), 1);
    }
}

#[cfg(unix)]
mod signals {
    use heist::signal::unix::{Signal, SignalKind, signal};

    use super::*;

    /// When this returns, the handler has run on this thread.
    fn raise(kind: SignalKind) {
        // SAFETY: no memory is passed, and the signal has a handler.
        assert_eq!(unsafe { libc::raise(kind.as_raw_value()) }, 0);
    }

    /// Polls the listener. Returns None if the poll panics.
    fn poll(signal: &mut Signal, waker: &Waker) -> Option<Poll<Option<()>>> {
        catch_unwind(AssertUnwindSafe(|| signal.poll_recv(&mut Context::from_waker(waker)))).ok()
    }

    #[test]
    fn signal_whose_waker_panics_in_clone_receives_the_next_signal() {
        let runtime = current_thread();
        let _guard = runtime.enter();
        let mut listener = signal(SignalKind::user_defined1()).unwrap();
        let (waker, clones) = fragile(Call::Clone);
        assert_eq!((poll(&mut listener, &waker), clones.get()), (None, 1));
        assert_eq!(poll(&mut listener, &waker), Some(Poll::Pending));
        raise(SignalKind::user_defined1());
        assert_eq!(poll(&mut listener, &waker), Some(Poll::Ready(Some(()))));
    }

    #[test]
    fn signal_whose_waker_panics_in_its_destructor_is_received_once() {
        let runtime = current_thread();
        let _guard = runtime.enter();
        let mut listener = signal(SignalKind::user_defined2()).unwrap();
        let (waker, drops) = fragile(Call::Drop);
        assert_eq!(poll(&mut listener, &waker), Some(Poll::Pending));
        raise(SignalKind::user_defined2());
        // The destructor runs in the poll that finds the signal, and may end it.
        let heard = poll(&mut listener, Waker::noop()).or_else(|| poll(&mut listener, Waker::noop()));
        assert_eq!((heard, drops.get()), (Some(Poll::Ready(Some(()))), 1));
        assert_eq!(poll(&mut listener, Waker::noop()), Some(Poll::Pending));
    }
}

/// A worker that panics outside of any task ends the process, whatever the subscriber does.
#[cfg(unix)]
#[test]
fn worker_that_panics_under_a_subscriber_that_panics_aborts_the_process() {
    aborts("worker_that_panics_under_a_subscriber_that_panics_aborts_the_process", || {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Panics)).unwrap();
        panic!("in a hook (planned)")
    });
}

/// The same if the payload cannot be dropped.
#[cfg(unix)]
#[test]
fn worker_that_panics_with_a_payload_that_panics_aborts_the_process() {
    struct PanicsInDrop;

    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("in a payload (planned)");
        }
    }

    let test = "worker_that_panics_with_a_payload_that_panics_aborts_the_process";
    aborts(test, || std::panic::panic_any(PanicsInDrop));
}

/// Runs the test of this name in a process of its own, where `hook` ends a worker's thread. Asserts
/// that the process aborts.
#[cfg(unix)]
fn aborts(test: &str, hook: fn()) {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    const MARK: &str = "HEIST_TEST_ABORTS";
    if std::env::var_os(MARK).is_some() {
        let _runtime = Builder::new_multi_thread().worker_threads(1).on_thread_start(hook).build();
        // The abort comes from the worker's thread.
        std::thread::sleep(Duration::from_secs(10));
        std::process::exit(0);
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args([test, "--exact", "--test-threads", "1"]).env(MARK, "yes").output().unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{}", String::from_utf8_lossy(&output.stderr));
}
