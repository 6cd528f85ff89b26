//! An echo server that stops in good order: it takes no more connections, gives those that are open ten seconds, and says what became
//! of them.
//!
//! ```text
//! cargo run --release --example graceful               # listens on 127.0.0.1:7007
//! cargo run --release --example graceful -- [::1]:0    # or where you say; port 0 takes a free one
//! ```
//!
//! It stops when its standard input ends: press ctrl-D. A service would do so on SIGTERM; whatever hears of that calls `drain` from where it
//! is, as the thread here does.

use std::io::{self, Read};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use futures::future::{Either, select};
use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Draining, Handle, Runtime};

/// How long open connections have.
const DEADLINE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7007".to_owned());
    match run(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("graceful: cannot serve on `{address}`: {error}");
            eprintln!("usage: graceful [ADDRESS:PORT]");
            ExitCode::FAILURE
        }
    }
}

fn run(address: &str) -> io::Result<()> {
    let runtime = Runtime::new()?;
    let listener = runtime.block_on(TcpListener::bind(address))?;
    println!("listening on {}; end the input to stop", listener.local_addr()?);
    // A task of its own: while the runtime drains, tasks may spawn, and the root of a `block_on` may not.
    drop(runtime.spawn(serve(listener)));
    io::stdin().read_to_end(&mut Vec::new())?;
    let report = runtime.drain(DEADLINE).wait();
    println!("{report}");
    Ok(())
}

/// Accepts until the runtime drains.
async fn serve(listener: TcpListener) {
    let mut draining = pin!(Handle::current().draining());
    loop {
        let accepted = match select(pin!(listener.accept()), draining.as_mut()).await {
            Either::Left((accepted, _)) => accepted,
            Either::Right(_) => return,
        };
        match accepted {
            Ok((stream, peer)) => drop(heist::spawn(async move {
                if let Err(error) = echo(stream).await {
                    eprintln!("{peer}: {error}");
                }
            })),
            Err(error) => {
                eprintln!("accept: {error}"); // out of file descriptors, most likely: the next one may do better
                heist::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Gives back what comes in. When the runtime drains it says so to its peer by ending its side, and serves what is still under way.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut draining = Handle::current().draining();
    let mut buf = vec![0; 16 * 1024];
    while let Some(read) = read_or_stop(&mut stream, &mut buf, &mut draining).await {
        match read? {
            0 => return stream.shutdown().await,
            n => stream.write_all(&buf[..n]).await?,
        }
    }
    stream.shutdown().await?;
    while stream.read(&mut buf).await? > 0 {}
    Ok(())
}

/// What has been read; nothing if the runtime drains first.
async fn read_or_stop(stream: &mut TcpStream, buf: &mut [u8], draining: &mut Draining) -> Option<io::Result<usize>> {
    match select(pin!(stream.read(buf)), draining).await {
        Either::Left((read, _)) => Some(read),
        Either::Right(_) => None,
    }
}
