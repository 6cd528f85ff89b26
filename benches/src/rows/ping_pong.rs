//! One task spawns a thousand; each makes two oneshots, spawns a partner and exchanges a message
//! with it.

use futures::channel::oneshot;

use super::{Load, Sample};
use crate::contender::Contender;
use crate::meter::Finish;

pub const PAIRS: u64 = 1_000;

pub fn run<C: Contender>(runtime: &C, _: &Load) -> Option<Sample> {
    let (finish, told) = Finish::of(PAIRS);
    C::detach(runtime.spawn_outside(async move {
        finish.start();
        for _ in 0..PAIRS {
            C::detach(C::spawn(async move {
                let (ping, pinged) = oneshot::channel();
                let (pong, ponged) = oneshot::channel();
                C::detach(C::spawn(async move {
                    pinged.await.expect("no ping");
                    pong.send(()).expect("nobody waits for the pong");
                }));
                ping.send(()).expect("nobody waits for the ping");
                ponged.await.expect("no pong");
                finish.one_done();
            }));
        }
    }));
    Sample::micros(told.recv().ok()?, PAIRS)
}
