//! Groups that come and go.

use heist::runtime::{GroupError, Handle, Priority};
use heist::sim::{Sim, compute, for_each_seed};
use heist::task::yield_now;
use heist::time::{Duration, sleep};

use super::random::Random;
use super::seeds::seeds;
use super::{Number, end_of, vary};

const NAMES: [&str; 3] = ["red", "green", "blue"];

/// Creates groups whose names are often in use, spawns tasks in them, and drops the handles.
async fn build_and_drop(mut random: Random, built: Number) {
    for _ in 0..8 {
        let name = NAMES[random.below(3) as usize];
        let priority = [Priority::Background, Priority::Normal, Priority::Latency][random.below(3) as usize];
        let limit = 1 + random.below(3) as usize;
        let builder = Handle::current().group(name).priority(priority).max_workers(limit);
        match builder.build() {
            Ok(group) => {
                built.add(1);
                for _ in 0..random.below(4) {
                    let mut own = random.branch();
                    let task = group.spawn(async move {
                        for _ in 0..own.below(4) {
                            compute(own.micros_below(100));
                            yield_now().await;
                        }
                        sleep(own.micros_below(400)).await;
                    });
                    match random.below(4) {
                        0 => task.abort(),
                        1 => drop(task.await),
                        _ => drop(task),
                    }
                }
                if random.below(6) == 0 {
                    group.abort_all();
                }
                if random.below(6) == 0 {
                    drop(group.drain(random.micros_below(300)));
                }
            }
            Err(GroupError::Closed) => return,
            Err(error) => assert_eq!(error, GroupError::NameInUse(name.to_owned())),
        }
        sleep(random.micros_below(300)).await;
    }
}

fn groups_come_and_go(sim: Sim) -> u64 {
    let mut random = Random::new(sim.seed());
    let workers = 1 + random.below(5) as usize;
    let built = Number::default();
    let counted = built.clone();
    vary(sim).workers(workers).run(async move {
        let builders: Vec<_> = (0..4).map(|_| heist::spawn(build_and_drop(random.branch(), counted.clone()))).collect();
        for builder in builders {
            end_of(builder).await;
        }
        // A worker in a slice, and a drain's task, keep a group a little longer.
        sleep(Duration::from_millis(400)).await;
        let left: Vec<_> = Handle::current().groups().iter().map(|group| group.metrics()).collect();
        assert!(left.is_empty(), "{left:?}");
        for name in NAMES {
            assert!(Handle::current().group(name).build().is_ok(), "{name} is in use");
        }
    });
    built.get()
}

#[test]
fn names_of_dropped_groups_are_free_after_their_tasks_end() {
    let built = Number::default();
    for_each_seed(seeds(400), |sim| {
        built.add(groups_come_and_go(sim));
    });
    println!("{} groups came and went", built.get());
    assert!(built.get() > 1_000);
}

/// The groups are dropped with their runtime, while tasks live.
#[test]
fn groups_of_a_dropped_runtime_end_with_it() {
    for_each_seed(seeds(200), |sim| {
        let mut random = Random::new(sim.seed());
        let group = vary(sim).workers(3).run(async move {
            drop(heist::spawn(build_and_drop(random.branch(), Number::default())));
            let group = Handle::current().group("kept").max_tasks(4).build().unwrap();
            for _ in 0..8 {
                drop(group.spawn(sleep(random.micros_below(5_000))));
            }
            sleep(random.micros_below(2_000)).await;
            group
        });
        let metrics = group.metrics();
        assert_eq!((metrics.live_tasks, metrics.queued_tasks, metrics.active_workers), (0, 0, 0), "{metrics:?}");
        assert_eq!(metrics.spawned, metrics.completed + metrics.panicked + metrics.cancelled, "{metrics:?}");
    });
}
