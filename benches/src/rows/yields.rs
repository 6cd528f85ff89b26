//! Tasks that only yield, spawned from outside.

use super::{Load, Sample};
use crate::contender::Contender;
use crate::meter::Finish;

pub const TASKS: u64 = 200;
pub const YIELDS: u64 = 1_000;

pub fn run<C: Contender>(runtime: &C, _: &Load) -> Option<Sample> {
    let (finish, told) = Finish::of(TASKS);
    finish.start();
    for _ in 0..TASKS {
        C::detach(runtime.spawn_outside(async move {
            for _ in 0..YIELDS {
                C::yield_now().await;
            }
            finish.one_done();
        }));
    }
    Sample::micros(told.recv().ok()?, TASKS * YIELDS)
}
