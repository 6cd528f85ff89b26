//! Random programs: tasks that spawn, await, wake, abort, panic, sleep, compute and block.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;

use futures::channel::oneshot;
use heist::runtime::{Handle, Priority, TaskGroup};
use heist::sim::compute;
use heist::task::{JoinHandle, block_in_place, spawn_blocking, yield_now};
use heist::time::{Duration, Instant, sleep, sleep_until, timeout};

use crate::account::Account;
use crate::random::Random;

/// What the tasks of a program have in common.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) account: Account,
    /// The most microseconds for which a task computes at a time.
    pub(crate) longest_compute: u64,
    /// The groups in which some tasks are spawned.
    pub(crate) groups: Vec<TaskGroup>,
}

/// Builds up to three groups, with random settings.
pub(crate) fn random_groups(random: &mut Random, account: &Account) -> Vec<TaskGroup> {
    let count = random.below(4);
    let group = |n: u64| {
        let (name, limit) = (format!("group {n}"), 1 + random.below(3) as usize);
        let priority = [Priority::Background, Priority::Normal, Priority::Latency][random.below(3) as usize];
        let mut builder = Handle::current().group(&name).priority(priority).weight(1 + random.below(1_000) as u32);
        if random.below(2) == 0 {
            builder = builder.max_workers(limit);
            account.limit_group(&name, limit);
        }
        if random.below(2) == 0 {
            builder = builder.max_tasks(1 + random.below(5) as usize);
        }
        builder.build().unwrap()
    };
    (0..count).map(group).collect()
}

impl Program {
    /// Spawns a random task.
    pub(crate) fn spawn(&self, random: &mut Random, depth: u32) -> JoinHandle<()> {
        heist::spawn(self.entered_task(random, depth))
    }

    fn random_group(&self, random: &mut Random) -> Option<&TaskGroup> {
        self.groups.get(random.below(4) as usize)
    }

    /// Returns a random task with its entry in the account.
    fn entered_task(&self, random: &mut Random, depth: u32) -> impl Future<Output = ()> + Send + 'static {
        let (entry, task) = (self.account.begin(), self.clone().random_task(random.branch(), depth));
        async move {
            task.await;
            entry.complete();
        }
    }

    /// Uses a group in a random way: it spawns a task there, or ends its tasks.
    async fn use_group(&self, random: &mut Random, depth: u32) {
        let Some(group) = self.random_group(random) else { return };
        let admission = match random.below(8) {
            0..=3 => group.try_admit().ok(),
            // A task of a full group may wait for itself, so the wait ends.
            4..=6 => timeout(random.micros_below(2_000), group.admit()).await.ok().and_then(Result::ok),
            _ => {
                match random.below(4) {
                    1 => drop(group.set_weight(1 + random.below(1_000) as u32)),
                    _ => group.abort_all(),
                }
                return;
            }
        };
        // A future that is refused is no task, so it is not in the account.
        let Some(admission) = admission else { return };
        let joined = admission.spawn(self.entered_task(random, depth + 1));
        match random.below(3) {
            0 => drop(joined),
            1 => joined.abort(),
            _ => drop(joined.await),
        }
    }

    /// Runs a blocking job that computes, and then calls `then`.
    async fn job(&self, time: Duration, then: impl FnOnce() + Send + 'static) {
        let entry = self.account.begin();
        self.account.open_job();
        let job = spawn_blocking(move || {
            compute(time);
            then();
            entry.complete();
        });
        if job.await.is_ok() {
            self.account.close_job();
        }
    }

    async fn sleep(&self, time: Duration) {
        let due = Instant::now() + time;
        sleep_until(due).await;
        self.account.timer_fired(due);
    }

    /// Returns a task that does up to five random things.
    fn random_task(self, mut random: Random, depth: u32) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            for _ in 0..random.below(6) {
                match random.below(18) {
                    0 => yield_now().await,
                    1 => self.sleep(random.micros_below(3_000)).await,
                    2 => compute(random.micros_below(self.longest_compute)),
                    3 => self.job(random.micros_below(2_000), || ()).await,
                    4 => {
                        let time = random.micros_below(3_000);
                        block_in_place(|| compute(time));
                    }
                    5 => {
                        let (limit, due) = (random.micros_below(500), Instant::now());
                        if timeout(limit, sleep(random.micros_below(500))).await.is_err() {
                            self.account.timer_fired(due + limit);
                        }
                    }
                    6 => {
                        // It may be refused, because another resize or a drain is under way.
                        let _ = Handle::current().resize(1 + random.below(6) as usize).await;
                    }
                    7 if depth < 3 => {
                        self.spawn(&mut random, depth + 1).await.ok();
                    }
                    8 if depth < 3 => {
                        let task = self.spawn(&mut random, depth + 1);
                        yield_now().await;
                        task.abort();
                        task.await.ok();
                    }
                    9 if depth < 3 => drop(self.spawn(&mut random, depth + 1)),
                    10 if depth > 0 && random.below(8) == 0 => resume_unwind(Box::new("a random panic")),
                    11 => {
                        let time = random.micros_below(300);
                        block_in_place(|| Handle::current().block_on(sleep(time)));
                    }
                    12 => self.sleep(random.micros_below(60_000)).await,
                    13 => self.wake_by_task(random.micros_below(100)).await,
                    14 => self.wake_by_job(random.micros_below(100)).await,
                    15..=17 if depth < 3 => self.use_group(&mut random, depth).await,
                    _ => {}
                }
            }
        })
    }

    /// Waits for a task that computes and then wakes this one.
    async fn wake_by_task(&self, time: Duration) {
        let ((wake, woken), entry) = (oneshot::channel(), self.account.begin());
        drop(heist::spawn(async move {
            compute(time);
            entry.complete();
            // The task that waits may have been aborted.
            let _ = wake.send(());
        }));
        let _ = woken.await;
    }

    /// Waits for a task that a blocking job wakes, and for the job.
    async fn wake_by_job(&self, time: Duration) {
        let ((wake, woken), entry) = (oneshot::channel(), self.account.begin());
        let task = heist::spawn(async move {
            let _ = woken.await;
            entry.complete();
        });
        let wake = move || {
            let _ = wake.send(());
        };
        self.job(time, wake).await;
        task.await.ok();
    }
}
