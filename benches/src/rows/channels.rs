//! Messages between tasks, through `async-channel` for every runtime.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use async_channel::bounded;

use crate::contender::Contender;
use crate::meter::{Finish, Meter};
use crate::sample::{Load, Sample};

pub const ROUND_TRIPS: u64 = 20_000;
pub const SENDERS: u64 = 8;
pub const EACH: u64 = 10_000;

/// Two tasks, a channel in each direction, one message on its way at a time.
pub fn there_and_back<C: Contender>(runtime: &C, _: &Load) -> Option<Sample> {
    let (finish, result_rx) = Finish::new(1);
    C::detach(runtime.spawn_outside(async move {
        let (there, arrived) = bounded::<u64>(16);
        let (back, returned) = bounded::<u64>(16);
        C::detach(C::spawn(async move {
            while let Ok(n) = arrived.recv().await {
                if back.send(n).await.is_err() {
                    break;
                }
            }
        }));
        finish.start();
        for n in 0..ROUND_TRIPS {
            there.send(n).await.expect("the partner is gone");
            assert_eq!(returned.recv().await, Ok(n));
        }
        finish.end_part();
    }));
    Sample::micros(result_rx.recv().ok()?, ROUND_TRIPS)
}

/// Measures the channel alone: a loop polls the same two futures in turn, with a waker that does
/// nothing.
pub fn there_and_back_alone() -> Option<Sample> {
    let (there, arrived) = bounded::<u64>(16);
    let (back, returned) = bounded::<u64>(16);
    let mut partner = pin!(async move {
        while let Ok(n) = arrived.recv().await {
            if back.send(n).await.is_err() {
                break;
            }
        }
    });
    let mut first = pin!(async move {
        for n in 0..ROUND_TRIPS {
            there.send(n).await.expect("the partner is gone");
            assert_eq!(returned.recv().await, Ok(n));
        }
    });
    let cx = &mut Context::from_waker(Waker::noop());
    let meter = Meter::start();
    while first.as_mut().poll(cx).is_pending() {
        // It ends after `first` has ended, and is not polled any more then.
        let _ = partner.as_mut().poll(cx);
    }
    Sample::micros(meter.read(), ROUND_TRIPS)
}

/// Eight tasks send, one receives; the channel holds 128.
pub fn many_to_one<C: Contender>(runtime: &C, _: &Load) -> Option<Sample> {
    let (finish, result_rx) = Finish::new(1);
    C::detach(runtime.spawn_outside(async move {
        let (send, receive) = bounded::<u64>(128);
        finish.start();
        for _ in 0..SENDERS {
            let send = send.clone();
            C::detach(C::spawn(async move {
                for n in 0..EACH {
                    send.send(n).await.expect("the receiver is gone");
                }
            }));
        }
        drop(send);
        let mut sum = 0;
        while let Ok(n) = receive.recv().await {
            sum += n;
        }
        finish.end_part();
        assert_eq!(sum, SENDERS * EACH * (EACH - 1) / 2);
    }));
    Sample::micros(result_rx.recv().ok()?, SENDERS * EACH)
}
