//! UDP and unix sockets.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, process};

use heist::net::{UdpSocket, UnixListener, UnixStream};
use heist::time::timeout;

use crate::account::Ticket;
use crate::activity;
use crate::dice::Dice;
use crate::failure::fail;
use crate::load::{self, COUNTERS, Load, Peers, add, within_limit};

pub(crate) fn start(load: &Arc<Load>) {
    let server = load.handle.block_on(UdpSocket::bind("127.0.0.1:0"));
    let server = server.unwrap_or_else(|error| fail(&format!("no UDP socket: {error}")));
    let address = server.local_addr().unwrap_or_else(|error| fail(&format!("no address: {error}")));
    load.start_task("the UDP server", |_| serve_udp(server));
    for number in 0..2 {
        load.start_task(&format!("UDP peer {number}"), move |dice| be_udp_peer(address, dice));
    }
    let path = env::temp_dir().join(format!("heist-soak-{}.sock", process::id()));
    drop(fs::remove_file(&path));
    let _inside = load.handle.enter();
    let listener = UnixListener::bind(&path).unwrap_or_else(|error| fail(&format!("no unix listener: {error}")));
    let there = path.clone();
    let peers = Peers::new();
    let peer = peers.clone();
    load.start_task("unix peers", move |dice| be_unix_peers(path, peer, dice));
    load.start_task("the unix server", |_| serve_unix(listener, there, peers));
}

async fn serve_udp(socket: UdpSocket) {
    let mut buffer = [0; 2_048];
    while !load::is_over() {
        // The peer may be gone: then an error belongs to an earlier datagram.
        if let Ok(Ok((length, peer))) = timeout(Duration::from_millis(100), socket.recv_from(&mut buffer)).await {
            add(&COUNTERS.bytes, length as u64);
            drop(socket.send_to(&buffer[..length], peer).await);
        }
    }
}

/// Sends datagrams with numbers. Each is answered, or lost.
async fn be_udp_peer(server: SocketAddr, mut dice: Dice) {
    let progress = activity::start("UDP");
    while !load::is_over() {
        let bound = UdpSocket::bind("127.0.0.1:0").await;
        let socket = bound.unwrap_or_else(|error| fail(&format!("no UDP socket: {error}")));
        for number in 0..dice.below(60) {
            if load::is_over() {
                break;
            }
            let sent = [number.to_le_bytes(), dice.next().to_le_bytes()].concat();
            if let Err(error) = socket.send_to(&sent, server).await {
                fail(&format!("a datagram was not sent: {error}"));
            }
            let mut received = [0; 64];
            loop {
                match timeout(Duration::from_millis(500), socket.recv_from(&mut received)).await {
                    Ok(Ok((length, _))) if received[..length] == sent => {
                        progress.advance();
                        break;
                    }
                    // The late answer to an earlier datagram.
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => fail(&format!("a datagram was not received: {error}")),
                    // Lost, or the server has ended.
                    Err(_) => break,
                }
            }
        }
        load::pause(dice.micros(20_000)).await;
    }
    progress.end();
}

async fn serve_unix(listener: UnixListener, path: PathBuf, peers: Peers) {
    while peers.are_left() {
        match timeout(Duration::from_millis(100), listener.accept()).await {
            Ok(Ok((mut stream, _))) => {
                let ticket = Ticket::new();
                drop(heist::spawn(async move {
                    let mut buffer = [0; 1_024];
                    while let Ok(length @ 1..) = within_limit("a unix read", stream.read(&mut buffer)).await {
                        add(&COUNTERS.bytes, length as u64);
                        if within_limit("a unix write", stream.write_all(&buffer[..length])).await.is_err() {
                            break;
                        }
                    }
                    ticket.complete()
                }));
            }
            Ok(Err(error)) => fail(&format!("a unix accept failed: {error}")),
            Err(_) => {}
        }
    }
    drop(fs::remove_file(path));
}

async fn be_unix_peers(path: PathBuf, _peer: Peers, mut dice: Dice) {
    let progress = activity::start("unix sockets");
    while !load::is_over() {
        let connected = within_limit("a unix connect", UnixStream::connect(&path)).await;
        let mut stream = connected.unwrap_or_else(|error| fail(&format!("no unix connection: {error}")));
        for _ in 0..dice.below(20) {
            let sent = vec![dice.next() as u8; 1 + dice.below(900) as usize];
            let mut received = vec![0; sent.len()];
            let written = stream.write_all(&sent).await;
            let read = within_limit("a unix echo", stream.read_exact(&mut received)).await;
            if written.is_err() || read.is_err() || sent != received {
                fail(&format!("a unix echo failed: {written:?}, {read:?}"));
            }
        }
        progress.advance();
        load::pause(dice.micros(20_000)).await;
    }
    progress.end();
}
