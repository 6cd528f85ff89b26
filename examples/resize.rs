//! An echo server under load that is resized 1 → 8 → 2 while it serves, and drained on SIGTERM.
//!
//! ```text
//! cargo run --release --example resize              # ends on SIGTERM: `kill $(pidof resize)`
//! cargo run --release --example resize -- --alone   # sends itself SIGTERM in the end
//! ```
//!
//! The load comes from a runtime of its own, like the load of another process. No message is lost:
//! the clients stop when the server begins to drain, after the answer to their last message.

use std::io;
use std::net::SocketAddr;
use std::process::{Command, ExitCode};
use std::time::Duration;

use futures::future::{Either, select};
use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Draining, Runtime};
use heist::signal::unix::{SignalKind, signal};
use heist::task::JoinHandle;

const CLIENTS: usize = 16;

fn main() -> ExitCode {
    let alone = std::env::args().nth(1).is_some_and(|arg| arg == "--alone");
    match run(alone) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("resize: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(alone: bool) -> io::Result<()> {
    let server = Builder::new_multi_thread().worker_threads(1).max_worker_threads(8).enable_all().build()?;
    let load = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let listener = server.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    server.spawn(accept(listener, server.draining()));
    let clients: Vec<JoinHandle<io::Result<u64>>> =
        (0..CLIENTS).map(|_| load.spawn(talk(address, server.draining()))).collect();
    println!("{CLIENTS} clients on {address}");

    // From here on a SIGTERM is kept until `recv` is called.
    let mut terminate = server.block_on(async { signal(SignalKind::terminate()) })?;
    for size in [8, 2] {
        std::thread::sleep(Duration::from_millis(500));
        let resized = server.resize(size).wait().map_err(io::Error::other)?;
        println!("{} → {} workers, version {}", resized.from, resized.to, resized.version);
    }
    if alone {
        std::thread::sleep(Duration::from_millis(500));
        Command::new("sh").args(["-c", &format!("kill -TERM {}", std::process::id())]).status()?;
    }
    println!("waiting for SIGTERM");
    server.block_on(terminate.recv());
    let report = server.drain(Duration::from_secs(5)).wait();
    println!("{report}");
    finish(load, clients)
}

/// Accepts connections until the runtime drains.
async fn accept(listener: TcpListener, draining: Draining) {
    let mut draining = draining;
    loop {
        let next = std::pin::pin!(listener.accept());
        match select(next, &mut draining).await {
            Either::Left((Ok((stream, _)), _)) => drop(heist::spawn(echo(stream))),
            Either::Left((Err(error), _)) => eprintln!("accept: {error}"),
            Either::Right(_) => return,
        }
    }
}

/// Sends back what the client sends, until it hangs up.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = vec![0; 4 * 1024];
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(()),
            n => stream.write_all(&buf[..n]).await?,
        }
    }
}

/// Sends messages and awaits each answer until the server drains. Returns how many.
async fn talk(address: SocketAddr, draining: Draining) -> io::Result<u64> {
    let mut stream = TcpStream::connect(address).await?;
    let mut draining = draining;
    let mut answers = 0;
    loop {
        let message = [answers as u8; 64];
        let mut answer = [0; 64];
        stream.write_all(&message).await?;
        stream.read_exact(&mut answer).await?;
        if answer != message {
            return Err(io::Error::other("the server sent back other bytes"));
        }
        answers += 1;
        if futures::poll!(&mut draining).is_ready() {
            return Ok(answers);
        }
    }
}

fn finish(load: Runtime, clients: Vec<JoinHandle<io::Result<u64>>>) -> io::Result<()> {
    let mut answers = 0;
    for client in clients {
        answers += load.block_on(client).map_err(io::Error::other)??;
    }
    println!("{answers} messages were answered, none was lost");
    Ok(())
}
