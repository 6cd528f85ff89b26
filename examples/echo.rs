//! An echo server: whatever comes in goes back.
//!
//! ```text
//! cargo run --release --example echo              # listens on 127.0.0.1:7007
//! cargo run --release --example echo -- [::1]:0   # or where you say; port 0 takes a free one
//! nc 127.0.0.1 7007                               # then type
//! ```

use std::io;
use std::process::ExitCode;

use heist::net::{TcpListener, TcpStream};
use heist::runtime::Runtime;

fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7007".to_owned());
    let served = Runtime::new().and_then(|runtime| runtime.block_on(serve(&address)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: cannot serve on `{address}`: {error}");
            eprintln!("usage: echo [ADDRESS:PORT]");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                eprintln!("accept: {error}"); // out of file descriptors, most likely: the next one may do better
                heist::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        heist::spawn(async move {
            if let Err(error) = echo(stream).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = vec![0; 16 * 1024];
    loop {
        let n = stream.read(&mut buf).await?;
        if n == 0 {
            return stream.shutdown().await;
        }
        stream.write_all(&buf[..n]).await?;
    }
}
