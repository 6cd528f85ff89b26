//! The first bytes of an HTTP connection, which say whether the client speaks HTTP/2.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use heist::time::Sleep;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

/// What an HTTP/2 client sends first.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose client has a limited time for the first bytes.
///
/// hyper-util reads until it knows the version, without a limit. A client that is silent, or sends
/// a part of the HTTP/2 preface, would keep its connection for ever.
pub(crate) struct Preface<T> {
    io: T,
    /// How many bytes have matched the preface, and until when the others must come. `None` once
    /// the version is known.
    unknown: Option<(usize, Pin<Box<Sleep>>)>,
}

impl<T> Preface<T> {
    pub(crate) fn new(io: T, limit: Duration) -> Preface<T> {
        Preface { io, unknown: Some((0, Box::pin(heist::time::sleep(limit)))) }
    }
}

impl<T: Read + Unpin> Read for Preface<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let Preface { io, unknown } = self.get_mut();
        let Some((matched, limit)) = unknown else { return Pin::new(io).poll_read(cx, buf) };
        if limit.as_mut().poll(cx).is_ready() {
            let text = "the client has not sent the beginning of a request in time";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)));
        }
        let mut room = [0; HTTP2.len()];
        let most = room.len().min(buf.remaining());
        let mut first = ReadBuf::new(&mut room[..most]);
        ready!(Pin::new(io).poll_read(cx, first.unfilled()))?;
        let first = first.filled();
        buf.put_slice(first);
        let expected = &HTTP2[*matched..];
        let compared = first.len().min(expected.len());
        *matched += compared;
        // The end of the stream tells as much as a byte that differs.
        if compared == 0 || first[..compared] != expected[..compared] || *matched == HTTP2.len() {
            *unknown = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Write + Unpin> Write for Preface<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
