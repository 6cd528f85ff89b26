//! Metrics for Prometheus: those of the requests are counted here.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use heist::runtime::Handle;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::lifecycle::Phase;
use crate::runtime_metrics::RuntimeCollector;

/// The content type of the page.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The labels of a request. A route is a pattern such as `/items/{id}`, so their number is small.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: String,
    route: String,
    status: u16,
}

/// The metrics of the process. Its clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<Labels, Counter>,
    durations: Histogram,
    in_progress: Gauge,
}

impl Metrics {
    /// Returns metrics that begin at zero.
    pub fn new(runtime: Handle, phase: Phase) -> Metrics {
        let requests = Family::default();
        // From 0.5 ms to 8 s.
        let durations = Histogram::new(exponential_buckets(0.0005, 2.0, 15));
        let in_progress = Gauge::default();
        let mut registry = Registry::default();
        registry.register("http_requests", "Requests that have been answered", requests.clone());
        registry.register("http_request_duration_seconds", "Time from a request to its answer", durations.clone());
        registry.register("http_requests_in_progress", "Requests without an answer yet", in_progress.clone());
        registry.register_collector(Box::new(RuntimeCollector::new(runtime, phase)));
        Metrics { registry: Arc::new(registry), requests, durations, in_progress }
    }

    /// Returns the page that Prometheus reads.
    pub fn page(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("writing to a string does not fail");
        page
    }
}

/// Counts a request while it is in progress, and when it has been answered.
pub async fn count_request(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let _in_progress = InProgress::begin(&metrics);
    let started = Instant::now();
    let method = request.method().to_string();
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", |path| path.as_str()).to_owned();
    let response = next.run(request).await;
    let labels = Labels { method, route, status: response.status().as_u16() };
    metrics.requests.get_or_create(&labels).inc();
    metrics.durations.observe(started.elapsed().as_secs_f64());
    response
}

/// A request in progress. Its drop counts down, also if the client hangs up before the answer.
struct InProgress(Gauge);

impl InProgress {
    fn begin(metrics: &Metrics) -> InProgress {
        metrics.in_progress.inc();
        InProgress(metrics.in_progress.clone())
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.dec();
    }
}
