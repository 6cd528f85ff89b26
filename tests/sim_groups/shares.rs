//! Shares of groups of one priority.

use heist::runtime::{Handle, TaskGroup};
use heist::sim::{Sim, for_each_seed};
use heist::time::{Duration, sleep};

use super::seeds::seeds;
use super::{Busy, LIMIT, micros, millis};

/// Polls that saturate all workers, and how long they are observed.
#[derive(Clone, Copy)]
struct Load {
    workers: usize,
    /// The length of the polls of each of the two competitors.
    polls: [Duration; 2],
    lasts: Duration,
}

const fn load(workers: usize, polls: [u64; 2], lasts: u64) -> Load {
    let [first, second] = polls;
    let polls = [Duration::from_micros(first), Duration::from_micros(second)];
    Load { workers, polls, lasts: Duration::from_millis(lasts) }
}

/// A slice takes 100 µs or one poll, so short polls need less time for the same precision. A worker
/// that loses its processor for 3 ms counts as busy. Between two polls passes a time of up to 4 µs,
/// so mixed polls are no shorter than 50 µs.
const LOADS: [Load; 8] = [
    load(2, [5, 5], 300),
    load(8, [5, 5], 80),
    load(64, [5, 5], 15),
    load(2, [2_000, 2_000], 1_000),
    load(8, [2_000, 2_000], 1_000),
    load(64, [2_000, 2_000], 1_000),
    load(2, [50, 2_000], 500),
    load(8, [2_000, 50], 300),
];

/// A step of a worker takes up to 4 µs, and so does each poll of a task without a group. So the
/// short polls are longer here.
const DEFAULT_LOADS: [Load; 4] = [
    load(2, [100, 100], 300),
    load(8, [100, 100], 100),
    load(2, [2_000, 2_000], 1_000),
    load(8, [2_000, 2_000], 1_000),
];

/// As [`DEFAULT_LOADS`], with long slices of the group on many workers.
const LONG_SLICES: [Load; 1] = [load(64, [2_000, 2_000], 500)];

/// What competes for the workers.
#[derive(Clone)]
enum Competitor {
    Group(TaskGroup),
    /// Tasks without a group.
    Default,
}

impl Competitor {
    fn group(name: &str, weight: u32) -> Competitor {
        Competitor::Group(Handle::current().group(name).weight(weight).build().unwrap())
    }

    /// Spawns enough endless tasks for all workers.
    fn saturate(&self, load: Load, poll: Duration) -> Busy {
        let busy = Busy::default();
        for _ in 0..2 * load.workers {
            let polls = busy.clone().poll_for_ever(poll);
            match self {
                Competitor::Group(group) => drop(group.spawn(polls)),
                Competitor::Default => drop(Handle::current().spawn(polls)),
            }
        }
        busy
    }
}

/// Observes two competitors that saturate the workers. Returns the share of the first one in
/// percent.
async fn share_of_first(load: Load, busy: &[Busy; 2]) -> f64 {
    let before = [busy[0].nanos(), busy[1].nanos()];
    sleep(load.lasts).await;
    let [first, second] = [busy[0].nanos() - before[0], busy[1].nanos() - before[1]];
    let all = load.lasts.as_nanos() as f64 * load.workers as f64;
    assert!((first + second) as f64 > all / 3.0, "the workers were not saturated: {first} and {second} of {all} ns");
    100.0 * first as f64 / (first + second) as f64
}

fn check_share(share: f64, expected: f64, load: Load) {
    let Load { workers, polls, .. } = load;
    println!("{workers} workers, polls of {polls:?}: {share:.2} %, for {expected} %");
    let error = 0.05 * expected.max(100.0 - expected);
    assert!((share - expected).abs() <= error, "{workers} workers, polls of {polls:?}: {share:.2} %, not {expected} %");
}

fn simulated(sim: Sim, load: Load) -> Sim {
    sim.workers(load.workers).time_limit(LIMIT)
}

/// Runs the two competitors under each load, and compares the share of the first one.
fn check_shares(expected: f64, loads: &'static [Load], competitors: fn() -> [Competitor; 2]) {
    for &load in loads {
        for_each_seed(seeds(1), |sim| {
            let share = simulated(sim, load).run(async move {
                let [first, second] = competitors();
                let busy = [first.saturate(load, load.polls[0]), second.saturate(load, load.polls[1])];
                sleep(millis(5)).await;
                share_of_first(load, &busy).await
            });
            check_share(share, expected, load);
        });
    }
}

#[test]
fn groups_of_weights_3_and_1_share_the_time_3_to_1() {
    check_shares(75.0, &LOADS, || [Competitor::group("heavy", 300), Competitor::group("light", 100)]);
}

#[test]
fn group_of_weight_300_and_tasks_without_a_group_share_the_time_3_to_1() {
    check_shares(75.0, &DEFAULT_LOADS, || [Competitor::group("heavy", 300), Competitor::Default]);
}

/// A slice of the group is longer than a choice between two tasks without a group.
#[test]
fn tasks_without_a_group_beside_long_slices_get_their_share() {
    check_shares(75.0, &LONG_SLICES, || [Competitor::group("heavy", 300), Competitor::Default]);
}

#[test]
fn weight_set_in_the_middle_changes_the_share_from_then_on() {
    for workers in [2, 8, 64] {
        let load = Load { lasts: millis(600), ..load(workers, [2_000, 2_000], 0) };
        for_each_seed(seeds(1), |sim| {
            let shares = simulated(sim, load).run(async move {
                let [first, second] = [300, 100].map(|weight| Competitor::group(&format!("of {weight}"), weight));
                let busy = [&first, &second].map(|competitor| competitor.saturate(load, load.polls[0]));
                let before = share_of_first(load, &busy).await;
                if let Competitor::Group(group) = &first {
                    group.set_weight(100).unwrap();
                }
                if let Competitor::Group(group) = &second {
                    group.set_weight(300).unwrap();
                }
                [before, share_of_first(load, &busy).await]
            });
            check_share(shares[0], 75.0, load);
            check_share(shares[1], 25.0, load);
        });
    }
}

/// A group that has been idle has saved up nothing: it does not make up for that time.
#[test]
fn group_that_has_been_idle_gets_its_share_and_no_more() {
    for workers in [2, 8] {
        let load = Load { lasts: millis(60), ..load(workers, [50, 50], 0) };
        for_each_seed(seeds(1), |sim| {
            let share = simulated(sim, load).run(async move {
                let [first, second] = ["first", "second"].map(|name| Competitor::group(name, 100));
                let first = first.saturate(load, micros(50));
                sleep(millis(100)).await;
                let second = second.saturate(load, micros(50));
                share_of_first(load, &[first, second]).await
            });
            check_share(share, 50.0, load);
        });
    }
}
