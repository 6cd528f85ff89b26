//! Background work beside urgent work and beside a service, in one pool or in two.

pub mod admission;
pub mod http;
pub mod pings;
pub mod shares;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use heist::runtime::{Priority, TaskGroup};

use crate::contender::Contender;
use crate::contenders::heist::Heist;
use crate::contenders::tokio::Tokio;

/// A future that any of the runtimes can run.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where background work and urgent work run.
pub trait Arrangement {
    const NAME: &'static str;
    type Runtime: Contender;

    fn build(workers: usize) -> Self;

    /// Returns the runtime of what is neither.
    fn runtime(&self) -> &Self::Runtime;

    fn spawn_background(&self, work: Work);

    fn spawn_urgent(&self, work: Work);
}

/// One heist runtime with a group for each.
pub struct Groups {
    runtime: Heist,
    background: TaskGroup,
    urgent: TaskGroup,
}

/// One Tokio runtime for all.
pub struct OneTokio(Tokio);

/// A Tokio runtime for the background, with as many workers as the other one.
pub struct TwoTokios {
    front: Tokio,
    background: Tokio,
}

impl Arrangement for Groups {
    const NAME: &'static str = "heist, groups";
    type Runtime = Heist;

    fn build(workers: usize) -> Groups {
        let runtime = Heist::build(workers);
        let group =
            |name: &str, priority| runtime.runtime().group(name).priority(priority).build().expect("the name is free");
        let (background, urgent) = (group("background", Priority::Background), group("urgent", Priority::Latency));
        Groups { runtime, background, urgent }
    }

    fn runtime(&self) -> &Heist {
        &self.runtime
    }

    fn spawn_background(&self, work: Work) {
        drop(self.background.spawn(work));
    }

    fn spawn_urgent(&self, work: Work) {
        drop(self.urgent.spawn(work));
    }
}

impl Arrangement for OneTokio {
    const NAME: &'static str = "Tokio, one runtime";
    type Runtime = Tokio;

    fn build(workers: usize) -> OneTokio {
        OneTokio(Tokio::build(workers))
    }

    fn runtime(&self) -> &Tokio {
        &self.0
    }

    fn spawn_background(&self, work: Work) {
        Tokio::detach(self.0.spawn_outside(work));
    }

    fn spawn_urgent(&self, work: Work) {
        Tokio::detach(self.0.spawn_outside(work));
    }
}

impl Arrangement for TwoTokios {
    const NAME: &'static str = "Tokio, two runtimes";
    type Runtime = Tokio;

    fn build(workers: usize) -> TwoTokios {
        TwoTokios { front: Tokio::build(workers), background: Tokio::build(workers) }
    }

    fn runtime(&self) -> &Tokio {
        &self.front
    }

    fn spawn_background(&self, work: Work) {
        Tokio::detach(self.background.spawn_outside(work));
    }

    fn spawn_urgent(&self, work: Work) {
        Tokio::detach(self.front.spawn_outside(work));
    }
}

/// Computes for this time.
pub fn compute(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Background tasks that compute without end, until this is dropped.
pub struct Load {
    stop: Arc<AtomicBool>,
    /// The nanoseconds that they have computed.
    computed: Arc<AtomicU64>,
}

impl Load {
    /// Starts two tasks per worker, whose polls take this long.
    pub fn start<A: Arrangement>(arrangement: &A, workers: usize, poll: Duration) -> Load {
        let load = Load { stop: Arc::default(), computed: Arc::default() };
        for _ in 0..2 * workers {
            let (stop, computed) = (Arc::clone(&load.stop), Arc::clone(&load.computed));
            arrangement.spawn_background(Box::pin(async move {
                while !stop.load(Ordering::Relaxed) {
                    compute(poll);
                    computed.fetch_add(poll.as_nanos() as u64, Ordering::Relaxed);
                    A::Runtime::yield_now().await;
                }
            }));
        }
        load
    }

    /// Returns how long the tasks have computed so far, all together.
    pub fn computed(&self) -> Duration {
        Duration::from_nanos(self.computed.load(Ordering::Relaxed))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
