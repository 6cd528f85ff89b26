//! From a wake on a foreign thread to the poll that it causes, by an open-loop generator: it wakes
//! by its plan, whether or not the runtime has kept up, and every latency counts from the moment
//! the plan says. What of it passed after the wake itself is kept beside: the rest is the
//! generator's own lateness.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{Load, Sample, histogram};
use crate::contender::Contender;
use crate::meter::{Meter, Reading};

const INTERVAL: Duration = Duration::from_millis(1);
const BACKGROUND: usize = 4;
const POLL: Duration = Duration::from_micros(500);

/// Before a wake of an idle runtime the generator is awake already, so that its own waking is not
/// measured.
const EARLY: Duration = Duration::from_micros(150);

/// Four tasks poll for 500 µs each and yield, over and over: twice as many as there are workers to
/// poll them.
pub fn busy<C: Contender>(runtime: &C, load: &Load) -> Option<Sample> {
    let stop = Arc::new(AtomicBool::new(false));
    let background: Vec<_> = (0..BACKGROUND)
        .map(|_| {
            let stop = stop.clone();
            runtime.spawn_outside(async move {
                while !stop.load(Ordering::Relaxed) {
                    be_busy();
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

/// Threads without a runtime, as many as workers: each is busy for 500 µs at a time, then looks
/// whether there was a wake. Nobody can look more often, so this is what the kernel leaves to a
/// runtime.
pub fn busy_threads(load: &Load) -> Option<Sample> {
    let (wake, woken) = mpsc::channel();
    let woken = Mutex::new(woken);
    let (mut seen, stop) = (Mutex::new(Seen::new()), AtomicBool::new(false));
    let generated = thread::scope(|scope| {
        for _ in 0..load.workers {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    be_busy();
                    let woken = woken.lock().expect("a sound lock");
                    woken.try_iter().for_each(|wake| seen.lock().expect("a sound lock").add(wake));
                }
            });
        }
        thread::sleep(20 * INTERVAL);
        let generated =
            generate(|wake_up| wake.send(wake_up).expect("nobody is there"), wakes_of_busy(load), Duration::ZERO);
        stop.store(true, Ordering::Relaxed);
        generated
    });
    let seen = std::mem::replace(seen.get_mut().expect("a sound lock"), Seen::new());
    Some(seen.sample(generated, 0.999))
}

/// A thread without a runtime, which sleeps until it is woken.
pub fn idle_thread(load: &Load) -> Option<Sample> {
    let (wake, woken) = mpsc::channel();
    let probe = thread::spawn(move || {
        let mut seen = Seen::new();
        woken.iter().for_each(|wake| seen.add(wake));
        seen
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

fn be_busy() {
    let begun = Instant::now();
    while begun.elapsed() < POLL {
        std::hint::spin_loop();
    }
}

fn measure<C: Contender>(runtime: &C, wakes: u32, quantile: f64, early: Duration) -> Sample {
    let (wake, woken) = async_channel::unbounded::<Wake>();
    let (tell, told) = sync_channel(1);
    C::detach(runtime.spawn_outside(async move {
        let mut seen = Seen::new();
        while let Ok(wake) = woken.recv().await {
            seen.add(wake);
        }
        tell.send(seen).expect("nobody waits for the latencies");
    }));
    // Not before the probe sleeps, and the background tasks are under way.
    thread::sleep(20 * INTERVAL);
    let generator = move || generate(|wake_up| wake.try_send(wake_up).expect("the probe is gone"), wakes, early);
    let generated = thread::spawn(generator).join().expect("the generator panicked");
    received(&told).sample(generated, quantile)
}

fn received(told: &Receiver<Seen>) -> Seen {
    told.recv().expect("the probe is gone")
}

/// A wake, when it was planned and when it was made.
#[derive(Clone, Copy)]
struct Wake {
    planned: Instant,
    made: Instant,
}

/// What the woken has seen.
struct Seen {
    since_planned: Histogram<u64>,
    since_made: Histogram<u64>,
}

impl Seen {
    fn new() -> Self {
        Seen { since_planned: histogram(), since_made: histogram() }
    }

    fn add(&mut self, wake: Wake) {
        record(&mut self.since_planned, wake.planned.elapsed());
        record(&mut self.since_made, wake.made.elapsed());
    }

    fn sample(self, generated: Generated, quantile: f64) -> Sample {
        let value = self.since_planned.value_at_quantile(quantile) as f64 / 1e3;
        let wakes = generated.lateness.len() as f64;
        Sample {
            histogram: Some(self.since_planned),
            served: Some(self.since_made),
            lateness: Some(generated.lateness),
            ..Sample::counted(value, generated.reading, wakes)
        }
    }
}

/// What the generator has to say of itself.
struct Generated {
    lateness: Histogram<u64>,
    reading: Reading,
}

/// Wakes once per interval by the plan.
fn generate(wake: impl Fn(Wake), wakes: u32, early: Duration) -> Generated {
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
        let made = Instant::now();
        record(&mut lateness, made.saturating_duration_since(planned));
        wake(Wake { planned, made });
    }
    Generated { lateness, reading: meter.read() }
}

fn record(histogram: &mut Histogram<u64>, duration: Duration) {
    histogram.saturating_record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
}
