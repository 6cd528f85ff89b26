//! A hyper service, loaded by `wrk`, while the background computes on all workers.

use std::time::Duration;

use super::{Arrangement, Load};
use crate::contender::{Contender, Sockets};
use crate::meter::Meter;
use crate::rows::hello;
use crate::wrk::{self, Percentiles};

/// The polls of the background.
pub const POLL: Duration = Duration::from_micros(100);

/// Connections of `wrk`.
pub const CONNECTIONS: u32 = 64;

/// One run of `wrk`.
pub struct Service {
    /// Requests per second.
    pub rate: f64,
    pub percentiles: Percentiles,
    /// The number of processors that the background had, and that were idle.
    pub background: f64,
    pub idle: f64,
}

/// Measures for so many seconds, with the background or without. Returns `None` if `wrk` is not
/// installed.
pub fn measure<A>(workers: usize, connections: u32, seconds: u32, with_background: bool) -> Option<Service>
where
    A: Arrangement,
    A::Runtime: Sockets,
{
    if !wrk::is_installed() {
        return None;
    }
    let arrangement = A::build(workers);
    let (addr, server) = hello::start(arrangement.runtime(), A::Runtime::http);
    let load = with_background.then(|| Load::start(&arrangement, workers, POLL));
    let computed = || load.as_ref().map_or(Duration::ZERO, Load::computed);
    let (meter, before, idle) = (Meter::start(), computed(), idle_time());
    let figures = wrk::run(addr, connections, seconds).unwrap_or_else(|problem| panic!("{}: {problem}", A::NAME));
    let (reading, background, idle) = (meter.read(), computed() - before, idle_time().saturating_sub(idle));
    A::Runtime::cancel(server);
    let share = |time: Duration| time.as_secs_f64() / reading.elapsed.as_secs_f64();
    Some(Service {
        rate: figures.rate,
        percentiles: figures.percentiles,
        background: share(background),
        idle: share(idle),
    })
}

/// Returns how long the processors of this machine have been idle, all together, since it started.
/// Returns zero where that cannot be read.
fn idle_time() -> Duration {
    const TICKS_PER_SECOND: u64 = 100;
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = text.lines().next().and_then(|line| {
        // The fourth number is the idle time, the fifth the time in which a disk was awaited.
        let mut numbers = line.split_whitespace().skip(4).map(str::parse::<u64>);
        Some(numbers.next()?.ok()? + numbers.next()?.ok()?)
    });
    Duration::from_millis(ticks.unwrap_or(0) * 1_000 / TICKS_PER_SECOND)
}
