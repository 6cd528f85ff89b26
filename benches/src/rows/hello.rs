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

use super::{Load, Processors, Sample};
use crate::contender::Sockets;
use crate::meter::Meter;

pub fn one<C: Sockets>(runtime: &C, load: &Load) -> Option<Sample> {
    run::<C>(runtime, load, 1)
}

pub fn some<C: Sockets>(runtime: &C, load: &Load) -> Option<Sample> {
    run::<C>(runtime, load, 64)
}

pub fn many<C: Sockets>(runtime: &C, load: &Load) -> Option<Sample> {
    run::<C>(runtime, load, 512)
}

/// Whether there is a `wrk` to run.
pub fn wrk_is_there() -> bool {
    Command::new("wrk").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn run<C: Sockets>(runtime: &C, load: &Load, connections: u32) -> Option<Sample> {
    if !wrk_is_there() {
        return None;
    }
    let (tell_addr, addr_told) = sync_channel(1);
    let server = runtime.spawn_outside(async move {
        let (listener, addr) = C::listen().await.expect("no listener");
        tell_addr.send(addr).expect("nobody wants the address");
        while let Ok(stream) = C::accept(&listener).await {
            C::detach(C::spawn(async move {
                let connection = http1::Builder::new().serve_connection(C::http(stream), service_fn(hello));
                // A client that goes away is no error here.
                let _ = connection.await;
            }));
        }
    });
    let addr = addr_told.recv().ok()?;
    let sample = loaded(addr, load, connections, C::NAME);
    C::cancel(server);
    Some(sample)
}

/// What `wrk` gets out of the server at this address.
pub fn loaded(addr: SocketAddr, load: &Load, connections: u32, who: &str) -> Sample {
    let meter = Meter::start();
    let result = wrk(addr, connections, if load.quick { 1 } else { 3 });
    let reading = meter.read();
    let (requests, rate) = result.unwrap_or_else(|problem| panic!("{who}: wrk: {problem}"));
    let processors = Some(Processors::of(&reading));
    Sample { processors, ..Sample::counted(rate, reading, requests) }
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"Hello, World!"))))
}

/// Requests served, and requests per second.
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
