//! An API server for several tenants, compaction in the background, and health checks that go
//! first: groups of tasks in one pool.
//!
//! ```text
//! cargo run --release --example tenants              # on 127.0.0.1:8080, health checks on :8081
//! cargo run --release --example tenants -- 127.0.0.1:0 127.0.0.1:0   # port 0: a free one
//! curl http://127.0.0.1:8080/free                    # a report for the tenant `free`, or `paid`
//! curl http://127.0.0.1:8081/                        # the figures of all groups
//! cargo run --release --example tenants -- --alone   # with clients of its own, then exits
//! ```
//!
//! Ctrl-C ends the program.
//!
//! A report computes for some milliseconds, in the group of its tenant. If the group is full, a
//! request waits a while for a place; then the answer is 429. If the group is drained, it is 503.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Display;
use std::hint::black_box;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heist::hyper::HeistTimer;
use heist::net::{TcpListener, TcpStream};
use heist::runtime::{Builder, GroupError, Handle, Priority, Runtime, TaskGroup};
use heist::task::{JoinSet, consume_budget};
use heist::time::timeout;
use http_body_util::{Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};

/// The units of a report, which take some milliseconds. Compaction never ends.
const REPORT: u64 = 1_000;
/// The clients of each tenant with `--alone`, and the requests of each.
const CLIENTS: u64 = 8;
const REQUESTS: u64 = 20;

type AnyError = Box<dyn Error + Send + Sync>;
type Answer = Result<Response<Full<Bytes>>, hyper::Error>;
/// The group of each tenant, and how long a request waits for a place in it.
type Tenants = BTreeMap<&'static str, (TaskGroup, Duration)>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (api, health, alone) = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => ("127.0.0.1:8080", "127.0.0.1:8081", false),
        ["--alone"] => ("127.0.0.1:0", "127.0.0.1:0", true),
        [api, health] if !api.starts_with('-') && !health.starts_with('-') => (api, health, false),
        _ => {
            eprintln!("usage: tenants [ADDRESS:PORT ADDRESS:PORT | --alone]");
            return ExitCode::from(2);
        }
    };
    match run(api, health, alone) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tenants on `{api}` and `{health}`: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(api: &str, health: &str, alone: bool) -> Result<(), AnyError> {
    let runtime = Runtime::new()?;
    let (api, health) = (runtime.block_on(TcpListener::bind(api))?, runtime.block_on(TcpListener::bind(health))?);
    let (api_address, health_address) = (api.local_addr()?, health.local_addr()?);
    println!("listening on http://{api_address}, health checks on http://{health_address}");

    let tenants = Arc::new(tenants(&runtime)?);
    let api_tenants = Arc::clone(&tenants);
    // No group, so normal priority: a connection belongs to a tenant only when its request is read.
    drop(runtime.spawn(accept(api, move |request| report(Arc::clone(&api_tenants), request))));
    // What a task of a group spawns belongs to the group. So each connection here goes first.
    let first = runtime.group("health").priority(Priority::Latency).build()?;
    drop(first.spawn(accept(health, figures)));
    // As many endless tasks as workers: they take what the others leave.
    let compaction = runtime.group("compaction").priority(Priority::Background).build()?;
    (0..runtime.metrics().num_workers()).for_each(|_| drop(compaction.spawn(compute(u64::MAX))));

    if !alone {
        return Ok(runtime.block_on(heist::signal::ctrl_c())?);
    }
    // The clients have a runtime of their own. They stand for other machines.
    let clients = Builder::new_current_thread().enable_all().build()?;
    clients.block_on(load(api_address, health_address))?;
    for (name, (group, _)) in &*tenants {
        let reports = group.metrics().completed;
        println!("GET /{name}: {reports} reports, {} requests were refused", CLIENTS * REQUESTS - reports);
    }
    // The tenant goes: its last report is finished, and a new one is refused.
    let group = &tenants["free"].0;
    let last = group.spawn(compute(REPORT));
    println!("the tenant `free` is drained: {}", group.drain(Duration::from_secs(5)).wait());
    runtime.block_on(last)?;
    match clients.block_on(ask(api_address, "/free"))? {
        StatusCode::SERVICE_UNAVAILABLE => Ok(()),
        status => Err(format!("a drained tenant was answered {status}").into()),
    }
}

fn tenants(runtime: &Runtime) -> Result<Tenants, GroupError> {
    // If both compute all the time, `paid` gets three quarters of it. A tenant has no more than
    // half of the workers, rounded up.
    let workers = runtime.metrics().num_workers().div_ceil(2);
    let paid = runtime.group("paid").weight(300).max_workers(workers).max_tasks(64).build()?;
    let free = runtime.group("free").weight(100).max_workers(workers).max_tasks(4).build()?;
    Ok(BTreeMap::from([("paid", (paid, Duration::from_secs(5))), ("free", (free, Duration::from_millis(10)))]))
}

/// Accepts connections, and answers their requests by `serve`.
async fn accept<S, F>(listener: TcpListener, serve: S)
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true); // fails if the client has hung up; the first read reports that
                // A client that hangs up is not worth a line.
                let service = service_fn(serve.clone());
                drop(heist::spawn(http1::Builder::new().timer(HeistTimer).serve_connection(stream, service)));
            }
            Err(error) => {
                eprintln!("accept: {error}"); // most likely the process has no free file descriptors
                heist::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Serves `GET /TENANT`.
async fn report(tenants: Arc<Tenants>, request: Request<Incoming>) -> Answer {
    let Some((group, patience)) = tenants.get(request.uri().path().trim_start_matches('/')) else {
        return answer(StatusCode::NOT_FOUND, "there is no such tenant");
    };
    let task = match timeout(*patience, group.spawn_when_admitted(compute(REPORT))).await {
        Ok(Ok(task)) => task,
        Ok(Err(refused)) => return answer(StatusCode::SERVICE_UNAVAILABLE, refused.refusal()),
        // The dropped spawn has left its place in the queue.
        Err(_) => return answer(StatusCode::TOO_MANY_REQUESTS, "too many reports at once; try again later"),
    };
    match task.await {
        Ok(sum) => answer(StatusCode::OK, sum),
        // It was cancelled at the deadline of a drain, or it panicked.
        Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

/// Serves a health check: a line for each group.
async fn figures(_: Request<Incoming>) -> Answer {
    let groups = Handle::current().groups();
    let lines: Vec<_> = groups.iter().map(|group| format!("{}: {:?}", group.name(), group.metrics())).collect();
    answer(StatusCode::OK, lines.join("\n"))
}

fn answer(status: StatusCode, text: impl Display) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = status;
    Ok(response)
}

/// Computes for so many units of some µs. A poll has a budget of 128 units, so it ends after some
/// 0.5 ms.
async fn compute(units: u64) -> u64 {
    let mut sum = 0_u64;
    for _ in 0..units {
        sum = (0..3_000).fold(sum, |sum, n| black_box(sum ^ n).wrapping_mul(0x100_0000_01b3));
        consume_budget().await;
    }
    sum
}

/// Lets all clients ask at once, and checks the health meanwhile.
async fn load(api: SocketAddr, health: SocketAddr) -> Result<(), AnyError> {
    let mut clients = JoinSet::new();
    for path in ["/free", "/paid"] {
        let requests = move || async move {
            for _ in 0..REQUESTS {
                match ask(api, path).await? {
                    StatusCode::OK | StatusCode::TOO_MANY_REQUESTS => {}
                    status => return Err(format!("GET {path}: {status}").into()),
                }
            }
            Ok::<(), AnyError>(())
        };
        (0..CLIENTS).for_each(|_| drop(clients.spawn(requests())));
    }
    let (mut checks, mut slowest) = (0, Duration::ZERO);
    while !clients.is_empty() {
        let began = Instant::now();
        if ask(health, "/").await? != StatusCode::OK {
            return Err("a health check failed".into());
        }
        (checks, slowest) = (checks + 1, slowest.max(began.elapsed()));
        heist::time::sleep(Duration::from_millis(1)).await;
        while let Some(ended) = clients.try_join_next() {
            ended??;
        }
    }
    println!("{checks} health checks beside compaction, the slowest took {slowest:.1?}");
    Ok(())
}

/// Sends one request on a connection of its own.
async fn ask(address: SocketAddr, path: &str) -> Result<StatusCode, AnyError> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    drop(heist::spawn(connection)); // it ends with its sender
    let request = Request::get(path).header("host", address.to_string()).body(Empty::<Bytes>::new())?;
    Ok(sender.send_request(request).await?.status())
}
