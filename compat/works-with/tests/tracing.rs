//! What programs report about themselves: tokio-console's subscriber, OpenTelemetry.

#[path = "support/peers.rs"]
mod peers;

use std::time::Duration;

use console_api::instrument::InstrumentRequest;
use console_api::instrument::instrument_client::InstrumentClient;
use opentelemetry::trace::{Span, Tracer, TracerProvider};
use opentelemetry_sdk::runtime;
use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

/// Tasks are seen only with `--cfg tokio_unstable`. The server runs without it, if `.cargo/config.toml`
/// sets the crate's own flag.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn console_subscriber_serves_updates() {
    let port = peers::free_port();
    console_subscriber::ConsoleLayer::builder()
        .server_addr(([127, 0, 0, 1], port))
        .publish_interval(Duration::from_millis(10))
        .init();
    let connect = || async {
        loop {
            match InstrumentClient::connect(format!("http://127.0.0.1:{port}")).await {
                Ok(client) => return client,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let mut client = tokio::time::timeout(Duration::from_secs(20), connect()).await.expect("no server listens");
    let mut updates = client.watch_updates(InstrumentRequest {}).await.unwrap().into_inner();
    for _ in 0..3 {
        let update = updates.message().await.unwrap().unwrap();
        assert!(update.now.is_some());
    }
}

fn export_by(provider: &SdkTracerProvider, exporter: &InMemorySpanExporter) -> usize {
    let tracer = provider.tracer("heist");
    for _ in 0..10 {
        tracer.start("span").end();
    }
    provider.force_flush().unwrap();
    exporter.get_finished_spans().unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opentelemetry_batch_processor_exports_spans() {
    let exporter = InMemorySpanExporter::default();
    let processor = BatchSpanProcessor::builder(exporter.clone(), runtime::Tokio).build();
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    let (flushed, ended) = (exporter.clone(), provider.clone());
    // The flush blocks its thread until the processor's task has answered.
    let spans = tokio::task::spawn_blocking(move || export_by(&provider, &flushed)).await.unwrap();
    assert_eq!(spans, 10);
    tokio::task::spawn_blocking(move || ended.shutdown().unwrap()).await.unwrap();
}
