//! A TCP server that sends back what it receives.
//!
//! ```text
//! cargo run --release --example echo              # listens on 127.0.0.1:7007
//! cargo run --release --example echo -- [::1]:0   # another address; port 0: a free one
//! nc 127.0.0.1 7007                               # then type
//! cargo run --release --example echo -- --alone   # with a client of its own, then exits
//! ```

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use heist::net::{TcpListener, TcpStream};
use heist::runtime::Runtime;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (address, alone) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => ("127.0.0.1:7007", false),
        ["--alone"] => ("127.0.0.1:0", true),
        [address] if !address.starts_with('-') => (address, false),
        _ => {
            eprintln!("usage: echo [ADDRESS:PORT | --alone]");
            return ExitCode::from(2);
        }
    };
    match Runtime::new().and_then(|runtime| runtime.block_on(serve(address, alone))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo on `{address}`: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: &str, alone: bool) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("listening on {address}");
    let accepting = heist::spawn(accept(listener));
    if alone {
        return talk(TcpStream::connect(address).await?).await;
    }
    Ok(accepting.await?)
}

/// Accepts connections, each in a task of its own.
async fn accept(listener: TcpListener) {
    loop {
        match listener.accept().await {
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

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut buf).await? {
            0 => return stream.shutdown().await,
            n => stream.write_all(&buf[..n]).await?,
        }
    }
}

/// Writes a megabyte and reads it back, both at the same time. Writing everything first would fill
/// all buffers, and wait for ever.
async fn talk(stream: TcpStream) -> io::Result<()> {
    let sent: Vec<u8> = (0..1 << 20).map(|n| (n % 251) as u8).collect();
    let (mut read, mut write) = stream.into_split();
    let copy = sent.clone();
    let writing = heist::spawn(async move {
        write.write_all(&copy).await?;
        write.shutdown().await
    });
    let mut got = Vec::new();
    read.read_to_end(&mut got).await?;
    writing.await??;
    if got != sent {
        return Err(io::Error::other("the server sent back other bytes"));
    }
    println!("{} bytes came back as they were sent", got.len());
    Ok(())
}
