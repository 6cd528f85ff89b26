//! Each method of each type of stream moves the bytes, and has the addresses and descriptors of its
//! stream.

#[path = "support/kit.rs"]
mod kit;
#[path = "support/sockets.rs"]
mod sockets;

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::pin::pin;

use heist::io::Interest;
use kit::each;
use sockets::{once, tcp_pair, waits_after_would_block};

/// Reads by each method. `$peer` writes to what `$reader` reads from, and both are empty.
macro_rules! reads_by_each_method {
    ($name:expr, $reader:expr, $peer:expr) => {{
        let name = $name;
        $peer.write_all(b"abcdefghi").await.unwrap();
        $reader.readable().await.unwrap();
        poll_fn(|cx| $reader.poll_read_ready(cx)).await.unwrap();
        assert!($reader.ready(Interest::READABLE).await.unwrap().is_readable(), "{name}");
        let (mut one, mut two) = ([0; 1], [0; 2]);
        assert_eq!(($reader.read(&mut one).await.unwrap(), &one), (1, b"a"), "{name}: read");
        assert_eq!(($reader.try_read(&mut one).unwrap(), &one), (1, b"b"), "{name}: try_read");
        let slices = &mut [IoSliceMut::new(&mut []), IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        assert_eq!($reader.read_vectored(slices).await.unwrap(), 3, "{name}: read_vectored");
        assert_eq!((&one, &two), (b"c", b"de"), "{name}: read_vectored");
        let slices = &mut [IoSliceMut::new(&mut []), IoSliceMut::new(&mut two)];
        assert_eq!($reader.try_read_vectored(slices).unwrap(), 2, "{name}: try_read_vectored");
        assert_eq!(&two, b"fg", "{name}: try_read_vectored");
        assert_eq!(($reader.read_exact(&mut two).await.unwrap(), &two), (2, b"hi"), "{name}: read_exact");
        // Nothing is left. A `WouldBlock` of either method ends the readiness.
        let would_block = || $reader.try_read(&mut [0; 1]);
        waits_after_would_block(name, would_block, || $reader.readable()).await;
        waits_after_would_block(name, would_block, || $reader.ready(Interest::READABLE)).await;
        waits_after_would_block(name, would_block, || poll_fn(|cx| $reader.poll_read_ready(cx))).await;
        let slices = &mut [IoSliceMut::new(&mut two)];
        assert_eq!($reader.try_read_vectored(slices).unwrap_err().kind(), ErrorKind::WouldBlock, "{name}");
        // A read in two parts.
        $peer.write_all(b"x").await.unwrap();
        $reader.readable().await.unwrap();
        {
            let mut reading = pin!($reader.read_exact(&mut two));
            assert!(once(reading.as_mut()).await.is_pending(), "{name}: read_exact");
            $peer.write_all(b"y").await.unwrap();
            assert_eq!(reading.await.unwrap(), 2, "{name}: read_exact");
        }
        assert_eq!(&two, b"xy", "{name}: read_exact");
    }};
}

/// Reads to the end by `read_to_end` or `read_to_string`. Each method then reports the end again.
macro_rules! reads_the_end {
    ($name:expr, $reader:expr, $peer:expr, $to_the_end:ident) => {{
        let name = $name;
        $peer.write_all("the énd".as_bytes()).await.unwrap();
        $peer.shutdown().await.unwrap();
        drop($peer);
        let mut word = [0; 4];
        assert_eq!($reader.read_exact(&mut word).await.unwrap(), 4, "{name}");
        let mut rest = "<".to_owned().into();
        assert_eq!($reader.$to_the_end(&mut rest).await.unwrap(), 4, "{name}: read to the end");
        assert_eq!((&word, AsRef::<[u8]>::as_ref(&rest)), (b"the ", "<énd".as_bytes()), "{name}: read to the end");
        let mut bytes = vec![7];
        assert_eq!($reader.read_to_end(&mut bytes).await.unwrap(), 0, "{name}: read_to_end");
        assert_eq!(bytes, [7], "{name}: read_to_end");
        let mut text = "7".to_owned();
        assert_eq!($reader.read_to_string(&mut text).await.unwrap(), 0, "{name}: read_to_string");
        assert_eq!(text, "7", "{name}: read_to_string");
        assert_eq!($reader.read(&mut word).await.unwrap(), 0, "{name}: read");
        assert_eq!($reader.try_read(&mut word).unwrap(), 0, "{name}: try_read");
        assert_eq!($reader.read_vectored(&mut [IoSliceMut::new(&mut word)]).await.unwrap(), 0, "{name}");
        assert_eq!($reader.try_read_vectored(&mut [IoSliceMut::new(&mut word)]).unwrap(), 0, "{name}");
        let error = $reader.read_exact(&mut word).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{name}: read_exact");
    }};
}

/// Writes by each method, and ends the writing by `$end`. `$peer` reads what `$writer` writes.
macro_rules! writes_by_each_method {
    ($name:expr, $writer:expr, $peer:expr) => {
        writes_by_each_method!($name, $writer, $peer, $writer.shutdown().await.unwrap())
    };
    ($name:expr, $writer:expr, $peer:expr, $end:expr) => {{
        let name = $name;
        $writer.writable().await.unwrap();
        poll_fn(|cx| $writer.poll_write_ready(cx)).await.unwrap();
        assert!($writer.ready(Interest::WRITABLE).await.unwrap().is_writable(), "{name}");
        let none = &[][..];
        assert_eq!($writer.write(b"ab").await.unwrap(), 2, "{name}: write");
        assert_eq!($writer.try_write(b"c").unwrap(), 1, "{name}: try_write");
        let slices = [IoSlice::new(none), IoSlice::new(b"d"), IoSlice::new(b"ef")];
        assert_eq!($writer.write_vectored(&slices).await.unwrap(), 3, "{name}: write_vectored");
        let slices = [IoSlice::new(none), IoSlice::new(b"gh")];
        assert_eq!($writer.try_write_vectored(&slices).unwrap(), 2, "{name}: try_write_vectored");
        $writer.write_all(b"ij").await.unwrap();
        $writer.flush().await.unwrap();
        let mut all = [0; 10];
        assert_eq!($peer.read_exact(&mut all).await.unwrap(), 10, "{name}");
        assert_eq!(&all, b"abcdefghij", "{name}");
        // Until there is no more room.
        let would_block = || {
            while $writer.try_write(&[7; 4096]).is_ok() {}
            $writer.try_write(&[7])
        };
        waits_after_would_block(name, would_block, || $writer.writable()).await;
        waits_after_would_block(name, would_block, || $writer.ready(Interest::WRITABLE)).await;
        waits_after_would_block(name, would_block, || poll_fn(|cx| $writer.poll_write_ready(cx))).await;
        assert!(once(pin!($writer.write(&[7]))).await.is_pending(), "{name}: write");
        let slices = [IoSlice::new(&[7])];
        assert!(once(pin!($writer.write_vectored(&slices))).await.is_pending(), "{name}: write_vectored");
        assert_eq!($writer.try_write_vectored(&slices).unwrap_err().kind(), ErrorKind::WouldBlock, "{name}");
        let mut rest = vec![0; 1 << 16];
        while !once(pin!($writer.writable())).await.is_ready() {
            let _ = $peer.try_read(&mut rest);
            heist::task::yield_now().await;
        }
        $end;
        let mut last = Vec::new();
        $peer.read_to_end(&mut last).await.unwrap();
        assert!(last.iter().all(|&byte| byte == 7), "{name}");
    }};
}

/// Returns the addresses of a stream or a half, as text.
macro_rules! addresses_of {
    ($stream:expr) => {
        format!("{:?} {:?}", $stream.local_addr().unwrap(), $stream.peer_addr().unwrap())
    };
}

/// Reads and writes by the whole stream, and by both kinds of halves, which have its addresses.
/// `$pair` makes two ends.
macro_rules! stream_and_halves_move_bytes {
    ($pair:expr) => {{
        let (mut stream, mut peer) = $pair;
        let addresses = addresses_of!(stream);
        reads_by_each_method!("the whole stream", stream, peer);
        let (mut read, write) = stream.split();
        assert_eq!([&addresses_of!(read), &addresses_of!(write)], [&addresses; 2]);
        reads_by_each_method!("a borrowed half", read, peer);
        let (mut read, write) = stream.into_split();
        assert_eq!([&addresses_of!(read), &addresses_of!(write)], [&addresses; 2]);
        reads_by_each_method!("an owned half", read, peer);

        stream_and_halves_move_bytes!(@to_the_end $pair, read_to_end);
        stream_and_halves_move_bytes!(@to_the_end $pair, read_to_string);
    }};
    (@to_the_end $pair:expr, $to_the_end:ident) => {{
        let (mut stream, mut peer) = $pair;
        writes_by_each_method!("the whole stream", stream, peer);
        reads_the_end!("the whole stream", stream, peer, $to_the_end);
        let (mut stream, mut peer) = $pair;
        let (mut read, mut write) = stream.split();
        writes_by_each_method!("a borrowed half", write, peer);
        reads_the_end!("a borrowed half", read, peer, $to_the_end);
        let (stream, mut peer) = $pair;
        let (mut read, mut write) = stream.into_split();
        writes_by_each_method!("an owned half", write, peer);
        reads_the_end!("an owned half", read, peer, $to_the_end);
    }};
}

/// A refused `reunite` changes neither half: the drop of the writing half still ends the stream.
macro_rules! refused_reunite_changes_nothing {
    ($pair:expr) => {{
        let ((ours, mut peer), (other, mut other_peer)) = ($pair, $pair);
        let ((read, write), (other_read, other_write)) = (ours.into_split(), other.into_split());
        let refused = read.reunite(other_write).unwrap_err();
        let (read, other_write) = (refused.0, refused.1);
        let refused = write.reunite(other_read).unwrap_err();
        let (other_read, write) = (refused.0, refused.1);
        drop(write);
        assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0);
        drop(other_write);
        assert_eq!(other_peer.read(&mut [0; 1]).await.unwrap(), 0);
        drop((read, other_read));
    }};
}

/// Peeks at the bytes that are there, twice.
macro_rules! peeks {
    ($name:expr, $reader:expr, $peer:expr) => {{
        let name = $name;
        let mut buf = [0; 8];
        assert!(once(pin!($reader.peek(&mut buf))).await.is_pending(), "{name}: peek");
        $peer.write_all(b"peek").await.unwrap();
        assert_eq!($reader.peek(&mut buf).await.unwrap(), 4, "{name}: peek");
        assert_eq!(poll_fn(|cx| $reader.poll_peek(cx, &mut buf)).await.unwrap(), 4, "{name}: poll_peek");
        assert_eq!(($reader.read(&mut buf).await.unwrap(), &buf[..4]), (4, &b"peek"[..]), "{name}: read");
    }};
}

#[test]
fn tcp_stream_and_halves_move_bytes_by_each_method() {
    each(|runtime| {
        runtime.block_on(async { stream_and_halves_move_bytes!(tcp_pair().await) });
    });
}

#[test]
fn tcp_stream_and_halves_peek_by_each_method() {
    each(|runtime| {
        runtime.block_on(async {
            let (mut stream, mut peer) = tcp_pair().await;
            assert_eq!(stream.local_addr().unwrap(), peer.peer_addr().unwrap());
            peeks!("the whole stream", stream, peer);
            let (mut read, _write) = stream.split();
            peeks!("a borrowed half", read, peer);
            let (mut read, _write) = stream.into_split();
            peeks!("an owned half", read, peer);
        });
    });
}

#[test]
fn tcp_write_half_forgotten_leaves_the_stream_open() {
    each(|runtime| {
        runtime.block_on(async {
            let (stream, mut peer) = tcp_pair().await;
            let (mut read, write) = stream.into_split();
            write.forget();
            assert!(once(pin!(peer.read(&mut [0; 1]))).await.is_pending());
            peer.write_all(b"x").await.unwrap();
            assert_eq!(read.read(&mut [0; 1]).await.unwrap(), 1);
            assert!(once(pin!(peer.read(&mut [0; 1]))).await.is_pending());
            drop(read);
            assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0, "both halves are gone");
        });
    });
}

#[test]
fn tcp_write_half_dropped_after_a_refused_reunite_ends_the_stream() {
    each(|runtime| {
        runtime.block_on(async { refused_reunite_changes_nothing!(tcp_pair().await) });
    });
}

#[cfg(unix)]
mod unix {
    use std::os::fd::{AsFd, AsRawFd, IntoRawFd};

    use heist::net::unix::pipe;
    use heist::net::{TcpListener, TcpSocket, UdpSocket, UnixDatagram, UnixListener, UnixSocket, UnixStream};

    use super::*;

    #[test]
    fn unix_stream_and_halves_move_bytes_by_each_method() {
        each(|runtime| {
            runtime.block_on(async { stream_and_halves_move_bytes!(UnixStream::pair().unwrap()) });
        });
    }

    #[test]
    fn unix_write_half_dropped_after_a_refused_reunite_ends_the_stream() {
        each(|runtime| {
            runtime.block_on(async { refused_reunite_changes_nothing!(UnixStream::pair().unwrap()) });
        });
    }

    #[test]
    fn pipe_ends_move_bytes_by_each_method() {
        each(|runtime| {
            runtime.block_on(async {
                let (mut sender, mut receiver) = pipe::pipe().unwrap();
                reads_by_each_method!("a receiver", receiver, sender);
                writes_by_each_method!("a sender", sender, receiver, drop(sender));
                let (mut sender, mut receiver) = pipe::pipe().unwrap();
                reads_the_end!("a receiver", receiver, sender, read_to_end);
                let (mut sender, mut receiver) = pipe::pipe().unwrap();
                reads_the_end!("a receiver", receiver, sender, read_to_string);
            });
        });
    }

    /// The descriptor is the same by each trait, and no other socket has it.
    #[test]
    fn sockets_have_one_descriptor_each() {
        each(|runtime| {
            runtime.block_on(async {
                let (stream, peer) = tcp_pair().await;
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                let (unix, unix_peer) = UnixStream::pair().unwrap();
                let (datagram, datagram_peer) = UnixDatagram::pair().unwrap();
                let (sender, receiver) = pipe::pipe().unwrap();
                let folder = sockets::Folder::new("descriptors");
                let unix_listener = UnixListener::bind(folder.path("socket")).unwrap();
                let unix_socket = UnixSocket::new_stream().unwrap();
                let socket = TcpSocket::new_v4().unwrap();
                let mut descriptors = Vec::new();
                macro_rules! has_one {
                    ($($socket:expr),*) => {
                        $(
                            descriptors.push($socket.as_raw_fd());
                            assert_eq!($socket.as_fd().as_raw_fd(), $socket.as_raw_fd());
                        )*
                    };
                }
                has_one!(stream, peer, listener, udp, unix, unix_peer, datagram, datagram_peer, sender, receiver);
                has_one!(unix_listener, unix_socket, socket);
                for (at, descriptor) in descriptors.iter().enumerate() {
                    assert!(*descriptor > 2 && !descriptors[..at].contains(descriptor), "{descriptors:?}");
                }
                assert_eq!(descriptors.last().copied(), Some(socket.into_raw_fd()));
                assert_eq!(descriptors.iter().rev().nth(1).copied(), Some(unix_socket.into_raw_fd()));
            });
        });
    }
}
