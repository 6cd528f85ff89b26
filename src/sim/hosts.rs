//! The hosts of a simulation: each has a runtime of its own, and can crash and start again.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::task::{Poll, Waker};

use crate::network::{HostId, Link, Network};
use crate::primitive::baton::attachment;
use crate::primitive::baton_network::with_network;
use crate::primitive::{Arc, Condvar, Mutex};
use crate::runtime::Runtime;

/// The future of a host, made anew at each start.
pub(super) type Main = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The panic of a host.
type Panic = Box<dyn Any + Send>;

/// The hosts of one simulation, the first of which is the one of `Sim::run`.
pub(super) struct Hosts {
    all: Vec<HostPower>,
    /// The first panic of a host.
    panic: Mutex<Option<Panic>>,
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts").field("all", &self.all.len()).finish_non_exhaustive()
    }
}

/// Starts and stops one host.
#[derive(Debug, Default)]
struct HostPower {
    state: Mutex<PowerState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct PowerState {
    /// The host is to be started, once its runtime is gone.
    starts: bool,
    /// The simulation ends.
    ends: bool,
    /// How often the host was stopped.
    stops: u64,
    /// The first future of the host has been polled.
    was_polled: bool,
    /// The waker of the host's main future.
    waker: Option<Waker>,
}

impl HostPower {
    fn change(&self, change: impl FnOnce(&mut PowerState)) {
        let mut state = self.state.lock();
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        self.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits until the host is to be started. Returns how often it was stopped before, or `None` if
    /// the simulation ends.
    fn wait_for_start(&self) -> Option<u64> {
        let mut state = self.state.lock();
        while !state.starts && !state.ends {
            self.changed.wait(&mut state);
        }
        state.starts = false;
        (!state.ends).then_some(state.stops)
    }

    /// Notes that the host has begun.
    fn report_poll(&self) {
        self.state.lock().was_polled = true;
        self.changed.notify_all();
    }

    /// Waits until the host has begun.
    fn wait_for_poll(&self) {
        let mut state = self.state.lock();
        while !state.was_polled {
            self.changed.wait(&mut state);
        }
    }

    /// Waits for `future`, or until the host is stopped.
    async fn run_until_stopped<T>(&self, stops: u64, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let mut state = self.state.lock();
            if state.ends || state.stops != stops {
                return Poll::Ready(None);
            }
            state.waker = Some(cx.waker().clone());
            drop(state);
            let polled = future.as_mut().poll(cx);
            self.report_poll();
            polled.map(Some)
        })
        .await
    }
}

impl Hosts {
    pub(super) fn new(count: usize) -> Hosts {
        let all: Vec<HostPower> = (0..count).map(|_| HostPower::default()).collect();
        Hosts { all, panic: Mutex::new(None) }
    }

    /// Runs the first host after the others have begun, and ends them then. Returns `None` if one
    /// of them has panicked.
    pub(super) fn run_main<T>(&self, build: impl FnOnce() -> Runtime, future: impl Future<Output = T>) -> Option<T> {
        let ended = EndAll(self);
        let runtime = build();
        let others = &self.all[1..];
        others.iter().for_each(|host| host.change(|state| state.starts = true));
        others.iter().for_each(HostPower::wait_for_poll);
        let main = || runtime.block_on(self.all[0].run_until_stopped(0, future));
        let output = catch_unwind(AssertUnwindSafe(main));
        // The others end before the sockets of this runtime, so that they do not see them close.
        drop(ended);
        drop(runtime);
        output.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Runs another host, each time that it is started, until the simulation ends.
    pub(super) fn run_host(&self, host: HostId, build: impl Fn() -> Runtime, main: &Main) {
        let power = &self.all[host];
        while let Some(stops) = power.wait_for_start() {
            with_network(|network, caller| network.start_host(caller.now, host));
            let runtime = build();
            let run = || runtime.block_on(power.run_until_stopped(stops, main()));
            let panic = catch_unwind(AssertUnwindSafe(run)).err();
            power.report_poll();
            // An operation of a host that was stopped fails, and the host may not expect it.
            if let Some(panic) = panic.filter(|_| power.state.lock().stops == stops) {
                self.panic.lock().get_or_insert(panic);
                self.all[0].change(|state| state.stops += 1);
            }
        }
    }

    /// Panics if a host has panicked, with the first panic.
    pub(super) fn resume_panic(&self) {
        if let Some(panic) = self.panic.lock().take() {
            resume_unwind(panic);
        }
    }
}

/// Ends all hosts when the first one ends, by a panic too.
struct EndAll<'a>(&'a Hosts);

impl Drop for EndAll<'_> {
    fn drop(&mut self) {
        self.0.all.iter().for_each(|host| host.change(|state| state.ends = true));
    }
}

/// Does something with the network and with hosts that are given by name.
#[track_caller]
fn with_hosts<R, const N: usize>(
    names: [&str; N],
    run: impl FnOnce(&mut Network, u64, [HostId; N]) -> R,
) -> ([HostId; N], R) {
    let found = with_network(|network, caller| {
        let mut ids = [0; N];
        for (id, name) in ids.iter_mut().zip(names) {
            *id = network.hosts().find(name).ok_or_else(|| format!("{name:?}, only {}", network.hosts().names()))?;
        }
        Ok((ids, run(network, caller.now, ids)))
    });
    match found {
        Some(Ok(result)) => result,
        Some(Err(names)) => {
            let names: String = names;
            panic!("the simulation has no host {names}: add it with `Sim::host`")
        }
        None => panic!("this thread is not in a simulation: call this from a task within `Sim::run`"),
    }
}

fn power(host: HostId, change: impl FnOnce(&mut PowerState)) {
    if let Some(hosts) = attachment().and_then(|hosts| hosts.downcast::<Hosts>().ok()) {
        hosts.all[host].change(change);
    }
}

/// Crashes a host: its sockets are gone at once, and its runtime is dropped some time after the
/// call.
///
/// What it has sent still arrives, unless a partition holds it: then it is lost. Segments to the
/// host are held until [`restart`], after which the host answers them with resets. Datagrams to it
/// are lost.
///
/// Its peers are not told. They notice when [`restart`] has brought the host back, or when they
/// give up. The operations of its sockets fail with
/// [`NotConnected`](std::io::ErrorKind::NotConnected) until the futures have been dropped. A panic
/// of the host's future that comes of it is ignored.
///
/// # Panics
///
/// Panics outside of a simulation, if there is no such host, and if it is the host of `Sim::run`.
///
/// # Examples
///
/// ```
/// use heist::net::{TcpListener, TcpStream};
/// use heist::sim::{self, Sim};
///
/// let mut sim = Sim::new(1).host("server", || async {
///     let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
///     loop {
///         let (mut stream, _) = listener.accept().await.unwrap();
///         stream.write_all(b"hello").await.unwrap();
///     }
/// });
/// sim.run(async {
///     let mut stream = TcpStream::connect("server:80").await.unwrap();
///     let mut greeting = [0; 5];
///     stream.read_exact(&mut greeting).await.unwrap();
///     sim::crash("server");
///     sim::restart("server");
///     // Attempts to connect are repeated until the server listens again.
///     while TcpStream::connect("server:80").await.is_err() {}
/// });
/// ```
#[track_caller]
pub fn crash(host: &str) {
    stop(host, false);
}

/// Starts a host with a new future. A host that is up crashes first. The new future begins when the
/// old runtime is gone.
///
/// # Panics
///
/// Those of [`crash`].
#[track_caller]
pub fn restart(host: &str) {
    stop(host, true);
}

#[track_caller]
fn stop(host: &str, starts: bool) {
    let ([id], ()) = with_hosts([host], |network, now, [host]| {
        if host != 0 {
            network.stop_host(now, host);
        }
    });
    assert!(id != 0, "the host of `Sim::run` cannot crash: add another host with `Sim::host`, and crash that");
    power(id, |state| {
        state.starts = starts;
        state.stops += 1;
        // The first host does not wait for one that will not begin.
        state.was_polled |= !starts;
    });
}

/// Cuts the network between two hosts, in both directions.
///
/// Datagrams are lost. The bytes of connections are kept, and travel after [`heal`]. A connection
/// whose bytes are kept for 924 s of virtual time fails with
/// [`TimedOut`](std::io::ErrorKind::TimedOut). An attempt to connect fails so after 127 s.
///
/// # Panics
///
/// Panics outside of a simulation, and if there is no such host.
#[track_caller]
pub fn partition(one: &str, other: &str) {
    partition_one_way(one, other);
    partition_one_way(other, one);
}

/// Cuts the network from one host to another. The other direction stays.
///
/// # Panics
///
/// Panics outside of a simulation, and if there is no such host.
#[track_caller]
pub fn partition_one_way(from: &str, to: &str) {
    with_hosts([from, to], |network, now, [from, to]| network.set_cut(now, from, to, true));
}

/// Restores the network between two hosts, in both directions.
///
/// # Panics
///
/// Panics outside of a simulation, and if there is no such host.
#[track_caller]
pub fn heal(one: &str, other: &str) {
    with_hosts([one, other], |network, now, [one, other]| {
        network.set_cut(now, one, other, false);
        network.set_cut(now, other, one, false);
    });
}

/// Replaces the link between two hosts, in both directions. What is on its way is not changed.
///
/// # Panics
///
/// Panics outside of a simulation, and if there is no such host.
#[track_caller]
pub fn set_link(one: &str, other: &str, link: Link) {
    with_hosts([one, other], |network, _, [one, other]| {
        network.hosts_mut().set_link(one, other, link.clone());
        network.hosts_mut().set_link(other, one, link);
    });
}
