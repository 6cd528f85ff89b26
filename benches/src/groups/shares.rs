//! Two groups with weights 3 : 1 and polls of different lengths, which both want all workers.

use std::time::Duration;

use super::compute;
use crate::contender::Contender;
use crate::contenders::heist::Heist;

/// Lengths of polls, of the heavier group and of the lighter one.
pub const POLLS: [[Duration; 2]; 2] =
    [[Duration::from_micros(5), Duration::from_millis(2)], [Duration::from_millis(2), Duration::from_micros(5)]];

/// Returns the share of the heavier group over one second.
pub fn measure(workers: usize, polls: [Duration; 2]) -> f64 {
    let runtime = Heist::build(workers);
    let groups = [("heavy", 300), ("light", 100)]
        .map(|(name, weight)| runtime.runtime().group(name).weight(weight).build().expect("the name is free"));
    for (group, poll) in groups.iter().zip(polls) {
        for _ in 0..8 {
            drop(group.spawn(async move {
                loop {
                    compute(poll);
                    heist::task::yield_now().await;
                }
            }));
        }
    }
    std::thread::sleep(Duration::from_millis(100));
    let busy = || groups.each_ref().map(|group| group.metrics().busy.as_secs_f64());
    let before = busy();
    std::thread::sleep(Duration::from_secs(1));
    let [heavy, light] = std::array::from_fn(|at| busy()[at] - before[at]);
    groups.iter().for_each(heist::runtime::TaskGroup::abort_all);
    heavy / (heavy + light)
}
