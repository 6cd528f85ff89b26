//! A hello server over HTTP/1, with keep-alive: hyper on heist.
//!
//! ```text
//! cargo run --release --example http                    # listens on 127.0.0.1:8080
//! cargo run --release --example http -- 127.0.0.1:0     # another address; port 0: a free one
//! curl http://127.0.0.1:8080/
//! wrk -t1 -c64 -d5s http://127.0.0.1:8080/
//! cargo run --release --example http -- --alone         # with a client of its own, then exits
//! ```
//!
//! Ctrl-C ends the program.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use heist::hyper::HeistTimer;
use heist::net::{TcpListener, TcpStream};
use heist::runtime::Runtime;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};

const HELLO: &[u8] = b"Hello from heist\n";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (address, alone) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => ("127.0.0.1:8080", false),
        ["--alone"] => ("127.0.0.1:0", true),
        [address] if !address.starts_with('-') => (address, false),
        _ => {
            eprintln!("usage: http [ADDRESS:PORT | --alone]");
            return ExitCode::from(2);
        }
    };
    let runtime = Runtime::new().map_err(Into::into);
    match runtime.and_then(|runtime| runtime.block_on(serve(address, alone))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http on `{address}`: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: &str, alone: bool) -> Result<(), Box<dyn Error + Send + Sync>> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    let accepting = heist::spawn(accept(listener));
    if alone {
        return ask(address).await;
    }
    Ok(accepting.await?)
}

async fn accept(listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => drop(heist::spawn(connection(stream, peer))),
            Err(error) => {
                eprintln!("accept: {error}"); // most likely the process has no free file descriptors
                heist::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        return eprintln!("{peer}: {error}"); // the client has hung up already
    }
    let connection = http1::Builder::new()
        .timer(HeistTimer)
        .header_read_timeout(Duration::from_secs(30))
        .serve_connection(stream, service_fn(hello));
    match connection.await {
        Ok(()) => {}
        // A client that hung up or sent nothing is not worth a line.
        Err(error) if error.is_incomplete_message() || error.is_timeout() || error.is_shutdown() => {}
        Err(error) => eprintln!("{peer}: {error}"),
    }
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => (StatusCode::OK, HELLO),
        (_, "/") => (StatusCode::METHOD_NOT_ALLOWED, &b"only GET\n"[..]),
        _ => (StatusCode::NOT_FOUND, &b"there is only /\n"[..]),
    };
    let mut response = Response::new(Full::new(Bytes::from_static(text)));
    *response.status_mut() = status;
    Ok(response)
}

/// Sends a hundred requests on one connection, and one for a page that does not exist.
async fn ask(address: SocketAddr) -> Result<(), Box<dyn Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let connection = heist::spawn(connection);
    for n in 0..=100 {
        let (path, expected) = if n == 100 { ("/nothing", StatusCode::NOT_FOUND) } else { ("/", StatusCode::OK) };
        let request = Request::get(path).header("host", address.to_string()).body(Empty::<Bytes>::new())?;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status != expected || (status == StatusCode::OK && body != HELLO) {
            return Err(format!("GET {path}: {status}, {body:?}").into());
        }
    }
    drop(sender);
    connection.await??;
    println!("101 requests were answered on one connection");
    Ok(())
}
