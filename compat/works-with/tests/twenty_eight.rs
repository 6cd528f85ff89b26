//! The calls of `src/twenty_eight`, each in a task of its own. None may fail or panic.

#[path = "support/certificate.rs"]
mod certificate;
#[path = "support/peers.rs"]
mod peers;

use std::sync::Arc;
use std::time::Duration;

use heist_works_with::twenty_eight::{Peers, calls};

/// Returns what went wrong, by the name of the call.
async fn run(peers: Arc<Peers>) -> Vec<String> {
    let mut failures = Vec::new();
    for (name, call) in calls() {
        let peers = Arc::clone(&peers);
        let task = tokio::spawn(async move { tokio::time::timeout(Duration::from_secs(30), call(&peers)).await });
        let failure = match task.await {
            Err(error) => format!("{error}"),
            Ok(Err(_)) => "does not end within 30 s".to_owned(),
            Ok(Ok(Err(error))) => error,
            Ok(Ok(Ok(()))) => continue,
        };
        failures.push(format!("{name}: {failure}"));
    }
    failures
}

#[test]
fn popular_crates_run_on_both_runtimes() {
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
    let multi_thread = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let current_thread = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (name, runtime) in [("multi-thread", multi_thread), ("current-thread", current_thread)] {
        let failures = runtime.block_on(run(Arc::clone(&peers)));
        assert!(failures.is_empty(), "of 28 calls, {} fail on the {name} runtime: {failures:#?}", failures.len());
    }
}
