//! A hyper HTTP/1 server that says hello, loaded by `wrk` from its own process.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::mpsc::sync_channel;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

use crate::contender::{Http, Sockets};
use crate::meter::Meter;
use crate::sample::{Load, Processors, Sample};
use crate::wrk;

pub fn one<C: Sockets>(runtime: &C, load: &Load) -> Option<Sample> {
    run::<C>(runtime, load, 1)
}

pub fn some<C: Sockets>(runtime: &C, load: &Load) -> Option<Sample> {
    run::<C>(runtime, load, 64)
}

pub fn many<C: Sockets>(runtime: &C, load: &Load) -> Option<Sample> {
    run::<C>(runtime, load, 512)
}

fn run<C: Sockets>(runtime: &C, load: &Load, connections: u32) -> Option<Sample> {
    if !wrk::is_installed() {
        return None;
    }
    let (addr, server) = start(runtime, C::http);
    let sample = loaded(addr, load, connections, C::NAME);
    C::cancel(server);
    Some(sample)
}

/// Starts the server, and returns its address and the task that accepts connections.
pub fn start<C: Sockets, H: Http>(runtime: &C, adapter: fn(C::Stream) -> H) -> (SocketAddr, C::Join<()>) {
    let (addr_tx, addr_rx) = sync_channel(1);
    let server = runtime.spawn_outside(async move {
        let (listener, addr) = C::listen().await.expect("no listener");
        addr_tx.send(addr).expect("the receiver of the address is gone");
        while let Ok(stream) = C::accept(&listener).await {
            C::detach(C::spawn(async move {
                let connection = http1::Builder::new().serve_connection(adapter(stream), service_fn(hello));
                // A client that disconnects is no error here.
                let _ = connection.await;
            }));
        }
    });
    (addr_rx.recv().expect("the server has ended"), server)
}

/// Builds a runtime whose server runs until this process ends, and returns its address.
pub fn serve<C: Sockets, H: Http>(workers: usize, adapter: fn(C::Stream) -> H) -> SocketAddr {
    let runtime = C::build(workers);
    let (addr, server) = start(&runtime, adapter);
    C::detach(server);
    std::mem::forget(runtime);
    addr
}

/// Loads the server at this address with `wrk`.
pub fn loaded(addr: SocketAddr, load: &Load, connections: u32, name: &str) -> Sample {
    let meter = Meter::start();
    let result = wrk::run(addr, connections, if load.quick { 1 } else { 3 });
    let reading = meter.read();
    let figures = result.unwrap_or_else(|problem| panic!("{name}: {problem}"));
    assert!(figures.errors == 0.0, "{name}: {} requests of wrk failed", figures.errors);
    let processors = Some(Processors::from_reading(&reading));
    let percentiles = Some(figures.percentiles);
    Sample { processors, percentiles, ..Sample::counted(figures.rate, reading, figures.requests) }
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"Hello, World!"))))
}
