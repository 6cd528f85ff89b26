//! I/O objects on foreign executors inside of an `enter` guard, and after their runtime has been
//! dropped.

#[path = "support/kit.rs"]
mod kit;
#[path = "support/sockets.rs"]
mod sockets;

use std::future::{Future, poll_fn};
use std::{io, thread};

use futures::executor::{LocalPool, block_on};
use futures::task::LocalSpawnExt;
use heist::net::UdpSocket;
use kit::{each_owned, workers};
use sockets::{tcp_pair, udp_pair};

/// Exchanges bytes over each kind of connection.
async fn exchange() {
    let (mut one, mut two) = tcp_pair().await;
    let (mut buf, block) = (vec![0; 1 << 20], vec![7; 1 << 20]);
    let (wrote, read) = futures::join!(one.write_all(&block), two.read_exact(&mut buf));
    wrote.unwrap();
    assert_eq!(read.unwrap(), block.len());
    let (one, two) = udp_pair().await;
    let (received, sent) = futures::join!(two.recv(&mut buf), one.send(b"udp"));
    assert_eq!((sent.unwrap(), received.unwrap()), (3, 3));
    #[cfg(unix)]
    unix::exchange(&block, &mut buf).await;
}

#[cfg(unix)]
mod unix {
    use heist::io::unix::AsyncFd;
    use heist::net::unix::pipe;
    use heist::net::{UnixDatagram, UnixStream};

    pub(crate) async fn exchange(block: &[u8], buf: &mut [u8]) {
        let (mut one, mut two) = UnixStream::pair().unwrap();
        let (wrote, read) = futures::join!(one.write_all(block), two.read_exact(buf));
        wrote.unwrap();
        read.unwrap();
        let (one, two) = UnixDatagram::pair().unwrap();
        let (received, sent) = futures::join!(two.recv(buf), one.send(b"message"));
        assert_eq!((sent.unwrap(), received.unwrap()), (7, 7));
        let (mut sender, mut receiver) = pipe::pipe().unwrap();
        let (wrote, read) = futures::join!(sender.write_all(block), receiver.read_exact(buf));
        wrote.unwrap();
        read.unwrap();
        let (one, two) = std::os::unix::net::UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        let one = AsyncFd::new(one).unwrap();
        let (ready, _) = futures::join!(one.readable(), async { std::io::Write::write(&mut (&two), b"x") });
        ready.unwrap().retain_ready();
    }
}

#[test]
fn sockets_work_on_a_foreign_block_on() {
    let runtime = workers(1);
    let _guard = runtime.enter();
    block_on(exchange());
}

#[test]
fn sockets_work_on_a_foreign_local_pool() {
    let runtime = workers(2);
    let _guard = runtime.enter();
    let mut pool = LocalPool::new();
    for _ in 0..4 {
        pool.spawner().spawn_local(exchange()).unwrap();
    }
    pool.run();
}

#[test]
fn sockets_work_on_foreign_threads_that_enter_for_each_poll() {
    let runtime = workers(1);
    let handle = runtime.handle().clone();
    // The threads are not inside of the runtime. Each poll is.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut exchange = Box::pin(exchange());
                block_on(poll_fn(|cx| {
                    let _guard = handle.enter();
                    exchange.as_mut().poll(cx)
                }));
            });
        }
    });
}

fn gone<T: std::fmt::Debug>(result: io::Result<T>) {
    let error = result.unwrap_err();
    assert!(error.to_string().contains("has been shut down"), "{error}");
}

#[test]
fn udp_sockets_of_a_dropped_runtime_give_an_error_each_time() {
    each_owned(|runtime| {
        let (one, two) = runtime.block_on(udp_pair());
        let (to, handle) = (two.local_addr().unwrap(), runtime.handle().clone());
        let waiting = thread::spawn(move || {
            gone(block_on(two.recv(&mut [0; 4])));
            two
        });
        drop(runtime);
        let two = waiting.join().unwrap();
        let mut buf = [0; 4];
        block_on(async {
            for _ in 0..2 {
                gone(one.send(b"x").await);
                gone(one.send_to(b"x", to).await);
                gone(two.recv(&mut buf).await);
                gone(two.recv_from(&mut buf).await);
                gone(two.peek(&mut buf).await);
                gone(two.peek_from(&mut buf).await);
                gone(two.peek_sender().await);
                gone(two.readable().await);
                gone(one.writable().await);
                gone(one.try_send(b"x"));
                gone(two.try_recv(&mut buf));
                gone(poll_fn(|cx| one.poll_send(cx, b"x")).await);
                gone(poll_fn(|cx| two.poll_recv(cx, &mut buf)).await);
            }
        });
        let _guard = handle.enter();
        gone(UdpSocket::from_std(one.into_std().unwrap()));
        gone(block_on(UdpSocket::bind("127.0.0.1:0")));
    });
}

#[cfg(unix)]
#[test]
fn unix_sockets_and_pipes_of_a_dropped_runtime_give_an_error_each_time() {
    use heist::io::unix::AsyncFd;
    use heist::net::unix::pipe;
    use heist::net::{UnixDatagram, UnixListener, UnixStream};
    let folder = sockets::Folder::new("gone");
    each_owned(|runtime| {
        let path = folder.path("socket");
        let _ = std::fs::remove_file(&path);
        let handle = runtime.handle().clone();
        let guard = handle.enter();
        let listener = UnixListener::bind(&path).unwrap();
        let (mut one, mut two) = UnixStream::pair().unwrap();
        let (first, second) = UnixDatagram::pair().unwrap();
        let (mut sender, mut receiver) = pipe::pipe().unwrap();
        let (std, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        std.set_nonblocking(true).unwrap();
        let mut fd = AsyncFd::new(std).unwrap();
        drop(guard);
        // There are bytes to read. They must not hide the error.
        let written = [one.try_write(b"x"), first.try_send(b"x"), sender.try_write(b"x")];
        assert!(written.iter().all(Result::is_ok), "{written:?}");
        drop(runtime);
        let mut buf = [0; 4];
        block_on(async {
            for _ in 0..2 {
                gone(listener.accept().await);
                gone(poll_fn(|cx| listener.poll_accept(cx)).await);
                gone(one.write(b"x").await);
                gone(one.write_all(b"x").await);
                gone(two.read(&mut buf).await);
                gone(two.read_exact(&mut buf).await);
                gone(two.read_to_end(&mut Vec::new()).await);
                gone(two.read_to_string(&mut String::new()).await);
                gone(two.readable().await);
                gone(one.try_write(b"x"));
                gone(two.try_read(&mut buf));
                gone(first.send(b"x").await);
                gone(second.recv(&mut buf).await);
                gone(second.recv_from(&mut buf).await);
                gone(first.send_to(b"x", &path).await);
                gone(second.readable().await);
                gone(sender.write(b"x").await);
                gone(receiver.read(&mut buf).await);
                gone(receiver.readable().await);
                gone(sender.writable().await);
                gone(fd.readable().await);
                gone(fd.writable_mut().await);
                gone(poll_fn(|cx| fd.poll_read_ready(cx).map_ok(drop)).await);
                gone(fd.try_io(heist::io::Interest::READABLE, |_| Ok(())));
                gone(fd.async_io(heist::io::Interest::READABLE, |_| Ok(())).await);
            }
        });
        let _guard = handle.enter();
        gone(UnixStream::pair());
        gone(UnixDatagram::unbound());
        gone(pipe::pipe());
        gone(AsyncFd::new(fd.into_inner()).map(drop));
        gone(block_on(UnixStream::connect(&path)));
    });
}
