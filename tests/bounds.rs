//! What may be sent, shared, moved and caught: part of every type's contract, and easily lost by a new field.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use heist::runtime::{
    Builder, DrainReport, Dump, EnterGuard, Handle, Id, Resize, Runtime, RuntimeMetrics, StallReport,
};
use heist::task::{self, AbortHandle, JoinError, JoinHandle, JoinSet};
use heist::time::{Instant, Interval, Sleep, Timeout};

fn everywhere<T: Send + Sync + Unpin>() {}
fn sent<T: Send + Sync>() {}
fn shared<T: Sync>() {}
fn caught<T: UnwindSafe + RefUnwindSafe>() {}

#[test]
fn runtimes() {
    everywhere::<(Runtime, Handle, Builder, RuntimeMetrics, Id)>();
    everywhere::<(Resize, DrainReport, Dump, StallReport)>();
    everywhere::<(heist::runtime::Drain, heist::runtime::Draining)>();
    caught::<(Runtime, Handle, heist::runtime::LocalRuntime)>();
    shared::<EnterGuard<'static>>();
}

#[test]
fn tasks() {
    everywhere::<(JoinHandle<String>, AbortHandle, JoinError, JoinSet<String>, task::Id)>();
    caught::<(JoinHandle<String>, AbortHandle)>();
    // Also with an output that cannot be shared: it is taken out, never looked at.
    everywhere::<JoinHandle<std::cell::Cell<u8>>>();
}

#[test]
fn times() {
    sent::<(Sleep, Timeout<std::future::Ready<()>>)>();
    everywhere::<(Interval, Instant, Duration)>();
}

#[test]
fn sockets() {
    use heist::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, tcp};

    everywhere::<(TcpListener, TcpSocket, TcpStream, UdpSocket)>();
    everywhere::<(tcp::OwnedReadHalf, tcp::OwnedWriteHalf, tcp::ReadHalf<'static>, tcp::WriteHalf<'static>)>();
    caught::<(TcpListener, TcpStream, UdpSocket)>();
}

#[cfg(unix)]
#[test]
fn sockets_of_unix() {
    use heist::io::unix::AsyncFd;
    use heist::net::unix::pipe;
    use heist::net::{UnixDatagram, UnixListener, UnixStream};

    everywhere::<(UnixDatagram, UnixListener, UnixStream, pipe::Sender, pipe::Receiver)>();
    everywhere::<(AsyncFd<std::fs::File>, heist::signal::unix::Signal)>();
}
