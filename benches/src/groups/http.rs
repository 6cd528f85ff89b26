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
    /// The number of processors that the background had, and that were idle without it.
    pub background: f64,
    pub left: f64,
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
    let (meter, before) = (Meter::start(), computed());
    let figures = wrk::run(addr, connections, seconds).unwrap_or_else(|problem| panic!("{}: {problem}", A::NAME));
    let (reading, background) = (meter.read(), computed() - before);
    A::Runtime::cancel(server);
    let share = |time: Duration| time.as_secs_f64() / reading.elapsed.as_secs_f64();
    let others = (reading.busy + reading.children).saturating_sub(background);
    Some(Service {
        rate: figures.rate,
        percentiles: figures.percentiles,
        background: share(background),
        left: (workers as f64 - share(others)).max(0.0),
    })
}
