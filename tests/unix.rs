//! Unix sockets and pipes.
#![cfg(unix)]

#[path = "support/kit.rs"]
mod kit;
#[path = "support/sockets.rs"]
mod sockets;

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::pin::pin;

use heist::io::Interest;
use heist::net::unix::pipe::{self, Receiver, Sender};
use heist::net::unix::{ReuniteError, SocketAddr};
use heist::net::{UnixDatagram, UnixListener, UnixSocket, UnixStream};
use kit::{current_thread, each, panic_text};
use sockets::{Folder, once};

// -------------------------------------------------------------------------------------------------
// streams

#[test]
fn unix_connection_to_a_path_carries_bytes_both_ways() {
    let folder = Folder::new("unix-path");
    each(|runtime| {
        let path = folder.path("socket");
        let _ = std::fs::remove_file(&path);
        runtime.block_on(async {
            let listener = UnixListener::bind(&path).unwrap();
            assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path));
            assert!(listener.take_error().unwrap().is_none());
            let (client, accepted) = futures::join!(UnixStream::connect(&path), listener.accept());
            let (mut client, (mut server, from)) = (client.unwrap(), accepted.unwrap());
            assert!(from.is_unnamed() && client.local_addr().unwrap().is_unnamed());
            assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*path));
            let block: Vec<u8> = (0..1 << 20).map(|i| i as u8).collect();
            let mut got = Vec::new();
            let (sent, read) = futures::join!(
                async {
                    client.write_all(&block).await.unwrap();
                    client.shutdown().await
                },
                server.read_to_end(&mut got)
            );
            sent.unwrap();
            assert_eq!(read.unwrap(), block.len());
            assert!(got == block);
            server.write_all(b"thanks").await.unwrap();
            drop(server);
            let mut text = String::from("many ");
            assert_eq!(client.read_to_string(&mut text).await.unwrap(), 6);
            assert_eq!(text, "many thanks");
        });
    });
}

#[test]
fn unix_read_to_string_of_invalid_text_leaves_the_string_unchanged() {
    current_thread().block_on(async {
        let (mut one, mut two) = UnixStream::pair().unwrap();
        one.write_all(b"ab\xff").await.unwrap();
        drop(one);
        let mut text = String::from("kept");
        assert_eq!(two.read_to_string(&mut text).await.unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(text, "kept");
    });
}

#[test]
fn unix_peer_cred_is_this_process() {
    current_thread().block_on(async {
        let (one, _two) = UnixStream::pair().unwrap();
        let peer = one.peer_cred().unwrap();
        // SAFETY: the call has no preconditions.
        assert_eq!(peer.uid(), unsafe { libc::geteuid() });
        // SAFETY: the call has no preconditions.
        assert_eq!(peer.gid(), unsafe { libc::getegid() });
        #[cfg(target_os = "linux")]
        assert_eq!(peer.pid(), Some(std::process::id() as i32));
    });
}

#[test]
fn unix_path_without_a_listener_or_with_one_already_is_an_error() {
    let folder = Folder::new("unix-no-listener");
    current_thread().block_on(async {
        let path = folder.path("socket");
        assert_eq!(UnixStream::connect(&path).await.unwrap_err().kind(), ErrorKind::NotFound);
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(UnixListener::bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(listener);
        assert_eq!(UnixStream::connect(&path).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn unix_abstract_name_needs_no_file() {
    use std::os::linux::net::SocketAddrExt;
    current_thread().block_on(async {
        let name = format!("heist-{}", std::process::id());
        let address = SocketAddr::from(std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap());
        let listener = UnixListener::bind_addr(&address).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
        let (client, accepted) = futures::join!(UnixStream::connect_addr(&address), listener.accept());
        assert_eq!(client.unwrap().peer_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
        accepted.unwrap();
        // The same through a path.
        let path = format!("\0{name}");
        assert_eq!(UnixListener::bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        let (client, accepted) = futures::join!(UnixStream::connect(&path), listener.accept());
        client.unwrap();
        accepted.unwrap();
    });
}

/// A read stops early at a passed descriptor, and has not emptied the socket: a short read proves
/// nothing here.
#[test]
fn unix_bytes_behind_a_passed_descriptor_are_not_lost() {
    current_thread().block_on(async {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        send_with_descriptor(writer.as_raw_fd(), b"abc", reader.as_raw_fd());
        writer.try_write(b"def").unwrap();
        let mut buf = [0; 64];
        let mut got = Vec::new();
        while got.len() < 6 {
            let count = reader.read(&mut buf).await.unwrap();
            got.extend_from_slice(&buf[..count]);
        }
        assert_eq!(got, b"abcdef");
    });
}

fn send_with_descriptor(socket: i32, bytes: &[u8], passed: i32) {
    let mut slice = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = [0_u64; 8];
    // SAFETY: all zeros are a valid message header without parts.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut slice;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: it only computes.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(4) } as _;
    // SAFETY: the message names a control buffer that is large enough for a header.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    // SAFETY: it lies in the control buffer, to which there is no other reference.
    let header = unsafe { &mut *header };
    header.cmsg_level = libc::SOL_SOCKET;
    header.cmsg_type = libc::SCM_RIGHTS;
    // SAFETY: it only computes.
    header.cmsg_len = unsafe { libc::CMSG_LEN(4) } as _;
    // SAFETY: it only computes an address within the control buffer.
    let place = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: the control buffer has room for one descriptor.
    unsafe { place.cast::<i32>().write_unaligned(passed) };
    // SAFETY: everything that the message names is alive.
    let sent = unsafe { libc::sendmsg(socket, &raw const message, 0) };
    assert_eq!(sent, bytes.len() as isize, "{}", io::Error::last_os_error());
}

#[test]
fn unix_halves_work_in_two_tasks_and_are_reunited() {
    each(|runtime| {
        runtime.block_on(async {
            let (mut one, two) = UnixStream::pair().unwrap();
            let (other, _end) = UnixStream::pair().unwrap();
            let (mut read, mut write) = two.into_split();
            let echo = heist::spawn(async move {
                let mut buf = [0; 16];
                loop {
                    match read.read(&mut buf).await.unwrap() {
                        0 => return (read, write),
                        count => write.write_all(&buf[..count]).await.unwrap(),
                    }
                }
            });
            {
                let (mut read, mut write) = one.split();
                let mut buf = [0; 4];
                let (sent, got) = futures::join!(write.write_all(b"ping"), read.read_exact(&mut buf));
                sent.unwrap();
                assert_eq!((got.unwrap(), &buf), (4, b"ping"));
                assert!(read.as_ref().peer_addr().unwrap().is_unnamed() && write.local_addr().unwrap().is_unnamed());
                write.shutdown().await.unwrap();
            }
            let (read, write) = echo.await.unwrap();
            let (other_read, other_write) = other.into_split();
            let ReuniteError(read, _) = read.reunite(other_write).unwrap_err();
            let ReuniteError(_, write) = write.reunite(other_read).unwrap_err();
            let mut two = write.reunite(read).unwrap();
            two.write_all(b"still open").await.unwrap();
            let mut buf = [0; 16];
            assert_eq!(one.read(&mut buf).await.unwrap(), 10);
            let (read, write) = two.into_split();
            drop(write);
            assert_eq!(one.read(&mut buf).await.unwrap(), 0, "dropping the writing half ends the stream");
            drop(read);
        });
    });
}

#[test]
fn unix_vectored_try_and_async_io_methods_move_bytes() {
    current_thread().block_on(async {
        let (mut one, mut two) = UnixStream::pair().unwrap();
        assert_eq!(one.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"cde")]).await.unwrap(), 5);
        let (mut left, mut right) = ([0; 3], [0; 2]);
        let into = &mut [IoSliceMut::new(&mut left), IoSliceMut::new(&mut right)];
        assert_eq!(two.read_vectored(into).await.unwrap(), 5);
        assert_eq!((&left, &right), (b"abc", b"de"));
        assert_eq!(two.try_read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(one.try_write_vectored(&[IoSlice::new(b"f"), IoSlice::new(b"g")]).unwrap(), 2);
        poll_fn(|cx| two.poll_read_ready(cx)).await.unwrap();
        assert_eq!(two.try_read_vectored(&mut [IoSliceMut::new(&mut left)]).unwrap(), 2);
        poll_fn(|cx| one.poll_write_ready(cx)).await.unwrap();
        one.writable().await.unwrap();
        let write = || socket2::SockRef::from(&one).send(b"own");
        assert_eq!(one.async_io(Interest::WRITABLE, write).await.unwrap(), 3);
        assert_eq!(one.try_io(Interest::WRITABLE, write).unwrap(), 3);
        two.readable().await.unwrap();
        assert!(two.ready(Interest::READABLE).await.unwrap().is_readable());
        assert_eq!(two.read(&mut [0; 16]).await.unwrap(), 6);
        one.flush().await.unwrap();
    });
}

#[test]
fn unix_stream_goes_to_std_and_comes_back() {
    current_thread().block_on(async {
        let (one, mut two) = UnixStream::pair().unwrap();
        let one = one.into_std().unwrap();
        assert_eq!((&one).read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let mut one = UnixStream::from_std(one).unwrap();
        one.write_all(b"back").await.unwrap();
        assert_eq!(two.read(&mut [0; 8]).await.unwrap(), 4);
        let (blocking, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let error = UnixStream::try_from(blocking).unwrap_err();
        assert!(error.to_string().contains("set_nonblocking(true)"), "{error}");
    });
}

#[test]
fn unix_connection_is_accepted_once() {
    let folder = Folder::new("unix-accept");
    each(|runtime| {
        let path = folder.path("socket");
        let _ = std::fs::remove_file(&path);
        runtime.block_on(async {
            let listener = std::sync::Arc::new(UnixListener::bind(&path).unwrap());
            let accepting: Vec<_> = (0..6)
                .map(|n| {
                    let listener = std::sync::Arc::clone(&listener);
                    heist::spawn(async move {
                        let (mut stream, _) = listener.accept().await.unwrap();
                        stream.write_all(&[n]).await.unwrap();
                    })
                })
                .collect();
            let mut greeted = Vec::new();
            for _ in 0..6 {
                let mut byte = [0; 1];
                UnixStream::connect(&path).await.unwrap().read_exact(&mut byte).await.unwrap();
                greeted.push(byte[0]);
            }
            greeted.sort_unstable();
            assert_eq!(greeted, [0, 1, 2, 3, 4, 5]);
            futures::future::join_all(accepting).await.into_iter().for_each(Result::unwrap);
            let (connected, accepted) =
                futures::join!(UnixStream::connect(&path), poll_fn(|cx| listener.poll_accept(cx)));
            connected.unwrap();
            accepted.unwrap();
        });
    });
}

// -------------------------------------------------------------------------------------------------
// datagrams

#[test]
fn unix_messages_go_to_paths_and_come_from_paths() {
    let folder = Folder::new("unix-messages");
    current_thread().block_on(async {
        let (here, there) = (folder.path("here"), folder.path("there"));
        let (one, two) = (UnixDatagram::bind(&here).unwrap(), UnixDatagram::bind(&there).unwrap());
        let mut buf = [0; 64];
        assert_eq!(one.send_to(b"hello", &there).await.unwrap(), 5);
        let (count, from) = two.recv_from(&mut buf).await.unwrap();
        assert_eq!((count, from.as_pathname()), (5, Some(&*here)));
        assert_eq!(one.try_send_to(b"tried", &there).unwrap(), 5);
        assert_eq!(poll_fn(|cx| one.poll_send_to(cx, b"polled", &there)).await.unwrap(), 6);
        assert_eq!(poll_fn(|cx| two.poll_recv_from(cx, &mut buf)).await.unwrap().0, 5);
        assert_eq!(two.try_recv_from(&mut buf).unwrap().0, 6);
        let unbound = UnixDatagram::unbound().unwrap();
        assert!(unbound.local_addr().unwrap().is_unnamed());
        assert_eq!(unbound.send(b"x").await.unwrap_err().kind(), ErrorKind::NotConnected);
        unbound.connect(&there).unwrap();
        assert_eq!(unbound.peer_addr().unwrap().as_pathname(), Some(&*there));
        assert_eq!(unbound.send(b"connected").await.unwrap(), 9);
        let (count, from) = two.recv_from(&mut buf).await.unwrap();
        assert!(count == 9 && from.is_unnamed());
        assert_eq!(one.send_to(b"x", folder.path("unused")).await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn unix_sender_waits_while_the_receivers_queue_is_full_and_nothing_is_lost() {
    each(|runtime| {
        runtime.block_on(async {
            const MESSAGES: u32 = 2_000;
            let (one, two) = UnixDatagram::pair().unwrap();
            let sending = heist::spawn(async move {
                for number in 0..MESSAGES {
                    one.send(&number.to_le_bytes()).await.unwrap();
                }
                one
            });
            for number in 0..MESSAGES {
                let mut buf = [0; 4];
                assert_eq!(two.recv(&mut buf).await.unwrap(), 4);
                assert_eq!(u32::from_le_bytes(buf), number);
            }
            drop(sending.await.unwrap());
        });
    });
}

#[cfg(target_os = "linux")]
#[test]
fn unix_connected_sender_waits_behind_other_senders_messages() {
    let folder = Folder::new("unix-queue");
    current_thread().block_on(async {
        let path = folder.path("receiver");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let (one, two) = (UnixDatagram::unbound().unwrap(), UnixDatagram::unbound().unwrap());
        let mut queued = 0;
        while one.try_send_to(b"one", &path).is_ok() {
            queued += 1;
        }
        two.connect(&path).unwrap();
        let mut sending = pin!(two.send(b"from two"));
        assert!(once(sending.as_mut()).await.is_pending());
        let mut buf = [0; 16];
        let receiving = async {
            for _ in 0..queued {
                assert_eq!(receiver.recv(&mut buf).await.unwrap(), 3);
            }
            receiver.recv(&mut buf).await.unwrap()
        };
        let (sent, received) = futures::join!(sending, receiving);
        assert_eq!((sent.unwrap(), received), (8, 8));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn unix_connect_to_a_full_backlog_gives_would_block() {
    let folder = Folder::new("unix-backlog");
    current_thread().block_on(async {
        let path = folder.path("socket");
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&path).unwrap();
        let _listener = socket.listen(1).unwrap();
        let mut connected = Vec::new();
        let error = loop {
            match UnixStream::connect(&path).await {
                Ok(stream) => connected.push(stream),
                Err(error) => break error,
            }
        };
        assert!(!connected.is_empty() && error.kind() == ErrorKind::WouldBlock, "{error}");
    });
}

#[test]
fn unix_shutdown_wakes_a_task_that_waits_for_a_message() {
    current_thread().block_on(async {
        for how in [Shutdown::Read, Shutdown::Both] {
            let (one, two) = UnixDatagram::pair().unwrap();
            let mut buf = [0; 4];
            let mut receive = pin!(two.recv(&mut buf));
            assert!(once(receive.as_mut()).await.is_pending());
            two.shutdown(how).unwrap();
            assert_eq!(receive.await.unwrap(), 0, "{how:?}");
            let (count, from) = two.recv_from(&mut [0; 4]).await.unwrap();
            assert!(count == 0 && from.is_unnamed());
            assert_eq!(two.try_recv(&mut [0; 4]).unwrap(), 0, "{how:?}");
            assert!(one.take_error().unwrap().is_none());
        }
        let (one, two) = UnixDatagram::pair().unwrap();
        two.shutdown(Shutdown::Write).unwrap();
        let mut buf = [0; 4];
        let mut receive = pin!(two.recv(&mut buf));
        assert!(once(receive.as_mut()).await.is_pending(), "the other direction is open");
        one.send(b"a").await.unwrap();
        assert_eq!(receive.await.unwrap(), 1);
    });
}

#[test]
fn unix_poll_try_and_async_io_methods_carry_messages() {
    current_thread().block_on(async {
        let (one, two) = UnixDatagram::pair().unwrap();
        let mut buf = [0; 16];
        assert_eq!(one.try_send(b"a").unwrap(), 1);
        poll_fn(|cx| one.poll_send_ready(cx)).await.unwrap();
        assert_eq!(poll_fn(|cx| one.poll_send(cx, b"bc")).await.unwrap(), 2);
        poll_fn(|cx| two.poll_recv_ready(cx)).await.unwrap();
        assert_eq!(poll_fn(|cx| two.poll_recv(cx, &mut buf)).await.unwrap(), 1);
        assert_eq!(two.try_recv(&mut buf).unwrap(), 2);
        assert_eq!(two.try_recv(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        one.writable().await.unwrap();
        let send = || socket2::SockRef::from(&one).send(b"own");
        assert_eq!(one.async_io(Interest::WRITABLE, send).await.unwrap(), 3);
        assert_eq!(one.try_io(Interest::WRITABLE, send).unwrap(), 3);
        two.readable().await.unwrap();
        assert!(two.ready(Interest::READABLE).await.unwrap().is_readable());
        let one = UnixDatagram::try_from(one.into_std().unwrap()).unwrap();
        one.send(b"back").await.unwrap();
        for expected in [3, 3, 4] {
            assert_eq!(two.recv(&mut buf).await.unwrap(), expected);
        }
    });
}

// -------------------------------------------------------------------------------------------------
// unconnected sockets

#[test]
fn unix_socket_converts_only_to_its_own_kind() {
    let folder = Folder::new("unix-socket");
    current_thread().block_on(async {
        let (path, other) = (folder.path("stream"), folder.path("datagram"));
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&path).unwrap();
        let listener = socket.listen(8).unwrap();
        // SAFETY: one socket gives the descriptor away, and the other owns it.
        let socket = unsafe { UnixSocket::from_raw_fd(UnixSocket::new_stream().unwrap().into_raw_fd()) };
        let (client, accepted) = futures::join!(socket.connect(&path), listener.accept());
        client.unwrap();
        accepted.unwrap();
        let socket = UnixSocket::new_datagram().unwrap();
        socket.bind(&other).unwrap();
        let datagram = socket.datagram().unwrap();
        UnixDatagram::unbound().unwrap().send_to(b"x", &other).await.unwrap();
        assert_eq!(datagram.recv(&mut [0; 4]).await.unwrap(), 1);
        let errors = [
            UnixSocket::new_stream().unwrap().datagram().map(drop).unwrap_err(),
            UnixSocket::new_datagram().unwrap().listen(1).map(drop).unwrap_err(),
            UnixSocket::new_datagram().unwrap().connect(&path).await.map(drop).unwrap_err(),
        ];
        for error in errors {
            assert!(
                error.kind() == ErrorKind::InvalidInput && error.to_string().contains("UnixSocket::new_"),
                "{error}"
            );
        }
    });
}

// -------------------------------------------------------------------------------------------------
// pipes

#[test]
fn pipe_carries_more_than_it_holds() {
    each(|runtime| {
        runtime.block_on(async {
            let (mut sender, mut receiver) = pipe::pipe().unwrap();
            let block: Vec<u8> = (0..1 << 20).map(|i| (i / 7) as u8).collect();
            let mut got = Vec::new();
            let expected = block.clone();
            let sending = heist::spawn(async move { sender.write_all(&block).await });
            receiver.read_to_end(&mut got).await.unwrap();
            sending.await.unwrap().unwrap();
            assert!(got == expected);
        });
    });
}

#[test]
fn pipe_without_a_reader_is_broken_for_a_waiting_writer() {
    current_thread().block_on(async {
        let (mut sender, receiver) = pipe::pipe().unwrap();
        while sender.try_write(&[0; 4096]).is_ok() {}
        {
            let mut writing = pin!(sender.write(b"x"));
            assert!(once(writing.as_mut()).await.is_pending());
            drop(receiver);
            assert_eq!(writing.await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        }
        assert_eq!(sender.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        sender.shutdown().await.unwrap();
    });
}

#[test]
fn pipe_end_comes_after_the_bytes_in_it() {
    current_thread().block_on(async {
        let (sender, mut receiver) = pipe::pipe().unwrap();
        assert_eq!(sender.try_write_vectored(&[IoSlice::new(b"la"), IoSlice::new(b"st")]).unwrap(), 4);
        drop(sender);
        receiver.readable().await.unwrap();
        assert!(receiver.ready(Interest::READABLE).await.unwrap().is_readable());
        let mut buf = [0; 8];
        assert_eq!(receiver.try_read_vectored(&mut [IoSliceMut::new(&mut buf)]).unwrap(), 4);
        for _ in 0..2 {
            assert_eq!(receiver.read(&mut buf).await.unwrap(), 0);
        }
        assert_eq!(receiver.try_io(|| Ok(7)).unwrap(), 7);
    });
}

fn fifo(folder: &Folder, name: &str) -> std::path::PathBuf {
    let path = folder.path(name);
    let text = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: the path ends in a zero byte.
    assert_eq!(unsafe { libc::mkfifo(text.as_ptr(), 0o600) }, 0, "{}", io::Error::last_os_error());
    path
}

#[test]
fn pipe_with_a_name_is_opened_from_both_ends() {
    let folder = Folder::new("fifo");
    current_thread().block_on(async {
        let path = fifo(&folder, "pipe");
        let error = pipe::OpenOptions::new().open_sender(&path).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENXIO), "there is no receiver yet");
        let mut receiver = pipe::OpenOptions::new().open_receiver(&path).unwrap();
        let mut sender = pipe::OpenOptions::new().open_sender(&path).unwrap();
        sender.write_all(b"named").await.unwrap();
        let mut buf = [0; 5];
        receiver.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"named");
        drop(sender);
        assert_eq!(receiver.read(&mut buf).await.unwrap(), 0);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn pipe_with_a_name_open_for_both_directions_does_not_end() {
    let folder = Folder::new("fifo-both");
    current_thread().block_on(async {
        let path = fifo(&folder, "pipe");
        let mut receiver = pipe::OpenOptions::new().read_write(true).open_receiver(&path).unwrap();
        let mut buf = [0; 5];
        for text in [b"first", b"again"] {
            let mut sender = pipe::OpenOptions::new().unchecked(true).open_sender(&path).unwrap();
            sender.write_all(text).await.unwrap();
            drop(sender);
            receiver.read_exact(&mut buf).await.unwrap();
            assert_eq!(&buf, text);
        }
        assert!(once(pin!(receiver.read(&mut buf))).await.is_pending());
    });
}

/// Returns the two ends of a pipe as the operating system makes them: in blocking mode.
fn plain_pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: there is room for two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    // SAFETY: the descriptors are open, and nothing else owns them.
    ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) }).into()
}

#[test]
fn pipe_end_of_another_kind_or_direction_is_refused() {
    let folder = Folder::new("fifo-wrong");
    current_thread().block_on(async {
        let plain = folder.path("file");
        std::fs::write(&plain, b"text").unwrap();
        let open = || std::fs::File::open(&plain).unwrap();
        let (reader, writer) = plain_pipe();
        let errors = [
            pipe::OpenOptions::new().open_receiver(&plain).map(drop).unwrap_err(),
            pipe::OpenOptions::new().open_sender(&plain).map(drop).unwrap_err(),
            Receiver::from_file(open()).map(drop).unwrap_err(),
            Sender::from_owned_fd(reader).map(drop).unwrap_err(),
            Receiver::from_owned_fd(writer).map(drop).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
    });
}

#[test]
fn pipe_ends_are_made_of_descriptors_and_converted_back() {
    current_thread().block_on(async {
        let (reader, writer) = plain_pipe();
        // Both are in blocking mode, and become non-blocking.
        let mut receiver = Receiver::from_owned_fd(reader).unwrap();
        let mut sender = Sender::from_file(std::fs::File::from(writer)).unwrap();
        assert!(once(pin!(receiver.read(&mut [0; 1]))).await.is_pending());
        sender.write_all(b"abc").await.unwrap();
        let mut file = std::fs::File::from(receiver.into_nonblocking_fd().unwrap());
        let mut buf = [0; 8];
        assert_eq!(file.read(&mut buf).unwrap(), 3);
        assert_eq!(file.read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        let mut receiver = Receiver::from_file_unchecked(file).unwrap();
        let fd = sender.into_blocking_fd().unwrap();
        // SAFETY: `F_GETFL` reads the flags of an open descriptor.
        assert_eq!(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) } & libc::O_NONBLOCK, 0);
        std::fs::File::from(fd).write_all(b"blocking").unwrap();
        assert_eq!(receiver.read(&mut buf).await.unwrap(), 8);
        assert_eq!(receiver.read(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn unix_sockets_outside_of_a_runtime_panic_and_make_nothing() {
    let folder = Folder::new("unix-outside");
    let path = folder.path("socket");
    for text in [
        panic_text(UnixStream::pair),
        panic_text(UnixDatagram::unbound),
        panic_text(pipe::pipe),
        panic_text(|| UnixListener::bind(&path)),
    ] {
        assert!(text.contains("no heist runtime is running on this thread"), "{text}");
    }
    assert!(!path.exists(), "the runtime is looked up before the file is made");
}

#[test]
fn unix_types_have_their_auto_traits() {
    use std::panic::{RefUnwindSafe, UnwindSafe};

    use heist::io::unix::AsyncFd;
    fn is<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + std::fmt::Debug + 'static>() {}
    is::<heist::net::UnixListener>();
    is::<heist::net::UnixStream>();
    is::<heist::net::UnixDatagram>();
    is::<heist::net::UnixSocket>();
    is::<heist::net::unix::pipe::Sender>();
    is::<heist::net::unix::pipe::Receiver>();
    is::<heist::net::unix::OwnedReadHalf>();
    is::<heist::net::unix::OwnedWriteHalf>();
    is::<AsyncFd<std::fs::File>>();
}
