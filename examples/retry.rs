//! Timeouts and retries: a client of a server that often fails.
//!
//! ```text
//! cargo run --release --example retry               # 20 requests, 5 s for each
//! cargo run --release --example retry -- 100 2      # 100 requests, 2 s for each
//! ```
//!
//! Three limits work together:
//!
//! * Each attempt has a short timeout, so that a lost answer costs little.
//! * The pause after a failure doubles, and is drawn at random, so that a thousand clients do not
//!   come back at the same moment.
//! * All attempts together have a deadline, on which the caller can rely.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use heist::net::{TcpListener, TcpStream};
use heist::runtime::Runtime;
use heist::time::{Instant, sleep, timeout, timeout_at};

/// The time for one attempt.
const ATTEMPT: Duration = Duration::from_millis(100);
/// The longest pause before the second attempt, and before any attempt.
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
            return Err(io::Error::other("the server sent a wrong answer"));
        }
    }
    serving.abort();
    println!("{requests} requests were answered, in {attempts} attempts");
    Ok(())
}

/// Makes attempts until one succeeds, one fails for good, or the deadline has passed.
async fn with_retries<T>(deadline: Instant, mut attempt: impl AsyncFnMut() -> io::Result<T>) -> io::Result<T> {
    let mut latest = None;
    let attempts = async {
        let mut pause = PAUSES.0;
        loop {
            // An elapsed timeout converts into an error of the kind `TimedOut`.
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

/// Returns true if a later attempt may succeed after this error. The request must be idempotent:
/// the server may see it twice.
fn passes(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, TimedOut, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionRefused | ConnectionReset | TimedOut | UnexpectedEof)
}

/// Returns a random number from 0 to below 1. It is good enough to spread clients, and no more.
fn random() -> f64 {
    (RandomState::new().build_hasher().finish() >> 32) as f64 / 2_f64.powi(32)
}

/// Asks the server for the number after `number`.
async fn ask(server: SocketAddr, number: u32) -> io::Result<u32> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&number.to_be_bytes()).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    Ok(u32::from_be_bytes(answer))
}

/// Serves requests: a third gets an answer, a third is hung up on, and a third waits for ever.
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
