//! Signals. Each test has a kind of its own: they share a process.
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

fn raise(kind: SignalKind) {
    // SAFETY: no memory is passed; to this process, in which the signal has a handler.
    assert_eq!(unsafe { libc::kill(std::process::id() as libc::pid_t, kind.as_raw_value()) }, 0);
}

async fn heard(signal: &mut Signal) -> bool {
    once(pin!(signal.recv())).await.is_ready()
}

#[test]
fn a_listener_hears_signal_after_signal() {
    each(|runtime| {
        runtime.block_on(async {
            let mut listener = signal(SignalKind::user_defined1()).unwrap();
            for _ in 0..3 {
                assert!(!heard(&mut listener).await);
                raise(SignalKind::user_defined1());
                assert_eq!(listener.recv().await, Some(()));
            }
        });
    });
}

#[test]
fn many_signals_between_two_looks_are_one() {
    current_thread().block_on(async {
        let kind = SignalKind::user_defined2();
        let mut listener = signal(kind).unwrap();
        let mut late = signal(kind).unwrap();
        for _ in 0..10 {
            raise(kind);
        }
        assert_eq!(listener.recv().await, Some(()));
        assert!(!heard(&mut listener).await);
        assert_eq!(poll_fn(|cx| late.poll_recv(cx)).await, Some(()), "kept for who had not looked");
        // A listener hears only of what comes after it.
        let mut fresh = signal(kind).unwrap();
        assert!(!heard(&mut fresh).await);
    });
}

#[test]
fn every_listener_of_a_kind_hears_and_no_other() {
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
            assert!(!heard(&mut other).await);
        });
    });
}

#[test]
fn every_runtime_hears() {
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
            // All have begun, and then all have heard, before the next.
            (0..runtimes.len()).for_each(|_| begun.recv().unwrap());
            raise(kind);
        }
        listening.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_signal_from_another_thread_wakes_a_sleeping_runtime() {
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
fn a_cancelled_receive_loses_nothing() {
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
fn a_signal_without_listeners_stays_without_its_default_effect() {
    alone("a_signal_without_listeners_stays_without_its_default_effect", None, || {
        let kind = SignalKind::user_defined2();
        let runtime = current_thread();
        drop(runtime.block_on(async { signal(kind).unwrap() }));
        raise(kind); // would end the process
        drop(runtime);
        raise(kind);
        // And it can be listened for again.
        current_thread().block_on(async {
            let mut listener = signal(kind).unwrap();
            assert!(!heard(&mut listener).await);
            raise(kind);
            assert_eq!(listener.recv().await, Some(()));
        });
    });
}

#[test]
fn ctrl_c_is_an_interrupt() {
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
fn a_listener_whose_runtime_is_gone_hears_no_more_each_time() {
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
fn a_listener_works_on_a_foreign_executor() {
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
fn what_cannot_be_listened_for_is_an_error() {
    current_thread().block_on(async {
        for number in [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, -1, 1000] {
            let error = signal(SignalKind::from_raw(number)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{number}: {error}");
        }
        // A number within bounds that is no signal.
        signal(SignalKind::from_raw(100)).unwrap_err();
        signal(SignalKind::from_raw(0)).unwrap_err();
    });
    let text = panic_text(|| signal(SignalKind::user_defined1()));
    assert!(text.contains("no heist runtime is running on this thread"), "{text}");
}

/// Signals rain on a process whose listeners come and go; each listener that stays hears of the
/// last.
#[test]
fn a_rain_of_signals_is_heard_to_its_last() {
    each(|runtime| {
        let kind = SignalKind::from_raw(libc::SIGCONT);
        runtime.block_on(async {
            let mut steady = signal(kind).unwrap();
            let raining = thread::spawn(move || (0..2_000).for_each(|_| raise(kind)));
            let passing = heist::spawn(async move {
                for _ in 0..100 {
                    let mut listener = signal(kind).unwrap();
                    let _ = poll_fn(|cx| Poll::Ready(pin!(listener.recv()).poll(cx).is_ready())).await;
                    heist::task::yield_now().await;
                }
            });
            assert_eq!(steady.recv().await, Some(()));
            raining.join().unwrap();
            passing.await.unwrap();
            // Whatever was merged: one more signal is heard.
            while heard(&mut steady).await {}
            raise(kind);
            assert_eq!(steady.recv().await, Some(()));
        });
    });
}

#[test]
fn kinds_have_the_systems_numbers() {
    assert_eq!(SignalKind::from(libc::SIGTERM), SignalKind::terminate());
    assert_eq!(libc::c_int::from(SignalKind::interrupt()), libc::SIGINT);
    assert_eq!(SignalKind::pipe().as_raw_value(), libc::SIGPIPE);
}
