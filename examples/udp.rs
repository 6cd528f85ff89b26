//! An echo server for datagrams, and a client that counts the lost ones.
//!
//! ```text
//! cargo run --release --example udp                    # serves on 127.0.0.1:7009
//! nc -u 127.0.0.1 7009                                 # then type
//! cargo run --release --example udp -- ask HOST:PORT   # asks a server
//! cargo run --release --example udp -- --alone         # both, then exits
//! ```

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use heist::net::UdpSocket;
use heist::runtime::Runtime;
use heist::time::timeout;

const QUESTIONS: u32 = 1000;
const PATIENCE: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = Runtime::new();
    let done = runtime.and_then(|runtime| match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => runtime.block_on(serve("127.0.0.1:7009")),
        ["--alone"] => runtime.block_on(alone()),
        ["ask", server] => runtime.block_on(ask(server)),
        [address] if !address.starts_with('-') => runtime.block_on(serve(address)),
        _ => Err(io::Error::other("usage: udp [ADDRESS:PORT | ask HOST:PORT | --alone]")),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udp: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: &str) -> io::Result<()> {
    let socket = Arc::new(UdpSocket::bind(address).await?);
    println!("serving on {}", socket.local_addr()?);
    // Every method of the socket takes `&self`, so tasks share it without a lock. Two tasks keep
    // two workers busy.
    let other = heist::spawn(echo(Arc::clone(&socket)));
    echo(socket).await?;
    other.await?
}

async fn echo(socket: Arc<UdpSocket>) -> io::Result<()> {
    let mut buf = vec![0; 64 * 1024]; // no datagram is longer, so none is truncated
    loop {
        let (count, peer) = socket.recv_from(&mut buf).await?;
        if let Err(error) = socket.send_to(&buf[..count], peer).await {
            eprintln!("{peer}: {error}"); // an error of one peer must not stop the others
        }
    }
}

/// Numbers its questions, so that a late answer does not count as the answer to a later question.
async fn ask(server: &str) -> io::Result<()> {
    let server = heist::net::lookup_host(server).await?.next().expect("a name that resolves has an address");
    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).await?;
    socket.connect(server).await?;
    let mut lost = 0;
    for number in 0..QUESTIONS {
        socket.send(&number.to_be_bytes()).await?;
        match timeout(PATIENCE, answer(&socket, number)).await {
            Ok(answered) => answered?,
            Err(_late) => lost += 1,
        }
    }
    println!("{} of {QUESTIONS} datagrams came back from {server}", QUESTIONS - lost);
    if lost == QUESTIONS { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
}

async fn answer(socket: &UdpSocket, number: u32) -> io::Result<()> {
    let mut buf = [0; 4];
    while socket.recv(&mut buf).await? != 4 || u32::from_be_bytes(buf) != number {}
    Ok(())
}

async fn alone() -> io::Result<()> {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
    let address = socket.local_addr()?.to_string();
    let serving = heist::spawn(echo(socket));
    ask(&address).await?;
    serving.abort();
    Ok(())
}
