//! heist's own figures for Prometheus, read when the page is asked for.
//!
//! What to watch: `heist_noop_total` near `heist_parks_total` means that workers are woken for
//! nothing. A long `heist_global_queue_depth` means that the workers do not keep up. A number of
//! `heist_tasks` that only grows means that some tasks never end.

use std::fmt;

use heist::runtime::{Handle, RuntimeMetrics};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::lifecycle::Phase;

/// Reads the figures of a runtime.
#[derive(Debug)]
pub struct RuntimeCollector {
    runtime: Handle,
    phase: Phase,
}

impl RuntimeCollector {
    /// Returns a collector for this runtime.
    pub fn new(runtime: Handle, phase: Phase) -> RuntimeCollector {
        RuntimeCollector { runtime, phase }
    }
}

impl Collector for RuntimeCollector {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let metrics = self.runtime.metrics();
        let mut page = Page { encoder, metrics: metrics.clone() };
        page.phase(&self.phase)?;
        page.gauge("heist_workers", "Workers", metrics.num_workers() as u64)?;
        page.gauge("heist_spare_workers", "Stand-ins for stalled workers", metrics.num_spare_workers() as u64)?;
        page.gauge("heist_tasks", "Tasks that have not ended", metrics.num_alive_tasks() as u64)?;
        page.gauge("heist_global_queue_depth", "Tasks in the global queue", metrics.global_queue_depth() as u64)?;
        page.gauge("heist_blocking_threads", "Threads for blocking work", metrics.num_blocking_threads() as u64)?;
        page.gauge("heist_blocking_queue_depth", "Blocking jobs that wait", metrics.blocking_queue_depth() as u64)?;
        page.counter("heist_stalls", "Polls above the stall threshold", metrics.stall_count())?;
        page.counter("heist_rescues", "Seats whose tasks were taken over", metrics.rescue_count())?;
        page.counter("heist_tasks_spawned", "Tasks spawned", metrics.spawned_tasks_count())?;
        page.counters("heist_polls", "Polls of tasks", RuntimeMetrics::worker_poll_count)?;
        page.counters("heist_steals", "Steals by the worker", RuntimeMetrics::worker_steal_operations)?;
        page.counters("heist_parks", "Times the worker slept", RuntimeMetrics::worker_park_count)?;
        page.counters("heist_noop", "Wake-ups that found no task", RuntimeMetrics::worker_noop_count)?;
        page.queue_depths()
    }
}

struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
    metrics: RuntimeMetrics,
}

impl Page<'_> {
    fn phase(&mut self, phase: &Phase) -> fmt::Result {
        let gauge = ConstGauge::new(1);
        let help = "The phase of the server";
        let mut family = self.encoder.encode_descriptor("server_phase", help, None, gauge.metric_type())?;
        gauge.encode(family.encode_family(&[("phase", phase.name())])?)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let gauge = ConstGauge::new(value);
        gauge.encode(self.encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let counter = ConstCounter::new(value);
        counter.encode(self.encoder.encode_descriptor(name, help, None, counter.metric_type())?)
    }

    /// Writes a counter of each worker. Workers that have retired are included, so that no sum ever
    /// falls.
    fn counters(&mut self, name: &str, help: &str, value: fn(&RuntimeMetrics, usize) -> u64) -> fmt::Result {
        let kind = ConstCounter::new(0_u64).metric_type();
        let mut family = self.encoder.encode_descriptor(name, help, None, kind)?;
        for worker in 0..self.metrics.num_worker_slots() {
            let counter = ConstCounter::new(value(&self.metrics, worker));
            counter.encode(family.encode_family(&[("worker", worker.to_string())])?)?;
        }
        Ok(())
    }

    fn queue_depths(&mut self) -> fmt::Result {
        let kind = ConstGauge::new(0_u64).metric_type();
        let help = "Tasks in the worker's own queue";
        let mut family = self.encoder.encode_descriptor("heist_local_queue_depth", help, None, kind)?;
        for worker in 0..self.metrics.num_workers() {
            let gauge = ConstGauge::new(self.metrics.worker_local_queue_depth(worker) as u64);
            gauge.encode(family.encode_family(&[("worker", worker.to_string())])?)?;
        }
        Ok(())
    }
}
