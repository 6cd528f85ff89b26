//! Serves the metrics of a runtime on a page for Prometheus.
//!
//! ```text
//! cargo run --release --example metrics               # then: curl http://127.0.0.1:9100/metrics
//! cargo run --release --example metrics -- --alone    # reads its own page, then exits
//! ```
//!
//! Each worker has its own counters, so no cache line is shared for counting; a reader adds them
//! up. What to watch:
//!
//! * `noop` near `parks` means that workers are woken for nothing.
//! * A global queue that stays long means that the workers do not keep up.
//! * A number of alive tasks that only grows means that some tasks never end.
//!
//! Two histograms, which have to be enabled, show how long polls take, and how long tasks wait for
//! them.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, Handle, HistogramConfiguration, LogHistogram, RuntimeMetrics};
use heist::time::timeout;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (address, alone) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => ("127.0.0.1:9100", false),
        ["--alone"] => ("127.0.0.1:0", true),
        [address] if !address.starts_with('-') => (address, false),
        _ => {
            eprintln!("usage: metrics [ADDRESS:PORT | --alone]");
            return ExitCode::from(2);
        }
    };
    // From 1 µs to 1 s, each bucket twice as wide as the one before.
    let micro = Duration::from_micros(1);
    let doubling = LogHistogram::builder().precision_exact(0).min_value(micro).max_value(Duration::from_secs(1));
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_metrics_poll_time_histogram()
        .metrics_poll_time_histogram_configuration(HistogramConfiguration::log(doubling))
        .enable_metrics_schedule_latency_histogram()
        .metrics_schedule_latency_histogram_configuration(HistogramConfiguration::log(doubling))
        .enable_all()
        .build();
    match runtime.and_then(|runtime| runtime.block_on(serve(address, alone))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("metrics on `{address}`: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: &str, alone: bool) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("http://{address}/metrics");
    let serving = heist::spawn(accept(listener));
    drop(heist::spawn(work()));
    if alone { check(address).await } else { Ok(serving.await?) }
}

async fn accept(listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => drop(heist::spawn(async move {
                let answered = timeout(Duration::from_secs(5), answer(stream)).await;
                if let Err(error) = answered.unwrap_or_else(|late| Err(late.into())) {
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

/// Reads one request, whatever it asks for, and sends the page.
async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut buf = [0; 1024];
        match stream.read(&mut buf).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => head.extend_from_slice(&buf[..count]),
        }
        if head.len() > 16 * 1024 {
            return Err(io::Error::other("the request's head is too long"));
        }
    }
    let page = page(&Handle::current().metrics());
    let head = "HTTP/1.0 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\n\r\n";
    stream.write_all(format!("{head}{page}").as_bytes()).await?;
    stream.shutdown().await
}

fn page(metrics: &RuntimeMetrics) -> String {
    let mut page = String::new();
    let mut figure = |name: &str, kind: &str, values: &[(String, f64)]| {
        // Writing to a string does not fail.
        let _ = writeln!(page, "# TYPE heist_{name} {kind}");
        values.iter().for_each(|(labels, value)| _ = writeln!(page, "heist_{name}{labels} {value}"));
    };
    let one = |value: u64| [(String::new(), value as f64)];
    figure("workers", "gauge", &one(metrics.num_workers() as u64));
    figure("tasks", "gauge", &one(metrics.num_alive_tasks() as u64));
    figure("global_queue_depth", "gauge", &one(metrics.global_queue_depth() as u64));
    figure("sockets_total", "counter", &one(metrics.io_driver_fd_registered_count()));
    let each = |value: &dyn Fn(usize) -> u64| -> Vec<(String, f64)> {
        (0..metrics.num_workers()).map(|worker| (format!("{{worker=\"{worker}\"}}"), value(worker) as f64)).collect()
    };
    figure("polls_total", "counter", &each(&|worker| metrics.worker_poll_count(worker)));
    figure("parks_total", "counter", &each(&|worker| metrics.worker_park_count(worker)));
    figure("noop_total", "counter", &each(&|worker| metrics.worker_noop_count(worker)));
    figure("steals_total", "counter", &each(&|worker| metrics.worker_steal_operations(worker)));
    figure("local_queue_depth", "gauge", &each(&|worker| metrics.worker_local_queue_depth(worker) as u64));
    let poll_times = (0..metrics.poll_time_histogram_num_buckets()).map(|bucket| {
        let count = |worker| metrics.poll_time_histogram_bucket_count(worker, bucket);
        (metrics.poll_time_histogram_bucket_range(bucket).end, (0..metrics.num_worker_slots()).map(count).sum())
    });
    figure("poll_seconds", "histogram", &cumulative(poll_times));
    let latencies = (0..metrics.schedule_latency_histogram_num_buckets()).map(|bucket| {
        let count = |worker| metrics.schedule_latency_histogram_bucket_count(worker, bucket);
        (metrics.schedule_latency_histogram_bucket_range(bucket).end, (0..metrics.num_worker_slots()).map(count).sum())
    });
    figure("schedule_latency_seconds", "histogram", &cumulative(latencies));
    page
}

/// Returns a histogram in the form of Prometheus. For the end of each bucket it has the number of
/// shorter values. Then it has the number of all values. There is no sum.
fn cumulative(buckets: impl Iterator<Item = (Duration, u64)>) -> Vec<(String, f64)> {
    let mut sum = 0;
    let mut lines = Vec::new();
    for (end, count) in buckets {
        sum += count;
        // The last bucket takes everything that is longer.
        let end = if end < Duration::from_secs(3600) { end.as_secs_f64().to_string() } else { "+Inf".to_owned() };
        lines.push((format!("_bucket{{le=\"{end}\"}}"), sum as f64));
    }
    lines.push(("_count".to_owned(), sum as f64));
    lines
}

/// Makes some load: a hundred tasks, every ten milliseconds.
async fn work() {
    let mut interval = heist::time::interval(Duration::from_millis(10));
    loop {
        interval.tick().await;
        (0..100).for_each(|_| drop(heist::spawn(heist::task::yield_now())));
    }
}

/// Reads the page until it shows a thousand polls.
async fn check(address: SocketAddr) -> io::Result<()> {
    loop {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
        let mut page = String::new();
        stream.read_to_string(&mut page).await?;
        let polls = page.lines().filter(|line| line.starts_with("heist_polls_total{"));
        let polls: f64 = polls.filter_map(|line| line.split(' ').nth(1)?.parse::<f64>().ok()).sum();
        let all = page.lines().filter(|line| line.contains("seconds_count "));
        let measured = all.filter(|line| line.split(' ').nth(1).is_some_and(|count| count != "0")).count();
        if polls >= 1000.0 && measured == 2 && page.contains("heist_workers 2\n") {
            println!("{}", page.split_once("\r\n\r\n").map_or("", |(_, figures)| figures.trim_end()));
            return Ok(());
        }
        heist::time::sleep(Duration::from_millis(10)).await;
    }
}
