//! A control socket: a server on a unix socket that reports its status, and stops on command. It
//! knows user and process of its peer.
//!
//! ```text
//! cargo run --release --example unix -- /tmp/heist.sock   # commands: status, stop
//! cargo run --release --example unix -- --alone           # asks itself, then exits
//! ```

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures::future::{Either, select};
use heist::net::{UnixListener, UnixStream};
use heist::runtime::Runtime;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (path, alone) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--alone"] => (std::env::temp_dir().join(format!("heist-{}.sock", std::process::id())), true),
        [path] if !path.starts_with('-') => (PathBuf::from(path), false),
        _ => {
            eprintln!("usage: unix PATH | --alone");
            return ExitCode::from(2);
        }
    };
    match Runtime::new().and_then(|runtime| runtime.block_on(serve(&path, alone))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("unix: `{}`: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

async fn serve(path: &Path, alone: bool) -> io::Result<()> {
    let listener = bind(path).await?;
    println!("listening on {}", path.display());
    let _removed = Removed(path);
    let asking = heist::spawn(ask(path.to_owned(), alone));
    let (stop, stopped) = async_channel::bounded(1);
    let answered = Arc::new(AtomicU64::new(0));
    loop {
        let accepted = match select(std::pin::pin!(listener.accept()), std::pin::pin!(stopped.recv())).await {
            Either::Left((accepted, _)) => accepted,
            Either::Right(_) => break,
        };
        match accepted {
            Ok((stream, _)) => drop(heist::spawn(answer(stream, Arc::clone(&answered), stop.clone()))),
            Err(error) => {
                eprintln!("accept: {error}"); // most likely the process has no free file descriptors
                heist::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    println!("{} questions were answered", answered.load(Relaxed));
    asking.await?
}

/// Binds the path. The socket file of a server that has ended is still there; it is replaced if no
/// server accepts a connection.
async fn bind(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => match UnixStream::connect(path).await {
            Err(dead) if dead.kind() == ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)?;
                UnixListener::bind(path)
            }
            _ => Err(error),
        },
        bound => bound,
    }
}

/// Removes the socket file when it is dropped.
struct Removed<'a>(&'a Path);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0); // fails if the file has been removed already
    }
}

async fn answer(stream: UnixStream, answered: Arc<AtomicU64>, stop: async_channel::Sender<()>) -> io::Result<()> {
    let peer = stream.peer_cred()?;
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read.take(1024)).lines(); // no command is longer
    while let Some(line) = lines.next_line().await? {
        let count = answered.fetch_add(1, Relaxed) + 1;
        match line.trim() {
            "status" => {
                let text = format!("well; question {count}, asked by user {}, process {:?}\n", peer.uid(), peer.pid());
                write.write_all(text.as_bytes()).await?;
            }
            "stop" => {
                write.write_all(b"stopping\n").await?;
                let _ = stop.try_send(()); // full: the stop was sent already
            }
            other => write.write_all(format!("`{other}` is neither `status` nor `stop`\n").as_bytes()).await?,
        }
    }
    Ok(())
}

/// Sends the commands of `--alone`.
async fn ask(path: PathBuf, alone: bool) -> io::Result<()> {
    if !alone {
        return Ok(());
    }
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(b"status\nnonsense\nstop\n").await?;
    stream.shutdown().await?;
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await?;
    print!("{answers}");
    let expected =
        format!(", process Some({})\n`nonsense` is neither `status` nor `stop`\nstopping\n", std::process::id());
    if answers.ends_with(&expected) { Ok(()) } else { Err(io::Error::other("the server sent a wrong answer")) }
}
