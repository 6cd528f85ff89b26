//! Messages between tasks, through `async-channel` for everybody.

use super::{Load, Sample};
use crate::contender::Contender;
use crate::meter::Finish;
use async_channel::bounded;

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
