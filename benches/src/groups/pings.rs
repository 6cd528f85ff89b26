//! An urgent task that a thread wakes every millisecond, while the background computes on all
//! workers.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{Arrangement, Load};
use crate::sample::histogram;

/// The polls of the background.
pub const POLL: Duration = Duration::from_millis(10);

const EVERY: Duration = Duration::from_millis(1);

/// Before it is measured, the background computes for this long.
const WARM_UP: Duration = Duration::from_millis(200);

/// The times from a wake to the poll, and the share of the processors that the background had.
pub struct Pings {
    pub delays: Histogram<u64>,
    pub background: f64,
}

/// What the waking thread and the task share.
struct Bell {
    waker: Mutex<Option<Waker>>,
    /// When it was rung, in nanoseconds since `origin`; zero once the task has seen it.
    rung: AtomicU64,
    origin: Instant,
    delays: Mutex<Histogram<u64>>,
}

/// Measures for this long. Without `ping` only the background runs.
pub fn measure<A: Arrangement>(workers: usize, time: Duration, ping: bool) -> Pings {
    let arrangement = A::build(workers);
    let bell = Arc::new(Bell {
        waker: Mutex::new(None),
        rung: AtomicU64::new(0),
        origin: Instant::now(),
        delays: Mutex::new(histogram()),
    });
    if ping {
        arrangement.spawn_urgent(Box::pin(answer(Arc::clone(&bell))));
    }
    let load = Load::start(&arrangement, workers, POLL);
    thread::sleep(WARM_UP);
    let (begun, before) = (Instant::now(), load.computed());
    while begun.elapsed() < time {
        thread::sleep(EVERY);
        let waker = bell.waker.lock().expect("no panic holds it").take();
        if let Some(waker) = waker {
            bell.rung.store(bell.now(), Ordering::SeqCst);
            waker.wake();
        }
    }
    let background = (load.computed() - before).as_secs_f64() / begun.elapsed().as_secs_f64() / workers as f64;
    let delays = bell.delays.lock().expect("no panic holds it").clone();
    Pings { delays, background }
}

async fn answer(bell: Arc<Bell>) {
    poll_fn(move |cx| {
        let rung = bell.rung.swap(0, Ordering::SeqCst);
        if rung > 0 {
            let delay = bell.now().saturating_sub(rung).max(1);
            bell.delays.lock().expect("no panic holds it").record(delay).expect("it is less than a minute");
        }
        *bell.waker.lock().expect("no panic holds it") = Some(cx.waker().clone());
        Poll::<()>::Pending
    })
    .await;
}

impl Bell {
    fn now(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }
}
