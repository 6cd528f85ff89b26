//! One task spawns a thousand. Each makes two oneshots, spawns a partner and exchanges a message
//! with it.

use futures::channel::oneshot;

use crate::contender::Contender;
use crate::meter::Finish;
use crate::sample::{Load, Sample};

pub const PAIRS: u64 = 1_000;

pub fn run<C: Contender>(runtime: &C, _: &Load) -> Option<Sample> {
    let (finish, result_rx) = Finish::new(PAIRS);
    C::detach(runtime.spawn_outside(async move {
        finish.start();
        for _ in 0..PAIRS {
            C::detach(C::spawn(async move {
                let (ping, pinged) = oneshot::channel();
                let (pong, ponged) = oneshot::channel();
                C::detach(C::spawn(async move {
                    pinged.await.expect("no ping");
                    pong.send(()).expect("the receiver of the pong is gone");
                }));
                ping.send(()).expect("the receiver of the ping is gone");
                ponged.await.expect("no pong");
                finish.end_part();
            }));
        }
    }));
    Sample::micros(result_rx.recv().ok()?, PAIRS)
}
