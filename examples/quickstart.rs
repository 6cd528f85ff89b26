//! An HTTP server on heist and a load generator for it, in one command.
//!
//! ```text
//! cargo run --release --example quickstart
//! cargo run --release --example quickstart -- --seconds 10 --connections 256
//! ```
//!
//! A hyper HTTP/1 server listens on a free port of the loopback device. Clients on the same runtime
//! keep one connection each, and send the next request as soon as they have read the last answer.
//! So the load is a closed loop: the latencies are those of a server that is always busy, and
//! its clients share its CPUs.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use heist::hyper::HeistTimer;
use heist::net::{TcpListener, TcpStream};
use heist::runtime::Builder;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

const USAGE: &str = "\
usage: quickstart [--seconds N] [--connections N] [--record FILE]

  --seconds N      how long the load lasts, 1 to 3600 (default 5)
  --connections N  how many keep-alive connections, 1 to 10000 (default 64)
  --record FILE    save a trace of the last moments, for `heist-trace`";

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(fault) => {
            eprintln!("quickstart: {fault}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut builder = Builder::new_multi_thread();
    if options.record.is_some() {
        builder.flight_recorder(1 << 20);
    }
    let runtime = builder.enable_all().build()?;
    let outcome = runtime.block_on(serve_and_load(options));
    if let Some(path) = &options.record {
        runtime.handle().recorder().snapshot().save(path)?;
    }
    let stopping = Instant::now();
    runtime.shutdown_timeout(Duration::from_secs(5));
    outcome?.print(stopping.elapsed());
    Ok(())
}

// The command
// -----------

struct Options {
    seconds: u64,
    connections: usize,
    record: Option<PathBuf>,
}

impl Options {
    /// Returns `None` if the arguments ask for help.
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
        let mut options = Options { seconds: 5, connections: 64, record: None };
        while let Some(arg) = args.next() {
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (arg, None),
            };
            let mut text = |what| value.clone().or_else(|| args.next()).ok_or_else(|| format!("{name} needs {what}"));
            if name == "--record" {
                options.record = Some(text("a file")?.into());
                continue;
            }
            let mut number = |most: u64| {
                let value = text("a number")?;
                match value.parse() {
                    Ok(number) if (1..=most).contains(&number) => Ok(number),
                    _ => Err(format!("{name} takes a whole number from 1 to {most}, but `{value}` was given")),
                }
            };
            match name.as_str() {
                "--seconds" => options.seconds = number(3600)?,
                "--connections" => options.connections = number(10_000)? as usize,
                "-h" | "--help" => return Ok(None),
                _ => return Err(format!("unknown argument `{name}`")),
            }
        }
        Ok(Some(options))
    }
}

// The server
// ----------

/// Serves the given number of connections until their clients hang up. Returns how many ended
/// without an error.
async fn serve(listener: TcpListener, connections: usize, served: Arc<AtomicU64>) -> io::Result<usize> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        let (stream, _peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let served = Arc::clone(&served);
        let hello = service_fn(move |_: Request<Incoming>| {
            served.fetch_add(1, Relaxed);
            async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"Hello from heist\n")))) }
        });
        open.push(heist::spawn(http1::Builder::new().timer(HeistTimer).serve_connection(stream, hello)));
    }
    let mut clean = 0;
    for connection in open {
        clean += usize::from(matches!(connection.await, Ok(Ok(()))));
    }
    Ok(clean)
}

// The load
// --------

/// A keep-alive connection that knows just enough HTTP to find the end of an answer.
struct Client {
    stream: TcpStream,
    buf: Vec<u8>,
    filled: usize,
}

impl Client {
    async fn connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Client { stream, buf: vec![0; 4096], filled: 0 })
    }

    /// Sends one request and reads its whole answer.
    async fn exchange(&mut self) -> io::Result<()> {
        self.stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
        loop {
            if let Some(length) = answer_length(&self.buf[..self.filled])? {
                if length <= self.filled {
                    self.buf.copy_within(length..self.filled, 0);
                    self.filled -= length;
                    return Ok(());
                }
            }
            if self.filled == self.buf.len() {
                return Err(fault("the answer is longer than expected"));
            }
            match self.stream.read(&mut self.buf[self.filled..]).await? {
                0 => return Err(fault("the server hung up")),
                n => self.filled += n,
            }
        }
    }

    /// Repeats exchanges until `end`, and records in nanoseconds how long each one took.
    async fn run(mut self, end: Instant, answered: Arc<AtomicU64>) -> io::Result<Histogram<u64>> {
        let mut latencies = empty_histogram();
        let mut before = Instant::now();
        while before < end {
            self.exchange().await?;
            let now = Instant::now();
            latencies.saturating_record((now - before).as_nanos() as u64);
            answered.fetch_add(1, Relaxed);
            before = now;
        }
        Ok(latencies)
    }
}

/// Returns the length of the answer at the start of `bytes`, head and body, or `None` while its
/// head is incomplete.
fn answer_length(bytes: &[u8]) -> io::Result<Option<usize>> {
    let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..head]).map_err(|_| fault("the answer's head is not text"))?;
    let mut lines = text.split("\r\n");
    if !lines.next().is_some_and(|status| status.starts_with("HTTP/1.1 200 ")) {
        return Err(fault("the answer is not `200 OK`"));
    }
    let length = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    length.map(|body| Some(head + 4 + body)).ok_or_else(|| fault("the answer has no content-length"))
}

fn fault(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Returns a histogram of up to a minute, with three digits.
fn empty_histogram() -> Histogram<u64> {
    Histogram::new_with_max(60_000_000_000, 3).expect("sound bounds")
}

async fn serve_and_load(options: &Options) -> Result<Report, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!(
        "serving on http://{address}, loading it with {} connections for {} s",
        options.connections, options.seconds
    );
    let served = Arc::new(AtomicU64::new(0));
    let server = heist::spawn(serve(listener, options.connections, Arc::clone(&served)));

    let mut clients = Vec::with_capacity(options.connections);
    for n in 0..options.connections {
        let client = Client::connect(address).await;
        clients.push(client.map_err(|error| {
            format!("connection {} of {}: {error} (is `ulimit -n` high enough?)", n + 1, options.connections)
        })?);
    }
    let answered = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let end = began + Duration::from_secs(options.seconds);
    let clients: Vec<_> =
        clients.into_iter().map(|client| heist::spawn(client.run(end, Arc::clone(&answered)))).collect();

    let mut seen = 0;
    for second in 1..=options.seconds {
        let next = began + Duration::from_secs(second);
        heist::time::sleep(next.saturating_duration_since(Instant::now())).await;
        let now = answered.load(Relaxed);
        println!("{second:>5} s {:>12} requests/s", grouped(now - seen));
        seen = now;
    }
    let mut latencies = empty_histogram();
    for client in clients {
        latencies.add(client.await??)?;
    }
    let elapsed = began.elapsed();
    let clean = server.await??;
    Ok(Report { connections: options.connections, clean, served: served.load(Relaxed), elapsed, latencies })
}

// The summary
// -----------

struct Report {
    connections: usize,
    /// Connections that the server saw end without an error.
    clean: usize,
    /// Requests that the server saw.
    served: u64,
    elapsed: Duration,
    latencies: Histogram<u64>,
}

impl Report {
    fn print(&self, shutdown: Duration) {
        let answers = self.latencies.len();
        let at = |quantile| micros(self.latencies.value_at_quantile(quantile));
        println!();
        println!("requests/s  {}", grouped((answers as f64 / self.elapsed.as_secs_f64()) as u64));
        println!("latency     p50 {}   p99 {}   p99.9 {}   max {}", at(0.5), at(0.99), at(0.999), at(1.0));
        println!(
            "answers     {} to {} requests, in {:.2} s",
            grouped(answers),
            grouped(self.served),
            self.elapsed.as_secs_f64()
        );
        println!(
            "connections {} of {} closed cleanly; runtime down after {:.1?}",
            self.clean, self.connections, shutdown
        );
    }
}

fn micros(nanos: u64) -> String {
    format!("{:.1} µs", nanos as f64 / 1e3)
}

/// Formats `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
