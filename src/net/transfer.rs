//! Reading and writing bytes: the methods of every registered stream.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::task::{Context, Poll};

use super::mio_socket::{Inbound, Stream};
use crate::reactor::{Direction, Interest, Registered, Transferred};

/// The most bytes that one call is sure to move, if the kernel has them or has room for them.
///
/// Some kernels cut at 2 GiB. A short transfer would then not mean that the next one blocks.
const SURE_BYTES: usize = 1 << 30;

/// The most slices that one call is sure to take: std cuts at the limit of the kernel, which is
/// this or more.
const SURE_SLICES: usize = 16;

/// The bytes that one transfer is asked to move.
#[derive(Clone, Copy)]
struct Request {
    /// The number of bytes.
    bytes: usize,
    /// One call is sure to move all of them, if the kernel has them or has room for them.
    is_sure: bool,
}

impl Request {
    fn of_slice(bytes: usize) -> Request {
        Request { bytes, is_sure: bytes <= SURE_BYTES }
    }

    fn of_slices(slices: &[impl std::ops::Deref<Target = [u8]>]) -> Request {
        let request = Request::of_slice(slices.iter().map(|slice| slice.len()).fold(0, usize::saturating_add));
        Request { is_sure: request.is_sure && slices.len() <= SURE_SLICES, ..request }
    }

    fn moved<E: Stream>(self, count: usize) -> Transferred {
        Transferred { count, of: if E::SHORT_PROVES && self.is_sure { self.bytes } else { 0 } }
    }
}

/// Every transfer goes through one of these two. A transfer of zero bytes does not depend on
/// readiness: it completes at once, without a system call.
impl<E: Stream> Registered<E> {
    fn poll_transfer(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        request: Request,
        mut transfer: impl FnMut(&E) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if request.bytes == 0 {
            return Poll::Ready(Ok(0));
        }
        let io = self.io();
        let attempt = || transfer(io).map(|count| request.moved::<E>(count));
        self.source().poll_io(direction, cx, attempt).map_ok(|moved| moved.count)
    }

    fn try_transfer(
        &self,
        interest: Interest,
        request: Request,
        transfer: impl FnOnce(&E) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if request.bytes == 0 {
            return Ok(0);
        }
        let attempt = || transfer(self.io()).map(|count| request.moved::<E>(count));
        self.source().try_io(interest, attempt).map(|moved| moved.count)
    }
}

/// Reading. The `poll_` methods wait in the waker slot of the direction, which holds the task of
/// the latest call.
impl<E: Inbound> Registered<E>
where
    for<'a> &'a E: Read,
{
    /// Reads into memory that may be uninitialised, and returns the number of bytes. That many
    /// bytes at the front of `buf` have been written.
    pub(super) fn poll_read_uninit(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        self.poll_transfer(Direction::Read, cx, Request::of_slice(buf.len()), |io| io.read_uninit(buf))
    }

    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_transfer(Direction::Read, cx, Request::of_slice(buf.len()), |mut io| io.read(buf))
    }

    pub(super) fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_transfer(Direction::Read, cx, Request::of_slices(bufs), |mut io| io.read_vectored(bufs))
    }

    pub(super) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.try_transfer(Interest::READABLE, Request::of_slice(buf.len()), |mut io| io.read(buf))
    }

    /// Reads as [`poll_read_uninit`](Self::poll_read_uninit) does, without waiting.
    #[cfg(feature = "tokio-io")]
    pub(super) fn try_read_uninit(&self, buf: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        self.try_transfer(Interest::READABLE, Request::of_slice(buf.len()), |io| io.read_uninit(buf))
    }

    pub(super) fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.try_transfer(Interest::READABLE, Request::of_slices(bufs), |mut io| io.read_vectored(bufs))
    }

    pub(super) async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, buf)).await
    }

    pub(super) async fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read_vectored(cx, bufs)).await
    }

    pub(super) async fn read_exact(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.read(&mut buf[filled..]).await? {
                0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ended too early")),
                count => filled += count,
            }
        }
        Ok(filled)
    }

    pub(super) async fn read_to_end(&self, buf: &mut Vec<u8>) -> io::Result<usize> {
        /// The least room for one read.
        const ROOM: usize = 512;
        let before = buf.len();
        loop {
            if buf.capacity() - buf.len() < ROOM {
                buf.reserve(ROOM);
            }
            match poll_fn(|cx| self.poll_read_uninit(cx, buf.spare_capacity_mut())).await? {
                0 => return Ok(buf.len() - before),
                // SAFETY: the read has written `count` bytes behind the length, within the
                // capacity.
                count => unsafe { buf.set_len(buf.len() + count) },
            }
        }
    }

    pub(super) async fn read_to_string(&self, text: &mut String) -> io::Result<usize> {
        let mut rest = Vec::new();
        self.read_to_end(&mut rest).await?;
        match std::str::from_utf8(&rest) {
            Ok(rest) => text.push_str(rest),
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
        Ok(rest.len())
    }
}

/// Writing. The `poll_` methods wait in the waker slot of the direction, which holds the task of
/// the latest call.
impl<E: Stream> Registered<E>
where
    for<'a> &'a E: Write,
{
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_transfer(Direction::Write, cx, Request::of_slice(buf.len()), |mut io| io.write(buf))
    }

    pub(super) fn poll_write_vectored(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.poll_transfer(Direction::Write, cx, Request::of_slices(bufs), |mut io| io.write_vectored(bufs))
    }

    pub(super) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_transfer(Interest::WRITABLE, Request::of_slice(buf.len()), |mut io| io.write(buf))
    }

    pub(super) fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_transfer(Interest::WRITABLE, Request::of_slices(bufs), |mut io| io.write_vectored(bufs))
    }

    pub(super) async fn write(&self, buf: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write(cx, buf)).await
    }

    pub(super) async fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write_vectored(cx, bufs)).await
    }

    pub(super) async fn write_all(&self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.write(buf).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => buf = &buf[count..],
            }
        }
        Ok(())
    }
}
