//! A chat room over TCP: each guest reads what the other guests write. The channels are those of
//! async-channel.
//!
//! ```text
//! cargo run --release --example chat               # listens on 127.0.0.1:7008
//! nc 127.0.0.1 7008                                # several times; first line: your name
//! cargo run --release --example chat -- --alone    # three guests of its own, then exits
//! ```
//!
//! Each guest has two tasks: one reads the guest's lines, the other writes the lines of the other
//! guests, which wait in a channel. The channel is bounded: a guest that does not read is
//! disconnected, and costs the room no memory.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded};
use futures::future::{Either, select};
use heist::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use heist::net::{TcpListener, TcpStream};
use heist::runtime::Runtime;
use heist::time::timeout;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

type Reader = BufReader<OwnedReadHalf>;

/// The most lines that wait for one guest, bytes in a line, and time for one write.
const BACKLOG: usize = 64;
const LONGEST: u64 = 1024;
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (address, alone) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => ("127.0.0.1:7008", false),
        ["--alone"] => ("127.0.0.1:0", true),
        [address] if !address.starts_with('-') => (address, false),
        _ => {
            eprintln!("usage: chat [ADDRESS:PORT | --alone]");
            return ExitCode::from(2);
        }
    };
    match Runtime::new().and_then(|runtime| runtime.block_on(serve(address, alone))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat on `{address}`: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: &str, alone: bool) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("the room is on {address}");
    let open = heist::spawn(admit(listener));
    if alone {
        return evening(address).await;
    }
    Ok(open.await?)
}

async fn admit(listener: TcpListener) {
    let room = Arc::new(Room::default());
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => drop(heist::spawn(guest(Arc::clone(&room), stream, peer))),
            Err(error) => {
                eprintln!("accept: {error}"); // most likely the process has no free file descriptors
                heist::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// The guests. The lock is std's: it is held for a few instructions, and never across an `await`.
#[derive(Default)]
struct Room(Mutex<HashMap<SocketAddr, Sender<Arc<str>>>>);

impl Room {
    /// Sends a line to all guests except `from`. A guest whose channel is full is removed: without
    /// its sender the writing task ends, and then the reading one.
    fn broadcast(&self, from: Option<SocketAddr>, line: String) {
        let line: Arc<str> = line.into();
        self.0.lock().unwrap().retain(|&guest, lines| from == Some(guest) || lines.try_send(Arc::clone(&line)).is_ok());
    }
}

async fn guest(room: Arc<Room>, stream: TcpStream, peer: SocketAddr) {
    let (read, write) = stream.into_split();
    let (sender, lines) = bounded(BACKLOG);
    let writing = heist::spawn(deliver(lines, write));
    let ended = match select(pin!(listen(&room, sender, BufReader::new(read), peer)), writing).await {
        Either::Left((read_result, writing)) => {
            room.0.lock().unwrap().remove(&peer); // closes its channel; lines in it are still written
            read_result.and(writing.await.unwrap_or_else(|error| Err(error.into())))
        }
        Either::Right(_) => Err(io::Error::other("the guest does not read")),
    };
    room.0.lock().unwrap().remove(&peer);
    if let Err(error) = ended {
        eprintln!("{peer}: {error}");
    }
}

async fn deliver(lines: Receiver<Arc<str>>, mut write: OwnedWriteHalf) -> io::Result<()> {
    while let Ok(line) = lines.recv().await {
        timeout(PATIENCE, write.write_all(line.as_bytes())).await??;
    }
    Ok(())
}

/// Adds the guest, and sends what it writes to the others until it hangs up.
async fn listen(room: &Room, sender: Sender<Arc<str>>, mut read: Reader, peer: SocketAddr) -> io::Result<()> {
    let Some(name) = line(&mut read).await? else { return Ok(()) };
    room.0.lock().unwrap().insert(peer, sender);
    room.broadcast(None, format!("* {name} is here\n"));
    while let Some(text) = line(&mut read).await? {
        room.broadcast(Some(peer), format!("{name}: {text}\n"));
    }
    room.broadcast(Some(peer), format!("* {name} has left\n"));
    Ok(())
}

/// Returns the next line, or `None` at the end. Fails if the line is too long.
async fn line(read: &mut Reader) -> io::Result<Option<String>> {
    let mut line = String::new();
    match read.take(LONGEST).read_line(&mut line).await? {
        0 => Ok(None),
        _ if line.len() as u64 == LONGEST && !line.ends_with('\n') => Err(io::Error::other("the line is too long")),
        _ => Ok(Some(line.trim_end().to_owned())),
    }
}

/// Connects three guests; one writes, and one hangs up.
async fn evening(address: SocketAddr) -> io::Result<()> {
    let mut guests = Vec::new();
    for name in ["ann", "ben", "cleo"] {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("{name}\n").as_bytes()).await?;
        guests.push(BufReader::new(stream));
        expect_line(&mut guests, &format!("* {name} is here\n")).await?;
    }
    guests[0].get_mut().write_all(b"hello\n").await?;
    expect_line(&mut guests[1..], "ann: hello\n").await?;
    drop(guests.remove(0));
    expect_line(&mut guests, "* ann has left\n").await?;
    println!("three guests met, one spoke, and one left");
    Ok(())
}

/// Checks that each guest reads this line next.
async fn expect_line(guests: &mut [BufReader<TcpStream>], expected: &str) -> io::Result<()> {
    for guest in guests {
        let mut line = String::new();
        guest.read_line(&mut line).await?;
        if line != expected {
            return Err(io::Error::other(format!("expected `{expected}`, got `{line}`")));
        }
    }
    Ok(())
}
