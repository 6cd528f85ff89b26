//! From a wake on a foreign thread to the poll that it causes, by an open-loop generator: it wakes by its plan,
//! whether or not the runtime has kept up, and every latency counts from the moment the plan says.

use super::{Load, Sample, histogram};
use crate::contender::Contender;
use crate::meter::Meter;
use hdrhistogram::Histogram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(1);
const BACKGROUND: usize = 4;
const POLL: Duration = Duration::from_micros(500);

/// Before a wake of an idle runtime the generator is awake already, so that its own waking is not measured.
const EARLY: Duration = Duration::from_micros(150);

/// Four tasks poll for 500 µs each and yield, over and over: twice as many as there are workers to poll them.
pub fn busy<C: Contender>(runtime: &C, load: &Load) -> Option<Sample> {
    let stop = Arc::new(AtomicBool::new(false));
    let background: Vec<_> = (0..BACKGROUND)
        .map(|_| {
            let stop = stop.clone();
            runtime.spawn_outside(async move {
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    while begun.elapsed() < POLL {
                        std::hint::spin_loop();
                    }
                    C::yield_now().await;
                }
            })
        })
        .collect();
    let wakes = if load.quick { 1_000 } else { 4_000 };
    let sample = measure(runtime, wakes, 0.999, Duration::ZERO);
    stop.store(true, Ordering::Relaxed);
    background.into_iter().for_each(C::detach);
    Some(sample)
}

pub fn idle<C: Contender>(runtime: &C, load: &Load) -> Option<Sample> {
    let wakes = if load.quick { 500 } else { 2_000 };
    Some(measure(runtime, wakes, 0.5, EARLY))
}

fn measure<C: Contender>(runtime: &C, wakes: u32, quantile: f64, early: Duration) -> Sample {
    let (wake, woken) = async_channel::unbounded::<Instant>();
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    C::detach(runtime.spawn_outside(async move {
        let mut latency = histogram();
        while let Ok(planned) = woken.recv().await {
            record(&mut latency, planned.elapsed());
        }
        tell.send(latency).expect("nobody waits for the latencies");
    }));
    // Not before the probe sleeps, and the background tasks are under way.
    thread::sleep(20 * INTERVAL);
    let generator = thread::spawn(move || generate(&wake, wakes, early));
    let (lateness, switches) = generator.join().expect("the generator panicked");
    let latency = told.recv().expect("the probe is gone");
    Sample {
        value: latency.value_at_quantile(quantile) as f64 / 1e3,
        switches: Some(switches as f64 / f64::from(wakes)),
        histogram: Some(latency),
        lateness: Some(lateness),
    }
}

/// Wakes once per interval by the plan; how late it was itself is the first result.
fn generate(wake: &async_channel::Sender<Instant>, wakes: u32, early: Duration) -> (Histogram<u64>, i64) {
    // SAFETY: sets this thread's timer slack, in nanoseconds; no memory is involved.
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
        record(&mut lateness, planned.elapsed());
        wake.try_send(planned).expect("the probe is gone");
    }
    (lateness, meter.read().switches)
}

fn record(histogram: &mut Histogram<u64>, duration: Duration) {
    histogram.saturating_record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
}
