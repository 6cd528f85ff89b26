//! The auto traits of the public types. They are a part of each contract, and a new field may lose
//! them.
//!
//! Each row has one letter for each auto trait: `S`end, s`Y`nc, `U`npin, un`W`indSafe,
//! `R`efUnwindSafe; and a dash where a type must not have it. Where Tokio has the same type, the
//! row has every letter that Tokio's has.

use std::cell::Cell;
use std::future::{Future, Ready};
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::rc::Rc;

use heist::task::JoinSet;

/// Stands for a type, or for the type of a value that is never created.
struct Probe<T: ?Sized>(PhantomData<T>);

fn probe<T>(_: fn() -> T) -> Probe<T> {
    Probe(PhantomData)
}

/// Stands for the value of a closure of which only the type is used.
fn never<T>() -> T {
    unreachable!("no value of a row is ever made")
}

/// Calls a method of `Probe` if the type has the trait, otherwise the trait method of the same name
/// that every type has.
macro_rules! asks {
    ($($method:ident: $trait:path, $absent:ident;)*) => {
        $(
            trait $absent {
                fn $method(&self) -> bool {
                    false
                }
            }
            impl<T: ?Sized> $absent for Probe<T> {}
            impl<T: ?Sized + $trait> Probe<T> {
                fn $method(&self) -> bool {
                    true
                }
            }
        )*
    };
}

asks! {
    is_send: Send, NotSend;
    is_sync: Sync, NotSync;
    is_unpin: Unpin, NotUnpin;
    is_unwind_safe: UnwindSafe, NotUnwindSafe;
    is_ref_unwind_safe: RefUnwindSafe, NotRefUnwindSafe;
}

/// The letters of a row.
macro_rules! letters {
    ($probe:expr) => {{
        let probe = $probe;
        let has = [
            (probe.is_send(), 'S'),
            (probe.is_sync(), 'Y'),
            (probe.is_unpin(), 'U'),
            (probe.is_unwind_safe(), 'W'),
            (probe.is_ref_unwind_safe(), 'R'),
        ];
        has.map(|(has, letter)| if has { letter } else { '-' }).into_iter().collect::<String>()
    }};
}

/// Compares types with their letters.
macro_rules! types {
    ($($type:ty => $letters:literal;)*) => {
        same(&[$((stringify!($type), letters!(probe(never::<$type>)), $letters)),*])
    };
}

/// Compares futures with their letters, only the first two of them. The other three depend on what
/// a function keeps between two polls.
macro_rules! futures {
    ($($future:expr => $letters:literal;)*) => {
        same(&[$((stringify!($future), letters!(probe(|| $future))[..2].to_owned(), $letters)),*])
    };
}

#[track_caller]
fn same(rows: &[(&str, String, &str)]) {
    let wrong = rows.iter().filter(|(_, has, expected)| has != expected);
    let wrong: Vec<_> = wrong.map(|(what, has, expected)| format!("{what}: {has}, not {expected}")).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

type Both = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;
type Sent = Pin<Box<dyn Future<Output = ()> + Send>>;
type Kept = Pin<Box<dyn Future<Output = ()>>>;

#[test]
fn types_macro_distinguishes_each_trait() {
    types! {
        u8 => "SYUWR";
        Cell<u8> => "S-UW-";
        Rc<u8> => "--UWR";
        std::marker::PhantomPinned => "SY-WR";
        &'static mut u8 => "SYU-R";
    }
}

#[test]
fn types_of_runtime_have_their_auto_traits() {
    use heist::runtime::*;

    types! {
        Runtime => "SYUWR";
        Handle => "SYUWR";
        LocalRuntime => "--UWR";
        LocalOptions => "--UWR";
        EnterGuard<'static> => "-YUWR";
        TryCurrentError => "SYUWR";
        Builder => "SYU--";
        RuntimeFlavor => "SYUWR";
        RuntimeMetrics => "SYUWR";
        Id => "SYUWR";
        UnhandledPanic => "SYUWR";
        TaskMeta<'static> => "SYUWR";
        HistogramConfiguration => "SYUWR";
        InvalidHistogramConfiguration => "SYUWR";
        LogHistogram => "SYUWR";
        LogHistogramBuilder => "SYUWR";
        Drain => "SYUWR";
        Draining => "SYUWR";
        DrainReport => "SYUWR";
        Straggler => "SYUWR";
        Resize => "SYU--";
        Resized => "SYUWR";
        WorkerMeta => "SYUWR";
        // The errors of the operating system are not unwind safe.
        ResizeError => "SYU--";
        SpawnError<Both> => "SYU--";
        SpawnError<Ready<()>> => "SYUWR";
        StallReport => "SYUWR";
        StallCause => "SYUWR";
        Dump => "SYUWR";
        WorkerDump => "SYUWR";
        WorkerState => "SYUWR";
        RuntimePhase => "SYUWR";
        TaskDump => "SYUWR";
        TaskState => "SYUWR";
        Activity => "SYUWR";
    }
}

#[test]
fn types_of_task_have_their_auto_traits() {
    use heist::task::coop::{Coop, RestoreOnPending, Unconstrained};
    use heist::task::*;

    types! {
        JoinHandle<u8> => "SYUWR";
        // The output is moved out, and never read.
        JoinHandle<Cell<u8>> => "SYUWR";
        JoinHandle<Rc<u8>> => "--UWR";
        JoinSet<u8> => "SYUWR";
        JoinSet<Cell<u8>> => "SYUWR";
        JoinSet<Rc<u8>> => "--UWR";
        join_set::Builder<'static, u8> => "SYU-R";
        Builder<'static> => "SYUWR";
        AbortHandle => "SYUWR";
        JoinError => "SYUWR";
        Id => "SYUWR";
        AccessError => "SYUWR";
        LocalKey<u8> => "SYUWR";
        LocalKey<Cell<u8>> => "SYUWR";
        LocalKey<Rc<u8>> => "SYUWR";
        TaskLocalFuture<u8, Both> => "SYU--";
        TaskLocalFuture<Cell<u8>, Both> => "S-U--";
        TaskLocalFuture<Rc<u8>, Both> => "--U--";
        TaskLocalFuture<u8, Sent> => "S-U--";
        TaskLocalFuture<u8, Kept> => "--U--";
        RestoreOnPending => "--UW-";
        Coop<Both> => "SYU--";
        Coop<Sent> => "S-U--";
        Coop<Kept> => "--U--";
        Coop<Ready<()>> => "SYUWR";
        Unconstrained<Both> => "SYU--";
        Unconstrained<Sent> => "S-U--";
        Unconstrained<Kept> => "--U--";
        Unconstrained<Ready<()>> => "SYUWR";
    }
}

#[test]
fn futures_of_task_have_their_auto_traits() {
    use heist::task::{coop, yield_now};

    futures! {
        never::<JoinSet<u8>>().join_all() => "SY";
        never::<JoinSet<Cell<u8>>>().join_all() => "S-";
        never::<JoinSet<Rc<u8>>>().join_all() => "--";
        never::<&mut JoinSet<u8>>().join_next() => "SY";
        never::<&mut JoinSet<Cell<u8>>>().join_next() => "SY";
        never::<&mut JoinSet<Rc<u8>>>().join_next() => "--";
        never::<&mut JoinSet<Cell<u8>>>().join_next_with_id() => "SY";
        never::<&mut JoinSet<Rc<u8>>>().join_next_with_id() => "--";
        never::<&mut JoinSet<Cell<u8>>>().shutdown() => "SY";
        never::<&mut JoinSet<Rc<u8>>>().shutdown() => "--";
        coop::consume_budget() => "SY";
        yield_now() => "SY";
    }
}

#[test]
fn types_of_time_have_their_auto_traits() {
    use heist::time::*;

    types! {
        Sleep => "SY---";
        Timeout<Both> => "SY---";
        Timeout<Sent> => "S----";
        Timeout<Kept> => "-----";
        Interval => "SYU--";
        Instant => "SYUWR";
        MissedTickBehavior => "SYUWR";
        error::Elapsed => "SYUWR";
    }
    futures! {
        never::<&mut Interval>().tick() => "SY";
    }
}

#[test]
fn types_of_net_have_their_auto_traits() {
    use std::net::SocketAddr;

    use heist::io::{Interest, Ready};
    use heist::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, lookup_host, tcp};

    types! {
        TcpListener => "SYUWR";
        TcpSocket => "SYUWR";
        TcpStream => "SYUWR";
        UdpSocket => "SYUWR";
        tcp::OwnedReadHalf => "SYUWR";
        tcp::OwnedWriteHalf => "SYUWR";
        tcp::ReadHalf<'static> => "SYUWR";
        tcp::WriteHalf<'static> => "SYUWR";
        tcp::ReuniteError => "SYUWR";
        Interest => "SYUWR";
        Ready => "SYUWR";
    }
    futures! {
        TcpListener::bind(never::<SocketAddr>()) => "SY";
        TcpStream::connect(never::<SocketAddr>()) => "SY";
        UdpSocket::bind(never::<SocketAddr>()) => "SY";
        lookup_host(never::<SocketAddr>()) => "SY";
        never::<TcpSocket>().connect(never()) => "SY";
        never::<&TcpListener>().accept() => "SY";
        never::<&TcpStream>().readable() => "SY";
        never::<&TcpStream>().ready(never()) => "SY";
        never::<&TcpStream>().peek(never()) => "SY";
        never::<&UdpSocket>().send_to(never(), never::<SocketAddr>()) => "SY";
        never::<&UdpSocket>().recv_from(never()) => "SY";
    }
}

#[cfg(unix)]
#[test]
fn types_of_unix_net_have_their_auto_traits() {
    use std::os::fd::{AsRawFd, RawFd};

    use heist::io::unix::{AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard, AsyncFdRegisterError, TryIoError};
    use heist::net::unix::{self, pipe};
    use heist::net::{UnixDatagram, UnixListener, UnixSocket, UnixStream};
    use heist::signal::unix::{Signal, SignalKind};

    struct Fd<T>(PhantomData<T>);

    impl<T> AsRawFd for Fd<T> {
        fn as_raw_fd(&self) -> RawFd {
            unreachable!("no value of a row is ever made")
        }
    }

    types! {
        UnixDatagram => "SYUWR";
        UnixListener => "SYUWR";
        UnixSocket => "SYUWR";
        UnixStream => "SYUWR";
        unix::OwnedReadHalf => "SYUWR";
        unix::OwnedWriteHalf => "SYUWR";
        unix::ReadHalf<'static> => "SYUWR";
        unix::WriteHalf<'static> => "SYUWR";
        unix::ReuniteError => "SYUWR";
        unix::SocketAddr => "SYUWR";
        unix::UCred => "SYUWR";
        pipe::OpenOptions => "SYUWR";
        pipe::Sender => "SYUWR";
        pipe::Receiver => "SYUWR";
        AsyncFd<Fd<u8>> => "SYUWR";
        AsyncFd<Fd<Cell<u8>>> => "S-UW-";
        AsyncFd<Fd<Rc<u8>>> => "--UWR";
        AsyncFdReadyGuard<'static, Fd<u8>> => "SYUWR";
        AsyncFdReadyGuard<'static, Fd<Cell<u8>>> => "--U--";
        AsyncFdReadyGuard<'static, Fd<Rc<u8>>> => "--UWR";
        AsyncFdReadyMutGuard<'static, Fd<u8>> => "SYU-R";
        AsyncFdReadyMutGuard<'static, Fd<Cell<u8>>> => "S-U--";
        AsyncFdReadyMutGuard<'static, Fd<Rc<u8>>> => "--U-R";
        AsyncFdRegisterError<Fd<u8>> => "SYU--";
        AsyncFdRegisterError<Fd<Cell<u8>>> => "S-U--";
        AsyncFdRegisterError<Fd<Rc<u8>>> => "--U--";
        TryIoError => "SYUWR";
        Signal => "SYU--";
        SignalKind => "SYUWR";
    }
    futures! {
        never::<&AsyncFd<Fd<u8>>>().readable() => "SY";
        never::<&AsyncFd<Fd<Cell<u8>>>>().readable() => "--";
        never::<&mut AsyncFd<Fd<u8>>>().readable_mut() => "SY";
        never::<&mut AsyncFd<Fd<Cell<u8>>>>().readable_mut() => "S-";
        never::<&mut AsyncFd<Fd<Rc<u8>>>>().readable_mut() => "--";
        UnixStream::connect(never::<&str>()) => "SY";
        never::<UnixSocket>().connect(never::<&str>()) => "SY";
        never::<&UnixDatagram>().recv(never()) => "SY";
        never::<&pipe::Receiver>().readable() => "SY";
        never::<&mut Signal>().recv() => "SY";
        heist::signal::ctrl_c() => "SY";
    }
}

#[test]
fn types_for_hyper_have_their_auto_traits() {
    types! {
        heist::hyper::HeistExecutor => "SYUWR";
        heist::hyper::HeistTimer => "SYUWR";
    }
}
