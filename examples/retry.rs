//! Timeouts, and trying again: a client of a server that often fails.
//!
//! ```text
//! cargo run --release --example retry               # 20 requests, 5 s for each
//! cargo run --release --example retry -- 100 2      # so many requests, so many seconds for each
//! ```
//!
//! Three limits work together: each attempt has a short one, so that a lost answer costs little;
//! the pause after a failure doubles, and is drawn at random, so that a thousand clients do not
//! come back at the same moment; and the whole has a deadline, which whoever waits for it can rely
//! on.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use heist::net::{TcpListener, TcpStream};
use heist::runtime::Runtime;
use heist::time::{Instant, sleep, timeout, timeout_at};

/// For one attempt.
const ATTEMPT: Duration = Duration::from_millis(100);
/// Before the second attempt, and the most before any.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Option<Vec<u32>> = args.iter().map(|arg| arg.parse().ok().filter(|number| *number > 0)).collect();
    let (requests, seconds) = match numbers.as_deref() {
        Some([]) => (20, 5),
        Some([requests, seconds]) => (*requests, *seconds),
        _ => {
            eprintln!("usage: retry [REQUESTS SECONDS], both above zero");
            return ExitCode::from(2);
        }
    };
    match Runtime::new().and_then(|runtime| runtime.block_on(run(requests, Duration::from_secs(seconds.into())))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("retry: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(requests: u32, limit: Duration) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = listener.local_addr()?;
    let serving = heist::spawn(unreliable(listener));
    let mut attempts = 0;
    for request in 0..requests {
        let answer = with_retries(Instant::now() + limit, async || {
            attempts += 1;
            ask(server, request).await
        });
        if answer.await? != request + 1 {
            return Err(io::Error::other("that is not the answer"));
        }
    }
    serving.abort();
    println!("{requests} requests were answered, in {attempts} attempts");
    Ok(())
}

/// Makes attempts until one succeeds, or fails in a way that will not change, or the deadline is
/// there.
async fn with_retries<T>(deadline: Instant, mut attempt: impl AsyncFnMut() -> io::Result<T>) -> io::Result<T> {
    let mut latest = None;
    let attempts = async {
        let mut pause = PAUSES.0;
        loop {
            // Its time being up turns into an error of the kind `TimedOut`.
            let result = timeout(ATTEMPT, attempt()).await.unwrap_or_else(|elapsed| Err(elapsed.into()));
            match result {
                Err(error) if passes(error.kind()) => latest = Some(error),
                lasting => return lasting,
            }
            sleep(pause.mul_f64(random())).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    };
    match timeout_at(deadline, attempts).await {
        Ok(result) => result,
        Err(elapsed) => Err(latest.unwrap_or_else(|| elapsed.into())),
    }
}

/// Whether such a failure may be gone the next time. What is asked has to bear being asked twice.
fn passes(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, TimedOut, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionRefused | ConnectionReset | TimedOut | UnexpectedEof)
}

/// At least 0, below 1; enough to spread clients, and nothing more.
fn random() -> f64 {
    (RandomState::new().build_hasher().finish() >> 32) as f64 / 2_f64.powi(32)
}

/// A number that is one more than `number`.
async fn ask(server: SocketAddr, number: u32) -> io::Result<u32> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&number.to_be_bytes()).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    Ok(u32::from_be_bytes(answer))
}

/// Answers every third request, hangs up on another third, and leaves the last one waiting.
async fn unreliable(listener: TcpListener) -> io::Result<()> {
    for mood in 0.. {
        let (mut stream, _) = listener.accept().await?;
        heist::spawn(async move {
            let mut number = [0; 4];
            stream.read_exact(&mut number).await?;
            match mood % 3 {
                0 => return Ok(()),
                1 => sleep(ATTEMPT * 100).await,
                _ => stream.write_all(&(u32::from_be_bytes(number) + 1).to_be_bytes()).await?,
            }
            Ok::<(), io::Error>(())
        });
    }
    Ok(())
}
