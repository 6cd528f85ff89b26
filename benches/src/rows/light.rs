//! A light load: one event per millisecond. The result is the processor time of the whole process.

use std::net::UdpSocket;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::contender::LightLoad;
use crate::meter::Meter;
use crate::sample::Processors;

/// The time between two events.
const INTERVAL: Duration = Duration::from_millis(1);

/// The time in which the workers start and become idle.
const START: Duration = Duration::from_millis(200);

/// What happens once per millisecond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// The generator's thread alone.
    Nothing,
    /// A task's interval ticks. There is no generator.
    Timer,
    /// Another thread spawns a task.
    Spawn,
    /// Another thread sends a datagram to a task.
    Datagram,
    /// Another thread runs a blocking job.
    Blocking,
}

impl Event {
    pub const ALL: [Event; 5] = [Event::Nothing, Event::Timer, Event::Spawn, Event::Datagram, Event::Blocking];

    pub fn name(self) -> &'static str {
        match self {
            Event::Nothing => "nothing",
            Event::Timer => "timer",
            Event::Spawn => "spawn",
            Event::Datagram => "datagram",
            Event::Blocking => "blocking",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Event::Nothing => "nothing: the generator's thread alone",
            Event::Timer => "interval of one task, without the generator",
            Event::Spawn => "spawn from another thread",
            Event::Datagram => "UDP datagram to one task",
            Event::Blocking => "blocking job from another thread",
        }
    }

    pub fn find(name: &str) -> Option<Event> {
        Event::ALL.into_iter().find(|event| event.name() == name)
    }
}

/// Returns the share of one processor that this process uses under the load.
pub fn share<C: LightLoad>(workers: usize, event: Event, length: Duration) -> f64 {
    let runtime = C::build(workers);
    match event {
        Event::Nothing => measure(length, || {}),
        Event::Timer => {
            // Not a sleep in a loop: Tokio's would end only every other millisecond.
            C::detach(runtime.spawn_outside(C::tick_for_ever(INTERVAL)));
            // The events need no generator.
            thread::sleep(START);
            let meter = Meter::start();
            thread::sleep(length);
            Processors::from_reading(&meter.read()).server
        }
        Event::Spawn => measure(length, || C::detach(runtime.spawn_outside(async {}))),
        Event::Blocking => measure(length, || runtime.run_blocking(|| {})),
        Event::Datagram => {
            let (addr_tx, addr_rx) = sync_channel(1);
            C::detach(runtime.spawn_outside(C::receive_datagrams(addr_tx)));
            let addr = addr_rx.recv().expect("the receiver of datagrams has ended");
            let socket = UdpSocket::bind("127.0.0.1:0").expect("no socket");
            measure(length, || {
                socket.send_to(b"x", addr).expect("a datagram could not be sent");
            })
        }
    }
}

/// Generates events by a plan, also if one of them is late.
fn measure(length: Duration, mut event: impl FnMut()) -> f64 {
    event();
    thread::sleep(START);
    let meter = Meter::start();
    let (begin, mut planned) = (Instant::now(), INTERVAL);
    while planned <= length {
        thread::sleep((begin + planned).saturating_duration_since(Instant::now()));
        event();
        planned += INTERVAL;
    }
    Processors::from_reading(&meter.read()).server
}
