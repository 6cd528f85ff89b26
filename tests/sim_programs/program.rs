//! Random programs: tasks that spawn, await, wake, abort, panic, sleep, compute and block.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;

use futures::channel::oneshot;
use heist::runtime::Handle;
use heist::sim::compute;
use heist::task::{JoinHandle, block_in_place, spawn_blocking, yield_now};
use heist::time::{Duration, Instant, sleep, sleep_until, timeout};

use crate::account::Account;

/// Random numbers of a program, which depend on its seed alone.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    pub(crate) fn micros_below(&mut self, bound: u64) -> Duration {
        Duration::from_micros(self.below(bound))
    }

    fn branch(&mut self) -> Random {
        Random::new(self.below(u64::MAX))
    }
}

/// What the tasks of a program have in common.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) account: Account,
    /// The most microseconds for which a task computes at a time.
    pub(crate) longest_compute: u64,
}

impl Program {
    /// Spawns a random task.
    pub(crate) fn spawn(&self, random: &mut Random, depth: u32) -> JoinHandle<()> {
        let (entry, task) = (self.account.begin(), self.clone().random_task(random.branch(), depth));
        heist::spawn(async move {
            task.await;
            entry.complete();
        })
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
                match random.below(15) {
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
