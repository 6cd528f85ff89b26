//! Limits on live tasks, and spawns that wait.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::Future;
use heist::runtime::{Admit, Handle, TaskGroup};
use heist::sim::{Sim, compute, for_each_seed};
use heist::task::{JoinHandle, yield_now};
use heist::time::{Duration, sleep};

use super::random::Random;
use super::seeds::seeds;
use super::{Number, end_of, vary};

/// What the admitted tasks of a program have in common.
#[derive(Clone)]
struct Admitted {
    group: TaskGroup,
    limit: u64,
    live: Number,
    begun: Number,
    ended: Number,
    tasks: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// A task that lives in a place of the group. Its drop is its end.
struct Place(Admitted);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.live.sub(1);
        self.0.ended.add(1);
    }
}

impl Admitted {
    fn new(group: TaskGroup, limit: u64) -> Admitted {
        let [live, begun, ended] = [(); 3].map(|()| Number::default());
        Admitted { group, limit, live, begun, ended, tasks: Arc::default() }
    }

    /// Returns what an admitted task does. The caller has a permit.
    fn task(&self, random: &mut Random) -> impl Future<Output = ()> + Send + 'static {
        let live = self.live.add(1);
        assert!(live <= self.limit, "{live} tasks live, and the limit is {}", self.limit);
        self.begun.add(1);
        let (place, mut random) = (Place(self.clone()), random.branch());
        async move {
            let _place = place;
            for _ in 0..random.below(4) {
                match random.below(4) {
                    0 => compute(random.micros_below(300)),
                    1 => sleep(random.micros_below(900)).await,
                    _ => yield_now().await,
                }
            }
        }
    }

    fn keep_task(&self, task: JoinHandle<()>) {
        self.tasks.lock().unwrap().push(task);
    }
}

/// Spawns that wait, in the order of their first polls.
#[derive(Default)]
struct Waiters(Vec<Pin<Box<Admit>>>);

impl Waiters {
    /// Polls all waiters, the last one first. If one is admitted, all before it are admitted in the
    /// same pass.
    fn poll(&mut self, admitted: &Admitted, random: &mut Random, cx: &mut Context<'_>) {
        let mut is_later_admitted = false;
        for place in (0..self.0.len()).rev() {
            match self.0[place].as_mut().poll(cx) {
                Poll::Ready(Ok(admission)) => {
                    is_later_admitted = true;
                    drop(self.0.remove(place));
                    // A place that is given back goes to the next one.
                    if random.below(6) > 0 {
                        admitted.keep_task(admission.spawn(admitted.task(random)));
                    }
                }
                Poll::Ready(Err(_)) => drop(self.0.remove(place)),
                Poll::Pending => assert!(!is_later_admitted, "a later spawn was admitted first"),
            }
        }
    }

    fn cancel_one(&mut self, random: &mut Random) {
        if !self.0.is_empty() {
            let place = random.below(self.0.len() as u64) as usize;
            drop(self.0.remove(place));
        }
    }
}

/// Adds waiters, cancels some, and polls the others until each has been admitted.
async fn wait_for_places(admitted: Admitted, mut random: Random, mut count: u64) {
    let mut waiters = Waiters::default();
    while count > 0 || !waiters.0.is_empty() {
        for _ in 0..random.below(4).min(count) {
            count -= 1;
            let mut waiter = Box::pin(admitted.group.admit());
            // The first poll takes a ticket, or a permit, which the next pass uses.
            let polled = poll_fn(|cx| Poll::Ready(waiter.as_mut().poll(cx))).await;
            match polled {
                Poll::Ready(Ok(admission)) => admitted.keep_task(admission.spawn(admitted.task(&mut random))),
                Poll::Ready(Err(_)) => return,
                Poll::Pending => waiters.0.push(waiter),
            }
        }
        poll_fn(|cx| {
            waiters.poll(&admitted, &mut random, cx);
            Poll::Ready(())
        })
        .await;
        match random.below(8) {
            0 => waiters.cancel_one(&mut random),
            1 | 2 => sleep(random.micros_below(300)).await,
            _ if count > 0 => yield_now().await,
            _ => {
                // Nothing but a grant wakes it.
                poll_fn(|cx| {
                    let before = waiters.0.len();
                    waiters.poll(&admitted, &mut random, cx);
                    if waiters.0.len() < before || before == 0 { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            }
        }
    }
}

/// Spawns without a wait, and with [`TaskGroup::spawn_when_admitted`], which is sometimes dropped.
async fn spawn_in_other_ways(admitted: Admitted, mut random: Random, count: u64) {
    for _ in 0..count {
        // Beyond the limit, the future would count as live, so each one waits for its permit.
        match random.below(3) {
            0 => match admitted.group.try_admit() {
                Ok(admission) => admitted.keep_task(admission.spawn(admitted.task(&mut random))),
                Err(_) => yield_now().await,
            },
            1 => {
                let time = random.micros_below(200);
                let spawn = admitted.group.spawn_when_admitted(async move { compute(time) });
                if let Ok(Ok(task)) = heist::time::timeout(random.micros_below(500), spawn).await {
                    admitted.keep_task(task);
                }
            }
            _ => match admitted.group.admit().await {
                Ok(admission) => admitted.keep_task(admission.spawn(admitted.task(&mut random))),
                Err(_) => return,
            },
        }
    }
}

/// Runs the program of a seed.
fn admit_at_random(sim: Sim) -> u64 {
    let mut random = Random::new(sim.seed());
    let (workers, limit) = (1 + random.below(5) as usize, 1 + random.below(4));
    vary(sim).workers(workers).run(async move {
        let group = Handle::current().group("limited").max_tasks(limit as usize).build().unwrap();
        let admitted = Admitted::new(group.clone(), limit);
        let mut spawners = Vec::new();
        for _ in 0..3 {
            spawners.push(heist::spawn(wait_for_places(admitted.clone(), random.branch(), 6)));
            spawners.push(heist::spawn(spawn_in_other_ways(admitted.clone(), random.branch(), 6)));
        }
        for spawner in spawners {
            end_of(spawner).await;
            assert!(group.metrics().live_tasks as u64 <= limit);
        }
        let tasks = std::mem::take(&mut *admitted.tasks.lock().unwrap());
        for task in tasks {
            end_of(task).await;
        }
        let metrics = group.metrics();
        assert_eq!((metrics.live_tasks, metrics.waiting_spawns), (0, 0), "{metrics:?}");
        assert_eq!((admitted.live.get(), admitted.begun.get()), (0, admitted.ended.get()));
        assert_eq!(metrics.spawned, metrics.completed + metrics.panicked + metrics.cancelled, "{metrics:?}");
        metrics.spawned
    })
}

#[test]
fn admission_keeps_the_limit_and_the_order_and_loses_no_place_under_faults() {
    let spawned = Number::default();
    for_each_seed(seeds(600), |sim| {
        spawned.add(admit_at_random(sim));
    });
    println!("{} tasks were admitted", spawned.get());
    assert!(spawned.get() > 0);
}

/// The limit changes while spawns wait. No place is lost, and each spawn is admitted.
#[test]
fn waiting_spawns_are_admitted_while_the_limit_rises_and_falls() {
    for_each_seed(seeds(200), |sim| {
        let mut random = Random::new(sim.seed());
        sim.workers(3).run(async move {
            let group = Handle::current().group("limited").max_tasks(1).build().unwrap();
            let spawners: Vec<_> = (0..12)
                .map(|_| {
                    let (group, time) = (group.clone(), random.micros_below(300));
                    heist::spawn(async move { group.spawn_when_admitted(sleep(time)).await.unwrap().await.unwrap() })
                })
                .collect();
            for _ in 0..8 {
                group.set_max_tasks(1 + random.below(4) as usize).unwrap();
                sleep(random.micros_below(300)).await;
            }
            for spawner in spawners {
                spawner.await.unwrap();
            }
            let metrics = group.metrics();
            assert_eq!((metrics.completed, metrics.live_tasks, metrics.waiting_spawns), (12, 0, 0));
        });
    });
}

/// Tasks of a drained group end or are cancelled, and spawns that wait are refused.
#[test]
fn group_drain_among_waiting_spawns_counts_each_task_once() {
    for_each_seed(seeds(300), |sim| {
        let mut random = Random::new(sim.seed());
        let deadline = [Duration::from_secs(5), random.micros_below(1_500)][random.below(2) as usize];
        let limit = 1 + random.below(4);
        sim.workers(3).run(async move {
            let group = Handle::current().group("limited").max_tasks(limit as usize).build().unwrap();
            let admitted = Admitted::new(group.clone(), limit);
            let spawners: Vec<_> =
                (0..4).map(|_| heist::spawn(spawn_in_other_ways(admitted.clone(), random.branch(), 8))).collect();
            sleep(random.micros_below(1_500)).await;
            let before = group.metrics();
            let report = group.drain(deadline).await;
            for spawner in spawners {
                spawner.await.unwrap();
            }
            let after = group.metrics();
            assert_eq!((after.live_tasks, after.waiting_spawns), (0, 0), "{after:?}");
            assert_eq!(after.spawned, after.completed + after.panicked + after.cancelled, "{after:?}");
            // Nothing runs between the figures and the drain, but on other workers.
            let ended = after.completed - before.completed;
            assert!(report.completed <= ended && report.cancelled <= after.cancelled, "{report}\n{after:?}");
            if report.elapsed < deadline {
                assert_eq!((report.cancelled, report.stragglers.len()), (0, 0), "{report}");
            }
            assert_eq!(admitted.begun.get(), admitted.ended.get());
        });
    });
}
