//! Measures the time from a wake on a foreign thread to the poll that it causes.
//!
//! The generator is an open loop: it wakes by its plan, also if the runtime has not kept up. Every
//! latency counts from the planned moment. The part after the wake itself is kept apart; the rest
//! is the generator's own lateness.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::contender::Contender;
use crate::meter::{Meter, Reading};
use crate::sample::{Load, Sample, histogram};

const INTERVAL: Duration = Duration::from_millis(1);
const BACKGROUND: usize = 4;
const POLL: Duration = Duration::from_micros(500);

/// The generator wakes this long before it wakes an idle runtime, so that its own waking is not
/// measured.
const EARLY: Duration = Duration::from_micros(150);

/// Four tasks poll for 500 µs each and yield, over and over: twice as many tasks as workers.
pub fn busy<C: Contender>(runtime: &C, load: &Load) -> Option<Sample> {
    let stop = Arc::new(AtomicBool::new(false));
    let background: Vec<_> = (0..BACKGROUND)
        .map(|_| {
            let stop = stop.clone();
            runtime.spawn_outside(async move {
                while !stop.load(Ordering::Relaxed) {
                    busy_poll();
                    C::yield_now().await;
                }
            })
        })
        .collect();
    let sample = measure(runtime, wakes_of_busy(load), 0.999, Duration::ZERO);
    stop.store(true, Ordering::Relaxed);
    background.into_iter().for_each(C::detach);
    Some(sample)
}

pub fn idle<C: Contender>(runtime: &C, load: &Load) -> Option<Sample> {
    Some(measure(runtime, wakes_of_idle(load), 0.5, EARLY))
}

/// Threads without a runtime, as many as workers. Each is busy for 500 µs at a time and then checks
/// for a wake. No runtime can check more often, so this is what the kernel leaves to a runtime.
pub fn busy_threads(load: &Load) -> Option<Sample> {
    let (wake, woken) = mpsc::channel();
    let woken = Mutex::new(woken);
    let (mut latencies, stop) = (Mutex::new(Latencies::new()), AtomicBool::new(false));
    let generated = thread::scope(|scope| {
        for _ in 0..load.workers {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    busy_poll();
                    let woken = woken.lock().expect("a sound lock");
                    woken.try_iter().for_each(|wake| latencies.lock().expect("a sound lock").add(wake));
                }
            });
        }
        thread::sleep(20 * INTERVAL);
        let generated =
            generate(|wake_up| wake.send(wake_up).expect("the threads are gone"), wakes_of_busy(load), Duration::ZERO);
        stop.store(true, Ordering::Relaxed);
        generated
    });
    let latencies = std::mem::replace(latencies.get_mut().expect("a sound lock"), Latencies::new());
    Some(latencies.sample(generated, 0.999))
}

/// A thread without a runtime sleeps until it is woken.
pub fn idle_thread(load: &Load) -> Option<Sample> {
    let (wake, woken) = mpsc::channel();
    let probe = thread::spawn(move || {
        let mut latencies = Latencies::new();
        woken.iter().for_each(|wake| latencies.add(wake));
        latencies
    });
    thread::sleep(20 * INTERVAL);
    let generated = generate(|wake_up| wake.send(wake_up).expect("the probe is gone"), wakes_of_idle(load), EARLY);
    drop(wake);
    Some(probe.join().expect("the probe panicked").sample(generated, 0.5))
}

fn wakes_of_busy(load: &Load) -> u32 {
    if load.quick { 1_000 } else { 4_000 }
}

fn wakes_of_idle(load: &Load) -> u32 {
    if load.quick { 500 } else { 2_000 }
}

fn busy_poll() {
    let begun = Instant::now();
    while begun.elapsed() < POLL {
        std::hint::spin_loop();
    }
}

fn measure<C: Contender>(runtime: &C, wakes: u32, quantile: f64, early: Duration) -> Sample {
    let (wake, woken) = async_channel::unbounded::<Wake>();
    let (result_tx, result_rx) = sync_channel(1);
    C::detach(runtime.spawn_outside(async move {
        let mut latencies = Latencies::new();
        while let Ok(wake) = woken.recv().await {
            latencies.add(wake);
        }
        result_tx.send(latencies).expect("the receiver of the latencies is gone");
    }));
    // By then the probe sleeps, and the background tasks run.
    thread::sleep(20 * INTERVAL);
    let generator = move || generate(|wake_up| wake.try_send(wake_up).expect("the probe is gone"), wakes, early);
    let generated = thread::spawn(generator).join().expect("the generator panicked");
    received(&result_rx).sample(generated, quantile)
}

fn received(result_rx: &Receiver<Latencies>) -> Latencies {
    result_rx.recv().expect("the probe is gone")
}

/// The planned and the actual time of a wake.
#[derive(Clone, Copy)]
struct Wake {
    planned: Instant,
    sent: Instant,
}

/// The latencies that the woken task or thread has recorded.
struct Latencies {
    since_planned: Histogram<u64>,
    since_sent: Histogram<u64>,
}

impl Latencies {
    fn new() -> Self {
        Latencies { since_planned: histogram(), since_sent: histogram() }
    }

    fn add(&mut self, wake: Wake) {
        record(&mut self.since_planned, wake.planned.elapsed());
        record(&mut self.since_sent, wake.sent.elapsed());
    }

    fn sample(self, generated: Generated, quantile: f64) -> Sample {
        let value = self.since_planned.value_at_quantile(quantile) as f64 / 1e3;
        let wakes = generated.lateness.len() as f64;
        Sample {
            histogram: Some(self.since_planned),
            served: Some(self.since_sent),
            lateness: Some(generated.lateness),
            ..Sample::counted(value, generated.reading, wakes)
        }
    }
}

/// The measurements of the generator.
struct Generated {
    lateness: Histogram<u64>,
    reading: Reading,
}

/// Wakes once per interval, by the plan.
fn generate(wake: impl Fn(Wake), wakes: u32, early: Duration) -> Generated {
    // SAFETY: the call sets this thread's timer slack, in nanoseconds; no argument is a pointer.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64, 0_u64, 0_u64, 0_u64) };
    let mut lateness = histogram();
    let meter = Meter::start();
    let begin = Instant::now() + INTERVAL;
    for n in 0..wakes {
        let planned = begin + n * INTERVAL;
        thread::sleep((planned - early).saturating_duration_since(Instant::now()));
        while Instant::now() < planned {
            std::hint::spin_loop();
        }
        let sent = Instant::now();
        record(&mut lateness, sent.saturating_duration_since(planned));
        wake(Wake { planned, sent });
    }
    Generated { lateness, reading: meter.read() }
}

fn record(histogram: &mut Histogram<u64>, duration: Duration) {
    histogram.saturating_record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
}
