//! 64 bytes there and back over loopback TCP, both ends on the runtime.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::sync_channel;

use super::{Load, Sample};
use crate::contender::Sockets;
use crate::meter::Finish;

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

/// Everybody connects first; the clock runs from the first message to the last.
fn run<C: Sockets>(runtime: &C, connections: u64, each: u64) -> Option<Sample> {
    let (finish, told) = Finish::of(connections);
    let (tell_addr, addr_told) = sync_channel(1);
    let server = runtime.spawn_outside(async move {
        let (listener, addr) = C::listen().await.expect("no listener");
        tell_addr.send(addr).expect("nobody wants the address");
        while let Ok(stream) = C::accept(&listener).await {
            C::detach(C::spawn(echo::<C>(stream)));
        }
    });
    let addr = addr_told.recv().ok()?;
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
                finish.one_done();
            }));
        }
    }));
    let reading = told.recv();
    C::cancel(server);
    Sample::micros(reading.ok()?, connections * each)
}

/// A connection over which one message has gone already, so that the other end is known to be
/// served.
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
