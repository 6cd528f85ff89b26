//! An echo server that shuts down gracefully on SIGTERM. It accepts no more connections, lets each
//! finish its current exchange, and reports the result.
//!
//! ```text
//! cargo run --release --example graceful               # on 127.0.0.1:7007; ends on SIGTERM
//! cargo run --release --example graceful -- [::1]:0    # another address; port 0: a free one
//! cargo run --release --example graceful -- --alone    # its own clients and SIGTERM
//! ```
//!
//! A supervisor that sends SIGTERM kills the process some time later, after 30 s say. The deadline
//! here has to be shorter.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::{Command, ExitCode};
use std::time::Duration;

use futures::future::{Either, select};
use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Draining, Handle, Runtime};
use heist::signal::unix::{SignalKind, signal};

/// The time that open connections have to finish.
const DEADLINE: Duration = Duration::from_secs(10);
/// The number of clients with `--alone`.
const CLIENTS: usize = 8;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (address, alone) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => ("127.0.0.1:7007", false),
        ["--alone"] => ("127.0.0.1:0", true),
        [address] if !address.starts_with('-') => (address, false),
        _ => {
            eprintln!("usage: graceful [ADDRESS:PORT | --alone]");
            return ExitCode::from(2);
        }
    };
    match run(address, alone) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("graceful on `{address}`: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(address: &str, alone: bool) -> io::Result<()> {
    let runtime = Runtime::new()?;
    // From here on SIGTERM does not end the process, however early it is sent.
    let mut terminate = runtime.block_on(async { signal(SignalKind::terminate()) })?;
    let listener = runtime.block_on(TcpListener::bind(address))?;
    let address = listener.local_addr()?;
    println!("listening on {address}, until SIGTERM");
    // In a task: while the runtime drains, tasks may spawn, and the root future of `block_on` may
    // not.
    drop(runtime.spawn(serve(listener)));
    let clients = alone.then(|| {
        std::thread::spawn(move || {
            // If a client fails, nothing sends SIGTERM, which the main thread waits for.
            clients(address).inspect_err(|error| {
                eprintln!("graceful: a client failed: {error}");
                std::process::exit(1);
            })
        })
    });

    runtime.block_on(terminate.recv());
    let report = runtime.drain(DEADLINE).wait();
    println!("{report}");
    match clients {
        Some(clients) => clients.join().expect("clients do not panic"),
        None if report.stragglers.is_empty() => Ok(()),
        None => Err(io::Error::other("some connections did not finish before the deadline")),
    }
}

/// Accepts until the runtime drains.
async fn serve(listener: TcpListener) {
    let mut draining = Handle::current().draining();
    loop {
        let accepted = match select(pin!(listener.accept()), &mut draining).await {
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
                eprintln!("accept: {error}"); // most likely the process has no free file descriptors
                heist::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Sends back what it receives. When the runtime drains, it shuts down its writing side, and waits
/// until the peer closes the connection too.
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

/// Returns the number of bytes read, or `None` if the runtime drains first.
async fn read_or_stop(stream: &mut TcpStream, buf: &mut [u8], draining: &mut Draining) -> Option<io::Result<usize>> {
    match select(pin!(stream.read(buf)), draining).await {
        Either::Left((read, _)) => Some(read),
        Either::Right(_) => None,
    }
}

/// Runs the clients, each with a connection of its own. After all exchanges it sends SIGTERM. Then
/// each client must read the end of the stream.
fn clients(server: SocketAddr) -> io::Result<()> {
    let runtime = Runtime::new()?;
    let mut open = Vec::new();
    for n in 0..CLIENTS {
        open.push(runtime.block_on(async move {
            let mut stream = TcpStream::connect(server).await?;
            let (sent, mut got) = ([n as u8; 64], [0; 64]);
            stream.write_all(&sent).await?;
            stream.read_exact(&mut got).await?;
            if got == sent { Ok(stream) } else { Err(io::Error::other("the server sent back other bytes")) }
        })?);
    }
    Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status()?;
    for mut stream in open {
        if runtime.block_on(stream.read(&mut [0; 1]))? != 0 {
            return Err(io::Error::other("bytes came that were not asked for"));
        }
    }
    println!("{CLIENTS} clients got their answers and the end of the stream");
    Ok(())
}
