//! The same bytes through the traits of each crate.

use std::future::poll_fn;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::pin::Pin;

use super::tests::Rig;

#[cfg(feature = "futures-io")]
#[test]
fn futures_io_reads_and_writes_streams_borrowed_streams_and_halves() {
    use ::futures_io::{AsyncRead, AsyncWrite};
    fn both<T: AsyncRead + AsyncWrite + Unpin>(_: &T) {}
    let rig = Rig::new();
    let (client, server) = rig.pair();
    both(&client);
    both(&&client);
    let mut buf = [0; 8];
    rig.run(poll_fn(|cx| Pin::new(&mut &client).poll_write(cx, b"one"))).unwrap();
    assert_eq!(rig.run(poll_fn(|cx| Pin::new(&mut &server).poll_read(cx, &mut buf))).unwrap(), 3);
    let (mut read, mut write) = server.into_split();
    let two = [IoSlice::new(b"t"), IoSlice::new(b"wo")];
    assert_eq!(rig.run(poll_fn(|cx| Pin::new(&mut write).poll_write_vectored(cx, &two))).unwrap(), 3);
    rig.run(poll_fn(|cx| Pin::new(&mut write).poll_flush(cx))).unwrap();
    rig.run(poll_fn(|cx| Pin::new(&mut write).poll_close(cx))).unwrap();
    for expected in [3, 0] {
        assert_eq!(rig.run(poll_fn(|cx| Pin::new(&mut &client).poll_read(cx, &mut buf))).unwrap(), expected);
    }
    rig.run(poll_fn(|cx| Pin::new(&mut &client).poll_close(cx))).unwrap();
    assert_eq!(rig.run(poll_fn(|cx| Pin::new(&mut read).poll_read(cx, &mut buf))).unwrap(), 0);
}

#[cfg(feature = "tokio-io")]
#[test]
fn tokio_read_appends_to_a_buffer_of_uninitialised_memory() {
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    let rig = Rig::new();
    let (client, mut server) = rig.pair();
    let (_read, mut write) = client.into_split();
    assert!(AsyncWrite::is_write_vectored(&write) && AsyncWrite::is_write_vectored(&server));
    let two = [IoSlice::new(b"t"), IoSlice::new(b"wo")];
    assert_eq!(rig.run(poll_fn(|cx| Pin::new(&mut write).poll_write_vectored(cx, &two))).unwrap(), 3);
    let mut memory = [MaybeUninit::uninit(); 8];
    let mut buf = ReadBuf::uninit(&mut memory);
    buf.put_slice(b"one");
    rig.run(poll_fn(|cx| AsyncRead::poll_read(Pin::new(&mut server), cx, &mut buf))).unwrap();
    assert_eq!(buf.filled(), b"onetwo");
    rig.run(poll_fn(|cx| Pin::new(&mut write).poll_shutdown(cx))).unwrap();
    rig.run(poll_fn(|cx| AsyncRead::poll_read(Pin::new(&mut server), cx, &mut buf))).unwrap();
    assert_eq!(buf.filled(), b"onetwo", "the end adds nothing");
}

#[cfg(feature = "hyper")]
#[test]
fn hyper_reads_into_uninitialised_memory_and_reads_the_end() {
    use hyper::rt::{Read, ReadBuf, Write};
    let rig = Rig::new();
    let (mut client, mut server) = rig.pair();
    assert!(Write::is_write_vectored(&client));
    let two = [IoSlice::new(b"t"), IoSlice::new(b"wo")];
    assert_eq!(rig.run(poll_fn(|cx| Write::poll_write_vectored(Pin::new(&mut client), cx, &two))).unwrap(), 3);
    rig.run(poll_fn(|cx| Write::poll_shutdown(Pin::new(&mut client), cx))).unwrap();
    let mut memory = [MaybeUninit::uninit(); 8];
    let mut buf = ReadBuf::uninit(&mut memory);
    for _ in 0..2 {
        rig.run(poll_fn(|cx| Read::poll_read(Pin::new(&mut server), cx, buf.unfilled()))).unwrap();
        assert_eq!(buf.filled(), b"two");
    }
}

/// One request and its response, with the client and the server of hyper on the two ends of a
/// connection.
#[cfg(feature = "hyper")]
#[test]
fn hyper_serves_a_request() {
    use http_body_util::{BodyExt, Full};
    use hyper::body::{Bytes, Incoming};
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    let rig = Rig::new();
    let (client, server) = rig.pair();
    let echo = service_fn(|request: Request<Incoming>| async move {
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>(Response::new(Full::new(body)))
    });
    let serving = hyper::server::conn::http1::Builder::new().serve_connection(server, echo);
    let asking = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(client).await.unwrap();
        let body = Bytes::from(vec![7; 300_000]);
        let request = Request::post("/").header("host", "heist").body(Full::new(body)).unwrap();
        let answer = async move {
            let answer = sender.send_request(request).await.unwrap();
            answer.into_body().collect().await.unwrap().to_bytes()
        };
        futures::join!(answer, connection).0
    };
    let (answer, served) = rig.run(async { futures::join!(asking, serving) });
    served.unwrap();
    assert_eq!(answer.len(), 300_000);
    assert!(answer.iter().all(|byte| *byte == 7));
}
