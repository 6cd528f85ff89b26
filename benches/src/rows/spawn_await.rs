//! A task spawns another and awaits it, again and again.

use std::hint::black_box;

use super::{Load, Sample};
use crate::contender::Contender;
use crate::meter::Finish;

pub const TIMES: u64 = 10_000;

pub fn run<C: Contender>(runtime: &C, _: &Load) -> Option<Sample> {
    let (finish, told) = Finish::of(1);
    C::detach(runtime.spawn_outside(async move {
        finish.start();
        for n in 0..TIMES {
            black_box(C::spawn(async move { black_box(n) }).await);
        }
        finish.one_done();
    }));
    Sample::micros(told.recv().ok()?, TIMES)
}
