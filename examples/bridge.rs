//! Calls async code from sync code, in the three usual ways.
//!
//! ```text
//! cargo run --release --example bridge
//! ```
//!
//! 1. **A blocking wrapper** around an async client: it owns a current-thread runtime, and each
//!    method is a `block_on`. No thread is started; nothing happens between two calls.
//! 2. **A runtime beside the program**: tasks go on while the program does something else, and are
//!    joined in the end.
//! 3. **A runtime on a thread of its own**, which takes orders from a channel. This is for a
//!    program that has its own main loop, such as a graphical one.
//!
//! The other direction, async code that calls blocking code, is in `examples/blocking.rs`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::{io, thread};

use async_channel::{Receiver, Sender, bounded};
use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Runtime};
use heist::task::JoinHandle;

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        eprintln!("usage: bridge (it takes no arguments)");
        return ExitCode::from(2);
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bridge: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let server = Runtime::new()?;
    let listener = server.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    drop(server.spawn(serve(listener)));

    let mut front = BlockingClient::connect(address)?;
    let first = [front.upper("one")?, front.upper("call")?, front.upper("each")?];
    println!("1. a blocking wrapper: {first:?}");

    let second = at_hand(address, &["three", "at", "once"])?;
    println!("2. a runtime beside the program: {second:?}");

    let orders = start(address)?;
    let third = thread::scope(|scope| {
        let asking = ["from", "any", "thread"].map(|word| scope.spawn(|| order(&orders, word)));
        asking.map(|thread| thread.join().expect("the thread does not panic"))
    });
    let third = third.into_iter().collect::<io::Result<Vec<_>>>()?;
    println!("3. a runtime on a thread of its own: {third:?}");

    let (all, expected) = ([&first[..], &second, &third].concat(), "ONE CALL EACH THREE AT ONCE FROM ANY THREAD");
    if all.join(" ") == expected {
        Ok(())
    } else {
        Err(io::Error::other(format!("the answers are {all:?}, not `{expected}`")))
    }
}

// What there is: async code
// -------------------------

/// A client of a server that converts words to upper case.
struct Client(TcpStream);

impl Client {
    async fn connect(server: SocketAddr) -> io::Result<Client> {
        Ok(Client(TcpStream::connect(server).await?))
    }

    async fn upper(&mut self, word: &str) -> io::Result<String> {
        self.0.write_all(word.as_bytes()).await?;
        let mut answer = vec![0; word.len()];
        self.0.read_exact(&mut answer).await?;
        String::from_utf8(answer).map_err(io::Error::other)
    }
}

// 1: a blocking wrapper
// ---------------------

/// A [`Client`] for sync programs. Its methods panic inside of a runtime, because they would block
/// one of its workers.
struct BlockingClient {
    client: Client,
    runtime: Runtime,
}

impl BlockingClient {
    fn connect(server: SocketAddr) -> io::Result<BlockingClient> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(BlockingClient { client: runtime.block_on(Client::connect(server))?, runtime })
    }

    fn upper(&mut self, word: &str) -> io::Result<String> {
        self.runtime.block_on(self.client.upper(word))
    }
}

// 2: a runtime beside the program
// -------------------------------

fn at_hand(server: SocketAddr, words: &'static [&'static str]) -> io::Result<Vec<String>> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let ask = |word| async move { Client::connect(server).await?.upper(word).await };
    let tasks: Vec<_> = words.iter().map(|word| runtime.spawn(ask(word))).collect();
    // The tasks run from here on; a program would do something else now.
    tasks.into_iter().map(|task| runtime.block_on(task)?).collect()
}

// 3: a runtime on a thread of its own
// -----------------------------------

/// A word, and the channel for the answer.
type Order = (String, Sender<io::Result<String>>);

/// Starts the thread. It ends when the last sender is dropped and all orders are carried out.
fn start(server: SocketAddr) -> io::Result<Sender<Order>> {
    let (orders, incoming) = bounded(16);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("orders".into()).spawn(move || runtime.block_on(carry_out(server, incoming)))?;
    Ok(orders)
}

async fn carry_out(server: SocketAddr, incoming: Receiver<Order>) {
    let mut tasks = Vec::new();
    while let Ok((word, answer)) = incoming.recv().await {
        tasks.retain(|task: &JoinHandle<()>| !task.is_finished());
        tasks.push(heist::spawn(async move {
            let result = async { Client::connect(server).await?.upper(&word).await }.await;
            let _ = answer.send(result).await; // fails if the caller does not wait any more
        }));
    }
    futures::future::join_all(tasks).await;
}

/// Sends an order from a sync thread, and waits for the answer with the channel's blocking methods.
fn order(orders: &Sender<Order>, word: &str) -> io::Result<String> {
    let (answer, answered) = bounded(1);
    orders.send_blocking((word.to_owned(), answer)).map_err(io::Error::other)?;
    answered.recv_blocking().map_err(io::Error::other)?
}

// The server
// ----------

async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        heist::spawn(async move {
            let mut buf = [0; 1024];
            while let Ok(count @ 1..) = stream.read(&mut buf).await {
                buf[..count].make_ascii_uppercase();
                stream.write_all(&buf[..count]).await?;
            }
            Ok::<(), io::Error>(())
        });
    }
}
