//! A hyper HTTP/1 server that says hello, loaded by `wrk` from its own process.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

use crate::contender::Sockets;
use crate::meter::Meter;
use crate::sample::{Load, Processors, Sample};

pub fn one<C: Sockets>(runtime: &C, load: &Load) -> Option<Sample> {
    run::<C>(runtime, load, 1)
}

pub fn some<C: Sockets>(runtime: &C, load: &Load) -> Option<Sample> {
    run::<C>(runtime, load, 64)
}

pub fn many<C: Sockets>(runtime: &C, load: &Load) -> Option<Sample> {
    run::<C>(runtime, load, 512)
}

/// Returns true if `wrk` is installed.
pub fn is_wrk_installed() -> bool {
    Command::new("wrk").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn run<C: Sockets>(runtime: &C, load: &Load, connections: u32) -> Option<Sample> {
    if !is_wrk_installed() {
        return None;
    }
    let (addr_tx, addr_rx) = sync_channel(1);
    let server = runtime.spawn_outside(async move {
        let (listener, addr) = C::listen().await.expect("no listener");
        addr_tx.send(addr).expect("the receiver of the address is gone");
        while let Ok(stream) = C::accept(&listener).await {
            C::detach(C::spawn(async move {
                let connection = http1::Builder::new().serve_connection(C::http(stream), service_fn(hello));
                // A client that disconnects is no error here.
                let _ = connection.await;
            }));
        }
    });
    let addr = addr_rx.recv().ok()?;
    let sample = loaded(addr, load, connections, C::NAME);
    C::cancel(server);
    Some(sample)
}

/// Loads the server at this address with `wrk`.
pub fn loaded(addr: SocketAddr, load: &Load, connections: u32, name: &str) -> Sample {
    let meter = Meter::start();
    let result = wrk(addr, connections, if load.quick { 1 } else { 3 });
    let reading = meter.read();
    let (requests, rate) = result.unwrap_or_else(|problem| panic!("{name}: wrk: {problem}"));
    let processors = Some(Processors::from_reading(&reading));
    Sample { processors, ..Sample::counted(rate, reading, requests) }
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"Hello, World!"))))
}

/// Returns the number of requests served, and requests per second.
fn wrk(addr: SocketAddr, connections: u32, seconds: u32) -> Result<(f64, f64), String> {
    let (connections, duration) = (format!("-c{connections}"), format!("-d{seconds}s"));
    let output = Command::new("wrk").args(["-t1", &connections, &duration, &format!("http://{addr}/")]).output();
    let output = output.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || text.contains("Socket errors") || text.contains("Non-2xx") {
        return Err(text);
    }
    let field = |line: &str, n: usize| line.split_whitespace().nth(n).and_then(|word| word.parse::<f64>().ok());
    let requests = text.lines().find(|line| line.contains(" requests in ")).and_then(|line| field(line, 0));
    let rate = text.lines().find(|line| line.starts_with("Requests/sec")).and_then(|line| field(line, 1));
    requests.zip(rate).ok_or(text)
}
