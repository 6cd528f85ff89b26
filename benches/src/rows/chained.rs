//! Each task spawns the next one and ends.

use crate::contender::Contender;
use crate::meter::Finish;
use crate::sample::{Load, Sample};

pub const DEPTH: u64 = 10_000;

pub fn run<C: Contender>(runtime: &C, _: &Load) -> Option<Sample> {
    let (finish, result_rx) = Finish::new(1);
    C::detach(runtime.spawn_outside(async move {
        finish.start();
        link::<C>(finish, DEPTH);
    }));
    Sample::micros(result_rx.recv().ok()?, DEPTH)
}

fn link<C: Contender>(finish: &'static Finish, left: u64) {
    if left == 0 {
        return finish.end_part();
    }
    C::detach(C::spawn(async move { link::<C>(finish, left - 1) }));
}
