//! Any file descriptor: waiting, clearing readiness, interests, converting back.
#![cfg(unix)]

#[path = "support/kit.rs"]
mod kit;
#[path = "support/sockets.rs"]
mod sockets;

use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use heist::io::unix::AsyncFd;
use heist::io::{Interest, Ready};
use kit::{Count, current_thread, each, panic_text};
use sockets::once;

fn pair() -> (UnixStream, UnixStream) {
    let (one, two) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    two.set_nonblocking(true).unwrap();
    (one, two)
}

fn fill(mut socket: &UnixStream) {
    while socket.write(&[0; 4096]).is_ok() {}
}

fn drain(mut socket: &UnixStream) {
    while socket.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
}

#[test]
fn guard_of_an_operation_that_would_block_waits_again() {
    each(|runtime| {
        runtime.block_on(async {
            let (reader, writer) = pair();
            let reader = Arc::new(AsyncFd::new(reader).unwrap());
            let task = heist::spawn({
                let reader = Arc::clone(&reader);
                async move {
                    let (mut got, mut waits) = (0, 0);
                    while got < 300 {
                        let mut guard = reader.readable().await.unwrap();
                        waits += 1;
                        while let Ok(result) = guard.try_io(|reader| reader.get_ref().read(&mut [0; 7])) {
                            got += result.unwrap();
                        }
                    }
                    waits
                }
            });
            for _ in 0..3 {
                (&writer).write_all(&[0; 100]).unwrap();
                heist::task::yield_now().await;
            }
            let waits = task.await.unwrap();
            assert!((1..=10).contains(&waits), "{waits} waits for three writes");
        });
    });
}

#[test]
fn async_fd_readiness_lasts_until_it_is_cleared() {
    current_thread().block_on(async {
        let (reader, writer) = pair();
        let mut reader = AsyncFd::new(reader).unwrap();
        (&writer).write_all(b"x").unwrap();
        for _ in 0..2 {
            let mut guard = reader.readable().await.unwrap();
            assert_eq!(guard.ready(), Ready::READABLE);
            guard.retain_ready();
        }
        drain(reader.get_ref());
        let mut guard = reader.readable().await.unwrap();
        guard.clear_ready_matching(Ready::WRITABLE);
        guard.clear_ready_matching(Ready::READABLE);
        assert!(once(pin!(reader.readable())).await.is_pending());
        (&writer).write_all(b"y").unwrap();
        let mut guard = reader.readable_mut().await.unwrap();
        assert_eq!(guard.get_inner_mut().read(&mut [0; 8]).unwrap(), 1);
        guard.clear_ready();
        assert!(guard.get_mut().try_io_mut(Interest::READABLE, |socket| socket.read(&mut [0; 8])).is_err());
    });
}

#[test]
fn guard_clear_keeps_an_event_that_came_since() {
    current_thread().block_on(async {
        let (reader, writer) = pair();
        let reader = AsyncFd::new(reader).unwrap();
        (&writer).write_all(b"x").unwrap();
        let mut stale = reader.readable().await.unwrap();
        drain(reader.get_ref());
        (&writer).write_all(b"y").unwrap();
        // The second event is delivered before the guard of the first is used.
        let (other, peer) = pair();
        let other = AsyncFd::new(other).unwrap();
        (&peer).write_all(b"!").unwrap();
        drop(other.readable().await.unwrap());
        stale.clear_ready();
        reader.readable().await.unwrap().retain_ready();
    });
}

#[test]
fn async_fd_any_number_of_tasks_wait_and_each_poll_method_has_its_slot() {
    each(|runtime| {
        runtime.block_on(async {
            let (reader, writer) = pair();
            let fd = Arc::new(AsyncFd::new(reader).unwrap());
            let ready = Count::new();
            let tasks: Vec<_> = (0..10)
                .map(|n| {
                    let (fd, ready) = (Arc::clone(&fd), ready.clone());
                    heist::spawn(async move {
                        if n == 0 {
                            poll_fn(|cx| fd.poll_read_ready(cx).map_ok(drop)).await.unwrap();
                        } else {
                            drop(fd.readable().await.unwrap());
                        }
                        ready.add();
                    })
                })
                .collect();
            poll_fn(|cx| fd.poll_write_ready(cx).map_ok(drop)).await.unwrap();
            (&writer).write_all(b"x").unwrap();
            futures::future::join_all(tasks).await.into_iter().for_each(Result::unwrap);
            assert_eq!(ready.get(), 10);
        });
    });
}

#[test]
fn async_fd_writers_wait_for_room() {
    current_thread().block_on(async {
        let (writer, reader) = pair();
        let mut writer = AsyncFd::with_interest(writer, Interest::WRITABLE).unwrap();
        let mut guard = writer.writable().await.unwrap();
        fill(guard.get_inner());
        guard.clear_ready();
        {
            let mut waiting = pin!(writer.async_io(Interest::WRITABLE, |mut socket| socket.write(b"x")));
            assert!(once(waiting.as_mut()).await.is_pending());
            drain(&reader);
            assert_eq!(waiting.await.unwrap(), 1);
        }
        let mut guard = writer.writable_mut().await.unwrap();
        assert!(guard.ready().is_writable() && guard.get_ref().get_ref().as_raw_fd() == guard.get_inner().as_raw_fd());
        assert_eq!(guard.try_io(|fd| fd.get_mut().write(b"y")).unwrap().unwrap(), 1);
        drop(guard);
        assert_eq!(writer.async_io_mut(Interest::WRITABLE, |socket| socket.write(b"z")).await.unwrap(), 1);
        assert!(
            poll_fn(|cx| writer.poll_write_ready_mut(cx).map_ok(|guard| guard.ready().is_writable())).await.unwrap()
        );
    });
}

#[test]
fn async_fd_is_not_ready_for_an_interest_it_does_not_have() {
    current_thread().block_on(async {
        let (one, two) = pair();
        let fd = AsyncFd::with_interest(one, Interest::READABLE).unwrap();
        (&two).write_all(b"x").unwrap();
        let guard = fd.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap();
        assert_eq!(guard.ready(), Ready::READABLE);
        assert!(once(pin!(fd.writable())).await.is_pending());
        let error = fd.try_io(Interest::WRITABLE, |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn async_fd_into_inner_returns_the_resource_for_a_new_registration() {
    current_thread().block_on(async {
        let (one, two) = pair();
        for _ in 0..3 {
            let fd = AsyncFd::new(one.try_clone().unwrap()).unwrap();
            assert_eq!(fd.as_fd().as_raw_fd(), fd.as_raw_fd());
            (&two).write_all(b"x").unwrap();
            drop(fd.readable().await.unwrap());
            assert_eq!(fd.into_inner().read(&mut [0; 8]).unwrap(), 1);
        }
        // The same descriptor again: `into_inner` has deregistered it.
        let fd = AsyncFd::new(one).unwrap();
        let fd = AsyncFd::new(fd.into_inner()).unwrap();
        (&two).write_all(b"x").unwrap();
        drop(fd.readable().await.unwrap());
    });
}

#[test]
fn async_fd_of_an_ordinary_file_is_refused_and_gives_it_back() {
    current_thread().block_on(async {
        let file = || std::fs::File::open("Cargo.toml").unwrap();
        assert_eq!(AsyncFd::new(file()).map(drop).unwrap_err().kind(), ErrorKind::PermissionDenied);
        let error = AsyncFd::try_new(file()).map(drop).unwrap_err();
        assert!(error.to_string().contains("could not be registered"), "{error}");
        let (mut file, cause) = error.into_parts();
        assert_eq!(cause.kind(), ErrorKind::PermissionDenied);
        assert_eq!(file.read(&mut [0; 8]).unwrap(), 8);
        // SAFETY: the file owns its descriptor, and keeps it open.
        let error = unsafe { AsyncFd::register_with_interest(file, Interest::READABLE) }.map(drop).unwrap_err();
        let _: io::Error = error.into();
    });
}

#[cfg(target_os = "linux")]
#[test]
fn async_fd_of_a_timerfd_ticks() {
    use std::os::fd::{FromRawFd, OwnedFd};
    current_thread().block_on(async {
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        assert!(fd >= 0);
        let every = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        let setting = libc::itimerspec { it_interval: every, it_value: every };
        // SAFETY: the setting outlives the call.
        assert_eq!(unsafe { libc::timerfd_settime(fd, 0, &raw const setting, std::ptr::null_mut()) }, 0);
        // SAFETY: the descriptor is open, and nothing else owns it.
        let timer = AsyncFd::new(std::fs::File::from(unsafe { OwnedFd::from_raw_fd(fd) })).unwrap();
        let mut ticks = 0;
        while ticks < 5 {
            let mut count = [0; 8];
            timer.async_io(Interest::READABLE, |mut timer| timer.read(&mut count)).await.unwrap();
            ticks += u64::from_ne_bytes(count);
        }
    });
}

#[test]
fn async_fd_outside_of_a_runtime_panics() {
    let text = panic_text(|| AsyncFd::new(pair().0));
    assert!(text.contains("no heist runtime is running on this thread"), "{text}");
}

/// Returns two descriptors that are ready to be read. The driver has reported the same readiness of
/// both, so their snapshots are equal.
async fn two_readable() -> ([AsyncFd<UnixStream>; 2], [UnixStream; 2]) {
    let ((one, to_one), (two, to_two)) = (pair(), pair());
    (&to_one).write_all(b"x").unwrap();
    (&to_two).write_all(b"y").unwrap();
    let [one, two] = [one, two].map(|socket| AsyncFd::with_interest(socket, Interest::READABLE).unwrap());
    for fd in [&one, &two] {
        fd.readable().await.unwrap().retain_ready();
    }
    ([one, two], [to_one, to_two])
}

async fn is_readable(fd: &AsyncFd<UnixStream>) -> bool {
    once(pin!(fd.readable())).await.is_ready()
}

#[test]
fn mut_guard_clear_after_swap_leaves_both_ready() {
    each(|runtime| {
        runtime.block_on(async {
            let ([mut one, mut two], _peers) = two_readable().await;
            let mut guard = one.readable_mut().await.unwrap();
            std::mem::swap(guard.get_mut(), &mut two);
            guard.clear_ready();
            assert!(is_readable(&one).await, "the descriptor swapped in was not waited for");
            assert!(is_readable(&two).await, "the descriptor swapped out was not tried");
        });
    });
}

#[test]
fn mut_guard_try_io_after_swap_leaves_both_ready() {
    each(|runtime| {
        runtime.block_on(async {
            let ([mut one, mut two], _peers) = two_readable().await;
            let mut guard = one.readable_mut().await.unwrap();
            let tried = guard.try_io(|fd| {
                std::mem::swap(fd, &mut two);
                Err::<(), _>(ErrorKind::WouldBlock.into())
            });
            assert!(tried.is_err());
            assert!(is_readable(&one).await && is_readable(&two).await);
        });
    });
}

#[test]
fn mut_guard_clear_after_swap_to_and_fro_clears() {
    each(|runtime| {
        runtime.block_on(async {
            let ([mut one, mut two], _peers) = two_readable().await;
            drain(one.get_ref());
            let mut guard = one.readable_mut().await.unwrap();
            std::mem::swap(guard.get_mut(), &mut two);
            std::mem::swap(guard.get_mut(), &mut two);
            guard.clear_ready();
            assert!(!is_readable(&one).await);
            assert!(is_readable(&two).await);
        });
    });
}

#[test]
fn mut_guard_clear_after_replacement_leaves_the_new_one_ready() {
    each(|runtime| {
        runtime.block_on(async {
            let ([mut one, two], _peers) = two_readable().await;
            let mut guard = one.readable_mut().await.unwrap();
            // The first one is dropped.
            *guard.get_mut() = two;
            guard.clear_ready();
            assert!(is_readable(&one).await);
        });
    });
}

/// Its constant is true if `T` is `AsFd`: the inherent one takes precedence over that of the trait.
struct Probe<T>(PhantomData<T>);

trait Otherwise {
    const IS_AS_FD: bool = false;
}

impl<T> Otherwise for Probe<T> {}

impl<T: AsFd> Probe<T> {
    const IS_AS_FD: bool = true;
}

#[test]
fn async_fd_as_fd_is_there_if_the_resource_has_it() {
    struct Number;
    impl AsRawFd for Number {
        fn as_raw_fd(&self) -> RawFd {
            0
        }
    }
    // A bare number proves nothing: its descriptor may have been closed.
    assert_eq!([Probe::<AsyncFd<RawFd>>::IS_AS_FD, Probe::<AsyncFd<Number>>::IS_AS_FD], [false; 2]);
    assert_eq!([Probe::<AsyncFd<OwnedFd>>::IS_AS_FD, Probe::<AsyncFd<Arc<UnixStream>>>::IS_AS_FD], [true; 2]);
}

#[test]
fn async_fd_of_a_number_waits_and_has_the_number() {
    current_thread().block_on(async {
        let (one, two) = pair();
        let fd = AsyncFd::new(one.as_raw_fd()).unwrap();
        assert_eq!(fd.as_raw_fd(), one.as_raw_fd());
        (&two).write_all(b"x").unwrap();
        drop(fd.readable().await.unwrap());
        assert_eq!(fd.into_inner(), one.as_raw_fd());
    });
}

#[test]
fn async_fd_guards_have_the_auto_traits() {
    use std::panic::RefUnwindSafe;

    use heist::io::unix::{AsyncFdReadyGuard, AsyncFdReadyMutGuard};
    fn is<T: Send + Sync + Unpin + RefUnwindSafe>() {}
    is::<AsyncFdReadyGuard<'_, UnixStream>>();
    is::<AsyncFdReadyMutGuard<'_, UnixStream>>();
}

/// What was waited for and is named is cleared, and nothing else.
macro_rules! clears_what_is_named {
    ($ready:ident) => {
        let both = Interest::READABLE | Interest::WRITABLE;
        for (waited_for, cleared, left) in [
            (both, Ready::READABLE, [false, true]),
            (both, Ready::WRITABLE, [true, false]),
            (both, Ready::ALL, [false, false]),
            (Interest::READABLE, Ready::ALL, [false, true]),
            (Interest::WRITABLE, Ready::ALL, [true, false]),
            (Interest::READABLE, Ready::WRITABLE, [true, true]),
        ] {
            let (socket, peer) = pair();
            (&peer).write_all(b"x").unwrap();
            #[allow(unused_mut, reason = "one of the two methods needs it")]
            let mut fd = AsyncFd::new(socket).unwrap();
            drop((fd.readable().await.unwrap(), fd.writable().await.unwrap()));
            let mut guard = fd.$ready(waited_for).await.unwrap();
            guard.clear_ready_matching(cleared);
            drop(guard);
            let is_ready = [once(pin!(fd.readable())).await.is_ready(), once(pin!(fd.writable())).await.is_ready()];
            assert_eq!(is_ready, left, "{waited_for:?}, {cleared:?}");
        }
    };
}

#[test]
fn guards_clear_the_readiness_that_is_named() {
    current_thread().block_on(async {
        clears_what_is_named!(ready);
        clears_what_is_named!(ready_mut);
    });
}

/// A socket whose flush gives these errors first.
struct Flushed {
    socket: UnixStream,
    errors: Vec<io::ErrorKind>,
    flushes: usize,
}

impl Read for Flushed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.read_vectored(bufs)
    }
}

impl Write for Flushed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.socket.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.socket.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushes += 1;
        self.errors.pop().map_or(Ok(()), |error| Err(error.into()))
    }
}

impl AsRawFd for Flushed {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Reads, writes, flushes and shuts down by one family's traits.
macro_rules! works_by_family {
    ($write:path, $end:ident, $poll_read:expr) => {{
        use $write as Writing;
        let (socket, mut peer) = pair();
        let mut fd = AsyncFd::new(Flushed { socket, errors: Vec::new(), flushes: 0 }).unwrap();
        let mut buf = [0; 4];
        assert!(poll_fn(|cx| Poll::Ready($poll_read(&mut fd, cx, &mut buf).is_pending())).await);
        peer.write_all(b"abcde").unwrap();
        assert_eq!(poll_fn(|cx| $poll_read(&mut fd, cx, &mut buf)).await.unwrap(), 4);
        assert_eq!(&buf, b"abcd");
        assert_eq!(poll_fn(|cx| $poll_read(&mut fd, cx, &mut buf)).await.unwrap(), 1);
        assert!(poll_fn(|cx| Poll::Ready($poll_read(&mut fd, cx, &mut buf).is_pending())).await);
        let slices = [io::IoSlice::new(b"de"), io::IoSlice::new(b"f")];
        assert_eq!(poll_fn(|cx| Writing::poll_write(Pin::new(&mut fd), cx, b"abc")).await.unwrap(), 3);
        assert_eq!(poll_fn(|cx| Writing::poll_write_vectored(Pin::new(&mut fd), cx, &slices)).await.unwrap(), 3);
        let mut six = [0; 6];
        peer.set_nonblocking(false).unwrap();
        peer.read_exact(&mut six).unwrap();
        assert_eq!(&six, b"abcdef");
        // A flush that would block is tried again. Any other error ends it.
        fd.get_mut().errors = vec![io::ErrorKind::BrokenPipe, io::ErrorKind::WouldBlock];
        let error = poll_fn(|cx| Writing::poll_flush(Pin::new(&mut fd), cx)).await.unwrap_err();
        assert_eq!((error.kind(), fd.get_ref().flushes), (io::ErrorKind::BrokenPipe, 2));
        poll_fn(|cx| Writing::poll_flush(Pin::new(&mut fd), cx)).await.unwrap();
        assert_eq!(fd.get_ref().flushes, 3);
        // A shutdown flushes, and leaves the descriptor open.
        fd.get_mut().errors = vec![io::ErrorKind::BrokenPipe];
        poll_fn(|cx| Writing::$end(Pin::new(&mut fd), cx)).await.unwrap_err();
        poll_fn(|cx| Writing::$end(Pin::new(&mut fd), cx)).await.unwrap();
        assert_eq!(fd.get_ref().flushes, 5);
        peer.set_nonblocking(true).unwrap();
        assert_eq!(peer.read(&mut six).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }};
}

#[test]
fn async_fd_works_by_the_traits_of_both_families() {
    each(|runtime| {
        runtime.block_on(async {
            let by_tokio = |fd: &mut AsyncFd<Flushed>, cx: &mut Context<'_>, buf: &mut [u8]| {
                let mut room = tokio::io::ReadBuf::new(buf);
                let polled = tokio::io::AsyncRead::poll_read(Pin::new(fd), cx, &mut room);
                polled.map_ok(|()| room.filled().len())
            };
            works_by_family!(tokio::io::AsyncWrite, poll_shutdown, by_tokio);
            let by_futures = |fd: &mut AsyncFd<Flushed>, cx: &mut Context<'_>, buf: &mut [u8]| {
                futures::io::AsyncRead::poll_read(Pin::new(fd), cx, buf)
            };
            works_by_family!(futures::io::AsyncWrite, poll_close, by_futures);
            let by_slices = |fd: &mut AsyncFd<Flushed>, cx: &mut Context<'_>, buf: &mut [u8]| {
                let (front, back) = buf.split_at_mut(1);
                let slices = &mut [io::IoSliceMut::new(front), io::IoSliceMut::new(back)];
                futures::io::AsyncRead::poll_read_vectored(Pin::new(fd), cx, slices)
            };
            works_by_family!(futures::io::AsyncWrite, poll_close, by_slices);
        });
    });
}
