//! A TCP server that echoes, and peers that mistreat it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use heist::net::{TcpListener, TcpStream};
use heist::time::{sleep, timeout};

use crate::account::Ticket;
use crate::activity::{self, Activity};
use crate::dice::Dice;
use crate::failure::fail;
use crate::load::{self, COUNTERS, Load, Peers, add, within_limit};

/// How many peers are tasks.
const PEERS: u64 = 5;

pub(crate) fn start(load: &Arc<Load>) {
    let listener = load.handle.block_on(TcpListener::bind("127.0.0.1:0"));
    let listener = listener.unwrap_or_else(|error| fail(&format!("no TCP listener: {error}")));
    let address = listener.local_addr().unwrap_or_else(|error| fail(&format!("no address: {error}")));
    let peers = Peers::new();
    let progress = activity::start("TCP peers");
    for number in 0..PEERS {
        let (progress, peers) = (Arc::clone(&progress), peers.clone());
        load.start_task(&format!("TCP peer {number}"), move |dice| be_peers(address, progress, peers, dice));
    }
    let foreign = peers.clone();
    load.start_task("the TCP server", |_| serve(listener, peers));
    load.start_thread("foreign TCP peer", move |mut dice| {
        let _peer = foreign;
        let progress = activity::start("a TCP peer without a runtime");
        while !load::is_over() {
            if let Err(error) = be_blocking_peer(address, &mut dice) {
                tolerate("a TCP peer without a runtime", &error);
            }
            progress.advance();
            thread::sleep(dice.micros(60_000));
        }
        progress.end();
    });
}

async fn serve(listener: TcpListener, peers: Peers) {
    while peers.are_left() {
        match timeout(Duration::from_millis(100), listener.accept()).await {
            Ok(Ok((stream, _))) => {
                add(&COUNTERS.connections, 1);
                let ticket = Ticket::new();
                drop(heist::spawn(async move {
                    echo(stream).await;
                    ticket.complete()
                }));
            }
            // A peer may be gone again.
            Ok(Err(error)) => tolerate("an accept", &error),
            Err(_) => {}
        }
    }
}

/// Echoes until the peer ends or breaks the connection. Every peer does so in time.
async fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    loop {
        let Ok(length @ 1..) = within_limit("a read of the TCP server", stream.read(&mut buffer)).await else { return };
        add(&COUNTERS.bytes, length as u64);
        let written = within_limit("a write of the TCP server", stream.write_all(&buffer[..length])).await;
        if written.is_err() {
            return;
        }
    }
}

/// Fails the soak, unless the error is one that a machine short of ports or a hostile peer may
/// cause.
fn tolerate(what: &str, error: &io::Error) {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, ConnectionAborted, ConnectionReset};
    if !matches!(error.kind(), AddrInUse | AddrNotAvailable | ConnectionAborted | ConnectionReset) {
        fail(&format!("{what} failed: {error}"));
    }
}

async fn be_peers(address: SocketAddr, progress: Arc<Activity>, _peer: Peers, mut dice: Dice) {
    while !load::is_over() {
        match within_limit("a connect", TcpStream::connect(address)).await {
            Ok(stream) => {
                if let Err(error) = be_peer(stream, &mut dice).await {
                    fail(&format!("a TCP peer failed: {error}"));
                }
            }
            Err(error) => tolerate("a connect", &error),
        }
        progress.advance();
        load::pause(dice.micros(50_000)).await;
    }
    progress.end();
}

/// Returns random bytes.
fn random_bytes(dice: &mut Dice, most: u64) -> Vec<u8> {
    let mut bytes = vec![0; 1 + dice.below(most) as usize];
    for part in bytes.chunks_mut(8) {
        part.copy_from_slice(&dice.next().to_le_bytes()[..part.len()]);
    }
    bytes
}

fn check_echo(sent: &[u8], received: &[u8]) {
    if sent != received {
        let same = sent.iter().zip(received).take_while(|(a, b)| a == b).count();
        fail(&format!("of {} bytes, {} came back, and the first {same} are right", sent.len(), received.len()));
    }
}

async fn be_peer(mut stream: TcpStream, dice: &mut Dice) -> io::Result<()> {
    match dice.below(8) {
        // Several messages, each echoed.
        0 => {
            for _ in 0..1 + dice.below(8) {
                let sent = random_bytes(dice, 8_000);
                stream.write_all(&sent).await?;
                let mut received = vec![0; sent.len()];
                within_limit("an echo", stream.read_exact(&mut received)).await?;
                check_echo(&sent, &received);
            }
            // Without a lingering port.
            stream.set_zero_linger()
        }
        // A half-close: all comes back, and then the end.
        1 => {
            let sent = random_bytes(dice, 30_000);
            stream.write_all(&sent).await?;
            stream.shutdown().await?;
            let mut received = Vec::new();
            within_limit("an echo up to its end", stream.read_to_end(&mut received)).await?;
            check_echo(&sent, &received);
            Ok(())
        }
        // A reset in the middle.
        2 => {
            let sent = random_bytes(dice, 30_000);
            stream.write_all(&sent).await?;
            sleep(dice.micros(300)).await;
            stream.set_zero_linger()
        }
        // A slow reader.
        3 => {
            let sent = random_bytes(dice, 20_000);
            stream.write_all(&sent).await?;
            let mut received = Vec::new();
            while received.len() < sent.len() {
                let mut part = [0; 1_500];
                let length = within_limit("a slow read", stream.read(&mut part)).await?;
                if length == 0 {
                    break;
                }
                received.extend_from_slice(&part[..length]);
                sleep(dice.micros(3_000)).await;
            }
            check_echo(&sent, &received);
            stream.set_zero_linger()
        }
        // A writer that never reads. The server's writes get stuck, until this peer breaks the
        // connection.
        4 => {
            let block = random_bytes(dice, 64_000);
            for _ in 0..100 {
                let limit = Duration::from_millis(1 + dice.below(50));
                if timeout(limit, stream.write_all(&block)).await.is_err() {
                    break;
                }
            }
            stream.set_zero_linger()
        }
        // Closed at once.
        5 => {
            if dice.one_in(2) {
                stream.set_zero_linger()?;
            }
            drop(stream);
            Ok(())
        }
        // Reader and writer are two tasks.
        _ => stream_by_halves(stream, dice).await,
    }
}

async fn stream_by_halves(stream: TcpStream, dice: &mut Dice) -> io::Result<()> {
    let sent: Arc<[u8]> = random_bytes(dice, 200_000).into();
    let (mut reader, mut writer) = stream.into_split();
    let ours = Arc::clone(&sent);
    let writing = load::spawn_counted(|ticket| async move {
        let written = within_limit("a write of half a stream", writer.write_all(&ours)).await;
        if let Err(error) = written {
            fail(&format!("a write of half a stream failed: {error}"));
        }
        if let Err(error) = writer.shutdown().await {
            fail(&format!("a shutdown of half a stream failed: {error}"));
        }
        ticket.complete()
    });
    let mut received = Vec::new();
    within_limit("a read of half a stream", reader.read_to_end(&mut received)).await?;
    check_echo(&sent, &received);
    load::join_all(vec![writing]).await;
    Ok(())
}

/// A peer of std: its bytes come from another thread than a worker.
fn be_blocking_peer(address: SocketAddr, dice: &mut Dice) -> io::Result<()> {
    let mut stream = std::net::TcpStream::connect_timeout(&address, load::IO_LIMIT)?;
    stream.set_read_timeout(Some(load::IO_LIMIT))?;
    let sent = random_bytes(dice, 30_000);
    stream.write_all(&sent)?;
    if dice.one_in(2) {
        stream.shutdown(Shutdown::Write)?;
        let mut received = Vec::new();
        stream.read_to_end(&mut received)?;
        check_echo(&sent, &received);
    }
    Ok(())
}
