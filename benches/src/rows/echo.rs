//! 64 bytes there and back over loopback TCP, both ends on the runtime.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::sync_channel;

use crate::contender::Sockets;
use crate::meter::Finish;
use crate::sample::{Load, Sample};

pub const ROUND_TRIPS: u64 = 5_000;
pub const MANY: u64 = 64;
pub const EACH: u64 = 200;

const BYTES: usize = 64;

pub fn one<C: Sockets>(runtime: &C, _: &Load) -> Option<Sample> {
    run::<C>(runtime, 1, ROUND_TRIPS)
}

pub fn many<C: Sockets>(runtime: &C, _: &Load) -> Option<Sample> {
    run::<C>(runtime, MANY, EACH)
}

/// Connects all clients first. The clock runs from the first message to the last.
fn run<C: Sockets>(runtime: &C, connections: u64, each: u64) -> Option<Sample> {
    let (finish, result_rx) = Finish::new(connections);
    let (addr_tx, addr_rx) = sync_channel(1);
    let server = runtime.spawn_outside(async move {
        let (listener, addr) = C::listen().await.expect("no listener");
        addr_tx.send(addr).expect("the receiver of the address is gone");
        while let Ok(stream) = C::accept(&listener).await {
            C::detach(C::spawn(echo::<C>(stream)));
        }
    });
    let addr = addr_rx.recv().ok()?;
    C::detach(runtime.spawn_outside(async move {
        let mut streams = Vec::new();
        for _ in 0..connections {
            streams.push(connected::<C>(addr).await.expect("no connection"));
        }
        finish.start();
        for mut stream in streams {
            C::detach(C::spawn(async move {
                for _ in 0..each {
                    round_trip::<C>(&mut stream).await.expect("the echo failed");
                }
                finish.end_part();
            }));
        }
    }));
    let reading = result_rx.recv();
    C::cancel(server);
    Sample::micros(reading.ok()?, connections * each)
}

/// Returns a connection that has carried one message, so that the server is known to serve it.
async fn connected<C: Sockets>(addr: SocketAddr) -> io::Result<C::Stream> {
    let mut stream = C::connect(addr).await?;
    round_trip::<C>(&mut stream).await?;
    Ok(stream)
}

async fn round_trip<C: Sockets>(stream: &mut C::Stream) -> io::Result<()> {
    let mut buf = [7; BYTES];
    C::write_all(stream, &buf).await?;
    let mut got = 0;
    while got < BYTES {
        match C::read(stream, &mut buf[got..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => got += n,
        }
    }
    Ok(())
}

async fn echo<C: Sockets>(mut stream: C::Stream) {
    let mut buf = [0; 1024];
    while let Ok(n) = C::read(&mut stream, &mut buf).await {
        if n == 0 || C::write_all(&mut stream, &buf[..n]).await.is_err() {
            break;
        }
    }
}
