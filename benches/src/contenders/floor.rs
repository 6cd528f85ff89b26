//! The same work without a runtime: bare threads and one epoll loop.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use super::{FLOOR, RowRunner};
use crate::rows::{channels, hello, wake};
use crate::sample::{Load, Sample};
use crate::wrk;

/// Bare threads.
pub struct Floor {
    workers: usize,
}

impl Floor {
    pub fn new(workers: usize) -> Self {
        Floor { workers }
    }
}

impl RowRunner for Floor {
    fn run(&self, row: &str, load: &Load) -> Option<Sample> {
        let load = Load { workers: self.workers, ..load.clone() };
        match row {
            "channel" => channels::there_and_back_alone(),
            "wake-busy" => wake::busy_threads(&load),
            "wake-idle" => wake::idle_thread(&load),
            "hyper-1" => http(&load, 1),
            "hyper-64" => http(&load, 64),
            "hyper-512" => http(&load, 512),
            _ => None,
        }
    }

    fn memory(&self, _: usize) -> Option<(f64, f64)> {
        None
    }
}

const ACCEPT: Token = Token(usize::MAX);
const STOP: Token = Token(usize::MAX - 1);

/// As long as the answer of the other entries.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\nHello, World!";

fn http(load: &Load, connections: u32) -> Option<Sample> {
    if !wrk::is_installed() {
        return None;
    }
    let poll = Poll::new().expect("no epoll");
    let stop = Waker::new(poll.registry(), STOP).expect("no waker");
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("no listener");
    let addr = listener.local_addr().expect("no address");
    let server = thread::spawn(move || serve(poll, listener));
    let sample = hello::loaded(addr, load, connections, FLOOR);
    stop.wake().expect("the server is gone");
    server.join().expect("the server panicked");
    Some(sample)
}

/// Sends one answer per read: `wrk` sends no second request before it has its answer.
fn serve(mut poll: Poll, mut listener: TcpListener) {
    poll.registry().register(&mut listener, ACCEPT, Interest::READABLE).expect("no registration");
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut events = Events::with_capacity(1024);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled.expect("epoll failed"),
        }
        for event in &events {
            match event.token() {
                STOP => return,
                ACCEPT => accept(&poll, &listener, &mut streams),
                Token(n) => {
                    if streams[n].as_mut().is_some_and(|stream| !answer(stream)) {
                        streams[n] = None;
                    }
                }
            }
        }
    }
}

fn accept(poll: &Poll, listener: &TcpListener, streams: &mut Vec<Option<TcpStream>>) {
    while let Ok((mut stream, _)) = listener.accept() {
        stream.set_nodelay(true).expect("no option");
        poll.registry().register(&mut stream, Token(streams.len()), Interest::READABLE).expect("no registration");
        streams.push(Some(stream));
    }
}

/// Returns false if the client is gone. A read that does not fill the buffer has emptied the
/// socket.
fn answer(stream: &mut TcpStream) -> bool {
    let mut request = [0; 4096];
    match stream.read(&mut request) {
        Ok(0) => false,
        Ok(_) => stream.write_all(ANSWER).is_ok(),
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}
