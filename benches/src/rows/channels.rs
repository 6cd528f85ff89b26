//! Messages between tasks, through `async-channel` for everybody.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use async_channel::bounded;

use super::{Load, Sample};
use crate::contender::Contender;
use crate::meter::{Finish, Meter};

pub const ROUND_TRIPS: u64 = 20_000;
pub const SENDERS: u64 = 8;
pub const EACH: u64 = 10_000;

/// Two tasks, a channel in each direction, one message on its way at a time.
pub fn there_and_back<C: Contender>(runtime: &C, _: &Load) -> Option<Sample> {
    let (finish, told) = Finish::of(1);
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
        finish.one_done();
    }));
    Sample::micros(told.recv().ok()?, ROUND_TRIPS)
}

/// The same two futures, polled in turn by a loop that does nothing else, with a waker that does
/// nothing: what the channel itself takes.
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
        // It ends when the first has gone, and is not asked any more then.
        let _ = partner.as_mut().poll(cx);
    }
    Sample::micros(meter.read(), ROUND_TRIPS)
}

/// Eight tasks send, one receives; the channel holds 128.
pub fn many_to_one<C: Contender>(runtime: &C, _: &Load) -> Option<Sample> {
    let (finish, told) = Finish::of(1);
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
        finish.one_done();
        assert_eq!(sum, SENDERS * EACH * (EACH - 1) / 2);
    }));
    Sample::micros(told.recv().ok()?, SENDERS * EACH)
}
