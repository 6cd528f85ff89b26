//! Observable instruments of OpenTelemetry.
//!
//! The names, units and attributes are those of the crate `opentelemetry-instrumentation-tokio`.
//! heist's own begin with `heist`.

use std::sync::Arc;

use heist::runtime::{GroupMetrics, Handle, RuntimeMetrics};
use opentelemetry::metrics::{AsyncInstrument, Meter};
use opentelemetry::{KeyValue, Value};

use crate::histogram::{POLL_TIMES, SCHEDULE_LATENCIES, Source};
use crate::monitor::is_draining;

/// Lets this meter observe a runtime. The SDK reads the figures whenever it collects.
///
/// Each value has these attributes, and `tokio.runtime.id`. So one meter may observe several
/// runtimes. Counts include what happened before this call.
///
/// The instruments stay until the provider of the meter is dropped, and keep the memory of the
/// runtime until then. They do not keep the runtime running. Observe a runtime once: a second call
/// observes the same values again.
///
/// # Examples
///
/// ```
/// use opentelemetry::KeyValue;
/// use opentelemetry::metrics::MeterProvider;
/// use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
///
/// let exporter = InMemoryMetricExporter::default(); // for example, OTLP
/// let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter).build();
///
/// let runtime = heist::runtime::Runtime::new()?;
/// let attributes = [KeyValue::new("runtime.name", "api")];
/// let meter = provider.meter("api");
/// heist_metrics::opentelemetry::observe_runtime(runtime.handle(), &meter, &attributes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn observe_runtime(runtime: &Handle, meter: &Meter, attributes: &[KeyValue]) {
    let id = KeyValue::new("tokio.runtime.id", runtime.id().to_string());
    let attributes = attributes.iter().cloned().chain([id]).collect();
    let observed = Arc::new(Observed { handle: runtime.clone(), metrics: runtime.metrics(), attributes });
    for figure in RUNTIME {
        build(meter, &figure.description, &observed, move |observed, instrument| {
            instrument.observe((figure.value)(&observed.metrics), &observed.attributes);
        });
    }
    let draining = Description { name: "heist.draining", kind: Kind::Gauge, unit: "", text: DRAINING };
    build(meter, &draining, &observed, |observed, instrument| {
        instrument.observe(u64::from(is_draining(&observed.handle)), &observed.attributes);
    });
    for figure in WORKER {
        build(meter, &figure.description, &observed, move |observed, instrument| {
            for worker in 0..observed.metrics.num_worker_slots() {
                instrument.observe((figure.value)(&observed.metrics, worker), &observed.of_worker(worker));
            }
        });
    }
    for (name, text, source) in [
        ("tokio.worker.poll_time_bucket", "Polls of at most so many nanoseconds", POLL_TIMES),
        ("heist.worker.schedule_latency_bucket", "Waits of at most so many nanoseconds", SCHEDULE_LATENCIES),
    ] {
        let description = Description { name, kind: Kind::Gauge, unit: "", text };
        build(meter, &description, &observed, move |observed, instrument| {
            observe_histogram(observed, source, instrument);
        });
    }
    for figure in GROUP {
        build(meter, &figure.description, &observed, move |observed, instrument| {
            for group in observed.handle.groups() {
                let attributes = observed.with("heist.group.name", group.name().to_owned());
                instrument.observe((figure.value)(&group.metrics()), &attributes);
            }
        });
    }
}

/// A runtime that instruments read.
struct Observed {
    handle: Handle,
    metrics: RuntimeMetrics,
    attributes: Vec<KeyValue>,
}

impl Observed {
    fn with(&self, key: &'static str, value: impl Into<Value>) -> Vec<KeyValue> {
        self.attributes.iter().cloned().chain([KeyValue::new(key, value)]).collect()
    }

    fn of_worker(&self, worker: usize) -> Vec<KeyValue> {
        self.with("tokio.worker.index", i64::try_from(worker).unwrap_or(i64::MAX))
    }
}

/// Observes the buckets of each worker. Each has the number of durations up to its end, `le`.
fn observe_histogram(observed: &Observed, source: Source, instrument: &dyn AsyncInstrument<u64>) {
    let metrics = &observed.metrics;
    let buckets = (source.buckets)(metrics);
    for worker in 0..metrics.num_worker_slots() {
        let attributes = observed.of_worker(worker);
        let mut sum = 0;
        for bucket in 0..buckets {
            sum += (source.count)(metrics, worker, bucket);
            let end = i64::try_from((source.range)(metrics, bucket).end.as_nanos()).unwrap_or(i64::MAX);
            let end = if bucket + 1 == buckets { Value::from("+Inf") } else { Value::from(end) };
            let attributes: Vec<_> = attributes.iter().cloned().chain([KeyValue::new("le", end)]).collect();
            instrument.observe(sum, &attributes);
        }
    }
}

fn build(
    meter: &Meter,
    description: &Description,
    observed: &Arc<Observed>,
    read: impl Fn(&Observed, &dyn AsyncInstrument<u64>) + Send + Sync + 'static,
) {
    let observed = Arc::clone(observed);
    let callback = move |instrument: &dyn AsyncInstrument<u64>| read(&observed, instrument);
    let Description { name, kind, unit, text } = *description;
    match kind {
        Kind::Counter => {
            let counter = meter.u64_observable_counter(name).with_unit(unit).with_description(text);
            let _ = counter.with_callback(callback).build();
        }
        Kind::Gauge => {
            let gauge = meter.u64_observable_gauge(name).with_unit(unit).with_description(text);
            let _ = gauge.with_callback(callback).build();
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

struct Description {
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    text: &'static str,
}

struct Figure<F> {
    description: Description,
    value: F,
}

type RuntimeFigure = Figure<fn(&RuntimeMetrics) -> u64>;
type WorkerFigure = Figure<fn(&RuntimeMetrics, usize) -> u64>;
type GroupFigure = Figure<fn(&GroupMetrics) -> u64>;

const fn counter<F: Copy>(name: &'static str, unit: &'static str, text: &'static str, value: F) -> Figure<F> {
    Figure { description: Description { name, kind: Kind::Counter, unit, text }, value }
}

const fn gauge<F: Copy>(name: &'static str, unit: &'static str, text: &'static str, value: F) -> Figure<F> {
    Figure { description: Description { name, kind: Kind::Gauge, unit, text }, value }
}

const DRAINING: &str = "One while the runtime drains or shuts down, else zero";

const RUNTIME: &[RuntimeFigure] = &[
    gauge("tokio.workers", "{worker}", "Workers", |of| of.num_workers() as u64),
    gauge("tokio.global_queue_depth", "{task}", "Tasks in the global queue", |of| of.global_queue_depth() as u64),
    gauge("tokio.alive_tasks", "{task}", "Tasks that have not ended", |of| of.num_alive_tasks() as u64),
    gauge("tokio.blocking_threads", "{thread}", "Threads for blocking jobs", |of| of.num_blocking_threads() as u64),
    gauge("tokio.idle_blocking_threads", "{thread}", "Threads for blocking jobs that wait for a job", |of| {
        of.num_idle_blocking_threads() as u64
    }),
    gauge("tokio.blocking_queue_depth", "{task}", "Blocking jobs that wait for a thread", |of| {
        of.blocking_queue_depth() as u64
    }),
    counter(
        "tokio.remote_schedules",
        "{task}",
        "Tasks queued by threads that are not workers",
        RuntimeMetrics::remote_schedule_count,
    ),
    counter(
        "tokio.budget_forced_yields",
        "{yield}",
        "Polls that had to yield because their budget was spent",
        RuntimeMetrics::budget_forced_yield_count,
    ),
    counter("tokio.spawned_tasks_count", "{task}", "Tasks spawned", RuntimeMetrics::spawned_tasks_count),
    counter(
        "tokio.io_driver.fd_registrations",
        "{fd}",
        "Descriptors registered with the reactor",
        RuntimeMetrics::io_driver_fd_registered_count,
    ),
    counter(
        "tokio.io_driver.fd_deregistrations",
        "{fd}",
        "Descriptors deregistered from the reactor",
        RuntimeMetrics::io_driver_fd_deregistered_count,
    ),
    counter(
        "tokio.io_driver.fd_readies",
        "{event}",
        "Readiness events of the reactor",
        RuntimeMetrics::io_driver_ready_count,
    ),
    gauge("heist.effective_workers", "{worker}", "Workers that poll tasks or wait for tasks", |of| {
        of.effective_workers() as u64
    }),
    gauge("heist.spare_workers", "{worker}", "Spare workers, which stand in for stuck ones", |of| {
        of.num_spare_workers() as u64
    }),
    counter("heist.spare_starts", "{worker}", "Spare workers started", RuntimeMetrics::spare_start_count),
    counter("heist.stalls", "{poll}", "Polls above the stall threshold", RuntimeMetrics::stall_count),
    counter("heist.rescues", "{rescue}", "Takeovers of the work behind a long poll", RuntimeMetrics::rescue_count),
    counter(
        "heist.preempted_rescues",
        "{rescue}",
        "Takeovers of the work of a worker without a processor",
        RuntimeMetrics::preempted_rescue_count,
    ),
];

const WORKER: &[WorkerFigure] = &[
    counter("tokio.worker.park_count", "", "Sleeps of the worker", RuntimeMetrics::worker_park_count),
    counter("tokio.worker.busy_duration", "ms", "Time that the worker was busy", |of, worker| {
        u64::try_from(of.worker_total_busy_duration(worker).as_millis()).unwrap_or(u64::MAX)
    }),
    counter(
        "tokio.worker.noops",
        "{operation}",
        "Wake-ups of the worker that found no task",
        RuntimeMetrics::worker_noop_count,
    ),
    counter("tokio.worker.task_steals", "", "Tasks stolen by the worker", RuntimeMetrics::worker_steal_count),
    counter(
        "tokio.worker.steal_operations",
        "",
        "Steals of one task or more by the worker",
        RuntimeMetrics::worker_steal_operations,
    ),
    counter("tokio.worker.polls", "{task}", "Polls of tasks by the worker", RuntimeMetrics::worker_poll_count),
    counter(
        "tokio.worker.local_schedules",
        "{task}",
        "Tasks queued by the worker",
        RuntimeMetrics::worker_local_schedule_count,
    ),
    counter(
        "tokio.worker.overflows",
        "",
        "Times that the worker's queue was full",
        RuntimeMetrics::worker_overflow_count,
    ),
    gauge("tokio.worker.local_queue_depth", "{task}", "Tasks in the worker's queue", |of, worker| {
        of.worker_local_queue_depth(worker) as u64
    }),
    gauge("tokio.worker.mean_poll_time", "ns", "Recent mean length of a poll", |of, worker| {
        u64::try_from(of.worker_mean_poll_time(worker).as_nanos()).unwrap_or(u64::MAX)
    }),
    counter("heist.worker.run_delay", "ms", "Time that the worker was ready and had no processor", |of, worker| {
        u64::try_from(of.worker_run_delay(worker).as_millis()).unwrap_or(u64::MAX)
    }),
];

const GROUP: &[GroupFigure] = &[
    gauge("heist.group.live_tasks", "{task}", "Live tasks of the group, and places held", |of| of.live_tasks as u64),
    gauge("heist.group.waiting_spawns", "{task}", "Spawns that wait for a place in the group", |of| {
        of.waiting_spawns as u64
    }),
    gauge("heist.group.queued_tasks", "{task}", "Tasks of the group that wait for a worker", |of| {
        of.queued_tasks as u64
    }),
    gauge("heist.group.active_workers", "{worker}", "Workers that poll tasks of the group", |of| {
        of.active_workers as u64
    }),
    gauge("heist.group.blocking_jobs", "{job}", "Blocking jobs of the group that run", |of| of.blocking_jobs as u64),
    gauge("heist.group.waiting_jobs", "{job}", "Blocking jobs of the group that wait for another one", |of| {
        of.waiting_jobs as u64
    }),
    counter("heist.group.spawned", "{task}", "Tasks spawned in the group", |of| of.spawned),
    counter("heist.group.completed", "{task}", "Tasks of the group that ended with an output", |of| of.completed),
    counter("heist.group.panicked", "{task}", "Tasks of the group that ended by a panic", |of| of.panicked),
    counter("heist.group.cancelled", "{task}", "Tasks of the group that were cancelled", |of| of.cancelled),
    counter("heist.group.refused", "{task}", "Spawns that the group refused", |of| of.refused),
    counter("heist.group.polls", "{poll}", "Polls of tasks of the group", |of| of.polls),
    counter("heist.group.busy_duration", "ms", "Time that workers have spent with the group", |of| {
        u64::try_from(of.busy.as_millis()).unwrap_or(u64::MAX)
    }),
];
