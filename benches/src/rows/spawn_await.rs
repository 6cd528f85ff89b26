//! A task spawns another and awaits it, again and again.

use std::hint::black_box;

use crate::contender::Contender;
use crate::meter::Finish;
use crate::sample::{Load, Sample};

pub const TIMES: u64 = 10_000;

pub fn run<C: Contender>(runtime: &C, _: &Load) -> Option<Sample> {
    let (finish, result_rx) = Finish::new(1);
    C::detach(runtime.spawn_outside(async move {
        finish.start();
        for n in 0..TIMES {
            black_box(C::spawn(async move { black_box(n) }).await);
        }
        finish.end_part();
    }));
    Sample::micros(result_rx.recv().ok()?, TIMES)
}
