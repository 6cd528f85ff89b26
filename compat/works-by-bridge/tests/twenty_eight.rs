//! The calls of `compat/works-with/src/twenty_eight`, by the bridge of heist-compat: each as a task of
//! heist, in `block_on`, and in `block_on` of a blocking thread. None may fail or panic.

#[path = "../../works-with/tests/support/certificate.rs"]
mod certificate;
#[path = "../../works-with/tests/support/peers.rs"]
mod peers;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use heist::runtime::{Builder, Handle};
use heist_works_with::twenty_eight::{Call, Peers, calls};

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Where a call runs.
#[derive(Clone, Copy, Debug)]
enum Place {
    Task,
    BlockingThread,
}

impl Place {
    /// Runs the call there. A panic becomes an error.
    async fn run(self, call: Call, peers: Arc<Peers>) -> Result<(), String> {
        let running = match self {
            Place::Task => heist::spawn(async move { in_time(call(&peers)).await }),
            Place::BlockingThread => {
                heist::task::spawn_blocking(move || Handle::current().block_on(in_time(call(&peers))))
            }
        };
        running.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

async fn in_time(running: Running<'_>) -> Result<(), String> {
    match heist::time::timeout(Duration::from_secs(30), running).await {
        Ok(result) => result,
        Err(_) => Err("does not end within 30 s".to_owned()),
    }
}

fn failures(outcomes: Vec<(&'static str, Result<(), String>)>) -> Vec<String> {
    outcomes.into_iter().filter_map(|(name, outcome)| Some(format!("{name}: {}", outcome.err()?))).collect()
}

#[test]
fn popular_crates_run_by_the_bridge() {
    let certificate = certificate::Certificate::new();
    let (redis, postgres, mosquitto, dns) = (peers::redis(), peers::postgres(), peers::mosquitto(), peers::dnsmasq());
    let (http, grpc) = (peers::tokio_server("http", |_| ()), peers::tokio_server("grpc-server", |_| ()));
    let quic = peers::tokio_server("quic-server", |folder| certificate.write(folder));
    let peers = Arc::new(Peers {
        redis: redis.port,
        postgres: postgres.port,
        mosquitto: mosquitto.port,
        dns: dns.port,
        http: http.port,
        grpc: grpc.port,
        quic: quic.port,
        certificate: (certificate.der().to_vec(), certificate.key()),
    });
    for (name, mut builder) in
        [("multi-thread", Builder::new_multi_thread()), ("current-thread", Builder::new_current_thread())]
    {
        let bridge = heist_compat::bridge::tokio_bridge(&mut builder).unwrap();
        let _tokio = bridge.enter();
        let runtime = builder.enable_all().build().unwrap();
        for place in [Place::Task, Place::BlockingThread] {
            let outcomes = runtime.block_on(async {
                let mut outcomes = Vec::new();
                for (name, call) in calls() {
                    outcomes.push((name, place.run(call, Arc::clone(&peers)).await));
                }
                outcomes
            });
            let failures = failures(outcomes);
            assert!(failures.is_empty(), "of 28 calls, {} fail, {place:?}, {name}: {failures:#?}", failures.len());
        }
        let outcomes = calls().map(|(name, call)| {
            let run = AssertUnwindSafe(|| runtime.block_on(in_time(call(&peers))));
            let outcome = std::panic::catch_unwind(run).unwrap_or_else(|_| Err("panicked; see above".to_owned()));
            (name, outcome)
        });
        let failures = failures(outcomes.into());
        assert!(failures.is_empty(), "of 28 calls, {} fail in block_on, {name}: {failures:#?}", failures.len());
    }
}
