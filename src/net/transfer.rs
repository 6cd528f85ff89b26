//! Moving bytes through a stream: what every type has in common that reads or writes bytes.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::task::{Context, Poll};

use super::mio_socket::{Inbound, Stream};
use crate::reactor::{Direction, Interest, Registered, Transferred};

/// The most that one call is sure to take if there is room: some kernels cut at 2 GiB, and short would not mean drained.
const SURE_BYTES: usize = 1 << 30;

/// The most slices that one call takes: std cuts at the kernel's limit, which is this or more.
const SURE_SLICES: usize = 16;

/// What one transfer is asked to move.
#[derive(Clone, Copy)]
struct Asked {
    /// How many bytes at most.
    bytes: usize,
    /// Whether one call is sure to move all of them, if the kernel has them or has room for them.
    is_sure: bool,
}

impl Asked {
    fn slice(bytes: usize) -> Asked {
        Asked { bytes, is_sure: bytes <= SURE_BYTES }
    }

    fn slices(slices: &[impl std::ops::Deref<Target = [u8]>]) -> Asked {
        let asked = Asked::slice(slices.iter().map(|slice| slice.len()).fold(0, usize::saturating_add));
        Asked { is_sure: asked.is_sure && slices.len() <= SURE_SLICES, ..asked }
    }

    fn moved<E: Stream>(self, count: usize) -> Transferred {
        Transferred { count, of: if E::SHORT_PROVES && self.is_sure { self.bytes } else { 0 } }
    }
}

/// Every transfer goes through one of these two. A transfer of zero bytes does not depend on readiness: it completes at once, without a system call.
impl<E: Stream> Registered<E> {
    fn poll_transfer(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        asked: Asked,
        mut transfer: impl FnMut(&E) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if asked.bytes == 0 {
            return Poll::Ready(Ok(0));
        }
        let io = self.io();
        let attempt = || transfer(io).map(|count| asked.moved::<E>(count));
        self.source().poll_io(direction, cx, attempt).map_ok(|moved| moved.count)
    }

    fn try_transfer(
        &self,
        interest: Interest,
        asked: Asked,
        transfer: impl FnOnce(&E) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if asked.bytes == 0 {
            return Ok(0);
        }
        let attempt = || transfer(self.io()).map(|count| asked.moved::<E>(count));
        self.source().try_io(interest, attempt).map(|moved| moved.count)
    }
}

/// The `poll_` and `try_` forms of reading. Each direction has one place for a waiting task, and the latest one holds it.
impl<E: Inbound> Registered<E>
where
    for<'a> &'a E: Read,
{
    /// Reads into memory that may be uninitialised; as many bytes as the answer says have been written to its front.
    pub(super) fn poll_read_uninit(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        self.poll_transfer(Direction::Read, cx, Asked::slice(buf.len()), |io| io.fill(buf))
    }

    pub(super) fn poll_read_slice(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_transfer(Direction::Read, cx, Asked::slice(buf.len()), |mut io| io.read(buf))
    }

    pub(super) fn poll_read_slices(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_transfer(Direction::Read, cx, Asked::slices(bufs), |mut io| io.read_vectored(bufs))
    }

    pub(super) fn try_read_slice(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.try_transfer(Interest::READABLE, Asked::slice(buf.len()), |mut io| io.read(buf))
    }

    pub(super) fn try_read_slices(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.try_transfer(Interest::READABLE, Asked::slices(bufs), |mut io| io.read_vectored(bufs))
    }

    pub(super) async fn read_slice(&self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read_slice(cx, buf)).await
    }

    pub(super) async fn read_slices(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read_slices(cx, bufs)).await
    }

    pub(super) async fn read_whole(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.read_slice(&mut buf[filled..]).await? {
                0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ended too early")),
                count => filled += count,
            }
        }
        Ok(filled)
    }

    pub(super) async fn read_rest(&self, buf: &mut Vec<u8>) -> io::Result<usize> {
        /// The least room that a read is given.
        const ROOM: usize = 512;
        let before = buf.len();
        loop {
            if buf.capacity() - buf.len() < ROOM {
                buf.reserve(ROOM);
            }
            match poll_fn(|cx| self.poll_read_uninit(cx, buf.spare_capacity_mut())).await? {
                0 => return Ok(buf.len() - before),
                // SAFETY: so many bytes behind the length have been written.
                count => unsafe { buf.set_len(buf.len() + count) },
            }
        }
    }

    pub(super) async fn read_text(&self, text: &mut String) -> io::Result<usize> {
        let mut rest = Vec::new();
        self.read_rest(&mut rest).await?;
        match std::str::from_utf8(&rest) {
            Ok(rest) => text.push_str(rest),
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
        Ok(rest.len())
    }
}

/// The same for writing.
impl<E: Stream> Registered<E>
where
    for<'a> &'a E: Write,
{
    pub(super) fn poll_write_slice(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_transfer(Direction::Write, cx, Asked::slice(buf.len()), |mut io| io.write(buf))
    }

    pub(super) fn poll_write_slices(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.poll_transfer(Direction::Write, cx, Asked::slices(bufs), |mut io| io.write_vectored(bufs))
    }

    pub(super) fn try_write_slice(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_transfer(Interest::WRITABLE, Asked::slice(buf.len()), |mut io| io.write(buf))
    }

    pub(super) fn try_write_slices(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_transfer(Interest::WRITABLE, Asked::slices(bufs), |mut io| io.write_vectored(bufs))
    }

    pub(super) async fn write_slice(&self, buf: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write_slice(cx, buf)).await
    }

    pub(super) async fn write_slices(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write_slices(cx, bufs)).await
    }

    pub(super) async fn write_whole(&self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.write_slice(buf).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => buf = &buf[count..],
            }
        }
        Ok(())
    }
}
