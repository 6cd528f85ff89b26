//! Helpers of the socket tests: connected pairs, and folders for socket paths.
#![allow(dead_code, reason = "every test file uses its own part of it")]

use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::task::Poll;

use heist::net::{TcpListener, TcpStream, UdpSocket};

/// Returns both ends of a TCP connection.
pub(crate) async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = futures::join!(TcpStream::connect(address), listener.accept());
    (client.unwrap(), server.unwrap().0)
}

/// Returns two UDP sockets that are connected to each other.
pub(crate) async fn udp_pair() -> (UdpSocket, UdpSocket) {
    let (one, two) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
    one.connect(two.local_addr().unwrap()).await.unwrap();
    two.connect(one.local_addr().unwrap()).await.unwrap();
    (one, two)
}

/// A temporary folder, which is removed on drop.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("heist-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Polls `future` once, with the task's own waker.
pub(crate) async fn once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// Asserts that a wait for readiness is pending after an operation that would block. An event that
/// is under way may end such a wait once more, so both are tried again then.
pub(crate) async fn waits_after_would_block<R: Debug, F: Future>(
    name: &str,
    operation: impl Fn() -> io::Result<R>,
    wait: impl Fn() -> F,
) {
    for _ in 0..1_000 {
        assert_eq!(operation().unwrap_err().kind(), ErrorKind::WouldBlock, "{name}");
        if once(pin!(wait())).await.is_pending() {
            return;
        }
        heist::task::yield_now().await;
    }
    panic!("{name}: it is ready again and again, though the operation would block");
}
