//! A hello server over HTTP/1, with keep-alive: hyper on heist.
//!
//! ```text
//! cargo run --release --example http                    # listens on 127.0.0.1:8080
//! cargo run --release --example http -- 127.0.0.1:0     # or where you say; port 0 takes a free one
//! curl http://127.0.0.1:8080/
//! wrk -t1 -c64 -d5s http://127.0.0.1:8080/
//! ```
//!
//! Ctrl-C ends it.

use std::convert::Infallible;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use heist::hyper::HeistTimer;
use heist::net::TcpListener;
use heist::runtime::Builder;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let runtime = Builder::new_multi_thread().enable_all().build();
    let served = runtime.and_then(|runtime| runtime.block_on(serve(&address)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http: cannot serve on `{address}`: {error}");
            eprintln!("usage: http [ADDRESS:PORT]");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                eprintln!("accept: {error}"); // out of file descriptors, most likely: the next one may do better
                heist::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        stream.set_nodelay(true)?;
        heist::spawn(async move {
            let connection = http1::Builder::new()
                .timer(HeistTimer)
                .header_read_timeout(Duration::from_secs(30))
                .pipeline_flush(true)
                .serve_connection(stream, service_fn(hello));
            match connection.await {
                Ok(()) => {}
                // Hung up, in the middle or at the end, or silent: no news.
                Err(error) if error.is_incomplete_message() || error.is_timeout() || error.is_shutdown() => {}
                Err(error) => eprintln!("{peer}: {error}"),
            }
        });
    }
}

async fn hello(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"Hello from heist\n"))))
}
