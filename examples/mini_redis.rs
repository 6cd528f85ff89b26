//! A small part of Redis, enough for redis-cli and redis-benchmark: GET, SET, PING, PUBLISH,
//! SUBSCRIBE.
//!
//! ```text
//! cargo run --release --example mini_redis              # listens on 127.0.0.1:6380
//! redis-cli -p 6380 set name heist                      # also: get, publish, subscribe
//! redis-benchmark -p 6380 -t set,get -n 100000 -P 16 -q
//! ```
//!
//! Ctrl-C ends the program.
//!
//! A connection has two tasks: one reads commands, the other writes what waits in a bounded
//! channel, answers and messages alike. A client that does not read its answers cannot send more
//! commands. A subscriber that does not read its messages is disconnected.

use std::collections::HashMap;
use std::io::{self, Error};
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

/// The time for one write.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let address = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => "127.0.0.1:6380",
        [address] if !address.starts_with('-') => address,
        _ => {
            eprintln!("usage: mini_redis [ADDRESS:PORT]");
            return ExitCode::from(2);
        }
    };
    match Runtime::new().and_then(|runtime| runtime.block_on(serve(address))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mini_redis on `{address}`: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    drop(heist::spawn(accept(listener)));
    heist::signal::ctrl_c().await
}

async fn accept(listener: TcpListener) {
    let store = Arc::new(Store::default());
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let connection = connection(Arc::clone(&store), stream);
                heist::spawn(async move { connection.await.unwrap_or_else(|error| eprintln!("{peer}: {error}")) });
            }
            Err(error) => {
                eprintln!("accept: {error}"); // most likely the process has no free file descriptors
                heist::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(store: Arc<Store>, stream: TcpStream) -> io::Result<()> {
    let _ = stream.set_nodelay(true); // fails if the client has hung up; the first read reports that
    let (read, write) = stream.into_split();
    let (inbox, waiting) = bounded(256);
    let reading = async {
        let mut read = BufReader::new(read);
        while let Some(words) = command(&mut read).await? {
            // Waits if the client does not read. An error means that the writer has ended, which is
            // reported below.
            let _ = inbox.send(store.answer(&words, &inbox).into()).await;
        }
        Ok(())
    };
    match select(pin!(reading), heist::spawn(deliver(waiting, write))).await {
        Either::Left((read, writing)) => {
            inbox.close(); // what is in the channel is still written
            read.and(writing.await?)
        }
        Either::Right((written, _reading)) => written?, // disconnected, or hung up
    }
}

/// Writes the waiting messages, all that there are at a time, until the channel is closed.
async fn deliver(waiting: Receiver<Message>, mut write: OwnedWriteHalf) -> io::Result<()> {
    let mut output = Vec::new();
    while let Ok(message) = waiting.recv().await {
        output.extend_from_slice(&message);
        while let (true, Ok(message)) = (output.len() < 1 << 16, waiting.try_recv()) {
            output.extend_from_slice(&message);
        }
        timeout(PATIENCE, write.write_all(&output)).await??;
        output.clear();
    }
    Ok(())
}

/// Returns the words of the next command, or `None` at the end.
async fn command(read: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Vec<Vec<u8>>>> {
    let Some(count) = number(read, '*', 16).await? else { return Ok(None) };
    let mut words = Vec::new();
    for _ in 0..count {
        let length = number(read, '$', 1 << 20).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut word = vec![0; length + 2];
        read.read_exact(&mut word).await?;
        word.truncate(length);
        words.push(word);
    }
    Ok(Some(words))
}

/// Reads a line of a sign and a number up to `most`. Returns `None` at the end.
async fn number(read: &mut BufReader<OwnedReadHalf>, sign: char, most: usize) -> io::Result<Option<usize>> {
    let mut line = String::new();
    if read.take(32).read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    match line.strip_prefix(sign).and_then(|digits| digits.trim_end().parse().ok()) {
        Some(number) if number <= most => Ok(Some(number)),
        _ => Err(Error::other(format!("expected `{sign}` and a number up to {most}, got {line:?}"))),
    }
}

type Message = Arc<[u8]>;

#[derive(Default)]
struct Store {
    values: Mutex<HashMap<Vec<u8>, Message>>,
    subscribers: Mutex<HashMap<Vec<u8>, Vec<Sender<Message>>>>,
}

impl Store {
    fn answer(&self, words: &[Vec<u8>], inbox: &Sender<Message>) -> Vec<u8> {
        let name = words.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        match (&name[..], words.get(1..).unwrap_or_default()) {
            (b"PING", []) => b"+PONG\r\n".to_vec(),
            (b"GET", [key]) => self.values.lock().unwrap().get(key).map_or(b"$-1\r\n".to_vec(), |value| bulk(value)),
            (b"SET", [key, value]) => {
                self.values.lock().unwrap().insert(key.clone(), value[..].into());
                b"+OK\r\n".to_vec()
            }
            (b"PUBLISH", [channel, text]) => format!(":{}\r\n", self.publish(channel, text)).into(),
            (b"SUBSCRIBE", [channel]) => {
                let mut all = self.subscribers.lock().unwrap();
                let subscribers = all.entry(channel.clone()).or_default();
                subscribers.retain(|other| !other.is_closed() && !other.same_channel(inbox));
                subscribers.push(inbox.clone());
                [b"*3\r\n$9\r\nsubscribe\r\n", &bulk(channel)[..], b":1\r\n"].concat()
            }
            _ => format!("-ERR there is no `{}` here with so many arguments\r\n", name.escape_ascii()).into(),
        }
    }

    /// Sends a message to the subscribers, and returns to how many. A subscriber whose channel is
    /// full is disconnected: once the channel is closed, the connection gets no more answers and
    /// ends.
    fn publish(&self, channel: &[u8], text: &[u8]) -> usize {
        let message: Message = [b"*3\r\n$7\r\nmessage\r\n", &bulk(channel)[..], &bulk(text)].concat().into();
        let mut all = self.subscribers.lock().unwrap();
        let Some(subscribers) = all.get_mut(channel) else { return 0 };
        subscribers.retain(|inbox| inbox.try_send(Arc::clone(&message)).inspect_err(|_| _ = inbox.close()).is_ok());
        subscribers.len()
    }
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
