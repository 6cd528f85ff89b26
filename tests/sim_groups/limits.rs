//! Limits on workers.

use heist::runtime::{Handle, TaskGroup};
use heist::sim::{Sim, compute, for_each_seed};
use heist::task::{JoinHandle, block_in_place, yield_now};
use heist::time::sleep;

use super::random::Random;
use super::seeds::seeds;
use super::{Number, end_of, vary};

/// The polls of a group that are in progress, and the most at a time.
#[derive(Clone, Default)]
struct Concurrency {
    now: Number,
    most: Number,
}

/// A poll in progress. A panic ends it, too.
struct InPoll<'a>(&'a Concurrency);

impl Concurrency {
    fn begin(&self) -> InPoll<'_> {
        self.most.raise(self.now.add(1));
        InPoll(self)
    }
}

impl Drop for InPoll<'_> {
    fn drop(&mut self) {
        self.0.now.sub(1);
    }
}

/// Spawns a task that computes, blocks in place, spawns in its group, yields and sleeps.
fn spawn_polls(group: &TaskGroup, random: &mut Random, seen: &Concurrency, depth: u32) -> JoinHandle<()> {
    let (mut random, seen, inside) = (random.branch(), seen.clone(), group.clone());
    group.spawn(async move {
        for _ in 0..4 + random.below(8) {
            {
                let _in_poll = seen.begin();
                match random.below(8) {
                    0 => block_in_place(|| compute(random.micros_below(2_000))),
                    1 => compute(random.micros_below(3_000)),
                    2 if depth > 0 => drop(spawn_polls(&inside, &mut random, &seen, depth - 1)),
                    _ => compute(random.micros_below(60)),
                }
            }
            if random.below(4) == 0 { sleep(random.micros_below(400)).await } else { yield_now().await }
        }
    })
}

/// Runs two limited groups beside tasks without a group. Returns the limit of the first group, and
/// how many of its polls ran at once.
fn most_at_once(sim: Sim, workers: usize, tasks: u64) -> (u64, u64) {
    let mut random = Random::new(sim.seed());
    let limits = [0; 2].map(|_| 1 + random.below(workers as u64 / 2));
    let seen = [(); 2].map(|()| Concurrency::default());
    let observed = seen.clone();
    vary(sim).workers(workers).run(async move {
        let groups = [0, 1].map(|n| {
            let limit = usize::try_from(limits[n]).unwrap();
            Handle::current().group(&format!("limited {n}")).max_workers(limit).build().unwrap()
        });
        let mut tasks: Vec<_> =
            (0..tasks).flat_map(|_| [0, 1].map(|n| spawn_polls(&groups[n], &mut random, &observed[n], 1))).collect();
        for _ in 0..workers {
            let time = random.micros_below(100);
            tasks.push(heist::spawn(async move {
                for _ in 0..20 {
                    compute(time);
                    yield_now().await;
                }
            }));
        }
        for task in tasks {
            end_of(task).await;
        }
    });
    for (seen, limit) in seen.iter().zip(limits) {
        let most = seen.most.get();
        assert!(most <= limit, "{most} polls at once in a group of {limit} workers");
        assert_eq!(seen.now.get(), 0);
    }
    (limits[0], seen[0].most.get())
}

#[track_caller]
fn check_limits(workers: usize, tasks: u64, runs: u64) {
    let reached = Number::default();
    for_each_seed(seeds(runs), |sim| {
        let (limit, most) = most_at_once(sim, workers, tasks);
        reached.add(u64::from(most == limit));
    });
    // A test that never reaches the limit would show nothing.
    println!("{workers} workers: {} runs have reached the limit", reached.get());
    assert!(reached.get() > runs / 3, "{} of {runs} runs have reached the limit", reached.get());
}

#[test]
fn polls_of_4_workers_never_exceed_max_workers_under_faults() {
    check_limits(4, 6, 400);
}

#[test]
fn polls_of_64_workers_never_exceed_max_workers_under_faults() {
    check_limits(64, 40, 24);
}

/// The limit rises and falls while tasks run. A lower limit holds once the surplus slices are over.
#[test]
fn polls_never_exceed_the_largest_limit_while_it_changes() {
    for_each_seed(seeds(150), |sim| {
        let mut random = Random::new(sim.seed());
        let seen = Concurrency::default();
        let observed = seen.clone();
        vary(sim).workers(4).run(async move {
            let group = Handle::current().group("limited").max_workers(1).build().unwrap();
            let tasks: Vec<_> = (0..8).map(|_| spawn_polls(&group, &mut random, &observed, 1)).collect();
            for _ in 0..6 {
                sleep(random.micros_below(600)).await;
                group.set_max_workers(1 + usize::try_from(random.below(3)).unwrap()).unwrap();
            }
            for task in tasks {
                end_of(task).await;
            }
        });
        assert!(seen.most.get() <= 3, "{} polls at once", seen.most.get());
    });
}
