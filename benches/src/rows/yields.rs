//! Tasks that only yield. They are spawned from outside.

use crate::contender::Contender;
use crate::meter::Finish;
use crate::sample::{Load, Sample};

pub const TASKS: u64 = 200;
pub const YIELDS: u64 = 1_000;

pub fn run<C: Contender>(runtime: &C, _: &Load) -> Option<Sample> {
    let (finish, result_rx) = Finish::new(TASKS);
    finish.start();
    for _ in 0..TASKS {
        C::detach(runtime.spawn_outside(async move {
            for _ in 0..YIELDS {
                C::yield_now().await;
            }
            finish.end_part();
        }));
    }
    Sample::micros(result_rx.recv().ok()?, TASKS * YIELDS)
}
