//! Waits for the file descriptor of another library: here the output of a child process, read line
//! by line and without a thread.
//!
//! ```text
//! cargo run --release --example async_fd -- ls -l        # any command
//! cargo run --release --example async_fd -- --alone      # a built-in command
//! ```
//!
//! [`Piped`] is the pattern to copy: an [`AsyncFd`] around the resource, and `poll_read` as a loop.
//! The loop waits for readiness, tries to read, and clears the readiness if the read would have
//! blocked. Because `Piped` implements `AsyncRead`, the combinators of `futures` work with it.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::process::{ChildStdout, Command, ExitCode, Stdio};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use heist::io::Interest;
use heist::io::unix::AsyncFd;
use heist::runtime::Builder;
use heist::time::timeout;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, ReadBuf};

/// The end of a pipe.
struct Piped(AsyncFd<ChildStdout>);

impl Piped {
    fn new(pipe: ChildStdout) -> io::Result<Piped> {
        let fd = pipe.as_raw_fd();
        // SAFETY: the call reads the flags of an open descriptor; no memory is passed.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
        // SAFETY: the call sets the flags of an open descriptor. Only this end of the pipe becomes
        // non-blocking: the child's end has flags of its own.
        if flags < 0 || unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // Only `READABLE`: the end of a pipe for reading never becomes writable, so a wait for that
        // would never end.
        AsyncFd::with_interest(pipe, Interest::READABLE).map(Piped)
    }
}

impl AsyncRead for Piped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready_mut(cx))?;
            // `try_io` clears the readiness if the read returns `WouldBlock`. The loop then polls
            // the readiness again, so that this task is woken.
            if let Ok(result) = ready.try_io(|pipe| pipe.get_mut().read(buf.initialize_unfilled())) {
                buf.advance(result?);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (command, expected) = match args[..] {
        ["--alone"] => (&["sh", "-c", "for n in 1 2 3; do echo line $n; sleep 0.1; done"][..], Some(3)),
        [program, ..] if !program.starts_with('-') => (&args[..], None),
        _ => {
            eprintln!("usage: async_fd COMMAND [ARGUMENT...] | --alone");
            return ExitCode::from(2);
        }
    };
    let runtime = Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(run(command))) {
        Ok(lines) if expected.is_none_or(|expected| lines == expected) => ExitCode::SUCCESS,
        Ok(lines) => {
            eprintln!("async_fd: {lines} lines came, not {}", expected.unwrap_or_default());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("async_fd: `{}`: {error}", command.join(" "));
            ExitCode::FAILURE
        }
    }
}

/// Prints what the command prints, and returns the number of lines.
async fn run(command: &[&str]) -> io::Result<usize> {
    let mut child = Command::new(command[0]).args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let pipe = Piped::new(child.stdout.take().expect("asked for above"))?;
    let mut lines = BufReader::new(pipe).lines();
    let mut count = 0;
    loop {
        match timeout(Duration::from_secs(1), lines.next_line()).await {
            Ok(Ok(Some(line))) => {
                println!("{line}");
                count += 1;
            }
            Ok(Ok(None)) => break,
            Ok(Err(error)) => return Err(error),
            Err(_elapsed) => println!("(nothing for a second)"),
        }
    }
    // This blocks, but not for long: the child has closed its output, so it is about to exit.
    let status = heist::task::spawn_blocking(move || child.wait()).await??;
    println!("{count} lines; {status}");
    Ok(count)
}
