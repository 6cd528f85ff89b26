//! Wakers that timers, sockets, descriptors and signals store, and closures about descriptors.

use std::future::poll_fn;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use heist::io::Interest;
use heist::io::unix::AsyncFd;
use heist::net::UnixDatagram;
use heist::signal::unix::{Signal, SignalKind, signal};
use heist::time::{Sleep, sleep};

use super::super::stage::{Evil, Stage, contain};
use super::Place;
use super::waits::{poll_evil, poll_noop};
use crate::wakers::Call;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(1);

fn armed(stage: &Stage, duration: Duration, call: Call) -> Pin<Box<Sleep>> {
    let mut sleep = Box::pin(sleep(duration));
    poll_evil(stage, sleep.as_mut(), call);
    sleep
}

/// A socket whose readers wait, and its peer.
fn sockets() -> (Arc<UnixDatagram>, UnixDatagram) {
    let (one, two) = UnixDatagram::pair().unwrap();
    (Arc::new(one), two)
}

/// Polls for readiness in the slot of the socket.
fn poll_slot(socket: &UnixDatagram, waker: &Waker) {
    // A fresh socket seems ready until an operation finds that it is not.
    assert!(socket.try_recv(&mut [0]).is_err());
    contain(|| _ = socket.poll_recv_ready(&mut Context::from_waker(waker)));
}

/// Polls a listener.
fn poll_signal(listener: &mut Signal, waker: &Waker) {
    contain(|| _ = listener.poll_recv(&mut Context::from_waker(waker)));
}

fn raise() {
    // SAFETY: no memory is passed. The signal goes to this thread, whose process has a handler for
    // it.
    assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
}

fn listener() -> Signal {
    signal(SignalKind::user_defined1()).unwrap()
}

/// A descriptor whose methods are user code.
struct EvilFd(std::os::unix::net::UnixDatagram, Evil, bool);

impl AsRawFd for EvilFd {
    fn as_raw_fd(&self) -> RawFd {
        if !self.2 {
            self.1.run();
        }
        self.0.as_raw_fd()
    }
}

impl Drop for EvilFd {
    fn drop(&mut self) {
        if self.2 {
            self.1.run();
        }
    }
}

fn evil_fd(evil: Evil, at_drop: bool) -> EvilFd {
    let (one, _) = std::os::unix::net::UnixDatagram::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    EvilFd(one, evil, at_drop)
}

pub(crate) const PLACES: &[Place] = &[
    Place::new("clone of a timer's waker", |stage| {
        Box::pin(async move { stage.keep_value(armed(&stage, LONG, Call::Clone)) })
    }),
    Place::new("wake of a timer's waker", |stage| {
        Box::pin(async move {
            // If this thread is preempted, the time passes before the first poll, and no waker is
            // kept.
            let sleep = loop {
                let mut sleep = Box::pin(sleep(SHORT));
                if !poll_evil(&stage, sleep.as_mut(), Call::Wake) {
                    break sleep;
                }
            };
            stage.begun.opened().await;
            stage.keep_value(sleep);
        })
    }),
    Place::new("wake of a timer's waker at the end", |stage| {
        Box::pin(async move { stage.keep_value(armed(&stage, LONG, Call::Wake)) })
    })
    .at_end(),
    Place::new("destructor of a timer's waker that is replaced", |stage| {
        Box::pin(async move {
            let mut sleep = armed(&stage, LONG, Call::Drop);
            poll_noop(sleep.as_mut());
            stage.keep_value(sleep);
        })
    }),
    Place::new("destructor of a timer's waker at its reset", |stage| {
        Box::pin(async move {
            let mut sleep = armed(&stage, LONG, Call::Drop);
            contain(|| sleep.as_mut().reset(heist::time::Instant::now()));
            poll_noop(sleep.as_mut());
            contain(|| drop(sleep));
        })
    }),
    Place::new("destructor of a timer's waker with the timer", |stage| {
        Box::pin(async move {
            let sleep = armed(&stage, LONG, Call::Drop);
            contain(|| drop(sleep));
        })
    }),
    Place::new("clone of a waker in a socket's slot", |stage| {
        Box::pin(async move {
            let (socket, peer) = sockets();
            stage.with_evil_waker(Call::Clone, |waker| poll_slot(&socket, waker));
            stage.keep_value((socket, peer));
        })
    }),
    Place::new("wake of a waker in a socket's slot", |stage| {
        Box::pin(async move {
            let (socket, peer) = sockets();
            stage.with_evil_waker(Call::Wake, |waker| poll_slot(&socket, waker));
            peer.send(b"x").await.unwrap();
            stage.begun.opened().await;
            stage.keep_value((socket, peer));
        })
    }),
    Place::new("wake of a waker in a socket's slot at the end", |stage| {
        Box::pin(async move {
            let (socket, peer) = sockets();
            stage.with_evil_waker(Call::Wake, |waker| poll_slot(&socket, waker));
            stage.keep_value((socket, peer));
        })
    })
    .at_end(),
    Place::new("destructor of a waker in a socket's slot, replaced", |stage| {
        Box::pin(async move {
            let (socket, peer) = sockets();
            stage.with_evil_waker(Call::Drop, |waker| poll_slot(&socket, waker));
            poll_slot(&socket, Waker::noop());
            stage.keep_value((socket, peer));
        })
    }),
    Place::new("destructor of a waker in a socket's slot, with the socket", |stage| {
        Box::pin(async move {
            let (socket, peer) = sockets();
            stage.with_evil_waker(Call::Drop, |waker| poll_slot(&socket, waker));
            contain(|| drop(socket));
            drop(peer);
        })
    }),
    Place::new("clone of a waker that waits for readiness", |stage| {
        Box::pin(async move {
            let (socket, peer) = sockets();
            let waits = Arc::clone(&socket);
            let mut ready = Box::pin(async move { drop(waits.readable().await) });
            poll_evil(&stage, ready.as_mut(), Call::Clone);
            stage.keep_value((ready, socket, peer));
        })
    }),
    Place::new("wake of a waker that waits for readiness", |stage| {
        Box::pin(async move {
            let (socket, peer) = sockets();
            let waits = Arc::clone(&socket);
            let mut ready = Box::pin(async move { drop(waits.readable().await) });
            poll_evil(&stage, ready.as_mut(), Call::Wake);
            peer.send(b"x").await.unwrap();
            stage.begun.opened().await;
            stage.keep_value((ready, socket, peer));
        })
    }),
    Place::new("destructor of a waker that waits for readiness, replaced", |stage| {
        Box::pin(async move {
            let (socket, peer) = sockets();
            let waits = Arc::clone(&socket);
            let mut ready = Box::pin(async move { drop(waits.readable().await) });
            poll_evil(&stage, ready.as_mut(), Call::Drop);
            poll_noop(ready.as_mut());
            stage.keep_value((ready, socket, peer));
        })
    }),
    Place::new("destructor of a waker that waits for readiness, with the wait", |stage| {
        Box::pin(async move {
            let (socket, peer) = sockets();
            let waits = Arc::clone(&socket);
            let mut ready = Box::pin(async move { drop(waits.readable().await) });
            poll_evil(&stage, ready.as_mut(), Call::Drop);
            contain(|| drop(ready));
            stage.keep_value((socket, peer));
        })
    }),
    Place::new("clone of a signal listener's waker", |stage| {
        Box::pin(async move {
            let mut listener = listener();
            stage.with_evil_waker(Call::Clone, |waker| poll_signal(&mut listener, waker));
            stage.keep_value(listener);
        })
    }),
    Place::new("wake of a signal listener's waker", |stage| {
        Box::pin(async move {
            let mut listener = listener();
            stage.with_evil_waker(Call::Wake, |waker| poll_signal(&mut listener, waker));
            raise();
            stage.begun.opened().await;
            stage.keep_value(listener);
        })
    }),
    Place::new("destructor of a signal listener's waker, replaced", |stage| {
        Box::pin(async move {
            let mut listener = listener();
            stage.with_evil_waker(Call::Drop, |waker| poll_signal(&mut listener, waker));
            poll_signal(&mut listener, Waker::noop());
            stage.keep_value(listener);
        })
    }),
    Place::new("destructor of a signal listener's waker, with the listener", |stage| {
        Box::pin(async move {
            let mut listener = listener();
            stage.with_evil_waker(Call::Drop, |waker| poll_signal(&mut listener, waker));
            contain(|| drop(listener));
        })
    }),
    Place::new("closure of try_io", |stage| {
        Box::pin(async move {
            let (socket, peer) = sockets();
            peer.send(b"x").await.unwrap();
            socket.readable().await.unwrap();
            let evil = stage.armed();
            stage.spawn(async move {
                socket.try_io(Interest::READABLE, || {
                    evil.run();
                    Ok(())
                })
            });
        })
    }),
    Place::new("closure of async_io", |stage| {
        Box::pin(async move {
            let (socket, _peer) = sockets();
            let evil = stage.armed();
            stage.spawn(async move {
                let written = socket.async_io(Interest::WRITABLE, || {
                    evil.run();
                    Ok(())
                });
                written.await
            });
        })
    }),
    Place::new("as_raw_fd of a descriptor", |stage| {
        Box::pin(async move {
            let evil = stage.armed();
            stage.spawn(async move { drop(AsyncFd::new(evil_fd(evil, false))) });
        })
    }),
    Place::new("destructor of a descriptor", |stage| {
        Box::pin(async move {
            let evil = stage.armed();
            let fd = AsyncFd::new(evil_fd(evil, true)).unwrap();
            stage.spawn(poll_fn(move |_| {
                let _ = &fd;
                Poll::Ready(())
            }));
        })
    }),
];
