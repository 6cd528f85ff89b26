//! Probes: each waits for one kind of wake-up again and again, and every wake-up has to come.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use heist::net::UnixStream;
use heist::runtime::Handle;
use heist::signal::unix::{SignalKind, signal};
use heist::task::{spawn_blocking, yield_now};
use heist::time::sleep;

use crate::account::{self, Ticket};
use crate::activity;
use crate::dice::Dice;
use crate::failure::{fail, lock};
use crate::load::{self, COUNTERS, Load, add};

/// If it is set, the channel drops one wake-up. Only for a planted fault.
pub(crate) static DROP_A_WAKE: AtomicBool = AtomicBool::new(false);

/// A channel for numbers, with one waker.
#[derive(Debug, Default)]
struct Channel(Mutex<(VecDeque<u64>, Option<Waker>)>);

impl Channel {
    fn send(&self, number: u64) {
        let mut inner = lock(&self.0);
        inner.0.push_back(number);
        let waker = inner.1.take();
        drop(inner);
        if waker.is_some() && DROP_A_WAKE.swap(false, Ordering::SeqCst) {
            return;
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn receive(&self) -> u64 {
        poll_fn(|cx| {
            let mut inner = lock(&self.0);
            if let Some(number) = inner.0.pop_front() {
                return Poll::Ready(number);
            }
            let previous = inner.1.replace(cx.waker().clone());
            drop(inner);
            drop(previous);
            Poll::Pending
        })
        .await
    }
}

pub(crate) fn start(load: &Arc<Load>) {
    load.start_task("probe: timer", probe_timer);
    load.start_task("probe: socket", probe_socket);
    load.start_task("probe: blocking job", probe_job);
    load.start_task("probe: spawn", probe_spawn);
    load.start_task("probe: signal", probe_signal);
    let (there, back) = (Arc::new(Channel::default()), Arc::new(Channel::default()));
    let (there_too, back_too) = (Arc::clone(&there), Arc::clone(&back));
    load.start_task("probe: channel, the sender", |dice| ping(there, back, dice));
    load.start_task("probe: channel, the receiver", |_| pong(there_too, back_too));
    let handle = load.handle.clone();
    load.start_thread("foreign probe", |dice| probe_from_outside(handle, dice));
}

async fn probe_timer(mut dice: Dice) {
    let progress = activity::start("probe: timer");
    while !load::is_over() {
        sleep(dice.micros(5_000)).await;
        progress.advance();
    }
    progress.end();
}

/// Echoes between two tasks over a pair of sockets.
async fn probe_socket(mut dice: Dice) {
    let progress = activity::start("probe: socket");
    let (mut near, mut far) = UnixStream::pair().unwrap_or_else(|error| fail(&format!("no sockets: {error}")));
    let ticket = Ticket::lasting();
    let echo = heist::spawn(async move {
        let mut byte = [0];
        while let Ok(1..) = far.read(&mut byte).await {
            if far.write_all(&byte).await.is_err() {
                break;
            }
        }
        ticket.complete()
    });
    while !load::is_over() {
        let sent = [dice.next() as u8];
        let mut received = [0];
        let written = near.write_all(&sent).await;
        let read = near.read_exact(&mut received).await;
        if written.is_err() || read.is_err() || sent != received {
            fail(&format!("the echo of a probe failed: {written:?}, {read:?}"));
        }
        progress.advance();
        sleep(dice.micros(500)).await;
    }
    drop(near);
    drop(echo.await);
    progress.end();
}

async fn probe_job(mut dice: Dice) {
    let progress = activity::start("probe: blocking job");
    while !load::is_over() {
        let (ticket, cell) = Ticket::joined();
        account::join(spawn_blocking(move || ticket.complete()), cell).await;
        add(&COUNTERS.jobs, 1);
        progress.advance();
        // Up to twice the keep-alive of the threads.
        load::pause(dice.micros(40_000)).await;
    }
    progress.end();
}

async fn probe_spawn(mut dice: Dice) {
    let progress = activity::start("probe: spawn");
    while !load::is_over() {
        let task = load::spawn_counted(|ticket| async move {
            yield_now().await;
            ticket.complete()
        });
        load::join_all(vec![task]).await;
        progress.advance();
        sleep(dice.micros(1_000)).await;
    }
    progress.end();
}

/// Sends a signal to this process, and waits until it has come. No other signal of this kind masks
/// one that is lost.
async fn probe_signal(mut dice: Dice) {
    let progress = activity::start("probe: signal");
    let listen = || {
        let listener = signal(SignalKind::user_defined1());
        listener.unwrap_or_else(|error| fail(&format!("no listener for signals: {error}")))
    };
    let mut lasting = listen();
    while !load::is_over() {
        let mut short = dice.one_in(4).then(listen);
        // SAFETY: the runtime handles this signal.
        unsafe { libc::raise(libc::SIGUSR1) };
        let heard = lasting.recv().await.is_some();
        let heard_too = match &mut short {
            Some(short) => short.recv().await.is_some(),
            None => true,
        };
        if !heard || !heard_too {
            fail("a listener for signals ended before its runtime");
        }
        add(&COUNTERS.signals, 1);
        progress.advance();
        sleep(dice.micros(20_000)).await;
    }
    progress.end();
}

/// Sends numbers, and waits for each to come back. A zero ends the channels.
async fn ping(there: Arc<Channel>, back: Arc<Channel>, mut dice: Dice) {
    let progress = activity::start("probe: channel");
    while !load::is_over() {
        let sent = 1 + dice.below(1 << 40);
        there.send(sent);
        if back.receive().await != sent {
            fail("a channel of a probe returned another number");
        }
        progress.advance();
        if dice.one_in(16) {
            sleep(dice.micros(1_000)).await;
        }
    }
    there.send(0);
    progress.end();
}

async fn pong(there: Arc<Channel>, back: Arc<Channel>) {
    loop {
        match there.receive().await {
            0 => return,
            number => back.send(number),
        }
    }
}

/// Spawns from a thread that the runtime does not own, and waits for the task there.
fn probe_from_outside(handle: Handle, mut dice: Dice) {
    let progress = activity::start("probe: spawn from outside");
    while !load::is_over() {
        let (ticket, cell) = Ticket::joined();
        let task = handle.spawn(async move {
            yield_now().await;
            ticket.complete()
        });
        handle.block_on(account::join(task, cell));
        progress.advance();
        std::thread::sleep(Duration::from_micros(dice.below(2_000)));
    }
    progress.end();
}
