//! Signals. Each test has a kind of its own, because the tests share a process.
#![cfg(unix)]

#[path = "support/kit.rs"]
mod kit;
#[path = "support/sockets.rs"]
mod sockets;

use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;

use heist::signal::unix::{Signal, SignalKind, signal};
use kit::{alone, current_thread, each, each_owned, panic_text, workers};
use sockets::once;

/// Raises a signal on this thread. Its handler has run when this returns.
fn raise(kind: SignalKind) {
    // SAFETY: no memory is passed. The signal goes to this thread, whose process has a handler for
    // it.
    assert_eq!(unsafe { libc::raise(kind.as_raw_value()) }, 0);
}

/// Sends a signal to this process, as another process does. Any thread runs its handler, perhaps
/// after this has returned.
fn send(kind: SignalKind) {
    // SAFETY: no memory is passed. The signal goes to this process, which has a handler for it.
    assert_eq!(unsafe { libc::kill(std::process::id() as libc::pid_t, kind.as_raw_value()) }, 0);
}

async fn has_received(signal: &mut Signal) -> bool {
    once(pin!(signal.recv())).await.is_ready()
}

#[test]
fn listener_receives_one_signal_after_the_other() {
    each(|runtime| {
        runtime.block_on(async {
            let mut listener = signal(SignalKind::user_defined1()).unwrap();
            for _ in 0..3 {
                assert!(!has_received(&mut listener).await);
                send(SignalKind::user_defined1());
                assert_eq!(listener.recv().await, Some(()));
            }
        });
    });
}

#[test]
fn listener_receives_many_signals_between_two_polls_as_one() {
    current_thread().block_on(async {
        let kind = SignalKind::user_defined2();
        let mut listener = signal(kind).unwrap();
        let mut late = signal(kind).unwrap();
        for _ in 0..10 {
            raise(kind);
        }
        assert_eq!(listener.recv().await, Some(()));
        assert!(!has_received(&mut listener).await);
        assert_eq!(poll_fn(|cx| late.poll_recv(cx)).await, Some(()), "kept for a listener that had not polled");
        // A listener receives only the signals that come after its creation.
        let mut fresh = signal(kind).unwrap();
        assert!(!has_received(&mut fresh).await);
    });
}

#[test]
fn listeners_of_the_kind_receive_the_signal_and_no_others() {
    each(|runtime| {
        runtime.block_on(async {
            let mut other = signal(SignalKind::alarm()).unwrap();
            let (ready, begun) = async_channel::unbounded();
            let tasks: Vec<_> = (0..20)
                .map(|_| {
                    let ready = ready.clone();
                    heist::spawn(async move {
                        let mut listener = signal(SignalKind::io()).unwrap();
                        ready.send(()).await.unwrap();
                        listener.recv().await
                    })
                })
                .collect();
            for _ in 0..20 {
                begun.recv().await.unwrap();
            }
            raise(SignalKind::io());
            for task in tasks {
                assert_eq!(task.await.unwrap(), Some(()));
            }
            assert!(!has_received(&mut other).await);
        });
    });
}

#[test]
fn listeners_of_all_runtimes_receive_the_signal() {
    let kind = SignalKind::window_change();
    let runtimes = [current_thread(), workers(1), workers(2), current_thread()];
    let (ready, begun) = mpsc::channel();
    thread::scope(|scope| {
        let listening: Vec<_> = runtimes
            .iter()
            .map(|runtime| {
                let ready = ready.clone();
                scope.spawn(move || {
                    runtime.block_on(async {
                        let mut listener = signal(kind).unwrap();
                        ready.send(()).unwrap();
                        for _ in 0..2 {
                            assert_eq!(listener.recv().await, Some(()));
                            ready.send(()).unwrap();
                        }
                    });
                })
            })
            .collect();
        for _ in 0..3 {
            // All listeners have begun, or have received the last signal, before the next one.
            (0..runtimes.len()).for_each(|_| begun.recv().unwrap());
            raise(kind);
        }
        listening.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn signal_from_another_thread_wakes_a_sleeping_runtime() {
    each(|runtime| {
        let kind = SignalKind::quit();
        runtime.block_on(async {
            let mut listener = signal(kind).unwrap();
            let raising = thread::spawn(move || raise(kind));
            assert_eq!(listener.recv().await, Some(()));
            raising.join().unwrap();
        });
    });
}

#[test]
fn receive_cancelled_loses_no_signal() {
    current_thread().block_on(async {
        let kind = SignalKind::hangup();
        let mut listener = signal(kind).unwrap();
        {
            let mut receive = pin!(listener.recv());
            assert!(once(receive.as_mut()).await.is_pending());
            raise(kind);
        }
        assert_eq!(listener.recv().await, Some(()));
    });
}

#[test]
fn signal_without_listeners_keeps_no_default_effect() {
    alone("signal_without_listeners_keeps_no_default_effect", None, || {
        let kind = SignalKind::user_defined2();
        let runtime = current_thread();
        drop(runtime.block_on(async { signal(kind).unwrap() }));
        raise(kind); // by default, it would end the process
        drop(runtime);
        raise(kind);
        // A new listener receives it again.
        current_thread().block_on(async {
            let mut listener = signal(kind).unwrap();
            assert!(!has_received(&mut listener).await);
            raise(kind);
            assert_eq!(listener.recv().await, Some(()));
        });
    });
}

#[test]
fn ctrl_c_waits_for_an_interrupt() {
    each(|runtime| {
        runtime.block_on(async {
            let mut waiting = pin!(heist::signal::ctrl_c());
            assert!(once(waiting.as_mut()).await.is_pending());
            raise(SignalKind::interrupt());
            waiting.await.unwrap();
        });
    });
}

#[test]
fn listener_of_a_dropped_runtime_returns_none_each_time() {
    each_owned(|runtime| {
        let kind = SignalKind::child();
        let mut listener = runtime.block_on(async { signal(kind).unwrap() });
        let waiting = thread::spawn(move || {
            let heard = futures::executor::block_on(listener.recv());
            (listener, heard)
        });
        let handle = runtime.handle().clone();
        drop(runtime);
        let (mut listener, heard) = waiting.join().unwrap();
        assert_eq!(heard, None);
        for _ in 0..2 {
            assert_eq!(futures::executor::block_on(listener.recv()), None);
        }
        drop(listener);
        let _guard = handle.enter();
        assert!(signal(kind).unwrap_err().to_string().contains("shut down"));
        futures::executor::block_on(heist::signal::ctrl_c()).unwrap_err();
    });
}

#[test]
fn listener_works_on_a_foreign_executor() {
    let runtime = workers(1);
    let _guard = runtime.enter();
    let kind = SignalKind::from_raw(libc::SIGURG);
    futures::executor::block_on(async {
        let mut listener = signal(kind).unwrap();
        raise(kind);
        assert_eq!(listener.recv().await, Some(()));
    });
}

#[test]
fn signal_kind_that_is_forbidden_or_unknown_is_an_error() {
    current_thread().block_on(async {
        for number in [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, -1, 1000] {
            let error = signal(SignalKind::from_raw(number)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{number}: {error}");
        }
        // The numbers are within bounds, but are no signals. Nothing of the first call is kept,
        // also if the runtime has another listener.
        let _other = signal(SignalKind::alarm()).unwrap();
        for number in [100, 100, 0, 0] {
            signal(SignalKind::from_raw(number)).unwrap_err();
        }
    });
    let text = panic_text(|| signal(SignalKind::user_defined1()));
    assert!(text.contains("no heist runtime is running on this thread"), "{text}");
}

/// Many signals reach a process while other listeners come and go. A listener that stays receives
/// the last one.
#[test]
fn listener_receives_the_last_of_many_signals() {
    each(|runtime| {
        let kind = SignalKind::from_raw(libc::SIGCONT);
        runtime.block_on(async {
            let mut steady = signal(kind).unwrap();
            let raising = thread::spawn(move || (0..2_000).for_each(|_| raise(kind)));
            let passing = heist::spawn(async move {
                for _ in 0..100 {
                    let mut listener = signal(kind).unwrap();
                    let _ = poll_fn(|cx| Poll::Ready(pin!(listener.recv()).poll(cx).is_ready())).await;
                    heist::task::yield_now().await;
                }
            });
            assert_eq!(steady.recv().await, Some(()));
            raising.join().unwrap();
            passing.await.unwrap();
            // However many were merged, one more signal is received.
            while has_received(&mut steady).await {}
            raise(kind);
            assert_eq!(steady.recv().await, Some(()));
        });
    });
}

#[test]
fn signal_kinds_have_the_numbers_of_the_system() {
    assert_eq!(SignalKind::from(libc::SIGTERM), SignalKind::terminate());
    assert_eq!(libc::c_int::from(SignalKind::interrupt()), libc::SIGINT);
    assert_eq!(SignalKind::pipe().as_raw_value(), libc::SIGPIPE);
}
