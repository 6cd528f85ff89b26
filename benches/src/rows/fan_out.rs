//! A task spawns a thousand that yield once, and awaits them all.

use crate::contender::Contender;
use crate::meter::Finish;
use crate::sample::{Load, Sample};

pub const FANS: u64 = 20;
pub const TASKS: u64 = 1_000;

pub fn run<C: Contender>(runtime: &C, _: &Load) -> Option<Sample> {
    let (finish, result_rx) = Finish::new(1);
    C::detach(runtime.spawn_outside(async move {
        finish.start();
        let mut joins = Vec::with_capacity(TASKS as usize);
        for _ in 0..FANS {
            joins.extend((0..TASKS).map(|_| C::spawn(async { C::yield_now().await })));
            for join in joins.drain(..) {
                join.await;
            }
        }
        finish.end_part();
    }));
    Sample::micros(result_rx.recv().ok()?, FANS * TASKS)
}
