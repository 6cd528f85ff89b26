//! Tasks that do next to nothing, spawned in a row; the clock runs until all of them have run.

use crate::contender::Contender;
use crate::meter::Finish;
use crate::sample::{Load, Sample};

pub const TASKS: u64 = 10_000;

/// The spawner is itself a task, so the spawns are local ones.
pub fn from_worker<C: Contender>(runtime: &C, _: &Load) -> Option<Sample> {
    let (finish, result_rx) = Finish::new(TASKS);
    C::detach(runtime.spawn_outside(async move {
        finish.start();
        for _ in 0..TASKS {
            C::detach(C::spawn(async move { finish.end_part() }));
        }
    }));
    Sample::micros(result_rx.recv().ok()?, TASKS)
}

/// The spawner is a thread that does not belong to the runtime.
pub fn from_outside<C: Contender>(runtime: &C, _: &Load) -> Option<Sample> {
    let (finish, result_rx) = Finish::new(TASKS);
    finish.start();
    for _ in 0..TASKS {
        C::detach(runtime.spawn_outside(async move { finish.end_part() }));
    }
    Sample::micros(result_rx.recv().ok()?, TASKS)
}
